//! The kernel's expressions: a table of names, attributes and numbers, as `linux/netfilter/nf_tables.h` has it.

use netlink_packet_core::NLA_F_NESTED;

use super::data::{Data, Register};
use super::wire::{Attribute, Field, Writer, attribute, attributes};

/// Declares a number of the kernel's with the values that have a name here; others are kept as they are.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident { $($constant:ident = $value:expr),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) struct $name(pub(crate) u32);
        #[allow(dead_code)]
        impl $name {
            $(pub(crate) const $constant: Self = Self($value);)*
        }
        impl Attribute for $name {
            fn put(&self, kind: u16, writer: &mut Writer) {
                self.0.put(kind, writer);
            }
            fn get(value: &[u8]) -> Option<Self> {
                u32::get(value).map(Self)
            }
        }
    };
}

number!(MetaKey {
    LENGTH = 0, PROTOCOL = 1, PRIORITY = 2, MARK = 3, IIF = 4, OIF = 5, IIFNAME = 6, OIFNAME = 7, IIFTYPE = 8, OIFTYPE = 9, SKUID = 10,
    SKGID = 11, NFTRACE = 12, RTCLASSID = 13, SECMARK = 14, NFPROTO = 15, L4PROTO = 16, IBRNAME = 17, OBRNAME = 18, PKTTYPE = 19, CPU = 20,
    IIFGROUP = 21, OIFGROUP = 22, CGROUP = 23, RANDOM = 24, SECPATH = 25, IIFKIND = 26, OIFKIND = 27, SDIF = 33, SDIFNAME = 34,
});
number!(CtKey {
    STATE = 0, DIRECTION = 1, STATUS = 2, MARK = 3, EXPIRATION = 5, HELPER = 6, L3PROTOCOL = 7, SRC = 8, DST = 9, PROTOCOL = 10,
    PROTO_SRC = 11, PROTO_DST = 12, LABELS = 13, PACKETS = 14, BYTES = 15, AVGPKT = 16, ZONE = 17, EVENTMASK = 18, SRC_IP = 19, DST_IP = 20,
    SRC_IP6 = 21, DST_IP6 = 22, ID = 23,
});
number!(CmpOp { EQ = 0, NEQ = 1, LT = 2, LTE = 3, GT = 4, GTE = 5 });
number!(PayloadBase { LINK = 0, NETWORK = 1, TRANSPORT = 2, INNER = 3 });
number!(BitwiseOp { BOOL = 0, LEFT = 1, RIGHT = 2 });
number!(NatKind { SOURCE = 0, DESTINATION = 1 });
number!(RejectKind { ICMP = 0, TCP_RESET = 1, ICMPX = 2 });
number!(FibResult { OIF = 1, OIFNAME = 2, TYPE = 3 });
number!(NumgenKind { INCREMENTAL = 0, RANDOM = 1 });

/// Flags of `nat`, `masq` and `redir`.
pub(crate) mod nat_flags {
    pub(crate) const MAP_ADDRESSES: u32 = 1;
    pub(crate) const PORTS_SPECIFIED: u32 = 2;
    pub(crate) const RANDOM: u32 = 4;
    pub(crate) const PERSISTENT: u32 = 8;
    pub(crate) const FULLY_RANDOM: u32 = 16;
    pub(crate) const NETMAP: u32 = 64;
}

