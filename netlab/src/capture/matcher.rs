//! Which packets are meant: matchers that read like tcpdump's filters.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::sync::Arc;

use super::decode::{Decoded, Ethernet, IcmpKind, Ip, Mac, TcpFlags, Vxlan};
use super::packet::{self, Direction, Packet};
use crate::cidr;

/// A packet, or the frame inside of one, at which a matcher looks.
#[derive(Clone, Copy)]
struct View<'a> {
    packet: &'a Packet,
    decoded: &'a Decoded,
}

type Condition = Arc<dyn Fn(View<'_>) -> bool + Send + Sync>;

/// A place that a matcher names: a namespace, an interface, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    netns: Option<String>,
    device: Option<String>,
}

impl Named {
    /// `laptop/eth0` or `eth0`.
    fn device(text: &str) -> Self {
        match text.split_once('/') {
            Some((netns, device)) => Self { netns: Some(netns.to_owned()), device: Some(device.to_owned()) },
            None => Self { netns: None, device: Some(text.to_owned()) },
        }
    }

    pub(super) fn is(&self, netns: &str, device: &str) -> bool {
        self.netns.as_ref().is_none_or(|name| name == netns) && self.device.as_ref().is_none_or(|name| name == device)
    }
}

impl Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = [&self.netns, &self.device].into_iter().flatten().map(String::as_str).collect();
        f.write_str(&words.join("/"))
    }
}

/// Says which packets are meant: `icmp().echo_request().from("10.0.0.2").on("br0").outgoing()`.
///
/// It starts with what the packet is ([`any`], [`arp`], [`icmp`], [`icmp6`], [`udp`], [`tcp`], [`vxlan`]), which decides what more can be
/// asked of it, and each further word narrows it. A value that makes no sense, such as a bad address, is reported by whoever is given the
/// matcher.
#[must_use = "a matcher does nothing: give it to `Capture::expect` or to a verb of `Packets`"]
pub struct Matcher<K = Any> {
    words: Vec<String>,
    conditions: Vec<Condition>,
    /// The namespaces and interfaces that it names.
    places: Vec<Named>,
    problem: Option<String>,
    kind: PhantomData<fn() -> K>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        #[non_exhaustive]
        pub struct $name;
    )*};
}
kinds! {
    /// A [`Matcher`] of any packet.
    Any,
    /// A [`Matcher`] of ARP.
    ArpOnly,
    /// A [`Matcher`] of ICMP or ICMPv6.
    IcmpOnly,
    /// A [`Matcher`] of UDP.
    UdpOnly,
    /// A [`Matcher`] of TCP.
    TcpOnly,
    /// A [`Matcher`] of VXLAN.
    VxlanOnly,
}

/// Any packet.
pub fn any() -> Matcher<Any> {
    Matcher::start("any packet", |_| true)
}

/// ARP packets.
pub fn arp() -> Matcher<ArpOnly> {
    Matcher::start("ARP", |view| view.decoded.as_arp().is_some())
}

/// ICMP messages of IPv4.
pub fn icmp() -> Matcher<IcmpOnly> {
    Matcher::start("ICMP", |view| view.ip().is_some_and(|ip| ip.source.is_ipv4() && ip.as_icmp().is_some()))
}

/// ICMPv6 messages, neighbour discovery among them.
pub fn icmp6() -> Matcher<IcmpOnly> {
    Matcher::start("ICMP6", |view| view.ip().is_some_and(|ip| ip.source.is_ipv6() && ip.as_icmp().is_some()))
}

/// UDP datagrams.
pub fn udp() -> Matcher<UdpOnly> {
    Matcher::start("UDP", |view| view.ip().is_some_and(|ip| ip.as_udp().is_some()))
}

/// TCP segments.
pub fn tcp() -> Matcher<TcpOnly> {
    Matcher::start("TCP", |view| view.ip().is_some_and(|ip| ip.as_tcp().is_some()))
}

/// VXLAN datagrams: UDP to port 4789 (or Linux's old 8472) with a network identifier.
pub fn vxlan() -> Matcher<VxlanOnly> {
    Matcher::start("VXLAN", |view| view.vxlan().is_some())
}

impl<'a> View<'a> {
    fn ip(self) -> Option<&'a Ip> {
        self.decoded.as_ip()
    }

    fn vxlan(self) -> Option<&'a Vxlan> {
        self.ip()?.as_udp()?.vxlan.as_ref()
    }
}

