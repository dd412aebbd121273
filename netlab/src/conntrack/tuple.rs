//! One direction of a connection: who sends to whom.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::nft::Hits;

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tuple {
    /// Who sends.
    pub src: IpAddr,
    /// Who receives.
    pub dst: IpAddr,
    /// What tells the connections of these two apart.
    pub part: Part,
    /// The zone, where only this direction is in one.
    pub zone: Option<u16>,
    /// What has passed in this direction, where `net.netfilter.nf_conntrack_acct` was 1 when the connection began.
    pub counters: Option<Hits>,
}

/// What tells the connections of two addresses apart, as the protocol has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Nothing: any other protocol.
    None,
    /// TCP, UDP, SCTP, ….
    Ports {
        /// Of the sender.
        sport: u16,
        /// Of the receiver.
        dport: u16,
    },
    /// ICMP and ICMPv6.
    Icmp {
        /// The message's type.
        #[serde(rename = "type")]
        kind: u8,
        /// The message's code.
        code: u8,
        /// The identifier of an echo.
        id: u16,
    },
    /// GRE with keys, as PPTP uses them.
    Keys {
        /// Of the sender.
        srckey: u16,
        /// Of the receiver.
        dstkey: u16,
    },
}

/// An end of a connection: an address, and the port where the protocol has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct End {
    /// The address.
    pub ip: IpAddr,
    /// The port; of ICMP, the identifier of the sender.
    pub port: Option<u16>,
}

impl Tuple {
    /// Who sends, with the port.
    pub fn source(&self) -> End {
        let port = match self.part {
            Part::Ports { sport, .. } => Some(sport),
            Part::Icmp { id, .. } => Some(id),
            Part::Keys { srckey, .. } => Some(srckey),
            Part::None => None,
        };
        End { ip: self.src, port }
    }

    /// Who receives, with the port.
    pub fn destination(&self) -> End {
        let port = match self.part {
            Part::Ports { dport, .. } => Some(dport),
            Part::Keys { dstkey, .. } => Some(dstkey),
            Part::Icmp { .. } | Part::None => None,
        };
        End { ip: self.dst, port }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => std::net::SocketAddr::new(self.ip, port).fmt(f),
            None => self.ip.fmt(f),
        }
    }
}

impl fmt::Display for Tuple {
    /// As conntrack(8) prints it, each word with a space behind it, without zone and counters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src={} dst={} ", self.src, self.dst)?;
        match self.part {
            Part::None => Ok(()),
            Part::Ports { sport, dport } => write!(f, "sport={sport} dport={dport} "),
            Part::Icmp { kind, code, id } => write!(f, "type={kind} code={code} id={id} "),
            Part::Keys { srckey, dstkey } => write!(f, "srckey={srckey:#x} dstkey={dstkey:#x} "),
        }
    }
}
