//! Changes to a ruleset that happen together or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::codec;
use super::expr::Expr;
use super::family::{Family, TableName};
use super::message::{Message, kind};
use super::object::{Chain, Element, Hits, Object, Rule, Set};
use super::owned::ChainName;
use super::render::{Context, Options};
use super::wire::{Writer, attribute, attributes};
use crate::error::{Error, Result};
use crate::sys::Refusal;
use crate::sys::netlink::{Request, Socket};

const NLM_F_ECHO: u16 = 0x8;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;
/// On a deletion: refuse with EBUSY what is not empty, instead of emptying it.
const NLM_F_NONREC: u16 = 0x100;
/// Netlink and nfnetlink headers, from which an extended ack counts.
const HEADERS: usize = 16 + 4;
/// Elements a message, so that their list stays far below the 64 KiB of an attribute.
const ELEMENTS: usize = 256;
/// Bytes of a transaction up to which its rules are echoed. The echo of a longer one would overrun the receive buffer that
/// net.core.rmem_max allows by default, and with it the acknowledgement would be lost.
const ECHO: usize = 64 * 1024;
const TOO_LONG: &str = "a transaction is one datagram, of at most twice net.core.wmem_max: make the change in several";
/// What nft allows, and all that user data has room for beside nft's own.
pub(crate) const LONGEST_COMMENT: usize = 128;

/// Where a rule goes in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    Last,
    First,
    /// Behind the rule with that handle.
    After(u64),
    /// Before the rule with that handle.
    Before(u64),
    /// Instead of the rule with that handle, in one step.
    Instead(u64),
}

/// Changes in the order in which they are said; [`commit`](Self::commit) makes them, all or none.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    steps: Vec<Step>,
    /// The first change that makes no sense.
    invalid: Option<Error>,
}

/// What a transaction made, with the handles that the kernel gave.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// Of the tables that were not there.
    pub(crate) tables: Vec<(TableName, u64)>,
    /// Of the chains that were not there.
    pub(crate) chains: Vec<(ChainName, u64)>,
    /// Of all rules, in the order in which they were added.
    pub(crate) rules: Vec<u64>,
}

#[derive(Debug)]
struct Step {
    what: What,
    message: Message,
    flags: u16,
}

/// Completes the sentence "cannot …".
#[derive(Debug, Clone)]
enum What {
    Said(String),
    /// The text of a rule takes longer than its encoding, and only an error needs it.
    Rule(Arc<Added>),
}

#[derive(Debug)]
struct Added {
    table: TableName,
    chain: String,
    rule: Rule,
    sets: Vec<Set>,
}

impl From<String> for What {
    fn from(what: String) -> Self {
        Self::Said(what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(what) => f.write_str(what),
            Self::Rule(added) => {
                let Added { table, chain, rule, sets } = &**added;
                write!(f, "add rule `{}` to chain `{table} {chain}`", describe(table, rule, sets))
            }
        }
    }
}

impl What {
    fn exprs(&self) -> &[Expr] {
        match self {
            Self::Said(_) => &[],
            Self::Rule(added) => &added.rule.exprs,
        }
    }
}

impl Transaction {
    /// Makes a table, unless it is there.
    pub(crate) fn add_table(&mut self, table: &TableName) -> &mut Self {
        self.add_table_with(table, 0, None)
    }

    pub(crate) fn add_table_with(&mut self, table: &TableName, flags: u32, comment: Option<&str>) -> &mut Self {
        let what = format!("add table `{table}`");
        self.check_comment(&what, comment);
        self.step(what, kind::NEW_TABLE, NLM_F_CREATE, table, |w| codec::write_table(w, table, flags, comment))
    }

    /// Makes a named counter, quota or limit.
    pub(crate) fn add_object(&mut self, table: &TableName, object: &Object) -> &mut Self {
        let what = format!("add object `{table} {}`", object.name);
        self.step(what, kind::NEW_OBJECT, NLM_F_CREATE, table, |w| codec::write_object(w, &table.name, object))
    }

