//! `ip addr`.

use std::fmt;
use std::net::IpAddr;
use std::panic::Location;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::normal::Normal;
use super::wire::{AF_INET6, AF_UNSPEC, Raw, prefix};
use super::{Links, Names, list, list_with_links, words};
use crate::error::{At, Result};
use crate::netns::Netns;
use crate::sys::sysctl;

const RTM_GETADDR: u16 = 22;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_BROADCAST: u16 = 4;
const IFA_ANYCAST: u16 = 5;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_RT_PRIORITY: u16 = 9;

const SECONDARY: u32 = 0x1;
const NODAD: u32 = 0x2;
const DADFAILED: u32 = 0x8;
const DEPRECATED: u32 = 0x20;
const TENTATIVE: u32 = 0x40;
const PERMANENT: u32 = 0x80;

/// How long the kernel may take to call an address good whose duplicates nobody looks for.
const SETTLE: Duration = Duration::from_secs(5);

/// The addresses of a namespace; derefs to a slice of [`Address`]. It prints what `ip addr` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The links, also those without an address.
    pub links: Links,
    /// The addresses, IPv4 before IPv6.
    pub addresses: Vec<Address>,
}

/// One address: an `inet` or `inet6` entry of `ip addr`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Address {
    /// The index of the interface that has it.
    pub index: u32,
    /// The name of the interface that has it.
    pub dev: String,
    /// The address and the length of its prefix (of the far end's, if there is a [`peer`](Self::peer)).
    pub net: IpNet,
    /// The far end of a point-to-point address.
    pub peer: Option<IpAddr>,
    /// The metric of its prefix route.
    pub metric: Option<u32>,
    /// The broadcast address.
    pub broadcast: Option<IpAddr>,
    /// The anycast address.
    pub anycast: Option<IpAddr>,
    /// `global`, `link`, `host`, …
    pub scope: String,
    /// The flags in iproute2's words and order, such as `secondary`, `nodad`, `tentative`, `dynamic`.
    pub flags: Vec<String>,
    /// The label of an IPv4 address, such as `eth0:1`; usually the name of the interface.
    pub label: Option<String>,
    /// How long it stays.
    pub valid: Option<Lifetime>,
    /// How long new connections may use it.
    pub preferred: Option<Lifetime>,
}

/// How long something stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// Until it is deleted.
    Forever,
    /// So many seconds from now; negative where it has ended.
    Seconds(i64),
    /// Some seconds: the normalised form.
    Limited,
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::Seconds(seconds) => write!(f, "{seconds}sec"),
            Self::Limited => f.write_str("limited"),
        }
    }
}

impl Lifetime {
    pub(super) fn normalise(&mut self) {
        if matches!(self, Self::Seconds(1..)) {
            *self = Self::Limited;
        }
    }
}

impl Netns {
    /// The links with their addresses, as `ip addr` lists them.
    ///
    /// Waits until no IPv6 address is tentative whose duplicates the kernel does not look for: it is the kernel's unfinished work then.
    ///
    /// # Errors
    ///
    /// If the kernel does not answer.
    #[track_caller]
    pub fn addresses(&self) -> Result<Addresses> {
        let here = Location::caller();
        Addresses::settled(self).at(here)
    }
}

impl Addresses {
    /// The addresses of one interface.
    pub fn of(&self, dev: &str) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |address| address.dev == dev)
    }

    /// The same with stable values for what differs from run to run or machine to machine.
    ///
    /// As [`Links::normalised`], and lifetimes that run become `limited`, link-local addresses that the kernel made `fe80::ff:fe00:1`, ….
    #[must_use]
    pub fn normalised(mut self) -> Self {
        let mut normal = Normal::default();
        normal.links(&mut self.links.0);
        normal.addresses(&mut self.addresses);
        self
    }

    /// What there is once no address is tentative only because the kernel has not come to it yet, or after a deadline.
    pub(super) fn settled(netns: &Netns) -> Result<Self> {
        let deadline = Instant::now() + SETTLE;
        loop {
            let all = Self::now(netns)?;
            if !all.is_unfinished(netns) || Instant::now() > deadline {
                return Ok(all);
            }
            std::thread::yield_now();
        }
    }

    /// What there is now, tentative or not.
    pub(crate) fn now(netns: &Netns) -> Result<Self> {
        let (links, names, messages) =
            list_with_links(netns, || list(netns, "addresses", &Raw::new(RTM_GETADDR, vec![AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0])))?;
        Ok(Self { links, addresses: messages.iter().filter_map(|message| Address::decode(message, &names)).collect() })
    }

    fn is_unfinished(&self, netns: &Netns) -> bool {
        let runs = |dev: &str| self.links.named(dev).is_some_and(|link| link.has_carrier());
        let mut tentative = self.addresses.iter().filter(|address| address.is_tentative() && runs(&address.dev)).peekable();
        if tentative.peek().is_none() {
            return false;
        }
        let is_off = |key: String| sysctl::read(&key).ok().and_then(|value| value.parse::<i32>().ok()).is_some_and(|value| value < 1);
        let duplicates_ignored = |address: &Address| {
            address.has_flag("nodad")
                || (is_off("net/ipv6/conf/all/accept_dad".to_owned()) && is_off(format!("net/ipv6/conf/{}/accept_dad", address.dev)))
        };
        netns.enter_io(|| Ok(tentative.any(duplicates_ignored))).unwrap_or(false)
    }
}

