//! Rules and policies that drop, by the words of the trace.

use super::super::case::Case;
use super::super::cause::{Cause, FatalRule};
use super::super::finding::{Finding, Way};
use super::super::trace::Event;
use super::super::walk::{End, Ended};

/// A rule or policy of the machine in which the packet ended.
pub(super) fn dropped(case: &Case, end: &End) -> Option<Finding> {
    let fatal = case.events(end.machine, end.way).find(|event| event.fatal)?;
    Some(accuse(case, end.machine, end.way, fatal, false))
}

/// A rule or policy of a machine whose bridge should have passed the frame on, or that took it at its ingress.
pub(super) fn between(case: &Case, end: &End) -> Option<Finding> {
    let Ended::Between { taps, seen } = &end.place else { return None };
    let near = taps[seen.saturating_sub(1)..].iter().take(2).map(|tap| tap.place.machine);
    near.into_iter().find_map(|machine| {
        let of_way = case.events(machine, end.way).find(|event| event.fatal);
        let fatal = of_way.or_else(|| case.told[machine].events.iter().find(|event| event.fatal && event.other.is_some()))?;
        Some(accuse(case, machine, end.way, fatal, true))
    })
}

/// A rule that dropped the question for a neighbour, or the answer.
pub(super) fn of_discovery(case: &Case, machine: usize, way: Way) -> Option<Finding> {
    let fatal = case.told[machine].events.iter().find(|event| event.fatal && event.other.is_some())?;
    Some(accuse(case, machine, way, fatal, false))
}

fn accuse(case: &Case, machine: usize, way: Way, event: &Event, bridged: bool) -> Finding {
    let Event { family, table, chain, handle, hook, .. } = event;
    let chain_there = case.told[machine].ruleset.table(*family, table).and_then(|table| table.chain(chain));
    let rule = handle.and_then(|handle| chain_there?.rules.iter().find(|rule| rule.handle == handle));
    let rule = rule.map(|rule| FatalRule { handle: rule.handle, text: rule.text().to_owned() });
    let pulled_in = bridged && !matches!(event.family, crate::nft::Family::Bridge | crate::nft::Family::Netdev | crate::nft::Family::Arp);
    let cause = Cause::Filtered {
        family: *family,
        table: table.clone(),
        chain: chain.clone(),
        hook: hook.clone(),
        rule,
        pulled_in,
        of: event.other.clone(),
    };
    let finding = case.finding(machine, way, cause).at(format!("{family} {table} {chain}"));
    let sysctl =
        if event.tuple.is_some_and(|tuple| tuple.source.is_ipv6()) { "bridge-nf-call-ip6tables" } else { "bridge-nf-call-iptables" };
    if pulled_in { finding.cured_by(format!("sysctl -w net.bridge.{sysctl}=0")) } else { finding }
}
