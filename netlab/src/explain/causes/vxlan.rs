//! Tunnels whose two ends do not fit together.

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::Finding;
use super::super::lab::Place;
use super::super::trail::{Flight, Sighting};
use super::super::tuple::Tuple;
use super::super::walk::End;
use crate::capture::Direction;
use crate::snapshot::FdbEntry;

pub(super) fn between(case: &Case, end: &End) -> Option<Finding> {
    let (last, next) = end.gap()?;
    let (near, far) = (last.place, next.place);
    if [near, far].iter().any(|place| case.lab.kind(*place) != "vxlan") {
        return None;
    }
    let mismatch = mismatch(case, near, far, false).map(|cause| accuse(case, end, near, cause));
    mismatch.or_else(|| datagrams(case, end, near))
}

/// What became of the datagrams that carry the frame.
fn datagrams(case: &Case, end: &End, near: Place) -> Option<Finding> {
    let underlay = case.lab.underlay(near);
    let remote = case.lab.remote(near).filter(|remote| !remote.is_multicast());
    let is_first = |one: &&Sighting| {
        let from_here = one.tap.place.machine == underlay && one.tap.direction == Direction::Out;
        from_here && remote.is_none_or(|remote| one.tuple.destination == remote)
    };
    let sent = case.trail.carried.iter().filter(is_first).min_by_key(|one| one.time);
    let tuple = match (sent, remote) {
        (Some(sent), _) => sent.tuple,
        (None, Some(remote)) => datagram(case, near, remote),
        (None, None) => return None,
    };
    let sightings: Vec<_> = case.trail.carried.iter().filter(|one| one.tuple == tuple).cloned().collect();
    let flight = (!sightings.is_empty()).then_some(Flight { way: end.way, number: 0, sightings });
    let walk = case.walk(end.way, flight.as_ref(), underlay, tuple);
    (!case.is_here(&walk.end)).then(|| super::find(case, &walk.end)).flatten()
}

/// The datagram that would have been sent.
fn datagram(case: &Case, near: Place, remote: std::net::IpAddr) -> Tuple {
    let any = if remote.is_ipv6() { std::net::Ipv6Addr::UNSPECIFIED.into() } else { std::net::Ipv4Addr::UNSPECIFIED.into() };
    let source = case.lab.vxlan(near, "local").and_then(|local| local.parse().ok()).unwrap_or(any);
    let destination_port = case.lab.vxlan(near, "dstport").and_then(|port| port.parse().ok()).unwrap_or(0);
    Tuple { protocol: 17, source, source_port: 0, destination: remote, destination_port }
}

/// As [`flooding`], where nobody is known who should have heard it.
pub(super) fn flooding_nobody(case: &Case, end: &End, near: Place) -> Option<Finding> {
    let ends = if case.lab.kind(near) == "vxlan" { case.lab.other_ends(near) } else { Vec::new() };
    ends.into_iter().find_map(|far| flooding(case, end, near, far))
}

/// As [`flooding`], between the devices on both sides of the gap.
pub(super) fn flooded_between(case: &Case, end: &End) -> Option<Finding> {
    let (last, next) = end.gap()?;
    flooding(case, end, last.place, next.place)
}

/// What goes to everybody, such as the question for a neighbour, does not come to the other end.
pub(super) fn flooding(case: &Case, end: &End, near: Place, far: Place) -> Option<Finding> {
    let tunnel = [near, far].iter().all(|place| case.lab.kind(*place) == "vxlan");
    let cause = mismatch(case, near, far, true).filter(|_| tunnel)?;
    Some(accuse(case, end, near, cause))
}

fn accuse(case: &Case, end: &End, near: Place, cause: Cause) -> Finding {
    let device = case.lab.device(near);
    case.finding(near.machine, end.way, cause).at(device)
}

/// `flooded`: of what goes to everybody, which learned entries do not lead.
fn mismatch(case: &Case, near: Place, far: Place, flooded: bool) -> Option<Cause> {
    let lab = &case.lab;
    let device = lab.device(near);
    let number = |place: Place, word: &str| lab.vxlan(place, word).and_then(|text| text.parse::<u32>().ok());
    let (vni, other) = (number(near, "id")?, number(far, "id")?);
    if vni != other {
        return Some(Cause::VxlanVni { device, vni, other });
    }
    let (port, other) = (number(near, "dstport")?, number(far, "dstport")?);
    if port != other {
        return Some(Cause::VxlanPort { device, port: u16::try_from(port).ok()?, other: u16::try_from(other).ok()? });
    }
    let remote = lab.remote(near);
    let underlay = &lab.machines[lab.underlay(far)];
    let local = lab.vxlan(far, "local").and_then(|text| text.parse().ok());
    let actual = local.or_else(|| underlay.addresses.iter().map(|own| own.net.addr()).find(|address| !address.is_loopback()));
    let known = case.machine(near.machine).netns.fdb().ok().is_some_and(|fdb| {
        let leads = |entry: &FdbEntry| entry.dev == device && entry.dst.is_some_and(|dst| underlay.has(dst));
        fdb.iter().any(|entry| leads(entry) && !(flooded && entry.is_learned()))
    });
    let right = remote.is_some_and(|remote| remote.is_multicast() || underlay.has(remote)) || known;
    (!right).then_some(Cause::VxlanPeer { device, remote, actual })
}
