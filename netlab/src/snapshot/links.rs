//! `ip link` and `ip -d link`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::panic::Location;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkMessage;
use serde::{Deserialize, Serialize};

use super::details::{self, Details, Setting};
use super::normal::Normal;
use super::wire::{Attributes, Raw, colons};
use super::{Names, collection, list, words};
use crate::error::{At, Doing, Result};
use crate::netns::Netns;
use crate::sys::netlink::Request;

const RTM_GETLINK: u16 = 18;

const IFLA_ADDRESS: u16 = 1;
const IFLA_BROADCAST: u16 = 2;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_QDISC: u16 = 6;
const IFLA_MASTER: u16 = 10;
const IFLA_TXQLEN: u16 = 13;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKMODE: u16 = 17;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_GROUP: u16 = 27;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_PROTO_DOWN: u16 = 39;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
const IFLA_PERM_ADDRESS: u16 = 54;

const IFF_UP: u32 = 1;
const IFF_POINTOPOINT: u32 = 0x10;
const IFF_RUNNING: u32 = 0x40;

const FLAGS: &[(u32, &str)] = &[
    (0x8, "LOOPBACK"),
    (0x2, "BROADCAST"),
    (IFF_POINTOPOINT, "POINTOPOINT"),
    (0x1000, "MULTICAST"),
    (0x80, "NOARP"),
    (0x200, "ALLMULTI"),
    (0x100, "PROMISC"),
    (0x400, "MASTER"),
    (0x800, "SLAVE"),
    (0x4, "DEBUG"),
    (0x8000, "DYNAMIC"),
    (0x4000, "AUTOMEDIA"),
    (0x2000, "PORTSEL"),
    (0x20, "NOTRAILERS"),
    (IFF_UP, "UP"),
    (0x10000, "LOWER_UP"),
    (0x20000, "DORMANT"),
    (0x40000, "ECHO"),
];

/// The links of a namespace: `{}` prints what `ip link` prints, `{:#}` what `ip -d link` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Links(pub(super) Vec<Link>);

collection!(Links, Link);

/// One link: an entry of `ip link`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Link {
    /// The interface index.
    pub index: u32,
    /// The interface name.
    pub name: String,
    /// The other end, or the device below: what stands behind the `@`.
    pub peer: Option<Peer>,
    /// The flags in iproute2's words and order, with its own `NO-CARRIER` and `M-DOWN`.
    pub flags: Vec<String>,
    /// The MTU in bytes.
    pub mtu: u32,
    /// The queueing discipline at the root, such as `noqueue`.
    pub qdisc: Option<String>,
    /// The bridge (or bond, or VRF) of which it is a port.
    pub master: Option<String>,
    /// The operational state (RFC 2863), such as `UP`, `DOWN`, `LOWERLAYERDOWN` or `UNKNOWN`.
    pub state: Option<String>,
    /// The link mode, `DEFAULT` or `DORMANT`.
    pub mode: Option<String>,
    /// The group: `default`, or a number.
    pub group: Option<String>,
    /// The length of the transmit queue in packets.
    pub qlen: u32,
    /// The hardware type, such as `ether` or `loopback`.
    pub link_type: String,
    /// The MAC address (or the local address of a tunnel).
    pub mac: Option<String>,
    /// The broadcast MAC address (or the remote address of a tunnel).
    pub broadcast: Option<String>,
    /// The MAC address that the hardware came with, where the link has another one now.
    pub permanent_mac: Option<String>,
    /// This namespace's id for the namespace of the peer; -1 if it has none.
    pub link_netnsid: Option<i32>,
    /// Whether a protocol holds the link down.
    pub protodown: bool,
    /// The free text of `ip link set alias`.
    pub alias: Option<String>,
    /// Further names.
    pub altnames: Vec<String>,
    /// What `ip -d` adds to the line of the MAC address.
    pub limits: Vec<Setting>,
    /// The kind of link (`bridge`, `veth`, …) and its settings.
    pub kind: Option<Details>,
    /// What it is a port of, and its settings as such (`bridge_slave …`).
    pub port: Option<Details>,
    /// What `ip -d` prints last: `addrgenmode`, `numtxqueues`, …
    pub queues: Vec<Setting>,
}

/// What a link is the other end of, or lies upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// Nothing (any more), though links of its kind have one: `@NONE`.
    Gone,
    /// A link of the same namespace, by its name: `@eth0`.
    Here(String),
    /// A link of another namespace, by its index there: `@if7`.
    Elsewhere(u32),
}

impl Netns {
    /// The links, as `ip link` lists them.
    ///
    /// # Errors
    ///
    /// If the kernel does not answer.
    #[track_caller]
    pub fn links(&self) -> Result<Links> {
        let here = Location::caller();
        Ok(Links::settled(self).at(here)?.0)
    }
}

impl Links {
    /// The link of that name.
    pub fn named(&self, name: &str) -> Option<&Link> {
        self.iter().find(|link| link.name == name)
    }

    /// What `ip -d link` prints, as `{:#}` does.
    pub fn detailed(&self) -> impl fmt::Display {
        fmt::from_fn(move |f| write!(f, "{self:#}"))
    }

