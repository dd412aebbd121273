//! Expressions to statements: follows what each register holds.

use std::collections::BTreeMap;

use super::data::{Data, Register};
use super::expr::{Bitwise, BitwiseOp, CmpOp, CtKey, Dynset, Expr, NatKind, NumgenKind, RejectKind, nat_flags};
use super::family::Family;
use super::items::{Layout, items};
use super::object::{Hits, Set, set_flags};
use super::statement::{Key, Operand, SetRef, Source, Statement};
use super::types::DataType;

/// What the expressions of one rule say, not yet with the names of header fields.
pub(super) fn lift(family: Family, exprs: &[Expr], sets: &[Set]) -> Vec<Statement> {
    let mut lift = Lift { family, sets, registers: BTreeMap::new(), statements: Vec::new(), bound: None };
    for expression in exprs {
        let bound = lift.bound.take();
        if lift.step(expression, bound).is_none() {
            lift.statements.push(Statement::Opaque { expression: expression.clone(), transport: None });
        }
    }
    lift.statements
}

struct Lift<'a> {
    family: Family,
    sets: &'a [Set],
    registers: BTreeMap<Register, Loaded>,
    statements: Vec<Statement>,
    /// The register of which the last expression compared one end.
    bound: Option<Register>,
}

#[derive(Clone)]
struct Loaded {
    key: Key,
    host: bool,
}

impl Loaded {
    /// A value from the kernel, big-endian.
    fn normal(&self, value: &[u8]) -> Vec<u8> {
        let mut value = value.to_vec();
        if self.host {
            value.reverse();
        }
        value
    }
}

