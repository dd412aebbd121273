//! Statements to expressions: with the matches that a field's name implies, and the anonymous sets that a rule brings along.

pub(crate) mod set;
mod target;

use super::data::{Data, Register};
use super::expr::{
    Bitwise, BitwiseOp, Byteorder, Cmp, CmpOp, Connlimit, Counter, Ct, Dup, Dynset, Expr, Exthdr, Fib, Fwd, Hash, Immediate, Last, Limit,
    Log, Lookup, Masq, Meta, MetaKey, Nat, Notrack, Numgen, NumgenKind, Objref, Payload, PayloadBase, Queue, Quota, Range, Redir, Rt,
    Socket, Stateful, nat_flags,
};
use super::family::Family;
use super::object::{Rule, Set, set_flags};
use super::statement::{Key, Operand, SetRef, Source, Span, Statement};
use super::template::{self, Template, transport_number};
use super::types::DataType;
use set::{anonymous, place};

const HOST_TO_NETWORK: u32 = 1;
const ARPHRD_ETHER: u16 = 1;
const ETHERTYPE_VLAN: u16 = 0x8100;
const DYNSET_EXPRESSION: u32 = 2;

/// The rule that the statements say. `sets` are the named ones of the table. The error is a sentence about a statement that makes no sense.
pub(crate) fn lower(family: Family, statements: &[Statement], sets: &[Set]) -> Result<Rule, String> {
    let mut lower =
        Lower { family, sets, rule: Rule::default(), network: None, transport: None, has_ports: false, ether: false, vlan: false };
    lower.network = match family {
        Family::Ip => Some("ip"),
        Family::Ip6 => Some("ip6"),
        Family::Arp => Some("arp"),
        _ => None,
    };
    lower.ether = family == Family::Bridge;
    for statement in statements {
        lower.statement(statement)?;
    }
    Ok(lower.rule)
}

struct Lower<'a> {
    family: Family,
    sets: &'a [Set],
    rule: Rule,
    /// What the rule has established about the packet so far.
    network: Option<&'static str>,
    transport: Option<u8>,
    /// Whether it is of a protocol that has ports, whichever.
    has_ports: bool,
    ether: bool,
    vlan: bool,
}

/// A register and whether its value is in host byte order.
#[derive(Clone, Copy)]
struct Loaded {
    register: Register,
    host: bool,
    bytes: usize,
}

impl Loaded {
    /// A big-endian value in the order of the register.
    fn order(self, value: &[u8]) -> Data {
        let mut value = value.to_vec();
        if self.host {
            value.reverse();
        }
        Data::Value(value)
    }
}

