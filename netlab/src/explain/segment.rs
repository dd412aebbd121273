//! The way of a frame between two machines: over cables, through bridges and tunnels, as it is built, whether or not it works.

use std::collections::{HashMap, VecDeque};

use super::lab::{Lab, Place, Tap};
use crate::capture::Direction;

impl Tap {
    pub(super) fn into(place: Place) -> Self {
        Self { place, direction: Direction::In }
    }

    pub(super) fn out_of(place: Place) -> Self {
        Self { place, direction: Direction::Out }
    }
}

impl Lab {
    /// The taps that a frame passes from one device to another, both included; none if they do not hang together.
    pub(super) fn segment(&self, from: Place, to: Place) -> Option<Vec<Tap>> {
        let (start, end) = (Tap::out_of(from), Tap::into(to));
        [Rigour::AsSet, Rigour::Hairpins, Rigour::AllPorts].into_iter().find_map(|rigour| {
            let before = self.spread(start, rigour);
            before.contains_key(&end).then(|| trace_back(&before, start, end))
        })
    }

    /// All devices at which a frame that leaves by this one can arrive.
    pub(super) fn reached(&self, from: Place) -> Vec<Place> {
        let all = self.spread(Tap::out_of(from), Rigour::AllPorts);
        let arrivals = all.keys().filter(|tap| tap.direction == Direction::In).map(|tap| tap.place);
        let mut arrivals: Vec<_> = arrivals.filter(|place| *place != from).collect();
        arrivals.sort_by_key(|place| (place.machine, place.index));
        arrivals
    }

    /// Each tap that can be reached, and the one before it.
    fn spread(&self, start: Tap, rigour: Rigour) -> HashMap<Tap, Tap> {
        let mut before = HashMap::from([(start, start)]);
        let mut queue = VecDeque::from([start]);
        while let Some(tap) = queue.pop_front() {
            for next in self.after(tap, rigour) {
                before.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    tap
                });
            }
        }
        before
    }

    fn after(&self, tap: Tap, rigour: Rigour) -> Vec<Tap> {
        match tap.direction {
            Direction::Out => self.after_sending(tap.place),
            Direction::In => self.after_receiving(tap.place, rigour),
        }
    }

    fn is_set(&self, port: Place, flag: &str) -> bool {
        self.link(port).and_then(|link| link.port.as_ref()?.get(flag)).is_some_and(|value| value == "on")
    }

    fn after_sending(&self, place: Place) -> Vec<Tap> {
        match self.kind(place) {
            "bridge" => self.ports(place).into_iter().map(Tap::out_of).collect(),
            "vlan" => self.peer(place).into_iter().map(Tap::out_of).collect(),
            "macvlan" | "macvtap" | "ipvlan" => {
                let lower = self.peer(place);
                // The other modes send all by the link below.
                let is_bridge =
                    |other: &Place| self.link(*other).and_then(|link| link.kind.as_ref()?.get("mode")).is_none_or(|mode| mode == "bridge");
                let siblings = lower.into_iter().flat_map(|lower| self.uppers(lower)).filter(|other| *other != place && is_bridge(other));
                siblings.map(Tap::into).chain(lower.map(Tap::out_of)).collect()
            }
            "vxlan" => self.other_ends(place).into_iter().map(Tap::into).collect(),
            "veth" => self.peer(place).into_iter().map(Tap::into).collect(),
            _ if self.link(place).is_some_and(|link| link.has_flag("LOOPBACK")) => vec![Tap::into(place)],
            _ => Vec::new(),
        }
    }

    fn after_receiving(&self, place: Place, rigour: Rigour) -> Vec<Tap> {
        let uppers = self.uppers(place).into_iter().map(Tap::into);
        let Some(bridge) = self.bridge(place) else { return uppers.collect() };
        let isolated = |port: Place| self.is_set(port, "isolated");
        let others = self.ports(bridge).into_iter().filter(|port| match rigour {
            _ if *port == place => rigour == Rigour::Hairpins || self.is_set(place, "hairpin"),
            Rigour::AllPorts => true,
            _ => !(isolated(*port) && isolated(place)),
        });
        let others = others.map(Tap::out_of);
        std::iter::once(Tap::into(bridge)).chain(others).chain(uppers).collect()
    }
}

/// Which flags of ports count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rigour {
    /// As they are.
    AsSet,
    /// All ports send back what comes by them.
    Hairpins,
    /// No port is isolated.
    AllPorts,
}

fn trace_back(before: &HashMap<Tap, Tap>, start: Tap, end: Tap) -> Vec<Tap> {
    let mut path = vec![end];
    let mut tap = end;
    while tap != start {
        tap = before[&tap];
        path.push(tap);
    }
    path.reverse();
    path
}
