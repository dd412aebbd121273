//! What a rule looks at, and what it compares it with.

use super::super::expr::{CmpOp, PayloadBase};
use super::super::keys;
use super::super::statement::{Key, Operand, SetRef, Source};
use super::super::types::DataType;
use super::Context;
use super::value::{flags, number, text};

impl Context<'_> {
    pub(super) fn key(&self, key: &Key) -> String {
        match key {
            Key::Meta(key) => keys::meta(*key).map_or_else(|| format!("meta key-{}", key.0), |row| row.name.to_owned()),
            Key::Ct { key, direction } => {
                let direction = match direction {
                    Some(0) => "original ",
                    Some(_) => "reply ",
                    None => "",
                };
                let name = keys::ct(*key).map_or_else(|| format!("key-{}", key.0), |row| row.name.to_owned());
                format!("ct {direction}{name}")
            }
            Key::Payload { field: Some(field), .. } => format!("{} {}", field.protocol, field.field),
            Key::Payload { base, offset, bits, field: None } => {
                let base = match *base {
                    PayloadBase::LINK => "ll",
                    PayloadBase::NETWORK => "nh",
                    PayloadBase::TRANSPORT => "th",
                    _ => "ih",
                };
                format!("@{base},{offset},{bits}")
            }
            Key::Exthdr { op, kind, offset, bytes, exists } => extension(*op, *kind, *offset, *bytes, *exists),
            Key::Fib { result, flags } => {
                let words: Vec<_> = keys::FIB_FLAGS.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, word)| *word).collect();
                let result = ["", "oif", "oifname", "type"].get(result.0 as usize).unwrap_or(&"unknown");
                format!("fib {} {result}", words.join(" . "))
            }
            Key::Numgen { random, modulus, offset } => {
                let kind = if *random { "random" } else { "inc" };
                format!("numgen {kind} mod {modulus}{}", behind(" offset ", *offset))
            }
            Key::Hash { of: Some(of), modulus, seed, offset } => {
                let seed = seed.map_or_else(String::new, |seed| format!(" seed 0x{seed:x}"));
                format!("jhash {} mod {modulus}{seed}{}", self.key(of), behind(" offset ", *offset))
            }
            Key::Hash { of: None, modulus, offset, .. } => format!("symhash mod {modulus}{}", behind(" offset ", *offset)),
            Key::Socket { key, level } => {
                let name = keys::socket(*key).map_or_else(|| format!("key-{key}"), str::to_owned);
                format!("socket {name}{}", behind(" level ", if *key == 3 { *level } else { 0 }))
            }
            Key::Route(key) => keys::route(*key).map_or_else(|| format!("rt key-{key}"), |(name, _)| name.to_owned()),
            Key::Concat(keys) => keys.iter().map(|key| self.key(key)).collect::<Vec<_>>().join(" . "),
            Key::Map { key, map } => format!("{} map {}", self.key(key), self.set_ref(key, map)),
            Key::Bits { key, mask, xor } => self.bits(key, mask, xor),
            Key::Shift { key, left, by } => format!("{} {} {by}", self.key(key), if *left { "<<" } else { ">>" }),
            Key::Value { value, data_type } => self.value(data_type.unwrap_or(DataType::Integer), value),
        }
    }

    /// `& mask ^ xor` in the operators that it came from: the bits that are set whatever they were are an "or".
    fn bits(&self, key: &Key, mask: &[u8], xor: &[u8]) -> String {
        let data_type = key.data_type();
        let mut text = self.key(key);
        let zip = |f: fn(u8, u8) -> u8| -> Vec<u8> { mask.iter().zip(xor).map(|(mask, xor)| f(*mask, *xor)).collect() };
        let or = zip(|mask, xor| xor & !mask);
        let and = zip(|mask, xor| mask | xor & !mask);
        let xor = zip(|mask, xor| xor & mask);
        let mut operator = |operator: &str, operand: &[u8]| {
            text += &format!(" {operator} {}", self.bit_value(data_type, operand));
        };
        if and.iter().any(|byte| *byte != 0xff) {
            operator("&", &and);
        }
        if xor.iter().any(|byte| *byte != 0) {
            operator("^", &xor);
        }
        if or.iter().any(|byte| *byte != 0) {
            operator("|", &or);
        }
        text
    }

    fn bit_value(&self, data_type: DataType, value: &[u8]) -> String {
        match number(value) {
            Some(value) if data_type.is_flags() => flags(data_type, value, " | "),
            _ => self.value(data_type, value),
        }
    }

    pub(super) fn matching(&self, key: &Key, op: CmpOp, operand: &Operand) -> String {
        let data_type = key.data_type();
        let left = self.key(key);
        let computed = matches!(key, Key::Bits { .. } | Key::Shift { .. });
        let whole_flags = data_type.is_flags() && matches!(operand, Operand::Value(_));
        let operator = match op {
            CmpOp::EQ if computed || whole_flags => "== ",
            CmpOp::EQ => "",
            CmpOp::NEQ if matches!(operand, Operand::Any(_)) => "! ",
            CmpOp::NEQ => "!= ",
            CmpOp::LT => "< ",
            CmpOp::LTE => "<= ",
            CmpOp::GT => "> ",
            _ => ">= ",
        };
        let right = match operand {
            Operand::Value(value) => match key {
                Key::Payload { field: None, .. } => format!("0x{}", hexadecimal(value)),
                _ => self.value(data_type, value),
            },
            Operand::Prefix(value, length) => self.prefix(data_type, value, *length),
            Operand::Range(from, to) => format!("{}-{}", self.value(data_type, from), self.value(data_type, to)),
            Operand::Masked(value, mask) => format!("{} / {}", self.value(data_type, value), self.value(data_type, mask)),
            Operand::Any(mask) => self.value(data_type, mask),
            Operand::Set(set) => self.set_ref(key, set),
        };
        format!("{left} {operator}{right}")
    }

    pub(super) fn set_ref(&self, key: &Key, set: &SetRef) -> String {
        match set {
            SetRef::Named(name) => format!("@{name}"),
            SetRef::Anonymous(items) => {
                let types = key.data_types();
                let items: Vec<_> = items.items.iter().map(|item| self.item(item, &types, &items.data_types)).collect();
                format!("{{ {} }}", items.join(", "))
            }
        }
    }

    pub(super) fn source(&self, source: &Source, data_type: DataType) -> String {
        match source {
            Source::Value(value) => self.value(data_type, value),
            Source::Range(from, to) => format!("{}-{}", self.value(data_type, from), self.value(data_type, to)),
            Source::Key(key) => self.key(key),
        }
    }
}

