//! All tables of a network namespace: what `nft list ruleset` shows.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::codec;
use super::expr::{Expr, Meta, MetaKey};
use super::family::{Family, TableName};
use super::look::generation;
use super::message::{Message, kind};
use super::object::Table;
use super::render::{Context, Options};
use super::types::DataType;
use super::wire::Writer;
use crate::sys::Refusal;
use crate::sys::netlink::Socket;

/// Tables, sets, chains and rules of one network namespace, as `nft list ruleset` prints them.
///
/// What iptables-nft installed is in it too; iptables-legacy has tables of its own, which are not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ruleset {
    pub(crate) tables: Vec<Table>,
    #[serde(skip)]
    interfaces: BTreeMap<u32, String>,
}

impl Ruleset {
    /// All tables, in the order in which they were made.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The table of that family and name.
    pub fn table(&self, family: Family, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.family == family && table.name == name)
    }

    /// The text with the number of each object behind `# handle`, as `nft -a list ruleset` prints it.
    pub fn with_handles(&self) -> impl fmt::Display + '_ {
        Listing { ruleset: self, options: Options { handles: true, counters: true } }
    }

    /// The text without what counters have seen, as `nft -s list ruleset` prints it: the same from run to run.
    pub fn stateless(&self) -> impl fmt::Display + '_ {
        Listing { ruleset: self, options: Options { handles: false, counters: false } }
    }

    /// Whether a rule or set names an interface by its index, so that the names are needed to print it.
    pub(crate) fn has_indexes(&self) -> bool {
        let rules = self.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
        let sets = self.tables.iter().flat_map(|table| &table.sets);
        let by_index = |expression: &Expr| {
            matches!(
                expression,
                Expr::Meta(Meta { key: MetaKey::IIF | MetaKey::OIF | MetaKey::SDIF, .. }) | Expr::Fib(_) | Expr::Dup(_) | Expr::Fwd(_)
            )
        };
        rules.flat_map(|rule| &rule.exprs).any(by_index)
            || sets.into_iter().any(|set| DataType::split(set.key_type).contains(&DataType::IfIndex))
    }

    /// Gives the ruleset the names of interfaces, and each rule its text.
    pub(crate) fn describe(mut self, interfaces: BTreeMap<u32, String>) -> Self {
        let options = Options { handles: false, counters: false };
        for table in &mut self.tables {
            let context = Context { family: table.family, sets: &table.sets, interfaces: &interfaces, options };
            for rule in table.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
                rule.text = context.rule(rule);
            }
        }
        self.interfaces = interfaces;
        self
    }

    /// Everything that the kernel lists, as one consistent state.
    pub(crate) fn list(socket: &mut Socket) -> Result<Self, Refusal> {
        loop {
            let before = generation(socket)?;
            let ruleset = Self::list_once(socket);
            if generation(socket)? == before {
                return ruleset;
            }
        }
    }

    fn list_once(socket: &mut Socket) -> Result<Self, Refusal> {
        let mut dump = |kind: u16| socket.dump(Message::new(kind, None, Vec::new()));
        let tables = dump(kind::GET_TABLE)?;
        let mut ruleset = Self { tables: tables.iter().filter_map(codec::read_table).collect(), ..Self::default() };
        if ruleset.tables.is_empty() {
            return Ok(ruleset);
        }
        for message in [dump(kind::GET_CHAIN)?, dump(kind::GET_SET)?, dump(kind::GET_OBJECT)?, dump(kind::GET_RULE)?].iter().flatten() {
            ruleset.add(message);
        }
        for table in &mut ruleset.tables {
            for set in &mut table.sets {
                let mut w = Writer::default();
                w.put(1, &table.name);
                w.put(2, &set.name);
                let request = Message::new(kind::GET_ELEMENTS, Some(table.family), w.finish().unwrap_or_default());
                set.elements = socket.dump(request)?.iter().flat_map(codec::read_elements).collect();
            }
        }
        Ok(ruleset)
    }

    /// Puts what a message describes in its place.
    pub(crate) fn add(&mut self, message: &Message) {
        match message.kind() {
            Some(kind::NEW_TABLE) => self.tables.extend(codec::read_table(message)),
            Some(kind::NEW_CHAIN) => {
                if let Some((table, chain)) = codec::read_chain(message)
                    && let Some(table) = self.named(&table)
                {
                    table.chains.push(chain);
                }
            }
            Some(kind::NEW_SET) => {
                if let Some((table, set)) = codec::read_set(message)
                    && let Some(table) = self.named(&table)
                {
                    table.sets.push(set);
                }
            }
            Some(kind::NEW_OBJECT) => {
                if let Some((table, object)) = codec::read_object(message)
                    && let Some(table) = self.named(&table)
                {
                    table.objects.push(object);
                }
            }
            Some(kind::NEW_RULE) => {
                if let Some((table, chain, rule)) = codec::read_rule(message)
                    && let Some(table) = self.named(&table)
                    && let Some(chain) = table.chains.iter_mut().find(|known| known.name == chain)
                {
                    chain.rules.push(rule);
                }
            }
            _ => {}
        }
    }

    fn named(&mut self, name: &TableName) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.family == name.family && table.name == name.name)
    }
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Listing { ruleset: self, options: Options::default() }.fmt(f)
    }
}

struct Listing<'a> {
    ruleset: &'a Ruleset,
    options: Options,
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.ruleset.tables {
            let interfaces = &self.ruleset.interfaces;
            let context = Context { family: table.family, sets: &table.sets, interfaces, options: self.options };
            context.table(f, table)?;
        }
        Ok(())
    }
}
