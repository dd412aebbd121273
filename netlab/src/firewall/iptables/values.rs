//! The values of options: addresses, ports, marks and words.

use std::net::IpAddr;

use super::words::{Word, Wrong, nearest};
use crate::nft::Family;
use crate::nft::matches::{self, Addresses, Ports};

/// Words for numbers, in the order in which iptables prints them.
pub(super) type Names = &'static [(u32, &'static str)];

pub(super) const STATES: Names = &[
    (1, "INVALID"),
    (8, "NEW"),
    (4, "RELATED"),
    (2, "ESTABLISHED"),
    (64, "UNTRACKED"),
    (SNAT << STATUS_SHIFT, "SNAT"),
    (DNAT << STATUS_SHIFT, "DNAT"),
];
const SNAT: u32 = 0x10;
const DNAT: u32 = 0x20;
/// Translations are bits of another word of the connection; here they are beside its states.
pub(super) const STATUS_SHIFT: u32 = 16;
pub(super) const STATUSES: Names = &[(1, "EXPECTED"), (2, "SEEN_REPLY"), (4, "ASSURED"), (8, "CONFIRMED")];
pub(super) const TCP_FLAGS: Names = &[(1, "FIN"), (2, "SYN"), (4, "RST"), (8, "PSH"), (16, "ACK"), (32, "URG"), (63, "ALL"), (0, "NONE")];
pub(super) const ADDRESS_TYPES: Names = &[
    (0, "UNSPEC"),
    (1, "UNICAST"),
    (2, "LOCAL"),
    (3, "BROADCAST"),
    (4, "ANYCAST"),
    (5, "MULTICAST"),
    (6, "BLACKHOLE"),
    (7, "UNREACHABLE"),
    (8, "PROHIBIT"),
    (9, "THROW"),
    (10, "NAT"),
    (11, "XRESOLVE"),
];
/// The code of a "destination unreachable"; the first name is the one that iptables prints.
pub(super) const REJECT_ICMP: Names = &[
    (0, "icmp-net-unreachable"),
    (1, "icmp-host-unreachable"),
    (2, "icmp-proto-unreachable"),
    (3, "icmp-port-unreachable"),
    (9, "icmp-net-prohibited"),
    (10, "icmp-host-prohibited"),
    (13, "icmp-admin-prohibited"),
    (0, "net-unreach"),
    (1, "host-unreach"),
    (2, "proto-unreach"),
    (3, "port-unreach"),
    (9, "net-prohib"),
    (10, "host-prohib"),
    (13, "admin-prohib"),
];
pub(super) const REJECT_ICMPV6: Names = &[
    (0, "icmp6-no-route"),
    (1, "icmp6-adm-prohibited"),
    (3, "icmp6-addr-unreachable"),
    (4, "icmp6-port-unreachable"),
    (5, "icmp6-policy-fail"),
    (6, "icmp6-reject-route"),
    (0, "no-route"),
    (1, "adm-prohibited"),
    (3, "addr-unreach"),
    (4, "port-unreach"),
];
pub(super) const LOG_LEVELS: Names = &[
    (0, "emerg"),
    (0, "panic"),
    (1, "alert"),
    (2, "crit"),
    (3, "err"),
    (3, "error"),
    (4, "warn"),
    (4, "warning"),
    (5, "notice"),
    (6, "info"),
    (7, "debug"),
];
/// A type of ICMP, and its code beside it.
const ICMP_TYPES: Names = &[
    (0, "echo-reply"),
    (0, "pong"),
    (3, "destination-unreachable"),
    (4, "source-quench"),
    (5, "redirect"),
    (8, "echo-request"),
    (8, "ping"),
    (9, "router-advertisement"),
    (10, "router-solicitation"),
    (11, "time-exceeded"),
    (12, "parameter-problem"),
    (13, "timestamp-request"),
    (14, "timestamp-reply"),
    (17, "address-mask-request"),
    (18, "address-mask-reply"),
    (code(3, 0), "network-unreachable"),
    (code(3, 1), "host-unreachable"),
    (code(3, 2), "protocol-unreachable"),
    (code(3, 3), "port-unreachable"),
    (code(3, 4), "fragmentation-needed"),
    (code(3, 9), "network-prohibited"),
    (code(3, 10), "host-prohibited"),
    (code(3, 13), "communication-prohibited"),
    (code(5, 0), "network-redirect"),
    (code(5, 1), "host-redirect"),
    (code(11, 0), "ttl-zero-during-transit"),
    (code(11, 1), "ttl-zero-during-reassembly"),
];
const ICMPV6_TYPES: Names = &[
    (1, "destination-unreachable"),
    (2, "packet-too-big"),
    (3, "time-exceeded"),
    (4, "parameter-problem"),
    (128, "echo-request"),
    (128, "ping"),
    (129, "echo-reply"),
    (129, "pong"),
    (133, "router-solicitation"),
    (134, "router-advertisement"),
    (135, "neighbour-solicitation"),
    (135, "neighbor-solicitation"),
    (136, "neighbour-advertisement"),
    (136, "neighbor-advertisement"),
    (137, "redirect"),
    (code(1, 0), "no-route"),
    (code(1, 1), "communication-prohibited"),
    (code(1, 3), "address-unreachable"),
    (code(1, 4), "port-unreachable"),
    (code(3, 0), "ttl-zero-during-transit"),
    (code(3, 1), "ttl-zero-during-reassembly"),
];
/// The services that rules name; /etc/services of the machine is not asked, so that a test means the same everywhere.
const SERVICES: Names = &[
    (20, "ftp-data"),
    (21, "ftp"),
    (22, "ssh"),
    (23, "telnet"),
    (25, "smtp"),
    (53, "domain"),
    (67, "bootps"),
    (68, "bootpc"),
    (69, "tftp"),
    (80, "http"),
    (80, "www"),
    (110, "pop3"),
    (111, "sunrpc"),
    (123, "ntp"),
    (143, "imap2"),
    (161, "snmp"),
    (179, "bgp"),
    (389, "ldap"),
    (443, "https"),
    (514, "syslog"),
    (636, "ldaps"),
    (853, "domain-s"),
    (993, "imaps"),
    (3306, "mysql"),
    (5432, "postgresql"),
    (6379, "redis"),
    (8080, "http-alt"),
];