    /// Makes a table that must not be there yet.
    pub(crate) fn create_table(&mut self, table: &TableName) -> &mut Self {
        let flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO;
        self.step(format!("create table `{table}`"), kind::NEW_TABLE, flags, table, |w| codec::write_table(w, table, 0, None))
    }

    /// Removes a table with all that is in it.
    pub(crate) fn delete_table(&mut self, table: &TableName) -> &mut Self {
        self.step(format!("delete table `{table}`"), kind::DELETE_TABLE, 0, table, |w| w.put(1, &table.name))
    }

    /// Removes the table of that handle; the kernel refuses with EBUSY if anything is in it.
    pub(crate) fn delete_empty_table(&mut self, table: &TableName, handle: u64) -> &mut Self {
        self.step(format!("delete table `{table}`"), kind::DELETE_TABLE, NLM_F_NONREC, table, |w| w.put(4, &handle))
    }

    /// Makes a chain that must not be there yet; its rules are not added.
    pub(crate) fn create_chain(&mut self, table: &TableName, chain: &Chain) -> &mut Self {
        let what = format!("create chain `{table} {}`", chain.name);
        self.check_comment(&what, chain.comment.as_deref());
        let flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO;
        self.step(what, kind::NEW_CHAIN, flags, table, |w| codec::write_chain(w, table, chain))
    }

    /// Removes the chain of that handle; the kernel refuses with EBUSY if a rule is in it or leads to it.
    pub(crate) fn delete_empty_chain(&mut self, table: &TableName, chain: &str, handle: u64) -> &mut Self {
        self.step(format!("delete chain `{table} {chain}`"), kind::DELETE_CHAIN, NLM_F_NONREC, table, |w| {
            w.put(1, &table.name);
            w.put(2, &handle);
        })
    }

    /// Makes a chain, unless it is there; its rules are not added.
    pub(crate) fn add_chain(&mut self, table: &TableName, chain: &Chain) -> &mut Self {
        let what = format!("add chain `{table} {}`", chain.name);
        self.check_comment(&what, chain.comment.as_deref());
        self.step(what, kind::NEW_CHAIN, NLM_F_CREATE, table, |w| codec::write_chain(w, table, chain))
    }

    /// Removes a chain with its rules.
    pub(crate) fn delete_chain(&mut self, table: &TableName, chain: &str) -> &mut Self {
        self.flush_chain(table, chain);
        self.step(format!("delete chain `{table} {chain}`"), kind::DELETE_CHAIN, 0, table, |w| {
            w.put(1, &table.name);
            w.put(3, &chain.to_owned());
        })
    }

    /// Removes the rules of a chain.
    pub(crate) fn flush_chain(&mut self, table: &TableName, chain: &str) -> &mut Self {
        self.step(format!("flush chain `{table} {chain}`"), kind::DELETE_RULE, 0, table, |w| {
            w.put(1, &table.name);
            w.put(2, &chain.to_owned());
        })
    }

    /// Changes what becomes of packets that no rule of a hooked chain decided.
    pub(crate) fn set_policy(&mut self, table: &TableName, chain: &str, accept: bool) -> &mut Self {
        let policy = if accept { "accept" } else { "drop" };
        self.step(format!("set the policy of chain `{table} {chain}` to {policy}"), kind::NEW_CHAIN, 0, table, |w| {
            w.put(1, &table.name);
            w.put(3, &chain.to_owned());
            w.put(5, &u32::from(accept));
        })
    }

    /// Sets what the policy of a chain has counted; the chain counts from now on, if it did not.
    pub(crate) fn set_policy_hits(&mut self, table: &TableName, chain: &str, hits: Hits) -> &mut Self {
        self.step(format!("set the counter of chain `{table} {chain}`"), kind::NEW_CHAIN, 0, table, |w| {
            w.put(1, &table.name);
            w.put(3, &chain.to_owned());
            w.nest(8, |w| codec::write_hits(w, hits));
        })
    }

