//! The behaviour as rules of nf_tables, and nothing else.
//!
//! Four chains share four tables of memory, whose keys begin with the transport protocol:
//!
//! | memory | key | value |
//! |---|---|---|
//! | `inside` | the client's address and port, and the server's as far as the mapping depends on it | the outside port |
//! | `outside` | the outside port | the client's address and port |
//! | `taken` | the outside port, for those who ask whether it is free | |
//! | `permitted` | the outside port, and the address and port to which something was sent from there, as far as the filtering depends on it | |
//!
//! `assign` leads the first packet of a connection to the outside into `choose`, which translates it as `inside` says, or to a port that is
//! not `taken`. `learn` leads it, behind the translation, into `remember`. `deliver` translates the first packet of a connection from the
//! outside as `outside` says, and `guard` drops it unless it is `permitted`, before the kernel remembers a connection. All other packets of
//! a connection are translated by the kernel's connection tracking.

use super::{Filtering, Mapping, Plan};
use crate::nft::data::{Data, Register, Verdict};
use crate::nft::expr::{
    Bitwise, BitwiseOp, Byteorder, CmpOp, CtKey, Expr, Hash, Immediate, Lookup, Meta, MetaKey, Nat, NatKind, nat_flags,
};
use crate::nft::family::{Family, TableName};
use crate::nft::lower::lower;
use crate::nft::lower::set::declared;
use crate::nft::matches;
use crate::nft::object::{Base, Chain, Rule, Set, set_flags};
use crate::nft::statement::{Items, Key, Operand, SetRef, Source, Statement};
use crate::nft::transaction::{Position, Transaction};
use crate::nft::types::DataType::{self, Ipv4, Protocol, Service};

/// TCP and UDP.
const PROTOCOLS: [u8; 2] = [6, 17];
/// RFC 4787, REQ-5: recommended.
const MAPPING_LASTS_MS: u64 = 300_000;
const MOST_MAPPINGS: u32 = 65_535;
const TRIES: u32 = 16;

const UPDATE: u32 = 1;
const ORIGINAL: u8 = 0;
const LOOKUP_INVERTED: u32 = 1;
const HOST_TO_NETWORK: u32 = 1;

/// `IPS_DST_NAT`.
const DST_NAT: u32 = 1 << 5;

type Made<T> = Result<T, String>;

pub(super) fn add(change: &mut Transaction, table: &TableName, plan: &Plan) -> Made<()> {
    let sets = memory(plan)?;
    let maker = Maker { plan, sets: &sets };
    change.create_table(table);
    for set in &sets {
        change.add_set(table, set);
    }
    let mut chain = |name: &str, place: Option<(&str, &'static str, i32)>, rules: Vec<Rule>| {
        let base = place.map(|(kind, hook, priority)| Base { kind: kind.to_owned(), hook, priority, devices: Vec::new(), accept: true });
        change.add_chain(table, &Chain { name: name.to_owned(), base, ..Chain::default() });
        for rule in &rules {
            change.add_rule(table, name, rule, Position::Last, &sets);
        }
    };
    chain("choose", None, maker.choose()?);
    chain("remember", None, maker.remember()?);
    // Beside the kernel's translation of destinations (-100) and sources (100). Rules of others are asked first.
    chain("deliver", Some(("nat", "prerouting", -95)), maker.deliver()?);
    chain("guard", Some(("filter", "prerouting", -90)), maker.guard()?);
    chain("assign", Some(("nat", "postrouting", 105)), maker.assign()?);
    chain("learn", Some(("filter", "postrouting", 110)), maker.learn()?);
    Ok(())
}

