//! The lab as plain data: what the drawings are made of.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The lab at one moment: its machines and the cables between them, as plain data that can be compared, stored and drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Topology {
    /// The machines: the host first, the others by their names.
    pub machines: Vec<Machine>,
    /// What connects two interfaces.
    pub cables: Vec<Cable>,
    /// What [`mark`](Self::mark) has put in.
    pub marks: Vec<Mark>,
}

/// One network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Whether it is a namespace that the test has no handle of, seen only by its end of a cable.
    pub foreign: bool,
    /// Its interfaces, by index; `lo` only where it is down or has addresses beyond its own.
    pub interfaces: Vec<Interface>,
    /// The routes that somebody set; not those that come with addresses.
    pub routes: Vec<Route>,
    /// Whether it forwards IPv4, IPv6.
    pub forwards: (bool, bool),
    /// How many packet-filter rules it has, by what their table is for.
    pub rules: Vec<RuleCount>,
    /// The hooks at which the policy is to drop, such as `forward`, or `bridge forward` outside of the IP families.
    pub drops: Vec<String>,
    /// Who waits for packets or connections.
    pub listeners: Vec<Listener>,
}

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its kind in the kernel's word: `veth`, `bridge`, `vxlan`, …; empty for one that has none, such as `lo`.
    pub kind: String,
    /// Whether it is up.
    pub state: LinkState,
    /// Its addresses, but for link-local ones.
    pub addresses: Vec<IpNet>,
    /// The bridge (bond, VRF) of which it is a port.
    pub master: Option<String>,
    /// The interface of the same machine that it lies upon.
    pub on: Option<String>,
    /// What else is worth a word, such as `vni 42`.
    pub note: Option<String>,
}

/// Whether an interface is up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// It is up, and so is what it is connected to.
    #[default]
    Up,
    /// It is up, but what it is connected to is not.
    NoCarrier,
    /// Its administrator has it down.
    Down,
}

/// One end of a cable.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct End {
    /// The machine's name.
    pub machine: String,
    /// The interface's name.
    pub interface: String,
}

/// What connects two interfaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cable {
    /// What it is.
    pub kind: CableKind,
    /// One end.
    pub a: End,
    /// The other end.
    pub b: End,
}

/// What a connection of two interfaces is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CableKind {
    /// The two ends of a virtual cable (veth).
    Veth,
    /// `a` lies upon `b`, which is another machine's (macvlan, ipvlan, vlan).
    Upper,
    /// Two ends of an overlay (VXLAN) that send to each other.
    Overlay,
}

/// A route that somebody set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The destination; its prefix is of length 0 for the default route.
    pub to: IpNet,
    /// `blackhole`, `unreachable` and so on, where packets end.
    pub ends: Option<String>,
    /// The gateways and interfaces, more than one for a multipath route.
    pub via: Vec<(Option<IpAddr>, Option<String>)>,
}

/// How many rules a machine has for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCount {
    /// What for: `nat`, `filter`, `bridge filter`, …
    pub purpose: String,
    /// How many rules.
    pub count: usize,
}

/// Somebody who waits for packets or connections.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listener {
    /// Whether it is a UDP socket; a TCP one else.
    pub udp: bool,
    /// Where.
    pub address: SocketAddr,
    /// The name of the responder, or of the program; none for a socket of the test itself.
    pub name: Option<String>,
}

/// A place that is pointed at, in red.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// `machine` or `machine/interface`.
    pub place: String,
    /// What happened there.
    pub text: String,
}

impl Topology {
    /// Points at a machine (`router`) or an interface (`router/eth0`) in red: what happened there, such as the end of a packet.
    ///
    /// A place that is not in the picture is named below it.
    #[must_use]
    pub fn mark(mut self, place: impl Into<String>, text: impl Into<String>) -> Self {
        self.marks.push(Mark { place: place.into(), text: text.into() });
        self
    }

