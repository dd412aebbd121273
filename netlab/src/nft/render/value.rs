//! Values: addresses, numbers, words, names.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::resolve::leading_ones;
use super::super::types::DataType as T;
use super::Context;

impl Context<'_> {
    /// A big-endian value of that type.
    pub(super) fn value(&self, data_type: T, value: &[u8]) -> String {
        let number = number(value);
        if let Some(word) = number.and_then(|number| data_type.word(number)) {
            return word.to_owned();
        }
        match (data_type, value) {
            (T::Ipv4, value) if let Ok(octets) = <[u8; 4]>::try_from(value) => Ipv4Addr::from(octets).to_string(),
            (T::Ipv6, value) if let Ok(octets) = <[u8; 16]>::try_from(value) => ipv6(octets),
            (T::EtherAddress | T::LinkAddress, _) => value.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"),
            (T::IfName | T::String, _) => format!("\"{}\"", text(value)),
            (T::IfIndex, _) => match number.and_then(|n| u32::try_from(n).ok()).and_then(|n| self.interfaces.get(&n)) {
                Some(name) => format!("\"{name}\""),
                None => number.unwrap_or(0).to_string(),
            },
            (T::DeviceGroup, _) if number == Some(0) => "\"default\"".to_owned(),
            (T::Mark, _) => format!("0x{:08x}", number.unwrap_or(0)),
            (T::ClassId, _) => class(number.unwrap_or(0)),
            (T::Time, _) => duration(number.unwrap_or(0)),
            (data_type, _) if data_type.is_flags() => flags(data_type, number.unwrap_or(0), ","),
            (T::Dscp | T::Ecn, _) => format!("0x{:02x}", number.unwrap_or(0)),
            (T::EtherType, _) => format!("0x{:04x}", number.unwrap_or(0)),
            _ => match number {
                Some(number) => number.to_string(),
                None => format!("0x{}", value.iter().map(|byte| format!("{byte:02x}")).collect::<String>().trim_start_matches('0')),
            },
        }
    }

    /// From one value to another, as a net where it is one.
    pub(super) fn range(&self, data_type: T, from: &[u8], to: &[u8]) -> String {
        if data_type == T::IfName
            && let Some(length) = shared_prefix(from, to)
        {
            return format!("\"{}*\"", text(&from[..(length / 8) as usize]));
        }
        match shared_prefix(from, to) {
            Some(length) if data_type.has_prefixes() => self.prefix(data_type, from, length),
            _ => format!("{}-{}", self.value(data_type, from), self.value(data_type, to)),
        }
    }

    pub(super) fn prefix(&self, data_type: T, value: &[u8], length: u32) -> String {
        match data_type {
            T::IfName => format!("\"{}*\"", text(&value[..value.len().min((length / 8) as usize)])),
            _ if value.len() * 8 == length as usize => self.value(data_type, value),
            _ => format!("{}/{length}", self.value(data_type, value)),
        }
    }
}

/// The number that a value of up to eight bytes is.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    let significant = value.iter().position(|byte| *byte != 0).map_or(&[][..], |first| &value[first..]);
    (significant.len() <= 8).then(|| significant.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// The names of the bits that are set.
pub(super) fn flags(data_type: T, value: u64, between: &str) -> String {
    let mut left = value;
    let mut words = Vec::new();
    for (bit, word) in data_type.words() {
        if value & bit != 0 {
            left &= !bit;
            words.push((*word).to_owned());
        }
    }
    if left != 0 || words.is_empty() {
        words.push(format!("0x{left:x}"));
    }
    words.join(between)
}

/// How many leading bits are the same in all values from one to the other, if those are all values with them.
fn shared_prefix(from: &[u8], to: &[u8]) -> Option<u32> {
    let same: Vec<u8> = from.iter().zip(to).map(|(from, to)| !(from ^ to)).collect();
    let whole = from.iter().zip(to).zip(&same).all(|((from, to), same)| from & !same == 0 && to | same == 0xff);
    match same.iter().any(|byte| *byte != 0) {
        _ if !whole || from.len() != to.len() => None,
        true => leading_ones(&same),
        false => Some(0),
    }
}

pub(super) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// As the C library writes it, which knows IPv4-compatible addresses, where Rust's does not.
fn ipv6(octets: [u8; 16]) -> String {
    let (zero, last) = octets.split_at(12);
    match *last {
        [a, b, c, d] if zero.iter().all(|byte| *byte == 0) && (a, b) != (0, 0) => format!("::{a}.{b}.{c}.{d}"),
        _ => Ipv6Addr::from(octets).to_string(),
    }
}

/// A traffic class of `tc`.
fn class(number: u64) -> String {
    match number {
        0 => "none".to_owned(),
        0xffff_ffff => "root".to_owned(),
        _ if number & 0xffff == 0 => format!("{:x}:", number >> 16),
        _ if number >> 16 == 0 => format!(":{:x}", number & 0xffff),
        _ => format!("{:x}:{:x}", number >> 16, number & 0xffff),
    }
}

/// Milliseconds as `1d2h3m4s5ms`.
pub(super) fn duration(milliseconds: u64) -> String {
    const UNITS: [(u64, &str); 5] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let mut left = milliseconds;
    let mut text = String::new();
    for (unit, name) in UNITS {
        if left >= unit {
            text += &format!("{}{name}", left / unit);
            left %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}
