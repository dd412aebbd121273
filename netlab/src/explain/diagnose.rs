//! From the evidence to the finding: the question is followed, then the answer, and where one ends, its causes are looked for.

use super::Step;
use super::case::Case;
use super::cause::Cause;
use super::causes;
use super::finding::{Finding, Way};
use super::lab::Tap;
use super::trail::Flight;
use super::tuple::Tuple;
use super::walk::{End, Ended, Walk};
use crate::capture::Direction;
use crate::probe::Outcome;
use crate::snapshot::Question;

/// The way, and what came to light.
#[derive(Default)]
pub(super) struct Diagnosis {
    pub(super) path: Vec<Step>,
    pub(super) finding: Option<Finding>,
    pub(super) known: Vec<String>,
}

pub(super) fn diagnose(case: &Case) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    let question = question(case);
    let first = case.trail.flights.iter().find(|flight| flight.way == Way::Question);
    let there = case.walk(Way::Question, first, case.asker, question);
    diagnosis.path.extend(there.steps.iter().cloned());
    let arrived = arrived(case, &there);
    let back = arrived.then(|| answer(case, &there.end)).flatten();
    diagnosis.path.extend(back.iter().flat_map(|back| back.steps.iter().cloned()));
    if matches!(case.outcome, Outcome::Answer(_)) {
        return diagnosis;
    }
    diagnosis.finding = blame(case, &there, back.as_ref());
    if diagnosis.finding.is_none() {
        diagnosis.known = known(case, last(&there, back.as_ref()));
    }
    diagnosis
}

fn last<'a>(there: &'a Walk, back: Option<&'a Walk>) -> &'a End {
    back.map_or(&there.end, |back| &back.end)
}

fn arrived(case: &Case, walk: &Walk) -> bool {
    matches!(walk.end.place, Ended::Inside) && case.is_here(&walk.end)
}

/// The packet as the asker sent it, or would have.
fn question(case: &Case) -> Tuple {
    case.trail.first.unwrap_or_else(|| {
        let to = case.target.ip();
        let source = case.machine(case.asker).way(&Question::to(to)).ok().and_then(|route| route.src);
        let any = if to.is_ipv6() { std::net::Ipv6Addr::UNSPECIFIED.into() } else { std::net::Ipv4Addr::UNSPECIFIED.into() };
        let written = case.probe.source_text().and_then(|text| text.parse().ok());
        Tuple {
            protocol: case.probe.ip_protocol(to.is_ipv6()),
            source: written.or(source).unwrap_or(any),
            source_port: 0,
            destination: to,
            destination_port: case.target.port(),
        }
    })
}

/// The way back, if the machine that was asked, or one on the way, said something.
fn answer(case: &Case, asked: &End) -> Option<Walk> {
    let tuple = case.translated(asked.machine, asked.tuple).back();
    let flight = case.trail.flights.iter().find(|flight| flight.way == Way::Answer);
    let origin = flight.map_or(asked.machine, |flight| flight.sightings[0].tap.place.machine);
    let tried = flight.is_some() || case.events(asked.machine, Way::Answer).next().is_some();
    tried.then(|| case.walk(Way::Answer, flight, origin, flight.map_or(tuple, |flight| flight.sightings[0].tuple)))
}

fn blame(case: &Case, there: &Walk, back: Option<&Walk>) -> Option<Finding> {
    if causes::remembers(case)
        && let Some(stale) = causes::stale(case)
    {
        return Some(stale);
    }
    if !arrived(case, there) {
        let finding = of_way(case, &there.end, &there.ends)?;
        return Some(causes::blame_translation(case, finding));
    }
    if let Some(stray) = causes::strays(case, Some(there.end.machine)) {
        return Some(stray);
    }
    let refused = matches!(case.outcome, Outcome::Refused | Outcome::IcmpError(_) | Outcome::Reset);
    if let Some(finding) = causes::find(case, &there.end).filter(|_| back.is_none() || refused) {
        return Some(causes::blame_translation(case, finding));
    }
    match back {
        Some(back) if !arrived(case, back) => of_way(case, &back.end, &back.ends),
        Some(back) => causes::find(case, &back.end).or_else(|| later(case, there)),
        None => no_way_back(case, there).or_else(|| causes::unanswered(case, &there.end)),
    }
}

