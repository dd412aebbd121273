//! Routers that do not route: forwarding is off, or the hop limit is used up.

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::Finding;
use super::super::walk::End;

pub(super) fn used_up(case: &Case, end: &End) -> Option<Finding> {
    let arrived = end.arrived.as_ref()?;
    let ttl = arrived.packet.ttl()?;
    let sent_with = case.trail.flights.iter().find(|flight| flight.way == end.way)?.sightings.first()?.packet.ttl();
    (ttl <= 1).then(|| case.finding(end.machine, end.way, Cause::TtlExpired { sent_with }).at(case.lab.device(arrived.tap.place)))
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
