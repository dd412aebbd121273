//! Matches and targets.

use super::super::data::Verdict;
use super::super::expr::{Expr, NatKind, RejectKind, nat_flags};
use super::super::family::Family;
use super::super::lift::lift;
use super::super::object::Hits;
use super::super::statement::{Key, SetRef, Source, Statement};
use super::super::types::DataType;
use super::super::words::{ICMP_CODES, ICMPV6_CODES, ICMPX_CODES, LOG_LEVELS};
use super::key::device;
use super::value::{duration, text};
use super::xt::{xt_match, xt_target};
use super::{Context, Options};

const DEFAULT_BURST: u32 = 5;
const LOG_LEVEL_WARNING: u32 = 4;

impl Context<'_> {
    pub(super) fn statement(&self, statement: &Statement) -> String {
        match statement {
            Statement::Match { key, op, operand } => self.matching(key, *op, operand),
            Statement::Verdict(verdict) => self.verdict(verdict),
            Statement::VerdictMap { key, map } => format!("{} vmap {}", self.key(key), self.set_ref(key, map)),
            Statement::Counter(hits) => self.counter(*hits),
            Statement::Limit { over, rate, unit, burst, bytes } => limit(*over, *rate, *unit, *burst, *bytes),
            Statement::Quota { over, bytes, used } => self.quota(*over, *bytes, *used),
            Statement::Connlimit { over, count } => format!("ct count {}{count}", word("over ", *over)),
            Statement::Last(Some(ago)) if self.options.counters => format!("last used {}", duration(*ago)),
            Statement::Last(None) if self.options.counters => "last used never".to_owned(),
            Statement::Last(_) => "last".to_owned(),
            Statement::Log { .. } => log(statement),
            Statement::Reject { kind, code, ip6 } => self.reject(*kind, *code, *ip6),
            Statement::Nat { kind, family, address, port, flags } => self.nat(*kind, *family, address.as_ref(), port.as_ref(), *flags),
            Statement::Masquerade { ports, flags } => self.with_ports("masquerade", ports.as_ref(), *flags),
            Statement::Redirect { ports, flags } => self.with_ports("redirect", ports.as_ref(), *flags),
            Statement::Tproxy { family, address, port } => self.tproxy(*family, address.as_ref(), port.as_ref()),
            Statement::Queue { first, total, flags, by } => self.queue(*first, *total, *flags, by.as_ref()),
            Statement::Set { key, value } => format!("{} set {}", self.key(key), self.source(value, key.data_type())),
            Statement::Dup { address, device: to } => {
                let address = address.as_ref().map(|a| format!(" to {}", self.address(a, self.family)));
                let via = to.as_ref().map(|to| device(to, self));
                match (address, via) {
                    (Some(address), Some(via)) => format!("dup{address} device {via}"),
                    (Some(address), None) => format!("dup{address}"),
                    (None, via) => format!("dup to {}", via.unwrap_or_default()),
                }
            }
            Statement::Forward { device: to, address: None } => format!("fwd to {}", device(to, self)),
            Statement::Forward { device: to, address: Some(address) } => {
                format!("fwd to {} device {}", self.address(address, self.family), device(to, self))
            }
            Statement::Update { set, op, key, data, timeout, exprs } => {
                let op = ["add", "update", "delete"].get(*op as usize).unwrap_or(&"change");
                let timeout = timeout.map_or_else(String::new, |t| format!(" timeout {}", duration(t)));
                let without_hits = Context { options: Options { counters: false, ..self.options }, ..*self };
                let exprs = without_hits.stateful(exprs);
                let data = data.as_ref().map_or_else(String::new, |data| format!(" : {}", self.source(data, DataType::Integer)));
                format!("{op} @{set} {{ {}{timeout}{exprs}{data} }}", self.key(key))
            }
            Statement::Object { kind, name: Source::Value(name) } => format!("{} name \"{}\"", object_word(*kind), text(name)),
            Statement::Object { kind, name } => format!("{} name {}", object_word(*kind), self.source(name, DataType::String)),
            Statement::ObjectMap { key, map, kind } => {
                format!("{} name {} map {}", object_word(*kind), self.key(key), self.set_ref(key, map))
            }
            Statement::Notrack => "notrack".to_owned(),
            Statement::Opaque { expression: Expr::XtMatch(xt), transport } => xt_match(self.family, *transport, xt),
            Statement::Opaque { expression: Expr::XtTarget(xt), .. } => xt_target(self.family, xt),
            // As a comment is: nft has no words for it either.
            Statement::Opaque { expression, .. } => format!("/* {} */", expression.name()),
        }
    }

    /// The counters and limits of a set's elements, each with a space before it.
    pub(super) fn stateful(&self, exprs: &[Expr]) -> String {
        lift(self.family, exprs, &[]).iter().map(|statement| format!(" {}", self.statement(statement))).collect()
    }

    pub(super) fn verdict(&self, verdict: &Verdict) -> String {
        match verdict {
            Verdict::Drop => "drop".to_owned(),
            Verdict::Accept => "accept".to_owned(),
            Verdict::Continue => "continue".to_owned(),
            Verdict::Break => "break".to_owned(),
            Verdict::Return => "return".to_owned(),
            Verdict::Jump(chain) => format!("jump {chain}"),
            Verdict::Goto(chain) => format!("goto {chain}"),
            Verdict::Other(code) => format!("verdict {code}"),
        }
    }

    pub(super) fn counter(&self, hits: Option<Hits>) -> String {
        match hits {
            Some(Hits { packets, bytes }) if self.options.counters => format!("counter packets {packets} bytes {bytes}"),
            _ => "counter".to_owned(),
        }
    }

    pub(super) fn quota(&self, over: bool, bytes: u64, used: u64) -> String {
        let used = match used {
            0 => String::new(),
            _ if !self.options.counters => String::new(),
            used => format!(" used {}", size(used)),
        };
        format!("quota {}{}{used}", word("over ", over), size(bytes))
    }

    fn reject(&self, kind: RejectKind, code: u8, ip6: bool) -> String {
        const ICMP_PORT: u8 = 3;
        const ICMPV6_PORT: u8 = 4;
        const ICMPX_PORT: u8 = 1;
        let name = |words: &[(u64, &'static str)]| {
            words.iter().find(|(number, _)| *number == u64::from(code)).map_or_else(|| code.to_string(), |(_, word)| (*word).to_owned())
        };
        match (kind, self.family) {
            (RejectKind::TCP_RESET, _) => "reject with tcp reset".to_owned(),
            (RejectKind::ICMPX, _) if code == ICMPX_PORT => "reject".to_owned(),
            (RejectKind::ICMPX, _) => format!("reject with icmpx {}", name(ICMPX_CODES)),
            (_, Family::Ip) if code == ICMP_PORT => "reject".to_owned(),
            (_, Family::Ip6) if code == ICMPV6_PORT => "reject".to_owned(),
            _ if ip6 => format!("reject with icmpv6 {}", name(ICMPV6_CODES)),
            _ => format!("reject with icmp {}", name(ICMP_CODES)),
        }
    }

    fn nat(&self, kind: NatKind, family: Family, address: Option<&Source>, port: Option<&Source>, flags: u32) -> String {
        let word = if kind == NatKind::SOURCE { "snat" } else { "dnat" };
        let gives_port = |address: &Source| match address {
            Source::Key(Key::Map { map: SetRef::Anonymous(map), .. }) => map.data_types.len() > 1,
            Source::Key(Key::Map { map: SetRef::Named(name), .. }) => {
                self.sets.iter().any(|set| set.name == *name && set.data_types().len() > 1)
            }
            _ => false,
        };
        let from_map = matches!(address, Some(Source::Key(_))) && flags & nat_flags::NETMAP != 0;
        let say_family = self.family == Family::Inet || from_map || address.is_some_and(gives_port);
        let family_word = if say_family && address.is_some() { format!(" {family}") } else { String::new() };
        let prefix = if flags & nat_flags::NETMAP != 0 { " prefix" } else { "" };
        let address = address.map(|address| match (address, family, port) {
            (Source::Value(_), Family::Ip6, Some(_)) => format!("[{}]", self.address(address, family)),
            (Source::Range(..), Family::Ip6, Some(_)) => {
                let Source::Range(from, to) = address else { return String::new() };
                format!("[{}]-[{}]", self.value(DataType::Ipv6, from), self.value(DataType::Ipv6, to))
            }
            _ => self.address(address, family),
        });
        let port = port.map(|port| format!(":{}", self.source(port, DataType::Service)));
        let to = match (&address, &port) {
            (None, None) => "",
            _ => " to ",
        };
        format!("{word}{family_word}{prefix}{to}{}{}{}", address.unwrap_or_default(), port.unwrap_or_default(), nat_words(flags))
    }

    fn address(&self, source: &Source, family: Family) -> String {
        let data_type = if family == Family::Ip6 { DataType::Ipv6 } else { DataType::Ipv4 };
        match source {
            Source::Range(from, to) => self.range(data_type, from, to),
            other => self.source(other, data_type),
        }
    }

    fn with_ports(&self, word: &str, ports: Option<&Source>, flags: u32) -> String {
        let ports = ports.map(|ports| format!(" to :{}", self.source(ports, DataType::Service)));
        format!("{word}{}{}", ports.unwrap_or_default(), nat_words(flags))
    }

    fn tproxy(&self, family: Option<Family>, address: Option<&Source>, port: Option<&Source>) -> String {
        let word = match family {
            Some(family) if self.family == Family::Inet => format!(" {family}"),
            _ => String::new(),
        };
        let six = family == Some(Family::Ip6);
        let address = address.map(|address| {
            let text = self.address(address, if six { Family::Ip6 } else { Family::Ip });
            if six { format!("[{text}]") } else { text }
        });
        let port = port.map(|port| format!(":{}", self.source(port, DataType::Service)));
        format!("tproxy{word} to {}{}", address.unwrap_or_default(), port.unwrap_or_default())
    }

    fn queue(&self, first: u16, total: u16, flags: u16, by: Option<&Key>) -> String {
        let words: Vec<_> = [(1, "bypass"), (2, "fanout")].iter().filter(|(flag, _)| flags & flag != 0).map(|(_, word)| *word).collect();
        let flags = if words.is_empty() { String::new() } else { format!(" flags {}", words.join(",")) };
        match by {
            Some(key) => format!("queue{flags} to {}", self.key(key)),
            None if total > 1 => format!("queue{flags} to {first}-{}", u32::from(first) + u32::from(total) - 1),
            None => format!("queue{flags} to {first}"),
        }
    }
}

