//! The machines of the lab as they are while something is explained, and how their links hang together.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::capture::{Direction, Packet};
use crate::error::{Doing, Result};
use crate::netns::Netns;
use crate::snapshot::{Address, Addresses, Link, Links, Peer, Question, Route};
use crate::sys::Refusal;

/// A device of a machine: the machine's place in the lab, and the interface index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) machine: usize,
    pub(super) index: u32,
}

/// A device, and whether something comes in by it or goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tap {
    pub(super) place: Place,
    pub(super) direction: Direction,
}

pub(super) struct Lab {
    pub(super) machines: Vec<Machine>,
    /// The other end of each veth, and what lies below a link in another namespace.
    peers: HashMap<Place, Place>,
}

pub(super) struct Machine {
    pub(super) netns: Netns,
    pub(super) links: Links,
    pub(super) addresses: Vec<Address>,
}

impl Machine {
    fn look(netns: Netns) -> Result<Self> {
        let Addresses { links, addresses } = Addresses::now(&netns)?;
        Ok(Self { netns, links, addresses })
    }

    pub(super) fn name(&self) -> &str {
        self.netns.name()
    }

    pub(super) fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.net.addr() == address) || address.is_loopback()
    }

    /// The value of a sysctl; the words between the dots are apart, since an interface's name may have a dot.
    pub(super) fn sysctl(&self, words: &[&str]) -> Option<String> {
        self.netns.sysctl(&words.join("/")).ok()
    }

    /// Whether a sysctl of an interface is on, by itself or by `all`; `None` where it cannot be read.
    pub(super) fn is_on(&self, words: &[&str]) -> bool {
        self.sysctl(words).is_some_and(|value| value.trim() != "0")
    }

    pub(super) fn way(&self, question: &Question) -> std::result::Result<Route, Refusal> {
        self.netns.way(question)
    }
}

impl Lab {
    pub(super) fn look() -> Result<Self> {
        // A machine that ends meanwhile is none.
        let live = Netns::live().doing(|| "find the machines of the lab".to_owned())?;
        let machines: Vec<_> = live.into_iter().filter_map(|netns| Machine::look(netns).ok()).collect();
        let mut lab = Self { machines, peers: HashMap::new() };
        lab.peers = lab.pair();
        Ok(lab)
    }

    /// Looks at links and addresses once more.
    pub(super) fn again(&mut self) {
        for machine in &mut self.machines {
            if let Ok(now) = Machine::look(machine.netns.clone()) {
                *machine = now;
            }
        }
    }

    /// Takes a machine in that nobody named, and gives its place.
    pub(super) fn add(&mut self, netns: &Netns) -> Result<usize> {
        self.machines.push(Machine::look(netns.clone())?);
        self.peers = self.pair();
        Ok(self.machines.len() - 1)
    }

    pub(super) fn find(&self, netns: &Netns) -> Option<usize> {
        self.machines.iter().position(|machine| machine.netns.is_same(netns))
    }

    /// Where a packet was seen.
    pub(super) fn tap(&self, packet: &Packet) -> Option<Tap> {
        let machine = self.machines.iter().position(|machine| machine.name() == packet.netns())?;
        Some(Tap { place: Place { machine, index: packet.index() }, direction: packet.direction() })
    }

    pub(super) fn machine(&self, place: Place) -> &Machine {
        &self.machines[place.machine]
    }

    pub(super) fn link(&self, place: Place) -> Option<&Link> {
        self.machine(place).link(place.index)
    }

    /// The name of the device in its machine.
    pub(super) fn device(&self, place: Place) -> String {
        self.link(place).map_or_else(|| format!("if{}", place.index), |link| link.name.clone())
    }

    pub(super) fn kind(&self, place: Place) -> &str {
        self.link(place).and_then(|link| link.kind.as_ref()).map_or("", |kind| kind.kind.as_str())
    }

    pub(super) fn places(&self) -> impl Iterator<Item = (Place, &Link)> {
        self.machines
            .iter()
            .enumerate()
            .flat_map(|(machine, all)| all.links.iter().map(move |link| (Place { machine, index: link.index }, link)))
    }

    pub(super) fn named(&self, machine: usize, device: &str) -> Option<Place> {
        let link = self.machines.get(machine)?.links.named(device)?;
        Some(Place { machine, index: link.index })
    }

    /// Where an address is.
    pub(super) fn holders(&self, address: IpAddr) -> Vec<Place> {
        let of = |(machine, all): (usize, &Machine)| -> Vec<Place> {
            let own = all.addresses.iter().filter(|own| own.net.addr() == address);
            own.map(|own| Place { machine, index: own.index }).collect()
        };
        self.machines.iter().enumerate().flat_map(of).collect()
    }

    pub(super) fn with_mac(&self, mac: &str) -> Vec<Place> {
        self.places().filter(|(_, link)| link.mac.as_deref() == Some(mac)).map(|(place, _)| place).collect()
    }

    /// The other end of a cable, or what is below a link.
    pub(super) fn peer(&self, place: Place) -> Option<Place> {
        self.peers.get(&place).copied()
    }

    /// The bridge whose port it is.
    pub(super) fn bridge(&self, port: Place) -> Option<Place> {
        let link = self.link(port)?;
        let master = self.named(port.machine, link.master.as_ref()?)?;
        (self.kind(master) == "bridge").then_some(master)
    }

    pub(super) fn ports(&self, bridge: Place) -> Vec<Place> {
        self.places().map(|(place, _)| place).filter(|place| self.bridge(*place) == Some(bridge)).collect()
    }

    /// The links that lie upon this one.
    pub(super) fn uppers(&self, lower: Place) -> Vec<Place> {
        let lies_upon = |place: &Place| matches!(self.kind(*place), "vlan" | "macvlan" | "macvtap" | "ipvlan");
        self.peers.iter().filter(|(upper, below)| **below == lower && lies_upon(upper)).map(|(upper, _)| *upper).collect()
    }

    fn pair(&self) -> HashMap<Place, Place> {
        let mut peers = HashMap::new();
        for (machine, all) in self.machines.iter().enumerate() {
            let ids = self.ids(all);
            for link in all.links.iter() {
                let place = Place { machine, index: link.index };
                let peer = match link.peer.as_ref() {
                    Some(Peer::Here(name)) => self.named(machine, name),
                    Some(Peer::Elsewhere(index)) => {
                        let there = link.link_netnsid.and_then(|id| ids.get(&id).copied());
                        there.map(|machine| Place { machine, index: *index })
                    }
                    _ => None,
                };
                peers.extend(peer.map(|peer| (place, peer)));
            }
        }
        peers
    }

    /// The machines by the ids by which this one knows them.
    fn ids(&self, machine: &Machine) -> HashMap<i32, usize> {
        if machine.links.iter().all(|link| link.link_netnsid.is_none()) {
            return HashMap::new();
        }
        let id = |(place, other): (usize, &Machine)| Some((machine.netns.id_of(&other.netns).ok().flatten()?, place));
        self.machines.iter().enumerate().filter_map(id).collect()
    }
}