    /// Makes a set that must not be there yet.
    pub(crate) fn create_set(&mut self, table: &TableName, set: &Set) -> &mut Self {
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.step(format!("create set `{table} {}`", set.name), kind::NEW_SET, flags, table, |w| codec::write_set(w, &table.name, set))
    }

    /// Removes the set of that handle with its elements; the kernel refuses with EBUSY if a rule uses it.
    pub(crate) fn delete_unused_set(&mut self, table: &TableName, set: &str, handle: u64) -> &mut Self {
        self.step(format!("delete set `{table} {set}`"), kind::DELETE_SET, 0, table, |w| {
            w.put(1, &table.name);
            w.put(16, &handle);
        })
    }

    /// Makes a set or map with its elements.
    pub(crate) fn add_set(&mut self, table: &TableName, set: &Set) -> &mut Self {
        self.step(format!("add set `{table} {}`", set.name), kind::NEW_SET, NLM_F_CREATE, table, |w| codec::write_set(w, &table.name, set));
        self.add_elements(table, set, &set.elements)
    }

    pub(crate) fn add_elements(&mut self, table: &TableName, set: &Set, elements: &[Element]) -> &mut Self {
        self.elements(kind::NEW_ELEMENTS, "add elements to", table, set, elements)
    }

    pub(crate) fn delete_elements(&mut self, table: &TableName, set: &Set, elements: &[Element]) -> &mut Self {
        self.elements(kind::DELETE_ELEMENTS, "delete elements of", table, set, elements)
    }

    fn elements(&mut self, kind: u16, verb: &str, table: &TableName, set: &Set, elements: &[Element]) -> &mut Self {
        for some in elements.chunks(ELEMENTS) {
            let what = format!("{verb} set `{table} {}`", set.name);
            self.step(what, kind, NLM_F_CREATE, table, |w| codec::write_elements(w, &table.name, set, some));
        }
        self
    }

    pub(crate) fn delete_set(&mut self, table: &TableName, set: &str) -> &mut Self {
        self.step(format!("delete set `{table} {set}`"), kind::DELETE_SET, 0, table, |w| {
            w.put(1, &table.name);
            w.put(2, &set.to_owned());
        })
    }

    /// Adds a rule with its anonymous sets. `sets` are the named ones that it uses, for the text of an error.
    pub(crate) fn add_rule(&mut self, table: &TableName, chain: &str, rule: &Rule, position: Position, sets: &[Set]) -> &mut Self {
        let added = Added { table: table.clone(), chain: chain.to_owned(), rule: rule.clone(), sets: sets.to_vec() };
        let what = What::Rule(Arc::new(added));
        self.check_comment(&what, rule.comment.as_deref());
        for set in &rule.sets {
            self.step(what.clone(), kind::NEW_SET, NLM_F_CREATE, table, |w| codec::write_set(w, &table.name, set));
            for some in set.elements.chunks(ELEMENTS) {
                self.step(what.clone(), kind::NEW_ELEMENTS, NLM_F_CREATE, table, |w| codec::write_elements(w, &table.name, set, some));
            }
        }
        let (flags, handle, neighbour) = match position {
            Position::Last => (NLM_F_CREATE | NLM_F_APPEND, None, None),
            Position::First => (NLM_F_CREATE, None, None),
            Position::After(neighbour) => (NLM_F_CREATE | NLM_F_APPEND, None, Some(neighbour)),
            Position::Before(neighbour) => (NLM_F_CREATE, None, Some(neighbour)),
            Position::Instead(handle) => (NLM_F_REPLACE, Some(handle), None),
        };
        self.step(what, kind::NEW_RULE, flags | NLM_F_ECHO, table, |w| {
            codec::write_rule(w, &table.name, chain, rule);
            if let Some(handle) = handle {
                w.put(3, &handle);
            }
            if let Some(neighbour) = neighbour {
                w.put(6, &neighbour);
            }
        });
        self
    }