fn memory(plan: &Plan) -> Made<Vec<Set>> {
    let far: &[DataType] = match plan.mapping {
        Mapping::EndpointIndependent => &[],
        Mapping::AddressDependent => &[Ipv4],
        Mapping::AddressAndPortDependent => &[Ipv4, Service],
    };
    let heard: &[DataType] = match plan.filtering {
        Filtering::EndpointIndependent | Filtering::AddressDependent => &[Ipv4],
        Filtering::AddressAndPortDependent => &[Ipv4, Service],
    };
    let client = [Protocol, Ipv4, Service];
    Ok(vec![
        remembered("inside", &[&client, far].concat(), &[Service])?,
        remembered("outside", &[Protocol, Service], &[Ipv4, Service])?,
        remembered("taken", &[Protocol, Service], &[])?,
        remembered("permitted", &[&[Protocol, Service], heard].concat(), &[])?,
    ])
}

/// A set, or a map, that rules fill and time empties.
fn remembered(name: &str, key: &[DataType], gives: &[DataType]) -> Made<Set> {
    let items = Items { items: Vec::new(), data_types: gives.to_vec() };
    let set = declared(name, key, &items, false)?;
    let flags = set.flags | set_flags::DYNAMIC | set_flags::TIMEOUT;
    Ok(Set { flags, timeout: Some(MAPPING_LASTS_MS), size: Some(MOST_MAPPINGS), ..set })
}

struct Maker<'a> {
    plan: &'a Plan,
    sets: &'a [Set],
}