impl Lower<'_> {
    fn push(&mut self, expression: impl Into<Expr>) {
        self.rule.exprs.push(expression.into());
    }

    fn statement(&mut self, statement: &Statement) -> Result<(), String> {
        match statement {
            Statement::Match { key, op, operand } => self.matching(key, *op, operand)?,
            Statement::Verdict(verdict) => self.push(Immediate { dreg: Register::VERDICT, data: verdict.clone().into() }),
            Statement::VerdictMap { key, map } => {
                self.require(key)?;
                let loaded = self.load(key, Register::FIRST)?;
                self.look_up(key, loaded, map, Some(Register::VERDICT), false)?;
            }
            Statement::Counter(hits) => {
                let hits = hits.unwrap_or_default();
                self.push(Counter { bytes: Some(hits.bytes), packets: Some(hits.packets) });
            }
            Statement::Limit { over, rate, unit, burst, bytes } => self.push(Limit {
                rate: *rate,
                unit: *unit,
                burst: Some(*burst),
                kind: Some(u32::from(*bytes)),
                flags: Some(u32::from(*over)),
            }),
            Statement::Quota { over, bytes, used } => {
                self.push(Quota { bytes: *bytes, flags: Some(u32::from(*over)), consumed: Some(*used) });
            }
            Statement::Connlimit { over, count } => self.push(Connlimit { count: *count, flags: Some(u32::from(*over)) }),
            Statement::Log { group, prefix, snaplen, threshold, level, flags } => self.push(Log {
                group: *group,
                prefix: prefix.clone(),
                snaplen: *snaplen,
                threshold: *threshold,
                level: *level,
                flags: Some(*flags).filter(|flags| *flags != 0),
            }),
            Statement::Reject { kind, code, ip6 } => self.reject(*kind, *code, *ip6)?,
            Statement::Nat { kind, family, address, port, flags } => {
                let registers = self.nat_registers(*family, address.as_ref(), port.as_ref())?;
                let [address_min, address_max, port_min, port_max] = registers;
                let mut flags = *flags;
                flags |= if address_min.is_some() { nat_flags::MAP_ADDRESSES } else { 0 };
                flags |= if port_min.is_some() { nat_flags::PORTS_SPECIFIED } else { 0 };
                let family = u32::from(family.number());
                self.push(Nat { kind: *kind, family, address_min, address_max, port_min, port_max, flags: Some(flags) });
            }
            Statement::Masquerade { ports, flags } => {
                let (port_min, port_max) = self.port_registers(ports.as_ref(), Register::FIRST)?;
                let flags = flags | if port_min.is_some() { nat_flags::PORTS_SPECIFIED } else { 0 };
                self.push(Masq { flags: Some(flags).filter(|flags| *flags != 0), port_min, port_max });
            }
            Statement::Redirect { ports, flags } => {
                let (port_min, port_max) = self.port_registers(ports.as_ref(), Register::FIRST)?;
                let flags = flags | if port_min.is_some() { nat_flags::PORTS_SPECIFIED } else { 0 };
                self.push(Redir { flags: Some(flags).filter(|flags| *flags != 0), port_min, port_max });
            }
            Statement::Tproxy { family, address, port } => self.tproxy(*family, address.as_ref(), port.as_ref())?,
            Statement::Queue { first, total, flags, by: None } => {
                self.push(Queue { number: Some(*first), total: Some(*total), flags: Some(*flags), sreg: None });
            }
            Statement::Set { key, value } => self.set(key, value)?,
            Statement::Dup { address, device } => {
                let address = self.optional(address.as_ref(), Register::FIRST)?;
                let device = self.optional(device.as_ref(), Register::FIRST.after(16))?;
                self.push(Dup { address, device });
            }
            Statement::Forward { device, address: None } => {
                let device = self.value(device, Register::FIRST)?;
                self.push(Fwd { device, address: None, family: None });
            }
            Statement::Object { kind, name: Source::Value(name) } => {
                let name = Some(String::from_utf8_lossy(name).into_owned());
                self.push(Objref { kind: Some(*kind), name, ..Objref::default() });
            }
            Statement::ObjectMap { key, map: SetRef::Named(map), .. } => {
                self.require(key)?;
                let sreg = Some(self.load(key, Register::FIRST)?.register);
                self.push(Objref { sreg, set: Some(map.clone()), ..Objref::default() });
            }
            Statement::Update { set, op, key, data, timeout, exprs } => self.update(set, *op, key, data.as_ref(), *timeout, exprs)?,
            Statement::Last(_) => self.push(Last::default()),
            Statement::Notrack => self.push(Notrack {}),
            Statement::Opaque { expression, .. } => self.push(expression.clone()),
            other => return Err(format!("netlab does not install this kind of statement: {other:?}")),
        }
        Ok(())
    }

    fn matching(&mut self, key: &Key, op: CmpOp, operand: &Operand) -> Result<(), String> {
        self.require(key)?;
        match operand {
            Operand::Prefix(_, 0) if op == CmpOp::EQ => return Ok(()),
            Operand::Prefix(_, 0) => return Err("a rule for no address at all matches nothing".to_owned()),
            Operand::Prefix(value, length) => return self.prefix(key, op, value, *length),
            _ => {}
        }
        let mut loaded = self.load(key, Register::FIRST)?;
        let place = |value: &[u8]| place(key, value);
        let sreg = loaded.register;
        match operand {
            Operand::Value(value) => {
                if !matches!(op, CmpOp::EQ | CmpOp::NEQ) {
                    loaded = self.in_network_order(loaded);
                }
                let value = padded(key, &place(value), loaded.bytes);
                self.push(Cmp { sreg, op, data: loaded.order(&value) });
                self.learn(key, op, &value);
            }
            Operand::Range(from, to) => {
                loaded = self.in_network_order(loaded);
                let (from, to) = (loaded.order(&place(from)), loaded.order(&place(to)));
                if op == CmpOp::EQ {
                    self.push(Cmp { sreg, op: CmpOp::GTE, data: from });
                    self.push(Cmp { sreg, op: CmpOp::LTE, data: to });
                } else {
                    self.push(Range { sreg, op, from, to });
                }
            }
            Operand::Masked(value, mask) => {
                self.mask(loaded, mask, &vec![0; mask.len()]);
                self.push(Cmp { sreg, op, data: loaded.order(value) });
            }
            Operand::Any(mask) => {
                let nothing = vec![0; mask.len()];
                self.mask(loaded, mask, &nothing);
                let op = if op == CmpOp::EQ { CmpOp::NEQ } else { CmpOp::EQ };
                self.push(Cmp { sreg, op, data: Data::Value(nothing) });
            }
            Operand::Set(set) => {
                self.look_up(key, loaded, set, None, op == CmpOp::NEQ)?;
                self.has_ports |= op == CmpOp::EQ && *key == Key::Meta(MetaKey::L4PROTO) && has_ports(set);
            }
            Operand::Prefix(..) => {}
        }
        Ok(())
    }

    /// An address by its leading bits: whole bytes are loaded alone, others are masked.
    fn prefix(&mut self, key: &Key, op: CmpOp, value: &[u8], length: u32) -> Result<(), String> {
        let bytes = (length / 8) as usize;
        let sreg = Register::FIRST;
        match key {
            Key::Meta(_) if key.data_type() == DataType::IfName => {
                self.load(key, sreg)?;
                self.push(Cmp { sreg, op, data: Data::Value(value.get(..bytes).unwrap_or(value).to_vec()) });
            }
            Key::Payload { base, offset, .. } if length.is_multiple_of(8) => {
                self.push(Payload { dreg: Some(sreg), base: *base, offset: offset / 8, len: length / 8, ..Payload::default() });
                self.push(Cmp { sreg, op, data: Data::Value(value.get(..bytes).unwrap_or(value).to_vec()) });
            }
            _ => {
                let loaded = self.load(key, sreg)?;
                let mask = leading_mask(length, value.len());
                let value: Vec<u8> = value.iter().zip(&mask).map(|(value, mask)| value & mask).collect();
                self.mask(loaded, &mask, &vec![0; mask.len()]);
                self.push(Cmp { sreg, op, data: loaded.order(&value) });
            }
        }
        Ok(())
    }

    /// The matches without which the key makes no sense.
    fn require(&mut self, key: &Key) -> Result<(), String> {
        match key {
            Key::Payload { field: Some(field), .. } => self.require_field(field),
            Key::Concat(keys) => keys.iter().try_for_each(|key| self.require(key)),
            Key::Map { key, .. } | Key::Bits { key, .. } | Key::Shift { key, .. } => self.require(key),
            Key::Hash { of: Some(key), .. } => self.require(key),
            _ => Ok(()),
        }
    }

    fn require_field(&mut self, field: &Template) -> Result<(), String> {
        match (field.base, field.protocol) {
            (PayloadBase::LINK, protocol) => {
                if !self.ether {
                    self.require_equal(MetaKey::IIFTYPE, &ARPHRD_ETHER.to_be_bytes())?;
                    self.ether = true;
                }
                if protocol == "vlan" && !self.vlan {
                    let offset = 12;
                    self.push(Payload { dreg: Some(Register::FIRST), base: PayloadBase::LINK, offset, len: 2, ..Payload::default() });
                    self.push(Cmp { sreg: Register::FIRST, op: CmpOp::EQ, data: Data::Value(ETHERTYPE_VLAN.to_be_bytes().to_vec()) });
                    self.vlan = true;
                }
                Ok(())
            }
            (PayloadBase::NETWORK, protocol) => self.require_network(protocol),
            (_, "th") => Ok(()),
            (_, protocol) => {
                match protocol {
                    "icmp" => self.require_network("ip")?,
                    "icmpv6" => self.require_network("ip6")?,
                    _ => {}
                }
                let number = transport_number(protocol).ok_or_else(|| format!("no transport protocol is called `{protocol}`"))?;
                self.require_transport(number)
            }
        }
    }

    fn require_transport(&mut self, number: u8) -> Result<(), String> {
        match self.transport {
            Some(known) if known == number => Ok(()),
            Some(known) => Err(format!("the rule already demands protocol {known}, and cannot demand {number} too")),
            None => {
                self.require_equal(MetaKey::L4PROTO, &[number])?;
                self.transport = Some(number);
                Ok(())
            }
        }
    }

    fn require_network(&mut self, protocol: &'static str) -> Result<(), String> {
        match self.network {
            Some(known) if known == protocol => return Ok(()),
            Some(known) => return Err(format!("the packets of this rule are {known}, never {protocol}")),
            None => {}
        }
        self.network = Some(protocol);
        let (nfproto, ether_type): (u8, u16) = match protocol {
            "ip" => (2, 0x0800),
            "ip6" => (10, 0x86dd),
            _ => (3, 0x0806),
        };
        if self.family == Family::Inet {
            self.require_equal(MetaKey::NFPROTO, &[nfproto])
        } else {
            self.require_equal(MetaKey::PROTOCOL, &ether_type.to_be_bytes())
        }
    }

    fn require_equal(&mut self, key: MetaKey, value: &[u8]) -> Result<(), String> {
        let loaded = self.load(&Key::Meta(key), Register::FIRST)?;
        self.push(Cmp { sreg: loaded.register, op: CmpOp::EQ, data: loaded.order(value) });
        Ok(())
    }

    /// What a match that the caller wrote establishes.
    fn learn(&mut self, key: &Key, op: CmpOp, value: &[u8]) {
        match (key, value) {
            _ if op != CmpOp::EQ => {}
            (Key::Meta(MetaKey::L4PROTO), [number]) => self.transport = Some(*number),
            (Key::Meta(MetaKey::NFPROTO), [2]) | (Key::Meta(MetaKey::PROTOCOL), [0x08, 0x00]) => self.network = Some("ip"),
            (Key::Meta(MetaKey::NFPROTO), [10]) | (Key::Meta(MetaKey::PROTOCOL), [0x86, 0xdd]) => self.network = Some("ip6"),
            (Key::Payload { field: Some(field), .. }, [number]) if matches!(field.field, "protocol" | "nexthdr") => {
                self.transport = Some(*number)
            }
            _ => {}
        }
    }

    fn load(&mut self, key: &Key, register: Register) -> Result<Loaded, String> {
        let (dreg, bytes) = (register, key.bytes());
        match key {
            Key::Meta(key) => self.push(Meta { dreg: Some(dreg), key: *key, sreg: None }),
            Key::Ct { key, direction } => self.push(Ct { dreg: Some(dreg), key: *key, direction: *direction, sreg: None }),
            Key::Payload { base, offset, bits, .. } => {
                let len = u32::try_from(bytes).unwrap_or(0);
                self.push(Payload { dreg: Some(dreg), base: *base, offset: offset / 8, len, ..Payload::default() });
                if bits % 8 != 0 {
                    let ones = vec![0xff; bits.div_ceil(8) as usize];
                    let mask = place(key, &low_bits(&ones, *bits));
                    self.mask(Loaded { register, host: false, bytes }, &mask, &vec![0; mask.len()]);
                }
            }
            Key::Exthdr { op, kind, offset, bytes, exists } => self.push(Exthdr {
                dreg: Some(dreg),
                kind: *kind,
                offset: *offset,
                len: *bytes,
                flags: Some(u32::from(*exists)),
                op: Some(*op),
                sreg: None,
            }),
            Key::Fib { result, flags } => self.push(Fib { dreg, result: *result, flags: *flags }),
            Key::Route(key) => self.push(Rt { dreg, key: *key }),
            Key::Socket { key, level } => self.push(Socket { dreg, key: *key, level: Some(*level).filter(|level| *level != 0) }),
            Key::Numgen { random, modulus, offset } => {
                let kind = if *random { NumgenKind::RANDOM } else { NumgenKind::INCREMENTAL };
                self.push(Numgen { dreg, modulus: *modulus, kind, offset: Some(*offset) });
            }
            Key::Hash { of, modulus, seed, offset } => {
                let (sreg, len) = match of {
                    Some(of) => (Some(self.load(of, dreg.after(4))?.register), u32::try_from(of.bytes()).ok()),
                    None => (None, None),
                };
                let kind = Some(u32::from(of.is_none()));
                self.push(Hash { sreg, dreg, len, modulus: *modulus, seed: *seed, offset: Some(*offset), kind });
            }
            Key::Concat(keys) => {
                let mut at = register;
                for key in keys {
                    self.load(key, at)?;
                    at = at.after(key.bytes());
                }
            }
            Key::Map { key, map } => {
                let loaded = self.load(key, register)?;
                self.look_up(key, loaded, map, Some(register), false)?;
            }
            Key::Bits { key, mask, xor } => {
                let loaded = self.load(key, register)?;
                self.mask(loaded, mask, xor);
            }
            Key::Shift { key, left, by } => {
                let loaded = self.load(key, register)?;
                let op = if *left { BitwiseOp::LEFT } else { BitwiseOp::RIGHT };
                let len = u32::try_from(loaded.bytes).unwrap_or(0);
                let data = Some(Data::Value(by.to_ne_bytes().to_vec()));
                self.push(Bitwise { sreg: dreg, dreg, len, op: Some(op), data, ..Bitwise::default() });
            }
            Key::Value { value, .. } => self.push(Immediate { dreg, data: Data::Value(value.clone()) }),
        }
        if register.after(bytes) > Register(20) {
            return Err("the keys take more room than the kernel's registers have (64 bytes)".to_owned());
        }
        Ok(Loaded { register, host: key.is_host_order(), bytes })
    }

    fn mask(&mut self, loaded: Loaded, mask: &[u8], xor: &[u8]) {
        let (sreg, dreg, len) = (loaded.register, loaded.register, u32::try_from(mask.len()).unwrap_or(0));
        let (mask, xor) = (Some(loaded.order(mask)), Some(loaded.order(xor)));
        self.push(Bitwise { sreg, dreg, len, mask, xor, op: Some(BitwiseOp::BOOL), ..Bitwise::default() });
    }

    /// Only big-endian values can be ordered: the kernel compares byte by byte.
    fn in_network_order(&mut self, loaded: Loaded) -> Loaded {
        if loaded.host && loaded.bytes > 1 {
            let (sreg, dreg) = (loaded.register, loaded.register);
            let size = u32::try_from(loaded.bytes).unwrap_or(4);
            self.push(Byteorder { sreg, dreg, op: HOST_TO_NETWORK, len: size, size });
        }
        Loaded { host: false, ..loaded }
    }

    fn look_up(&mut self, key: &Key, loaded: Loaded, set: &SetRef, dreg: Option<Register>, negate: bool) -> Result<(), String> {
        let (name, id, flags) = match set {
            SetRef::Named(name) => {
                let known = self.sets.iter().find(|set| set.name == *name);
                (name.clone(), None, known.map_or(0, |set| set.flags))
            }
            SetRef::Anonymous(items) => {
                let set = anonymous(key, items)?;
                let found = (set.name.clone(), Some(set.id), set.flags);
                self.rule.sets.push(set);
                found
            }
        };
        if flags & set_flags::INTERVAL != 0 && !matches!(key, Key::Concat(_)) {
            self.in_network_order(loaded);
        }
        let flags = Some(u32::from(negate));
        self.push(Lookup { set: name, sreg: loaded.register, dreg, set_id: id, flags });
        Ok(())
    }

    fn optional(&mut self, source: Option<&Source>, register: Register) -> Result<Option<Register>, String> {
        source.map(|source| self.value(source, register)).transpose()
    }

    fn value(&mut self, source: &Source, register: Register) -> Result<Register, String> {
        match source {
            Source::Value(value) => self.push(Immediate { dreg: register, data: Data::Value(value.clone()) }),
            Source::Key(key) => {
                self.require(key)?;
                self.load(key, register)?;
            }
            Source::Range(..) => return Err("one value is wanted here, not a range".to_owned()),
        }
        Ok(register)
    }

    fn update(&mut self, set: &str, op: u32, key: &Key, data: Option<&Source>, timeout: Option<u64>, exprs: &[Expr]) -> Result<(), String> {
        self.require(key)?;
        let loaded = self.load(key, Register::FIRST)?;
        let data = self.optional(data, loaded.register.after(loaded.bytes))?;
        let mut stateful = exprs.iter().map(|expression| Stateful(Box::new(expression.clone())));
        let (expression, expressions) = if exprs.len() > 1 { (None, Some(stateful.collect())) } else { (stateful.next(), None) };
        let flags = Some(if exprs.is_empty() { 0 } else { DYNSET_EXPRESSION });
        let set = set.to_owned();
        self.push(Dynset { set, set_id: None, op, key: loaded.register, data, timeout, expression, flags, expressions });
        Ok(())
    }
}

