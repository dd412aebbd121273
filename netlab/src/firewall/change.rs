//! Rules put into a namespace and taken out again, with the tables and chains that they need.
//!
//! Every change reads the ruleset's generation first, and the kernel refuses it if it is another when the change arrives: what was looked at
//! is still true when it is acted upon, whoever else works in the namespace.

use super::plan::{Match, Plan, Target, Test};
use super::{lower, memory, standard};
use crate::error::{Doing, Error, Result};
use crate::netns::Netns;
use crate::nft::family::TableName;
use crate::nft::look;
use crate::nft::memories::SetName;
use crate::nft::object::{Chain, Set};
use crate::nft::owned::{ChainName, MadeChain, Owned};
use crate::nft::transaction::{Made, Position, Transaction};
use crate::sys::Refusal;
use crate::sys::netlink::Socket;

/// What the kernel says to a change that was made for another generation of the ruleset. (libc has no such constant for macOS.)
pub(super) const ERESTART: i32 = 85;

/// A rule and its place among the others of its chain.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) plan: Plan,
    pub(crate) position: Position,
}

/// A rule that is in the kernel.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    pub(crate) plan: Plan,
    /// Handles are numbers within a table: another one of the same name has others.
    pub(crate) table: u64,
    pub(crate) handle: u64,
}

impl Plan {
    pub(crate) fn chain_name(&self) -> ChainName {
        ChainName::new(TableName::new(self.family, &self.table), &self.chain)
    }

    /// The chains to which packets go that meet the rule.
    pub(crate) fn leads_to(&self) -> Vec<ChainName> {
        let chains = match &self.target {
            Some(Target::Jump(chain) | Target::Goto(chain)) => std::slice::from_ref(chain),
            Some(Target::GotoEach { chains, .. }) => chains,
            _ => &[],
        };
        chains.iter().map(|chain| ChainName::new(self.chain_name().table, chain)).collect()
    }

    /// The sets and maps without which the rule cannot be.
    fn sets(&self) -> Vec<SetName> {
        let map = match &self.target {
            Some(Target::Vmap(map)) => Some(self.set_name(map)),
            _ => None,
        };
        self.memories().into_iter().map(|(name, _)| name).chain(self.asked()).chain(map).collect()
    }

    /// The sets of which it asks whether an address is in them.
    fn asked(&self) -> Vec<SetName> {
        let name = |test: &Test| match &test.of {
            Match::InSet { name, .. } => Some(self.set_name(name)),
            _ => None,
        };
        self.tests.iter().filter_map(name).collect()
    }

    fn set_name(&self, set: &str) -> SetName {
        SetName { table: self.chain_name().table, set: set.to_owned() }
    }

    /// The chains without which the rule cannot be.
    pub(crate) fn needs(&self) -> Vec<ChainName> {
        std::iter::once(self.chain_name()).chain(self.leads_to()).collect()
    }
}

/// Why rules were not installed, and which of them is to blame.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) place: Option<usize>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, place: None }
    }
}

