//! Neighbours that do not answer, that are not where they are asked for, that are there twice.

use std::collections::HashSet;
use std::net::IpAddr;

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::{Finding, Way};
use super::super::lab::{Place, Tap};
use super::super::walk::{End, Ended};
use super::route::next_hop;
use super::{BETWEEN, filter, link, source, vxlan};
use crate::snapshot::{Neighbour, NeighbourState, Question};

fn entry(case: &Case, machine: usize, address: IpAddr, device: &str) -> Option<Neighbour> {
    let neighbours = case.machine(machine).netns.neighbours().ok()?;
    neighbours.iter().find(|entry| entry.dst == address && entry.dev.as_deref() == Some(device)).cloned()
}

/// The next hop's MAC address was asked for, and not told.
pub(crate) fn unresolved(case: &Case, end: &End) -> Option<Finding> {
    let (device, hop) = next_hop(case, end)?;
    let here = case.lab.named(end.machine, &device)?;
    let asked = case.trail.resolved_at(true, hop);
    let told = case.trail.resolved_at(false, hop);
    let failed = entry(case, end.machine, hop, &device)
        .is_some_and(|entry| matches!(entry.state, NeighbourState::Failed | NeighbourState::Incomplete));
    let sent = asked.contains(&Tap::out_of(here));
    if !(sent || failed) || told.contains(&Tap::into(here)) {
        return filter::of_discovery(case, end.machine, end.way).filter(|_| sent);
    }
    if let Some(finding) = filter::of_discovery(case, end.machine, end.way) {
        return Some(finding);
    }
    let reached = case.lab.reached(here);
    let holder = case.lab.holders(hop).into_iter().find(|holder| reached.contains(holder));
    match holder {
        Some(holder) => {
            silent_holder(case, end, here, holder, (&asked, &told), hop).or_else(|| Some(nobody(case, end, &device, hop, None)))
        }
        None => nobody_there(case, end, here, hop, &asked),
    }
}

/// Somebody on the segment has the address: the question did not come there, or the answer not back.
fn silent_holder(case: &Case, end: &End, here: Place, holder: Place, seen: (&HashSet<Tap>, &HashSet<Tap>), hop: IpAddr) -> Option<Finding> {
    let (asked, told) = seen;
    let between = |from: Place, to: Place, seen: &HashSet<Tap>| {
        let taps = case.lab.segment(from, to)?;
        let passed = taps.iter().take_while(|tap| seen.contains(tap)).count();
        let end = End { place: Ended::Between { seen: passed, taps: taps.clone() }, ..end.clone() };
        (passed > 0 && passed < taps.len()).then_some(end)
    };
    let cause = |end: End| BETWEEN.iter().find_map(|check| check(case, &end));
    let lost = between(here, holder, asked);
    // The question goes to everybody, the answer does not.
    if let Some(finding) = lost.and_then(|end| vxlan::flooded_between(case, &end).or_else(|| cause(end))) {
        return Some(finding);
    }
    if !asked.contains(&Tap::into(holder)) {
        return vxlan::flooding(case, end, here, holder).or_else(|| link::stub(case, end, here, &[holder]));
    }
    let own = case.lab.machine(holder).addresses.iter().find(|own| own.net.addr() == hop)?;
    if own.has_flag("tentative") || own.has_flag("dadfailed") {
        return Some(source::tentative(case, holder.machine, end.way, own));
    }
    if let Some(finding) = filter::of_discovery(case, holder.machine, end.way) {
        return Some(finding);
    }
    if told.contains(&Tap::out_of(holder)) {
        return between(holder, here, told).and_then(cause);
    }
    let elsewhere = told.iter().find(|tap| tap.place.machine == holder.machine && tap.place != holder)?;
    let cause =
        Cause::NeighbourElsewhere { address: hop, asked_on: case.lab.device(holder), answered_on: case.lab.device(elsewhere.place) };
    Some(case.finding(holder.machine, end.way, cause).at(case.lab.device(holder)))
}

fn nobody_there(case: &Case, end: &End, here: Place, hop: IpAddr, asked: &HashSet<Tap>) -> Option<Finding> {
    let holders = case.lab.holders(hop);
    let here_are = case.lab.machine(here).addresses.iter().filter(|own| own.index == here.index).map(|own| own.net.addr());
    let here_are: Vec<_> = here_are.collect();
    let of_here = |holder: &&Place| {
        let mut own = case.lab.machine(**holder).addresses.iter();
        own.any(|own| own.index == holder.index && own.net.addr() == hop && here_are.iter().any(|address| own.net.contains(address)))
    };
    let goals: Vec<_> = holders.iter().filter(of_here).copied().collect();
    if let Some(finding) = link::stub(case, end, here, &goals).or_else(|| vxlan::flooding_nobody(case, end, here)) {
        return Some(finding);
    }
    let holder = holders.first().copied();
    if let Some(router) = holder.and_then(|_| proxy(case, here, hop, asked)) {
        let device = case.lab.device(router);
        let cause = Cause::ProxyArpOff { address: hop, device: device.clone() };
        let cure = format!("sysctl -w net.ipv4.conf.{device}.proxy_arp=1");
        return Some(case.finding(router.machine, end.way, cause).at(device).cured_by(cure));
    }
    let holder = holder.map(|holder| format!("{}/{}", case.name(holder.machine), case.lab.device(holder)));
    Some(nobody(case, end, &case.lab.device(here), hop, holder))
}

