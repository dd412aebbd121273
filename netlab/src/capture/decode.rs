//! What is in a frame: Ethernet, ARP, IP, ICMP, UDP, TCP and VXLAN, as typed values.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use etherparse::{Ipv6ExtensionSlice, LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket, LinkSlice, TcpSlice, TransportSlice};

/// UDP ports that mean VXLAN: the registered one (RFC 7348), and the one that Linux takes where none is given.
const VXLAN_PORTS: [u16; 2] = [4789, 8472];
pub(super) const VXLAN_HEADER: usize = 8;
const VXLAN_HAS_VNI: u8 = 0x08;
/// How deep packets in packets (quoted by ICMP errors, carried by VXLAN) are decoded: 64 KiB have room for more than a stack has.
const MOST_NESTED: u8 = 8;

/// A MAC address; displayed as `02:42:ac:11:00:02`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

/// The Ethernet header.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ethernet {
    /// Who sent it on this link.
    pub source: Mac,
    /// Who shall get it on this link; `ff:ff:ff:ff:ff:ff` is everybody.
    pub destination: Mac,
    /// The VLAN ids, outermost first.
    pub vlans: Vec<u16>,
}

/// A frame, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decoded {
    /// Missing where the link has no Ethernet, as on a tun device.
    pub ethernet: Option<Ethernet>,
    /// What the frame carries.
    pub body: Body,
}

/// What a frame carries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// Address resolution for IPv4.
    Arp(Arp),
    /// IPv4 or IPv6.
    Ip(Ip),
    /// Something else, by its EtherType.
    Other(u16),
    /// What cannot be read, and why.
    Malformed(String),
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arp {
    /// 1 asks (who-has), 2 answers (is-at).
    pub operation: u16,
    /// Who speaks.
    pub sender_mac: Mac,
    /// Who speaks.
    pub sender: Ipv4Addr,
    /// Zeros in a question.
    pub target_mac: Mac,
    /// Who is asked for, or who is answered.
    pub target: Ipv4Addr,
    /// Bytes from the ARP header to the end of the frame.
    pub length: usize,
}

/// An IP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ip {
    /// Who sent it.
    pub source: IpAddr,
    /// Who shall get it.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// The protocol after the headers of IP, such as 6 for TCP.
    pub protocol: u8,
    /// Bytes after the headers of IP.
    pub length: usize,
    /// What it carries.
    pub transport: Transport,
}

/// What an IP packet carries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// ICMP or ICMPv6.
    Icmp(Icmp),
    /// A datagram.
    Udp(Udp),
    /// A segment.
    Tcp(Tcp),
    /// The start of a UDP or TCP header, as far as an ICMP error quotes it: source and destination port.
    Ports(u16, u16),
    /// A fragment other than the first: its offset in bytes.
    Fragment(usize),
    /// Another protocol, or a header that cannot be read.
    Other,
}

/// An ICMP or ICMPv6 message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Icmp {
    /// What it says.
    pub kind: IcmpKind,
    /// Bytes of header and payload.
    pub length: usize,
}

/// What an ICMP or ICMPv6 message says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IcmpKind {
    /// A ping.
    EchoRequest {
        /// Which ping process.
        id: u16,
        /// Which of its pings.
        seq: u16,
    },
    /// Its answer.
    EchoReply {
        /// As in the request.
        id: u16,
        /// As in the request.
        seq: u16,
    },
    /// The packet quoted did not get there.
    Unreachable {
        /// As in RFC 792 or RFC 4443: 1 is host, 3 port, 4 fragmentation needed for IPv4.
        code: u8,
        /// What fits through, with code 4 of IPv4.
        mtu: Option<u16>,
        /// The packet that did not get there, as far as it is quoted.
        inner: Option<Box<Ip>>,
    },
    /// The packet quoted was too big for a link (ICMPv6).
    PacketTooBig {
        /// What fits through.
        mtu: u32,
        /// The packet quoted.
        inner: Option<Box<Ip>>,
    },
    /// The packet quoted had no time to live left.
    TimeExceeded {
        /// 0 on its way, 1 in reassembly.
        code: u8,
        /// The packet quoted.
        inner: Option<Box<Ip>>,
    },
    /// There is a better way for the packet quoted.
    Redirect {
        /// 1 for this host.
        code: u8,
        /// Who is the better way.
        gateway: IpAddr,
        /// The packet quoted.
        inner: Option<Box<Ip>>,
    },
    /// Who has this address? (NDP)
    NeighbourSolicitation {
        /// The address asked for.
        target: Ipv6Addr,
    },
    /// I have it. (NDP)
    NeighbourAdvertisement {
        /// The address that the sender has.
        target: Ipv6Addr,
    },
    /// Who routes here? (NDP)
    RouterSolicitation,
    /// I do. (NDP)
    RouterAdvertisement,
    /// Anything else.
    Other {
        /// The message's type.
        kind: u8,
        /// The message's code.
        code: u8,
    },
}