const fn code(kind: u32, code: u32) -> u32 {
    1 << 16 | kind << 8 | code
}

pub(super) type Read<T> = Result<T, Wrong>;

/// The numbers of words in a list with commas.
pub(super) fn named(word: &Word, text: &str, names: Names) -> Read<u32> {
    let exact = names.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(number, _)| *number);
    exact.ok_or_else(|| {
        let wrong = word.wrong(format!("`{text}` is none of {}", list(names)));
        match nearest(text, names.iter().map(|(_, name)| *name)) {
            Some(near) => wrong.help(format!("did you mean `{near}`?")),
            None => wrong,
        }
    })
}

pub(super) fn list(names: Names) -> String {
    names.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

/// All bits that words with commas between them name.
pub(super) fn bits(word: &Word, names: Names) -> Read<u32> {
    word.text.split(',').try_fold(0, |all, text| Ok(all | named(word, text, names)?))
}

/// The names of bits, as [`bits`] reads them.
pub(super) fn bit_names(bits: u32, names: Names) -> String {
    let has = |(number, _): &&(u32, &str)| number.count_ones() == 1 && bits & number == *number;
    let all: Vec<_> = names.iter().filter(has).map(|(_, name)| *name).collect();
    if all.is_empty() { "NONE".to_owned() } else { all.join(",") }
}

/// A number as C reads it: `0x` before hexadecimal, `0` before octal.
pub(super) fn number(word: &Word, text: &str, most: u32) -> Read<u32> {
    let read = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8),
        None => text.parse(),
    };
    let plain = text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains('+');
    read.ok().filter(|number| plain && *number <= most).ok_or_else(|| word.wrong(format!("`{text}` is no number from 0 to {most}")))
}

/// `VALUE` or `VALUE/MASK`.
pub(super) fn mark(word: &Word) -> Read<(u32, u32)> {
    match word.text.split_once('/') {
        Some((value, mask)) => Ok((number(word, value, u32::MAX)?, number(word, mask, u32::MAX)?)),
        None => Ok((number(word, &word.text, u32::MAX)?, u32::MAX)),
    }
}

fn port(word: &Word, text: &str) -> Read<u16> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let port = number(word, text, u32::from(u16::MAX))?;
        return Ok(u16::try_from(port).unwrap_or(u16::MAX));
    }
    let known = SERVICES.iter().find(|(_, name)| *name == text).and_then(|(number, _)| u16::try_from(*number).ok());
    known.ok_or_else(|| word.wrong(format!("`{text}` is no port, and no service that netlab knows")).help("write its number"))
}