/// Puts all rules into the kernel, or none.
pub(crate) fn install(netns: &Netns, orders: &[Order]) -> Result<Vec<Installed>, Failed> {
    let lowered = |(place, order): (usize, &Order)| {
        let what = || format!("make a rule for chain `{}` of `{netns}`", order.plan.chain_name());
        lower::rule(&order.plan, &[]).map_err(|why| Failed { error: Error::invalid(what(), why), place: Some(place) })
    };
    let rules = orders.iter().enumerate().map(lowered).collect::<Result<Vec<_>, _>>()?;
    let mut owned = netns.owned();
    let (mut ends, mut sets, mut looking_at) = (Vec::new(), Vec::new(), None);
    let made = change(netns, &mut owned, |owned, socket, transaction| {
        let mut there = Vec::new();
        for (place, order) in orders.iter().enumerate() {
            looking_at = Some(place);
            need(netns, owned, socket, transaction, order.plan.chain_name(), &mut there)?;
        }
        looking_at = None;
        sets = memory::need(netns, owned, socket, transaction, orders)?;
        ends = vec![transaction.len()];
        for (order, rule) in orders.iter().zip(&rules) {
            let ChainName { table, chain } = order.plan.chain_name();
            transaction.add_rule(&table, &chain, rule, order.position, &[]);
            ends.push(transaction.len());
        }
        Ok(())
    });
    let made = made.map_err(|refused| {
        let asked = refused.request.and_then(|request| ends.iter().position(|end| request < *end)?.checked_sub(1));
        let place = looking_at.or(asked);
        let error = match place.and_then(|place| orders.get(place)) {
            Some(order) => helped(refused.error, &order.plan),
            None => refused.error,
        };
        Failed { error, place }
    })?;
    own(&mut owned, &made, true);
    if !sets.is_empty() {
        let mut socket = netns.netfilter().doing(|| format!("look at the sets of `{netns}`"))?;
        memory::own(&mut socket, &mut owned, &sets)?;
    }
    let installed = |(order, handle): (&Order, u64)| {
        hold(&mut owned, &order.plan);
        let table = owned.table(&order.plan.chain_name().table).unwrap_or(0);
        Installed { plan: order.plan.clone(), table, handle }
    };
    Ok(orders.iter().zip(made.rules).map(installed).collect())
}

/// Chains and sets are needed by one rule more.
fn hold(owned: &mut Owned, plan: &Plan) {
    plan.needs().iter().for_each(|chain| owned.hold(chain));
    plan.sets().iter().for_each(|set| owned.memories.hold(set));
}

/// Chains and sets are needed by one rule less.
fn release(owned: &mut Owned, plan: &Plan) {
    plan.needs().iter().for_each(|chain| owned.release(chain));
    plan.sets().iter().for_each(|set| owned.memories.release(set));
}

/// Makes a chain that must not be there yet, and its table if that is missing; it is held.
pub(crate) fn create_chain(netns: &Netns, table: &TableName, chain: &Chain) -> Result<()> {
    let name = ChainName::new(table.clone(), &chain.name);
    let mut owned = netns.owned();
    let made = change(netns, &mut owned, |owned, socket, transaction| {
        need_table(netns, owned, socket, transaction, table)?;
        let what = || format!("make chain `{name}` of `{netns}`");
        // The kernel would tell it too, but of a chain that is jumped to it first says that it takes no policy.
        if look::chain(socket, table, &chain.name).doing(what)?.is_some() {
            return Err(Error::new(what(), Refusal { errno: libc::EEXIST, message: None, offset: None, request: 0 }));
        }
        transaction.create_chain(table, chain);
        Ok(())
    });
    let made = made.map_err(|refused| refused.error)?;
    own(&mut owned, &made, chain.base.as_ref().is_none_or(|base| base.accept));
    owned.hold(&name);
    Ok(())
}

/// Makes a set or map that must not be there yet, and its table if that is missing; it is held. `what` completes the sentence "cannot …".
pub(super) fn create_set(netns: &Netns, name: &SetName, set: &Set, what: &str) -> Result<()> {
    let mut owned = netns.owned();
    let made = change(netns, &mut owned, |owned, socket, transaction| {
        need_table(netns, owned, socket, transaction, &name.table)?;
        if look::set(socket, &name.table, &name.set).doing(|| what.to_owned())?.is_some() {
            return Err(Error::new(what, Refusal { errno: libc::EEXIST, message: None, offset: None, request: 0 }));
        }
        transaction.create_set(&name.table, set);
        Ok(())
    });
    own(&mut owned, &made.map_err(|refused| refused.error)?, true);
    owned.memories.hold(name);
    memory::own(&mut *netns.netfilter().doing(|| what.to_owned())?, &mut owned, std::slice::from_ref(name))
}

/// Why a change was not made, and the number of the request that was refused.
pub(super) struct Refused {
    pub(super) error: Error,
    request: Option<usize>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, request: None }
    }
}