/// A UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Udp {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// Bytes of payload, by its header.
    pub length: usize,
    /// What is in it when it goes to a VXLAN port.
    pub vxlan: Option<Vxlan>,
}

/// A frame in a VXLAN datagram (RFC 7348).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vxlan {
    /// The network's identifier.
    pub vni: u32,
    /// The frame inside.
    pub inner: Box<Decoded>,
}

/// A TCP segment; one that the kernel leaves to be cut by the network card (GSO) is one segment here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tcp {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// The flags.
    pub flags: TcpFlags,
    /// The sequence number of its first byte.
    pub seq: u32,
    /// The next byte that the sender expects, if the ACK flag is set.
    pub ack: u32,
    /// The window, as it is written: not scaled.
    pub window: u16,
    /// Bytes of payload.
    pub length: usize,
}

/// The flags of a TCP segment; displayed as tcpdump does, `S` or `P.`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TcpFlags {
    /// The sender has no more to say.
    pub fin: bool,
    /// A connection is opened; sequence numbers are agreed upon.
    pub syn: bool,
    /// The connection is broken off.
    pub rst: bool,
    /// The data shall reach the application at once.
    pub psh: bool,
    /// The acknowledgement number counts.
    pub ack: bool,
    /// The urgent pointer counts.
    pub urg: bool,
    /// A router has said that it is congested (RFC 3168).
    pub ece: bool,
    /// The sender has slowed down for that.
    pub cwr: bool,
}

impl Decoded {
    pub(crate) fn ethernet(frame: &[u8]) -> Self {
        Self::ethernet_within(frame, MOST_NESTED)
    }

    fn ethernet_within(frame: &[u8], room: u8) -> Self {
        let sliced = match LaxSlicedPacket::from_ethernet(frame) {
            Ok(sliced) => sliced,
            Err(e) => return Self { ethernet: None, body: Body::Malformed(e.to_string()) },
        };
        let vlans = sliced.link_exts.iter().filter_map(|ext| match ext {
            LaxLinkExtSlice::Vlan(vlan) => Some(vlan.vlan_identifier().value()),
            LaxLinkExtSlice::Macsec(_) => None,
        });
        let ethernet = match &sliced.link {
            Some(LinkSlice::Ethernet2(header)) => {
                Some(Ethernet { source: Mac(header.source()), destination: Mac(header.destination()), vlans: vlans.collect() })
            }
            _ => None,
        };
        Self { ethernet, body: body(&sliced, room) }
    }

    pub(crate) fn ip(packet: &[u8]) -> Self {
        let body = LaxSlicedPacket::from_ip(packet).map_or_else(|e| Body::Malformed(e.to_string()), |sliced| body(&sliced, MOST_NESTED));
        Self { ethernet: None, body }
    }

    /// The IP packet that the frame carries.
    pub fn as_ip(&self) -> Option<&Ip> {
        if let Body::Ip(ip) = &self.body { Some(ip) } else { None }
    }

    /// The ARP packet that the frame carries.
    pub fn as_arp(&self) -> Option<&Arp> {
        if let Body::Arp(arp) = &self.body { Some(arp) } else { None }
    }
}

impl Ip {
    /// The ICMP message in it.
    pub fn as_icmp(&self) -> Option<&IcmpKind> {
        if let Transport::Icmp(icmp) = &self.transport { Some(&icmp.kind) } else { None }
    }

    /// The datagram in it.
    pub fn as_udp(&self) -> Option<&Udp> {
        if let Transport::Udp(udp) = &self.transport { Some(udp) } else { None }
    }

    /// The segment in it.
    pub fn as_tcp(&self) -> Option<&Tcp> {
        if let Transport::Tcp(tcp) = &self.transport { Some(tcp) } else { None }
    }

    /// Source and destination port, where it has some.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match &self.transport {
            Transport::Udp(udp) => Some((udp.source_port, udp.destination_port)),
            Transport::Tcp(tcp) => Some((tcp.source_port, tcp.destination_port)),
            Transport::Ports(source, destination) => Some((*source, *destination)),
            _ => None,
        }
    }
}

impl IcmpKind {
    /// The packet that an ICMP error quotes.
    pub fn inner(&self) -> Option<&Ip> {
        match self {
            Self::Unreachable { inner, .. }
            | Self::PacketTooBig { inner, .. }
            | Self::TimeExceeded { inner, .. }
            | Self::Redirect { inner, .. } => inner.as_deref(),
            _ => None,
        }
    }
}

