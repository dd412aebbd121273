//! The sets in which rules remember addresses (`-m recent`): made with the first rule that names one, gone with the last.

use super::change::Order;
use super::lower;
use super::plan::Plan;
use crate::error::{Doing, Error, Result};
use crate::netns::Netns;
use crate::nft::look;
use crate::nft::memories::SetName;
use crate::nft::object::Set;
use crate::nft::owned::Owned;
use crate::nft::transaction::Transaction;
use crate::sys::netlink::Socket;

impl Plan {
    /// The sets in which the rule remembers addresses.
    pub(super) fn memories(&self) -> Vec<(SetName, Set)> {
        let named = |set: Set| (SetName { table: self.chain_name().table, set: set.name.clone() }, set);
        lower::memories(self).into_iter().map(named).collect()
    }
}

/// All sets of several rules, each with the time after which it forgets, if a rule says one.
fn wanted(orders: &[Order]) -> Result<Vec<(SetName, Set)>> {
    let mut wanted: Vec<(SetName, Set)> = Vec::new();
    for (name, set) in orders.iter().flat_map(|order| order.plan.memories()) {
        match wanted.iter_mut().find(|(known, _)| *known == name) {
            None => wanted.push((name, set)),
            Some((_, known)) if known.timeout.is_none() => known.timeout = set.timeout,
            Some((_, known)) => agree(&name, known, &set)?,
        }
    }
    Ok(wanted)
}

fn agree(name: &SetName, known: &Set, set: &Set) -> Result<()> {
    const MILLISECONDS: u64 = 1000;
    match (known.timeout, set.timeout) {
        (known, Some(new)) if known != Some(new) => {
            let seconds = |timeout: Option<u64>| timeout.map_or("never".to_owned(), |t| format!("after {} seconds", t / MILLISECONDS));
            let why = format!("the list forgets {}, and would {}", seconds(known), seconds(Some(new)));
            let error = Error::invalid(format!("remember addresses in `{} {}`", name.table, name.set), why);
            Err(error.help("a list has one time for all rules: give the other one another `--name`"))
        }
        _ => Ok(()),
    }
}

/// Makes the sets that are missing, and lets those forget in time that did not yet. Gives the names of the new ones.
pub(super) fn need(
    netns: &Netns,
    owned: &Owned,
    socket: &mut Socket,
    transaction: &mut Transaction,
    orders: &[Order],
) -> Result<Vec<SetName>> {
    let mut new = Vec::new();
    for (name, set) in wanted(orders)? {
        let what = || format!("look at set `{} {}` of `{netns}`", name.table, name.set);
        match look::set(socket, &name.table, &name.set).doing(what)? {
            None => {
                transaction.create_set(&name.table, &set);
                new.push(name);
            }
            Some(there) if there.key_type != set.key_type || there.flags != set.flags => {
                let error = Error::invalid(
                    format!("remember addresses in `{} {}`", name.table, name.set),
                    "the table has another set of that name",
                );
                return Err(error.help("give the list another `--name`"));
            }
            Some(there) if there.timeout.is_none() && set.timeout.is_some() && owned.memories.is_made(&name, there.handle) => {
                transaction.add_set(&name.table, &set);
            }
            Some(there) => agree(&name, &there, &set)?,
        }
    }
    Ok(new)
}

/// Remembers which sets netlab has made.
pub(super) fn own(socket: &mut Socket, owned: &mut Owned, new: &[SetName]) -> Result<()> {
    for name in new {
        let there = look::set(socket, &name.table, &name.set).doing(|| format!("look at set `{} {}`", name.table, name.set))?;
        if let Some(set) = there {
            owned.memories.made(name, set.handle);
        }
    }
    Ok(())
}
