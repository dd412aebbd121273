//! Translations that lead nowhere, that are missing on the way back, that are too old.

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::{Finding, Way};
use super::super::trail::Sighting;
use super::super::tuple::Tuple;
use crate::capture::Direction;
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

/// Whether the tuple is what came to the machine, and not what went back.
fn is_original(case: &Case, machine: usize, tuple: &Tuple) -> bool {
    let came = |one: &Sighting| one.tap.place.machine == machine && one.tuple == *tuple && one.tap.direction == Direction::In;
    let questions = case.trail.flights.iter().filter(|flight| flight.way == Way::Question);
    (machine == case.asker && case.trail.first == Some(*tuple)) || questions.flat_map(|flight| &flight.sightings).any(came)
}

/// Where a rule of NAT chose the place at which the packet found nobody, the rule is to blame.
pub(crate) fn blame(case: &Case, finding: Finding) -> Finding {
    let Some((machine, before, after)) = translator(case).filter(|_| finding.direction == Way::Question) else { return finding };
    let to = after.destination;
    let nobody_is_there = case.lab.holders(to).is_empty() && !to.is_loopback();
    let misses = match &finding.cause {
        Cause::NoRoute { to: missed } | Cause::NeighbourUnresolved { address: missed, .. } => *missed == to && nobody_is_there,
        Cause::NobodyListens { elsewhere, .. } => !elsewhere.is_empty(),
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

/// The rule whose text names the new destination.
fn dnat_rule(case: &Case, machine: usize, after: Tuple) -> Option<String> {
    let rules = case.told[machine].ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    let address = after.destination.to_string();
    let names = |text: &&str| (text.contains("dnat") && text.contains(&address)) || text.contains("redirect");
    rules.map(|rule| rule.text()).find(names).map(str::to_owned)
}

/// An answer that comes from somebody who was not asked.
pub(crate) fn strays(case: &Case, server: Option<usize>) -> Option<Finding> {
    let stray: &Sighting = case.trail.strays.first().or_else(|| untranslated(case))?;
    let (asked, answered) = (case.trail.first?.destination, stray.tuple.source);
    let place = case.lab.device(stray.tap.place);
    if let Some((machine, ..)) = translator(case) {
        let cause = Cause::AnswerNotTranslated { asked, answered, translator: Some(case.name(machine)) };
        return Some(case.finding(machine, Way::Answer, cause).at(answered.to_string()));
    }
    let server = server.filter(|server| case.is_local(*server, answered))?;
    Some(case.finding(server, Way::Answer, Cause::AnswersFromOtherAddress { asked, answered }).at(place))
}

/// An answer that came back to the asker as it was sent, though the question was translated.
fn untranslated(case: &Case) -> Option<&Sighting> {
    let wanted = case.trail.first?.back();
    let answers = case.trail.flights.iter().filter(|flight| flight.way == Way::Answer).flat_map(|flight| &flight.sightings);
    let mut came = answers.filter(|one| one.tap.place.machine == case.asker && one.tap.direction == Direction::In);
    came.find(|one| one.tuple != wanted && case.translated(case.asker, one.tuple) != wanted)
}

/// The connection that a machine remembers from before, though a question that it does not remember would be answered.
pub(crate) fn stale(case: &Case) -> Option<Finding> {
    let first = case.trail.first?;
    let old = |machine: usize, as_it_is: bool| {
        let fits = |connection: &&Connection| {
            let mut met = case.trail.questions.iter().filter_map(|tuple| Some((tuple, tuple.translated(connection)?)));
            met.any(|(tuple, after)| !as_it_is || *tuple == after)
        };
        let known = case.known[machine].iter().find(fits)?;
        let rules = nat_rules(case, machine);
        (!rules.is_empty()).then_some((machine, known, rules))
    };
    // One that is not translated at all rather than one that is translated otherwise.
    let machines = || 0..case.lab.machines.len();
    let found = machines().find_map(|machine| old(machine, true)).or_else(|| machines().find_map(|machine| old(machine, false)));
    let (machine, known, mut rules) = found?;
    let anew = case.probe.with_patience(std::time::Duration::from_millis(200)).anew(first.source);
    let answered = matches!(case.machine(case.asker).netns.observe(&anew), Ok(crate::probe::Outcome::Answer(_)));
    let words = |connection: &Connection| format!("{} {}", connection.protocol_name(), connection.original).trim().to_owned();
    // Which of several it would have met is not known.
    let rule = rules.pop().filter(|_| rules.is_empty());
    let cause = Cause::StaleConnection { connection: words(known), rule };
    answered.then(|| case.finding(machine, Way::Question, cause).at("conntrack").cured_by("conntrack -F"))
}

/// The rules of the machine that translate.
fn nat_rules(case: &Case, machine: usize) -> Vec<String> {
    let chains = case.told[machine].ruleset.tables.iter().flat_map(|table| &table.chains);
    let nat = chains.filter(|chain| chain.base.as_ref().is_none_or(|base| base.kind == "nat")).flat_map(|chain| &chain.rules);
    let translates = |text: &&str| ["dnat", "snat", "masquerade", "redirect"].iter().any(|word| text.contains(word));
    nat.map(|rule| rule.text()).filter(translates).map(str::to_owned).collect()
}

/// Whether the way of the packet is that of a connection of before.
pub(crate) fn remembers(case: &Case) -> bool {
    case.known.iter().flatten().any(|connection| case.trail.questions.iter().any(|tuple| tuple.translated(connection).is_some()))
}
