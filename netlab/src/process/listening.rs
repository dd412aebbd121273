//! Which ports of a namespace are listened on, by the kernel's own list (proc(5), `/proc/net/tcp`).
//!
//! The kernel tells no event when a socket starts to listen, so the list has to be read again and again.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek};

/// `TCP_LISTEN` in the list's column `st`.
const LISTENS: &str = "0A";

/// The lists of a namespace, and the sockets that were in them at first.
#[derive(Debug)]
pub(super) struct Sockets {
    tcp: Vec<File>,
    udp: Vec<File>,
    before: HashSet<u64>,
}

impl Sockets {
    /// Called in the namespace, whose lists the files go on to be, wherever they are read.
    pub(super) fn open() -> io::Result<Self> {
        let open = |names: [&str; 2]| -> io::Result<Vec<File>> {
            let mut files = vec![File::open(format!("/proc/thread-self/net/{}", names[0]))?];
            files.extend(File::open(format!("/proc/thread-self/net/{}", names[1])).ok()); // a kernel without IPv6 has none
            Ok(files)
        };
        let mut sockets = Self { tcp: open(["tcp", "tcp6"])?, udp: open(["udp", "udp6"])?, before: HashSet::new() };
        for udp in [false, true] {
            let inodes: Vec<u64> = sockets.list(udp)?.into_iter().map(|(_, inode)| inode).collect();
            sockets.before.extend(inodes);
        }
        Ok(sockets)
    }

    /// Whether a socket listens on the port that did not at first.
    pub(super) fn has_new(&mut self, udp: bool, port: u16) -> io::Result<bool> {
        let list = self.list(udp)?;
        Ok(list.iter().any(|(bound, inode)| *bound == port && !self.before.contains(inode)))
    }

    fn list(&mut self, udp: bool) -> io::Result<Vec<(u16, u64)>> {
        let mut sockets = Vec::new();
        for file in if udp { &mut self.udp } else { &mut self.tcp } {
            let mut text = String::new();
            file.rewind()?;
            file.read_to_string(&mut text)?;
            sockets.extend(text.lines().skip(1).filter_map(|line| parse(line, udp)));
        }
        Ok(sockets)
    }
}

/// Port and inode of a socket that listens; a bound UDP socket does.
fn parse(line: &str, udp: bool) -> Option<(u16, u64)> {
    let mut columns = line.split_whitespace().skip(1);
    let (local, _remote, state) = (columns.next()?, columns.next()?, columns.next()?);
    let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    let inode = columns.nth(5)?.parse().ok()?;
    (udp || state == LISTENS).then_some((port, inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_s_list_gives_port_and_inode() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20373 1 0 100 0 0 10 0";
        assert_eq!(parse(line, false), Some((8080, 20373)));
        let line = "   1: 0100007F:1F90 0100007F:9000 01 00000000:00000000 00:00000000 00000000     0        0 20374 1 0 20 4 30 10 -1";
        assert_eq!(parse(line, false), None);
        let line = " 1: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 07 0:0 00:0 0 0 0 7 2 0";
        assert_eq!(parse(line, true), Some((53, 7)));
    }
}
