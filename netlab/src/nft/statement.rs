//! Rules in nft's words: what a rule compares, and what it does. Expressions are lifted to statements, and statements lowered to them.

use super::data::Verdict;
use super::expr::{CmpOp, CtKey, Expr, FibResult, MetaKey, NatKind, PayloadBase, RejectKind};
use super::family::Family;
use super::object::Hits;
use super::template::Template;
use super::types::DataType;

/// Something that a rule can look at. All values that belong to it are written big-endian here, whatever order the kernel keeps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Meta(MetaKey),
    Ct {
        key: CtKey,
        direction: Option<u8>,
    },
    /// Bits of a header; with a template once it is known which field of which protocol they are.
    Payload {
        base: PayloadBase,
        offset: u32,
        bits: u32,
        field: Option<&'static Template>,
    },
    Exthdr {
        op: u32,
        kind: u8,
        offset: u32,
        bytes: u32,
        exists: bool,
    },
    Fib {
        result: FibResult,
        flags: u32,
    },
    Numgen {
        random: bool,
        modulus: u32,
        offset: u32,
    },
    /// `jhash` of a key, or `symhash` of the flow.
    Hash {
        of: Option<Box<Key>>,
        modulus: u32,
        seed: Option<u32>,
        offset: u32,
    },
    Socket {
        key: u32,
        level: u32,
    },
    Route(u32),
    Concat(Vec<Key>),
    /// What a map gives for the key.
    Map {
        key: Box<Key>,
        map: SetRef,
    },
    /// `key & mask ^ xor`.
    Bits {
        key: Box<Key>,
        mask: Vec<u8>,
        xor: Vec<u8>,
    },
    Shift {
        key: Box<Key>,
        left: bool,
        by: u32,
    },
    /// A constant.
    Value {
        value: Vec<u8>,
        data_type: Option<DataType>,
    },
}

/// A set or a map that a rule uses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum SetRef {
    Named(String),
    Anonymous(Items),
}

/// The elements of a set or map, with the types of its values if it is a map.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Items {
    pub(crate) items: Vec<Item>,
    pub(crate) data_types: Vec<DataType>,
}

/// A value, and the last value if it is a range.
pub(crate) type Span = (Vec<u8>, Option<Vec<u8>>);

/// One element: a value, or all from one to another, in each field of the key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Item {
    /// For each field of the key.
    pub(crate) key: Vec<Span>,
    pub(crate) gives: Option<Gives>,
    pub(crate) timeout: Option<u64>,
    pub(crate) expires: Option<u64>,
    pub(crate) comment: Option<String>,
    pub(crate) exprs: Vec<Expr>,
}

/// What a map gives for an element.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Gives {
    Verdict(Verdict),
    /// For each field.
    Values(Vec<Span>),
    Object(String),
}

/// What a key is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    Value(Vec<u8>),
    /// The value and the number of its leading bits that count.
    Prefix(Vec<u8>, u32),
    Range(Vec<u8>, Vec<u8>),
    /// Of the bits of the second, exactly those of the first are set.
    Masked(Vec<u8>, Vec<u8>),
    /// At least one of these bits is set.
    Any(Vec<u8>),
    Set(SetRef),
}

/// A value to be put somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Value(Vec<u8>),
    Range(Vec<u8>, Vec<u8>),
    Key(Key),
}

/// One match or target of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Statement {
    Match {
        key: Key,
        op: CmpOp,
        operand: Operand,
    },
    Verdict(Verdict),
    VerdictMap {
        key: Key,
        map: SetRef,
    },
    Counter(Option<Hits>),
    Limit {
        over: bool,
        rate: u64,
        unit: u64,
        burst: u32,
        bytes: bool,
    },
    Quota {
        over: bool,
        bytes: u64,
        used: u64,
    },
    Connlimit {
        over: bool,
        count: u32,
    },
    Last(Option<u64>),
    Log {
        group: Option<u16>,
        prefix: Option<String>,
        snaplen: Option<u32>,
        threshold: Option<u16>,
        level: Option<u32>,
        flags: u32,
    },
    /// For ICMP, whether it is that of IPv6.
    Reject {
        kind: RejectKind,
        code: u8,
        ip6: bool,
    },
    Nat {
        kind: NatKind,
        family: Family,
        address: Option<Source>,
        port: Option<Source>,
        flags: u32,
    },
    Masquerade {
        ports: Option<Source>,
        flags: u32,
    },
    Redirect {
        ports: Option<Source>,
        flags: u32,
    },
    Tproxy {
        family: Option<Family>,
        address: Option<Source>,
        port: Option<Source>,
    },
    Queue {
        first: u16,
        total: u16,
        flags: u16,
        by: Option<Key>,
    },
    Set {
        key: Key,
        value: Source,
    },
    Dup {
        address: Option<Source>,
        device: Option<Source>,
    },
    Forward {
        device: Source,
        address: Option<Source>,
    },
    Update {
        set: String,
        op: u32,
        key: Key,
        data: Option<Source>,
        timeout: Option<u64>,
        exprs: Vec<Expr>,
    },
    Object {
        kind: u32,
        name: Source,
    },
    ObjectMap {
        key: Key,
        map: SetRef,
        kind: u32,
    },
    Notrack,
    /// An xtables match or target, or an expression that is not understood; and the transport protocol that was matched before it.
    Opaque {
        expression: Expr,
        transport: Option<&'static str>,
    },
}

