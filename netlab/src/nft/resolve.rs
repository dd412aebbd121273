//! Gives header bytes the names of their fields, and takes away the matches that the name implies, as nft does when it lists.
//!
//! `meta l4proto tcp` before `tcp dport 80` is there because the kernel must not look for a port in a datagram without one; nft writes
//! it when it compiles and hides it when it lists.

use super::expr::{CmpOp, MetaKey, PayloadBase, RejectKind};
use super::family::Family;
use super::statement::{Key, Operand, SetRef, Source, Statement};
use super::template::{self, Template};
use super::types::DataType;

/// The statements with named fields and without implied matches.
pub(super) fn resolve(family: Family, statements: Vec<Statement>) -> Vec<Statement> {
    let mut resolver = Resolver::new(family);
    for statement in statements {
        resolver.take(statement);
    }
    resolver.done.into_iter().flatten().collect()
}

struct Resolver {
    family: Family,
    link: Option<&'static str>,
    network: Option<&'static str>,
    transport: Option<&'static str>,
    /// The place of the match that says which protocol a layer is, while nothing of that layer was named.
    dependency: [Option<usize>; 3],
    done: Vec<Option<Statement>>,
}

impl Resolver {
    fn new(family: Family) -> Self {
        let network = match family {
            Family::Ip => Some("ip"),
            Family::Ip6 => Some("ip6"),
            Family::Arp => Some("arp"),
            _ => None,
        };
        let link = (family == Family::Bridge).then_some("ether");
        Self { family, link, network, transport: None, dependency: [None; 3], done: Vec::new() }
    }

    fn take(&mut self, statement: Statement) {
        let statement = match statement {
            Statement::Match { key, op, operand } => return self.take_match(key, op, operand),
            Statement::VerdictMap { key, map } => Statement::VerdictMap { key: self.key(key), map },
            Statement::ObjectMap { key, map, kind } => Statement::ObjectMap { key: self.key(key), map, kind },
            Statement::Update { set, op, key, data, timeout, exprs } => {
                Statement::Update { set, op, key: self.key(key), data: data.map(|data| self.source(data)), timeout, exprs }
            }
            Statement::Set { key, value } => self.take_set(key, value),
            Statement::Nat { kind, family, address, port, flags } => {
                let (address, port) = (address.map(|s| self.source(s)), port.map(|s| self.source(s)));
                Statement::Nat { kind, family, address, port, flags }
            }
            Statement::Masquerade { ports, flags } => Statement::Masquerade { ports: ports.map(|s| self.source(s)), flags },
            Statement::Redirect { ports, flags } => Statement::Redirect { ports: ports.map(|s| self.source(s)), flags },
            Statement::Queue { first, total, flags, by } => Statement::Queue { first, total, flags, by: by.map(|key| self.key(key)) },
            Statement::Reject { kind, code, .. } => {
                match kind {
                    RejectKind::ICMP if self.family.is_mixed() => self.kill(PayloadBase::NETWORK),
                    RejectKind::TCP_RESET if !self.family.is_mixed() => self.kill(PayloadBase::TRANSPORT),
                    _ => {}
                }
                Statement::Reject { kind, code, ip6: self.network == Some("ip6") }
            }
            Statement::Opaque { expression, .. } => Statement::Opaque { expression, transport: self.transport },
            other => other,
        };
        self.done.push(Some(statement));
        // nft looks no further back than the last target.
        self.dependency = [None; 3];
    }

    fn source(&mut self, source: Source) -> Source {
        match source {
            Source::Key(key) => Source::Key(self.key(key)),
            other => other,
        }
    }

