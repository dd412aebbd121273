//! Addresses with a port, as people write them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::netns::Netns;

/// `203.0.113.9:7000`, `[fd00::1]:7000`, `[fe80::1%eth0]:7000`; the zone is an interface of the namespace.
pub(crate) fn parse(netns: &Netns, text: &str) -> Result<SocketAddr, String> {
    let wrong = || "expected an address and a port, such as `203.0.113.9:7000` or `[fd00::9]:7000`".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bracketed.is_none() && host.contains(':') {
        return Err(wrong()); // `fd00::9` is an address; its last group is no port
    }
    let mut address = parse_host(netns, bracketed.unwrap_or(host)).map_err(|e| if e.starts_with("expected") { wrong() } else { e })?;
    address.set_port(port);
    Ok(address)
}

/// `203.0.113.9`, `fd00::1` or `fe80::1%eth0`, as a socket address with port 0.
pub(crate) fn parse_host(netns: &Netns, text: &str) -> Result<SocketAddr, String> {
    let wrong = || "expected an address, such as `203.0.113.9`, `fd00::9` or `fe80::1%eth0`".to_owned();
    let Some((address, zone)) = text.split_once('%') else {
        return text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0)).map_err(|_| wrong());
    };
    let address: Ipv6Addr = address.parse().map_err(|_| wrong())?;
    let index = match zone.parse() {
        Ok(index) => index,
        Err(_) => netns.link(zone).map_err(|_| format!("`{netns}` has no interface `{zone}`"))?.index(),
    };
    Ok(SocketAddr::V6(SocketAddrV6::new(address, 0, 0, index)))
}

/// The same address with an IPv4-mapped IPv6 one written as the IPv4 one that it is.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}
