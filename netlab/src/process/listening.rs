//! Which ports of a namespace are listened on, by the kernel's own list (proc(5), `/proc/net/tcp`).
//!
//! The kernel tells no event when a socket starts to listen, so the list has to be read again and again.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek};

use crate::sockets::parse;

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
            sockets.extend(text.lines().skip(1).filter_map(|line| parse(line, udp)).map(|socket| (socket.address.port(), socket.inode)));
        }
        Ok(sockets)
    }
}