impl std::ops::Deref for Addresses {
    type Target = [Address];

    fn deref(&self) -> &[Address] {
        &self.addresses
    }
}

impl Address {
    /// Whether it has that flag, in iproute2's word, such as `secondary`.
    pub fn has_flag(&self, word: &str) -> bool {
        self.flags.iter().any(|flag| flag == word)
    }

    fn is_tentative(&self) -> bool {
        self.has_flag("tentative") && !self.has_flag("dadfailed")
    }

    pub(super) fn decode(message: &Raw, names: &Names) -> Option<Self> {
        let ([family, length, low_flags, scope, i0, i1, i2, i3], all) = message.split::<8>()?;
        let index = u32::from_ne_bytes([*i0, *i1, *i2, *i3]);
        let flags = all.u32(IFA_FLAGS).unwrap_or_else(|| u32::from(*low_flags));
        let address = all.ip(IFA_ADDRESS);
        let local = all.ip(IFA_LOCAL).or(address)?;
        let (valid, preferred) = match all.get(IFA_CACHEINFO) {
            Some(times) => (lifetime(times.word(1), false), lifetime(times.word(0), flags & DEPRECATED != 0)),
            None => (None, None),
        };
        Some(Self {
            index,
            dev: names.of(index),
            net: prefix(Some(local), *family, *length)?,
            peer: address.filter(|address| *address != local),
            metric: all.u32(IFA_RT_PRIORITY),
            broadcast: all.ip(IFA_BROADCAST),
            anycast: all.ip(IFA_ANYCAST),
            scope: words::scope(*scope),
            flags: flag_words(flags, *family),
            label: all.text(IFA_LABEL),
            valid,
            preferred,
        })
    }
}

fn lifetime(seconds: Option<u32>, signed: bool) -> Option<Lifetime> {
    Some(match seconds? {
        u32::MAX => Lifetime::Forever,
        seconds if signed => Lifetime::Seconds(i64::from(seconds.cast_signed())),
        seconds => Lifetime::Seconds(i64::from(seconds)),
    })
}

fn flag_words(bits: u32, family: u8) -> Vec<String> {
    let words = [
        (SECONDARY, if family == AF_INET6 { "temporary" } else { "secondary" }),
        (NODAD, "nodad"),
        (0x4, "optimistic"),
        (DADFAILED, "dadfailed"),
        (0x10, "home"),
        (DEPRECATED, "deprecated"),
        (TENTATIVE, "tentative"),
        (PERMANENT, "dynamic"),
        (0x100, "mngtmpaddr"),
        (0x200, "noprefixroute"),
        (0x400, "autojoin"),
        (0x800, "stable-privacy"),
    ];
    // iproute2 names the permanent ones' opposite.
    let (mut all, rest) = words::flags(bits ^ PERMANENT, &words);
    all.extend((rest != 0).then(|| format!("flags {rest:02x}")));
    all
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for link in &self.links {
            link.print(f, false, false)?;
            self.addresses.iter().filter(|address| address.index == link.index).try_for_each(|address| address.fmt(f))?;
        }
        Ok(())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "    {} {}", if self.net.addr().is_ipv6() { "inet6" } else { "inet" }, self.net.addr())?;
        if let Some(peer) = self.peer {
            write!(f, " peer {peer}")?;
        }
        write!(f, "/{} ", self.net.prefix_len())?;
        if let Some(metric) = self.metric {
            write!(f, "metric {metric} ")?;
        }
        for (word, ip) in [("brd", self.broadcast), ("any", self.anycast)] {
            ip.map_or(Ok(()), |ip| write!(f, "{word} {ip} "))?;
        }
        write!(f, "scope {} ", self.scope)?;
        self.flags.iter().try_for_each(|flag| write!(f, "{flag} "))?;
        f.write_str(self.label.as_deref().unwrap_or_default())?;
        if let (Some(valid), Some(preferred)) = (self.valid, self.preferred) {
            write!(f, "\n       valid_lft {valid} preferred_lft {preferred}")?;
        }
        f.write_str("\n")
    }
}
