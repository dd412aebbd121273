//! A rule as it was asked for, in the words that iptables and nft share: what becomes statements of nf_tables, and a line of either program.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};

use crate::nft::Family;
use crate::nft::matches::{Addresses, Ports};

/// A rule and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) family: Family,
    /// Such as `nat`.
    pub(crate) table: String,
    /// Such as `POSTROUTING`.
    pub(crate) chain: String,
    /// In the order in which they are asked.
    pub(crate) tests: Vec<Test>,
    /// What becomes of a packet that passes all tests; without one, it is counted.
    pub(crate) target: Option<Target>,
}

impl Plan {
    /// What the rule's comments say together.
    pub(crate) fn comment(&self) -> Option<String> {
        let said = self.tests.iter().filter_map(|test| if let Match::Comment(text) = &test.of { Some(text.as_str()) } else { None });
        Some(said.collect::<Vec<_>>().join("; ")).filter(|comment| !comment.is_empty())
    }
}

/// One condition, or its contrary.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Test {
    pub(crate) not: bool,
    pub(crate) of: Match,
}

/// What a condition looks at. The comment is the word of iptables.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Match {
    /// `-i`; a `*` at the end stands for any rest (iptables: `+`).
    In(String),
    /// `-o`.
    Out(String),
    /// `-s`; `-m iprange --src-range`.
    From(Vec<Addresses>),
    /// `-d`; `-m iprange --dst-range`.
    To(Vec<Addresses>),
    /// `-p`, where no port says it.
    Protocol(u8),
    /// `-p tcp --sport`, `-m multiport --sports`.
    FromPorts(u8, Vec<Ports>),
    /// `-p tcp --dport`, `-m multiport --dports`.
    ToPorts(u8, Vec<Ports>),
    /// `--icmp-type`, `--icmpv6-type`: type and code.
    Icmp(u8, Option<u8>),
    /// `-p tcp --tcp-flags`, `--syn`.
    TcpFlags { set: u8, mask: u8 },
    /// `-m mark --mark`.
    Mark { value: u32, mask: u32 },
    /// `-m connmark --mark`.
    ConnMark { value: u32, mask: u32 },
    /// `-m conntrack --ctstate`: bits as [`ct_state`](crate::nft::matches::ct_state) has them.
    State(u32),
    /// `-m conntrack --ctstate DNAT` and `--ctstatus`.
    Status(u32),
    /// `-m conntrack --ctorigdst`.
    OriginalTo(Addresses),
    /// `-m addrtype --dst-type`, `--src-type`: one of `RTN_*`.
    AddressType { source: bool, types: Vec<u32>, seen_from: Option<Side> },
    /// `-m statistic --mode random --probability`.
    Share { share: u32, of: u32 },
    /// `-m statistic --mode nth`.
    Nth { every: u32, packet: u32 },
    /// `-m limit`: packets a number of seconds.
    Limit { rate: u64, seconds: u64, burst: u32 },
    /// `-m mac --mac-source`.
    EtherFrom([u8; 6]),
    /// The destination of the frame, for rules of the bridge.
    EtherTo([u8; 6]),
    /// `-m set --match-set NAME src`, `dst`: a set of the table.
    InSet { name: String, source: bool },
    /// `-m rpfilter --invert`: no route leads back to the sender by the interface on which the packet came, or by any if it is loose.
    NoWayBack { with_mark: bool, loose: bool },
    /// `-m recent`: whether the address was seen before, or that it is from now on.
    Recent { name: String, source: bool, seconds: Option<u32>, act: Recent },
    /// `-m comment --comment`: says something and asks nothing.
    Comment(String),
}

/// Whose addresses `-m addrtype` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// `--limit-iface-in`: those of the interface by which the packet came.
    In,
    /// `--limit-iface-out`.
    Out,
}

/// What `-m recent` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recent {
    /// `--rcheck`: passes if the address was seen.
    Check,
    /// `--update`: passes if it was seen, and sees it again.
    Update,
    /// `--set`: sees it, and passes.
    Set,
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    Accept,
    Drop,
    Return,
    Jump(String),
    Goto(String),
    /// Into these chains in turn, or by chance.
    GotoEach {
        random: bool,
        chains: Vec<String>,
    },
    /// Where a map of the table says.
    Vmap(String),
    Reject(RejectWith),
    Masquerade {
        ports: Option<Ports>,
        flags: u32,
    },
    Snat {
        to: Translation,
        flags: u32,
    },
    Dnat {
        to: Translation,
        flags: u32,
    },
    /// Connections go to these in turn, or by chance.
    DnatEach {
        random: bool,
        to: Vec<(IpAddr, Option<u16>)>,
    },
    Redirect {
        ports: Option<Ports>,
        flags: u32,
    },
    /// `SNPT`, `DNPT`: another prefix for the source or the destination, without memory of connections (RFC 6296).
    Npt {
        source: bool,
        from: Ipv6Net,
        to: Ipv6Net,
    },
    Tproxy {
        address: Option<IpAddr>,
        port: u16,
        mark: Option<(u32, u32)>,
    },
    /// `MARK --set-xmark value/mask`: the mark without the bits of the mask, then xor the value.
    Mark {
        value: u32,
        mask: u32,
    },
    /// `CONNMARK --set-xmark`.
    ConnMark {
        value: u32,
        mask: u32,
    },
    SaveMark,
    RestoreMark,
    /// `NFLOG`; of each packet that many bytes.
    Log {
        group: u16,
        prefix: Option<String>,
        bytes: Option<u32>,
    },
    /// `LOG`: the kernel's own log, which is silent outside the initial namespace.
    KernelLog {
        level: u32,
        flags: u32,
        prefix: Option<String>,
    },
    Trace,
    NoTrack,
}

/// What the sender of a rejected packet is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RejectWith {
    /// Port unreachable, of the ICMP that is right for the packet.
    Port,
    /// The code of a "destination unreachable".
    Code(u8),
    TcpReset,
}

/// Where a translation leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Translation {
    /// From the first to the last.
    pub(crate) address: Option<(IpAddr, IpAddr)>,
    pub(crate) ports: Option<Ports>,
}

impl Translation {
    /// The net that the range of addresses is, if it is one.
    pub(crate) fn net(&self) -> Option<IpNet> {
        let (from, to) = self.address?;
        let longest = if from.is_ipv4() { 32 } else { 128 };
        let mut nets = (0..=longest).filter_map(|length| IpNet::new(from, length).ok());
        nets.find(|net| net.network() == from && net.broadcast() == to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_is_a_net_is_known_as_one() {
        let net = |from: &str, to: &str| {
            let address = Some((from.parse().unwrap(), to.parse().unwrap()));
            Translation { address, ports: None }.net().map(|net| net.to_string())
        };
        assert_eq!(net("10.0.0.0", "10.0.0.255").as_deref(), Some("10.0.0.0/24"));
        assert_eq!(net("10.0.0.7", "10.0.0.7").as_deref(), Some("10.0.0.7/32"));
        assert_eq!(net("fd00::", "fd00::ffff").as_deref(), Some("fd00::/112"));
        assert_eq!(net("0.0.0.0", "255.255.255.255").as_deref(), Some("0.0.0.0/0"));
        assert_eq!(net("10.0.0.1", "10.0.0.4"), None);
    }
}
