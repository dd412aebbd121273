//! Packets as lines of text, in tcpdump's words.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};

use super::decode::{Arp, Body, Decoded, Icmp, IcmpKind, Ip, Tcp, TcpFlags, Transport, Udp};
use super::packet::Packet;

/// Linux takes ports from here on for clients (`net.ipv4.ip_local_port_range`).
const FIRST_EPHEMERAL: u16 = 32768;

/// Time, namespace, interface, direction and content.
pub(super) fn line(packet: &Packet, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let time = packet.since_epoch();
    let (second, nanos) = (time.as_secs(), time.subsec_nanos());
    let (hours, minutes, seconds) = (second / 3600 % 24, second / 60 % 60, second % 60);
    write!(f, "{hours:02}:{minutes:02}:{seconds:02}.{nanos:09} ")?;
    f.write_str(&place_and_content(packet, &mut Names::default()))
}

/// The line without what differs from run to run.
pub(super) fn normalised_line(packet: &Packet, names: &mut Names) -> String {
    place_and_content(packet, names)
}

fn place_and_content(packet: &Packet, names: &mut Names) -> String {
    format!("{}/{} {:<3} {}", packet.netns(), packet.device(), packet.direction(), content(packet.decoded(), names))
}

/// What stands for values that differ from run to run, numbered in the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Names {
    on: bool,
    ports: HashMap<u16, usize>,
    ids: HashMap<u16, usize>,
    /// The first sequence number of each id.
    sequences: HashMap<u16, u16>,
}

impl Names {
    pub(crate) fn normalising() -> Self {
        Self { on: true, ..Self::default() }
    }

    pub(crate) fn port(&mut self, port: u16) -> String {
        if !self.on || port < FIRST_EPHEMERAL {
            return port.to_string();
        }
        let next = self.ports.len() + 1;
        format!("PORT{}", self.ports.entry(port).or_insert(next))
    }

    fn id(&mut self, id: u16) -> String {
        if !self.on {
            return id.to_string();
        }
        let next = self.ids.len() + 1;
        format!("ID{}", self.ids.entry(id).or_insert(next))
    }

    /// Counted from 1 on for each id.
    fn sequence(&mut self, id: u16, sequence: u16) -> u16 {
        if !self.on {
            return sequence;
        }
        sequence.wrapping_sub(*self.sequences.entry(id).or_insert(sequence)).wrapping_add(1)
    }
}

pub(super) fn content(decoded: &Decoded, names: &mut Names) -> String {
    let vlans: String = decoded.ethernet.iter().flat_map(|ethernet| &ethernet.vlans).map(|vlan| format!("vlan {vlan}, ")).collect();
    let body = match &decoded.body {
        Body::Arp(packet) => arp(packet),
        Body::Ip(packet) => ip(packet, names),
        Body::Other(ether_type) => format!("ethertype 0x{ether_type:04x}"),
        Body::Malformed(why) => format!("malformed: {why}"),
    };
    vlans + &body
}

fn arp(arp: &Arp) -> String {
    let Arp { sender_mac, sender, target, length, .. } = arp;
    match arp.operation {
        1 => format!("ARP, Request who-has {target}{} tell {sender}, length {length}", known_target(arp)),
        2 => format!("ARP, Reply {sender} is-at {sender_mac}, length {length}"),
        operation => format!("ARP, operation {operation}, length {length}"),
    }
}

/// A question that goes to one machine, to hear whether it is still there, says which.
fn known_target(arp: &Arp) -> String {
    if arp.target_mac.0 == [0; 6] { String::new() } else { format!(" ({})", arp.target_mac) }
}

fn ip(ip: &Ip, names: &mut Names) -> String {
    let word = if ip.source.is_ipv4() { "IP" } else { "IP6" };
    let Ip { source, destination, .. } = ip;
    let Some((from, to)) = ip.ports() else {
        return format!("{word} {source} > {destination}: {}", payload(ip, names));
    };
    let (from, to) = (names.port(from), names.port(to));
    format!("{word} {source}.{from} > {destination}.{to}: {}", payload(ip, names))
}

fn payload(ip: &Ip, names: &mut Names) -> String {
    match &ip.transport {
        Transport::Icmp(message) => icmp(ip, message, names),
        Transport::Udp(datagram) => udp(datagram, names),
        Transport::Tcp(segment) => tcp(segment, names),
        Transport::Ports(..) => protocol_name(ip.protocol),
        Transport::Fragment(offset) => format!("{} fragment at {offset}, length {}", protocol_name(ip.protocol), ip.length),
        Transport::Other => format!("{}, length {}", protocol_name(ip.protocol), ip.length),
    }
}

fn protocol_name(protocol: u8) -> String {
    match protocol {
        1 => "ICMP".to_owned(),
        2 => "igmp".to_owned(),
        4 => "IPIP".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        47 => "GRE".to_owned(),
        58 => "ICMP6".to_owned(),
        132 => "sctp".to_owned(),
        other => format!("ip-proto-{other}"),
    }
}