    pub(crate) fn delete_rule(&mut self, table: &TableName, chain: &str, handle: u64) -> &mut Self {
        self.step(format!("delete rule {handle} of chain `{table} {chain}`"), kind::DELETE_RULE, 0, table, |w| {
            w.put(1, &table.name);
            w.put(2, &chain.to_owned());
            w.put(3, &handle);
        })
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The number of requests so far: that of the next one, as a [`Refusal`] counts them.
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Makes all changes and returns the handles of the rules that were added, in their order.
    ///
    /// On an error nothing was changed.
    pub(crate) fn commit(self, socket: &mut Socket) -> Result<Vec<u64>> {
        match self.send(socket, None) {
            Ok(made) => Ok(made.rules),
            Err(refusal) => Err(self.explain(refusal)),
        }
    }

    /// Makes all changes, or none; none with `ERESTART` if the ruleset is no more of that [`generation`](super::look::generation).
    pub(crate) fn send(&self, socket: &mut Socket, generation: Option<u32>) -> Result<Made, Refusal> {
        if self.invalid.is_some() {
            return Err(Refusal { errno: libc::EINVAL, message: None, offset: None, request: 0 });
        }
        let size: usize = self.steps.iter().map(|step| step.message.attributes.len()).sum();
        let echo = size <= ECHO;
        let known = if echo { BTreeSet::new() } else { rule_handles(socket)? };
        let flags = |step: &Step| if echo || !step.is_rule() { step.flags } else { step.flags & !NLM_F_ECHO };
        let requests = self.steps.iter().map(|step| Request::new(step.message.clone(), flags(step))).collect();
        let answers = socket.transaction(Message::begin(generation), requests, Message::end())?;
        let mut made = Made::default();
        for (step, answers) in self.steps.iter().zip(&answers) {
            let handle = |kind| answers.iter().find_map(|answer| attribute(&answer.attributes, kind));
            match step.message.kind() {
                Some(kind::NEW_TABLE) => made.tables.extend(step.table_name().zip(handle(4))),
                Some(kind::NEW_CHAIN) => made.chains.extend(step.chain_name().zip(handle(2))),
                Some(kind::NEW_RULE) if echo => made.rules.push(handle(3).unwrap_or(0)),
                _ => {}
            }
        }
        if !echo {
            made.rules = self.new_rules(&known, &rule_handles(socket)?);
        }
        Ok(made)
    }

    /// Handles of a table only grow, so that the new ones are those of its new rules in their order.
    fn new_rules(&self, known: &BTreeSet<(u8, String, u64)>, now: &BTreeSet<(u8, String, u64)>) -> Vec<u64> {
        let mut new: Vec<_> = now.difference(known).collect();
        new.reverse();
        let mut next = |table: (u8, String)| {
            let place = new.iter().rposition(|(family, name, _)| (*family, name) == (table.0, &table.1))?;
            Some(new.remove(place).2)
        };
        self.steps.iter().filter(|step| step.is_rule()).map(|step| next(step.table()).unwrap_or(0)).collect()
    }

    /// Says which change was refused, and why.
    pub(crate) fn explain(self, refusal: Refusal) -> Error {
        let too_long = refusal.is(libc::EMSGSIZE).then(|| format!("change the ruleset in {} steps", self.steps.len()));
        match (self.invalid, too_long, self.steps.get(refusal.request)) {
            (Some(invalid), ..) => invalid,
            (_, Some(what), _) => Error::new(what, refusal).help(TOO_LONG),
            (_, None, Some(step)) => step.refused(refusal),
            (_, None, None) => Error::new("change the ruleset", refusal),
        }
    }

    fn step(&mut self, what: impl Into<What>, kind: u16, flags: u16, table: &TableName, fill: impl FnOnce(&mut Writer)) -> &mut Self {
        let what = what.into();
        let mut w = Writer::default();
        fill(&mut w);
        match w.finish() {
            Some(attributes) => {
                let message = Message::new(kind, Some(table.family), attributes);
                self.steps.push(Step { what, message, flags });
            }
            None => {
                self.invalid.get_or_insert_with(|| {
                    Error::invalid(what.to_string(), "it is longer than the 64 KiB that a netlink attribute carries")
                });
            }
        }
        self
    }

    fn check_comment(&mut self, what: &impl fmt::Display, comment: Option<&str>) {
        if comment.is_some_and(|comment| comment.len() > LONGEST_COMMENT || comment.contains(['"', '\0', '\n'])) {
            let why = format!("a comment has at most {LONGEST_COMMENT} bytes, and no quotes, NUL or line feed");
            self.invalid.get_or_insert_with(|| Error::invalid(what.to_string(), why));
        }
    }
}

/// Zeroes the counters of one rule and returns what they had seen. Linux 6.2 and later.
pub(crate) fn zero_rule(socket: &mut Socket, table: &TableName, chain: &str, handle: u64) -> Result<Hits, Refusal> {
    let mut w = Writer::default();
    w.put(1, &table.name);
    w.put(2, &chain.to_owned());
    w.put(3, &handle);
    let request = Message::new(kind::GET_RULE_RESET, Some(table.family), w.finish().unwrap_or_default());
    let answers = socket.request(request, 0)?;
    Ok(answers.iter().filter_map(codec::read_rule).find_map(|(_, _, rule)| rule.hits()).unwrap_or_default())
}

/// The text of a rule. `sets` are the named ones that it uses.
pub(crate) fn describe(table: &TableName, rule: &Rule, sets: &[Set]) -> String {
    let options = Options { handles: false, counters: false };
    Context { family: table.family, sets, interfaces: &BTreeMap::new(), options }.rule(rule)
}

/// Family, table and handle of every rule.
fn rule_handles(socket: &mut Socket) -> Result<BTreeSet<(u8, String, u64)>, Refusal> {
    let listing = socket.dump(Message::new(kind::GET_RULE, None, Vec::new()))?;
    let key = |rule: &Message| Some((rule.family, attribute(&rule.attributes, 1)?, attribute(&rule.attributes, 3)?));
    Ok(listing.iter().filter_map(key).collect())
}

impl Step {
    fn is_rule(&self) -> bool {
        self.message.kind() == Some(kind::NEW_RULE)
    }