impl Maker<'_> {
    fn rule(&self, statements: &[Statement]) -> Made<Rule> {
        lower(Family::Ip, statements, self.sets)
    }

    /// UDP and TCP that leave by the outer interface.
    fn outward(&self) -> Made<Vec<Statement>> {
        Ok(vec![matches::oifname(&self.plan.out)?, matches::l4proto(&PROTOCOLS)])
    }

    /// UDP and TCP that a client sent to the outer address, and that has been turned round to another client.
    fn hairpinned(&self) -> Made<Vec<Statement>> {
        let (inward, from_inside) = ((!matches::oifname(&self.plan.out)?)?, (!matches::iifname(&self.plan.out)?)?);
        Ok(vec![inward, from_inside, self.sent_to_us(), matches::ct_status(DST_NAT), matches::l4proto(&PROTOCOLS)])
    }

    fn sent_to_us(&self) -> Statement {
        equal(ct(CtKey::DST_IP), &self.plan.address.octets())
    }

    /// The protocol, the client, and as much of the far end as the mapping depends on.
    fn mapped(&self) -> Vec<Key> {
        let far: &[CtKey] = match self.plan.mapping {
            Mapping::EndpointIndependent => &[],
            Mapping::AddressDependent => &[CtKey::DST_IP],
            Mapping::AddressAndPortDependent => &[CtKey::DST_IP, CtKey::PROTO_DST],
        };
        let client = [CtKey::SRC_IP, CtKey::PROTO_SRC];
        std::iter::once(protocol()).chain(client.iter().chain(far).map(|key| ct(*key))).collect()
    }

    /// The protocol, the outside port, and as much of the far end as the filtering depends on.
    fn permitted(&self, outside: Key, [address, port]: [Key; 2]) -> Vec<Key> {
        let mut key = vec![protocol(), outside, address];
        if self.plan.filtering == Filtering::AddressAndPortDependent {
            key.push(port);
        }
        key
    }

    /// Drops what comes to an outside port from somebody to whom its client has not sent from there.
    fn unless_permitted(&self) -> Made<[Statement; 2]> {
        let from = [field("ip", "saddr")?, field("th", "sport")?];
        Ok([not_in("permitted", self.permitted(ct(CtKey::PROTO_DST), from)), Statement::Verdict(Verdict::Drop)])
    }

    fn assign(&self) -> Made<Vec<Rule>> {
        let choose = |mut packets: Vec<Statement>| {
            packets.push(Statement::Verdict(Verdict::Jump("choose".to_owned())));
            self.rule(&packets)
        };
        let mut rules = vec![choose(self.outward()?)?, self.rule(&[matches::oifname(&self.plan.out)?, self.translate(None)])?];
        if self.plan.hairpinning {
            rules.push(choose(self.hairpinned()?)?);
        }
        Ok(rules)
    }

    fn choose(&self) -> Made<Vec<Rule>> {
        let ported = matches::l4proto(&PROTOCOLS);
        let known = Key::Map { key: Box::new(Key::Concat(self.mapped())), map: named("inside") };
        let mut rules = vec![self.rule(&[ported.clone(), self.translate(Some(Source::Key(known)))])?];
        if self.plan.port_preservation {
            let own = field("th", "sport")?;
            let free = not_in("taken", vec![protocol(), own.clone()]);
            rules.push(self.rule(&[ported, free, self.translate(Some(Source::Key(own)))])?);
        }
        for seed in 0..TRIES {
            rules.push(self.candidate(seed)?);
        }
        rules.push(self.rule(&[Statement::Verdict(Verdict::Drop)])?);
        Ok(rules)
    }

    fn translate(&self, port: Option<Source>) -> Statement {
        let address = Some(Source::Value(self.plan.address.octets().to_vec()));
        Statement::Nat { kind: NatKind::SOURCE, family: Family::Ip, address, port, flags: 0 }
    }

    /// Translates to a port that is made of the key, if that is free. nft has no words for a value that is compared and then used.
    fn candidate(&self, seed: u32) -> Made<Rule> {
        let (first, protocol) = (Register::FIRST, Register::FIRST.after(20));
        let (port, address) = (protocol.after(4), protocol.after(8));
        let key = self.mapped();
        let look_up = Statement::Match { key: Key::Concat(key.clone()), op: CmpOp::EQ, operand: Operand::Set(named("inside")) };
        let mut load = self.rule(&[look_up])?.exprs;
        load.retain(|expression| !matches!(expression, Expr::Lookup(_)));
        let ports = &self.plan.ports;
        let hash = Hash {
            sreg: Some(first),
            dreg: port,
            len: u32::try_from(4 * key.len()).ok(),
            modulus: u32::from(ports.end() - ports.start()) + 1,
            seed: Some(seed),
            offset: Some(u32::from(*ports.start())),
            kind: Some(0),
        };
        let steps: [Expr; 6] = [
            hash.into(),
            as_port(port),
            Meta { dreg: Some(protocol), key: MetaKey::L4PROTO, sreg: None }.into(),
            Lookup { set: "taken".to_owned(), sreg: protocol, dreg: None, set_id: None, flags: Some(LOOKUP_INVERTED) }.into(),
            Immediate { dreg: address, data: Data::Value(self.plan.address.octets().to_vec()) }.into(),
            Nat {
                kind: NatKind::SOURCE,
                family: u32::from(Family::Ip.number()),
                address_min: Some(address),
                port_min: Some(port),
                flags: Some(nat_flags::MAP_ADDRESSES | nat_flags::PORTS_SPECIFIED),
                ..Nat::default()
            }
            .into(),
        ];
        Ok(Rule { exprs: load.into_iter().chain(steps).collect(), ..Rule::default() })
    }

    fn learn(&self) -> Made<Vec<Rule>> {
        let translated = [
            equal(Key::Ct { key: CtKey::DIRECTION, direction: None }, &[ORIGINAL]),
            matches::saddr(&[std::net::IpAddr::from(self.plan.address).into()])?,
        ];
        let remember = [Statement::Verdict(Verdict::Jump("remember".to_owned()))];
        let mut rules = vec![self.rule(&[&self.outward()?[..], &translated, &remember].concat())?];
        if self.plan.hairpinning {
            rules.push(self.rule(&[&self.hairpinned()?[..], &translated, &remember].concat())?);
            if self.plan.filtering != Filtering::EndpointIndependent {
                // What the sender's outer end is, is known only now.
                rules.push(self.rule(&[&self.hairpinned()?[..], &translated, &self.unless_permitted()?].concat())?);
            }
        }
        Ok(rules)
    }

    fn remember(&self) -> Made<Vec<Rule>> {
        let client = [ct(CtKey::SRC_IP), ct(CtKey::PROTO_SRC)];
        let far = [ct(CtKey::DST_IP), ct(CtKey::PROTO_DST)];
        let port = || field("th", "sport");
        let outside = || Ok::<_, String>(vec![protocol(), port()?]);
        let updates = [
            update("taken", outside()?, None),
            update("outside", outside()?, Some(Key::Concat(client.to_vec()))),
            update("inside", self.mapped(), Some(port()?)),
            update("permitted", self.permitted(port()?, far), None),
        ];
        updates.into_iter().map(|update| self.rule(&[update])).collect()
    }

    fn deliver(&self) -> Made<Vec<Rule>> {
        let mut statements = if self.plan.hairpinning { vec![] } else { vec![matches::iifname(&self.plan.out)?] };
        statements.push(matches::daddr(&[std::net::IpAddr::from(self.plan.address).into()])?);
        statements.push(matches::l4proto(&PROTOCOLS));
        let key = Box::new(Key::Concat(vec![protocol(), field("th", "dport")?]));
        let address = Some(Source::Key(Key::Map { key, map: named("outside") }));
        statements.push(Statement::Nat { kind: NatKind::DESTINATION, family: Family::Ip, address, port: None, flags: 0 });
        Ok(vec![self.rule(&statements)?])
    }

    fn guard(&self) -> Made<Vec<Rule>> {
        if self.plan.filtering == Filtering::EndpointIndependent {
            return Ok(Vec::new());
        }
        let delivered = [
            matches::iifname(&self.plan.out)?,
            matches::l4proto(&PROTOCOLS),
            equal(Key::Ct { key: CtKey::DIRECTION, direction: None }, &[ORIGINAL]),
            // What other rules have translated is theirs.
            matches::ct_status(DST_NAT),
            self.sent_to_us(),
            Statement::Match {
                key: Key::Concat(vec![protocol(), ct(CtKey::PROTO_DST)]),
                op: CmpOp::EQ,
                operand: Operand::Set(named("taken")),
            },
        ];
        Ok(vec![self.rule(&[&delivered[..], &self.unless_permitted()?].concat())?])
    }
}

