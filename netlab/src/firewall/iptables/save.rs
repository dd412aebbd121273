//! Text of iptables-save and for iptables-restore.

use std::panic::Location;

use super::super::change::Order;
use super::super::plan::Plan;
use super::super::rules::Rules;
use super::super::{Policy, RuleChain};
use super::command::{Command, parse_in};
use super::draft::{is_table, tables};
use super::install::pointed;
use super::words::Wrong;
use crate::error::{At, Result};
use crate::netns::Netns;
use crate::nft::Family;
use crate::nft::transaction::Position;

/// What a text asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Saved {
    /// Table and name.
    pub(super) chains: Vec<(String, String)>,
    /// Table, chain, and whether it is to accept.
    pub(super) policies: Vec<(String, String, bool)>,
    /// With the number of its line, and whether it goes before the others.
    pub(super) rules: Vec<(usize, Plan, bool)>,
}

/// A line that is wrong: its number, counted from 1, and its text.
#[derive(Debug)]
pub(super) struct WrongLine<'a> {
    pub(super) number: usize,
    pub(super) line: &'a str,
    pub(super) wrong: Wrong,
}

/// Reads a text: `*nat`, chains and rules, `COMMIT`; and so for each table.
pub(super) fn read(text: &str, family: Family) -> std::result::Result<Saved, WrongLine<'_>> {
    let mut saved = Saved::default();
    let mut table: Option<&str> = None;
    let mut last = (0, "");
    for (place, line) in text.lines().enumerate() {
        let (number, line) = (place + 1, line.trim());
        let at = |why: &str| WrongLine { number, line, wrong: Wrong::new(0..line.len(), why) };
        last = (number, line);
        match (line.chars().next(), table) {
            (None | Some('#'), _) => {}
            (Some('*'), None) if !is_table(&line[1..]) => return Err(at(&format!("`{}` is none of the tables {}", &line[1..], tables()))),
            (Some('*'), None) => table = Some(&line[1..]),
            (Some('*'), Some(open)) => return Err(at(&format!("the table {open} has no COMMIT"))),
            (Some(_), None) => return Err(at("a line begins with `*` and the name of a table")),
            (Some(_), Some(_)) if line == "COMMIT" => table = None,
            (Some(':'), Some(table)) => saved.chain(table, line, family).map_err(|wrong| WrongLine { number, line, wrong })?,
            (Some(_), Some(table)) => {
                let (skipped, rule) = without_counters(line);
                let command = parse_in(rule, family, table).map_err(|wrong| wrong.later(skipped));
                saved.add(number, command.map_err(|wrong| WrongLine { number, line, wrong })?, line)?;
            }
        }
    }
    match table {
        Some(open) => {
            let wrong = Wrong::new(0..last.1.len(), format!("the table {open} has no COMMIT"));
            Err(WrongLine { number: last.0, line: last.1, wrong })
        }
        None => Ok(saved),
    }
}

/// A rule without what iptables-save -c writes before it, and how many bytes that takes.
fn without_counters(line: &str) -> (usize, &str) {
    let rule = line.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(line, |(_, rule)| rule.trim_start());
    (line.len() - rule.len(), rule)
}

impl Saved {
    /// `:CHAIN POLICY [PACKETS:BYTES]`; own chains have the policy `-`.
    fn chain(&mut self, table: &str, line: &str, family: Family) -> std::result::Result<(), Wrong> {
        let mut words = line[1..].split_whitespace();
        let (name, policy) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let line = if policy == "-" { format!("-N {name}") } else { format!("-P {name} {policy}") };
        // `:` takes the place of `-N `.
        match parse_in(&line, family, table).map_err(|wrong| Wrong::new(0..1 + name.len(), wrong.why))? {
            Command::NewChain { table, chain, .. } => self.chains.push((table, chain)),
            Command::Policy { table, chain, accept, .. } => self.policies.push((table, chain, accept)),
            Command::Append(_) | Command::Insert(..) => {}
        }
        Ok(())
    }

