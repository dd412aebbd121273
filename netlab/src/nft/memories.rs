//! The sets in which rules of a namespace remember addresses, as far as netlab made them.

use std::collections::HashMap;

use super::family::TableName;

/// The name of a set: names are unique within a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SetName {
    pub(crate) table: TableName,
    pub(crate) set: String,
}

/// Those sets, with how many fixtures need each.
#[derive(Debug, Default)]
pub(crate) struct Memories(HashMap<SetName, Memory>);

#[derive(Debug, Default)]
struct Memory {
    /// Set if netlab made it.
    handle: Option<u64>,
    users: usize,
}

impl Memories {
    /// One more fixture needs the set.
    pub(crate) fn hold(&mut self, name: &SetName) {
        self.0.entry(name.clone()).or_default().users += 1;
    }

    /// One fixture less does.
    pub(crate) fn release(&mut self, name: &SetName) {
        let Some(memory) = self.0.get_mut(name) else { return };
        memory.users = memory.users.saturating_sub(1);
        if memory.users == 0 && memory.handle.is_none() {
            self.0.remove(name);
        }
    }

    /// Netlab has made the set.
    pub(crate) fn made(&mut self, name: &SetName, handle: u64) {
        self.0.entry(name.clone()).or_default().handle = Some(handle);
    }

    /// Whether netlab has made the set of that handle.
    pub(crate) fn is_made(&self, name: &SetName, handle: u64) -> bool {
        self.0.get(name).is_some_and(|memory| memory.handle == Some(handle))
    }

    /// What bears the name is none of netlab's: it went, or is to stay.
    pub(crate) fn disown(&mut self, name: &SetName) {
        let Some(memory) = self.0.get_mut(name) else { return };
        memory.handle = None;
        if memory.users == 0 {
            self.0.remove(name);
        }
    }

    /// The table is another one, or gone, and with it its sets.
    pub(crate) fn disown_all(&mut self, table: &TableName) {
        self.0.retain(|name, memory| {
            memory.handle = memory.handle.filter(|_| name.table != *table);
            memory.handle.is_some() || memory.users > 0
        });
    }

    /// The sets that netlab made and no fixture needs, in an order that is the same from run to run.
    pub(crate) fn unneeded(&self) -> Vec<(SetName, u64)> {
        let unneeded = self.0.iter().filter(|(_, memory)| memory.users == 0);
        let mut sets: Vec<_> = unneeded.filter_map(|(name, memory)| Some((name.clone(), memory.handle?))).collect();
        sets.sort_by_key(|(_, handle)| *handle);
        sets
    }
}