fn word(word: &'static str, said: bool) -> &'static str {
    if said { word } else { "" }
}

pub(super) fn nat_words(flags: u32) -> String {
    let words = [(nat_flags::RANDOM, "random"), (nat_flags::FULLY_RANDOM, "fully-random"), (nat_flags::PERSISTENT, "persistent")];
    let words: Vec<_> = words.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, word)| *word).collect();
    if words.is_empty() { String::new() } else { format!(" {}", words.join(",")) }
}

/// Bytes in the largest unit that divides them.
fn size(bytes: u64) -> String {
    let mut number = bytes;
    for unit in ["bytes", "kbytes"] {
        if number == 0 || !number.is_multiple_of(1024) {
            return format!("{number} {unit}");
        }
        number /= 1024;
    }
    format!("{number} mbytes")
}

fn limit(over: bool, rate: u64, unit: u64, burst: u32, bytes: bool) -> String {
    let per = match unit {
        1 => "second",
        60 => "minute",
        3600 => "hour",
        86_400 => "day",
        604_800 => "week",
        _ => "unknown",
    };
    let over = word("over ", over);
    if bytes {
        let burst = if burst > 0 { format!(" burst {}", size(u64::from(burst))) } else { String::new() };
        format!("limit rate {over}{}/{per}{burst}", size(rate))
    } else {
        let burst = if burst == DEFAULT_BURST || burst == 0 { String::new() } else { format!(" burst {burst} packets") };
        format!("limit rate {over}{rate}/{per}{burst}")
    }
}

