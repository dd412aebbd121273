//! Addresses with a prefix length, as people write them.

use std::net::IpAddr;

use ipnet::IpNet;

/// `10.0.0.2/24` or a bare `10.0.0.2`, which means its host prefix (`/32`, `/128`); the host bits stay.
pub(crate) fn parse(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "expected an address and a prefix length, such as `10.0.0.2/24`".to_owned())
}

/// A bare address.
pub(crate) fn parse_ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "expected an address, such as `10.0.0.1`".to_owned())
}

/// `02:42:ac:11:00:02`.
pub(crate) fn parse_mac(text: &str) -> Result<[u8; 6], String> {
    let wrong = || "expected six pairs of hexadecimal digits, such as `02:42:ac:11:00:02`".to_owned();
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit())).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
    }
    if parts.next().is_some() {
        return Err(wrong());
    }
    if mac[0] & 1 == 1 {
        return Err("that is a group address: the first byte of an interface's address is even".to_owned());
    }
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_address_is_a_host_prefix() {
        assert_eq!(parse("10.0.0.2").map(|net| net.to_string()), Ok("10.0.0.2/32".to_owned()));
        assert_eq!(parse("fd00::1/64").map(|net| net.to_string()), Ok("fd00::1/64".to_owned()));
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for nonsense in ["", "10.0.0.300/24", "10.0.0.1/33", "fd00::/129", "eth0", "10.0.0.1/", "/24"] {
            assert!(parse(nonsense).is_err_and(|why| why.contains("such as")), "{nonsense}");
        }
        for nonsense in ["", "02:42:ac:11:00", "02:42:ac:11:00:02:03", "02:42:ac:11:00:zz", "2:42:ac:11:0:2", "+2:42:ac:11:00:02"] {
            assert!(parse_mac(nonsense).is_err(), "{nonsense}");
        }
        assert!(parse_mac("01:00:5e:00:00:01").is_err_and(|why| why.contains("group")));
    }
}