/// The cause where the packet ended, or a machine before that sent it astray.
fn of_way(case: &Case, end: &End, ends: &[End]) -> Option<Finding> {
    let astray = ends.iter().chain([end]).find_map(|end| causes::elsewhere(case, end));
    let finding = astray.or_else(|| causes::find(case, end))?;
    let is_about_source = match &finding.cause {
        Cause::ReversePathFilter { .. } => true,
        Cause::NoWayBack { .. } | Cause::NeighbourUnresolved { .. } => end.way == Way::Answer,
        _ => false,
    };
    let wrong_source = is_about_source.then(|| causes::wrong_source(case, end)).flatten();
    Some(wrong_source.unwrap_or(finding))
}

/// The machine that was asked has no way to send an answer: it does not even try then.
fn no_way_back(case: &Case, there: &Walk) -> Option<Finding> {
    let tuple = case.translated(there.end.machine, there.end.tuple).back();
    let end = End { way: Way::Answer, machine: there.end.machine, by: None, arrived: None, before: None, tuple, place: Ended::Inside };
    if causes::next_hop(case, &end).is_none() {
        return of_way(case, &end, &[]);
    }
    // An answer that waits for a neighbour was seen nowhere, but the question for the neighbour was.
    causes::neighbour_of(case, &end)
}

/// Of a connection that was made, the packet that got lost later.
fn later(case: &Case, there: &Walk) -> Option<Finding> {
    let lost = |flight: &&Flight| {
        let origin = match flight.way {
            Way::Question => case.asker,
            Way::Answer => there.end.machine,
        };
        let walk = case.walk(flight.way, Some(flight), origin, flight.sightings[0].tuple);
        (!arrived(case, &walk)).then_some(walk)
    };
    let found = case.trail.flights.iter().find_map(|flight| lost(&flight));
    match found {
        Some(walk) => of_way(case, &walk.end, &walk.ends),
        None => causes::find(case, &there.end).or_else(|| causes::unanswered(case, &there.end)),
    }
}

/// What can be said where the cause cannot.
fn known(case: &Case, end: &End) -> Vec<String> {
    const TELLING: [&str; 13] = [
        "IpInAddrErrors",
        "IpInDiscards",
        "IpOutDiscards",
        "IpOutNoRoutes",
        "IpInHdrErrors",
        "TcpExtIPReversePathFilter",
        "TcpExtListenOverflows",
        "UdpRcvbufErrors",
        "Ip6InNoRoutes",
        "Ip6InAddrErrors",
        "UdpInErrors",
        "XfrmInPolBlock",
        "XfrmOutPolBlock",
    ];
    let machine = case.name(end.machine);
    let mut lines = vec![match &end.place {
        Ended::Inside if end.by.is_none() => format!("{machine} sent nothing"),
        Ended::Inside if case.is_here(end) => format!("{machine} has the {}, and nothing followed", end.way),
        Ended::Inside => format!("{machine} has the {}, and did not send it on", end.way),
        Ended::Between { taps, seen } => between(case, taps, *seen),
        Ended::Nowhere { left } => format!("{machine} sent it by {}, behind which netlab sees nobody", case.lab.device(left.tap.place)),
    }];
    match causes::next_hop(case, end) {
        _ if case.is_here(end) => {}
        Some((device, hop)) => lines.push(format!("{machine} routes it to {hop} by {device}")),
        None => lines.extend(causes::refusal(case, end).map(|why| format!("{machine} has no way for it: {why}"))),
    }
    let grown = TELLING.iter().map(|name| (name, case.counted(end.machine, name))).filter(|(_, grown)| *grown > 0);
    lines.extend(grown.map(|(name, grown)| format!("{machine} counted {name} +{grown}")));
    lines
}

fn between(case: &Case, taps: &[Tap], seen: usize) -> String {
    let name = |tap: &Tap| {
        let verb = if tap.direction == Direction::In { "received" } else { "sent" };
        format!("{} {verb} by {}", case.name(tap.place.machine), case.lab.device(tap.place))
    };
    match (taps.get(seen.saturating_sub(1)), taps.get(seen)) {
        (Some(last), Some(next)) => format!("{}; not {}", name(last), name(next)),
        _ => "it was seen nowhere".to_owned(),
    }
}