    /// The names for a key that is not compared with a single value.
    fn key(&mut self, key: Key) -> Key {
        match key {
            Key::Payload { base, offset, bits, field: None } => {
                let field = self.find(base, offset, bits);
                if field.is_some() {
                    self.named(base, field);
                }
                Key::Payload { base, offset, bits, field }
            }
            Key::Bits { key, mask, xor } => {
                let inner = self.key(*key);
                if let Key::Payload { base, offset, bits, field: None | Some(_) } = &inner
                    && xor.iter().all(|byte| *byte == 0)
                    && let Some(field) = self.part(*base, *offset, *bits, &mask, false)
                {
                    self.named(*base, Some(field));
                    return Key::field(field);
                }
                Key::Bits { key: Box::new(inner), mask, xor }
            }
            Key::Shift { key, left, by } => match self.key(*key) {
                // A part of a byte is loaded, cut out and moved down: the field's name says all that.
                key @ Key::Payload { field: Some(field), .. } if !left && by > 0 && field.bits % 8 != 0 => key,
                key => Key::Shift { key: Box::new(key), left, by },
            },
            Key::Exthdr { op: 0, .. } => {
                self.kill(PayloadBase::NETWORK);
                key
            }
            Key::Map { key, map } => Key::Map { key: Box::new(self.key(*key)), map },
            Key::Concat(keys) => Key::Concat(keys.into_iter().map(|key| self.key(key)).collect()),
            Key::Hash { of, modulus, seed, offset } => Key::Hash { of: of.map(|key| Box::new(self.key(*key))), modulus, seed, offset },
            other => other,
        }
    }

    /// `ip ttl set …`; a part of a byte is put in by keeping the other bits.
    fn take_set(&mut self, key: Key, value: Source) -> Statement {
        if let (Key::Payload { base, offset, bits, .. }, Source::Key(Key::Bits { mask, xor, .. })) = (&key, &value) {
            let kept: Vec<u8> = mask.iter().map(|byte| !byte).collect();
            if let Some(field) = self.part(*base, *offset, *bits, &kept, true)
                && let Some(value) = cut(field, *offset, xor)
            {
                self.named(*base, Some(field));
                return Statement::Set { key: Key::field(field), value: Source::Value(value) };
            }
        }
        let key = self.key(key);
        Statement::Set { key, value: self.source(value) }
    }

    fn take_match(&mut self, key: Key, op: CmpOp, operand: Operand) {
        match (key, operand) {
            (Key::Payload { base, offset, bits, field: None }, Operand::Value(value)) => self.take_payload(base, offset, bits, op, value),
            (Key::Bits { key, mask, xor }, Operand::Value(value)) if xor.iter().all(|byte| *byte == 0) => {
                self.take_masked(*key, mask, op, value);
            }
            (key, operand) => {
                let before = key.clone();
                let key = self.key(key);
                let operand = match (before, operand, &key) {
                    (Key::Bits { key: whole, .. }, Operand::Set(set), Key::Payload { field: Some(field), .. }) => {
                        Operand::Set(cut_items(field, &whole, set))
                    }
                    (_, operand, _) => operand,
                };
                self.push(key, op, operand);
            }
        }
    }

    /// Several neighbouring fields may have been compared at once, or only the leading bytes of one.
    fn take_payload(&mut self, base: PayloadBase, mut offset: u32, mut bits: u32, op: CmpOp, mut value: Vec<u8>) {
        if op == CmpOp::EQ {
            while let Some(field) = self.first(base, offset, bits)
                && value.len() >= (field.bits / 8) as usize
            {
                let rest = value.split_off((field.bits / 8) as usize);
                self.named(base, Some(field));
                self.push(Key::field(field), op, Operand::Value(std::mem::replace(&mut value, rest)));
                (offset, bits) = (offset + field.bits, bits - field.bits);
                if bits == 0 {
                    return;
                }
            }
        }
        if let Some(field) = self.longer(base, offset, bits) {
            value.resize((field.bits / 8) as usize, 0);
            self.named(base, Some(field));
            return self.push(Key::field(field), op, Operand::Prefix(value, bits));
        }
        let key = self.key(Key::Payload { base, offset, bits, field: None });
        self.push(key, op, Operand::Value(value));
    }

