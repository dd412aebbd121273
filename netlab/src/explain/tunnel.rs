//! VXLANs: which ones are two ends of one.

use std::net::IpAddr;

use super::lab::{Lab, Place};

impl Lab {
    /// The other ends of a VXLAN: those of its network identifier; where there are none, those at the address to which it sends.
    pub(super) fn other_ends(&self, place: Place) -> Vec<Place> {
        let others: Vec<_> =
            self.places().map(|(other, _)| other).filter(|other| *other != place && self.kind(*other) == "vxlan").collect();
        let same = |other: &&Place| self.vxlan(**other, "id") == self.vxlan(place, "id");
        let of_id: Vec<_> = others.iter().filter(same).copied().collect();
        if !of_id.is_empty() {
            return of_id;
        }
        let remote = self.remote(place);
        let meant = |other: &Place| {
            let here = self.vxlan(*other, "local").and_then(|local| local.parse().ok());
            remote.is_some_and(|remote| here == Some(remote) || self.machines[self.underlay(*other)].has(remote))
        };
        others.into_iter().filter(meant).collect()
    }

    /// A setting of a VXLAN in iproute2's word.
    pub(super) fn vxlan(&self, place: Place, word: &str) -> Option<&str> {
        self.link(place)?.kind.as_ref()?.get(word)
    }

    pub(super) fn remote(&self, place: Place) -> Option<IpAddr> {
        self.vxlan(place, "remote")?.parse().ok()
    }

    /// The machine whose sockets carry it: the one in which it was made.
    pub(super) fn underlay(&self, place: Place) -> usize {
        let id = self.link(place).and_then(|link| link.link_netnsid);
        let knows = |machine: &usize| self.machine(place).netns.id_of(&self.machines[*machine].netns).ok().flatten() == id;
        id.and_then(|_| (0..self.machines.len()).find(knows)).unwrap_or(place.machine)
    }
}
