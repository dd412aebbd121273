//! xtables matches and targets, which iptables-nft keeps for what nf_tables has no expression for.
//!
//! nft prints them as libxtables translates them, whose habits differ from nft's own; what it does not translate reads `xt match NAME`.
//! The structures are those of `linux/netfilter/xt_*.h` and `linux/netfilter_ipv4/ipt_*.h`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::expr::{XtMatch, XtTarget};
use super::super::family::Family;
use super::super::types::DataType as T;
use super::super::words::LOG_LEVELS;
use super::statement::nat_words;
use super::value::text;

/// The bytes of a structure, read in the machine's byte order; past its end is zero.
#[derive(Clone, Copy)]
struct Info<'a>(&'a [u8]);

impl Info<'_> {
    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        self.0.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
    }
    fn u8(self, at: usize) -> u8 {
        self.array::<1>(at)[0]
    }
    fn u16(self, at: usize) -> u16 {
        u16::from_ne_bytes(self.array(at))
    }
    fn port(self, at: usize) -> u16 {
        u16::from_be_bytes(self.array(at))
    }
    fn u32(self, at: usize) -> u32 {
        u32::from_ne_bytes(self.array(at))
    }
    fn text(self, at: usize, length: usize) -> String {
        text(&self.0[at.min(self.0.len())..(at + length).min(self.0.len())])
    }
    fn address(self, at: usize, family: Family) -> String {
        if family == Family::Ip6 {
            Ipv6Addr::from(self.array::<16>(at)).to_string()
        } else {
            Ipv4Addr::from(self.array::<4>(at)).to_string()
        }
    }
}

fn not(invert: bool) -> &'static str {
    if invert { "!= " } else { "" }
}

pub(super) fn xt_match(family: Family, transport: Option<&str>, xt: &XtMatch) -> String {
    let info = Info(&xt.info);
    let translated = match xt.name.as_str() {
        "comment" => Some(String::new()),
        "conntrack" | "state" if xt.revision >= 2 => conntrack(family, info),
        "addrtype" if xt.revision == 1 => address_type(info),
        "statistic" => Some(statistic(info)),
        "connmark" => {
            let (mark, mask, op) = (info.u32(0), info.u32(4), not(info.u8(8) != 0));
            Some(match mask {
                u32::MAX => format!("ct mark {op}0x{mark:x}"),
                _ => format!("ct mark and 0x{mask:x} {}0x{mark:x}", if op.is_empty() { "== " } else { op }),
            })
        }
        "multiport" => multiport(transport, info),
        "icmp" | "icmp6" => icmp(&xt.name, info),
        "iprange" => ip_range(family, info),
        "pkttype" => {
            let word = ["unicast", "broadcast", "multicast"].get(info.u32(0) as usize).copied();
            word.map(|word| format!("pkttype {}{word}", not(info.u32(4) != 0)))
        }
        "mac" => {
            let address: Vec<_> = info.array::<6>(0).iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("ether saddr {}{}", not(info.u32(8) != 0), address.join(":")))
        }
        "length" => {
            let (least, most, op) = (info.u16(0), info.u16(2), not(info.u8(4) != 0));
            Some(if least == most { format!("meta length {op}{least}") } else { format!("meta length {op}{least}-{most}") })
        }
        "ttl" => {
            let op = ["", "!= ", "lt ", "gt "].get(usize::from(info.u8(0))).copied();
            op.map(|op| format!("ip ttl {op}{}", info.u8(1)))
        }
        _ => None,
    };
    translated.unwrap_or_else(|| format!("xt match {}", xt.name))
}