fn hexadecimal(value: &[u8]) -> String {
    let text: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    match text.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

fn behind(word: &str, number: u32) -> String {
    if number == 0 { String::new() } else { format!("{word}{number}") }
}

/// Extension headers of IPv6 and options of TCP.
fn extension(op: u32, kind: u8, offset: u32, bytes: u32, exists: bool) -> String {
    match (op, kind, offset, bytes) {
        (1, 2, 2, 2) if !exists => "tcp option maxseg size".to_owned(),
        (1, 3, 2, 1) if !exists => "tcp option window count".to_owned(),
        (1, 8, 2, 4) if !exists => "tcp option timestamp tsval".to_owned(),
        (1, 8, 6, 4) if !exists => "tcp option timestamp tsecr".to_owned(),
        (1, ..) => {
            let words = [(0, "eol"), (1, "nop"), (2, "maxseg"), (3, "window"), (4, "sack-perm"), (5, "sack"), (8, "timestamp")];
            let word = words.iter().find(|(number, _)| *number == kind).map_or_else(|| kind.to_string(), |(_, word)| (*word).to_owned());
            if exists {
                format!("tcp option {word}")
            } else {
                format!("tcp option @{kind},{},{}", u64::from(offset) * 8, u64::from(bytes) * 8)
            }
        }
        (0, ..) => {
            let words = [(0, "hbh"), (43, "rt"), (44, "frag"), (60, "dst"), (135, "mh")];
            let word = words.iter().find(|(number, _)| *number == kind).map_or_else(|| kind.to_string(), |(_, word)| (*word).to_owned());
            if exists { format!("exthdr {word}") } else { format!("{word} @{offset},{bytes}") }
        }
        _ => format!("exthdr op-{op} {kind} @{offset},{bytes}"),
    }
}

/// The name in a register that holds one.
pub(super) fn device(source: &Source, context: &Context<'_>) -> String {
    match source {
        Source::Value(value) => match <[u8; 4]>::try_from(value.as_slice()) {
            Ok(index) => context.value(DataType::IfIndex, &u32::from_ne_bytes(index).to_be_bytes()),
            Err(_) => format!("\"{}\"", text(value)),
        },
        other => context.source(other, DataType::IfIndex),
    }
}