impl Key {
    pub(crate) fn payload(protocol: &str, field: &str) -> Option<Self> {
        super::template::field(protocol, field).map(Self::field)
    }

    pub(crate) fn field(template: &'static Template) -> Self {
        Self::Payload { base: template.base, offset: template.offset, bits: template.bits, field: Some(template) }
    }

    /// The type of the key's values.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Meta(key) => super::keys::meta(*key).map_or(DataType::Integer, |row| row.data_type),
            Self::Ct { key, .. } => super::keys::ct(*key).map_or(DataType::Integer, |row| row.data_type),
            Self::Payload { field, .. } => field.map_or(DataType::Integer, |field| field.data_type),
            Self::Exthdr { exists, .. } => {
                if *exists {
                    DataType::Boolean
                } else {
                    DataType::Integer
                }
            }
            Self::Fib { result, flags } => super::keys::fib_type(*result, *flags),
            Self::Socket { key, .. } => {
                if *key == 1 {
                    DataType::Mark
                } else {
                    DataType::Integer
                }
            }
            Self::Route(key) => super::keys::route(*key).map_or(DataType::Integer, |(_, data_type)| data_type),
            Self::Bits { key, .. } | Self::Shift { key, .. } => key.data_type(),
            Self::Map { map: SetRef::Anonymous(items), .. } => items.data_types.first().copied().unwrap_or(DataType::Integer),
            Self::Value { data_type, .. } => data_type.unwrap_or(DataType::Integer),
            Self::Numgen { .. } | Self::Hash { .. } | Self::Concat(_) | Self::Map { .. } => DataType::Integer,
        }
    }

    /// The types of the fields of a concatenation, or the one type of the key.
    pub(crate) fn data_types(&self) -> Vec<DataType> {
        match self {
            Self::Concat(keys) => keys.iter().map(Self::data_type).collect(),
            key => vec![key.data_type()],
        }
    }

    /// Whether the kernel loads the key in host byte order.
    pub(crate) fn is_host_order(&self) -> bool {
        match self {
            Self::Meta(MetaKey::RANDOM) | Self::Ct { key: CtKey::ID, .. } => false,
            Self::Meta(_) | Self::Ct { .. } => match self.data_type() {
                DataType::Integer => true,
                other => other.is_host_order(),
            },
            Self::Numgen { .. } | Self::Hash { .. } => true,
            Self::Fib { .. } | Self::Socket { .. } | Self::Route(_) => {
                self.data_type() != DataType::IfName && !matches!(self.data_type(), DataType::Ipv4 | DataType::Ipv6)
            }
            Self::Bits { key, .. } | Self::Shift { key, .. } => key.is_host_order(),
            Self::Map { .. } | Self::Value { .. } => self.data_type().is_host_order(),
            Self::Payload { .. } | Self::Exthdr { .. } | Self::Concat(_) => false,
        }
    }

    /// The bytes that a value takes in a register.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Meta(key) => super::keys::meta(*key).map_or(4, |row| row.bytes),
            Self::Ct { key, .. } => super::keys::ct(*key).map_or(4, |row| row.bytes),
            Self::Payload { offset, bits, .. } => ((offset % 8 + bits).div_ceil(8)) as usize,
            Self::Exthdr { exists, bytes, .. } => {
                if *exists {
                    1
                } else {
                    *bytes as usize
                }
            }
            Self::Fib { result, flags } => {
                if *flags & 0x20 != 0 {
                    1
                } else if *result == FibResult::OIFNAME {
                    16
                } else {
                    4
                }
            }
            Self::Socket { key, .. } => match key {
                0 | 2 => 1,
                3 => 8,
                _ => 4,
            },
            Self::Route(2) => 16,
            Self::Route(3) => 2,
            Self::Route(4) => 1,
            Self::Route(_) | Self::Numgen { .. } | Self::Hash { .. } => 4,
            Self::Concat(keys) => keys.iter().map(|key| key.bytes().next_multiple_of(4)).sum(),
            Self::Map { map: SetRef::Anonymous(items), .. } => {
                let bytes = |data_type: &DataType| data_type.bytes().unwrap_or(4);
                match items.data_types.as_slice() {
                    [one] => bytes(one),
                    several => several.iter().map(|one| bytes(one).next_multiple_of(4)).sum(),
                }
            }
            Self::Map { .. } => 4,
            Self::Bits { key, .. } | Self::Shift { key, .. } => key.bytes(),
            Self::Value { value, .. } => value.len(),
        }
    }
}

impl Items {
    /// Whether a map gives nets or ranges.
    pub(crate) fn gives_ranges(&self) -> bool {
        let mut gives = self.items.iter().filter_map(|item| item.gives.as_ref());
        gives.any(|gives| matches!(gives, Gives::Values(values) if values.iter().any(|(_, to)| to.is_some())))
    }
}

impl Item {
    pub(crate) fn value(value: Vec<u8>) -> Self {
        Self { key: vec![(value, None)], ..Self::default() }
    }

    pub(crate) fn range(from: Vec<u8>, to: Vec<u8>) -> Self {
        Self { key: vec![(from, Some(to))], ..Self::default() }
    }
}
