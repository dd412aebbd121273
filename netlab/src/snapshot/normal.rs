//! Stable values for what differs from run to run: one scheme for all listings.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::{Address, Details, Link, Neighbour, NeighbourState, Peer, Route};

/// What has been replaced so far, so that the same value always gets the same replacement.
#[derive(Debug, Default)]
pub(super) struct Normal {
    indexes: HashMap<u32, u32>,
    namespaces: HashMap<i32, i32>,
    macs: HashMap<String, String>,
    strangers: usize,
    generated: HashMap<Ipv6Addr, Ipv6Addr>,
    numbers: u16,
}

impl Normal {
    pub(super) fn links(&mut self, links: &mut [Link]) {
        for (place, link) in (1..).zip(links.iter()) {
            self.indexes.insert(link.index, place);
            if let Some(mac) = link.mac.as_ref().filter(|mac| is_individual(mac)) {
                let is_bridge = link.kind.as_ref().is_some_and(|details| details.kind == "bridge");
                if is_bridge || !self.macs.contains_key(mac) {
                    self.macs.insert(mac.clone(), name_of(link));
                }
            }
        }
        links.iter_mut().for_each(|link| self.link(link));
    }

    fn link(&mut self, link: &mut Link) {
        self.index(&mut link.index);
        if let Some(Peer::Elsewhere(index)) = &mut link.peer {
            *index = 0;
        }
        if let Some(id) = link.link_netnsid.as_mut().filter(|id| **id >= 0) {
            let next = self.namespaces.len().try_into().unwrap_or(i32::MAX);
            *id = *self.namespaces.entry(*id).or_insert(next);
        }
        // By its own name, also where another has the same one: which of its ports a bridge resembles may be chance.
        let name = name_of(link);
        link.mac.iter_mut().filter(|mac| is_individual(mac)).for_each(|mac| *mac = name.clone());
        link.permanent_mac.iter_mut().for_each(|mac| self.mac(mac));
        for details in [&mut link.kind, &mut link.port].into_iter().flatten() {
            self.details(details);
        }
    }

    fn details(&mut self, details: &mut Details) {
        for setting in &mut details.settings {
            match setting.name.as_str() {
                "bridge_id" | "designated_root" | "designated_bridge" => self.bridge_id(&mut setting.value),
                name if name.ends_with("_timer") => setting.value = "<time>".to_owned(),
                _ => {}
            }
        }
    }

    fn bridge_id(&mut self, id: &mut String) {
        let Some((priority, mac)) = id.split_once('.') else { return };
        let bytes: Vec<_> = mac.split(':').map(|byte| format!("{byte:0>2}")).collect();
        let mut mac = bytes.join(":");
        self.mac(&mut mac);
        *id = format!("{priority}.{mac}");
    }

    fn index(&self, index: &mut u32) {
        *index = self.indexes.get(index).copied().unwrap_or_default();
    }

    fn mac(&mut self, mac: &mut String) {
        if is_individual(mac) {
            let strangers = &mut self.strangers;
            let stranger = || {
                *strangers += 1;
                format!("<mac {strangers}>")
            };
            *mac = self.macs.entry(mac.clone()).or_insert_with(stranger).clone();
        }
    }

    pub(super) fn addresses(&mut self, addresses: &mut [Address]) {
        for address in addresses {
            self.index(&mut address.index);
            self.own(&mut address.net);
            self.option(&mut address.peer);
            [&mut address.valid, &mut address.preferred].into_iter().flatten().for_each(|lifetime| lifetime.normalise());
        }
    }

    pub(super) fn routes(&mut self, routes: &mut [Route]) {
        order(routes);
        routes.iter_mut().for_each(|route| self.own(&mut route.dst));
        for route in routes {
            self.option(&mut route.via);
            self.option(&mut route.src);
            route.nexthops.iter_mut().for_each(|hop| self.option(&mut hop.via));
            route.expires.iter_mut().for_each(|lifetime| lifetime.normalise());
        }
    }

