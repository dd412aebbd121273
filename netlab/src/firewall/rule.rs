//! A rule of the packet filter as a fixture: its end, its text, its replacement.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;

use super::change::{self, Installed, Order};
use super::connections::forget_connections;
use super::lower;
use super::plan::Plan;
use super::words::PacketRuleBuilder;
use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::nft::transaction::describe;
use crate::teardown;

/// Of a [`PacketRule`]: it translates addresses ([`NatRule`](crate::NatRule)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat {}

/// Of a [`PacketRule`]: it decides about packets ([`FilterRule`](crate::FilterRule)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {}

/// A rule of a namespace's packet filter, which goes when it is dropped: a [`NatRule`](crate::NatRule) or a [`FilterRule`](crate::FilterRule).
///
/// Dropping it removes exactly this rule, whatever others did to the chain meanwhile; then the chain and the table, if netlab made them and
/// nobody uses them any more. They stay as long as another fixture needs them, somebody's rule is in them or leads to them, or somebody
/// has changed the policy. A rule that others removed before is no error.
///
/// An `iptables` that looks at such a chain just before it goes, and adds to it just after, says that there is no such chain: it does not
/// expect its base chains to go.
#[must_use = "the rule goes as soon as it is dropped: bind it, as in `let _rule = NatRule::masquerade(…).install()?;`, or `keep()` it"]
pub struct PacketRule<K> {
    netns: Netns,
    rules: Vec<Installed>,
    keep_connections: bool,
    kind: PhantomData<K>,
}

impl<K> PacketRule<K> {
    /// Puts the rules of one fixture into the namespace.
    pub(crate) fn install(netns: &Netns, orders: &[Order], keep_connections: bool) -> Result<Self> {
        let rules = change::install(netns, orders).map_err(|failed| failed.error)?;
        let rule = Self::new(netns, rules, keep_connections);
        rule.forget_connections()?;
        Ok(rule)
    }

    pub(crate) fn new(netns: &Netns, rules: Vec<Installed>, keep_connections: bool) -> Self {
        Self { netns: netns.clone(), rules, keep_connections, kind: PhantomData }
    }

    fn forget_connections(&self) -> Result<()> {
        if self.keep_connections {
            return Ok(());
        }
        forget_connections(&self.netns, self.rules.iter().map(|rule| &rule.plan))
    }

    /// The namespace whose rule it is.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    pub(crate) fn keeps_connections(&self) -> bool {
        self.keep_connections
    }

    pub(crate) fn rules(&self) -> &[Installed] {
        &self.rules
    }

    /// The rule as lines of nft, such as `add rule ip nat POSTROUTING oifname "wan0" counter masquerade`; two for a rule that is in two chains.
    pub fn as_nft(&self) -> String {
        self.rules.iter().map(|rule| rule.plan.as_nft()).collect::<Vec<_>>().join("\n")
    }

    /// Puts another rule in the place of this one, in one step: no packet finds neither or both.
    ///
    /// What this rule had counted is gone.
    ///
    /// # Errors
    ///
    /// As [`install`](PacketRuleBuilder::install); if the other one is for another namespace or chain; or if this one was removed by others
    /// ([`is_not_found`](Error::is_not_found)). This rule stays then.
    #[track_caller]
    pub fn replace_with(&mut self, other: PacketRuleBuilder<K>) -> Result<()> {
        let here = Location::caller();
        self.replace(other).at(here)
    }

    fn replace(&mut self, other: PacketRuleBuilder<K>) -> Result<()> {
        let draft = other.draft;
        let plans: Vec<_> = draft.orders()?.into_iter().map(|order| order.plan).collect();
        let (here, there) = (self.rules.iter().map(|rule| rule.plan.chain_name()), plans.iter().map(Plan::chain_name));
        if !here.eq(there) || !draft.netns.is_same(&self.netns) {
            return Err(Error::invalid(format!("replace the rule `{self}`"), "the other one is for another chain or namespace"));
        }
        self.rules = change::replace(&self.netns, plans, &self.rules)?;
        self.forget_connections()
    }

    /// Removes the rule and reports.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; a rule that somebody else removed is no error.
    #[track_caller]
    pub fn close(mut self) -> Result<()> {
        let here = Location::caller();
        self.remove().at(here)
    }

    /// Leaves the rule for good: it goes with its namespace. What it needs is no more netlab's to remove.
    pub fn keep(mut self) {
        change::keep(&self.netns, &std::mem::take(&mut self.rules));
    }

    /// Gives the rules to another owner; dropping this one does nothing then.
    pub(crate) fn take_rules(&mut self) -> Vec<Installed> {
        std::mem::take(&mut self.rules)
    }

    fn remove(&mut self) -> Result<()> {
        if self.rules.is_empty() {
            return Ok(());
        }
        let removed = change::remove(&self.netns, &self.rules, &[]);
        let removed = removed.doing(|| format!("remove rule `{self}` of `{}`", self.netns)).and_then(|()| self.forget_connections());
        self.rules.clear();
        removed
    }
}

impl<K> Drop for PacketRule<K> {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        if let Err(error) = self.remove() {
            teardown::failed(error);
        }
    }
}

/// The text of `nft list ruleset`, without counted values.
impl<K> fmt::Display for PacketRule<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.rules.iter().map(|rule| rule.plan.text()).collect();
        f.write_str(&texts.join("; "))
    }
}

impl<K> fmt::Debug for PacketRule<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PacketRule({}: {self})", self.netns)
    }
}

impl Plan {
    /// The rule as nft prints it.
    pub(crate) fn text(&self) -> String {
        let (table, sets) = (self.chain_name().table, lower::named_sets(self));
        lower::rule(self, &sets).map_or_else(|why| why, |rule| describe(&table, &rule, &sets))
    }

    /// The rule as a command of nft.
    pub(crate) fn as_nft(&self) -> String {
        format!("add rule {} {}", self.chain_name(), self.text())
    }
}
