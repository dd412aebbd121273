//! Targets that change a packet or answer it.

use super::super::data::Register;
use super::super::expr::{Ct, Exthdr, Meta, Payload, Reject, RejectKind, Tproxy};
use super::super::family::Family;
use super::super::statement::{Key, SetRef, Source};
use super::super::template::Template;
use super::{Loaded, Lower, is_ported};

const CHECKSUM_NONE: u32 = 0;
const CHECKSUM_INET: u32 = 1;
const CHECKSUM_PSEUDO_HEADER: u32 = 1;

impl Lower<'_> {
    pub(super) fn reject(&mut self, kind: RejectKind, code: u8, ip6: bool) -> Result<(), String> {
        match (kind, self.family) {
            (RejectKind::TCP_RESET, _) => self.require_transport(6)?,
            // The kernel takes it, and then drops without a word.
            (RejectKind::ICMPX, Family::Ip | Family::Ip6 | Family::Arp) => {
                return Err(format!("`reject with icmpx` is for inet, bridge and netdev, not for {}", self.family));
            }
            (RejectKind::ICMP, family) if family.is_mixed() => self.require_network(if ip6 { "ip6" } else { "ip" })?,
            (RejectKind::ICMP, family) if (family == Family::Ip6) != ip6 => {
                return Err(format!("a table of family {family} cannot reject with the other family's ICMP"));
            }
            _ => {}
        }
        self.push(Reject { kind, code: Some(code) });
        Ok(())
    }

    /// Address and port, least and greatest.
    pub(super) fn nat_registers(
        &mut self,
        family: Family,
        address: Option<&Source>,
        port: Option<&Source>,
    ) -> Result<[Option<Register>; 4], String> {
        if self.family == Family::Inet && address.is_some() && self.network.is_some_and(|network| network != family.to_string()) {
            return Err(format!("the packets of this rule never have an address of {family}"));
        }
        let bytes = if family == Family::Ip6 { 16 } else { 4 };
        let first = Register::FIRST;
        let (least, greatest) = match address {
            Some(Source::Range(from, to)) => {
                let least = self.value(&Source::Value(from.clone()), first)?;
                (Some(least), Some(self.value(&Source::Value(to.clone()), first.after(bytes))?))
            }
            Some(source) => (Some(self.value(source, first)?), None),
            None => (None, None),
        };
        if let Some(Source::Key(Key::Map { map: SetRef::Anonymous(items), .. })) = address {
            match (items.data_types.len(), items.gives_ranges()) {
                (2.., _) => return Ok([least, None, Some(first.after(bytes)), None]),
                (_, true) => return Ok([least, Some(first.after(bytes)), None, None]),
                _ => {}
            }
        }
        if let Some(Source::Key(Key::Map { map: SetRef::Named(name), .. })) = address
            && self.sets.iter().any(|set| set.name == *name && set.data_types().len() > 1)
        {
            return Ok([least, None, Some(first.after(bytes)), None]);
        }
        let (port_min, port_max) = self.port_registers(port, first.after(2 * bytes))?;
        Ok([least, greatest, port_min, port_max])
    }

    pub(super) fn port_registers(
        &mut self,
        ports: Option<&Source>,
        first: Register,
    ) -> Result<(Option<Register>, Option<Register>), String> {
        let Some(ports) = ports else { return Ok((None, None)) };
        if !self.has_ports && !self.transport.is_some_and(is_ported) {
            return Err("ports can be translated only after a match for a protocol that has them, such as tcp".to_owned());
        }
        match ports {
            Source::Range(from, to) => {
                let least = self.value(&Source::Value(from.clone()), first)?;
                Ok((Some(least), Some(self.value(&Source::Value(to.clone()), first.after(4))?)))
            }
            source => Ok((Some(self.value(source, first)?), None)),
        }
    }

    pub(super) fn tproxy(&mut self, family: Option<Family>, address: Option<&Source>, port: Option<&Source>) -> Result<(), String> {
        if self.transport.is_none() {
            return Err("tproxy needs a match for tcp or udp before it".to_owned());
        }
        let family = match (self.family, family) {
            (Family::Inet, None) => 0,
            (Family::Inet, Some(family)) | (family, _) => u32::from(family.number()),
        };
        let address = self.optional(address, Register::FIRST)?;
        let port = self.optional(port, Register::FIRST.after(16))?;
        self.push(Tproxy { family, address, port });
        Ok(())
    }

    pub(super) fn set(&mut self, key: &Key, value: &Source) -> Result<(), String> {
        let host = Loaded { register: Register::FIRST, host: key.is_host_order(), bytes: key.bytes() };
        let source = match value {
            Source::Value(value) => Source::Value(host.order(value).value().unwrap_or_default().to_vec()),
            other => other.clone(),
        };
        if let Key::Payload { field: Some(field), .. } = key {
            return self.set_field(field, &source);
        }
        let sreg = Some(self.value(&source, Register::FIRST)?);
        match key {
            Key::Meta(key) => self.push(Meta { dreg: None, key: *key, sreg }),
            Key::Ct { key, direction } => self.push(Ct { dreg: None, key: *key, direction: *direction, sreg }),
            Key::Exthdr { op, kind, offset, bytes, .. } => {
                self.push(Exthdr { dreg: None, kind: *kind, offset: *offset, len: *bytes, flags: None, op: Some(*op), sreg });
            }
            _ => return Err("this key cannot be set".to_owned()),
        }
        Ok(())
    }

    /// Writes a header field, and the checksums that cover it. They are of 16-bit words: what shares one with the field is kept.
    fn set_field(&mut self, field: &'static Template, value: &Source) -> Result<(), String> {
        self.require_field(field)?;
        let (first, last) = (field.offset / 16 * 2, (field.offset + field.bits).div_ceil(16) * 2);
        let (base, len, register) = (field.base, last - first, Register::FIRST);
        if (first * 8, len * 8) == (field.offset, field.bits) {
            self.value(value, register)?;
        } else {
            let Source::Value(value) = value else { return Err("a part of a word is set to a constant only".to_owned()) };
            let window = Key::Payload { base, offset: first * 8, bits: len * 8, field: None };
            let loaded = self.load(&window, register)?;
            let below = last * 8 - field.offset - field.bits;
            let number = value.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            let bytes = |number: u64| number.to_be_bytes()[8 - len as usize..].to_vec();
            let mask = ((1_u64 << field.bits) - 1) << below;
            self.mask(loaded, &bytes(!mask), &bytes(number << below & mask));
        }
        let (checksum, offset, flags) = match (field.protocol, field.field) {
            ("ip", "saddr" | "daddr") => (CHECKSUM_INET, 10, CHECKSUM_PSEUDO_HEADER),
            ("ip6", "saddr" | "daddr") => (CHECKSUM_NONE, 0, CHECKSUM_PSEUDO_HEADER),
            ("ip", _) => (CHECKSUM_INET, 10, 0),
            ("tcp", _) => (CHECKSUM_INET, 16, 0),
            ("udp" | "udplite", _) => (CHECKSUM_INET, 6, 0),
            ("icmp" | "icmpv6" | "igmp", _) => (CHECKSUM_INET, 2, 0),
            _ => (CHECKSUM_NONE, 0, 0),
        };
        let (checksum, checksum_offset, checksum_flags) = (Some(checksum), Some(offset), Some(flags));
        self.push(Payload { dreg: None, base, offset: first, len, sreg: Some(register), checksum, checksum_offset, checksum_flags });
        Ok(())
    }
}