fn log(statement: &Statement) -> String {
    let Statement::Log { group, prefix, snaplen, threshold, level, flags } = statement else { return String::new() };
    let mut text = "log".to_owned();
    if let Some(prefix) = prefix {
        text += &format!(" prefix \"{prefix}\"");
    }
    if let Some(group) = group {
        text += &format!(" group {group}");
    }
    if let Some(snaplen) = snaplen {
        text += &format!(" snaplen {snaplen}");
    }
    if let Some(threshold) = threshold {
        text += &format!(" queue-threshold {threshold}");
    }
    if let Some(level) = level.filter(|level| *level != LOG_LEVEL_WARNING) {
        text += &format!(" level {}", LOG_LEVELS.get(level as usize).unwrap_or(&"unknown"));
    }
    text + &log_flags(*flags)
}

pub(super) fn log_flags(flags: u32) -> String {
    const TCP_SEQUENCE: u32 = 1;
    const TCP_OPTIONS: u32 = 2;
    const IP_OPTIONS: u32 = 4;
    const UID: u32 = 8;
    const MAC: u32 = 32;
    if flags & 0x2f == 0x2f {
        return " flags all".to_owned();
    }
    let mut text = String::new();
    text += match flags & (TCP_SEQUENCE | TCP_OPTIONS) {
        TCP_SEQUENCE => " flags tcp sequence",
        TCP_OPTIONS => " flags tcp options",
        0 => "",
        _ => " flags tcp sequence,options",
    };
    for (flag, words) in [(IP_OPTIONS, " flags ip options"), (UID, " flags skuid"), (MAC, " flags ether")] {
        text += word(words, flags & flag != 0);
    }
    text
}

/// The word before `name` for a named object.
pub(super) fn object_word(kind: u32) -> &'static str {
    match kind {
        1 => "counter",
        2 => "quota",
        3 => "ct helper set",
        4 => "limit",
        5 => "ct count",
        7 => "ct timeout set",
        9 => "ct expectation set",
        10 => "synproxy",
        _ => "object",
    }
}
