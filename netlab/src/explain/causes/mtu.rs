//! Packets that are too big for a link.

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::{Finding, Way};
use super::super::walk::End;
use super::route::next_hop;
use crate::capture::{Direction, IcmpKind, Packet};
use crate::probe::Outcome;

const ETHERNET: usize = 14;
const VLAN: usize = 4;

/// What IP counts of a packet.
fn length(packet: &Packet) -> usize {
    match &packet.decoded().ethernet {
        Some(ethernet) => packet.length().saturating_sub(ETHERNET + VLAN * ethernet.vlans.len()),
        None => packet.length(),
    }
}

/// Whether routers may not cut it: IPv6, or the bit of IPv4.
fn is_whole(packet: &Packet) -> bool {
    let Some(ip) = packet.ip() else { return false };
    let start = packet.length() - length(packet);
    ip.source.is_ipv6() || packet.bytes().get(start + 6).is_some_and(|flags| flags & 0x40 != 0)
}

/// For a router, and for the sender itself.
pub(super) fn too_big(case: &Case, end: &End) -> Option<Finding> {
    match &end.arrived {
        Some(arrived) => {
            let packet = &arrived.packet;
            let (device, mtu) = narrow(case, end, length(packet))?;
            let fits_by_cutting = !is_whole(packet) || packet.segmentation().is_some();
            (!fits_by_cutting).then(|| accuse(case, end.machine, end.way, device, Some(length(packet)), mtu))
        }
        None => too_big_to_send(case, end),
    }
}

/// The device by which it should leave, if that takes less.
fn narrow(case: &Case, end: &End, length: usize) -> Option<(String, u32)> {
    let (device, _) = next_hop(case, end)?;
    let mtu = case.machine(end.machine).links.named(&device)?.mtu;
    (length > mtu as usize).then_some((device, mtu))
}

/// The sender refuses what its link, or a link that it has heard of, does not take.
fn too_big_to_send(case: &Case, end: &End) -> Option<Finding> {
    let Outcome::LocalError(libc::EMSGSIZE) = case.outcome else { return None };
    let length = case.probe.packet_length(end.tuple.destination.is_ipv6());
    let hops = case.simulate(end);
    let narrow = hops.into_iter().find_map(|(machine, device)| {
        let mtu = case.machine(machine).links.named(&device)?.mtu;
        (length > mtu as usize).then_some((machine, device, mtu))
    });
    let (machine, device, mtu) = narrow?;
    let mut finding = accuse(case, machine, end.way, device, Some(length), mtu);
    if let Cause::TooBig { sender_heard, .. } = &mut finding.cause {
        *sender_heard = true;
    }
    Some(finding)
}

/// A cable or port whose far side takes less than its near side.
pub(super) fn of_link(case: &Case, end: &End) -> Option<Finding> {
    let (_, next) = end.gap()?;
    let length = length_of(case, end)?;
    let mtu = case.lab.link(next.place)?.mtu;
    (length > mtu as usize).then(|| accuse(case, next.place.machine, end.way, case.lab.device(next.place), Some(length), mtu))
}

/// How long the packet was that ended there.
pub(super) fn length_of(case: &Case, end: &End) -> Option<usize> {
    let all = case.trail.flights.iter().flat_map(|flight| &flight.sightings).chain(&case.trail.carried);
    let mut sent = all.filter(|one| one.tuple == end.tuple || case.translated(end.machine, end.tuple) == one.tuple);
    Some(length(&sent.find(|one| one.tap.place.machine == end.machine)?.packet))
}

pub(super) fn accuse(case: &Case, machine: usize, way: Way, device: String, length: Option<usize>, mtu: u32) -> Finding {
    let heard = |kind: &IcmpKind| matches!(kind, IcmpKind::PacketTooBig { .. } | IcmpKind::Unreachable { code: 4, .. });
    let sender_heard = case.trail.complaints.iter().any(|complaint| {
        let sender = match way {
            Way::Question => complaint.tap.place.machine == case.asker,
            Way::Answer => true,
        };
        complaint.about == way && heard(&complaint.kind) && complaint.tap.direction == Direction::In && sender
    });
    case.finding(machine, way, Cause::TooBig { length, mtu, sender_heard }).at(device)
}