/// Ports from one to another: `80`, and with the separator `80:90`, `:90`, `80:`.
pub(super) fn ports(word: &Word, text: &str, separator: char) -> Read<Ports> {
    let Some((from, to)) = text.split_once(separator) else {
        let port = port(word, text)?;
        return Ok((port, port));
    };
    let end = |text: &str, open: u16| if text.is_empty() { Ok(open) } else { port(word, text) };
    match (end(from, 0)?, end(to, u16::MAX)?) {
        (from, to) if from > to => Err(word.wrong(format!("the ports `{text}` end before they begin"))),
        ports => Ok(ports),
    }
}

/// The list of `-m multiport`.
pub(super) fn port_list(word: &Word) -> Read<Vec<Ports>> {
    const MOST: usize = 15;
    let all = word.text.split(',').map(|text| ports(word, text, ':')).collect::<Read<Vec<_>>>()?;
    match all.iter().map(|(from, to)| if from == to { 1 } else { 2 }).sum::<usize>() {
        count if count > MOST => Err(word.wrong(format!("it has room for {MOST} ports, of which a range takes two"))),
        _ => Ok(all),
    }
}

pub(super) fn of_family(word: &Word, address: IpAddr, family: Family) -> Read<()> {
    match (address.is_ipv4(), family) {
        (true, Family::Ip6) => Err(word.wrong(format!("{address} is an IPv4 address in a rule for IPv6"))),
        (false, Family::Ip) => {
            Err(word.wrong(format!("{address} is an IPv6 address in a rule for IPv4")).help("begin the line with `ip6tables`"))
        }
        _ => Ok(()),
    }
}

/// The addresses of `-s` and `-d`; nothing if they are all that there are.
pub(super) fn addresses(word: &Word, family: Family) -> Read<Option<Vec<Addresses>>> {
    let all = word.text.split(',').map(|text| net(word, text, family)).collect::<Read<Vec<_>>>()?;
    Ok((!all.iter().any(|one| one.prefix_length() == Some(0))).then_some(all))
}

/// One address, or a net by the length of its prefix or by its mask.
pub(super) fn net(word: &Word, text: &str, family: Family) -> Read<Addresses> {
    let example = if family == Family::Ip6 { "`fd00::1` or `fd00::/64`" } else { "`10.0.0.1` or `10.0.0.0/24`" };
    let wrong = || word.wrong(format!("`{text}` is no address such as {example}")).help("names are not resolved: write the address");
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    // As people write it who mean all.
    let address = if text == "0/0" { "0.0.0.0" } else { address };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    of_family(word, address, family)?;
    let length = match length {
        None => return Ok(address.into()),
        Some(length) => prefix_length(length, address).ok_or_else(|| {
            word.wrong(format!("`{length}` is neither the length of a prefix nor the mask of one"))
                .help("nf_tables compares the leading bits of an address")
        })?,
    };
    ipnet::IpNet::new(address, length).map(Addresses::from).map_err(|_| wrong())
}

fn prefix_length(text: &str, address: IpAddr) -> Option<u8> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let mask: IpAddr = text.parse().ok().filter(|mask: &IpAddr| mask.is_ipv4() == address.is_ipv4())?;
    ipnet::ip_mask_to_prefix(mask).ok()
}

/// The addresses of `-m iprange`.
pub(super) fn range(word: &Word, family: Family) -> Read<Addresses> {
    let addresses: Addresses = word.text.parse().map_err(|why: String| word.wrong(why))?;
    if word.text.contains('/') {
        return Err(word.wrong("a range is `FIRST-LAST`").help("a net goes after `-s` or `-d`"));
    }
    of_family(word, addresses.ends().0, family)?;
    Ok(addresses)
}

/// The interface of `-i` and `-o`, with `*` where iptables has `+`; nothing if any will do.
pub(super) fn interface(word: &Word) -> Read<Option<String>> {
    const LONGEST: usize = 15;
    let text = word.text.as_str();
    let (stem, prefix) = text.strip_suffix('+').map_or((text, false), |stem| (stem, true));
    if stem.contains(['*', '!', '/', '"', '\0']) || stem.contains(char::is_whitespace) {
        let wrong = word.wrong(format!("`{text}` is no name of an interface"));
        return Err(if text.ends_with('*') { wrong.help("iptables writes `+` for any rest, as in `eth+`") } else { wrong });
    }
    match stem.len() {
        0 if prefix => Ok(None),
        0 => Err(word.wrong("an interface has a name")),
        length if length > LONGEST => Err(word.wrong(format!("names of interfaces have at most {LONGEST} characters"))),
        _ => Ok(Some(if prefix { format!("{stem}*") } else { stem.to_owned() })),
    }
}

