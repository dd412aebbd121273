//! Links that are down, that have no carrier, that end in nothing.

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::Finding;
use super::super::lab::{Lab, Place};
use super::super::walk::{End, Ended};
use super::bridge;
use super::route::{self, next_hop};

/// A link that stands still, and the machine that is to blame for it.
fn dead(lab: &Lab, place: Place) -> Option<(Place, Cause)> {
    let link = lab.link(place)?;
    let device = link.name.clone();
    if !link.is_up() {
        return Some((place, Cause::LinkDown { device }));
    }
    if link.has_carrier() || link.has_flag("LOOPBACK") {
        return None;
    }
    match lab.kind(place) {
        "bridge" => lab.ports(place).into_iter().find_map(|port| dead(lab, port)),
        "veth" => match lab.peer(place) {
            Some(peer) if is_up(lab, peer) => None,
            Some(peer) => Some((peer, Cause::LinkDown { device: lab.device(peer) })),
            None => Some((place, Cause::NoCarrier { device, peer: None })),
        },
        "vlan" | "macvlan" | "macvtap" | "ipvlan" => dead(lab, lab.peer(place)?),
        _ => Some((place, Cause::NoCarrier { device, peer: None })),
    }
}

fn is_up(lab: &Lab, place: Place) -> bool {
    lab.link(place).is_some_and(|link| link.is_up())
}

pub(super) fn accuse(case: &Case, end: &End, place: Place) -> Option<Finding> {
    let (place, cause) = dead(&case.lab, place)?;
    let device = case.lab.device(place);
    let finding = case.finding(place.machine, end.way, cause.clone()).at(device.clone());
    Some(if matches!(cause, Cause::LinkDown { .. }) { finding.cured_by(format!("ip link set {device} up")) } else { finding })
}

/// The device by which the packet should leave.
pub(super) fn way_out(case: &Case, end: &End) -> Option<Finding> {
    let (device, hop) = next_hop(case, end)?;
    let place = case.lab.named(end.machine, &device)?;
    accuse(case, end, place).or_else(|| bridge::without_carrier(case, end, place, hop))
}

/// The devices on both sides of the gap.
pub(super) fn between(case: &Case, end: &End) -> Option<Finding> {
    let (last, next) = end.gap()?;
    let bridge_down =
        [next.place, last.place].into_iter().filter_map(|port| case.lab.bridge(port)).find(|bridge| !is_up(&case.lab, *bridge));
    [next.place, last.place].into_iter().chain(bridge_down).find_map(|place| accuse(case, end, place))
}

/// A link that is down takes its routes along: where the way to the target begins with it, it is to blame for the missing route.
pub(super) fn no_route_since_down(case: &Case, end: &End) -> Option<Finding> {
    let to = route::routed(case, end).destination;
    if case.route(end.machine, end.way, route::routed(case, end), None).is_ok() {
        return None;
    }
    let machine = case.machine(end.machine);
    let down = |place: &Place| case.lab.link(*place).is_some_and(|link| !link.is_up() && !link.has_flag("LOOPBACK"));
    let on_link = machine.addresses.iter().find(|own| own.net.contains(&to)).map(|own| Place { machine: end.machine, index: own.index });
    let first = on_link.or_else(|| case.lab.first_step(end.machine, to))?;
    down(&first).then(|| accuse(case, end, first)).flatten()
}

/// The cable ends in a device that nobody uses: no bridge has it, and it has no address.
pub(super) fn not_a_port(case: &Case, end: &End) -> Option<Finding> {
    let (from, goals) = match &end.place {
        Ended::Nowhere { left } => {
            let mac = left.packet.decoded().ethernet.as_ref().map(|ethernet| ethernet.destination.to_string());
            (left.tap.place, mac.map(|mac| case.lab.with_mac(&mac)).unwrap_or_default())
        }
        _ => {
            let (device, hop) = next_hop(case, end)?;
            (case.lab.named(end.machine, &device)?, case.lab.holders(hop))
        }
    };
    stub(case, end, from, &goals)
}