/// Looks, then changes; again, if somebody else has changed something between.
pub(super) fn change(
    netns: &Netns,
    owned: &mut Owned,
    mut fill: impl FnMut(&mut Owned, &mut Socket, &mut Transaction) -> Result<()>,
) -> Result<Made, Refused> {
    let what = || format!("change the rules of `{netns}`");
    let mut socket = netns.netfilter().doing(what)?;
    loop {
        let generation = look::generation(&mut socket).doing(what)?;
        let mut transaction = Transaction::default();
        fill(owned, &mut socket, &mut transaction)?;
        match transaction.send(&mut socket, generation) {
            Ok(made) => return Ok(made),
            Err(refusal) if refusal.is(ERESTART) => {}
            Err(refusal) => {
                let request = Some(refusal.request);
                return Err(Refused { error: transaction.explain(refusal).fact(format!("in namespace `{netns}`")), request });
            }
        }
    }
}

/// Makes the chain and its table, if they are missing and not `there` already.
pub(super) fn need(
    netns: &Netns,
    owned: &mut Owned,
    socket: &mut Socket,
    transaction: &mut Transaction,
    name: ChainName,
    there: &mut Vec<ChainName>,
) -> Result<()> {
    if there.contains(&name) {
        return Ok(());
    }
    if !there.iter().any(|known| known.table == name.table) {
        need_table(netns, owned, socket, transaction, &name.table)?;
    }
    need_chain(netns, owned, socket, transaction, &name)?;
    there.push(name);
    Ok(())
}

/// Makes a chain that is missing, if it is one that iptables makes too.
fn need_chain(netns: &Netns, owned: &mut Owned, socket: &mut Socket, transaction: &mut Transaction, name: &ChainName) -> Result<()> {
    let there = look::chain(socket, &name.table, &name.chain).doing(|| format!("look at chain `{name}` of `{netns}`"))?;
    owned.see_chain(name, there.as_ref().map(|chain| chain.handle));
    if there.is_some() {
        return Ok(());
    }
    let Some(chain) = standard::chain(name) else {
        let known = standard::names(name.table.family, &name.table.name);
        let error = Error::invalid(format!("add a rule to chain `{name}` of `{netns}`"), "there is no such chain");
        let error = if known.is_empty() { error } else { error.fact(format!("iptables knows {} there", known.join(", "))) };
        return Err(error.help("make it first, with `RuleChain::new` or `RuleChain::base`"));
    };
    transaction.create_chain(&name.table, &chain);
    Ok(())
}

pub(super) fn need_table(
    netns: &Netns,
    owned: &mut Owned,
    socket: &mut Socket,
    transaction: &mut Transaction,
    name: &TableName,
) -> Result<()> {
    let there = look::table(socket, name).doing(|| format!("look at table `{name}` of `{netns}`"))?;
    owned.see_table(name, there.as_ref().map(|table| table.handle));
    if there.is_none() {
        transaction.create_table(name);
    }
    Ok(())
}

/// Remembers which tables and chains netlab has made. `accept` is the policy of the chains.
pub(super) fn own(owned: &mut Owned, made: &Made, accept: bool) {
    for (name, handle) in &made.tables {
        owned.made_table(name, *handle);
    }
    for (name, handle) in &made.chains {
        owned.set_made(name, MadeChain { handle: *handle, accept });
    }
}

/// The error with what cures it, where the rule tells.
fn helped(error: Error, plan: &Plan) -> Error {
    let (missing, misplaced) = (error.errno() == Some(libc::ENOENT), matches!(error.errno(), Some(libc::EOPNOTSUPP | libc::EINVAL)));
    let chains: Vec<_> = plan.leads_to().iter().map(|chain| format!("`{chain}`")).collect();
    let sets: Vec<_> = plan.asked().iter().map(|name| format!("`{} {}`", name.table, name.set)).collect();
    match (&plan.target, plan.target.as_ref().and_then(Target::where_it_works)) {
        (Some(Target::Vmap(map)), _) if missing => error.help(format!("make map `{map}` first, with `VerdictMap::new`")),
        _ if missing && !sets.is_empty() => error.help(format!("make set {} first, with `AddressSet::new`", sets.join(", "))),
        _ if missing && !chains.is_empty() => error.help(format!("make chain {} first, with `RuleChain::new`", chains.join(", "))),
        (_, Some(place)) if misplaced => error.help(place),
        _ => error,
    }
}

