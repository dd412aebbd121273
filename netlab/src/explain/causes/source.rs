//! The address that a machine sends from.

use std::net::IpAddr;

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::{Finding, Way};
use super::super::walk::End;
use super::is_link_local;
use super::route::{next_hop, routed};
use crate::capture::Direction;
use crate::probe::Outcome;

/// An address that the asker may not use: it has it not, or not yet.
pub(super) fn unusable(case: &Case, end: &End) -> Option<Finding> {
    if end.by.is_some() || end.way == Way::Answer {
        return None;
    }
    let machine = case.machine(end.machine);
    let wanted = case.probe.source_text().and_then(|text| {
        let bare = text.split('%').next()?;
        bare.parse::<IpAddr>().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()))
    });
    if let Some(address) = wanted
        && matches!(case.outcome, Outcome::LocalError(libc::EADDRNOTAVAIL))
        && !machine.has(address)
    {
        return Some(case.finding(end.machine, end.way, Cause::NoSuchSource { address }).at(address.to_string()));
    }
    let v6 = case.target.is_ipv6();
    let usable = |address: &&crate::snapshot::Address| {
        address.net.addr().is_ipv6() && !is_link_local(address.net.addr()) && !address.net.addr().is_loopback()
    };
    let mut own = machine.addresses.iter().filter(usable).filter(|own| wanted.is_none_or(|wanted| own.net.addr() == wanted)).peekable();
    own.peek()?;
    let own: Vec<_> = own.collect();
    let waits = |address: &&crate::snapshot::Address| address.has_flag("tentative") || address.has_flag("dadfailed");
    (v6 && own.iter().all(waits)).then(|| tentative(case, end.machine, end.way, own[0]))
}

pub(super) fn tentative(case: &Case, machine: usize, way: Way, own: &crate::snapshot::Address) -> Finding {
    let cause = Cause::AddressTentative { address: own.net.addr(), duplicate: own.has_flag("dadfailed") };
    case.finding(machine, way, cause).at(own.dev.clone())
}

/// A machine that has no address but what its link gives it waits for a router.
pub(super) fn no_advertisement(case: &Case, end: &End) -> Option<Finding> {
    let to = routed(case, end).destination;
    if end.by.is_some() || to.is_ipv4() || is_link_local(to) || next_hop(case, end).is_some() {
        return None;
    }
    let machine = case.machine(end.machine);
    let global =
        |own: &crate::snapshot::Address| own.net.addr().is_ipv6() && !is_link_local(own.net.addr()) && !own.net.addr().is_loopback();
    let waits = machine.links.iter().find(|link| link.has_carrier() && !link.has_flag("LOOPBACK"))?;
    if machine.addresses.iter().any(global) {
        return None;
    }
    let conf = |word: &str| machine.sysctl(&["net", "ipv6", "conf", &waits.name, word]).map(|value| value.trim().to_owned());
    let (accept, forwarding) = (conf("accept_ra")?, conf("forwarding")?);
    let because = match (accept.as_str(), forwarding.as_str()) {
        ("0", _) => Some(format!("net.ipv6.conf.{}.accept_ra=0", waits.name)),
        ("1", forwarding) if forwarding != "0" => Some("a router takes none unless accept_ra=2".to_owned()),
        _ => None,
    };
    let device = waits.name.clone();
    Some(case.finding(end.machine, end.way, Cause::NoRouterAdvertisement { device: device.clone(), because }).at(device))
}

/// The asker used an address of another link, to which no answer comes.
pub(crate) fn wrong(case: &Case, end: &End) -> Option<Finding> {
    let first = case.trail.first?;
    let about_source = match end.way {
        Way::Answer => routed(case, end).destination == first.source,
        Way::Question => end.tuple.source == first.source,
    };
    let asker = case.machine(case.asker);
    let left = case.trail.flights.iter().filter(|flight| flight.way == Way::Question).flat_map(|flight| &flight.sightings);
    let left = left.filter(|one| one.tap.place.machine == case.asker && one.tap.direction == Direction::Out).min_by_key(|one| one.time)?;
    let own = asker.addresses.iter().find(|own| own.net.addr() == first.source)?;
    if !about_source || own.index == left.tap.place.index || own.dev == "lo" || case.lab.bridge(left.tap.place).is_some() {
        return None;
    }
    let there = |own: &&crate::snapshot::Address| own.index == left.tap.place.index && own.net.addr().is_ipv4() == first.source.is_ipv4();
    let better = asker.addresses.iter().filter(there).map(|own| own.net.addr()).find(|address| !is_link_local(*address))?;
    let device = case.lab.device(left.tap.place);
    let cause = Cause::WrongSource { source: first.source, device: device.clone(), better: Some(better) };
    Some(case.finding(case.asker, Way::Question, cause).at(device))
}