    pub(super) fn neighbours(&mut self, neighbours: &mut [Neighbour]) {
        // The kernel lists by a hash whose seed is random.
        neighbours.sort_by(|a, b| {
            let key = |n: &Neighbour| (n.dst.is_ipv6(), n.dev.clone(), is_generated(n.dst), n.mac.clone().filter(|_| is_generated(n.dst)));
            key(a).cmp(&key(b)).then_with(|| a.dst.cmp(&b.dst))
        });
        for neighbour in neighbours {
            self.ip(&mut neighbour.dst);
            neighbour.mac.iter_mut().for_each(|mac| self.mac(mac));
            neighbour.state = match neighbour.state {
                NeighbourState::Reachable | NeighbourState::Stale | NeighbourState::Delay | NeighbourState::Probe => NeighbourState::Known,
                NeighbourState::Incomplete | NeighbourState::Failed => NeighbourState::Unknown,
                lasting => lasting,
            };
        }
    }

    /// An address of an interface gets a number of its own, also where another interface has the same one, as a bridge and its port.
    fn own(&mut self, net: &mut IpNet) {
        if let IpAddr::V6(ip) = net.addr()
            && is_generated(ip.into())
        {
            let stable = self.next();
            self.generated.entry(ip).or_insert(stable);
            *net = IpNet::new(stable.into(), net.prefix_len()).unwrap_or(*net);
        }
    }

    fn next(&mut self) -> Ipv6Addr {
        self.numbers = self.numbers.wrapping_add(1);
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, self.numbers)
    }

    fn option(&mut self, ip: &mut Option<IpAddr>) {
        ip.iter_mut().for_each(|ip| self.ip(ip));
    }

    fn ip(&mut self, ip: &mut IpAddr) {
        let IpAddr::V6(address) = *ip else { return };
        if is_generated(*ip) {
            let known = self.generated.get(&address).copied();
            let stable = known.unwrap_or_else(|| self.next());
            self.generated.insert(address, stable);
            *ip = stable.into();
        }
    }
}

/// Undoes the chances of the kernel's order of IPv6 routes.
fn order(routes: &mut [Route]) {
    // It lists by destination: where that is a generated address, the order is as random as the address.
    let places: Vec<_> = (0..routes.len()).filter(|place| is_generated(routes[*place].dst.addr())).collect();
    let mut moved: Vec<_> = places.iter().map(|place| routes[*place].clone()).collect();
    moved.sort_by(|a, b| (a.table, &a.dev).cmp(&(b.table, &b.dev)));
    for (place, route) in places.into_iter().zip(moved) {
        routes[place] = route;
    }
    // Of one destination, the interface comes first whose carrier came first, as with `fe80::/64` and `ff00::/8`.
    let rivals = |a: &Route, b: &Route| a.dst.addr().is_ipv6() && (a.table, a.dst, a.metric) == (b.table, b.dst, b.metric);
    routes.chunk_by_mut(rivals).for_each(|rivals| rivals.sort_by(|a, b| a.dev.cmp(&b.dev)));
}

fn name_of(link: &Link) -> String {
    format!("<mac of {}>", link.name)
}

/// A link-local address that was made from a MAC address or from random numbers: people write `fe80::1`.
fn is_generated(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V6(ip) => {
            let segments = ip.segments();
            // Our own stable form would come of a MAC address without a vendor: nothing generates it.
            ip.is_unicast_link_local() && segments[4..6] != [0, 0] && segments[4..7] != [0, 0xff, 0xfe00]
        }
        IpAddr::V4(_) => false,
    }
}

/// A MAC address of one station: not of a group, and not zero.
fn is_individual(mac: &str) -> bool {
    let bytes: Option<Vec<u8>> = mac.split(':').map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2)).collect();
    bytes.is_some_and(|bytes| bytes.len() == 6 && bytes[0] & 1 == 0 && bytes.iter().any(|byte| *byte != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_zero_and_tunnels_keep_their_addresses() {
        assert!(is_individual("02:00:00:00:00:01"));
        for kept in ["ff:ff:ff:ff:ff:ff", "01:80:c2:00:00:00", "00:00:00:00:00:00", "10.0.0.1", "", "<mac of eth0>"] {
            assert!(!is_individual(kept), "{kept}");
        }
    }

    #[test]
    fn an_address_that_a_person_wrote_is_kept() {
        let is = |text: &str| text.parse().is_ok_and(is_generated);
        assert!(is("fe80::104f:87ff:fe88:fe69"));
        assert!(!is("fe80::1") && !is("fe80::1:2") && !is("fd00::104f:87ff:fe88:fe69") && !is("169.254.0.1"));
        assert!(!is("fe80::ff:fe00:1"), "normalising twice changes nothing");
    }
}