    fn add<'a>(&mut self, number: usize, command: Command, line: &'a str) -> std::result::Result<(), WrongLine<'a>> {
        let wrong = |why: &str| Err(WrongLine { number, line, wrong: Wrong::new(0..line.len(), why) });
        match command {
            Command::Append(plan) => self.rules.push((number, plan, false)),
            Command::Insert(plan, 1) => self.rules.push((number, plan, true)),
            Command::Insert(..) => return wrong("in a text, a rule is appended, or inserted before all others"),
            Command::NewChain { table, chain, .. } => self.chains.push((table, chain)),
            Command::Policy { table, chain, accept, .. } => self.policies.push((table, chain, accept)),
        }
        Ok(())
    }
}

impl Rules {
    /// Installs what a text of iptables-save says, or a text for iptables-restore: rules, own chains and policies.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let node = netlab::Netns::new("node")?;
    /// let _proxy = netlab::Rules::iptables_restore(&node, r#"
    /// *nat
    /// :KUBE-SVC-WEB - [0:0]
    /// :KUBE-SEP-ONE - [0:0]
    /// -A PREROUTING -d 10.96.0.41/32 -p tcp -m comment --comment "shop/web cluster IP" -m tcp --dport 80 -j KUBE-SVC-WEB
    /// -A KUBE-SVC-WEB -j KUBE-SEP-ONE
    /// -A KUBE-SEP-ONE -p tcp -m tcp -j DNAT --to-destination 10.244.0.2:8080
    /// COMMIT
    /// "#)?;
    /// # Ok(()) }
    /// ```
    ///
    /// The rules of all tables come in one transaction. Nothing that is there is flushed, as with `iptables-restore --noflush`: a chain that the
    /// text declares must not be there yet, base chains excepted. Counters start at zero, whatever the text says.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](crate::Error::is_invalid_input) for a line that is not understood: the error shows it with its number, and points at the
    /// word. Otherwise as [`RulesBuilder::install`](crate::RulesBuilder::install). Nothing is left behind then.
    #[track_caller]
    pub fn iptables_restore(netns: &Netns, text: &str) -> Result<Self> {
        let here = Location::caller();
        restore(netns, text, Family::Ip).at(here)
    }

    /// The same for a text of ip6tables-save.
    ///
    /// # Errors
    ///
    /// As [`iptables_restore`](Self::iptables_restore).
    #[track_caller]
    pub fn ip6tables_restore(netns: &Netns, text: &str) -> Result<Self> {
        let here = Location::caller();
        restore(netns, text, Family::Ip6).at(here)
    }
}

fn restore(netns: &Netns, text: &str, family: Family) -> Result<Rules> {
    let what = "understand a text of iptables-save";
    let saved = read(text, family).map_err(|at| pointed(what, &at.wrong, at.line).fact(format!("in line {}", at.number)))?;
    let make = |(table, name): &(String, String)| RuleChain::of(netns, family, table, name);
    let chains = saved.chains.iter().map(make).collect::<Result<Vec<_>>>()?;
    let lines: Vec<_> = text.lines().collect();
    let order = |(_, plan, first): &(usize, Plan, bool)| Order {
        plan: plan.clone(),
        position: if *first { Position::First } else { Position::Last },
    };
    let orders: Vec<_> = saved.rules.iter().map(order).collect();
    let rules = Rules::of_orders(netns, &orders).map_err(|failed| match failed.place.and_then(|place| saved.rules.get(place)) {
        Some((number, ..)) => failed.error.fact(format!("line {number}: {}", lines.get(number - 1).copied().unwrap_or_default().trim())),
        None => failed.error,
    })?;
    let set = |(table, chain, accept): &(String, String, bool)| {
        let policy = if *accept { Policy::accept(netns) } else { Policy::drop(netns) };
        policy.family(family).table(table.as_str()).chain(chain.as_str()).install()
    };
    let policies = saved.policies.iter().map(set).collect::<Result<Vec<Policy>>>()?;
    Ok(rules.beside(chains, policies))
}