fn conntrack(family: Family, info: Info<'_>) -> Option<String> {
    const STATE: u16 = 1;
    const PROTOCOL: u16 = 2;
    const ADDRESSES: [(u16, usize, &str); 4] =
        [(1 << 2, 0, "original saddr"), (1 << 3, 32, "original daddr"), (1 << 4, 64, "reply saddr"), (1 << 5, 96, "reply daddr")];
    const STATUS: u16 = 1 << 6;
    const PORTS: [(u16, usize, &str); 4] = [
        (1 << 8, 138, "original proto-src"),
        (1 << 9, 140, "original proto-dst"),
        (1 << 10, 142, "reply proto-src"),
        (1 << 11, 144, "reply proto-dst"),
    ];
    const DIRECTION: u16 = 1 << 12;
    // The bits of a state that is a translation rather than a state.
    const TRANSLATED: [(u16, &str); 2] = [(1 << 6, "snat"), (1 << 7, "dnat")];
    let (flags, inverted) = (info.u16(146), info.u16(148));
    let mut words = Vec::new();
    if flags & DIRECTION != 0 {
        words.push(format!("ct direction {}", if inverted & DIRECTION == 0 { "original" } else { "reply" }));
    }
    if flags & PROTOCOL != 0 {
        words.push(format!("ct original protocol {}{}", not(inverted & PROTOCOL != 0), info.u16(136)));
    }
    if flags & STATE != 0 {
        let (states, bang) = (info.u16(150), if inverted & STATE != 0 { "! " } else { "" });
        // libxtables' own order.
        let order = [(1, "invalid"), (8, "new"), (4, "related"), (2, "established"), (1 << 8, "untracked")];
        let named: Vec<_> = order.iter().filter(|(bit, _)| states & bit != 0).map(|(_, word)| *word).collect();
        let translated: Vec<_> = TRANSLATED.iter().filter(|(bit, _)| states & bit != 0).map(|(_, word)| *word).collect();
        match (named.is_empty(), translated.is_empty()) {
            (false, true) => words.push(format!("ct state {bang}{}", named.join(","))),
            (true, false) => words.push(format!("ct status {bang}{}", translated.join(","))),
            _ => return None,
        }
    }
    if flags & STATUS != 0 {
        let order = [(1, "expected"), (2, "seen-reply"), (4, "assured"), (8, "confirmed")];
        let named: Vec<_> = order.iter().filter(|(bit, _)| info.u16(152) & bit != 0).map(|(_, word)| *word).collect();
        words.push(format!("ct status {}{}", if inverted & STATUS != 0 { "! " } else { "" }, named.join(",")));
    }
    for (flag, at, name) in ADDRESSES {
        if flags & flag != 0 {
            let length = if family == Family::Ip6 { 16 } else { 4 };
            let mask: u32 = info.array::<16>(at + 16)[..length].iter().map(|byte| byte.count_ones()).sum();
            let prefix = if mask as usize == 8 * length { String::new() } else { format!("/{mask}") };
            words.push(format!("ct {name} {}{}{prefix}", not(inverted & flag != 0), info.address(at, family)));
        }
    }
    for (flag, at, name) in PORTS {
        if flags & flag != 0 {
            // Each port has the end of its range at the structure's end.
            let (from, to) = (info.u16(at), info.u16(at + 16));
            let range = if from == to { from.to_string() } else { format!("{from}-{to}") };
            words.push(format!("ct {name} {}{range}", not(inverted & flag != 0)));
        }
    }
    (!words.is_empty()).then(|| words.join(" "))
}

fn address_type(info: Info<'_>) -> Option<String> {
    const INVERT: [u32; 2] = [1, 2];
    const IIF: u32 = 4;
    const OIF: u32 = 8;
    let flags = info.u32(4);
    let mut words = Vec::new();
    for (place, (types, side)) in [(info.u16(0), "saddr"), (info.u16(2), "daddr")].into_iter().enumerate() {
        if types == 0 {
            continue;
        }
        let named: Vec<_> = (0..16).filter(|bit| types & 1 << bit != 0).filter_map(|bit| T::FibAddressType.word(bit)).collect();
        let named = if let [one] = named.as_slice() { (*one).to_owned() } else { format!("{{ {} }}", named.join(", ")) };
        let device = match flags & (IIF | OIF) {
            0 => "",
            IIF => " . iif",
            _ => " . oif",
        };
        words.push(format!("fib {side}{device} type {}{named}", not(flags & INVERT[place] != 0)));
    }
    (!words.is_empty()).then(|| words.join(" "))
}

