//! Text as `nft list ruleset` prints it, line for line.

mod key;
mod set;
mod statement;
mod value;
mod xt;

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::family::Family;
use super::lift::lift;
use super::object::{Chain, Rule, Set, Table};
use super::resolve::resolve;
use super::statement::Statement;

/// What a listing shows beside the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    /// `nft -a`: the kernel's number of each object, behind `# handle`.
    pub(crate) handles: bool,
    /// What counters have seen; without it, as `nft -s` lists.
    pub(crate) counters: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { handles: false, counters: true }
    }
}

/// What a rule's text depends on beside the rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) family: Family,
    pub(crate) sets: &'a [Set],
    /// The names of interfaces by their indexes.
    pub(crate) interfaces: &'a BTreeMap<u32, String>,
    pub(crate) options: Options,
}

impl Context<'_> {
    pub(crate) fn statements(&self, rule: &Rule) -> Vec<Statement> {
        let sets: Vec<Set>;
        let sets = if rule.sets.is_empty() {
            self.sets
        } else {
            sets = rule.sets.iter().chain(self.sets).cloned().collect();
            &sets
        };
        resolve(self.family, lift(self.family, &rule.exprs, sets))
    }

    /// One rule, without its handle.
    pub(crate) fn rule(&self, rule: &Rule) -> String {
        let mut words: Vec<String> = self.statements(rule).iter().map(|statement| self.statement(statement)).collect();
        if let Some(comment) = &rule.comment {
            words.push(format!("comment \"{comment}\""));
        }
        words.join(" ")
    }

    fn handle(&self, handle: u64) -> String {
        if self.options.handles { format!(" # handle {handle}") } else { String::new() }
    }

    pub(crate) fn table(&self, f: &mut fmt::Formatter<'_>, table: &Table) -> fmt::Result {
        let Table { family, name, .. } = table;
        writeln!(f, "table {family} {name} {{{}", self.handle(table.handle))?;
        let flags: Vec<_> =
            [(1, "dormant"), (2, "owner")].iter().filter(|(flag, _)| table.flags & flag != 0).map(|(_, word)| *word).collect();
        if !flags.is_empty() {
            writeln!(f, "\tflags {}", flags.join(","))?;
        }
        if let Some(comment) = &table.comment {
            writeln!(f, "\tcomment \"{comment}\"")?;
        }
        let objects = table.objects.iter().map(|object| self.object(object));
        let sets = table.sets.iter().filter(|set| !set.is(super::object::set_flags::ANONYMOUS)).map(|set| self.set(set));
        let chains = table.chains.iter().map(|chain| self.chain(chain));
        let blocks: Vec<String> = objects.chain(sets).chain(chains).collect();
        // The flags are a block of their own, the comment is not.
        f.write_str(if flags.is_empty() || blocks.is_empty() { "" } else { "\n" })?;
        f.write_str(&blocks.join("\n"))?;
        writeln!(f, "}}")
    }

    fn chain(&self, chain: &Chain) -> String {
        let mut text = format!("\tchain {} {{{}\n", chain.name, self.handle(chain.handle));
        if let Some(comment) = &chain.comment {
            writeln!(text, "\t\tcomment \"{comment}\"").unwrap_or_default();
        }
        if let Some(base) = &chain.base {
            let hook = base.hook;
            let devices = match base.devices.as_slice() {
                [] => String::new(),
                [device] => format!(" device \"{device}\""),
                devices => format!(" devices = {{ {} }}", devices.join(", ")),
            };
            let priority = self.family.priority_text(hook, base.priority);
            let policy = chain.policy().unwrap_or_default();
            writeln!(text, "\t\ttype {} hook {hook}{devices} priority {priority}; policy {policy};", base.kind).unwrap_or_default();
        }
        for rule in &chain.rules {
            writeln!(text, "\t\t{}{}", self.rule(rule), self.handle(rule.handle)).unwrap_or_default();
        }
        text.push_str("\t}\n");
        text
    }
}
