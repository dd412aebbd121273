//! Tables, chains, rules, sets: what the kernel holds and lists.

use serde::{Deserialize, Serialize, Serializer};

use super::data::Data;
use super::expr::{Counter, Expr};
use super::family::Family;
use super::types::DataType;

/// A table of one family, with its sets and chains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    pub(crate) family: Family,
    pub(crate) name: String,
    pub(crate) flags: u32,
    pub(crate) handle: u64,
    pub(crate) comment: Option<String>,
    pub(crate) objects: Vec<Object>,
    pub(crate) sets: Vec<Set>,
    pub(crate) chains: Vec<Chain>,
}

impl Table {
    /// The address family whose packets the table sees.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The table's name, such as `nat`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The chains, in the order in which they were made.
    pub fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// The chain of that name.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == name)
    }
}

/// A list of rules, hooked into the way of packets or jumped to from other chains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Chain {
    pub(crate) name: String,
    pub(crate) handle: u64,
    #[serde(flatten)]
    pub(crate) base: Option<Base>,
    pub(crate) comment: Option<String>,
    pub(crate) counter: Option<Hits>,
    pub(crate) rules: Vec<Rule>,
}

impl Chain {
    /// The chain's name, such as `POSTROUTING`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rules, in the order in which packets meet them.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What becomes of a packet that no rule decided, for a chain that is hooked: `accept` or `drop`.
    pub fn policy(&self) -> Option<&'static str> {
        Some(if self.base.as_ref()?.accept { "accept" } else { "drop" })
    }

    /// How many packets the policy decided, for a chain that was made to count them (as iptables makes its own).
    pub fn policy_hits(&self) -> Option<Hits> {
        self.counter
    }
}

/// How a chain is hooked into the way of packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Base {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) hook: &'static str,
    pub(crate) priority: i32,
    pub(crate) devices: Vec<String>,
    pub(crate) accept: bool,
}

/// Packets and bytes that a counter has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hits {
    /// Packets.
    pub packets: u64,
    /// Bytes of those packets, network headers included.
    pub bytes: u64,
}

/// One rule of a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    pub(crate) handle: u64,
    pub(crate) exprs: Vec<Expr>,
    pub(crate) comment: Option<String>,
    /// Protocol and flags that xtables matches ask for.
    pub(crate) compat: Option<(u32, u32)>,
    /// The anonymous sets of a rule that is yet to be installed; once it is, they are the table's.
    pub(crate) sets: Vec<Set>,
    pub(crate) text: String,
}

impl Rule {
    /// The kernel's number of the rule, which stays the same while the rule lives and is never used again in its table.
    pub fn handle(&self) -> u64 {
        self.handle
    }

    /// The rule as `nft -s list ruleset` prints it: without the values of its counters.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the rule's first counter has seen, if it has one.
    pub fn hits(&self) -> Option<Hits> {
        self.exprs.iter().find_map(|expression| match expression {
            Expr::Counter(Counter { bytes, packets }) => Some(Hits { packets: packets.unwrap_or(0), bytes: bytes.unwrap_or(0) }),
            _ => None,
        })
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            handle: u64,
            text: &'a str,
            hits: Option<Hits>,
            comment: Option<&'a str>,
        }
        let comment = self.comment.as_deref();
        Shown { handle: self.handle, text: &self.text, hits: self.hits(), comment }.serialize(serializer)
    }
}

/// Flags of a set.
pub(crate) mod set_flags {
    pub(crate) const ANONYMOUS: u32 = 0x1;
    pub(crate) const CONSTANT: u32 = 0x2;
    pub(crate) const INTERVAL: u32 = 0x4;
    pub(crate) const MAP: u32 = 0x8;
    pub(crate) const TIMEOUT: u32 = 0x10;
    pub(crate) const DYNAMIC: u32 = 0x20;
    pub(crate) const OBJECT: u32 = 0x40;
    pub(crate) const CONCAT: u32 = 0x80;
}

/// A set or a map, as the kernel keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) handle: u64,
    /// The number that stands for it within one transaction.
    #[serde(skip)]
    pub(crate) id: u32,
    #[serde(skip)]
    pub(crate) flags: u32,
    #[serde(skip)]
    pub(crate) key_type: u32,
    #[serde(skip)]
    pub(crate) key_len: u32,
    #[serde(skip)]
    pub(crate) data_type: Option<u32>,
    #[serde(skip)]
    pub(crate) data_len: Option<u32>,
    #[serde(skip)]
    pub(crate) object_type: Option<u32>,
    #[serde(skip)]
    pub(crate) policy: Option<u32>,
    #[serde(skip)]
    pub(crate) size: Option<u32>,
    /// The lengths of the fields of a concatenation.
    #[serde(skip)]
    pub(crate) fields: Vec<u32>,
    /// Milliseconds.
    pub(crate) timeout: Option<u64>,
    pub(crate) gc_interval: Option<u32>,
    #[serde(skip)]
    pub(crate) userdata: Vec<u8>,
    #[serde(skip)]
    pub(crate) exprs: Vec<Expr>,
    #[serde(skip)]
    pub(crate) elements: Vec<Element>,
}

impl Set {
    pub(crate) fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// The types of the values that a map gives, one for each field.
    pub(crate) fn data_types(&self) -> Vec<DataType> {
        self.data_type.map(DataType::split).unwrap_or_default()
    }
}

/// One element of a set: a key, or an end of an interval of keys, and what a map gives for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) key_end: Option<Vec<u8>>,
    pub(crate) data: Option<Data>,
    pub(crate) flags: u32,
    pub(crate) timeout: Option<u64>,
    pub(crate) expiration: Option<u64>,
    pub(crate) userdata: Vec<u8>,
    pub(crate) object: Option<String>,
    pub(crate) exprs: Vec<Expr>,
}

/// Flags of an element.
pub(crate) mod element_flags {
    pub(crate) const INTERVAL_END: u32 = 1;
    pub(crate) const CATCH_ALL: u32 = 2;
}

/// A named counter, quota, limit or the like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Object {
    pub(crate) name: String,
    pub(crate) handle: u64,
    #[serde(skip)]
    pub(crate) kind: u32,
    #[serde(skip)]
    pub(crate) data: Vec<u8>,
}
