//! Tunnels whose two ends do not fit together.

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::Finding;
use super::super::lab::Place;
use super::super::walk::End;
use super::{link, mtu};
use crate::snapshot::FdbEntry;

pub(super) fn between(case: &Case, end: &End) -> Option<Finding> {
    let (last, next) = end.gap()?;
    let (near, far) = (last.place, next.place);
    if [near, far].iter().any(|place| case.lab.kind(*place) != "vxlan") {
        return None;
    }
    if let Some(finding) = [near, far].into_iter().find_map(|place| link::accuse(case, end, below(case, place)?)) {
        return Some(finding);
    }
    mismatch(case, near, far, false).and_then(|cause| accuse(case, end, near, cause)).or_else(|| too_big(case, end, near, far))
}

/// The tunnel's packet is larger than the far end's device takes; the near one's would fragment it.
fn too_big(case: &Case, end: &End, near: Place, far: Place) -> Option<Finding> {
    let (near, far) = (below(case, near)?, below(case, far)?);
    let length = mtu::length_of(case, end)? + if case.lab.remote(near).is_some_and(|remote| remote.is_ipv6()) { 70 } else { 50 };
    let [taken, sent] = [far, near].map(|place| case.lab.link(place).map_or(usize::MAX, |link| link.mtu as usize));
    (taken < length && length <= sent).then(|| mtu::accuse(case, far.machine, end.way, case.lab.device(far), Some(length), taken as u32))
}

/// As [`flooding`], where nobody is known who should have heard it.
pub(super) fn flooding_nobody(case: &Case, end: &End, near: Place) -> Option<Finding> {
    let ends = if case.lab.kind(near) == "vxlan" { case.lab.other_ends(near) } else { Vec::new() };
    ends.into_iter().find_map(|far| flooding(case, end, near, far))
}

/// What goes to everybody, such as the question for a neighbour, does not come to the other end.
pub(super) fn flooding(case: &Case, end: &End, near: Place, far: Place) -> Option<Finding> {
    let tunnel = [near, far].iter().all(|place| case.lab.kind(*place) == "vxlan");
    accuse(case, end, near, mismatch(case, near, far, true).filter(|_| tunnel)?)
}

fn accuse(case: &Case, end: &End, near: Place, cause: Cause) -> Option<Finding> {
    let device = case.lab.device(near);
    Some(case.finding(near.machine, end.way, cause).at(device))
}

/// The device that carries the tunnel's packets.
fn below(case: &Case, end: Place) -> Option<Place> {
    case.lab.named(case.lab.underlay(end), case.lab.vxlan(end, "dev")?)
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
