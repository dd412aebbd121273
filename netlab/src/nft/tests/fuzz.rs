//! The decoder and the renderer take any bytes: nothing panics, and what was understood says the same when it is written again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::Netns;
use crate::nft::expr::Expr;
use crate::nft::family::Family;
use crate::nft::lower::lower;
use crate::nft::message::{Message, kind};
use crate::nft::object::{Element, Set};
use crate::nft::render::{Context, Options};
use crate::nft::ruleset::Ruleset;
use crate::nft::wire::{Attribute, Writer, attributes};

use super::{corpus, oracle};

/// All that happens to a message from the kernel: decoded, put in place, lifted, printed, and lowered again.
fn digest(messages: &[Message]) -> usize {
    let mut ruleset = Ruleset::default();
    messages.iter().for_each(|message| ruleset.add(message));
    for table in &mut ruleset.tables {
        for (set, message) in table.sets.iter_mut().zip(messages) {
            set.elements = crate::nft::codec::read_elements(message);
        }
    }
    let ruleset = ruleset.describe(BTreeMap::new());
    for table in &ruleset.tables {
        let context = Context { family: table.family, sets: &table.sets, interfaces: &BTreeMap::new(), options: Options::default() };
        for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
            drop(lower(table.family, &context.statements(rule), &table.sets));
        }
    }
    ruleset.to_string().len() + ruleset.with_handles().to_string().len()
}

fn message(kind: u16, family: Family, attributes: Vec<u8>) -> Message {
    Message::new(kind, Some(family), attributes)
}

/// A table and a chain, so that rules and sets have a place.
fn place(family: Family) -> Vec<Message> {
    let mut table = Writer::default();
    table.put(1, &"t".to_owned());
    let mut chain = Writer::default();
    chain.put(1, &"t".to_owned());
    chain.put(3, &"c".to_owned());
    vec![message(kind::NEW_TABLE, family, table.finish().unwrap()), message(kind::NEW_CHAIN, family, chain.finish().unwrap())]
}

fn rule(family: Family, exprs: &[Expr]) -> Message {
    let mut w = Writer::default();
    w.put(1, &"t".to_owned());
    w.put(2, &"c".to_owned());
    w.put(4, &exprs.to_vec());
    message(kind::NEW_RULE, family, w.finish().unwrap())
}

const FAMILIES: [Family; 6] = [Family::Ip, Family::Ip6, Family::Inet, Family::Bridge, Family::Netdev, Family::Arp];

fn family() -> impl Strategy<Value = Family> {
    (0..FAMILIES.len()).prop_map(|place| FAMILIES[place])
}