impl Lift<'_> {
    /// Nothing if the expression makes no sense where it is.
    fn step(&mut self, expression: &Expr, bound: Option<Register>) -> Option<()> {
        match expression {
            Expr::Immediate(e) => match &e.data {
                Data::Verdict(verdict) => self.push(Statement::Verdict(verdict.clone())),
                Data::Value(value) => self.load(e.dreg, Key::Value { value: value.clone(), data_type: None }),
            },
            Expr::Meta(e) => match (e.dreg, e.sreg) {
                (Some(dreg), _) => self.load(dreg, Key::Meta(e.key)),
                (None, Some(sreg)) => self.set(Key::Meta(e.key), sreg),
                _ => None,
            },
            Expr::Ct(e) => {
                let key = Key::Ct { key: self.ct_key(e.key), direction: e.direction };
                match (e.dreg, e.sreg) {
                    (Some(dreg), _) => self.load(dreg, key),
                    (None, Some(sreg)) => self.set(key, sreg),
                    _ => None,
                }
            }
            Expr::Payload(e) => {
                let key = Key::Payload { base: e.base, offset: e.offset.checked_mul(8)?, bits: e.len.checked_mul(8)?, field: None };
                match (e.dreg, e.sreg) {
                    (Some(dreg), _) => self.load(dreg, key),
                    (None, Some(sreg)) => self.set(key, sreg),
                    _ => None,
                }
            }
            Expr::Exthdr(e) => {
                let exists = e.flags.unwrap_or(0) & 1 != 0;
                let key = Key::Exthdr { op: e.op.unwrap_or(0), kind: e.kind, offset: e.offset, bytes: e.len, exists };
                match (e.dreg, e.sreg) {
                    (Some(dreg), _) => self.load(dreg, key),
                    (None, Some(sreg)) => self.set(key, sreg),
                    _ => None,
                }
            }
            Expr::Fib(e) => self.load(e.dreg, Key::Fib { result: e.result, flags: e.flags }),
            Expr::Rt(e) => self.load(e.dreg, Key::Route(e.key)),
            Expr::Socket(e) => self.load(e.dreg, Key::Socket { key: e.key, level: e.level.unwrap_or(0) }),
            Expr::Numgen(e) => {
                let random = e.kind == NumgenKind::RANDOM;
                self.load(e.dreg, Key::Numgen { random, modulus: e.modulus, offset: e.offset.unwrap_or(0) })
            }
            Expr::Hash(e) => {
                let of = match e.sreg {
                    Some(sreg) => Some(Box::new(self.gather(sreg, e.len? as usize)?)),
                    None => None,
                };
                self.load(e.dreg, Key::Hash { of, modulus: e.modulus, seed: e.seed, offset: e.offset.unwrap_or(0) })
            }
            Expr::Bitwise(e) => self.bitwise(e),
            Expr::Byteorder(e) => {
                let loaded = self.registers.get(&e.sreg)?.clone();
                self.registers.insert(e.dreg, Loaded { host: !loaded.host && e.op == 0, ..loaded });
                Some(())
            }
            Expr::Cmp(e) => self.compare(e.sreg, e.op, e.data.value()?, bound),
            Expr::Range(e) => {
                let loaded = self.registers.get(&e.sreg)?;
                let (from, to) = (loaded.normal(e.from.value()?), loaded.normal(e.to.value()?));
                let key = loaded.key.clone();
                self.push(Statement::Match { key, op: e.op, operand: Operand::Range(from, to) })
            }
            Expr::Lookup(e) => {
                let set = self.set_of(&e.set, e.set_id)?;
                let (key, map) = self.use_set(set, e.sreg)?;
                match e.dreg {
                    None => {
                        let op = if e.flags.unwrap_or(0) & 1 != 0 { CmpOp::NEQ } else { CmpOp::EQ };
                        self.push(Statement::Match { key, op, operand: Operand::Set(map) })
                    }
                    Some(Register::VERDICT) => self.push(Statement::VerdictMap { key, map }),
                    Some(dreg) => {
                        // It fills as many registers as it gives fields: nothing else is in them any more.
                        let fields = u8::try_from(set.data_types().len()).unwrap_or(1);
                        (1..fields).for_each(|field| drop(self.registers.remove(&dreg.after(4 * usize::from(field)))));
                        self.load(dreg, Key::Map { key: Box::new(key), map })
                    }
                }
            }
            Expr::Dynset(e) => self.update(e),
            Expr::Objref(e) => match (e.sreg, &e.set) {
                (Some(sreg), Some(set)) => {
                    let set = self.set_of(set, e.set_id)?;
                    let kind = set.object_type.unwrap_or(0);
                    let (key, map) = self.use_set(set, sreg)?;
                    self.push(Statement::ObjectMap { key, map, kind })
                }
                _ => {
                    let name = Source::Value(e.name.clone()?.into_bytes());
                    self.push(Statement::Object { kind: e.kind?, name })
                }
            },
            other => {
                let statement = self.target(other)?;
                self.push(statement)
            }
        }
    }

    /// Addresses of a connection have a key of no family, which is that of the table.
    fn ct_key(&self, key: CtKey) -> CtKey {
        match (key, self.family) {
            (CtKey::SRC, Family::Ip) => CtKey::SRC_IP,
            (CtKey::SRC, Family::Ip6) => CtKey::SRC_IP6,
            (CtKey::DST, Family::Ip) => CtKey::DST_IP,
            (CtKey::DST, Family::Ip6) => CtKey::DST_IP6,
            _ => key,
        }
    }

    fn target(&self, expression: &Expr) -> Option<Statement> {
        Some(match expression {
            Expr::Counter(e) => Statement::Counter(Some(Hits { packets: e.packets.unwrap_or(0), bytes: e.bytes.unwrap_or(0) })),
            Expr::Limit(e) => Statement::Limit {
                over: e.flags.unwrap_or(0) & 1 != 0,
                rate: e.rate,
                unit: e.unit,
                burst: e.burst.unwrap_or(0),
                bytes: e.kind.unwrap_or(0) == 1,
            },
            Expr::Quota(e) => Statement::Quota { over: e.flags.unwrap_or(0) & 1 != 0, bytes: e.bytes, used: e.consumed.unwrap_or(0) },
            Expr::Connlimit(e) => Statement::Connlimit { over: e.flags.unwrap_or(0) & 1 != 0, count: e.count },
            Expr::Last(e) => Statement::Last(e.milliseconds.filter(|_| e.set.unwrap_or(0) != 0)),
            Expr::Log(e) => Statement::Log {
                group: e.group,
                prefix: e.prefix.clone(),
                snaplen: e.snaplen.filter(|n| *n != 0),
                threshold: e.threshold.filter(|n| *n != 0),
                level: e.level,
                flags: e.flags.unwrap_or(0),
            },
            Expr::Reject(e) => {
                let code = if e.kind == RejectKind::TCP_RESET { 0 } else { e.code? };
                Statement::Reject { kind: e.kind, code, ip6: false }
            }
            Expr::Nat(e) => Statement::Nat {
                kind: if e.kind == NatKind::SOURCE { NatKind::SOURCE } else { NatKind::DESTINATION },
                family: Family::from_number(u8::try_from(e.family).ok()?)?,
                address: self.source(e.address_min, e.address_max),
                port: self.source(e.port_min, e.port_max),
                flags: e.flags.unwrap_or(0) & !(nat_flags::MAP_ADDRESSES | nat_flags::PORTS_SPECIFIED),
            },
            Expr::Masq(e) => Statement::Masquerade {
                ports: self.source(e.port_min, e.port_max),
                flags: e.flags.unwrap_or(0) & !nat_flags::PORTS_SPECIFIED,
            },
            Expr::Redir(e) => Statement::Redirect {
                ports: self.source(e.port_min, e.port_max),
                flags: e.flags.unwrap_or(0) & !nat_flags::PORTS_SPECIFIED,
            },
            Expr::Tproxy(e) => Statement::Tproxy {
                family: u8::try_from(e.family).ok().and_then(Family::from_number),
                address: self.source(e.address, None),
                port: self.source(e.port, None),
            },
            Expr::Queue(e) => Statement::Queue {
                first: e.number.unwrap_or(0),
                total: e.total.unwrap_or(1),
                flags: e.flags.unwrap_or(0),
                by: e.sreg.and_then(|sreg| self.registers.get(&sreg)).map(|loaded| loaded.key.clone()),
            },
            Expr::Dup(e) => Statement::Dup { address: self.source(e.address, None), device: self.source(e.device, None) },
            Expr::Fwd(e) => Statement::Forward { device: self.source(Some(e.device), None)?, address: self.source(e.address, None) },
            Expr::Notrack(_) => Statement::Notrack,
            _ => return None,
        })
    }

    fn push(&mut self, statement: Statement) -> Option<()> {
        self.statements.push(statement);
        Some(())
    }

    fn load(&mut self, register: Register, key: Key) -> Option<()> {
        let host = key.is_host_order();
        self.registers.insert(register, Loaded { key, host });
        Some(())
    }

    fn set_of(&self, name: &str, id: Option<u32>) -> Option<&Set> {
        self.sets.iter().find(|set| if set.id != 0 { Some(set.id) == id } else { set.name == name })
    }

    /// The key in a register and, for a concatenation, in those after it, up to `bytes`.
    fn gather(&self, register: Register, bytes: usize) -> Option<Key> {
        let (mut keys, mut at, mut seen) = (Vec::new(), register, 0);
        while seen < bytes.next_multiple_of(4) {
            let key = self.registers.get(&at)?.key.clone();
            let size = key.bytes().max(1).next_multiple_of(4);
            (at, seen) = (at.after(size), seen + size);
            keys.push(key);
        }
        match keys.len() {
            0 => None,
            1 => keys.pop(),
            _ => Some(Key::Concat(keys)),
        }
    }

    fn use_set(&self, set: &Set, register: Register) -> Option<(Key, SetRef)> {
        let key = self.gather(register, set.key_len as usize)?;
        let map = if set.is(set_flags::ANONYMOUS) {
            SetRef::Anonymous(items(set, &Layout::of_key(&key)))
        } else {
            SetRef::Named(set.name.clone())
        };
        Some((key, map))
    }

    fn source(&self, from: Option<Register>, to: Option<Register>) -> Option<Source> {
        let from = &self.registers.get(&from?)?.key;
        let to = to.and_then(|register| self.registers.get(&register)).map(|loaded| &loaded.key);
        Some(match (from, to) {
            (Key::Value { value: from, .. }, Some(Key::Value { value: to, .. })) if from != to => Source::Range(from.clone(), to.clone()),
            (Key::Value { value, .. }, _) => Source::Value(value.clone()),
            (key, _) => Source::Key(key.clone()),
        })
    }

    /// `key set …`: a constant is in the order that the key has.
    fn set(&mut self, key: Key, register: Register) -> Option<()> {
        let value = match self.source(Some(register), None)? {
            Source::Value(value) => Source::Value(Loaded { host: key.is_host_order(), key: key.clone() }.normal(&value)),
            other => other,
        };
        self.push(Statement::Set { key, value })
    }

    fn bitwise(&mut self, e: &Bitwise) -> Option<()> {
        let loaded = self.registers.get(&e.sreg)?;
        let key = Box::new(loaded.key.clone());
        let key = match e.op.unwrap_or_default() {
            BitwiseOp::BOOL => {
                let (mask, xor) = (loaded.normal(e.mask.as_ref()?.value()?), loaded.normal(e.xor.as_ref()?.value()?));
                Key::Bits { key, mask, xor }
            }
            op @ (BitwiseOp::LEFT | BitwiseOp::RIGHT) => {
                let by = u32::from_ne_bytes(e.data.as_ref()?.value()?.try_into().ok()?);
                Key::Shift { key, left: op == BitwiseOp::LEFT, by }
            }
            _ => return None,
        };
        let host = loaded.host;
        self.registers.insert(e.dreg, Loaded { key, host });
        Some(())
    }

    fn compare(&mut self, register: Register, op: CmpOp, value: &[u8], bound: Option<Register>) -> Option<()> {
        let loaded = self.registers.get(&register)?;
        let value = loaded.normal(value);
        let key = loaded.key.clone();
        if op == CmpOp::LTE
            && bound == Some(register)
            && let Some(Statement::Match { op: last @ CmpOp::GTE, operand, .. }) = self.statements.last_mut()
            && let Operand::Value(from) = operand
        {
            (*last, *operand) = (CmpOp::EQ, Operand::Range(std::mem::take(from), value));
            return Some(());
        }
        if op == CmpOp::GTE {
            self.bound = Some(register);
        }
        let text = matches!(key.data_type(), DataType::IfName);
        let operand = match value.contains(&0) || value.len() == key.bytes() {
            false if text => Operand::Prefix(value.clone(), 8 * u32::try_from(value.len()).ok()?),
            _ => Operand::Value(value),
        };
        self.push(Statement::Match { key, op, operand })
    }

    fn update(&mut self, e: &Dynset) -> Option<()> {
        let set = self.set_of(&e.set, e.set_id)?;
        let key = self.gather(e.key, set.key_len as usize)?;
        let data = match (e.data, set.data_len) {
            (Some(register), Some(bytes)) if set.data_types().len() > 1 => Some(Source::Key(self.gather(register, bytes as usize)?)),
            (register, _) => self.source(register, None),
        };
        let name = set.name.clone();
        let several = e.expressions.iter().flatten();
        let exprs = e.expression.iter().chain(several).map(|stateful| (*stateful.0).clone()).collect();
        self.push(Statement::Update { set: name, op: e.op, key, data, timeout: e.timeout.filter(|t| *t != 0), exprs })
    }
}