fn statistic(info: Info<'_>) -> String {
    let inverted = info.u16(2) & 1 != 0;
    if info.u16(0) == 0 {
        let op = if inverted { ">=" } else { "<" };
        return format!("meta random & 2147483647 {op} {}", info.u32(4));
    }
    format!("numgen inc mod {} {}{}", u64::from(info.u32(4)) + 1, not(inverted), info.u32(8))
}

fn multiport(transport: Option<&str>, info: Info<'_>) -> Option<String> {
    let side = ["sport", "dport"].get(usize::from(info.u8(0)))?;
    let count = usize::from(info.u8(1)).min(15);
    let mut ports = Vec::new();
    let mut place = 0;
    while place < count {
        let port = |place: usize| info.u16(2 + 2 * place);
        if info.u8(32 + place) != 0 && place + 1 < count {
            ports.push(format!("{}-{}", port(place), port(place + 1)));
            place += 1;
        } else {
            ports.push(port(place).to_string());
        }
        place += 1;
    }
    let op = not(info.u8(47) != 0);
    let ports = if count > 1 { format!("{{ {} }}", ports.join(", ")) } else { ports.concat() };
    Some(format!("{} {side} {op}{ports}", transport?))
}

fn icmp(name: &str, info: Info<'_>) -> Option<String> {
    let (kind, first, last) = (info.u8(0), info.u8(1), info.u8(2));
    let (protocol, data_type) = if name == "icmp" { ("icmp", T::IcmpType) } else { ("icmpv6", T::Icmpv6Type) };
    if (first, last) != (0, u8::MAX) {
        return None;
    }
    let word = data_type.word(u64::from(kind)).map_or_else(|| kind.to_string(), str::to_owned);
    Some(format!("{protocol} type {}{word}", not(info.u8(3) != 0)))
}

fn ip_range(family: Family, info: Info<'_>) -> Option<String> {
    let flags = info.u8(64);
    let word = if family == Family::Ip6 { "ip6" } else { "ip" };
    let side = |flag: u8, inverted: u8, name: &str, at: usize| {
        (flags & flag != 0)
            .then(|| format!("{word} {name} {}{}-{}", not(flags & inverted != 0), info.address(at, family), info.address(at + 16, family)))
    };
    let sides: Vec<_> = [side(1, 0x10, "saddr", 0), side(2, 0x20, "daddr", 32)].into_iter().flatten().collect();
    (!sides.is_empty()).then(|| sides.join(" "))
}

pub(super) fn xt_target(family: Family, xt: &XtTarget) -> String {
    let info = Info(&xt.info);
    let translated = match xt.name.as_str() {
        "MASQUERADE" => Some(translation("masquerade", range(family, xt))),
        "REDIRECT" => Some(translation("redirect", range(family, xt))),
        "SNAT" => Some(translation("snat", range(family, xt))),
        "DNAT" => Some(translation("dnat", range(family, xt))),
        "REJECT" => reject(family, info.u32(0)),
        "LOG" => {
            let level = u32::from(info.u8(0));
            let level = if level == 4 { String::new() } else { format!(" level {}", LOG_LEVELS.get(level as usize).unwrap_or(&"unknown")) };
            Some(format!("log{}{level}{}", prefix(&info.text(2, 30)), super::statement::log_flags(u32::from(info.u8(1)))))
        }
        "NFLOG" => Some(format!("log{} group {}", prefix(&info.text(12, 64)), info.u16(4))),
        "MARK" if xt.revision == 2 => Some(mark(info.u32(0), info.u32(4))),
        "CONNMARK" => connection_mark(info, xt.revision),
        "CT" if info.u16(0) & 1 != 0 => Some("notrack".to_owned()),
        "TRACE" => Some("meta nftrace set 1".to_owned()),
        "TCPMSS" => Some(match info.u16(0) {
            u16::MAX => "tcp option maxseg size set rt mtu".to_owned(),
            size => format!("tcp option maxseg size set {size}"),
        }),
        "DSCP" => Some(format!("ip dscp set 0x{:02x}", info.u8(0))),
        _ => None,
    };
    translated.unwrap_or_else(|| format!("xt target {}", xt.name))
}

