//! `ip neigh`.

use std::fmt;
use std::net::IpAddr;
use std::panic::Location;

use serde::{Deserialize, Serialize};

use super::normal::Normal;
use super::wire::{AF_INET, AF_INET6, Raw, colons};
use super::{Names, collection, list, list_with_links, words};
use crate::error::{At, Result};
use crate::netns::Netns;

const RTM_GETNEIGH: u16 = 30;

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_PROTOCOL: u16 = 12;
const NDA_FLAGS_EXT: u16 = 15;

const NTF_PROXY: u8 = 0x8;

const FLAGS: &[(u32, &str)] =
    &[(0x80, "router"), (NTF_PROXY as u32, "proxy"), (0x100, "managed"), (0x200, "locked"), (0x10, "extern_learn"), (0x20, "offload")];

/// The neighbours of a namespace. It prints what `ip neigh` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Neighbours(Vec<Neighbour>);

collection!(Neighbours, Neighbour);

/// One neighbour: a line of `ip neigh`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Neighbour {
    /// Its address.
    pub dst: IpAddr,
    /// The interface behind which it is.
    pub dev: Option<String>,
    /// Its MAC address, where that is known.
    pub mac: Option<String>,
    /// The flags in iproute2's words and order, such as `router`, `proxy`, `extern_learn`.
    pub flags: Vec<String>,
    /// The state of the entry.
    pub state: NeighbourState,
    /// Who made the entry, if anyone said so.
    pub protocol: Option<String>,
}

/// The state of a neighbour entry (RFC 4861, section 7.3.2, which Linux uses for ARP, too).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NeighbourState {
    /// Nothing is known, nothing is asked.
    None,
    /// It has been asked for and has not answered yet.
    Incomplete,
    /// It was there within the last seconds.
    Reachable,
    /// It was there; nobody has sent to it since.
    Stale,
    /// Something was sent to it; its answer would confirm it.
    Delay,
    /// It is being asked again.
    Probe,
    /// It did not answer.
    Failed,
    /// It needs no resolution.
    Noarp,
    /// It was set by an administrator.
    Permanent,
    /// A state that iproute2 has no word for.
    Other(u16),
    /// Reachable, stale, delayed or probed: the normalised form.
    Known,
    /// Incomplete or failed: the normalised form.
    Unknown,
}

impl NeighbourState {
    pub(super) fn from_number(number: u16) -> Self {
        match number {
            0 => Self::None,
            0x01 => Self::Incomplete,
            0x02 => Self::Reachable,
            0x04 => Self::Stale,
            0x08 => Self::Delay,
            0x10 => Self::Probe,
            0x20 => Self::Failed,
            0x40 => Self::Noarp,
            0x80 => Self::Permanent,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for NeighbourState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(number) => write!(f, "{number:x}"),
            word => f.write_str(&format!("{word:?}").to_uppercase()),
        }
    }
}

impl Netns {
    /// The neighbours, IPv4 and IPv6, as `ip neigh` lists them: without those that need no resolution or that nobody has asked for.
    ///
    /// The kernel's order is that of a hash with a random seed; [`normalised`](Neighbours::normalised) sorts.
    ///
    /// # Errors
    ///
    /// If the kernel does not answer.
    #[track_caller]
    pub fn neighbours(&self) -> Result<Neighbours> {
        let mut all = self.list_neighbours(0).at(Location::caller())?;
        all.0.retain(|neighbour| !matches!(neighbour.state, NeighbourState::None | NeighbourState::Noarp));
        Ok(all)
    }

    /// The addresses for which this machine answers in another's place, as `ip neigh show proxy` lists them.
    ///
    /// # Errors
    ///
    /// If the kernel does not answer.
    #[track_caller]
    pub fn neighbour_proxies(&self) -> Result<Neighbours> {
        self.list_neighbours(NTF_PROXY).at(Location::caller())
    }

    fn list_neighbours(&self, flags: u8) -> Result<Neighbours> {
        let question = Raw::new(RTM_GETNEIGH, vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, flags, 0]);
        let (_, names, messages) = list_with_links(self, || list(self, "neighbours", &question))?;
        Ok(Neighbours(messages.iter().filter_map(|message| Neighbour::decode(message, &names)).collect()))
    }
}

impl Neighbours {
    /// The same with stable values for what differs from run to run or machine to machine.
    ///
    /// Sorted by family, interface and address; `REACHABLE`, `STALE`, `DELAY` and `PROBE` become `KNOWN`, `INCOMPLETE` and `FAILED` become
    /// `UNKNOWN`; MAC addresses become `<mac 1>`, …, and link-local addresses that a machine made `fe80::ff:fe00:1`, ….
    #[must_use]
    pub fn normalised(mut self) -> Self {
        Normal::default().neighbours(&mut self.0);
        self
    }
}

impl Neighbour {
    pub(super) fn decode(message: &Raw, names: &Names) -> Option<Self> {
        let ([family, _, _, _, i0, i1, i2, i3, s0, s1, flags, _], all) = message.split::<12>()?;
        if ![AF_INET, AF_INET6].contains(family) {
            return None;
        }
        let index = u32::from_ne_bytes([*i0, *i1, *i2, *i3]);
        // NTF_EXT_* beside the NTF_* of the header.
        let flags = u32::from(*flags) | all.u32(NDA_FLAGS_EXT).unwrap_or_default() << 8;
        let (flags, _) = words::flags(flags, FLAGS);
        Some(Self {
            dst: all.ip(NDA_DST)?,
            dev: (index != 0).then(|| names.of(index)),
            mac: all.get(NDA_LLADDR).map(|mac| colons(mac.0)),
            flags,
            state: NeighbourState::from_number(u16::from_ne_bytes([*s0, *s1])),
            protocol: all.u8(NDA_PROTOCOL).map(words::protocol),
        })
    }
}

impl fmt::Display for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|neighbour| writeln!(f, "{neighbour}"))
    }
}

impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.dst)?;
        if let Some(dev) = &self.dev {
            write!(f, "dev {dev} ")?;
        }
        if let Some(mac) = &self.mac {
            write!(f, "lladdr {mac} ")?;
        }
        self.flags.iter().try_for_each(|flag| write!(f, "{flag} "))?;
        if self.state != NeighbourState::None {
            write!(f, "{} ", self.state)?;
        }
        self.protocol.as_ref().map_or(Ok(()), |protocol| write!(f, "proto {protocol} "))
    }
}