    fn table_name(&self) -> Option<TableName> {
        Some(TableName { family: Family::from_number(self.message.family)?, name: attribute(&self.message.attributes, 1)? })
    }

    fn chain_name(&self) -> Option<ChainName> {
        Some(ChainName::new(self.table_name()?, attribute::<String>(&self.message.attributes, 3)?))
    }

    fn table(&self) -> (u8, String) {
        (self.message.family, attribute(&self.message.attributes, 1).unwrap_or_default())
    }

    fn refused(&self, refusal: Refusal) -> Error {
        let blamed = refusal.offset.and_then(|offset| expression_at(&self.message.attributes, offset.checked_sub(HEADERS)?));
        let missing = refusal.is(libc::ENOENT);
        let error = Error::new(self.what.to_string(), refusal);
        let Some(expression) = blamed.and_then(|place| self.what.exprs().get(place)) else { return error };
        let name = expression.name();
        let error = error.fact(format!("the kernel points at its expression `{name}`"));
        // These name something else that may be missing: a set, a chain, an object.
        let names = matches!(expression, Expr::Lookup(_) | Expr::Immediate(_) | Expr::Objref(_) | Expr::Dynset(_));
        if missing && !names {
            return error
                .help(format!("this kernel has no `{name}` for this family: it was built without it, or its module is not loaded"));
        }
        error
    }
}

/// Which expression of a rule lies at an offset into the rule's attributes.
fn expression_at(bytes: &[u8], offset: usize) -> Option<usize> {
    let start = |part: &[u8]| (part.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize);
    let (_, list) = attributes(bytes).find(|(kind, _)| *kind == 4)?;
    // The kernel names the attribute by its header, which is before the value.
    attributes(list).position(|(_, expression)| {
        start(expression).is_some_and(|start| (start.saturating_sub(4)..start + expression.len()).contains(&offset))
    })
}