fn prefix(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" prefix \"{text}\"") }
}

/// `struct nf_nat_range2`, or the older list of one range for IPv4.
fn range(family: Family, xt: &XtTarget) -> String {
    const ADDRESSES: u32 = 1;
    const PORTS: u32 = 2;
    let info = Info(&xt.info);
    let compat = family == Family::Ip && xt.revision == 0;
    let (flags, least, most, ports) = if compat { (info.u32(4), 8, 12, 16) } else { (info.u32(0), 4, 20, 36) };
    let mut to = String::new();
    if flags & ADDRESSES != 0 {
        let (least, most) = (info.address(least, family), info.address(most, family));
        let bracket = |address: String| if family == Family::Ip6 && flags & PORTS != 0 { format!("[{address}]") } else { address };
        to = if least == most { bracket(least) } else { format!("{}-{}", bracket(least), bracket(most)) };
    }
    if flags & PORTS != 0 {
        let (least, most) = (info.port(ports), info.port(ports + 2));
        to += &if least == most { format!(":{least}") } else { format!(":{least}-{most}") };
    }
    let to = if to.is_empty() { to } else { format!(" to {to}") };
    format!("{to}{}", nat_words(flags))
}

fn translation(word: &str, rest: String) -> String {
    format!("{word}{rest}")
}

fn reject(family: Family, with: u32) -> Option<String> {
    let (words, usual): (&[&str], u32) = if family == Family::Ip6 {
        (&["no-route", "admin-prohibited", "", "addr-unreachable", "port-unreachable", "", "tcp reset", "policy-fail", "reject-route"], 4)
    } else {
        const WORDS: &[&str] = &[
            "net-unreachable",
            "host-unreachable",
            "prot-unreachable",
            "port-unreachable",
            "",
            "net-prohibited",
            "host-prohibited",
            "tcp reset",
            "admin-prohibited",
        ];
        (WORDS, 3)
    };
    let icmp = if family == Family::Ip6 { "icmpv6" } else { "icmp" };
    match *words.get(with as usize)? {
        _ if with == usual => Some("reject".to_owned()),
        "" => None,
        "tcp reset" => Some("reject with tcp reset".to_owned()),
        word => Some(format!("reject with {icmp} type {word}")),
    }
}

fn mark(mark: u32, mask: u32) -> String {
    let value = match (mark, mask) {
        (_, u32::MAX) => format!("0x{mark:x}"),
        (0, _) => format!("mark and 0x{:x}", !mask),
        _ if mark == mask => format!("mark or 0x{mark:x}"),
        (_, 0) => format!("mark xor 0x{mark:x}"),
        _ => format!("mark and 0x{:x} xor 0x{mark:x}", !mask),
    };
    format!("meta mark set {value}")
}

fn connection_mark(info: Info<'_>, revision: u32) -> Option<String> {
    // The second revision has a shift before the mode.
    let mode = info.u8(if revision < 2 { 12 } else { 14 });
    let (value, ct_mask, packet_mask) = (info.u32(0), info.u32(4), info.u32(8));
    match (mode, ct_mask, packet_mask) {
        (0, u32::MAX, _) => Some(format!("ct mark set 0x{value:x}")),
        (1, u32::MAX, u32::MAX) => Some("ct mark set mark".to_owned()),
        (2, u32::MAX, u32::MAX) => Some("meta mark set ct mark".to_owned()),
        _ => None,
    }
}
