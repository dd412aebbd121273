//! `bridge fdb`.

use std::fmt;
use std::net::IpAddr;
use std::panic::Location;

use serde::{Deserialize, Serialize};

use super::wire::{AF_BRIDGE, Raw, colons};
use super::{Names, NeighbourState, collection, list, list_with_links, words};
use crate::error::{At, Result};
use crate::netns::Netns;

const RTM_GETNEIGH: u16 = 30;
const HEADER: [u8; 12] = [AF_BRIDGE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_VLAN: u16 = 5;
const NDA_PORT: u16 = 6;
const NDA_VNI: u16 = 7;
const NDA_IFINDEX: u16 = 8;
const NDA_MASTER: u16 = 9;
const NDA_SRC_VNI: u16 = 11;
const NDA_FLAGS_EXT: u16 = 15;

/// In the order in which `bridge fdb` prints them.
const FLAGS: &[(u32, &str)] =
    &[(0x02, "self"), (0x80, "router"), (0x10, "extern_learn"), (0x20, "offload"), (0x04, "master"), (0x40, "sticky"), (0x200, "locked")];

/// The forwarding databases of a namespace: behind which port of a bridge, or of a VXLAN, a MAC address is. It prints what `bridge fdb` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fdb(Vec<FdbEntry>);

collection!(Fdb, FdbEntry);

/// One MAC address of a forwarding database: a line of `bridge fdb`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FdbEntry {
    /// The MAC address.
    pub mac: String,
    /// The port or device behind which it is.
    pub dev: String,
    /// The far end of the tunnel behind which it is.
    pub dst: Option<IpAddr>,
    /// The VLAN for which this holds.
    pub vlan: Option<u16>,
    /// The bridge that knows it.
    pub master: Option<String>,
    /// The other words, in iproute2's order, such as `port 4789`, `vni 42`, `self`, `extern_learn`.
    pub words: Vec<String>,
    /// [`Permanent`](NeighbourState::Permanent): the machine's own; [`Noarp`](NeighbourState::Noarp): set by an administrator (`static`);
    /// [`Reachable`](NeighbourState::Reachable) and [`Stale`](NeighbourState::Stale): learned.
    pub state: NeighbourState,
}

impl Netns {
    /// What its bridges and tunnels have learned or been told, as `bridge fdb` lists it.
    ///
    /// # Errors
    ///
    /// If the kernel does not answer.
    #[track_caller]
    pub fn fdb(&self) -> Result<Fdb> {
        self.list_fdb().at(Location::caller())
    }

    fn list_fdb(&self) -> Result<Fdb> {
        let question = Raw::new(RTM_GETNEIGH, HEADER.to_vec());
        let (_, names, messages) = list_with_links(self, || list(self, "forwarding databases", &question))?;
        Ok(Fdb(messages.iter().filter_map(|message| FdbEntry::decode(message, &names)).collect()))
    }
}

impl Fdb {
    /// What the bridge of that name has learned from frames: neither the addresses of its own ports nor what an administrator has set.
    pub fn learned_by(&self, bridge: &str) -> impl Iterator<Item = &FdbEntry> {
        let bridge = bridge.to_owned();
        self.iter().filter(move |entry| entry.master.as_deref() == Some(&bridge) && entry.is_learned())
    }
}

impl FdbEntry {
    /// Whether the address was learned from a frame.
    pub fn is_learned(&self) -> bool {
        matches!(self.state, NeighbourState::Reachable | NeighbourState::Stale)
    }

    pub(super) fn decode(message: &Raw, names: &Names) -> Option<Self> {
        let ([family, _, _, _, i0, i1, i2, i3, s0, s1, flags, _], all) = message.split::<12>()?;
        if *family != AF_BRIDGE {
            return None;
        }
        let mut words = Vec::new();
        words.extend(all.get(NDA_PORT).and_then(|port| port.be16()).map(|port| format!("port {port}")));
        words.extend(all.u32(NDA_VNI).map(|vni| format!("vni {vni}")));
        words.extend(all.u32(NDA_SRC_VNI).map(|vni| format!("src_vni {vni}")));
        words.extend(all.u32(NDA_IFINDEX).map(|index| format!("via {}", names.of(index))));
        let flags = u32::from(*flags) | all.u32(NDA_FLAGS_EXT).unwrap_or_default() << 8;
        words.extend(words::flags(flags, FLAGS).0);
        Some(Self {
            mac: colons(all.get(NDA_LLADDR)?.0),
            dev: names.of(u32::from_ne_bytes([*i0, *i1, *i2, *i3])),
            dst: all.ip(NDA_DST),
            vlan: all.u16(NDA_VLAN),
            master: all.u32(NDA_MASTER).map(|index| names.of(index)),
            words,
            state: state(u16::from_ne_bytes([*s0, *s1])),
        })
    }
}

/// The first that fits, as `bridge fdb` looks at them: a VXLAN's own entries are permanent and reachable.
fn state(bits: u16) -> NeighbourState {
    let known = [0x80, 0x40, 0x04, 0x02].into_iter().find(|bit| bits & bit != 0);
    NeighbourState::from_number(known.unwrap_or(bits))
}

impl fmt::Display for Fdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}

impl fmt::Display for FdbEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dev {} ", self.mac, self.dev)?;
        if let Some(dst) = self.dst {
            write!(f, "dst {dst} ")?;
        }
        if let Some(vlan) = self.vlan {
            write!(f, "vlan {vlan} ")?;
        }
        self.words.iter().try_for_each(|word| write!(f, "{word} "))?;
        if let Some(master) = &self.master {
            write!(f, "master {master} ")?;
        }
        f.write_str(match self.state {
            NeighbourState::Permanent => "permanent",
            NeighbourState::Noarp => "static",
            NeighbourState::Stale => "stale",
            _ => "",
        })
    }
}