/// A number in host order as a port: of a register's four bytes, the first two in network order.
fn as_port(register: Register) -> Expr {
    if cfg!(target_endian = "little") {
        return Byteorder { sreg: register, dreg: register, op: HOST_TO_NETWORK, len: 2, size: 2 }.into();
    }
    let data = Some(Data::Value(16_u32.to_ne_bytes().to_vec()));
    Bitwise { sreg: register, dreg: register, len: 4, op: Some(BitwiseOp::LEFT), data, ..Bitwise::default() }.into()
}

fn protocol() -> Key {
    Key::Meta(MetaKey::L4PROTO)
}

fn field(protocol: &str, name: &str) -> Made<Key> {
    Key::payload(protocol, name).ok_or_else(|| format!("`{protocol}` has no field `{name}`"))
}

/// Of the connection's first packet, before any translation.
fn ct(key: CtKey) -> Key {
    Key::Ct { key, direction: Some(ORIGINAL) }
}

fn named(set: &str) -> SetRef {
    SetRef::Named(set.to_owned())
}

fn equal(key: Key, value: &[u8]) -> Statement {
    Statement::Match { key, op: CmpOp::EQ, operand: Operand::Value(value.to_vec()) }
}

fn not_in(set: &str, key: Vec<Key>) -> Statement {
    Statement::Match { key: Key::Concat(key), op: CmpOp::NEQ, operand: Operand::Set(named(set)) }
}

fn update(set: &str, key: Vec<Key>, data: Option<Key>) -> Statement {
    let data = data.map(Source::Key);
    Statement::Update { set: set.to_owned(), op: UPDATE, key: Key::Concat(key), data, timeout: None, exprs: Vec::new() }
}
