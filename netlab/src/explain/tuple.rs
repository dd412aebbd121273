//! Who sends to whom: what a packet is known by, also after it was translated.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::capture::{IcmpKind, Ip, Transport};
use crate::conntrack::{Connection, Part, Tuple as Direction};

/// Addresses, ports and protocol of one direction. The identifier of an echo is the port of the side that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tuple {
    pub(super) protocol: u8,
    pub(super) source: IpAddr,
    pub(super) source_port: u16,
    pub(super) destination: IpAddr,
    pub(super) destination_port: u16,
}

impl Tuple {
    pub(super) fn of(ip: &Ip) -> Option<Self> {
        let (source_port, destination_port) = match &ip.transport {
            Transport::Udp(udp) => (udp.source_port, udp.destination_port),
            Transport::Tcp(tcp) => (tcp.source_port, tcp.destination_port),
            Transport::Ports(source, destination) => (*source, *destination),
            Transport::Icmp(icmp) => match icmp.kind {
                IcmpKind::EchoRequest { id, .. } => (id, 0),
                IcmpKind::EchoReply { id, .. } => (0, id),
                _ => return None,
            },
            _ => return None,
        };
        Some(Self { protocol: ip.protocol, source: ip.source, source_port, destination: ip.destination, destination_port })
    }

    pub(super) fn back(self) -> Self {
        Self {
            source: self.destination,
            source_port: self.destination_port,
            destination: self.source,
            destination_port: self.source_port,
            ..self
        }
    }

    pub(super) fn to(&self) -> SocketAddr {
        SocketAddr::new(self.destination, self.destination_port)
    }

    pub(super) fn is_tcp(&self) -> bool {
        self.protocol == 6
    }

    pub(super) fn is_udp(&self) -> bool {
        self.protocol == 17
    }

    pub(super) fn protocol_name(&self) -> &'static str {
        match self.protocol {
            6 => "tcp",
            17 => "udp",
            58 => "icmpv6",
            _ => "icmp",
        }
    }

    /// What the connection makes of it: the other direction's, turned.
    pub(super) fn translated(self, connection: &Connection) -> Option<Self> {
        let [original, reply] = [&connection.original, &connection.reply].map(|side| Self::tracked(connection.protocol, side));
        let (original, reply) = (original?, reply?);
        if self == original {
            return Some(reply.back());
        }
        (self == reply).then(|| original.back())
    }

    fn tracked(protocol: u8, side: &Direction) -> Option<Self> {
        let (source_port, destination_port) = match side.part {
            Part::Ports { sport, dport } => (sport, dport),
            Part::Icmp { kind: 8 | 128, id, .. } => (id, 0),
            Part::Icmp { kind: 0 | 129, id, .. } => (0, id),
            _ => return None,
        };
        Some(Self { protocol, source: side.src, source_port, destination: side.dst, destination_port })
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end =
            |ip: IpAddr, port: u16| if matches!(self.protocol, 6 | 17) { SocketAddr::new(ip, port).to_string() } else { ip.to_string() };
        write!(f, "{} > {}", end(self.source, self.source_port), end(self.destination, self.destination_port))
    }
}