fn body(sliced: &LaxSlicedPacket<'_>, room: u8) -> Body {
    let malformed = || sliced.stop_err.as_ref().map(|(e, _)| Body::Malformed(e.to_string()));
    match &sliced.net {
        Some(LaxNetSlice::Arp(arp)) => {
            let room = sliced.ether_payload().map_or(0, |payload| payload.payload.len());
            arp_body(arp, room).unwrap_or_else(|| Body::Malformed("ARP that is not for IPv4 over Ethernet".to_owned()))
        }
        Some(LaxNetSlice::Ipv4(_) | LaxNetSlice::Ipv6(_)) => ip(sliced, room).map(Body::Ip).or_else(malformed).unwrap_or(Body::Other(0)),
        None => malformed().unwrap_or_else(|| Body::Other(sliced.ether_payload().map_or(0, |payload| payload.ether_type.0))),
    }
}

fn arp_body(arp: &etherparse::ArpPacketSlice<'_>, length: usize) -> Option<Body> {
    let mac = |bytes: &[u8]| bytes.try_into().ok().map(Mac);
    let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from);
    Some(Body::Arp(Arp {
        operation: arp.operation().0,
        sender_mac: mac(arp.sender_hw_addr())?,
        sender: address(arp.sender_protocol_addr())?,
        target_mac: mac(arp.target_hw_addr())?,
        target: address(arp.target_protocol_addr())?,
        length,
    }))
}

