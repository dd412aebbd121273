//! The machine that is asked has the packet: who takes it there, and why nobody answers.

use std::net::SocketAddr;

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::{Finding, Way};
use super::super::trail::{Flight, Sighting};
use super::super::tuple::Tuple;
use super::super::walk::End;
use crate::sockets::{self, Listening};

/// The packet as sockets see it.
fn delivered(case: &Case, end: &End) -> Tuple {
    case.translated(end.machine, end.tuple)
}

fn has_ports(tuple: &Tuple) -> bool {
    tuple.is_tcp() || tuple.is_udp()
}

fn on_port(case: &Case, machine: usize, tuple: &Tuple) -> Vec<Listening> {
    let all = sockets::listening(&case.machine(machine).netns);
    all.into_iter().filter(|socket| socket.protocol == tuple.protocol && socket.address.port() == tuple.destination_port).collect()
}

/// The sockets that take it.
fn takers(case: &Case, end: &End) -> Vec<Listening> {
    let tuple = delivered(case, end);
    on_port(case, end.machine, &tuple).into_iter().filter(|socket| socket.takes(tuple.destination)).collect()
}

/// No socket takes it: there is none, or one of another address.
pub(super) fn nobody(case: &Case, end: &End) -> Option<Finding> {
    let tuple = delivered(case, end);
    if !has_ports(&tuple) || end.way == Way::Answer || !takers(case, end).is_empty() {
        return None;
    }
    let protocol = tuple.protocol_name().to_owned();
    let near = on_port(case, end.machine, &tuple);
    let bound: Vec<SocketAddr> = near.iter().map(|socket| socket.address).collect();
    let cause = match bound.as_slice() {
        [] => Cause::NobodyListens { elsewhere: elsewhere(case, end.machine, &tuple), port: tuple.destination_port, protocol },
        _ if near.iter().any(|socket| socket.v6_only && socket.address.ip().is_unspecified()) && tuple.destination.is_ipv4() => {
            Cause::V6Only { protocol, port: tuple.destination_port }
        }
        [first, ..] if bound.iter().all(|bound| bound.ip().is_loopback()) => Cause::BoundToLoopback { protocol, bound: *first },
        _ => Cause::BoundElsewhere { protocol, asked: tuple.to(), bound },
    };
    Some(case.finding(end.machine, end.way, cause).at(format!("{} {}", tuple.protocol_name(), tuple.to())))
}

/// Who listens on that port of other machines, or of this one with another protocol or on another port.
fn elsewhere(case: &Case, here: usize, tuple: &Tuple) -> Vec<String> {
    const MOST: usize = 4;
    let mut found = Vec::new();
    for (place, machine) in case.lab.machines.iter().enumerate() {
        for socket in sockets::listening(&machine.netns) {
            let same_port = socket.address.port() == tuple.destination_port;
            if same_port || (place == here && socket.protocol == tuple.protocol) {
                let protocol = if socket.protocol == 6 { "tcp" } else { "udp" };
                found.push((place != here, format!("{protocol} {} in {}", socket.address, machine.name())));
            }
        }
    }
    found.sort();
    found.dedup();
    found.into_iter().take(MOST).map(|(_, text)| text).collect()
}

/// More connections wait to be accepted than may.
pub(super) fn backlog(case: &Case, end: &End) -> Option<Finding> {
    let tuple = delivered(case, end);
    let full = takers(case, end).into_iter().find(|socket| tuple.is_tcp() && socket.queued > socket.limit)?;
    if let Some(finding) = stopped(case, end) {
        return Some(finding);
    }
    let cause = Cause::BacklogFull { bound: full.address, waiting: full.queued, limit: full.limit };
    Some(case.finding(end.machine, end.way, cause).at(full.address.to_string()))
}

/// The process is stopped, so that nobody reads what came.
pub(super) fn stopped(case: &Case, end: &End) -> Option<Finding> {
    let owner = takers(case, end).iter().flat_map(|socket| sockets::owners(socket.inode)).find(|owner| owner.stopped)?;
    let cause = Cause::ProcessStopped { name: owner.name, pid: owner.pid };
    Some(case.finding(end.machine, end.way, cause).at(delivered(case, end).to().to_string()).cured_by(format!("kill -CONT {}", owner.pid)))
}

/// A ping that the machine is told not to answer.
pub(super) fn ignored(case: &Case, end: &End) -> Option<Finding> {
    let tuple = delivered(case, end);
    if has_ports(&tuple) || end.way == Way::Answer {
        return None;
    }
    let words: &[&str] =
        if tuple.destination.is_ipv6() { &["net", "ipv6", "icmp", "echo_ignore_all"] } else { &["net", "ipv4", "icmp_echo_ignore_all"] };
    let sysctl = words.join(".");
    let cure = format!("sysctl -w {sysctl}=0");
    case.machine(end.machine).is_on(words).then(|| case.finding(end.machine, end.way, Cause::EchoIgnored { sysctl }).cured_by(cure))
}

/// Somebody has taken the question, and says nothing.
pub(super) fn silent(case: &Case, end: &End) -> Option<Finding> {
    let tuple = delivered(case, end);
    let taker = takers(case, end).into_iter().next()?;
    let protocol = tuple.protocol_name().to_owned();
    let cause = Cause::NoAnswerFromProcess { protocol, bound: taker.address, untaken: taker.queued };
    kept_silent(case, end, &tuple, &taker)
        .then(|| case.finding(end.machine, end.way, cause).at(format!("{} {}", tuple.protocol_name(), tuple.to())))
}

/// Whether the process had the question and said nothing, and it was not the machine that refused its answer.
fn kept_silent(case: &Case, end: &End, tuple: &Tuple, taker: &Listening) -> bool {
    const REFUSED: [&str; 4] = ["IpOutDiscards", "IpOutNoRoutes", "Ip6OutNoRoutes", "XfrmOutPolBlock"];
    let of_way = |way: Way| case.trail.flights.iter().filter(move |flight| flight.way == way);
    let counted = |name: &str| case.counted(end.machine, name) > 0;
    let has = if tuple.is_tcp() {
        // The machine itself answers to the first packet; the second one makes the connection.
        let came = |flight: &&Flight| flight.sightings.iter().any(|one| one.tap.place.machine == end.machine);
        of_way(Way::Question).filter(came).count() > 1
    } else {
        taker.queued > 0 || counted(if tuple.source.is_ipv6() { "Udp6InDatagrams" } else { "UdpInDatagrams" })
    };
    // A TCP segment without payload is of the machine, not of the process.
    let words = |one: &Sighting| one.packet.ip().is_some_and(|ip| ip.as_tcp().is_none_or(|tcp| tcp.length > 0));
    let answered = of_way(Way::Answer).flat_map(|flight| &flight.sightings).any(words);
    has_ports(tuple) && has && !answered && !REFUSED.into_iter().any(counted)
}