impl Target {
    /// In which chains the kernel takes it, where it does not in all.
    fn where_it_works(&self) -> Option<&'static str> {
        Some(match self {
            Self::Masquerade { .. } => "masquerade works in POSTROUTING of the table nat",
            Self::Snat { .. } => "snat works in POSTROUTING and INPUT of the table nat",
            Self::Dnat { .. } | Self::DnatEach { .. } => "dnat works in PREROUTING and OUTPUT of the table nat",
            Self::Redirect { .. } => "redirect works in PREROUTING and OUTPUT of the table nat",
            Self::Npt { .. } => "SNPT works in POSTROUTING and INPUT, DNPT in PREROUTING and OUTPUT of the table mangle of ip6",
            Self::Tproxy { .. } => "tproxy works in PREROUTING of the table mangle",
            Self::Reject(_) => "reject works in INPUT, FORWARD and OUTPUT; in the family bridge, in INPUT and PREROUTING",
            _ => return None,
        })
    }
}

/// Takes rules out by their handles and gives up chains; then removes the chains and tables that netlab made, that nobody uses any more.
///
/// Rules and chains that are gone already are no error.
pub(crate) fn remove(netns: &Netns, rules: &[Installed], chains: &[ChainName]) -> Result<(), Refusal> {
    let mut owned = netns.owned();
    let mut socket = netns.netfilter()?;
    rules.iter().for_each(|rule| release(&mut owned, &rule.plan));
    chains.iter().for_each(|chain| owned.release(chain));
    let mut rules: Vec<_> = rules.iter().collect();
    let mut busy = Vec::new();
    loop {
        let generation = look::generation(&mut socket)?;
        for name in owned.tables() {
            let there = look::table(&mut socket, &name)?;
            owned.see_table(&name, there.map(|table| table.handle));
        }
        rules.retain(|rule| owned.table(&rule.plan.chain_name().table) == Some(rule.table));
        let steps: Vec<_> = rules.iter().map(|rule| Removal::Rule(rule.plan.chain_name(), rule.handle)).collect();
        let empty = unneeded(&mut owned, &mut socket, &busy)?;
        let all: Vec<_> = steps.iter().chain(&empty).cloned().collect();
        let mut transaction = Transaction::default();
        all.iter().for_each(|removal| removal.put(&mut transaction));
        match transaction.send(&mut socket, generation) {
            Ok(_) => {
                empty.iter().for_each(|removal| removal.forget(&mut owned));
                return Ok(());
            }
            Err(refusal) if refusal.is(ERESTART) => {}
            // Rules of others are in it, or lead to it.
            Err(refusal) if refusal.is(libc::EBUSY) && refusal.request >= steps.len() => busy.extend(all.get(refusal.request).cloned()),
            Err(refusal) if refusal.is(libc::ENOENT) && refusal.request < steps.len() => {
                let name = rules[refusal.request].plan.chain_name();
                let there = look::rule_handles(&mut socket, &name.table, &name.chain)?;
                rules.retain(|rule| rule.plan.chain_name() != name || there.contains(&rule.handle));
            }
            Err(refusal) if refusal.is(libc::ENOENT) && refusal.request < all.len() => all[refusal.request].forget(&mut owned),
            Err(refusal) => return Err(refusal),
        }
    }
}

/// One thing to be removed.
#[derive(Debug, Clone, PartialEq)]
enum Removal {
    Rule(ChainName, u64),
    Set(SetName, u64),
    Chain(ChainName, u64),
    Table(TableName, u64),
}

