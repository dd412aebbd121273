//! Address families, hooks and the names of their priorities.

use std::fmt;

use serde::Serialize;

/// What kind of packets a table sees: nftables' address families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// ARP.
    Arp,
    /// What one device receives or sends, before anything else sees it.
    Netdev,
    /// Ethernet frames that cross a bridge.
    Bridge,
    /// IPv6.
    Ip6,
}

impl Family {
    /// The kernel's `NFPROTO_*`.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Arp => 3,
            Self::Netdev => 5,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Self::Inet, Self::Ip, Self::Arp, Self::Netdev, Self::Bridge, Self::Ip6].into_iter().find(|family| family.number() == number)
    }

    /// Whether a rule of this family may see more than one kind of network header.
    pub(crate) fn is_mixed(self) -> bool {
        matches!(self, Self::Inet | Self::Netdev | Self::Bridge)
    }

    /// The hooks of this family, in the order of their numbers.
    fn hooks(self) -> &'static [&'static str] {
        match self {
            Self::Inet | Self::Ip | Self::Ip6 | Self::Bridge => &["prerouting", "input", "forward", "output", "postrouting", "ingress"],
            Self::Arp => &["input", "output"],
            Self::Netdev => &["ingress", "egress"],
        }
    }

    pub(crate) fn hook_name(self, number: u32) -> Option<&'static str> {
        self.hooks().get(usize::try_from(number).ok()?).copied()
    }

    pub(crate) fn hook_number(self, name: &str) -> Option<u32> {
        let place = self.hooks().iter().position(|hook| *hook == name)?;
        u32::try_from(place).ok()
    }

    /// The named priorities of this family: name, number, and the one hook where nft knows it.
    fn priorities(self) -> &'static [(&'static str, i32, Option<&'static str>)] {
        match self {
            Self::Inet | Self::Ip | Self::Ip6 => &[
                ("raw", -300, None),
                ("mangle", -150, None),
                ("dstnat", -100, Some("prerouting")),
                ("filter", 0, None),
                ("security", 50, None),
                ("srcnat", 100, Some("postrouting")),
            ],
            Self::Bridge => &[
                ("dstnat", -300, Some("prerouting")),
                ("filter", -200, None),
                ("out", 100, Some("output")),
                ("srcnat", 300, Some("postrouting")),
            ],
            Self::Arp | Self::Netdev => &[("filter", 0, None)],
        }
    }

    /// The number of a named priority, such as `srcnat`, wherever it is hooked.
    pub(crate) fn priority(self, name: &str) -> Option<i32> {
        self.priorities().iter().find(|(known, ..)| *known == name).map(|(_, number, _)| *number)
    }

    /// A priority as nft prints it: `filter`, `dstnat - 10`, or a number that is near no name.
    pub(crate) fn priority_text(self, hook: &str, priority: i32) -> String {
        const NEAR: u32 = 10;
        for (name, standard, only) in self.priorities() {
            let offset = priority.saturating_sub(*standard);
            if only.is_some_and(|only| only != hook) || offset.unsigned_abs() > NEAR {
                continue;
            }
            return match offset {
                0 => (*name).to_owned(),
                1.. => format!("{name} + {offset}"),
                _ => format!("{name} - {}", -offset),
            };
        }
        priority.to_string()
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Arp => "arp",
            Self::Netdev => "netdev",
            Self::Bridge => "bridge",
            Self::Ip6 => "ip6",
        })
    }
}

/// The name of a table: names are unique within a family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TableName {
    pub(crate) family: Family,
    pub(crate) name: String,
}

impl TableName {
    pub(crate) fn new(family: Family, name: impl Into<String>) -> Self {
        Self { family, name: name.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}
