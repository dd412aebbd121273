//! Who waits for packets or connections in a namespace, by the kernel's own lists (proc(5), `/proc/net/tcp`).

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `TCP_LISTEN` in the list's column `st`.
const LISTENS: &str = "0A";
/// `TCP_ESTABLISHED`: a UDP socket that is connected to somebody.
const CONNECTED: &str = "01";

/// A socket that waits for whoever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) udp: bool,
    pub(crate) address: SocketAddr,
    /// The number that `/proc/PID/fd` shows for it.
    pub(crate) inode: u64,
}

/// The TCP sockets that listen and the UDP sockets that are connected to nobody, in the namespace of the calling thread.
pub(crate) fn waiting() -> io::Result<Vec<Waiting>> {
    let mut all = Vec::new();
    for (name, udp) in [("tcp", false), ("tcp6", false), ("udp", true), ("udp6", true)] {
        match fs::read_to_string(format!("/proc/thread-self/net/{name}")) {
            Ok(text) => all.extend(text.lines().skip(1).filter_map(|line| parse(line, udp))),
            Err(_) if name.ends_with('6') => {} // a kernel without IPv6 has none
            Err(e) => return Err(e),
        }
    }
    Ok(all)
}

/// A line of a list, if its socket waits.
pub(crate) fn parse(line: &str, udp: bool) -> Option<Waiting> {
    let mut columns = line.split_whitespace().skip(1);
    let (local, _remote, state) = (columns.next()?, columns.next()?, columns.next()?);
    let waits = if udp { state != CONNECTED } else { state == LISTENS };
    let (ip, port) = local.rsplit_once(':')?;
    let address = SocketAddr::new(address(ip)?, u16::from_str_radix(port, 16).ok()?);
    let inode = columns.nth(5)?.parse().ok()?;
    waits.then_some(Waiting { udp, address, inode })
}

/// Words of 32 bits, each printed as the processor reads it.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let bytes = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_s_list_gives_address_and_inode() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20373 1 0 100 0 0 10 0";
        let loopback = if cfg!(target_endian = "little") { "127.0.0.1:8080" } else { "1.0.0.127:8080" };
        assert_eq!(parse(line, false), Some(Waiting { udp: false, address: loopback.parse().unwrap(), inode: 20373 }));
        let line = "   1: 0100007F:1F90 0100007F:9000 01 00000000:00000000 00:00000000 00000000     0        0 20374 1 0 20 4 30 10 -1";
        assert_eq!((parse(line, false), parse(line, true)), (None, None));
        let line = " 1: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 07 0:0 00:0 0 0 0 7 2 0";
        assert_eq!(parse(line, true), Some(Waiting { udp: true, address: "[::]:53".parse().unwrap(), inode: 7 }));
    }
}
