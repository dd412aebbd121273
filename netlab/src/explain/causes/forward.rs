//! Routers that do not route: forwarding is off, or the hop limit is used up.

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::Finding;
use super::super::trail::Sighting;
use super::super::walk::End;
use crate::capture::Direction;

pub(super) fn used_up(case: &Case, end: &End) -> Option<Finding> {
    let arrived = end.arrived.as_ref()?;
    let ttl = arrived.packet.ttl()?;
    let sent_with = case.trail.flights.iter().find(|flight| flight.way == end.way)?.sightings.first()?.packet.ttl();
    let expired = || case.finding(end.machine, end.way, Cause::TtlExpired { sent_with }).at(case.lab.device(arrived.tap.place));
    (ttl <= 1).then(|| goes_round(case, end, sent_with).unwrap_or_else(expired))
}

/// The first machine that sent the packet back to one that had sent it on before.
fn goes_round(case: &Case, end: &End, sent_with: Option<u8>) -> Option<Finding> {
    let arrived = end.arrived.as_ref()?;
    let is_same = |one: &Sighting| one.tap == arrived.tap && one.time == arrived.time;
    let flight = case.trail.flights.iter().find(|flight| flight.way == end.way && flight.sightings.iter().any(is_same))?;
    let leaves =
        |one: &&Sighting| one.tuple == end.tuple && one.tap.direction == Direction::Out && case.lab.bridge(one.tap.place).is_none();
    let mut left: Vec<_> = flight.sightings.iter().filter(leaves).collect();
    left.sort_by_key(|one| one.time);
    // What lies upon a link sends it by both.
    left.dedup_by_key(|one| one.tap.place.machine);
    let machines: Vec<_> = left.iter().map(|one| one.tap.place.machine).collect();
    let before = |next: usize| machines[..next].iter().position(|machine| *machine == machines[next]);
    let (next, first) = (0..machines.len()).find_map(|next| Some((next, before(next)?)))?;
    let (back_to, round) = (case.name(machines[next]), machines[first..next].iter().map(|machine| case.name(*machine)).collect());
    let (sender, device) = (machines[next - 1], case.lab.device(left[next - 1].tap.place));
    Some(case.finding(sender, end.way, Cause::RoutingLoop { back_to, round, sent_with }).at(device))
}

pub(super) fn off(case: &Case, end: &End) -> Option<Finding> {
    let device = end.iif(case)?;
    let machine = case.machine(end.machine);
    // IPv4 asks the device by which the packet came in, IPv6 the whole machine (ip6_forward).
    let asked: &[&[&str]] = if end.tuple.destination.is_ipv6() {
        &[&["net", "ipv6", "conf", "all", "forwarding"]]
    } else {
        &[&["net", "ipv4", "ip_forward"], &["net", "ipv4", "conf", &device, "forwarding"]]
    };
    let is_off = |words: &&[&str]| machine.sysctl(words).is_some_and(|value| value.trim() == "0");
    // A device may forward though the machine's switch is off: the switch only sets all devices.
    let decisive = asked.last()?;
    if !is_off(decisive) {
        return None;
    }
    let sysctl = asked.iter().copied().find(|words| is_off(words))?.join(".");
    let cure = format!("sysctl -w {sysctl}=1");
    Some(case.finding(end.machine, end.way, Cause::ForwardingOff { sysctl }).at(device).cured_by(cure))
}