/// The same for a frame that should come from one device to another.
pub(super) fn stub(case: &Case, end: &End, from: Place, goals: &[Place]) -> Option<Finding> {
    let lab = &case.lab;
    let reached = lab.reached(from);
    // Where a device is all there is at the other end, or where a bridge with it would lead to the goal.
    let only = [reached.as_slice()].into_iter().find_map(|reached| (reached.len() == 1).then(|| reached[0]));
    let joins = |stub: &Place| goals.iter().any(|goal| !reached.contains(goal) && lab.would_join(*stub, from, *goal));
    let stubs = lab.places().map(|(place, _)| place).filter(|place| is_unused(lab, *place));
    let stub = only.filter(|only| is_unused(lab, *only)).or_else(|| stubs.into_iter().find(joins))?;
    Some(case.finding(stub.machine, end.way, Cause::NotABridgePort { device: lab.device(stub) }).at(lab.device(stub)))
}

/// Whether it is a cable's end without an address, in a machine with a bridge of which it is no port.
fn is_unused(lab: &Lab, place: Place) -> bool {
    let machine = lab.machine(place);
    let addressed = machine.addresses.iter().any(|own| own.index == place.index && !super::is_link_local(own.net.addr()));
    let has_bridge = machine.links.iter().any(|link| link.kind.as_ref().is_some_and(|kind| kind.kind == "bridge"));
    lab.kind(place) == "veth" && lab.bridge(place).is_none() && !addressed && has_bridge && lab.uppers(place).is_empty()
}

/// A queueing discipline that loses or delays.
pub(super) fn impaired(case: &Case, end: &End) -> Option<Finding> {
    const HARMLESS: [&str; 6] = ["noqueue", "pfifo_fast", "fq_codel", "fq", "mq", "noop"];
    let (device, _) = next_hop(case, end)?;
    let place = case.lab.named(end.machine, &device)?;
    let qdisc = case.lab.link(place)?.qdisc.clone().filter(|qdisc| !HARMLESS.contains(&qdisc.as_str()))?;
    let left = case.reached(end.machine, end.way, "postrouting", true)?;
    left.then(|| case.finding(end.machine, end.way, Cause::Impaired { device: device.clone(), qdisc }).at(device))
}

impl Lab {
    /// Whether a bridge of its machine, were this its port, would lead from one device to another.
    fn would_join(&self, stub: Place, from: Place, goal: Place) -> bool {
        let side = |place: Place| {
            let reached = self.reached(place);
            move |other: Place| other == place || reached.contains(&other)
        };
        let outside = side(stub);
        let mut bridges =
            self.places().map(|(place, _)| place).filter(|place| place.machine == stub.machine && self.kind(*place) == "bridge");
        bridges.any(|bridge| {
            let inside = side(bridge);
            (outside(from) && inside(goal)) || (outside(goal) && inside(from))
        })
    }

    /// The device by which the shortest way over cables leads from a machine to the one that has the address, whatever the routes say.
    fn first_step(&self, from: usize, to: std::net::IpAddr) -> Option<Place> {
        let goals: Vec<usize> = self.holders(to).into_iter().map(|place| place.machine).collect();
        let exits = |machine: usize| self.places().map(|(place, _)| place).filter(move |place| place.machine == machine);
        let mut known = vec![from];
        let mut ways: std::collections::VecDeque<(usize, Place)> = std::collections::VecDeque::new();
        for exit in exits(from).filter(|exit| self.bridge(*exit).is_none()) {
            ways.extend(self.reached(exit).into_iter().map(|place| (place.machine, exit)));
        }
        while let Some((machine, exit)) = ways.pop_front() {
            if goals.contains(&machine) {
                return Some(exit);
            }
            if known.contains(&machine) {
                continue;
            }
            known.push(machine);
            for next in exits(machine) {
                ways.extend(self.reached(next).into_iter().map(|place| (place.machine, exit)));
            }
        }
        None
    }
}
