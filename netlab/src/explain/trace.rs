//! The trace of nf_tables: which chains and rules a packet met in each machine, and how far it came between the hooks.

use crate::capture::{Body, Decoded};
use crate::error::{Doing, Result};
use crate::netns::Netns;
use crate::nft::data::{Data, Register};
use crate::nft::expr::{Cmp, CmpOp, Expr, Meta, MetaKey};
use crate::nft::family::TableName;
use crate::nft::message::Message;
use crate::nft::object::{Base, Chain, Rule};
use crate::nft::transaction::{Position, Transaction};
use crate::nft::wire::attribute;
use crate::nft::{Family, Ruleset};
use crate::sys::netlink::Listener;

use super::tuple::Tuple;

/// `NFNLGRP_NFTRACE`.
const GROUP: u32 = 9;
const NFT_MSG_TRACE: u16 = 17;
const TABLE: &str = "netlab_explain";
/// Before and behind all other chains, but for what the kernel itself hooks at the ends.
const FIRST: i32 = i32::MIN + 2;
const LAST: i32 = i32::MAX - 2;

/// A machine that tells what its packets meet, until this is dropped.
pub(super) struct Trace {
    netns: Netns,
    tables: Vec<TableName>,
    listener: Listener,
    /// The rules as they were, for their texts.
    pub(super) ruleset: Ruleset,
}

/// One word of the trace.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// The kernel's number of the packet on its way through the machine.
    pub(super) id: u32,
    pub(super) family: Family,
    pub(super) table: String,
    pub(super) chain: String,
    pub(super) handle: Option<u64>,
    /// Whether the packet ended there.
    pub(super) fatal: bool,
    /// The hook, of which the chain is, or from which it was jumped to.
    pub(super) hook: Option<String>,
    pub(super) tuple: Option<Tuple>,
    /// What it was if it is no packet of the flow: ARP, neighbour discovery.
    pub(super) other: Option<String>,
    pub(super) mark: u32,
}

impl Event {
    /// Whether it is one of our own chains, which only tell that the packet came there.
    pub(super) fn station(&self) -> Option<(&str, bool)> {
        (self.table == TABLE).then(|| self.chain.split_once('_').map(|(hook, end)| (hook, end == "last"))).flatten()
    }
}

impl Trace {
    /// Has the machine tell about packets of the protocol, and about what resolves neighbours.
    pub(super) fn arm(netns: &Netns, protocol: u8, has_bridge: bool) -> Result<Self> {
        let what = || format!("trace the packets of `{netns}`");
        let ruleset = netns.ruleset()?;
        let listener = netns.enter_io(|| Listener::netfilter(GROUP)).doing(what)?;
        let mut change = Transaction::default();
        let mut tables = vec![table(&mut change, Family::Inet, &[], &wanted(protocol))];
        let has = |family| ruleset.tables.iter().any(|table| table.family == family);
        if has_bridge {
            let mut bridged = wanted(protocol);
            bridged.push(vec![load(MetaKey::PROTOCOL), equals(&[0x08, 0x06])]);
            tables.push(table(&mut change, Family::Bridge, &[], &bridged));
        }
        if has(Family::Arp) {
            tables.push(table(&mut change, Family::Arp, &[], &[Vec::new()]));
        }
        let devices = netdev_devices(&ruleset);
        if !devices.is_empty() {
            tables.push(table(&mut change, Family::Netdev, &devices, &[Vec::new()]));
        }
        change.commit(&mut *netns.netfilter().doing(what)?)?;
        Ok(Self { netns: netns.clone(), tables, listener, ruleset })
    }

    /// What was told, in order.
    pub(super) fn events(&self) -> Vec<Event> {
        let messages: Vec<Message> = self.listener.take().unwrap_or_default();
        let mut events: Vec<Event> = Vec::new();
        for message in messages.iter().filter(|message| message.kind() == Some(NFT_MSG_TRACE)) {
            let Some(mut event) = read(message) else { continue };
            let before = events.iter().rev().find(|known| known.id == event.id);
            event.hook = self.hook(&event).or_else(|| before.and_then(|before| before.hook.clone()));
            // The headers are told once a chain.
            if event.tuple.is_none() && event.other.is_none() {
                event.tuple = before.and_then(|before| before.tuple);
                event.other = before.and_then(|before| before.other.clone());
            }
            events.push(event);
        }
        events
    }

    fn hook(&self, event: &Event) -> Option<String> {
        if let Some((hook, _)) = event.station() {
            return Some(hook.to_owned());
        }
        let table = self.ruleset.table(event.family, &event.table)?;
        Some(table.chain(&event.chain)?.base.as_ref()?.hook.to_owned())
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let mut change = Transaction::default();
        self.tables.iter().for_each(|table| {
            change.delete_table(table);
        });
        let gone = self.netns.netfilter().map(|mut socket| change.commit(&mut socket));
        if let Ok(Err(error)) = gone {
            crate::teardown::failed(error);
        }
    }
}