/// The words that fit every packet.
impl<K> Matcher<K> {
    fn start(word: &str, condition: impl Fn(View<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self { words: Vec::new(), conditions: Vec::new(), places: Vec::new(), problem: None, kind: PhantomData }.and(word, condition)
    }

    fn and(mut self, words: impl Into<String>, condition: impl Fn(View<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.words.push(words.into());
        self.conditions.push(Arc::new(condition));
        self
    }

    fn and_icmp(self, words: impl Into<String>, condition: impl Fn(&IcmpKind) -> bool + Send + Sync + 'static) -> Self {
        self.and(words, move |view| view.ip().and_then(Ip::as_icmp).is_some_and(&condition))
    }

    fn and_address(mut self, word: &str, address: impl Display, of: fn(&Decoded) -> Option<std::net::IpAddr>) -> Self {
        let text = address.to_string();
        match cidr::parse(&text) {
            Ok(net) => self.and(format!("{word} {text}"), move |view| of(view.decoded).is_some_and(|ip| net.contains(&ip))),
            Err(why) => {
                self.problem.get_or_insert(format!("`{word} {text}`: {why}"));
                self
            }
        }
    }

    /// From this address or net, such as `10.0.0.2` or `10.0.0.0/24`: the source of IP or the sender of ARP.
    pub fn from(self, address: impl Display) -> Self {
        self.and_address("from", address, packet::source)
    }

    /// To this address or net: the destination of IP or the target of ARP.
    pub fn to(self, address: impl Display) -> Self {
        self.and_address("to", address, packet::destination)
    }

    /// On this interface, in any namespace (`eth0`) or in a certain one (`laptop/eth0`).
    pub fn on(self, device: impl Display) -> Self {
        let device = device.to_string();
        self.at(format!("on {device}"), Named::device(&device))
    }

    /// On an interface of this namespace.
    pub fn within(self, netns: impl Display) -> Self {
        let netns = netns.to_string();
        self.at(format!("within {netns}"), Named { netns: Some(netns), device: None })
    }

    fn at(mut self, words: String, place: Named) -> Self {
        self.places.push(place.clone());
        self.and(words, move |view| place.is(view.packet.netns(), view.packet.device()))
    }

    /// Received by the interface.
    pub fn incoming(self) -> Self {
        self.and("incoming", |view| view.packet.direction() == Direction::In)
    }

    /// Sent by the interface.
    pub fn outgoing(self) -> Self {
        self.and("outgoing", |view| view.packet.direction() == Direction::Out)
    }

    /// With this time to live, or hop limit.
    pub fn ttl(self, ttl: u8) -> Self {
        self.and(format!("ttl {ttl}"), move |view| view.ip().is_some_and(|ip| ip.ttl == ttl))
    }

    /// With this VLAN id, at any place of the stack of tags.
    pub fn vlan(self, id: u16) -> Self {
        self.and(format!("vlan {id}"), move |view| view.decoded.ethernet.as_ref().is_some_and(|ethernet| ethernet.vlans.contains(&id)))
    }

    /// From this MAC address, such as `02:42:ac:11:00:02`.
    pub fn ether_from(self, mac: impl Display) -> Self {
        self.and_mac("ether from", mac, |ethernet| ethernet.source)
    }

    /// To this MAC address; `ff:ff:ff:ff:ff:ff` is a broadcast.
    pub fn ether_to(self, mac: impl Display) -> Self {
        self.and_mac("ether to", mac, |ethernet| ethernet.destination)
    }

    fn and_mac(mut self, word: &str, mac: impl Display, of: fn(&Ethernet) -> Mac) -> Self {
        let text = mac.to_string();
        match text.parse::<Mac>() {
            Ok(mac) => {
                self.and(format!("{word} {mac}"), move |view| view.decoded.ethernet.as_ref().is_some_and(|header| of(header) == mac))
            }
            Err(why) => {
                self.problem.get_or_insert(format!("`{word} {text}`: {why}"));
                self
            }
        }
    }

    /// For which `condition` holds as well; `words` describe it in messages.
    pub fn when(self, words: impl Into<String>, condition: impl Fn(&Packet) -> bool + Send + Sync + 'static) -> Self {
        self.and(words, move |view| condition(view.packet))
    }

    /// Whether the packet is meant.
    pub fn matches(&self, packet: &Packet) -> bool {
        self.sees(View { packet, decoded: packet.decoded() })
    }

    fn sees(&self, view: View<'_>) -> bool {
        self.problem.is_none() && self.conditions.iter().all(|condition| condition(view))
    }

    /// What is wrong with a value that it was given.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The places that it names.
    pub(super) fn places(&self) -> &[Named] {
        &self.places
    }

    /// The same matcher, for a list of several kinds.
    pub fn any_kind(self) -> Matcher {
        Matcher { words: self.words, conditions: self.conditions, places: self.places, problem: self.problem, kind: PhantomData }
    }

    fn and_ports(self, words: String, condition: impl Fn(u16, u16) -> bool + Send + Sync + 'static) -> Self {
        self.and(words, move |view| view.ip().and_then(Ip::ports).is_some_and(|(from, to)| condition(from, to)))
    }
}

impl Matcher<ArpOnly> {
    /// Asks who has this address (or any address of this net).
    pub fn who_has(self, address: impl Display) -> Self {
        self.and("who-has", |view| view.decoded.as_arp().is_some_and(|arp| arp.operation == 1)).to(address)
    }

    /// Answers that this address (or any address of this net) is at the sender.
    pub fn is_at(self, address: impl Display) -> Self {
        self.and("is-at", |view| view.decoded.as_arp().is_some_and(|arp| arp.operation == 2)).from(address)
    }
}

impl Matcher<IcmpOnly> {
    /// Pings.
    pub fn echo_request(self) -> Self {
        self.and_icmp("echo request", |icmp| matches!(icmp, IcmpKind::EchoRequest { .. }))
    }

    /// Answers to pings.
    pub fn echo_reply(self) -> Self {
        self.and_icmp("echo reply", |icmp| matches!(icmp, IcmpKind::EchoReply { .. }))
    }

    /// With this id of an echo.
    pub fn id(self, wanted: u16) -> Self {
        self.and_icmp(
            format!("id {wanted}"),
            move |icmp| matches!(icmp, IcmpKind::EchoRequest { id, .. } | IcmpKind::EchoReply { id, .. } if *id == wanted),
        )
    }

    /// With this sequence number of an echo.
    pub fn seq(self, wanted: u16) -> Self {
        self.and_icmp(
            format!("seq {wanted}"),
            move |icmp| matches!(icmp, IcmpKind::EchoRequest { seq, .. } | IcmpKind::EchoReply { seq, .. } if *seq == wanted),
        )
    }

    /// Says that a packet did not get there; see [`code`](Self::code) and [`about`](Self::about).
    pub fn unreachable(self) -> Self {
        self.and_icmp("unreachable", |icmp| matches!(icmp, IcmpKind::Unreachable { .. }))
    }

    /// Says that a packet had no time to live left.
    pub fn time_exceeded(self) -> Self {
        self.and_icmp("time exceeded", |icmp| matches!(icmp, IcmpKind::TimeExceeded { .. }))
    }

    /// Says that there is a better way.
    pub fn redirect(self) -> Self {
        self.and_icmp("redirect", |icmp| matches!(icmp, IcmpKind::Redirect { .. }))
    }

    /// Says that a packet was too big: "fragmentation needed" of IPv4, "packet too big" of IPv6.
    pub fn too_big(self) -> Self {
        self.and_icmp("too big", |icmp| matches!(icmp, IcmpKind::PacketTooBig { .. } | IcmpKind::Unreachable { mtu: Some(_), .. }))
    }

    /// With this code.
    pub fn code(self, wanted: u8) -> Self {
        self.and_icmp(format!("code {wanted}"), move |icmp| match icmp {
            IcmpKind::Unreachable { code, .. }
            | IcmpKind::TimeExceeded { code, .. }
            | IcmpKind::Redirect { code, .. }
            | IcmpKind::Other { code, .. } => *code == wanted,
            _ => wanted == 0,
        })
    }

    /// About a packet to this address or net: the one that an ICMP error quotes.
    pub fn about(mut self, address: impl Display) -> Self {
        let text = address.to_string();
        match cidr::parse(&text) {
            Ok(net) => {
                self.and_icmp(format!("about {text}"), move |icmp| icmp.inner().is_some_and(|inner| net.contains(&inner.destination)))
            }
            Err(why) => {
                self.problem.get_or_insert(format!("`about {text}`: {why}"));
                self
            }
        }
    }

    /// Asks who has this IPv6 address (neighbour solicitation).
    pub fn neighbour_solicitation(self, address: std::net::Ipv6Addr) -> Self {
        self.and_icmp(
            format!("neighbour solicitation {address}"),
            move |icmp| matches!(icmp, IcmpKind::NeighbourSolicitation { target } if *target == address),
        )
    }

    /// Says that the sender has this IPv6 address (neighbour advertisement).
    pub fn neighbour_advertisement(self, address: std::net::Ipv6Addr) -> Self {
        self.and_icmp(
            format!("neighbour advertisement {address}"),
            move |icmp| matches!(icmp, IcmpKind::NeighbourAdvertisement { target } if *target == address),
        )
    }
}

impl Matcher<UdpOnly> {
    /// From or to this port.
    pub fn port(self, port: u16) -> Self {
        self.and_ports(format!("port {port}"), move |from, to| from == port || to == port)
    }

    /// To this port.
    pub fn to_port(self, port: u16) -> Self {
        self.and_ports(format!("to port {port}"), move |_, to| to == port)
    }

    /// From this port.
    pub fn from_port(self, port: u16) -> Self {
        self.and_ports(format!("from port {port}"), move |from, _| from == port)
    }

    /// With this many bytes of payload.
    pub fn length(self, bytes: usize) -> Self {
        self.and(format!("length {bytes}"), move |view| view.ip().and_then(Ip::as_udp).is_some_and(|udp| udp.length == bytes))
    }
}

impl Matcher<TcpOnly> {
    /// From or to this port.
    pub fn port(self, port: u16) -> Self {
        self.and_ports(format!("port {port}"), move |from, to| from == port || to == port)
    }

    /// To this port.
    pub fn to_port(self, port: u16) -> Self {
        self.and_ports(format!("to port {port}"), move |_, to| to == port)
    }

    /// From this port.
    pub fn from_port(self, port: u16) -> Self {
        self.and_ports(format!("from port {port}"), move |from, _| from == port)
    }

    /// Opens a connection: SYN without ACK.
    pub fn syn(self) -> Self {
        self.flags("SYN", |flags| flags.syn && !flags.ack)
    }

    /// Accepts a connection: SYN with ACK.
    pub fn syn_ack(self) -> Self {
        self.flags("SYN-ACK", |flags| flags.syn && flags.ack)
    }

    /// Ends a direction: FIN.
    pub fn fin(self) -> Self {
        self.flags("FIN", |flags| flags.fin)
    }

    /// Breaks a connection off, or refuses one: RST.
    pub fn rst(self) -> Self {
        self.flags("RST", |flags| flags.rst)
    }

    /// Carries payload.
    pub fn data(self) -> Self {
        self.and("with data", |view| view.ip().and_then(Ip::as_tcp).is_some_and(|tcp| tcp.length > 0))
    }

    fn flags(self, word: &str, condition: fn(TcpFlags) -> bool) -> Self {
        self.and(word, move |view| view.ip().and_then(Ip::as_tcp).is_some_and(|tcp| condition(tcp.flags)))
    }
}

impl Matcher<VxlanOnly> {
    /// Of this network identifier.
    pub fn vni(self, vni: u32) -> Self {
        self.and(format!("vni {vni}"), move |view| view.vxlan().is_some_and(|vxlan| vxlan.vni == vni))
    }

    /// With a frame inside that `inner` means; interface and direction are those of the packet outside.
    pub fn inner<K: 'static>(mut self, inner: Matcher<K>) -> Self {
        if let Some(problem) = inner.problem() {
            self.problem.get_or_insert(problem.to_owned());
        }
        self.and(format!("with {inner} inside"), move |view| {
            view.vxlan().is_some_and(|vxlan| inner.sees(View { packet: view.packet, decoded: &vxlan.inner }))
        })
    }
}

impl<K> Clone for Matcher<K> {
    fn clone(&self) -> Self {
        let Self { words, conditions, places, problem, kind } = self;
        Self { words: words.clone(), conditions: conditions.clone(), places: places.clone(), problem: problem.clone(), kind: *kind }
    }
}

impl<K> Display for Matcher<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

impl<K> fmt::Debug for Matcher<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Matcher").field(&self.words.join(" ")).finish()
    }
}

/// Several matchers in order: an array, a `Vec`, or, for matchers of several kinds, a tuple.
pub trait Steps {
    /// The matchers, in order.
    fn steps(self) -> Vec<Matcher>;
}

impl<K, const N: usize> Steps for [Matcher<K>; N] {
    fn steps(self) -> Vec<Matcher> {
        self.into_iter().map(Matcher::any_kind).collect()
    }
}

impl<K> Steps for Vec<Matcher<K>> {
    fn steps(self) -> Vec<Matcher> {
        self.into_iter().map(Matcher::any_kind).collect()
    }
}

macro_rules! tuples {
    ($($kind:ident $place:tt),+) => {
        impl<$($kind),+> Steps for ($(Matcher<$kind>,)+) {
            fn steps(self) -> Vec<Matcher> {
                vec![$(self.$place.any_kind()),+]
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, L 10);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, L 10, M 11);