impl Removal {
    fn put(&self, transaction: &mut Transaction) {
        match self {
            Self::Rule(name, handle) => transaction.delete_rule(&name.table, &name.chain, *handle),
            Self::Set(name, handle) => transaction.delete_unused_set(&name.table, &name.set, *handle),
            Self::Chain(name, handle) => transaction.delete_empty_chain(&name.table, &name.chain, *handle),
            Self::Table(name, handle) => transaction.delete_empty_table(name, *handle),
        };
    }

    fn forget(&self, owned: &mut Owned) {
        match self {
            Self::Rule(..) => {}
            Self::Set(name, _) => owned.memories.disown(name),
            Self::Chain(name, _) => owned.disown(name),
            Self::Table(name, _) => owned.see_table(name, None),
        }
    }
}

/// The sets, chains and tables that netlab made and no fixture needs; but none of those that were found busy, and no chain whose policy somebody
/// has changed.
fn unneeded(owned: &mut Owned, socket: &mut Socket, busy: &[Removal]) -> Result<Vec<Removal>, Refusal> {
    let sets = owned.memories.unneeded().into_iter().map(|(name, handle)| Removal::Set(name, handle));
    let mut removals: Vec<_> = sets.filter(|removal| !busy.contains(removal)).collect();
    let mut kept = Vec::new();
    for (name, made) in owned.unneeded_chains() {
        let there = look::chain(socket, &name.table, &name.chain)?;
        owned.see_chain(&name, there.as_ref().map(|chain| chain.handle));
        let Some(chain) = there.filter(|chain| chain.handle == made.handle) else { continue };
        let removal = Removal::Chain(name.clone(), made.handle);
        if busy.contains(&removal) || chain.base.is_some_and(|base| base.accept != made.accept) {
            kept.push(name.table);
        } else {
            removals.push(removal);
        }
    }
    let tables = owned.unneeded_tables().into_iter().filter(|(name, _)| !kept.contains(name));
    removals.extend(tables.map(|(name, handle)| Removal::Table(name, handle)).filter(|removal| !busy.contains(removal)));
    Ok(removals)
}

/// Puts rules in the place of others, as many as these, in their chains.
pub(crate) fn replace(netns: &Netns, plans: Vec<Plan>, old: &[Installed]) -> Result<Vec<Installed>> {
    for rule in old {
        still_there(netns, rule).map_err(|error| error.help("somebody else has removed it, or its chain or table"))?;
    }
    let instead = |(plan, old): (Plan, &Installed)| Order { plan, position: Position::Instead(old.handle) };
    let orders: Vec<_> = plans.into_iter().zip(old).map(instead).collect();
    let new = install(netns, &orders).map_err(|failed| failed.error)?;
    let mut owned = netns.owned();
    old.iter().for_each(|rule| release(&mut owned, &rule.plan));
    Ok(new)
}

/// Whether the rule's table is the one in which it was installed: numbers of rules mean nothing in another one.
fn still_there(netns: &Netns, rule: &Installed) -> Result<()> {
    let what = || format!("replace rule `{}` of `{netns}`", rule.plan.text());
    let mut socket = netns.netfilter().doing(what)?;
    let table = look::table(&mut socket, &rule.plan.chain_name().table).doing(what)?;
    if table.is_some_and(|table| table.handle == rule.table) { Ok(()) } else { Err(Error::new(what(), Refusal::gone("the rule is gone"))) }
}

/// Leaves rules for good: their chains are needed as long as the namespace lives.
pub(crate) fn keep(netns: &Netns, rules: &[Installed]) {
    let mut owned = netns.owned();
    for rule in rules {
        rule.plan.needs().iter().for_each(|chain| owned.disown(chain));
        rule.plan.sets().iter().for_each(|set| owned.memories.disown(set));
        release(&mut owned, &rule.plan);
    }
}