    fn take_masked(&mut self, key: Key, mask: Vec<u8>, op: CmpOp, value: Vec<u8>) {
        if let Key::Payload { base, offset, bits, field: None } = key
            && let Some(field) = self.part(base, offset, bits, &mask, false)
            && let Some(value) = cut(field, offset, &value)
        {
            self.named(base, Some(field));
            return self.push(Key::field(field), op, Operand::Value(value));
        }
        let key = self.key(key);
        let data_type = key.data_type();
        let zero = value.iter().all(|byte| *byte == 0);
        let (op, operand) = match leading_ones(&mask) {
            _ if data_type.is_flags() && zero && op == CmpOp::NEQ => (CmpOp::EQ, Operand::Any(mask)),
            _ if data_type.is_flags() && zero && op == CmpOp::EQ => (CmpOp::NEQ, Operand::Any(mask)),
            _ if data_type.is_flags() && matches!(op, CmpOp::EQ | CmpOp::NEQ) => (op, Operand::Masked(value, mask)),
            Some(length) if data_type.has_prefixes() && matches!(op, CmpOp::EQ | CmpOp::NEQ) => (op, Operand::Prefix(value, length)),
            _ => {
                let xor = vec![0; mask.len()];
                return self.push(Key::Bits { key: Box::new(key), mask, xor }, op, Operand::Value(value));
            }
        };
        self.push(key, op, operand);
    }

    fn push(&mut self, key: Key, op: CmpOp, operand: Operand) {
        let operand = match operand {
            // Only the leading bytes of an address were compared.
            Operand::Value(mut value) if value.len() < key.bytes() && matches!(key.data_type(), DataType::Ipv4 | DataType::Ipv6) => {
                let length = 8 * u32::try_from(value.len()).unwrap_or(0);
                value.resize(key.bytes(), 0);
                Operand::Prefix(value, length)
            }
            other => other,
        };
        if let (CmpOp::EQ, Operand::Value(value)) = (op, &operand) {
            self.learn(&key, value);
        }
        self.done.push(Some(Statement::Match { key, op, operand }));
    }

    /// A match may say which protocol a layer is.
    fn learn(&mut self, key: &Key, value: &[u8]) {
        let place = self.done.len();
        let short = || value.try_into().ok().map(u16::from_be_bytes);
        match key {
            Key::Meta(MetaKey::NFPROTO) if self.network.is_none() => {
                self.network = match value {
                    [2] => Some("ip"),
                    [10] => Some("ip6"),
                    _ => return,
                };
                self.dependency[1] = Some(place);
            }
            Key::Meta(MetaKey::PROTOCOL) => {
                self.network = short().and_then(template::network).or(self.network);
                self.dependency[1] = Some(place);
            }
            Key::Meta(MetaKey::IIFTYPE | MetaKey::OIFTYPE) if value == [0, 1] => {
                self.link = Some("ether");
                self.dependency[0] = Some(place);
            }
            Key::Meta(MetaKey::L4PROTO) => self.learn_transport(value, place),
            Key::Payload { field: Some(field), .. } => match (field.protocol, field.field) {
                ("ether" | "vlan", "type") => {
                    if value == [0x81, 0] {
                        self.link = Some("vlan");
                        self.dependency[0] = Some(place);
                    } else {
                        self.network = short().and_then(template::network).or(self.network);
                        self.dependency[1] = Some(place);
                    }
                }
                ("ip", "protocol") | ("ip6", "nexthdr") => self.learn_transport(value, place),
                _ => {}
            },
            _ => {}
        }
    }

    fn learn_transport(&mut self, value: &[u8], place: usize) {
        self.transport = value.first().and_then(|number| template::transport(*number));
        self.dependency[2] = Some(place);
    }

    /// A named field makes the match that chose its protocol superfluous.
    fn named(&mut self, base: PayloadBase, field: Option<&'static Template>) {
        if base == PayloadBase::TRANSPORT && self.transport.is_none() {
            return;
        }
        // `ip protocol tcp` says more than `tcp dport 80` where IPv6 is seen too.
        let says_more =
            |statement: &Statement| matches!(statement, Statement::Match { key: Key::Payload { base: PayloadBase::NETWORK, .. }, .. });
        let place = self.dependency.get(base.0 as usize).copied().flatten();
        if base == PayloadBase::TRANSPORT
            && self.family.is_mixed()
            && place.and_then(|place| self.done[place].as_ref()).is_some_and(says_more)
        {
            return;
        }
        self.kill(base);
        if self.family.is_mixed() && field.is_some_and(|field| matches!(field.protocol, "icmp" | "icmpv6")) {
            self.kill(PayloadBase::NETWORK);
        }
    }