    /// The same with stable values for what differs from run to run or machine to machine.
    ///
    /// Interface indexes become 1, 2, …, indexes in other namespaces 0, namespace ids 0, 1, …, a MAC address `<mac of NAME>` (the group
    /// addresses and zero stay), a bridge's timers `<time>`.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        Normal::default().links(&mut self.0);
        self
    }

    /// Has the kernel take note of carriers that came or went, and gives the links of then.
    ///
    /// It does so later, by itself, or at once for a link that is asked for alone (`linkwatch_sync_dev`). Flags, states and the routes
    /// over the link follow from it, and so may the carrier of the bridge whose port it is: it is done when nothing changes any more.
    pub(super) fn settled(netns: &Netns) -> Result<(Self, Names)> {
        const ROUNDS: usize = 8;
        let mut before = Self::ask(netns)?;
        for _ in 0..ROUNDS {
            before.0.ask_each(netns)?;
            let after = Self::ask(netns)?;
            let states = |links: &Self| links.iter().map(|link| (link.index, link.flags.clone(), link.state.clone())).collect::<Vec<_>>();
            let same = states(&before.0) == states(&after.0);
            before = after;
            if same {
                break;
            }
        }
        Ok(before)
    }

    fn ask_each(&self, netns: &Netns) -> Result<()> {
        let one = |link: &Link| {
            let mut message = LinkMessage::default();
            message.header.index = link.index;
            Request::new(RouteNetlinkMessage::GetLink(message), 0)
        };
        // Each answer takes room in the receive buffer.
        for few in self.chunks(32) {
            match netns.batch(few.iter().map(one).collect()) {
                Err(refusal) if !refusal.is(libc::ENODEV) => return Err(refusal).doing(|| format!("list the links of `{netns}`")),
                _ => {}
            }
        }
        Ok(())
    }

    /// The links and their names by index.
    pub(super) fn ask(netns: &Netns) -> Result<(Self, Names)> {
        let messages = list(netns, "links", &Raw::new(RTM_GETLINK, vec![0; 16]))?;
        Ok(Self::decode(&messages))
    }

    pub(super) fn decode(messages: &[Raw]) -> (Self, Names) {
        let parts: Vec<_> = messages.iter().filter_map(Header::read).collect();
        let names = Names(parts.iter().map(|part| (part.index, part.name())).collect());
        let is_up = |index| parts.iter().any(|part| part.index == index && part.flags & IFF_UP != 0);
        (Self(parts.iter().map(|part| part.link(&names, is_up)).collect()), names)
    }
}

/// A message, taken apart as far as the decoding of the other messages of the listing needs it.
struct Header<'a> {
    index: u32,
    hardware: u16,
    flags: u32,
    attributes: Attributes<'a>,
}

