//! What netlab made of a namespace's tables and chains, and how many fixtures need each.

use std::collections::HashMap;
use std::fmt;

use super::family::TableName;
use super::memories::Memories;
use crate::layers::Layers;

/// The name of a chain: names are unique within a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ChainName {
    pub(crate) table: TableName,
    pub(crate) chain: String,
}

impl ChainName {
    pub(crate) fn new(table: TableName, chain: impl Into<String>) -> Self {
        Self { table, chain: chain.into() }
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.chain)
    }
}

/// Tables and chains of one namespace that live fixtures need, or that netlab made and could not remove yet.
#[derive(Debug, Default)]
pub(crate) struct Owned {
    tables: HashMap<TableName, KnownTable>,
    chains: HashMap<ChainName, Held>,
    pub(crate) memories: Memories,
}

/// A table in which netlab has worked.
#[derive(Debug, Clone, Copy)]
struct KnownTable {
    handle: u64,
    made: bool,
}

/// A chain that live fixtures need.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Set if netlab made it.
    pub(crate) made: Option<MadeChain>,
    users: usize,
    /// The policies that guards have put over each other.
    policies: Layers<bool>,
}

/// A chain that netlab made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MadeChain {
    pub(crate) handle: u64,
    /// Its policy, with which it was made.
    pub(crate) accept: bool,
}

impl Owned {
    /// The table of that name has this handle, or is not there: what netlab had in another one is gone.
    pub(crate) fn see_table(&mut self, name: &TableName, handle: Option<u64>) {
        if self.tables.get(name).is_some_and(|known| Some(known.handle) == handle) {
            return;
        }
        self.tables.remove(name);
        self.memories.disown_all(name);
        self.chains.retain(|chain, held| {
            if chain.table == *name {
                held.made = None;
                held.policies = Layers::default();
            }
            held.made.is_some() || held.users > 0
        });
        if let Some(handle) = handle {
            self.tables.insert(name.clone(), KnownTable { handle, made: false });
        }
    }

    /// Netlab has made the table.
    pub(crate) fn made_table(&mut self, name: &TableName, handle: u64) {
        self.see_table(name, Some(handle));
        self.tables.entry(name.clone()).and_modify(|known| known.made = true);
    }

    /// The tables in which netlab has worked.
    pub(crate) fn tables(&self) -> Vec<TableName> {
        self.tables.keys().cloned().collect()
    }

    /// The handle of a table in which netlab has worked.
    pub(crate) fn table(&self, name: &TableName) -> Option<u64> {
        self.tables.get(name).map(|known| known.handle)
    }

    /// One more fixture needs the chain.
    pub(crate) fn hold(&mut self, name: &ChainName) {
        self.chains.entry(name.clone()).or_default().users += 1;
    }

    /// One fixture less does.
    pub(crate) fn release(&mut self, name: &ChainName) {
        let Some(held) = self.chains.get_mut(name) else { return };
        held.users = held.users.saturating_sub(1);
        if held.users == 0 && held.made.is_none() {
            self.chains.remove(name);
        }
    }

    /// The chain as it is known to be netlab's, whether or not somebody needs it.
    pub(crate) fn made(&self, name: &ChainName) -> Option<MadeChain> {
        self.chains.get(name)?.made
    }

    pub(crate) fn set_made(&mut self, name: &ChainName, made: MadeChain) {
        self.chains.entry(name.clone()).or_default().made = Some(made);
    }

    /// The chain of that name has this handle, or is not there: one that somebody else put in its place is none of netlab's.
    pub(crate) fn see_chain(&mut self, name: &ChainName, handle: Option<u64>) {
        if self.made(name).is_some_and(|made| Some(made.handle) != handle) {
            self.disown(name);
        }
    }

    /// The policies that guards have put over each other in a chain that is held.
    pub(crate) fn policies(&mut self, name: &ChainName) -> &mut Layers<bool> {
        &mut self.chains.entry(name.clone()).or_default().policies
    }

    /// What bears the name now is none of netlab's: it went, or somebody else put another in its place.
    pub(crate) fn disown(&mut self, name: &ChainName) {
        let Some(held) = self.chains.get_mut(name) else { return };
        held.made = None;
        if held.users == 0 {
            self.chains.remove(name);
        }
    }

    /// The chains that netlab made and that no fixture needs, in an order that is the same from run to run.
    pub(crate) fn unneeded_chains(&self) -> Vec<(ChainName, MadeChain)> {
        let unneeded = self.chains.iter().filter(|(_, held)| held.users == 0);
        let mut chains: Vec<_> = unneeded.filter_map(|(name, held)| Some((name.clone(), held.made?))).collect();
        chains.sort_by_key(|(_, made)| made.handle);
        chains
    }

    /// The tables that netlab made, but those in which a fixture needs a chain.
    pub(crate) fn unneeded_tables(&self) -> Vec<(TableName, u64)> {
        let needed = |table: &TableName| self.chains.iter().any(|(name, held)| held.users > 0 && name.table == *table);
        let unneeded = self.tables.iter().filter(|(name, known)| known.made && !needed(name));
        let mut tables: Vec<_> = unneeded.map(|(name, known)| (name.clone(), known.handle)).collect();
        tables.sort_by_key(|(_, handle)| *handle);
        tables
    }
}