fn ip(sliced: &LaxSlicedPacket<'_>, room: u8) -> Option<Ip> {
    let net = sliced.net.as_ref()?;
    let payload = net.ip_payload_ref()?;
    // The lengths are those of the header, which holds also where only the start of the packet was kept.
    let (source, destination, ttl, offset, cut): (IpAddr, IpAddr, u8, usize, usize) = match net {
        LaxNetSlice::Ipv4(v4) => {
            let header = v4.header();
            let offset = usize::from(header.fragments_offset().value()) * 8;
            let cut = usize::from(header.total_len()).saturating_sub(header.slice().len() + payload.payload.len());
            (header.source_addr().into(), header.destination_addr().into(), header.ttl(), offset, cut)
        }
        LaxNetSlice::Ipv6(v6) => {
            let header = v6.header();
            let cut = usize::from(header.payload_length()).saturating_sub(v6.extensions().slice().len() + payload.payload.len());
            (header.source_addr().into(), header.destination_addr().into(), header.hop_limit(), v6_offset(v6), cut)
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let transport = match &sliced.transport {
        _ if offset > 0 => Transport::Fragment(offset),
        Some(TransportSlice::Icmpv4(icmp)) => Transport::Icmp(Icmp { kind: icmp4(icmp, room), length: icmp.slice().len() + cut }),
        Some(TransportSlice::Icmpv6(icmp)) => Transport::Icmp(Icmp { kind: icmp6(icmp, room), length: icmp.slice().len() + cut }),
        Some(TransportSlice::Udp(udp)) => Transport::Udp(Udp {
            source_port: udp.source_port(),
            destination_port: udp.destination_port(),
            length: usize::from(udp.length()).saturating_sub(8).max(udp.payload().len()),
            vxlan: vxlan(udp, room),
        }),
        Some(TransportSlice::Tcp(segment)) => Transport::Tcp(Tcp { length: segment.payload().len() + cut, ..tcp(segment) }),
        _ => quoted_ports(payload).unwrap_or(Transport::Other),
    };
    Some(Ip { source, destination, ttl, protocol: payload.ip_number.0, length: payload.payload.len() + cut, transport })
}

fn v6_offset(v6: &etherparse::LaxIpv6Slice<'_>) -> usize {
    let mut offset = 0;
    let mut iter = v6.extensions().clone().into_iter();
    // The iterator goes where the last header points and checks nothing: past those that parsed it would read what is not there.
    let mut left = v6.extensions().slice().len();
    while left > 0 {
        let length = match iter.next() {
            Some(Ipv6ExtensionSlice::Fragment(fragment)) => {
                offset = offset.max(usize::from(fragment.fragment_offset().value()) * 8);
                fragment.slice().len()
            }
            Some(Ipv6ExtensionSlice::HopByHop(raw) | Ipv6ExtensionSlice::Routing(raw) | Ipv6ExtensionSlice::DestinationOptions(raw)) => {
                raw.slice().len()
            }
            Some(Ipv6ExtensionSlice::Authentication(authentication)) => authentication.slice().len(),
            None => break,
        };
        left = left.saturating_sub(length);
    }
    offset
}

/// An ICMP error of RFC 792 quotes eight bytes: of TCP that is less than its header.
fn quoted_ports(payload: &etherparse::LaxIpPayloadSlice<'_>) -> Option<Transport> {
    match (payload.ip_number, payload.payload) {
        (etherparse::IpNumber::TCP | etherparse::IpNumber::UDP, [s0, s1, d0, d1, ..]) => {
            Some(Transport::Ports(u16::from_be_bytes([*s0, *s1]), u16::from_be_bytes([*d0, *d1])))
        }
        _ => None,
    }
}

fn quoted(packet: &[u8], room: u8) -> Option<Box<Ip>> {
    let room = room.checked_sub(1)?;
    LaxSlicedPacket::from_ip(packet).ok().and_then(|sliced| ip(&sliced, room)).map(Box::new)
}

fn icmp4(icmp: &etherparse::Icmpv4Slice<'_>, room: u8) -> IcmpKind {
    let (code, inner) = (icmp.code_u8(), || quoted(icmp.payload(), room));
    let [a, b, c, d] = icmp.bytes5to8();
    let (first, second) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    match icmp.type_u8() {
        0 => IcmpKind::EchoReply { id: first, seq: second },
        3 => IcmpKind::Unreachable { code, mtu: (code == 4).then_some(second), inner: inner() },
        5 => IcmpKind::Redirect { code, gateway: Ipv4Addr::new(a, b, c, d).into(), inner: inner() },
        8 => IcmpKind::EchoRequest { id: first, seq: second },
        11 => IcmpKind::TimeExceeded { code, inner: inner() },
        kind => IcmpKind::Other { kind, code },
    }
}

fn icmp6(icmp: &etherparse::Icmpv6Slice<'_>, room: u8) -> IcmpKind {
    let (code, inner) = (icmp.code_u8(), || quoted(icmp.payload(), room));
    let [a, b, c, d] = icmp.bytes5to8();
    let (first, second) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    // An address follows the first eight bytes.
    let target = || icmp.slice().get(8..24).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Ipv6Addr::from);
    let known = match icmp.type_u8() {
        1 => Some(IcmpKind::Unreachable { code, mtu: None, inner: inner() }),
        2 => Some(IcmpKind::PacketTooBig { mtu: u32::from_be_bytes([a, b, c, d]), inner: inner() }),
        3 => Some(IcmpKind::TimeExceeded { code, inner: inner() }),
        128 => Some(IcmpKind::EchoRequest { id: first, seq: second }),
        129 => Some(IcmpKind::EchoReply { id: first, seq: second }),
        133 => Some(IcmpKind::RouterSolicitation),
        134 => Some(IcmpKind::RouterAdvertisement),
        135 => target().map(|target| IcmpKind::NeighbourSolicitation { target }),
        136 => target().map(|target| IcmpKind::NeighbourAdvertisement { target }),
        // Options follow, and among them the packet: too much for what it is worth.
        137 => target().map(|gateway| IcmpKind::Redirect { code, gateway: gateway.into(), inner: None }),
        _ => None,
    };
    known.unwrap_or(IcmpKind::Other { kind: icmp.type_u8(), code })
}

fn tcp(segment: &TcpSlice<'_>) -> Tcp {
    Tcp {
        source_port: segment.source_port(),
        destination_port: segment.destination_port(),
        flags: TcpFlags {
            fin: segment.fin(),
            syn: segment.syn(),
            rst: segment.rst(),
            psh: segment.psh(),
            ack: segment.ack(),
            urg: segment.urg(),
            ece: segment.ece(),
            cwr: segment.cwr(),
        },
        seq: segment.sequence_number(),
        ack: segment.acknowledgment_number(),
        window: segment.window_size(),
        length: segment.payload().len(),
    }
}

fn vxlan(udp: &etherparse::UdpSlice<'_>, room: u8) -> Option<Vxlan> {
    let room = room.checked_sub(1)?;
    let payload = udp.payload();
    let [flags, _, _, _, v0, v1, v2, _] = *payload.first_chunk::<VXLAN_HEADER>()?;
    (VXLAN_PORTS.contains(&udp.destination_port()) && flags & VXLAN_HAS_VNI != 0).then(|| Vxlan {
        vni: u32::from_be_bytes([0, v0, v1, v2]),
        inner: Box::new(Decoded::ethernet_within(&payload[VXLAN_HEADER..], room)),
    })
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = |part: &str| (part.len() == 2).then(|| u8::from_str_radix(part, 16).ok()).flatten();
        let bytes: Option<Vec<u8>> = text.split(':').map(pair).collect();
        let mac = bytes.and_then(|bytes| bytes.try_into().ok()).map(Self);
        mac.ok_or_else(|| "expected six pairs of hexadecimal digits, such as `02:42:ac:11:00:02`".to_owned())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