fn expression() -> impl Strategy<Value = Expr> {
    // Attributes of plausible numbers and sizes, so that decoding gets far; names of all expressions, and of none.
    let value = prop_oneof![
        (0_u32..40).prop_map(|n| n.to_be_bytes().to_vec()),
        any::<u64>().prop_map(|n| n.to_be_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(|value| {
            let mut w = Writer::default();
            w.put(1, &value);
            w.finish().unwrap_or_default()
        }),
        Just(b"s\0".to_vec()),
    ];
    let name = (0..=Expr::NAMES.len()).prop_map(|place| Expr::NAMES.get(place).copied().unwrap_or("nonsense").to_owned());
    (name, proptest::collection::vec((1_u16..12, value), 0..10)).prop_map(|(name, fields)| {
        let mut w = Writer::default();
        w.put(1, &name);
        w.nest(2, |w| fields.iter().for_each(|(kind, value)| w.bytes(*kind, value)));
        Expr::get(&w.finish().unwrap()).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_taken(family in family(), kind in 0_u16..20, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut messages = place(family);
        messages.push(message(kind, family, bytes));
        digest(&messages);
    }

    #[test]
    fn any_expressions_in_any_order_are_taken(family in family(), exprs in proptest::collection::vec(expression(), 0..12)) {
        let mut messages = place(family);
        messages.push(rule(family, &exprs));
        digest(&messages);
    }

    #[test]
    fn an_expression_that_is_written_reads_the_same(expression in expression()) {
        let mut w = Writer::default();
        w.put(1, &expression);
        let bytes = w.finish().unwrap();
        let (_, value) = attributes(&bytes).next().unwrap();
        prop_assert_eq!(Expr::get(value), Some(expression));
    }

    #[test]
    fn a_set_that_is_written_reads_the_same(flags in 0_u32..0x200, key_type in any::<u32>(), key_len in 0_u32..64,
        keys in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..40), any::<bool>()), 0..10), timeout in any::<Option<u64>>()) {
        let elements: Vec<_> = keys.into_iter().map(|(key, end)| Element { key: Some(key), flags: u32::from(end), timeout, ..Element::default() }).collect();
        let set = Set { name: "s".to_owned(), flags, key_type, key_len, timeout, fields: vec![4, 2], ..Set::default() };
        let write = |fill: &dyn Fn(&mut Writer)| {
            let mut w = Writer::default();
            fill(&mut w);
            w.finish().unwrap()
        };
        let declared = message(kind::NEW_SET, Family::Ip, write(&|w| crate::nft::codec::write_set(w, "t", &set)));
        let listed = message(kind::NEW_ELEMENTS, Family::Ip, write(&|w| crate::nft::codec::write_elements(w, "t", &set, &elements)));
        prop_assert_eq!(crate::nft::codec::read_set(&declared).map(|(_, set)| set), Some(set));
        prop_assert_eq!(crate::nft::codec::read_elements(&listed), elements);
    }
}

/// What the kernel listed for every rule of the corpus, with bytes changed, removed and put in, for as long as `NETLAB_FUZZ_SECONDS` says.
#[netlab::test(timeout = "20m")]
fn mutated_listings_are_taken() {
    let fuzz = std::env::var("NETLAB_FUZZ_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .map_or(Duration::from_secs(3), Duration::from_secs);
    let listings = listings();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (begin, mut executions, mut printed) = (Instant::now(), 0_u64, 0);
    while begin.elapsed() < fuzz {
        let mut messages = listings[random.below(listings.len())].clone();
        for _ in 0..=random.below(6) {
            let place = random.below(messages.len());
            mutate(&mut messages[place].attributes, &mut random);
        }
        printed += digest(&messages);
        executions += 1;
    }
    println!("{executions} executions, {printed} bytes printed");
    assert!(executions > 100 && printed > 0);
}

/// Small rulesets as messages: the table, its chain, and one rule with the sets of it.
fn listings() -> Vec<Vec<Message>> {
    let mut listings = Vec::new();
    for chain in corpus::CHAINS {
        let netns = Netns::new("seed").unwrap();
        oracle::load(&netns, chain.setting).unwrap();
        for rule in chain.rules.lines().map(str::trim).filter(|line| !line.is_empty()) {
            oracle::load(&netns, &format!("add rule {} {rule}", chain.place)).unwrap();
        }
        let mut socket = netns.netfilter().unwrap();
        let mut dump = |kind| socket.dump(Message::new(kind, None, Vec::new())).unwrap();
        let (tables, chains, sets, rules) = (dump(kind::GET_TABLE), dump(kind::GET_CHAIN), dump(kind::GET_SET), dump(kind::GET_RULE));
        for rules in rules.chunks(3) {
            listings.push([&tables[..], &chains[..], &sets[..sets.len().min(4)], rules].concat());
        }
    }
    listings
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        return bytes.push(random.byte());
    }
    let place = random.below(bytes.len());
    match random.below(6) {
        0 => bytes[place] = random.byte(),
        1 => bytes[place] ^= 1 << random.below(8),
        2 => bytes.truncate(place),
        3 => drop(bytes.remove(place)),
        4 => bytes.insert(place, random.byte()),
        _ => {
            let from = random.below(bytes.len());
            let length = random.below(16).min(bytes.len() - from.max(place));
            bytes.copy_within(from..from + length, place);
        }
    }
}

/// xorshift64*: the same mutations from run to run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }
    fn byte(&mut self) -> u8 {
        (self.next() >> 40) as u8
    }
}