fn udp(udp: &Udp, names: &mut Names) -> String {
    match &udp.vxlan {
        Some(vxlan) => format!("VXLAN, flags [I] (0x08), vni {}: {}", vxlan.vni, content(&vxlan.inner, names)),
        None => format!("UDP, length {}", udp.length),
    }
}

fn tcp(tcp: &Tcp, names: &Names) -> String {
    let Tcp { flags, seq, ack, window, length, .. } = tcp;
    let mut text = format!("Flags [{flags}]");
    if !names.on {
        let acknowledged = if flags.ack { format!(", ack {ack}") } else { String::new() };
        match length {
            0 if !(flags.syn || flags.fin || flags.rst) => {}
            0 => text += &format!(", seq {seq}"),
            _ => text += &format!(", seq {seq}:{}", seq.wrapping_add(u32::try_from(*length).unwrap_or(0))),
        }
        text += &format!("{acknowledged}, win {window}");
    }
    text + &format!(", length {length}")
}

fn icmp(ip: &Ip, icmp: &Icmp, names: &mut Names) -> String {
    let word = if ip.source.is_ipv4() { "ICMP" } else { "ICMP6," };
    format!("{word} {}, length {}", icmp_kind(ip, &icmp.kind, names), icmp.length)
}

fn icmp_kind(ip: &Ip, kind: &IcmpKind, names: &mut Names) -> String {
    match kind {
        IcmpKind::EchoRequest { id, seq } => format!("echo request, id {}, seq {}", names.id(*id), names.sequence(*id, *seq)),
        IcmpKind::EchoReply { id, seq } => format!("echo reply, id {}, seq {}", names.id(*id), names.sequence(*id, *seq)),
        IcmpKind::Unreachable { code, mtu, inner } if ip.source.is_ipv4() => unreachable4(*code, *mtu, inner.as_deref(), names),
        IcmpKind::Unreachable { code, inner, .. } => unreachable6(*code, inner.as_deref(), names),
        IcmpKind::PacketTooBig { mtu, .. } => format!("packet too big, mtu {mtu}"),
        IcmpKind::TimeExceeded { code: 0, .. } => "time exceeded in-transit".to_owned(),
        IcmpKind::TimeExceeded { .. } => "ip reassembly time exceeded".to_owned(),
        IcmpKind::Redirect { code, gateway, inner } => {
            let (what, to) = (if *code == 0 { "net" } else { "host" }, quoted_destination(inner.as_deref()));
            format!("redirect {to} to {what} {gateway}")
        }
        IcmpKind::NeighbourSolicitation { target } => format!("neighbor solicitation, who has {target}"),
        IcmpKind::NeighbourAdvertisement { target } => format!("neighbor advertisement, tgt is {target}"),
        IcmpKind::RouterSolicitation => "router solicitation".to_owned(),
        IcmpKind::RouterAdvertisement => "router advertisement".to_owned(),
        IcmpKind::Other { kind, code } => format!("type-#{kind}, code {code}"),
    }
}

fn unreachable4(code: u8, mtu: Option<u16>, inner: Option<&Ip>, names: &mut Names) -> String {
    let to = quoted_destination(inner);
    let protocol = inner.map_or(0, |inner| inner.protocol);
    match (code, inner.and_then(Ip::ports)) {
        (0, _) => format!("net {to} unreachable"),
        (1, _) => format!("host {to} unreachable"),
        (2, _) => format!("{to} protocol {protocol} unreachable"),
        (3, Some((_, port))) => format!("{to} {} port {} unreachable", protocol_name(protocol), names.port(port)),
        (4, _) => format!("{to} unreachable - need to frag (mtu {})", mtu.unwrap_or(0)),
        (9, _) => format!("net {to} unreachable - admin prohibited"),
        (10, _) => format!("host {to} unreachable - admin prohibited"),
        (13, _) => format!("host {to} unreachable - admin prohibited filter"),
        _ => format!("{to} unreachable - #{code}"),
    }
}

fn unreachable6(code: u8, inner: Option<&Ip>, names: &mut Names) -> String {
    let to = quoted_destination(inner);
    let what = match (code, inner.and_then(Ip::ports)) {
        (0, _) => format!("unreachable route {to}"),
        (1, _) => format!("unreachable prohibited {to}"),
        (3, _) => format!("unreachable address {to}"),
        (4, Some((_, port))) => {
            let protocol = protocol_name(inner.map_or(0, |inner| inner.protocol));
            format!("unreachable port, {to} {protocol} port {}", names.port(port))
        }
        _ => format!("{to} code {code}"),
    };
    format!("destination unreachable, {what}")
}

fn quoted_destination(inner: Option<&Ip>) -> IpAddr {
    inner.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |inner| inner.destination)
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fin, syn, rst, psh, ack, urg, ece, cwr } = *self;
        let letters = [(fin, 'F'), (syn, 'S'), (rst, 'R'), (psh, 'P'), (ack, '.'), (urg, 'U'), (ece, 'E'), (cwr, 'W')];
        let mut set = letters.into_iter().filter_map(|(on, letter)| on.then_some(letter)).peekable();
        if set.peek().is_none() {
            return f.write_str("none");
        }
        set.try_for_each(|letter| f.write_char(letter))
    }
}
