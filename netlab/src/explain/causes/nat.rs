//! Translations that lead nowhere, that are missing on the way back, that are too old.

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::{Finding, Way};
use super::super::trail::Sighting;
use super::super::tuple::Tuple;
use super::super::walk::End;
use crate::conntrack::Connection;

/// The machine that gave the question another destination: what it was there, and what it became.
fn translator(case: &Case) -> Option<(usize, Tuple, Tuple)> {
    let of = |machine: usize| {
        case.trail.questions.iter().find_map(|tuple| {
            let after = case.translated(machine, *tuple);
            // The direction of the question is the one whose source began it.
            let asks = (after.destination, after.destination_port) != (tuple.destination, tuple.destination_port)
                && is_original(case, machine, tuple);
            asks.then_some((machine, *tuple, after))
        })
    };
    (0..case.lab.machines.len()).find_map(of)
}

fn is_original(case: &Case, machine: usize, tuple: &Tuple) -> bool {
    let original = |connection: &Connection| {
        (connection.original.src, connection.original.dst) == (tuple.source, tuple.destination) && tuple.translated(connection).is_some()
    };
    case.connections[machine].iter().any(original)
}

/// Where a rule of NAT chose the place at which the packet found nobody, the rule is to blame.
pub(crate) fn blame(case: &Case, finding: Finding) -> Finding {
    let chosen = translator(case).or_else(|| dead_on_arrival(case));
    let Some((machine, before, after)) = chosen.filter(|_| finding.direction == Way::Question) else { return finding };
    let to = after.destination;
    let nobody_is_there = case.lab.holders(to).is_empty() && !to.is_loopback();
    let misses = match &finding.cause {
        Cause::NoRoute { to: missed } | Cause::NeighbourUnresolved { address: missed, .. } => *missed == to && nobody_is_there,
        Cause::NobodyListens { elsewhere, .. } => !elsewhere.is_empty(),
        // A machine that should have the address takes what is for it for somebody else's.
        Cause::ForwardingOff { .. } => nobody_is_there,
        _ => false,
    };
    if !misses {
        return finding;
    }
    let because = match &finding.cause {
        Cause::NobodyListens { .. } => format!("{finding}"),
        _ => format!("nobody has that address ({finding})"),
    };
    let rule = dnat_rule(case, machine, after);
    let cause = Cause::TranslatedToSilence { from: before.to(), to: after.to(), because };
    let finding = case.finding(machine, Way::Question, cause);
    if let Some(rule) = rule { finding.at(rule) } else { finding }
}

/// A question that died in the machine that translated it leaves no connection, but the trace tells what it had become.
fn dead_on_arrival(case: &Case) -> Option<(usize, Tuple, Tuple)> {
    let first = case.trail.first?;
    (0..case.lab.machines.len()).find_map(|machine| {
        let told = case.events(machine, Way::Question).filter_map(|event| event.tuple);
        let other = |tuple: &Tuple| (tuple.source, tuple.source_port) == (first.source, first.source_port) && tuple.to() != first.to();
        let after = told.filter(other).last()?;
        Some((machine, first, after))
    })
}

/// The rule whose text names the new destination.
fn dnat_rule(case: &Case, machine: usize, after: Tuple) -> Option<String> {
    let rules = case.told[machine].ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    let address = after.destination.to_string();
    let names = |text: &&str| (text.contains("dnat") && text.contains(&address)) || text.contains("redirect");
    rules.map(|rule| rule.text()).find(names).map(str::to_owned)
}

/// An answer that comes from somebody who was not asked.
pub(crate) fn strays(case: &Case, server: Option<usize>) -> Option<Finding> {
    let stray: &Sighting = case.trail.strays.first()?;
    let (asked, answered) = (case.trail.first?.destination, stray.tuple.source);
    let place = case.lab.device(stray.tap.place);
    if let Some((machine, ..)) = translator(case) {
        let cause = Cause::AnswerNotTranslated { asked, answered, translator: Some(case.name(machine)) };
        return Some(case.finding(machine, Way::Answer, cause).at(answered.to_string()));
    }
    let server = server.filter(|server| case.is_local(*server, answered))?;
    Some(case.finding(server, Way::Answer, Cause::AnswersFromOtherAddress { asked, answered }).at(place))
}

/// An answer that came back to the asker as the server sent it, and not as the asker waits for it.
pub(crate) fn untranslated(case: &Case, end: &End) -> Option<Finding> {
    let awaited = case.trail.first?.back();
    let came = case.translated(end.machine, end.arrived.as_ref()?.tuple);
    let (machine, ..) = translator(case)
        .filter(|_| end.machine == case.asker && (came.source, came.source_port) != (awaited.source, awaited.source_port))?;
    let cause = Cause::AnswerNotTranslated { asked: awaited.source, answered: came.source, translator: Some(case.name(machine)) };
    Some(case.finding(machine, Way::Answer, cause).at(came.source.to_string()))
}

/// The connection that a machine remembers from before, though a question that it does not remember would be answered.
pub(crate) fn stale(case: &Case) -> Option<Finding> {
    let first = case.trail.first?;
    let old = |machine: usize| {
        let known = case.known[machine]
            .iter()
            .find(|connection| case.trail.questions.iter().any(|tuple| tuple.translated(connection).is_some()))?;
        let rule = nat_rule(case, machine)?;
        Some((machine, known, rule))
    };
    let (machine, known, rule) = (0..case.lab.machines.len()).find_map(old)?;
    let anew = case.probe.with_patience(std::time::Duration::from_millis(200)).anew(first.source);
    let answered = matches!(case.machine(case.asker).netns.observe(&anew), Ok(crate::probe::Outcome::Answer(_)));
    let words = |connection: &Connection| format!("{} {}", connection.protocol_name(), connection.original).trim().to_owned();
    let cause = Cause::StaleConnection { connection: words(known), rule: Some(rule) };
    answered.then(|| case.finding(machine, Way::Question, cause).at("conntrack").cured_by("conntrack -F"))
}

/// The first rule of the machine that translates.
fn nat_rule(case: &Case, machine: usize) -> Option<String> {
    let chains = case.told[machine].ruleset.tables.iter().flat_map(|table| &table.chains);
    let nat = chains.filter(|chain| chain.base.as_ref().is_none_or(|base| base.kind == "nat")).flat_map(|chain| &chain.rules);
    let translates = |text: &&str| ["dnat", "snat", "masquerade", "redirect"].iter().any(|word| text.contains(word));
    nat.map(|rule| rule.text()).find(translates).map(str::to_owned)
}

/// Whether the way of the packet is that of a connection of before.
pub(crate) fn remembers(case: &Case) -> bool {
    case.known.iter().flatten().any(|connection| case.trail.questions.iter().any(|tuple| tuple.translated(connection).is_some()))
}
