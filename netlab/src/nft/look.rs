//! Looks at one table, chain or rule.

use std::collections::BTreeSet;

use super::codec;
use super::family::TableName;
use super::message::{Message, kind};
use super::object::{Chain, Rule, Set, Table};
use super::wire::{Writer, attribute};
use crate::sys::Refusal;
use crate::sys::netlink::Socket;

/// The number that the kernel raises with each transaction.
pub(crate) fn generation(socket: &mut Socket) -> Result<Option<u32>, Refusal> {
    let answers = socket.request(Message::new(kind::GET_GENERATION, None, Vec::new()), 0)?;
    Ok(answers.first().and_then(|message| attribute(&message.attributes, 1)))
}

/// The table, if it is there, without what is in it.
pub(crate) fn table(socket: &mut Socket, name: &TableName) -> Result<Option<Table>, Refusal> {
    let answers = get(socket, kind::GET_TABLE, name, |w| w.put(1, &name.name))?;
    Ok(answers.iter().find_map(codec::read_table))
}

/// The chain, if it is there, without its rules.
pub(crate) fn chain(socket: &mut Socket, table: &TableName, name: &str) -> Result<Option<Chain>, Refusal> {
    let answers = get(socket, kind::GET_CHAIN, table, |w| {
        w.put(1, &table.name);
        w.put(3, &name.to_owned());
    })?;
    Ok(answers.iter().find_map(codec::read_chain).map(|(_, chain)| chain))
}

/// The set, if it is there, without its elements.
pub(crate) fn set(socket: &mut Socket, table: &TableName, name: &str) -> Result<Option<Set>, Refusal> {
    let answers = get(socket, kind::GET_SET, table, |w| {
        w.put(1, &table.name);
        w.put(2, &name.to_owned());
    })?;
    Ok(answers.iter().find_map(codec::read_set).map(|(_, set)| set))
}

/// The rule, if it is there.
pub(crate) fn rule(socket: &mut Socket, table: &TableName, chain: &str, handle: u64) -> Result<Option<Rule>, Refusal> {
    let answers = get(socket, kind::GET_RULE, table, |w| {
        w.put(1, &table.name);
        w.put(2, &chain.to_owned());
        w.put(3, &handle);
    })?;
    Ok(answers.iter().find_map(codec::read_rule).map(|(_, _, rule)| rule))
}

/// The handles of the rules of a chain.
pub(crate) fn rule_handles(socket: &mut Socket, table: &TableName, chain: &str) -> Result<BTreeSet<u64>, Refusal> {
    let mut w = Writer::default();
    w.put(1, &table.name);
    w.put(2, &chain.to_owned());
    let listing = socket.dump(Message::new(kind::GET_RULE, Some(table.family), w.finish().unwrap_or_default()))?;
    // Old kernels list every rule of the family.
    let here = listing.iter().filter(|rule| attribute::<String>(&rule.attributes, 1).as_ref() == Some(&table.name));
    let here = here.filter(|rule| attribute::<String>(&rule.attributes, 2).as_deref() == Some(chain));
    Ok(here.filter_map(|rule| attribute(&rule.attributes, 3)).collect())
}

fn get(socket: &mut Socket, kind: u16, table: &TableName, fill: impl FnOnce(&mut Writer)) -> Result<Vec<Message>, Refusal> {
    let mut w = Writer::default();
    fill(&mut w);
    match socket.request(Message::new(kind, Some(table.family), w.finish().unwrap_or_default()), 0) {
        Err(refusal) if refusal.is(libc::ENOENT) => Ok(Vec::new()),
        other => other,
    }
}
