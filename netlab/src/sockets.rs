//! Who listens: the kernel's list of sockets (sock_diag(7)), and whose they are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::netns::Netns;
use crate::snapshot::wire::{AF_INET, AF_INET6, Raw};
use crate::sys::netlink;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_SKV6ONLY: u16 = 11;
const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
/// Sockets that take packets from anybody: bit 10 for TCP's LISTEN, bit 7 for UDP, whose unconnected sockets are CLOSE.
const LISTEN: u32 = 1 << 10;
const CLOSE: u32 = 1 << 7;

/// A socket that takes packets of anybody.
#[derive(Debug, Clone)]
pub(crate) struct Listening {
    pub(crate) protocol: u8,
    pub(crate) address: SocketAddr,
    pub(crate) v6_only: bool,
    /// Of TCP, the connections that wait to be accepted; of UDP, bytes to be read.
    pub(crate) queued: u32,
    /// Of TCP, how many connections may wait.
    pub(crate) limit: u32,
    pub(crate) inode: u32,
}

/// A process that has a socket.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) pid: u32,
    pub(crate) name: String,
    pub(crate) stopped: bool,
}

impl Listening {
    /// Whether it takes what comes to that address, ports aside.
    pub(crate) fn takes(&self, address: IpAddr) -> bool {
        match self.address.ip() {
            IpAddr::V6(any) if any.is_unspecified() => address.is_ipv6() || !self.v6_only,
            IpAddr::V4(any) if any.is_unspecified() => address.is_ipv4(),
            own => own.to_canonical() == address,
        }
    }
}

/// All that listens in a machine, for TCP and UDP.
pub(crate) fn listening(netns: &Netns) -> Vec<Listening> {
    let Ok(mut socket) = netns.enter_io(netlink::Socket::diagnostics) else { return Vec::new() };
    let questions = [(TCP, LISTEN), (UDP, CLOSE)].into_iter().flat_map(|kind| [(AF_INET, kind), (AF_INET6, kind)]);
    questions
        .flat_map(|(family, (protocol, states))| {
            let answers = socket.dump(question(family, protocol, states)).unwrap_or_default();
            answers.iter().filter_map(|answer| read(answer, protocol)).collect::<Vec<_>>()
        })
        .collect()
}

/// `struct inet_diag_req_v2`.
fn question(family: u8, protocol: u8, states: u32) -> Raw {
    let mut bytes = vec![family, protocol, 0, 0];
    bytes.extend(states.to_ne_bytes());
    bytes.resize(8 + 48, 0);
    Raw::new(SOCK_DIAG_BY_FAMILY, bytes)
}

/// `struct inet_diag_msg`.
fn read(answer: &Raw, protocol: u8) -> Option<Listening> {
    let (header, attributes) = answer.split::<72>()?;
    let word = |at: usize| Some(u32::from_ne_bytes(*header.get(at..)?.first_chunk()?));
    let port = u16::from_be_bytes([header[4], header[5]]);
    let ip = match header[0] {
        AF_INET => Ipv4Addr::from(*header[8..].first_chunk::<4>()?).into(),
        _ => IpAddr::from(Ipv6Addr::from(*header[8..].first_chunk::<16>()?)),
    };
    Some(Listening {
        protocol,
        address: SocketAddr::new(ip, port),
        v6_only: attributes.u8(INET_DIAG_SKV6ONLY).is_some_and(|only| only != 0),
        queued: word(56)?,
        limit: word(60)?,
        inode: word(68)?,
    })
}

/// The processes that have a socket, as far as `/proc` shows them.
pub(crate) fn owners(inode: u32) -> Vec<Owner> {
    let wanted = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|link| link.to_str() == Some(&wanted))
    };
    pids.filter(has).filter_map(owner).collect()
}

/// From `/proc/PID/stat`: `17 (name with spaces) T …`.
fn owner(pid: u32) -> Option<Owner> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    Some(Owner { pid, name, stopped: matches!(tail.trim_start().chars().next(), Some('T' | 't')) })
}