/// Declares the expressions: the kernel's name, ours, and each field with its attribute number.
macro_rules! expressions {
    ($($kernel:literal $name:ident { $($field:ident: $type:ty = $kind:literal),* $(,)? })*) => {
        $(
            #[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
            pub(crate) struct $name { $(pub(crate) $field: $type),* }

            impl $name {
                #[allow(unused_variables)]
                fn write(&self, writer: &mut Writer) {
                    $(Field::write(&self.$field, $kind, writer);)*
                }
                #[allow(unused_variables)]
                fn read(data: &[u8]) -> Option<Self> {
                    let field = |kind: u16| attributes(data).find(|(k, _)| *k == kind).map(|(_, value)| value);
                    Some(Self { $($field: Field::read(field($kind))?),* })
                }
            }

            impl From<$name> for Expr {
                fn from(expression: $name) -> Self {
                    Self::$name(expression)
                }
            }
        )*

        /// One step of a rule, as the kernel runs it.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub(crate) enum Expr {
            $($name($name),)*
            /// What this crate does not know, with its attributes as they came.
            Unknown { name: String, data: Vec<u8> },
        }

        impl Expr {
            /// The kernel's name of the expression, such as `payload`.
            pub(crate) fn name(&self) -> &str {
                match self {
                    $(Self::$name(_) => $kernel,)*
                    Self::Unknown { name, .. } => name,
                }
            }

            fn write_data(&self, writer: &mut Writer) {
                match self {
                    $(Self::$name(expression) => writer.nest(2, |w| expression.write(w)),)*
                    Self::Unknown { data, .. } => writer.bytes(2 | NLA_F_NESTED, data),
                }
            }

            pub(super) fn read_data(name: &str, data: &[u8]) -> Option<Self> {
                match name {
                    $($kernel => $name::read(data).map(Self::$name),)*
                    _ => None,
                }
            }

            /// The names of all expressions that are understood.
            #[cfg(test)]
            pub(crate) const NAMES: &[&str] = &[$($kernel),*];
        }
    };
}

expressions! {
    "immediate" Immediate { dreg: Register = 1, data: Data = 2 }
    "bitwise" Bitwise {
        sreg: Register = 1, dreg: Register = 2, len: u32 = 3, mask: Option<Data> = 4, xor: Option<Data> = 5, op: Option<BitwiseOp> = 6,
        data: Option<Data> = 7, sreg2: Option<Register> = 8,
    }
    "byteorder" Byteorder { sreg: Register = 1, dreg: Register = 2, op: u32 = 3, len: u32 = 4, size: u32 = 5 }
    "cmp" Cmp { sreg: Register = 1, op: CmpOp = 2, data: Data = 3 }
    "range" Range { sreg: Register = 1, op: CmpOp = 2, from: Data = 3, to: Data = 4 }
    "lookup" Lookup { set: String = 1, sreg: Register = 2, dreg: Option<Register> = 3, set_id: Option<u32> = 4, flags: Option<u32> = 5 }
    "dynset" Dynset {
        set: String = 1, set_id: Option<u32> = 2, op: u32 = 3, key: Register = 4, data: Option<Register> = 5, timeout: Option<u64> = 6,
        expression: Option<Stateful> = 7, flags: Option<u32> = 9, expressions: Option<Vec<Stateful>> = 10,
    }
    "payload" Payload {
        dreg: Option<Register> = 1, base: PayloadBase = 2, offset: u32 = 3, len: u32 = 4, sreg: Option<Register> = 5,
        checksum: Option<u32> = 6, checksum_offset: Option<u32> = 7, checksum_flags: Option<u32> = 8,
    }
    "exthdr" Exthdr {
        dreg: Option<Register> = 1, kind: u8 = 2, offset: u32 = 3, len: u32 = 4, flags: Option<u32> = 5, op: Option<u32> = 6,
        sreg: Option<Register> = 7,
    }
    "meta" Meta { dreg: Option<Register> = 1, key: MetaKey = 2, sreg: Option<Register> = 3 }
    "rt" Rt { dreg: Register = 1, key: u32 = 2 }
    "socket" Socket { key: u32 = 1, dreg: Register = 2, level: Option<u32> = 3 }
    "ct" Ct { dreg: Option<Register> = 1, key: CtKey = 2, direction: Option<u8> = 3, sreg: Option<Register> = 4 }
    "limit" Limit { rate: u64 = 1, unit: u64 = 2, burst: Option<u32> = 3, kind: Option<u32> = 4, flags: Option<u32> = 5 }
    "connlimit" Connlimit { count: u32 = 1, flags: Option<u32> = 2 }
    "counter" Counter { bytes: Option<u64> = 1, packets: Option<u64> = 2 }
    "last" Last { set: Option<u32> = 1, milliseconds: Option<u64> = 2 }
    "log" Log {
        group: Option<u16> = 1, prefix: Option<String> = 2, snaplen: Option<u32> = 3, threshold: Option<u16> = 4, level: Option<u32> = 5,
        flags: Option<u32> = 6,
    }
    "queue" Queue { number: Option<u16> = 1, total: Option<u16> = 2, flags: Option<u16> = 3, sreg: Option<Register> = 4 }
    "quota" Quota { bytes: u64 = 1, flags: Option<u32> = 2, consumed: Option<u64> = 4 }
    "reject" Reject { kind: RejectKind = 1, code: Option<u8> = 2 }
    "nat" Nat {
        kind: NatKind = 1, family: u32 = 2, address_min: Option<Register> = 3, address_max: Option<Register> = 4,
        port_min: Option<Register> = 5, port_max: Option<Register> = 6, flags: Option<u32> = 7,
    }
    "tproxy" Tproxy { family: u32 = 1, address: Option<Register> = 2, port: Option<Register> = 3 }
    "masq" Masq { flags: Option<u32> = 1, port_min: Option<Register> = 2, port_max: Option<Register> = 3 }
    "redir" Redir { port_min: Option<Register> = 1, port_max: Option<Register> = 2, flags: Option<u32> = 3 }
    "dup" Dup { address: Option<Register> = 1, device: Option<Register> = 2 }
    "fwd" Fwd { device: Register = 1, address: Option<Register> = 2, family: Option<u32> = 3 }
    "objref" Objref { kind: Option<u32> = 1, name: Option<String> = 2, sreg: Option<Register> = 3, set: Option<String> = 4, set_id: Option<u32> = 5 }
    "numgen" Numgen { dreg: Register = 1, modulus: u32 = 2, kind: NumgenKind = 3, offset: Option<u32> = 4 }
    "hash" Hash {
        sreg: Option<Register> = 1, dreg: Register = 2, len: Option<u32> = 3, modulus: u32 = 4, seed: Option<u32> = 5, offset: Option<u32> = 6,
        kind: Option<u32> = 7,
    }
    "fib" Fib { dreg: Register = 1, result: FibResult = 2, flags: u32 = 3 }
    "notrack" Notrack {}
    "match" XtMatch { name: String = 1, revision: u32 = 2, info: Vec<u8> = 3 }
    "target" XtTarget { name: String = 1, revision: u32 = 2, info: Vec<u8> = 3 }
}

