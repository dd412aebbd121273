//! `ip rule`.

use std::fmt;
use std::panic::Location;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::wire::{AF_INET, AF_INET6, Attributes, Raw, Value, prefix};
use super::{collection, list, routes, words};
use crate::error::{At, Result};
use crate::netns::Netns;

const RTM_GETRULE: u16 = 34;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_GOTO: u16 = 4;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_FLOW: u16 = 11;
const FRA_TUN_ID: u16 = 12;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_L3MDEV: u16 = 19;
const FRA_UID_RANGE: u16 = 20;
const FRA_PROTOCOL: u16 = 21;
const FRA_IP_PROTO: u16 = 22;
const FRA_SPORT_RANGE: u16 = 23;
const FRA_DPORT_RANGE: u16 = 24;

const FIB_RULE_INVERT: u32 = 0x2;
const FIB_RULE_UNRESOLVED: u32 = 0x4;
const FIB_RULE_IIF_DETACHED: u32 = 0x8;
const FIB_RULE_OIF_DETACHED: u32 = 0x10;

/// The policy rules of a namespace. It prints what `ip rule` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rules(Vec<Rule>);

collection!(Rules, Rule);

/// One policy rule: a line of `ip rule`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rule {
    /// Rules are tried from the lowest priority number up.
    pub priority: u32,
    /// Whether it holds for what does *not* match the selectors.
    pub not: bool,
    /// The source prefix; none: all.
    pub from: Option<IpNet>,
    /// The destination prefix; none: all.
    pub to: Option<IpNet>,
    /// The type of service (DS field).
    pub tos: Option<u8>,
    /// The firewall mark and its mask.
    pub fwmark: Option<(u32, u32)>,
    /// The interface that the packet came in by; `lo` is what the machine itself sends.
    pub iif: Option<String>,
    /// Whether that interface does not exist now.
    pub iif_detached: bool,
    /// The interface that the socket is bound to.
    pub oif: Option<String>,
    /// Whether that interface does not exist now.
    pub oif_detached: bool,
    /// Whether it asks the table of the VRF.
    pub l3mdev: bool,
    /// The first and the last user id.
    pub uid_range: Option<(u32, u32)>,
    /// The IP protocol's number, such as 6.
    pub ip_protocol: Option<u8>,
    /// The first and the last source port.
    pub sport: Option<(u16, u16)>,
    /// The first and the last destination port.
    pub dport: Option<(u16, u16)>,
    /// The tunnel id.
    pub tun_id: Option<u64>,
    /// The routing table; 254 is main, 255 local.
    pub table: Option<u32>,
    /// Routes with at most this prefix length do not count.
    pub suppress_prefixlength: Option<u32>,
    /// Routes over interfaces of this group do not count.
    pub suppress_ifgroup: Option<u32>,
    /// The realms: the source's in the upper half, the destination's in the lower.
    pub realms: Option<u32>,
    /// What it does.
    pub action: Action,
    /// Who made it, if anyone said so.
    pub protocol: Option<String>,
}

/// What a policy rule does with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Looks the destination up in the table.
    Lookup,
    /// Goes on with the rule of that priority; `unresolved` as long as there is none.
    Goto {
        /// The priority of the other rule.
        priority: u32,
        /// Whether there is no such rule.
        unresolved: bool,
    },
    /// Goes on with the next rule.
    Nop,
    /// Drops it silently.
    Blackhole,
    /// Drops it, and says that the network is unreachable.
    Unreachable,
    /// Drops it, and says that it is forbidden.
    Prohibit,
    /// Something that netlab has no word for.
    Other(u8),
}

impl Netns {
    /// The IPv4 policy rules, as `ip rule` lists them.
    ///
    /// # Errors
    ///
    /// If the kernel does not answer.
    #[track_caller]
    pub fn rules(&self) -> Result<Rules> {
        self.list_rules(AF_INET).at(Location::caller())
    }

    /// The IPv6 policy rules, as `ip -6 rule` lists them.
    ///
    /// # Errors
    ///
    /// If the kernel does not answer.
    #[track_caller]
    pub fn rules_ipv6(&self) -> Result<Rules> {
        self.list_rules(AF_INET6).at(Location::caller())
    }