impl<'a> Header<'a> {
    fn read(message: &'a Raw) -> Option<Self> {
        let (header, attributes) = message.split::<16>()?;
        let [_, _, t0, t1, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *header;
        Some(Self {
            index: u32::from_ne_bytes([i0, i1, i2, i3]),
            hardware: u16::from_ne_bytes([t0, t1]),
            flags: u32::from_ne_bytes([f0, f1, f2, f3]),
            attributes,
        })
    }

    fn name(&self) -> String {
        self.attributes.text(IFLA_IFNAME).unwrap_or_else(|| format!("if{}", self.index))
    }

    fn link(&self, names: &Names, is_up: impl Fn(u32) -> bool) -> Link {
        let all = self.attributes;
        let link_netnsid = all.get(IFLA_LINK_NETNSID).and_then(|value| value.i32());
        let below = all.u32(IFLA_LINK);
        let below_is_down = below.is_some_and(|index| index != 0 && link_netnsid.is_none() && !is_up(index));
        let address = |kind| all.get(kind).map(|value| hardware_address(self.hardware, value.0));
        let mac = address(IFLA_ADDRESS);
        Link {
            index: self.index,
            name: self.name(),
            peer: below.map(|index| match index {
                0 => Peer::Gone,
                _ if link_netnsid.is_some() => Peer::Elsewhere(index),
                _ => Peer::Here(names.of(index)),
            }),
            flags: flag_words(self.flags, below_is_down),
            mtu: all.u32(IFLA_MTU).unwrap_or_default(),
            qdisc: all.text(IFLA_QDISC),
            master: all.u32(IFLA_MASTER).map(|index| names.of(index)),
            state: all.u8(IFLA_OPERSTATE).map(state_word),
            mode: all.u8(IFLA_LINKMODE).map(mode_word),
            group: all.u32(IFLA_GROUP).map(words::group),
            qlen: all.u32(IFLA_TXQLEN).unwrap_or_default(),
            link_type: words::link_type(self.hardware),
            broadcast: address(IFLA_BROADCAST),
            permanent_mac: address(IFLA_PERM_ADDRESS).filter(|permanent| Some(permanent) != mac.as_ref()),
            mac,
            link_netnsid,
            protodown: all.u8(IFLA_PROTO_DOWN).is_some_and(|on| on != 0),
            alias: all.text(IFLA_IFALIAS),
            altnames: all.nested(IFLA_PROP_LIST).filter(|(kind, _)| *kind == IFLA_ALT_IFNAME).map(|(_, name)| name.text()).collect(),
            limits: details::limits(all),
            kind: details::kind(all.nested(IFLA_LINKINFO), names),
            port: details::port(all.nested(IFLA_LINKINFO)),
            queues: details::queues(all),
        }
    }
}

fn flag_words(bits: u32, below_is_down: bool) -> Vec<String> {
    let no_carrier = bits & IFF_UP != 0 && bits & IFF_RUNNING == 0;
    let (known, rest) = words::flags(bits & !IFF_RUNNING, FLAGS);
    let mut all = Vec::from_iter(no_carrier.then(|| "NO-CARRIER".to_owned()));
    all.extend(known);
    all.extend((rest != 0).then(|| format!("{rest:x}")));
    all.extend(below_is_down.then(|| "M-DOWN".to_owned()));
    all
}

fn state_word(number: u8) -> String {
    const WORDS: [&str; 7] = ["UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"];
    WORDS.get(usize::from(number)).map_or_else(|| format!("{number:#x}"), |word| (*word).to_owned())
}

fn mode_word(number: u8) -> String {
    match number {
        0 => "DEFAULT".to_owned(),
        1 => "DORMANT".to_owned(),
        _ => number.to_string(),
    }
}

/// The address of a tunnel is an IP address; every other is a row of bytes.
fn hardware_address(hardware: u16, bytes: &[u8]) -> String {
    match (hardware, bytes) {
        (768 | 776 | 778, &[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
        (769 | 823, _) if bytes.len() == 16 => <[u8; 16]>::try_from(bytes).map(|ip| Ipv6Addr::from(ip).to_string()).unwrap_or_default(),
        _ => colons(bytes),
    }
}

impl Link {
    /// Whether it is set up by its administrator.
    pub fn is_up(&self) -> bool {
        self.has_flag("UP")
    }

    /// Whether it is up and its physical layer, too (`LOWER_UP`).
    pub fn has_carrier(&self) -> bool {
        self.has_flag("LOWER_UP")
    }

    /// Whether it has that flag, in iproute2's word, such as `NO-CARRIER`.
    pub fn has_flag(&self, word: &str) -> bool {
        self.flags.iter().any(|flag| flag == word)
    }

    /// The lines of `ip link` or, without mode and alias, of `ip addr`.
    pub(super) fn print(&self, f: &mut fmt::Formatter<'_>, of_link: bool, details: bool) -> fmt::Result {
        self.print_head(f, of_link)?;
        self.print_hardware(f)?;
        if details {
            f.write_str(" ")?;
            self.limits.iter().try_for_each(|setting| write!(f, "{setting} "))?;
            for info in [&self.kind, &self.port].into_iter().flatten() {
                write!(f, "\n    {info} ")?;
            }
            self.queues.iter().try_for_each(|setting| write!(f, "{setting} "))?;
        }
        if let Some(alias) = self.alias.as_ref().filter(|_| of_link) {
            write!(f, "\n    alias {alias}")?;
        }
        for altname in &self.altnames {
            write!(f, "\n    altname {altname}")?;
        }
        f.write_str("\n")
    }

    fn print_head(&self, f: &mut fmt::Formatter<'_>, mode: bool) -> fmt::Result {
        write!(f, "{}: {}", self.index, self.name)?;
        match &self.peer {
            None => Ok(()),
            Some(Peer::Gone) => f.write_str("@NONE"),
            Some(Peer::Here(name)) => write!(f, "@{name}"),
            Some(Peer::Elsewhere(index)) => write!(f, "@if{index}"),
        }?;
        write!(f, ": <{}> mtu {} ", self.flags.join(","), self.mtu)?;
        let mode = self.mode.as_ref().filter(|_| mode);
        let fields =
            [("qdisc", &self.qdisc), ("master", &self.master), ("state", &self.state), ("mode", &mode.cloned()), ("group", &self.group)];
        for (word, value) in fields.into_iter().filter_map(|(word, value)| Some((word, value.as_ref()?))) {
            write!(f, "{word} {value} ")?;
        }
        if self.qlen == 0 { Ok(()) } else { write!(f, "qlen {}", self.qlen) }
    }

    fn print_hardware(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n    link/{} ", self.link_type)?;
        f.write_str(self.mac.as_deref().unwrap_or_default())?;
        if let Some(broadcast) = &self.broadcast {
            write!(f, " {} {broadcast}", if self.has_flag("POINTOPOINT") { "peer" } else { "brd" })?;
        }
        if let Some(permanent) = &self.permanent_mac {
            write!(f, " permaddr {permanent}")?;
        }
        match self.link_netnsid {
            None => {}
            Some(id) if id < 0 => f.write_str(" link-netnsid unknown")?,
            Some(id) => write!(f, " link-netnsid {id}")?,
        }
        if self.protodown { f.write_str(" protodown on ") } else { Ok(()) }
    }
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|link| link.print(f, true, f.alternate()))
    }
}
