//! Several rules that come and go together.

use std::fmt;
use std::ops::Index;
use std::panic::Location;

use super::change::{self, Failed, Installed, Order};
use super::connections::forget_connections;
use super::draft::Draft;
use super::rule::PacketRule;
use super::words::PacketRuleBuilder;
use super::{Policy, RuleChain};
use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::teardown;

/// Of a [`PacketRule`] among [`Rules`]: it is of one kind or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mixed {}

/// Rules that were installed in one transaction, all or none, and go in one when this is dropped.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let router = netlab::Netns::new("router")?;
/// use netlab::{FilterRule, NatRule, Rules};
/// let rules = Rules::new()
///     .add(NatRule::masquerade(&router).out("wan0"))
///     .add(FilterRule::accept(&router).forward().on("lan0"))
///     .install()?;
/// rules[0].expect_hits(1)?;
/// # Ok(()) }
/// ```
#[must_use = "the rules go as soon as this is dropped: bind it, as in `let _rules = Rules::new()….install()?;`, or `keep()` it"]
#[derive(Debug)]
pub struct Rules {
    rules: Vec<PacketRule<Mixed>>,
    // Those go after the rules, since fields are dropped after their owner.
    chains: Vec<RuleChain>,
    policies: Vec<Policy>,
}

/// [`Rules`], described; [`install`](Self::install) makes them true and reports a word that makes no sense.
#[derive(Debug, Clone, Default)]
#[must_use = "a description does nothing: `install` it"]
pub struct RulesBuilder {
    drafts: Vec<Draft>,
}

impl Rules {
    /// No rule yet: [`add`](RulesBuilder::add) them.
    #[expect(clippy::new_ret_no_self, reason = "what is new is the description")]
    pub fn new() -> RulesBuilder {
        RulesBuilder::default()
    }

    /// Installs rules of one kind.
    ///
    /// # Errors
    ///
    /// As [`RulesBuilder::install`].
    #[track_caller]
    pub fn install<K>(rules: impl IntoIterator<Item = PacketRuleBuilder<K>>) -> Result<Self> {
        let here = Location::caller();
        RulesBuilder { drafts: rules.into_iter().map(|rule| rule.draft).collect() }.put().at(here)
    }

    /// Puts the rules into the namespace, each a fixture of its own.
    pub(crate) fn of_orders(netns: &Netns, orders: &[Order]) -> Result<Self, Failed> {
        let installed = change::install(netns, orders)?;
        let rules = Self::of(installed.into_iter().map(|rule| PacketRule::new(netns, vec![rule], false)).collect());
        forget_connections(netns, orders.iter().map(|order| &order.plan))?;
        Ok(rules)
    }

    fn of(rules: Vec<PacketRule<Mixed>>) -> Self {
        Self { rules, chains: Vec::new(), policies: Vec::new() }
    }

    /// Holds chains and policies as well.
    pub(crate) fn beside(self, chains: Vec<RuleChain>, policies: Vec<Policy>) -> Self {
        let mut rules = self;
        rules.chains.extend(chains);
        rules.policies.extend(policies);
        rules
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &PacketRule<Mixed>> {
        self.rules.iter()
    }

    /// Removes the rules and reports.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; rules that somebody else removed are no error.
    #[track_caller]
    pub fn close(mut self) -> Result<()> {
        let here = Location::caller();
        self.remove().at(here)?;
        self.chains.drain(..).try_for_each(RuleChain::close).at(here)?;
        self.policies.drain(..).try_for_each(Policy::close).at(here)
    }

    /// Leaves the rules for good: they go with their namespace.
    pub fn keep(mut self) {
        self.rules.drain(..).for_each(PacketRule::keep);
        self.chains.drain(..).for_each(RuleChain::keep);
        self.policies.drain(..).for_each(Policy::keep);
    }

    fn remove(&mut self) -> Result<()> {
        let Some(first) = self.rules.first() else { return Ok(()) };
        let netns = first.netns().clone();
        let forgetful = self.rules.iter().any(|rule| !rule.keeps_connections());
        let rules: Vec<Installed> = self.rules.iter_mut().flat_map(PacketRule::take_rules).collect();
        self.rules.clear();
        change::remove(&netns, &rules, &[]).doing(|| format!("remove {} rules of `{netns}`", rules.len()))?;
        if forgetful { forget_connections(&netns, rules.iter().map(|rule| &rule.plan)) } else { Ok(()) }
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        if let Err(error) = self.remove() {
            teardown::failed(error);
        }
    }
}

impl Index<usize> for Rules {
    type Output = PacketRule<Mixed>;

    fn index(&self, place: usize) -> &PacketRule<Mixed> {
        &self.rules[place]
    }
}

/// One rule a line, as nft prints it.
impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.iter().try_for_each(|rule| writeln!(f, "{rule}"))
    }
}

impl RulesBuilder {
    /// One rule more, behind those that were added before, if they are in one chain.
    #[expect(clippy::should_implement_trait, reason = "it adds to a list")]
    pub fn add<K>(mut self, rule: PacketRuleBuilder<K>) -> Self {
        self.drafts.push(rule.draft);
        self
    }

    /// Installs the rules in one transaction.
    ///
    /// # Errors
    ///
    /// As [`PacketRuleBuilder::install`], with the number of the rule that is to blame; or if the rules are for several namespaces. None of
    /// them is installed then.
    #[track_caller]
    pub fn install(self) -> Result<Rules> {
        let here = Location::caller();
        self.put().at(here)
    }

    fn put(self) -> Result<Rules> {
        let Some(netns) = self.drafts.first().map(|draft| draft.netns.clone()) else { return Ok(Rules::of(Vec::new())) };
        let mut orders: Vec<Vec<Order>> = Vec::new();
        for (place, draft) in self.drafts.iter().enumerate() {
            if !draft.netns.is_same(&netns) {
                return Err(self.which(place, Error::invalid(draft.what(), format!("the rules before it are for `{netns}`"))));
            }
            orders.push(draft.orders().map_err(|error| self.which(place, error))?);
        }
        let all: Vec<_> = orders.iter().flatten().cloned().collect();
        let installed = change::install(&netns, &all).map_err(|failed| match failed.place.and_then(|place| owner(&orders, place)) {
            Some(place) => self.which(place, failed.error),
            None => failed.error,
        })?;
        let rules = self.wrap(&netns, &orders, installed);
        let translating = orders.iter().zip(&self.drafts).filter(|(_, draft)| !draft.keep_connections);
        forget_connections(&netns, translating.flat_map(|(orders, _)| orders.iter().map(|order| &order.plan)))?;
        Ok(rules)
    }

    fn wrap(&self, netns: &Netns, orders: &[Vec<Order>], installed: Vec<Installed>) -> Rules {
        let mut installed = installed.into_iter();
        let rule = |(orders, draft): (&Vec<Order>, &Draft)| {
            PacketRule::new(netns, installed.by_ref().take(orders.len()).collect(), draft.keep_connections)
        };
        Rules::of(orders.iter().zip(&self.drafts).map(rule).collect())
    }

    fn which(&self, place: usize, error: Error) -> Error {
        error.fact(format!("it is rule {} of {}, and none of them was installed", place + 1, self.drafts.len()))
    }
}

/// Which description an order came from.
fn owner(orders: &[Vec<Order>], place: usize) -> Option<usize> {
    let mut end = 0;
    orders.iter().position(|orders| {
        end += orders.len();
        place < end
    })
}
