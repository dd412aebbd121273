//! Policy rules that refuse a packet or lead it elsewhere.

use super::super::case::Case;
use super::super::cause::Cause;
use super::super::finding::{Finding, Way};
use super::super::tuple::Tuple;
use super::super::walk::End;
use super::route::{refusing, routed};
use crate::snapshot::{Action, Route, RouteQuery, Rule};

const MAIN: u32 = 254;
const STANDARD: [u32; 3] = [253, MAIN, 255];

/// Whether the rule means the packet.
fn means(case: &Case, end: &End, rule: &Rule, tuple: &Tuple) -> bool {
    let iif = end.iif(case).unwrap_or_else(|| "lo".to_owned());
    let within = |range: Option<(u16, u16)>, port: u16| range.is_none_or(|(first, last)| (first..=last).contains(&port));
    let mark = case.mark(end.machine, end.way);
    // The kernel has chosen no source yet when it looks for the way of its own packet, unless the socket is bound to one.
    let has_source = end.by.is_some() || end.way == Way::Answer || case.probe.source_text().is_some();
    let fits = rule.from.is_none_or(|from| if has_source { from.contains(&tuple.source) } else { from.prefix_len() == 0 })
        && rule.to.is_none_or(|to| to.contains(&tuple.destination))
        && rule.iif.as_ref().is_none_or(|name| *name == iif)
        && rule.oif.is_none()
        && rule.fwmark.is_none_or(|(wanted, mask)| mark & mask == wanted)
        && rule.ip_protocol.is_none_or(|protocol| protocol == tuple.protocol)
        && within(rule.sport, tuple.source_port)
        && within(rule.dport, tuple.destination_port);
    fits != rule.not
}

/// The rules that mean the packet, in their order, without the kernel's own three.
fn meant(case: &Case, end: &End) -> Vec<Rule> {
    let tuple = routed(case, end);
    let netns = &case.machine(end.machine).netns;
    let rules = if tuple.destination.is_ipv6() { netns.rules_ipv6() } else { netns.rules() };
    let mut rules: Vec<_> = rules.into_iter().flatten().filter(|rule| means(case, end, rule, &tuple)).collect();
    rules.retain(|rule| rule.action != Action::Lookup || rule.table.is_some_and(|table| table != 255));
    rules
}

/// The route of the longest prefix in a table.
fn best(case: &Case, end: &End, table: u32) -> Option<Route> {
    let to = routed(case, end).destination;
    let query = RouteQuery::table(table);
    let query = if to.is_ipv6() { query.ipv6() } else { query };
    let routes = case.machine(end.machine).netns.routes_of(query).ok()?;
    routes
        .iter()
        .filter(|route| route.dst.contains(&to))
        .max_by_key(|route| (route.dst.prefix_len(), std::cmp::Reverse(route.metric)))
        .cloned()
}

/// A rule that refuses, or leads to a table whose route refuses.
pub(super) fn refuses(case: &Case, end: &End) -> Option<Finding> {
    let tuple = routed(case, end);
    if case.route(end.machine, end.way, tuple, end.iif(case)).is_ok_and(|route| route.kind == crate::snapshot::RouteKind::Unicast) {
        return None;
    }
    for rule in meant(case, end) {
        let effect = match (rule.action, rule.table) {
            (Action::Blackhole | Action::Unreachable | Action::Prohibit, _) => "refuses it".to_owned(),
            (Action::Lookup, Some(table)) => {
                let Some(route) = best(case, end, table) else { continue };
                let refusing = refusing(case, end.machine, tuple.destination, Some(table)).filter(|_| !STANDARD.contains(&table))?;
                debug_assert_eq!(route.kind, refusing.kind);
                format!("leads it to table {table}, whose route `{}` refuses it", refusing.to_string().trim())
            }
            _ => continue,
        };
        return Some(accuse(case, end, &rule, effect));
    }
    None
}

fn accuse(case: &Case, end: &End, rule: &Rule, effect: String) -> Finding {
    let text = rule.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let cure = format!("ip rule del pref {}", rule.priority);
    case.finding(end.machine, end.way, Cause::PolicyRule { rule: text.clone(), effect }).at(text).cured_by(cure)
}

/// A rule by which the packet takes another way than the main table's, which would have led to the one who is asked.
pub(crate) fn elsewhere(case: &Case, end: &End) -> Option<Finding> {
    let tuple = routed(case, end);
    let taken = case.route(end.machine, end.way, tuple, end.iif(case)).ok()?;
    if STANDARD.contains(&taken.table) {
        return None;
    }
    let main = best(case, end, MAIN)?;
    if (main.via, &main.dev) == (taken.via, &taken.dev) || !case.leads(end, &main) {
        return None;
    }
    let rule = meant(case, end).into_iter().find(|rule| rule.table == Some(taken.table))?;
    let via = taken.via.map(|via| format!(" via {via}")).unwrap_or_default();
    let effect = format!("sends it{via} by {}, which is not the way of the main table", taken.dev.unwrap_or_default());
    Some(accuse(case, end, &rule, effect))
}