    /// The machine of that name.
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.name == name)
    }

    /// The interface of that machine and name.
    pub fn interface(&self, end: &End) -> Option<&Interface> {
        self.machine(&end.machine)?.interface(&end.interface)
    }

    /// The marks on a machine: those on it all, and those on one of its interfaces with its name.
    pub(super) fn marks_on<'a>(&'a self, machine: &'a str) -> impl Iterator<Item = (Option<&'a str>, &'a str)> {
        self.marks.iter().filter_map(move |mark| match mark.place.strip_prefix(machine)? {
            "" => Some((None, mark.text.as_str())),
            rest => Some((Some(rest.strip_prefix('/')?), mark.text.as_str())),
        })
    }

    /// The marks on what is not there.
    pub(super) fn lost_marks(&self) -> impl Iterator<Item = &Mark> {
        let known = |mark: &&Mark| self.machine(mark.place.split('/').next().unwrap_or_default()).is_some();
        self.marks.iter().filter(move |mark| !known(mark))
    }
}

impl Machine {
    /// The interface of that name.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == name)
    }

    /// What is to be seen of its rules and sysctls, each a word or two, and whether it is a warning.
    pub(super) fn badges(&self) -> Vec<(String, Tone)> {
        let forwards = match self.forwards {
            (true, true) => Some("forwards v4 v6"),
            (true, false) => Some("forwards"),
            (false, true) => Some("forwards v6"),
            (false, false) => None,
        };
        let mut badges: Vec<_> = forwards.map(|text| (text.to_owned(), Tone::Plain)).into_iter().collect();
        let tone = |purpose: &str| if purpose.ends_with("nat") { Tone::Nat } else { Tone::Filter };
        badges.extend(self.rules.iter().map(|RuleCount { purpose, count }| (format!("{purpose} {count}"), tone(purpose))));
        badges.extend(self.drops.iter().map(|hook| (format!("{hook}: drop"), Tone::Warning)));
        badges.extend(self.interface("lo").filter(|lo| lo.state == LinkState::Down).map(|_| ("lo down".to_owned(), Tone::Warning)));
        badges
    }

    /// Its own addresses, those of all interfaces.
    pub(super) fn has_address(&self, ip: IpAddr) -> bool {
        self.interfaces.iter().any(|interface| interface.addresses.iter().any(|net| net.addr() == ip))
    }
}

/// How loud a badge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Nat,
    Filter,
    Warning,
}

impl Interface {
    pub(super) fn is_bridge(&self) -> bool {
        self.kind == "bridge"
    }
}

impl LinkState {
    /// `down`, `no carrier`, or nothing to say.
    pub(super) fn word(self) -> Option<&'static str> {
        match self {
            Self::Up => None,
            Self::NoCarrier => Some("no carrier"),
            Self::Down => Some("down"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.machine, self.interface)
    }
}

impl fmt::Display for Route {
    /// As `ip route` writes it, in short.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kind) = &self.ends {
            write!(f, "{kind} ")?;
        }
        match (self.to.prefix_len(), self.to.prefix_len() == self.to.max_prefix_len()) {
            (0, _) => f.write_str("default"),
            (_, true) => write!(f, "{}", self.to.addr()),
            _ => write!(f, "{}", self.to),
        }?;
        for (place, (via, dev)) in self.via.iter().enumerate() {
            f.write_str(if place > 0 { " +" } else { "" })?;
            match (via, dev) {
                (Some(via), _) => write!(f, " via {via}"),
                (None, Some(dev)) => write!(f, " dev {dev}"),
                (None, None) => Ok(()),
            }?;
        }
        Ok(())
    }
}

impl fmt::Display for Listener {
    /// `tcp 10.0.0.2:80 web`; `*` stands for all addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.udp { "udp" } else { "tcp" };
        match self.address {
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => write!(f, "{protocol} *:{}", v4.port()),
            address => write!(f, "{protocol} {address}"),
        }?;
        self.name.iter().try_for_each(|name| write!(f, " {name}"))
    }
}
