//! The base chains that iptables-nft and ebtables-nft make where a rule needs them.

use crate::nft::Family;
use crate::nft::object::{Base, Chain};
use crate::nft::owned::ChainName;

/// Table, chain, type, hook, priority.
type Row = (&'static str, &'static str, &'static str, &'static str, i32);

// As `iptables-nft` 1.8 makes them; its security tables have another priority than the kernel's constant (50).
#[rustfmt::skip]
const IP: &[Row] = &[
    ("filter", "INPUT", "filter", "input", 0), ("filter", "FORWARD", "filter", "forward", 0), ("filter", "OUTPUT", "filter", "output", 0),
    ("nat", "PREROUTING", "nat", "prerouting", -100), ("nat", "INPUT", "nat", "input", 100), ("nat", "OUTPUT", "nat", "output", -100),
    ("nat", "POSTROUTING", "nat", "postrouting", 100),
    ("mangle", "PREROUTING", "filter", "prerouting", -150), ("mangle", "INPUT", "filter", "input", -150),
    ("mangle", "FORWARD", "filter", "forward", -150), ("mangle", "OUTPUT", "route", "output", -150),
    ("mangle", "POSTROUTING", "filter", "postrouting", -150),
    ("raw", "PREROUTING", "filter", "prerouting", -300), ("raw", "OUTPUT", "filter", "output", -300),
    ("security", "INPUT", "filter", "input", 150), ("security", "FORWARD", "filter", "forward", 150),
    ("security", "OUTPUT", "filter", "output", 150),
];

// As `ebtables-nft` 1.8 makes them.
#[rustfmt::skip]
const BRIDGE: &[Row] = &[
    ("filter", "INPUT", "filter", "input", -200), ("filter", "FORWARD", "filter", "forward", -200),
    ("filter", "OUTPUT", "filter", "output", -200),
    ("nat", "PREROUTING", "filter", "prerouting", -300), ("nat", "OUTPUT", "filter", "output", 100),
    ("nat", "POSTROUTING", "filter", "postrouting", 300),
];

const ARP: &[Row] = &[("filter", "INPUT", "filter", "input", 0), ("filter", "OUTPUT", "filter", "output", 0)];

fn rows(family: Family) -> &'static [Row] {
    match family {
        Family::Ip | Family::Ip6 | Family::Inet => IP,
        Family::Bridge => BRIDGE,
        Family::Arp => ARP,
        Family::Netdev => &[],
    }
}

/// The base chain of that name, if it is one that iptables knows.
pub(crate) fn chain(name: &ChainName) -> Option<Chain> {
    let row = rows(name.table.family).iter().find(|(table, chain, ..)| (*table, *chain) == (&name.table.name, &name.chain));
    let (_, chain, kind, hook, priority) = *row?;
    let base = Base { kind: kind.to_owned(), hook, priority, devices: Vec::new(), accept: true };
    Some(Chain { name: chain.to_owned(), base: Some(base), ..Chain::default() })
}

/// The names of the base chains of a table, such as `INPUT, FORWARD, OUTPUT` of `filter`; empty for a table that iptables does not know.
pub(crate) fn names(family: Family, table: &str) -> Vec<&'static str> {
    rows(family).iter().filter(|(known, ..)| *known == table).map(|(_, chain, ..)| *chain).collect()
}
