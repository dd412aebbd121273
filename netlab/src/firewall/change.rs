//! Rules put into a namespace and taken out again, with the tables and chains that they need.
//!
//! Every change reads the ruleset's generation first, and the kernel refuses it if it is another when the change arrives: what was looked at
//! is still true when it is acted upon, whoever else works in the namespace.

use super::plan::{Plan, Target};
use super::{lower, standard};
use crate::error::{Doing, Error, Result};
use crate::netns::Netns;
use crate::nft::family::TableName;
use crate::nft::look;
use crate::nft::object::Chain;
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

    /// The chain to which packets go that meet the rule.
    pub(crate) fn leads_to(&self) -> Option<ChainName> {
        match &self.target {
            Some(Target::Jump(chain) | Target::Goto(chain)) => Some(ChainName::new(self.chain_name().table, chain)),
            _ => None,
        }
    }

    /// The chains without which the rule cannot be.
    pub(crate) fn needs(&self) -> Vec<ChainName> {
        [Some(self.chain_name()), self.leads_to()].into_iter().flatten().collect()
    }
}

/// Puts all rules into the kernel, or none.
pub(crate) fn install(netns: &Netns, orders: &[Order]) -> Result<Vec<Installed>> {
    let lowered = |(place, order): (usize, &Order)| {
        let what = || format!("make a rule for chain `{}` of `{netns}`", order.plan.chain_name());
        lower::rule(&order.plan, &[]).map_err(|why| which(Error::invalid(what(), why), place, orders.len()))
    };
    let rules = orders.iter().enumerate().map(lowered).collect::<Result<Vec<_>>>()?;
    let mut owned = netns.owned();
    let mut ends = Vec::new();
    let made = change(netns, &mut owned, |owned, socket, transaction| {
        need(netns, owned, socket, transaction, orders.iter().map(|order| order.plan.chain_name()))?;
        ends = vec![transaction.len()];
        for (order, rule) in orders.iter().zip(&rules) {
            let ChainName { table, chain } = order.plan.chain_name();
            transaction.add_rule(&table, &chain, rule, order.position, &[]);
            ends.push(transaction.len());
        }
        Ok(())
    });
    let made = made.map_err(|(error, request)| {
        let place = ends.iter().position(|end| request < *end).and_then(|next| next.checked_sub(1));
        match place.and_then(|place| orders.get(place)) {
            Some(order) => refused(error, &order.plan, place.unwrap_or(0), orders.len()),
            None => error,
        }
    })?;
    own(&mut owned, &made, true);
    let installed = |(order, handle): (&Order, u64)| {
        order.plan.needs().iter().for_each(|chain| owned.hold(chain));
        let table = owned.table(&order.plan.chain_name().table).unwrap_or(0);
        Installed { plan: order.plan.clone(), table, handle }
    };
    Ok(orders.iter().zip(made.rules).map(installed).collect())
}

/// Makes a chain that must not be there yet, and its table if that is missing; it is held.
pub(crate) fn create_chain(netns: &Netns, table: &TableName, chain: &Chain) -> Result<()> {
    let name = ChainName::new(table.clone(), &chain.name);
    let mut owned = netns.owned();
    let made = change(netns, &mut owned, |owned, socket, transaction| {
        need_table(netns, owned, socket, transaction, table)?;
        transaction.create_chain(table, chain);
        Ok(())
    });
    let made = made.map_err(|(error, _)| error)?;
    own(&mut owned, &made, chain.base.as_ref().is_none_or(|base| base.accept));
    owned.hold(&name);
    Ok(())
}

/// Looks, then changes; again, if somebody else has changed something between. The error is that of a request with its number.
pub(super) fn change(
    netns: &Netns,
    owned: &mut Owned,
    mut fill: impl FnMut(&mut Owned, &mut Socket, &mut Transaction) -> Result<()>,
) -> Result<Made, (Error, usize)> {
    const NONE: usize = usize::MAX;
    let what = || format!("change the rules of `{netns}`");
    let mut socket = netns.netfilter().doing(what).map_err(|error| (error, NONE))?;
    loop {
        let generation = look::generation(&mut socket).doing(what).map_err(|error| (error, NONE))?;
        let mut transaction = Transaction::default();
        fill(owned, &mut socket, &mut transaction).map_err(|error| (error, NONE))?;
        match transaction.send(&mut socket, generation) {
            Ok(made) => return Ok(made),
            Err(refusal) if refusal.is(ERESTART) => {}
            Err(refusal) => {
                let request = refusal.request;
                return Err((transaction.explain(refusal).fact(format!("in namespace `{netns}`")), request));
            }
        }
    }
}

