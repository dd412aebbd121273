//! Tunnels whose two ends do not fit together.

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::Finding;
use super::super::lab::Place;
use super::super::walk::End;

pub(super) fn between(case: &Case, end: &End) -> Option<Finding> {
    let (last, next) = end.gap()?;
    let (near, far) = (last.place, next.place);
    if [near, far].iter().any(|place| case.lab.kind(*place) != "vxlan") {
        return None;
    }
    let cause = mismatch(case, near, far)?;
    let device = case.lab.device(near);
    Some(case.finding(near.machine, end.way, cause).at(device))
}

fn mismatch(case: &Case, near: Place, far: Place) -> Option<Cause> {
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
    let known = case
        .machine(near.machine)
        .netns
        .fdb()
        .ok()
        .is_some_and(|fdb| fdb.iter().any(|entry| entry.dev == device && entry.dst.is_some_and(|dst| underlay.has(dst))));
    let right = remote.is_some_and(|remote| remote.is_multicast() || underlay.has(remote)) || known;
    (!right).then_some(Cause::VxlanPeer { device, remote, actual })
}