/// The conditions of the rules: packets of the protocol, and ICMP, which brings errors and resolves IPv6 neighbours.
fn wanted(protocol: u8) -> Vec<Vec<Expr>> {
    let mut protocols = vec![protocol, 1, 58];
    protocols.dedup();
    protocols.into_iter().map(|protocol| vec![load(MetaKey::L4PROTO), equals(&[protocol])]).collect()
}

fn load(key: MetaKey) -> Expr {
    Expr::Meta(Meta { dreg: Some(Register::FIRST), key, sreg: None })
}

fn equals(value: &[u8]) -> Expr {
    Expr::Cmp(Cmp { sreg: Register::FIRST, op: CmpOp::EQ, data: Data::Value(value.to_vec()) })
}

/// A table whose chains are the first and the last of each hook, and turn the trace on.
fn table(change: &mut Transaction, family: Family, devices: &[String], conditions: &[Vec<Expr>]) -> TableName {
    let name = TableName::new(family, TABLE);
    change.create_table(&name);
    let hooks: &[&'static str] = match family {
        Family::Arp => &["input", "output"],
        Family::Netdev => &["ingress", "egress"],
        _ => &["prerouting", "input", "forward", "output", "postrouting"],
    };
    for hook in hooks {
        for (end, priority) in [("first", FIRST), ("last", LAST)] {
            let base = Base { kind: "filter".to_owned(), hook, priority, devices: devices.to_vec(), accept: true };
            let chain = Chain { name: format!("{hook}_{end}"), base: Some(base), ..Chain::default() };
            change.create_chain(&name, &chain);
            for condition in conditions {
                let mut exprs = condition.clone();
                exprs.push(Expr::Immediate(crate::nft::expr::Immediate { dreg: Register::FIRST, data: Data::Value(vec![1]) }));
                exprs.push(Expr::Meta(Meta { dreg: None, key: MetaKey::NFTRACE, sreg: Some(Register::FIRST) }));
                change.add_rule(&name, &chain.name, &Rule { exprs, ..Rule::default() }, Position::Last, &[]);
            }
        }
    }
    name
}

/// The devices to which chains are hooked.
fn netdev_devices(ruleset: &Ruleset) -> Vec<String> {
    let bases = ruleset.tables.iter().flat_map(|table| &table.chains).filter_map(|chain| chain.base.as_ref());
    let mut devices: Vec<_> = bases.flat_map(|base| base.devices.clone()).collect();
    devices.sort();
    devices.dedup();
    devices
}

/// `NFTA_TRACE_*`.
fn read(message: &Message) -> Option<Event> {
    const POLICY: u32 = 1;
    const RULE: u32 = 3;
    const DROP: i32 = 0;
    const STOLEN: i32 = 2;
    let a = &message.attributes;
    let verdict = attribute::<Vec<u8>>(a, 5).and_then(|verdict| attribute::<i32>(&verdict, 1));
    let fatal = match attribute::<u32>(a, 4)? {
        RULE => matches!(verdict, Some(DROP | STOLEN)),
        POLICY => attribute::<i32>(a, 16) == Some(DROP),
        _ => false,
    };
    let (tuple, other) = headers(a);
    Some(Event {
        id: attribute(a, 6)?,
        family: Family::from_number(message.family)?,
        table: attribute(a, 1)?,
        chain: attribute(a, 2)?,
        handle: attribute(a, 3),
        fatal,
        hook: None,
        tuple,
        other,
        mark: attribute(a, 14).unwrap_or(0),
    })
}

/// What the packet is, by the headers that the kernel quotes: link layer, network and transport, each apart.
fn headers(a: &[u8]) -> (Option<Tuple>, Option<String>) {
    let part = |kind| attribute::<Vec<u8>>(a, kind).unwrap_or_default();
    let (link, network, transport) = (part(7), part(8), part(9));
    if link.get(12..14) == Some(&[0x08, 0x06]) || network.get(..4) == Some(&[0, 1, 0x08, 0]) {
        return (None, Some("ARP".to_owned()));
    }
    // The quote ends before the address that is asked for: the type has to do (RFC 4861: 135 and 136).
    if network.first().is_some_and(|first| first >> 4 == 6) && network.get(6) == Some(&58) && matches!(transport.first(), Some(135 | 136)) {
        return (None, Some("neighbour discovery".to_owned()));
    }
    let decoded = Decoded::ip(&[network, transport].concat());
    let Body::Ip(ip) = &decoded.body else { return (None, None) };
    (Tuple::of(ip), None)
}