fn nobody(case: &Case, end: &End, device: &str, hop: IpAddr, holder: Option<String>) -> Finding {
    let cause = Cause::NeighbourUnresolved { address: hop, device: device.to_owned(), holder };
    case.finding(end.machine, end.way, cause).at(format!("{hop} dev {device}"))
}

/// A router that heard the question and has a route to the address by another device, and could answer in its place.
fn proxy(case: &Case, here: Place, hop: IpAddr, asked: &HashSet<Tap>) -> Option<Place> {
    let heard = case.lab.reached(here).into_iter().filter(|place| asked.contains(&Tap::into(*place)));
    heard.into_iter().find(|place| could_answer_for(case, *place, hop) && !has_proxy_arp(case, *place))
}

/// A router with proxy ARP, that has a route to the address by another device.
pub(crate) fn answers_for(case: &Case, place: Place, hop: IpAddr) -> bool {
    could_answer_for(case, place, hop) && has_proxy_arp(case, place)
}

fn could_answer_for(case: &Case, place: Place, hop: IpAddr) -> bool {
    let (machine, device) = (case.machine(place.machine), case.lab.device(place));
    let leads = || machine.way(&Question::to(hop)).is_ok_and(|route| route.dev.is_some_and(|dev| dev != device));
    hop.is_ipv4() && machine.is_on(&["net", "ipv4", "conf", &device, "forwarding"]) && leads()
}

fn has_proxy_arp(case: &Case, place: Place) -> bool {
    let device = case.lab.device(place);
    ["all", device.as_str()].iter().any(|name| case.machine(place.machine).is_on(&["net", "ipv4", "conf", name, "proxy_arp"]))
}

/// Several machines of one segment have the address that the packet came to.
pub(super) fn duplicate(case: &Case, end: &End) -> Option<Finding> {
    let address = end.tuple.destination;
    let arrived = end.by?;
    let reached = case.lab.reached(arrived);
    let others: Vec<_> =
        case.lab.holders(address).into_iter().filter(|other| other.machine != end.machine && reached.contains(other)).collect();
    if others.is_empty() {
        return None;
    }
    let mut holders: Vec<_> =
        others.into_iter().chain([arrived]).map(|place| format!("{}/{}", case.name(place.machine), case.lab.device(place))).collect();
    holders.sort();
    Some(case.finding(end.machine, end.way, Cause::DuplicateAddress { address, holders }).at(address.to_string()))
}

/// The frame went to a MAC address that is not that of the next hop: a static entry says so.
pub(super) fn wrong_entry(case: &Case, end: &End) -> Option<Finding> {
    accuse_entry(case, end, end.way)
}

/// The packet came to a machine that is not the next hop of the one before.
pub(super) fn misdirected(case: &Case, end: &End) -> Option<Finding> {
    let before = end.before.as_deref()?;
    let (_, hop) = next_hop(case, before)?;
    if case.is_local(end.machine, hop) {
        return None;
    }
    accuse_entry(case, before, end.way).or_else(|| address_missing(case, end, hop))
}

/// The machine got what is for an address on its own link, but it has it not (any more): nobody has.
fn address_missing(case: &Case, end: &End, hop: IpAddr) -> Option<Finding> {
    let device = end.iif(case)?;
    let last = hop == end.tuple.destination && case.lab.holders(hop).is_empty();
    last.then(|| case.finding(end.machine, end.way, Cause::AddressMissing { address: hop, device: device.clone() }).at(device))
}

fn accuse_entry(case: &Case, sender: &End, way: Way) -> Option<Finding> {
    let (device, hop) = next_hop(case, sender)?;
    let here = case.lab.named(sender.machine, &device)?;
    let entry = entry(case, sender.machine, hop, &device).filter(|entry| entry.state == NeighbourState::Permanent)?;
    let reached = case.lab.reached(here);
    let holder = case.lab.holders(hop).into_iter().find(|holder| reached.contains(holder));
    let holder = holder.or_else(|| reached.iter().copied().find(|place| answers_for(case, *place, hop)))?;
    let actual = case.lab.link(holder)?.mac.clone()?;
    let said = entry.mac.filter(|said| *said != actual)?;
    let cure = format!("ip neigh replace {hop} lladdr {actual} dev {device}");
    let cause = Cause::WrongNeighbour { address: hop, entry: said, actual };
    Some(case.finding(sender.machine, way, cause).at(format!("{hop} dev {device}")).cured_by(cure))
}