/// Makes the tables and chains that are missing.
pub(super) fn need(
    netns: &Netns,
    owned: &mut Owned,
    socket: &mut Socket,
    transaction: &mut Transaction,
    names: impl IntoIterator<Item = ChainName>,
) -> Result<()> {
    let mut there: Vec<ChainName> = Vec::new();
    for name in names {
        if !there.iter().any(|known| known.table == name.table) {
            need_table(netns, owned, socket, transaction, &name.table)?;
        }
        if !there.contains(&name) {
            need_chain(netns, owned, socket, transaction, &name)?;
            there.push(name);
        }
    }
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

fn refused(error: Error, plan: &Plan, place: usize, count: usize) -> Error {
    let (missing, misplaced) = (error.errno() == Some(libc::ENOENT), error.errno() == Some(libc::EOPNOTSUPP));
    let error = which(error, place, count);
    match (plan.leads_to(), &plan.target) {
        (Some(chain), _) if missing => error.help(format!("make chain `{chain}` first, with `RuleChain::new`")),
        (_, Some(target)) if misplaced => match target.where_it_works() {
            Some(place) => error.help(place),
            None => error,
        },
        _ => error,
    }
}

fn which(error: Error, place: usize, count: usize) -> Error {
    if count > 1 { error.fact(format!("it is rule {} of {count}, and none of them was installed", place + 1)) } else { error }
}

impl Target {
    /// In which chains the kernel takes it, where it does not in all.
    fn where_it_works(&self) -> Option<&'static str> {
        Some(match self {
            Self::Masquerade { .. } => "masquerade works in POSTROUTING of the table nat",
            Self::Snat { .. } => "snat works in POSTROUTING and INPUT of the table nat",
            Self::Dnat { .. } | Self::DnatEach { .. } => "dnat works in PREROUTING and OUTPUT of the table nat",
            Self::Redirect { .. } => "redirect works in PREROUTING and OUTPUT of the table nat",
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
    rules.iter().flat_map(|rule| rule.plan.needs()).for_each(|chain| owned.release(&chain));
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
                rules.remove(refusal.request);
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
    Chain(ChainName, u64),
    Table(TableName, u64),
}

impl Removal {
    fn put(&self, transaction: &mut Transaction) {
        match self {
            Self::Rule(name, handle) => transaction.delete_rule(&name.table, &name.chain, *handle),
            Self::Chain(name, handle) => transaction.delete_empty_chain(&name.table, &name.chain, *handle),
            Self::Table(name, handle) => transaction.delete_empty_table(name, *handle),
        };
    }

    fn forget(&self, owned: &mut Owned) {
        match self {
            Self::Rule(..) => {}
            Self::Chain(name, _) => owned.disown(name),
            Self::Table(name, _) => owned.see_table(name, None),
        }
    }
}

/// The chains and tables that netlab made and no fixture needs; but none of those that were found busy, and no chain whose policy somebody
/// has changed.
fn unneeded(owned: &mut Owned, socket: &mut Socket, busy: &[Removal]) -> Result<Vec<Removal>, Refusal> {
    let mut removals = Vec::new();
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
pub(crate) fn replace(netns: &Netns, orders: &[Order], old: &[Installed]) -> Result<Vec<Installed>> {
    let new = install(netns, orders)?;
    let mut owned = netns.owned();
    old.iter().flat_map(|rule| rule.plan.needs()).for_each(|chain| owned.release(&chain));
    Ok(new)
}

/// Leaves rules for good: their chains are needed as long as the namespace lives.
pub(crate) fn keep(netns: &Netns, rules: &[Installed]) {
    let mut owned = netns.owned();
    for name in rules.iter().flat_map(|rule| rule.plan.needs()) {
        owned.disown(&name);
        owned.release(&name);
    }
}
