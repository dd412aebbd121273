//! What the routes say: none, one that refuses, or that the packet cannot have come from there.

use std::net::IpAddr;

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::{Finding, Way};
use super::super::tuple::Tuple;
use super::super::walk::End;
use crate::snapshot::{Question, Route, RouteKind, RouteQuery};

/// The packet as the machine routes it: after it changed the destination.
pub(crate) fn routed(case: &Case, end: &End) -> Tuple {
    if end.by.is_none() {
        return end.tuple;
    }
    let after = case.translated(end.machine, end.tuple);
    Tuple { destination: after.destination, destination_port: after.destination_port, ..end.tuple }
}

fn lookup(case: &Case, end: &End) -> std::result::Result<Route, i32> {
    let route = case.route(end.machine, end.way, routed(case, end), end.iif(case)).map_err(|refusal| refusal.errno)?;
    // IPv6 answers with the route that refuses.
    match route.kind {
        RouteKind::Blackhole => Err(libc::EINVAL),
        RouteKind::Prohibit => Err(libc::EACCES),
        RouteKind::Unreachable => Err(libc::EHOSTUNREACH),
        _ => Ok(route),
    }
}

/// By which device, and to which address on it, the machine sends the packet.
pub(crate) fn next_hop(case: &Case, end: &End) -> Option<(String, IpAddr)> {
    let route = lookup(case, end).ok()?;
    let hop = route.nexthops.first();
    let device = route.dev.clone().or_else(|| hop?.dev.clone())?;
    let via = route.via.or_else(|| hop?.via);
    Some((device, via.unwrap_or(routed(case, end).destination)))
}

/// What the kernel says where the machine has no way for the packet.
pub(crate) fn refusal(case: &Case, end: &End) -> Option<String> {
    lookup(case, end).err().map(|errno| std::io::Error::from_raw_os_error(errno).to_string())
}

pub(super) fn none(case: &Case, end: &End) -> Option<Finding> {
    let to = routed(case, end).destination;
    let errno = lookup(case, end).err()?;
    if !matches!(errno, libc::ENETUNREACH | libc::EHOSTUNREACH) {
        return None;
    }
    Some(missing(case, end.machine, end.way, to))
}

/// That no route leads to an address, or back to it.
pub(super) fn missing(case: &Case, machine: usize, way: Way, to: IpAddr) -> Finding {
    let cause = match way {
        Way::Question => Cause::NoRoute { to },
        Way::Answer => Cause::NoWayBack { to, forwarded_by: forwarders(case, to) },
    };
    case.finding(machine, way, cause).at(to.to_string())
}

/// The machines that passed the question on with that source.
fn forwarders(case: &Case, source: IpAddr) -> Vec<String> {
    let mut machines: Vec<_> = case
        .trail
        .flights
        .iter()
        .filter(|flight| flight.way == Way::Question)
        .flat_map(|flight| &flight.sightings)
        .filter(|one| one.tuple.source == source && one.tap.place.machine != case.asker && case.lab.bridge(one.tap.place).is_none())
        .filter(|one| one.tap.direction == crate::capture::Direction::Out)
        .map(|one| case.name(one.tap.place.machine))
        .collect();
    machines.dedup();
    machines
}

/// A route of kind blackhole, unreachable or prohibit.
pub(super) fn refuses(case: &Case, end: &End) -> Option<Finding> {
    let errno = lookup(case, end).err()?;
    let to = routed(case, end).destination;
    let route = refusing(case, end.machine, to, None)?;
    let fits = match route.kind {
        RouteKind::Blackhole => libc::EINVAL,
        RouteKind::Prohibit => libc::EACCES,
        _ => libc::EHOSTUNREACH,
    };
    // A packet that should be forwarded is refused alike, whatever the kind.
    if errno != fits && end.by.is_none() {
        return None;
    }
    let cause = Cause::RouteRefuses { to, route: route.kind.to_string() };
    Some(
        case.finding(end.machine, end.way, cause)
            .at(route.to_string().trim())
            .cured_by(format!("ip route del {}", route.to_string().trim())),
    )
}

/// The route of the longest prefix for an address, of a table or of any, if it is one that refuses.
pub(super) fn refusing(case: &Case, machine: usize, to: IpAddr, table: Option<u32>) -> Option<Route> {
    let query = if to.is_ipv6() { RouteQuery::all_tables().ipv6() } else { RouteQuery::all_tables().ipv4() };
    let routes = case.machine(machine).netns.routes_of(query).ok()?;
    let fits = |route: &&Route| route.dst.contains(&to) && table.map_or(route.table != 255, |table| route.table == table);
    let longest = routes.iter().filter(fits).max_by_key(|route| (route.dst.prefix_len(), std::cmp::Reverse(route.metric)))?;
    matches!(longest.kind, RouteKind::Blackhole | RouteKind::Prohibit | RouteKind::Unreachable).then(|| longest.clone())
}

pub(super) fn reverse_path(case: &Case, end: &End) -> Option<Finding> {
    let device = end.iif(case)?;
    // Newer kernels answer EINVAL to whatever is wrong with a source.
    if !matches!(lookup(case, end).err()?, libc::EXDEV | libc::EINVAL) || case.counted(end.machine, "TcpExtIPReversePathFilter") == 0 {
        return None;
    }
    let mode = |name: &str| case.machine(end.machine).sysctl(&["net", "ipv4", "conf", name, "rp_filter"]);
    let strictest = [mode("all"), mode(&device)].into_iter().flatten().filter_map(|value| value.trim().parse::<u8>().ok()).max()?;
    let source = end.tuple.source;
    // Others' packets may have been counted.
    let leads_back = match case.machine(end.machine).way(&Question { mark: case.mark(end.machine, end.way), ..Question::to(source) }) {
        Ok(route) => {
            strictest != 1 || route.dev.as_ref() == Some(&device) || route.nexthops.iter().any(|hop| hop.dev.as_ref() == Some(&device))
        }
        Err(_) => false,
    };
    if leads_back {
        return None;
    }
    let cause = Cause::ReversePathFilter { source, device: device.clone(), strict: strictest == 1 };
    Some(case.finding(end.machine, end.way, cause).at(device))
}

pub(super) fn martian(case: &Case, end: &End) -> Option<Finding> {
    let device = end.iif(case)?;
    let machine = case.machine(end.machine);
    let tuple = routed(case, end);
    if tuple.source.is_ipv6() || machine.links.named(&device).is_some_and(|link| link.has_flag("LOOPBACK")) {
        return None;
    }
    let conf =
        |word: &str| !machine.is_on(&["net", "ipv4", "conf", &device, word]) && !machine.is_on(&["net", "ipv4", "conf", "all", word]);
    let named = |word: &str| format!("net.ipv4.conf.{device}.{word}");
    let own = machine.addresses.iter().any(|address| address.net.addr() == tuple.source);
    let cause = if tuple.destination.is_loopback() && conf("route_localnet") {
        Cause::MartianDestination { destination: tuple.destination, sysctl: named("route_localnet") }
    } else if tuple.source.is_loopback() && conf("route_localnet") {
        Cause::MartianSource { source: tuple.source, sysctl: named("route_localnet") }
    } else if own && conf("accept_local") {
        Cause::MartianSource { source: tuple.source, sysctl: named("accept_local") }
    } else {
        return None;
    };
    let (Cause::MartianSource { sysctl, .. } | Cause::MartianDestination { sysctl, .. }) = &cause else { return None };
    let cure = format!("sysctl -w {sysctl}=1");
    Some(case.finding(end.machine, end.way, cause).at(device).cured_by(cure))
}
