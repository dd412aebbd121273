//! Bridges that do not pass a frame on.

use std::net::IpAddr;

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::Finding;
use super::super::lab::{Place, Tap};
use super::super::walk::{End, Ended};
use crate::capture::Direction;

/// The ports of the bridge in which the frame ended: by which it came, and by which it should leave.
fn ports(case: &Case, end: &End) -> Option<(Option<Place>, Option<Place>)> {
    let (last, next) = end.gap()?;
    if last.place.machine != next.place.machine {
        return None;
    }
    let port = |place: Place| case.lab.bridge(place).map(|_| place);
    let ports = (port(last.place), port(next.place));
    (ports != (None, None)).then_some(ports)
}

fn setting<'a>(case: &'a Case, port: Place, word: &str) -> Option<&'a str> {
    case.lab.link(port)?.port.as_ref()?.get(word)
}

/// A port that does not forward.
pub(super) fn port(case: &Case, end: &End) -> Option<Finding> {
    let (from, to) = ports(case, end)?;
    [from, to].into_iter().flatten().find_map(|port| stuck(case, end, port))
}

fn stuck(case: &Case, end: &End, port: Place) -> Option<Finding> {
    let state = setting(case, port, "state").filter(|state| *state != "forwarding")?.to_owned();
    let device = case.lab.device(port);
    Some(case.finding(port.machine, end.way, Cause::PortNotForwarding { port: device.clone(), state }).at(device))
}

/// A bridge has a carrier as long as one of its ports forwards: without, it does not even send out of itself.
pub(super) fn without_carrier(case: &Case, end: &End, bridge: Place, hop: IpAddr) -> Option<Finding> {
    let lab = &case.lab;
    let stands_still = lab.link(bridge).is_some_and(|link| link.is_up() && !link.has_carrier());
    let on_the_way = lab.holders(hop).into_iter().filter_map(|holder| lab.segment(bridge, holder)?.get(1).map(|tap| tap.place));
    let mut ports = on_the_way.chain(lab.ports(bridge));
    stands_still.then(|| ports.find_map(|port| stuck(case, end, port))).flatten()
}

pub(super) fn isolated(case: &Case, end: &End) -> Option<Finding> {
    let (Some(from), Some(to)) = ports(case, end)? else { return None };
    if ![from, to].iter().all(|port| setting(case, *port, "isolated") == Some("on")) {
        return None;
    }
    if let Some(finding) = not_sent_back(case, end, from) {
        return Some(finding);
    }
    let (from, to) = (case.lab.device(from), case.lab.device(to));
    let (machine, cure) = (end.gap()?.0.place.machine, format!("bridge link set dev {to} isolated off"));
    Some(case.finding(machine, end.way, Cause::PortIsolated { from, to: to.clone() }).at(to).cured_by(cure))
}

/// A bridge that keeps its ports apart and learns nothing at them leaves the frame to another bridge, which should send it back
/// (reflective relay, IEEE 802.1Qbg).
fn not_sent_back(case: &Case, end: &End, from: Place) -> Option<Finding> {
    let came = case.trail.flights.iter().filter(|flight| flight.way == end.way).flat_map(|flight| &flight.sightings);
    let came = came.map(|one| one.tap).chain(case.trail.resolving.iter().map(|resolving| resolving.tap));
    let others = case.lab.bridge(from).into_iter().flat_map(|bridge| case.lab.ports(bridge)).filter(|port| *port != from);
    let far: Vec<Place> = others.filter_map(|port| case.lab.peer(port)).collect();
    let is_relay =
        |tap: &Tap| tap.direction == Direction::In && far.contains(&tap.place) && setting(case, tap.place, "hairpin") == Some("off");
    let relay = came.into_iter().find(is_relay).filter(|_| setting(case, from, "learning") == Some("off"))?;
    Some(hairpin_off(case, end, relay.place))
}

/// A static entry that leads the frame to another port.
pub(super) fn wrong_entry(case: &Case, end: &End) -> Option<Finding> {
    let (from, to) = ports(case, end)?;
    let bridge = from.or(to).and_then(|port| case.lab.bridge(port))?;
    let target = match &end.place {
        Ended::Between { taps, .. } => taps.last()?.place,
        _ => return None,
    };
    let mac = case.lab.link(target)?.mac.clone()?;
    let fdb = case.machine(bridge.machine).netns.fdb().ok()?;
    let name = case.lab.device(bridge);
    let wanted = to.map_or_else(|| name.clone(), |port| case.lab.device(port));
    let entry = fdb
        .iter()
        .find(|entry| entry.mac == mac && entry.master.as_deref() == Some(&name) && !entry.is_learned() && entry.dev != wanted)?;
    let cure = format!("bridge fdb del {mac} dev {} master", entry.dev);
    let cause = Cause::WrongFdbEntry { mac, entry: entry.dev.clone(), actual: Some(wanted) };
    Some(case.finding(bridge.machine, end.way, cause).at(entry.dev.clone()).cured_by(cure))
}

/// A bridge that looks at VLANs, whose port does not let the frame through.
pub(super) fn vlan(case: &Case, end: &End) -> Option<Finding> {
    let (from, to) = ports(case, end)?;
    let port = to.or(from)?;
    let bridge = case.lab.bridge(port)?;
    let filters = case.lab.link(bridge)?.kind.as_ref()?.get("vlan_filtering") == Some("1");
    let device = case.lab.device(port);
    filters.then(|| case.finding(port.machine, end.way, Cause::VlanFiltered { port: device.clone() }).at(device))
}

/// The frame should go back by the port by which it came, to another switch that sends it on.
pub(super) fn hairpin_between(case: &Case, end: &End) -> Option<Finding> {
    let (last, next) = end.gap()?;
    let off = last.place == next.place && last.direction != next.direction && setting(case, last.place, "hairpin") == Some("off");
    off.then(|| hairpin_off(case, end, last.place))
}

/// The frame should go back by the port by which it came.
pub(super) fn hairpin(case: &Case, end: &End) -> Option<Finding> {
    let Ended::Nowhere { left } = &end.place else { return None };
    let mac = left.packet.decoded().ethernet.as_ref()?.destination.to_string();
    let goals = case.lab.with_mac(&mac);
    let back = |port: &Place| {
        case.lab.bridge(*port).is_some()
            && setting(case, *port, "hairpin") == Some("off")
            && case.lab.reached(*port).iter().any(|place| goals.contains(place))
    };
    let port = case.lab.reached(left.tap.place).into_iter().find(back)?;
    Some(hairpin_off(case, end, port))
}

fn hairpin_off(case: &Case, end: &End, port: Place) -> Finding {
    let device = case.lab.device(port);
    let cure = format!("bridge link set dev {device} hairpin on");
    case.finding(port.machine, end.way, Cause::HairpinOff { port: device.clone() }).at(device).cured_by(cure)
}