impl Attribute for Expr {
    fn put(&self, kind: u16, writer: &mut Writer) {
        writer.nest(kind, |w| {
            w.put(1, &self.name().to_owned());
            self.write_data(w);
        });
    }
    fn get(value: &[u8]) -> Option<Self> {
        let name: String = attribute(value, 1)?;
        let data: Vec<u8> = attribute(value, 2).unwrap_or_default();
        Some(Self::read_data(&name, &data).unwrap_or(Self::Unknown { name, data }))
    }
}

/// An expression that keeps state for each element of a set, such as a counter. It holds no other: that bounds how deep a decoder goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Stateful(pub(crate) Box<Expr>);

impl Attribute for Stateful {
    fn put(&self, kind: u16, writer: &mut Writer) {
        self.0.put(kind, writer);
    }
    fn get(value: &[u8]) -> Option<Self> {
        let name: String = attribute(value, 1)?;
        let expression = match name.as_str() {
            "dynset" => Expr::Unknown { name, data: attribute(value, 2).unwrap_or_default() },
            _ => Expr::get(value)?,
        };
        Some(Self(Box::new(expression)))
    }
}

/// A list: each item is an attribute of kind 1 (`NFTA_LIST_ELEM`).
macro_rules! lists {
    ($($item:ty)*) => { $(
        impl Attribute for Vec<$item> {
            fn put(&self, kind: u16, writer: &mut Writer) {
                writer.nest(kind, |w| self.iter().for_each(|item| item.put(1, w)));
            }
            fn get(value: &[u8]) -> Option<Self> {
                Some(attributes(value).filter(|(kind, _)| *kind == 1).filter_map(|(_, value)| <$item>::get(value)).collect())
            }
        }
    )* };
}
lists!(Expr Stateful);