/// The number of a protocol; nothing if any will do.
pub(super) fn protocol(word: &Word) -> Read<Option<u8>> {
    let name = word.text.to_ascii_lowercase();
    match matches::protocol_number(&name) {
        _ if name == "all" => Ok(None),
        Some(0) => Ok(None),
        Some(number) => Ok(Some(number)),
        None => {
            let wrong = word.wrong(format!("`{}` is no protocol that netlab knows", word.text));
            let common = ["tcp", "udp", "icmp", "icmpv6", "sctp", "esp", "gre", "all"];
            Err(wrong.help(nearest(&name, common).map_or("write its number".to_owned(), |near| format!("did you mean `{near}`?"))))
        }
    }
}

/// A type of ICMP with its code, if it has one; nothing for `any`.
pub(super) fn icmp(word: &Word, family: Family) -> Read<Option<(u8, Option<u8>)>> {
    let byte = |text: &str| number(word, text, u32::from(u8::MAX)).map(|number| number.to_be_bytes()[3]);
    let text = word.text.as_str();
    if text == "any" {
        return Ok(None);
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return match text.split_once('/') {
            Some((kind, code)) => Ok(Some((byte(kind)?, Some(byte(code)?)))),
            None => Ok(Some((byte(text)?, None))),
        };
    }
    let known = named(word, text, if family == Family::Ip6 { ICMPV6_TYPES } else { ICMP_TYPES })?;
    Ok(Some(match known.to_be_bytes() {
        [_, 1, kind, code] => (kind, Some(code)),
        [.., kind] => (kind, None),
    }))
}

pub(super) fn hardware_address(word: &Word) -> Read<[u8; 6]> {
    let wrong = || word.wrong(format!("`{}` is no hardware address such as `02:00:00:00:00:01`", word.text));
    let bytes = word.text.split([':', '-']).map(|byte| u8::from_str_radix(byte, 16).map_err(|_| wrong())).collect::<Read<Vec<u8>>>()?;
    bytes.try_into().map_err(|_| wrong())
}

/// How often of how often, from a probability: iptables keeps 31 bits of it.
pub(super) fn probability(word: &Word) -> Read<(u32, u32)> {
    const ALL: u32 = 1 << 31;
    let share: f64 =
        word.text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| word.wrong("a probability is from 0 to 1"))?;
    // Exact: at most 2^31, which a double holds.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let share = (share * f64::from(ALL)).round() as u32;
    let shift = share.trailing_zeros().min(ALL.trailing_zeros());
    Ok((share >> shift, ALL >> shift))
}

/// Units of `-m limit`, with their lengths in ten-thousandths of a second, in which iptables counts.
const UNITS: [(u64, &str); 4] = [(24 * 3600 * SECOND, "day"), (3600 * SECOND, "hour"), (60 * SECOND, "minute"), (SECOND, "second")];
const SECOND: u64 = 10_000;

/// Packets in a number of seconds.
pub(super) fn rate(word: &Word) -> Read<(u64, u64)> {
    let (rate, unit) = word.text.split_once('/').unwrap_or((&word.text, "second"));
    let rate = u64::from(number(word, rate, u32::MAX)?);
    let known = UNITS.iter().rev().find(|(_, name)| !unit.is_empty() && name.starts_with(&unit.to_ascii_lowercase()));
    let (length, _) = known.ok_or_else(|| word.wrong(format!("`{unit}` is none of second, minute, hour, day")))?;
    let period = length.checked_div(rate).filter(|period| *period > 0);
    let period = period.ok_or_else(|| word.wrong("a rate is from 1 packet a day to 10000 a second"))?;
    Ok(in_largest_unit(period))
}

/// Packets in seconds, of one packet a period, in the unit that iptables prints.
fn in_largest_unit(period: u64) -> (u64, u64) {
    let fits = |(length, _): &&(u64, &str)| period <= *length && length / period >= length % period;
    let (length, _) = UNITS[1..].iter().take_while(fits).last().unwrap_or(&UNITS[0]);
    (length / period, length / SECOND)
}

/// As iptables prints it, such as `5/min`.
pub(super) fn rate_text(rate: u64, seconds: u64) -> String {
    let (rate, seconds) = match (seconds * SECOND).checked_div(rate) {
        None | Some(0) => (rate, seconds),
        Some(period) => in_largest_unit(period),
    };
    let unit = UNITS.iter().find(|(length, _)| *length == seconds * SECOND).map_or("second", |(_, name)| name);
    format!(
        "{rate}/{}",
        match unit {
            "minute" => "min",
            "second" => "sec",
            unit => unit,
        }
    )
}