/// Whether a transport protocol has ports.
fn is_ported(number: u8) -> bool {
    template::transport(number).is_some_and(|name| template::field(name, "dport").is_some())
}

/// Whether all protocols of a set have ports.
fn has_ports(set: &SetRef) -> bool {
    let SetRef::Anonymous(items) = set else { return false };
    let ported = |(from, to): &Span| to.is_none() && matches!(from.as_slice(), [number] if is_ported(*number));
    items.items.iter().flat_map(|item| &item.key).all(ported)
}

/// Only the lowest bits of a number.
fn low_bits(value: &[u8], bits: u32) -> Vec<u8> {
    let mut value = value.to_vec();
    if let Some(first) = value.first_mut()
        && !bits.is_multiple_of(8)
    {
        *first &= (1 << (bits % 8)) - 1;
    }
    value
}

/// Names fill the register with zeros, so that `eth0` does not match `eth01`.
fn padded(key: &Key, value: &[u8], bytes: usize) -> Vec<u8> {
    let mut value = value.to_vec();
    if matches!(key.data_type(), DataType::IfName | DataType::String) {
        value.resize(bytes, 0);
    }
    value
}

fn leading_mask(length: u32, bytes: usize) -> Vec<u8> {
    let byte = |place: usize| match (length as usize).saturating_sub(place * 8) {
        0 => 0,
        bits @ 1..8 => 0xff << (8 - bits),
        _ => 0xff,
    };
    (0..bytes).map(byte).collect()
}