    fn list_rules(&self, family: u8) -> Result<Rules> {
        let question = Raw::new(RTM_GETRULE, vec![family, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        Ok(Rules(list(self, "rules", &question)?.iter().filter_map(Rule::decode).collect()))
    }
}

impl Rules {
    /// The same: nothing of a rule differs from run to run. It is there so that every listing can be treated alike.
    #[must_use]
    pub fn normalised(self) -> Self {
        self
    }
}

impl Rule {
    pub(super) fn decode(message: &Raw) -> Option<Self> {
        let ([family, to, from, tos, table, _, _, action, f0, f1, f2, f3], all) = message.split::<12>()?;
        let flags = u32::from_ne_bytes([*f0, *f1, *f2, *f3]);
        let net = |kind, length: u8| (length != 0 || all.get(kind).is_some()).then(|| prefix(all.ip(kind), *family, length))?;
        let mask = all.u32(FRA_FWMASK).unwrap_or(u32::MAX);
        let mark = all.u32(FRA_FWMARK).unwrap_or_default();
        Some(Self {
            priority: all.u32(FRA_PRIORITY).unwrap_or_default(),
            not: flags & FIB_RULE_INVERT != 0,
            from: net(FRA_SRC, *from),
            to: net(FRA_DST, *to),
            tos: (*tos != 0).then_some(*tos),
            fwmark: all.get(FRA_FWMARK).or(all.get(FRA_FWMASK)).map(|_| (mark, mask)),
            iif: all.text(FRA_IIFNAME),
            iif_detached: flags & FIB_RULE_IIF_DETACHED != 0,
            oif: all.text(FRA_OIFNAME),
            oif_detached: flags & FIB_RULE_OIF_DETACHED != 0,
            l3mdev: all.u8(FRA_L3MDEV).is_some_and(|on| on != 0),
            uid_range: all.get(FRA_UID_RANGE).and_then(|range| Some((range.word(0)?, range.word(1)?))),
            ip_protocol: all.u8(FRA_IP_PROTO),
            sport: ports(all, FRA_SPORT_RANGE),
            dport: ports(all, FRA_DPORT_RANGE),
            tun_id: all.get(FRA_TUN_ID).and_then(Value::be64),
            table: Some(all.u32(FRA_TABLE).unwrap_or(u32::from(*table))).filter(|table| *table != 0),
            suppress_prefixlength: all.u32(FRA_SUPPRESS_PREFIXLEN).filter(|length| *length != u32::MAX),
            suppress_ifgroup: all.u32(FRA_SUPPRESS_IFGROUP).filter(|group| *group != u32::MAX),
            realms: all.u32(FRA_FLOW).filter(|realms| *realms != 0),
            action: match action {
                1 => Action::Lookup,
                2 => Action::Goto { priority: all.u32(FRA_GOTO).unwrap_or_default(), unresolved: flags & FIB_RULE_UNRESOLVED != 0 },
                3 => Action::Nop,
                6 => Action::Blackhole,
                7 => Action::Unreachable,
                8 => Action::Prohibit,
                other => Action::Other(*other),
            },
            // 0 (unspec), 2 (kernel) and 3 (boot) say nothing.
            protocol: all.u8(FRA_PROTOCOL).filter(|number| ![0, 2, 3].contains(number)).map(words::protocol),
        })
    }

    fn table_word(&self) -> Option<String> {
        if self.l3mdev { Some("[l3mdev-table]".to_owned()) } else { self.table.map(words::table) }
    }
}

fn ports(all: Attributes<'_>, kind: u16) -> Option<(u16, u16)> {
    let range = all.get(kind)?;
    Some((range.u16()?, Value(range.0.get(2..)?).u16()?))
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|rule| writeln!(f, "{rule}"))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:\t{}from ", self.priority, if self.not { "not " } else { "" })?;
        match self.from {
            Some(net) => routes::print_prefix(f, net)?,
            None => f.write_str("all")?,
        }
        if let Some(net) = self.to {
            f.write_str(" to ")?;
            routes::print_prefix(f, net)?;
        }
        self.print_selectors(f)?;
        self.print_action(f)
    }
}

impl Rule {
    fn print_selectors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tos) = self.tos {
            write!(f, " tos {tos:#04x}")?;
        }
        match self.fwmark {
            Some((mark, u32::MAX)) => write!(f, " fwmark {}", hexadecimal(mark))?,
            Some((mark, mask)) => write!(f, " fwmark {}/{}", hexadecimal(mark), hexadecimal(mask))?,
            None => {}
        }
        for (word, name, detached) in [("iif", &self.iif, self.iif_detached), ("oif", &self.oif, self.oif_detached)] {
            if let Some(name) = name {
                write!(f, " {word} {name}{}", if detached { " [detached]" } else { "" })?;
            }
        }
        if let Some((first, last)) = self.uid_range {
            write!(f, " uidrange {first}-{last}")?;
        }
        if let Some(number) = self.ip_protocol {
            write!(f, " ipproto {}", ip_protocol(number))?;
        }
        for (word, range) in [("sport", self.sport), ("dport", self.dport)] {
            match range {
                Some((first, last)) if first == last => write!(f, " {word} {first}")?,
                Some((first, last)) => write!(f, " {word} {first}-{last}")?,
                None => {}
            }
        }
        self.tun_id.map_or(Ok(()), |id| write!(f, " tun_id {id}"))
    }

    fn print_action(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(table) = self.table_word() {
            write!(f, " lookup {table}")?;
            if let Some(length) = self.suppress_prefixlength {
                write!(f, " suppress_prefixlength {length}")?;
            }
            if let Some(group) = self.suppress_ifgroup {
                write!(f, " suppress_ifgroup {}", words::group(group))?;
            }
        }
        if let Some(realms) = self.realms {
            write!(f, " realms {}", words::realms(realms).1)?;
        }
        match self.action {
            Action::Lookup => {}
            Action::Goto { priority, unresolved } => write!(f, " goto {priority}{}", if unresolved { " [unresolved]" } else { "" })?,
            Action::Nop => f.write_str(" nop")?,
            Action::Blackhole => f.write_str(" blackhole")?,
            Action::Unreachable => f.write_str(" unreachable")?,
            Action::Prohibit => f.write_str(" prohibit")?,
            Action::Other(number) => write!(f, " {number}")?,
        }
        self.protocol.as_ref().map_or(Ok(()), |protocol| write!(f, " proto {protocol}"))
    }
}

/// As C's `%#x`, which writes no prefix before zero.
fn hexadecimal(number: u32) -> String {
    if number == 0 { "0".to_owned() } else { format!("{number:#x}") }
}

/// The name of IANA's list, for those that rules are made for.
fn ip_protocol(number: u8) -> String {
    let word = match number {
        1 => "icmp",
        2 => "igmp",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "ipv6-icmp",
        132 => "sctp",
        136 => "udplite",
        _ => return format!("ipproto-{number}"),
    };
    word.to_owned()
}