    fn kill(&mut self, base: PayloadBase) {
        if let Some(place) = self.dependency.get_mut(base.0 as usize).and_then(Option::take) {
            self.done[place] = None;
        }
    }

    fn header(&self, base: PayloadBase) -> &'static [Template] {
        let protocol = match base {
            PayloadBase::LINK => self.link,
            PayloadBase::NETWORK => self.network,
            PayloadBase::TRANSPORT => Some(self.transport.unwrap_or("th")),
            _ => None,
        };
        protocol.and_then(template::header).unwrap_or_default()
    }

    fn find(&self, base: PayloadBase, offset: u32, bits: u32) -> Option<&'static Template> {
        self.header(base).iter().find(|field| (field.offset, field.bits) == (offset, bits))
    }

    /// A field of whole bytes at the beginning of a longer stretch.
    fn first(&self, base: PayloadBase, offset: u32, bits: u32) -> Option<&'static Template> {
        self.header(base)
            .iter()
            .find(|field| field.offset == offset && field.bits <= bits && field.bits % 8 == 0 && offset.is_multiple_of(8))
    }

    /// An address of which only the leading bytes were loaded.
    fn longer(&self, base: PayloadBase, offset: u32, bits: u32) -> Option<&'static Template> {
        let mut header = self.header(base).iter();
        header.find(|field| field.offset == offset && field.bits > bits && bits > 0 && field.data_type.has_prefixes())
    }

    /// The field of which the mask cuts all bits out of the stretch; one of whole bytes only if that is asked for.
    fn part(&self, base: PayloadBase, offset: u32, bits: u32, mask: &[u8], whole_bytes: bool) -> Option<&'static Template> {
        let first = mask.iter().position(|byte| *byte != 0)?;
        let leading = u32::try_from(first).ok()? * 8 + mask[first].leading_zeros();
        let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
        let field = self.header(base).iter().find(|field| {
            (field.offset, field.bits) == (offset.saturating_add(leading), ones) && (whole_bytes || field.bits % 8 != 0) && ones < bits
        })?;
        let whole = cut(field, offset, mask)?;
        (whole.iter().map(|byte| byte.count_ones()).sum::<u32>() == ones).then_some(field)
    }
}

/// The elements of a set that were compared with the stretch from which the field is cut.
fn cut_items(field: &Template, whole: &Key, set: SetRef) -> SetRef {
    let (Key::Payload { offset, .. }, SetRef::Anonymous(mut items)) = (whole, set.clone()) else { return set };
    for (from, to) in items.items.iter_mut().flat_map(|item| &mut item.key) {
        *from = cut(field, *offset, from).unwrap_or_default();
        *to = to.as_ref().and_then(|to| cut(field, *offset, to));
    }
    SetRef::Anonymous(items)
}

/// The value of a field within a stretch that begins at `offset`, moved down to its lowest bit.
fn cut(field: &Template, offset: u32, stretch: &[u8]) -> Option<Vec<u8>> {
    let bits = u32::try_from(stretch.len()).ok()? * 8;
    if bits > 64 {
        return None;
    }
    let number = stretch.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let below = bits.checked_sub(field.offset.checked_sub(offset)?)?.checked_sub(field.bits)?;
    let number = number.checked_shr(below)? & ((1 << field.bits) - 1);
    let bytes = field.bits.div_ceil(8) as usize;
    number.to_be_bytes().get(8 - bytes..).map(<[u8]>::to_vec)
}

/// How many leading bits are set, if no other is, and some are not.
pub(super) fn leading_ones(mask: &[u8]) -> Option<u32> {
    let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let mut leading = 0;
    for byte in mask {
        leading += byte.leading_ones();
        if *byte != 0xff {
            break;
        }
    }
    (leading == ones && ones > 0).then_some(ones)
}
