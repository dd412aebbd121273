//! Numbers that have names: those that iproute2 knows without its files in `/etc/iproute2`, so that no machine's files change a text.

/// `rt_protos`.
pub(super) fn protocol(number: u8) -> String {
    let word = match number {
        0 => "unspec",
        1 => "redirect",
        2 => "kernel",
        3 => "boot",
        4 => "static",
        8 => "gated",
        9 => "ra",
        10 => "mrt",
        11 => "zebra",
        12 => "bird",
        13 => "dnrouted",
        14 => "xorp",
        15 => "ntk",
        16 => "dhcp",
        18 => "keepalived",
        42 => "babel",
        99 => "openr",
        186 => "bgp",
        187 => "isis",
        188 => "ospf",
        189 => "rip",
        192 => "eigrp",
        _ => return number.to_string(),
    };
    word.to_owned()
}

/// `rt_scopes`.
pub(super) fn scope(number: u8) -> String {
    let word = match number {
        0 => "global",
        200 => "site",
        253 => "link",
        254 => "host",
        255 => "nowhere",
        _ => return number.to_string(),
    };
    word.to_owned()
}

/// `rt_tables`.
pub(super) fn table(number: u32) -> String {
    let word = match number {
        0 => "unspec",
        253 => "default",
        254 => "main",
        255 => "local",
        _ => return number.to_string(),
    };
    word.to_owned()
}

/// The number of a table by its name or in digits, as `ip route show table` takes it.
pub(super) fn table_number(text: &str) -> Option<u32> {
    [0, 253, 254, 255].into_iter().find(|number| table(*number) == text).or_else(|| text.parse().ok())
}

/// `group`.
pub(super) fn group(number: u32) -> String {
    if number == 0 { "default".to_owned() } else { number.to_string() }
}

/// The word for one realm or two, and their numbers: the source's in the upper half.
pub(super) fn realms(number: u32) -> (&'static str, String) {
    match (number >> 16, number & 0xffff) {
        (0, to) => ("realm", to.to_string()),
        (from, to) => ("realms", format!("{from}/{to}")),
    }
}

/// The hardware types (`ARPHRD_*`) that a virtual machine's links have.
pub(super) fn link_type(number: u16) -> String {
    let word = match number {
        1 => "ether",
        32 => "infiniband",
        280 => "can",
        512 => "ppp",
        768 => "ipip",
        769 => "tunnel6",
        772 => "loopback",
        776 => "sit",
        778 => "gre",
        801 => "ieee802.11",
        823 => "gre6",
        824 => "netlink",
        825 => "6lowpan",
        826 => "vsockmon",
        0xfffe => "none",
        0xffff => "void",
        _ => return format!("[{number}]"),
    };
    word.to_owned()
}

/// The words of the bits that are set, in the order of the table, and what is left over.
pub(super) fn flags(bits: u32, words: &[(u32, &str)]) -> (Vec<String>, u32) {
    let set: Vec<_> = words.iter().filter(|(bit, _)| bits & bit != 0).collect();
    let known = set.iter().fold(0, |all, (bit, _)| all | bit);
    (set.into_iter().map(|(_, word)| (*word).to_owned()).collect(), bits & !known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_by_the_name_that_it_is_printed_by() {
        for number in [0, 1, 100, 253, 254, 255, 256, u32::MAX] {
            assert_eq!(table_number(&table(number)), Some(number));
        }
        assert_eq!(table_number("nonsense"), None);
    }
}
