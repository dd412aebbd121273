//! One captured packet: where, when, which way, and what.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::decode::{Decoded, IcmpKind, Ip, Tcp, Udp, Vxlan};
use super::text;
use crate::sys::packet::Frame;

/// From `linux/if_packet.h`.
const PACKET_HOST: u8 = 0;
const PACKET_BROADCAST: u8 = 1;
const PACKET_MULTICAST: u8 = 2;
const PACKET_OUTGOING: u8 = 4;
/// From `linux/if_arp.h`.
const ARPHRD_ETHER: u16 = 1;
const ARPHRD_LOOPBACK: u16 = 772;

/// Which way a packet passed an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The interface received it.
    In,
    /// The interface sent it.
    Out,
}

/// A packet that is still to be cut into segments (GSO), or that was put together from some (GRO).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segmentation {
    /// Bytes of payload in each segment.
    pub segment_bytes: u16,
}

/// A captured packet. Clones share the bytes.
#[derive(Clone)]
pub struct Packet {
    inner: Arc<Inner>,
    comments: Vec<String>,
}

struct Inner {
    netns: Arc<str>,
    device: Arc<str>,
    frame: Frame,
    /// What was read from the ring together with it.
    block: Arc<[u8]>,
    decoded: OnceLock<Decoded>,
}

/// What a link's frames begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    Ethernet,
    Ip,
}

impl Packet {
    /// `None` for what tcpdump leaves out as well: the first sight of a packet that a loopback sends, since it receives it at once.
    pub(crate) fn new(netns: &Arc<str>, device: &Arc<str>, mut frame: Frame, block: &Arc<[u8]>) -> Option<Self> {
        if frame.hardware == ARPHRD_LOOPBACK && frame.packet_type == PACKET_OUTGOING {
            return None;
        }
        let mut block = block.clone();
        if let Some((protocol, tag)) = frame.vlan {
            block = tagged(&block[frame.bytes.clone()], protocol, tag)?;
            frame.bytes = 0..block.len();
            frame.length += 4;
        }
        let inner = Inner { netns: netns.clone(), device: device.clone(), frame, block, decoded: OnceLock::new() };
        Some(Self { inner: Arc::new(inner), comments: Vec::new() })
    }

    /// The name of the namespace.
    pub fn netns(&self) -> &str {
        &self.inner.netns
    }

    /// The name of the interface, as it was when its first packet was seen.
    pub fn device(&self) -> &str {
        &self.inner.device
    }

    /// The interface's index in its namespace.
    pub fn index(&self) -> u32 {
        self.inner.frame.index
    }

    /// Whether the interface received or sent it.
    pub fn direction(&self) -> Direction {
        if self.inner.frame.packet_type == PACKET_OUTGOING { Direction::Out } else { Direction::In }
    }

    /// When the kernel sent or received it, to the nanosecond.
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + self.since_epoch()
    }

    pub(crate) fn since_epoch(&self) -> Duration {
        self.inner.frame.time
    }

    /// The bytes, from the Ethernet header on, or from the IP header where the link has no Ethernet. A VLAN tag is in its place.
    pub fn bytes(&self) -> &[u8] {
        let Range { start, end } = self.inner.frame.bytes;
        &self.inner.block[start..end]
    }

    /// The length on the link in bytes; more than there are in [`bytes`](Self::bytes) only if [`is_truncated`](Self::is_truncated).
    pub fn length(&self) -> usize {
        self.inner.frame.length
    }

    /// Whether the end of the packet is missing.
    pub fn is_truncated(&self) -> bool {
        self.length() > self.bytes().len()
    }

    /// How it will be cut into segments, if it is one of those large ones that stand for many (GSO).
    pub fn segmentation(&self) -> Option<Segmentation> {
        self.inner.frame.gso.map(|(_, segment_bytes)| Segmentation { segment_bytes })
    }

    /// Whether the sender left the checksum to the network card: between virtual interfaces it is never completed.
    pub fn has_partial_checksum(&self) -> bool {
        self.inner.frame.partial_checksum
    }

    pub(crate) fn medium(&self) -> Medium {
        match self.inner.frame.hardware {
            ARPHRD_ETHER | ARPHRD_LOOPBACK => Medium::Ethernet,
            _ => Medium::Ip,
        }
    }

    /// The reception type of a pcapng file's `epb_flags`.
    pub(crate) fn reception(&self) -> u32 {
        match self.inner.frame.packet_type {
            PACKET_HOST => 1,
            PACKET_MULTICAST => 2,
            PACKET_BROADCAST => 3,
            PACKET_OUTGOING => 0,
            _ => 4,
        }
    }

    /// What is in it.
    pub fn decoded(&self) -> &Decoded {
        self.inner.decoded.get_or_init(|| match self.medium() {
            Medium::Ethernet => Decoded::ethernet(self.bytes()),
            Medium::Ip => Decoded::ip(self.bytes()),
        })
    }

    /// The IP packet in it.
    pub fn ip(&self) -> Option<&Ip> {
        self.decoded().as_ip()
    }

    /// Who sent it: the source address of IP, or the sender of ARP.
    pub fn source(&self) -> Option<IpAddr> {
        source(self.decoded())
    }

    /// Who shall get it: the destination address of IP, or the target of ARP.
    pub fn destination(&self) -> Option<IpAddr> {
        destination(self.decoded())
    }

    /// Time to live, or hop limit.
    pub fn ttl(&self) -> Option<u8> {
        self.ip().map(|ip| ip.ttl)
    }

    /// The ICMP message in it.
    pub fn icmp(&self) -> Option<&IcmpKind> {
        self.ip()?.as_icmp()
    }

    /// The UDP datagram in it.
    pub fn udp(&self) -> Option<&Udp> {
        self.ip()?.as_udp()
    }

    /// The TCP segment in it.
    pub fn tcp(&self) -> Option<&Tcp> {
        self.ip()?.as_tcp()
    }

    /// The VXLAN datagram in it, with the frame inside.
    pub fn vxlan(&self) -> Option<&Vxlan> {
        self.udp()?.vxlan.as_ref()
    }

    /// What is in it as tcpdump words it, without place and time.
    pub(crate) fn content(&self, names: &mut text::Names) -> String {
        text::content(self.decoded(), names)
    }

    /// The comments that a capture file will show beside the packet.
    pub fn comments(&self) -> &[String] {
        &self.comments
    }

    pub(crate) fn add_comment(&mut self, comment: String) {
        self.comments.push(comment);
    }
}

pub(crate) fn source(decoded: &Decoded) -> Option<IpAddr> {
    decoded.as_ip().map(|ip| ip.source).or_else(|| decoded.as_arp().map(|arp| arp.sender.into()))
}

pub(crate) fn destination(decoded: &Decoded) -> Option<IpAddr> {
    decoded.as_ip().map(|ip| ip.destination).or_else(|| decoded.as_arp().map(|arp| arp.target.into()))
}

/// The frame with the tag that the kernel keeps beside it, behind the two MAC addresses.
fn tagged(frame: &[u8], protocol: u16, tag: u16) -> Option<Arc<[u8]>> {
    let (macs, rest) = frame.split_at_checked(12)?;
    Some([macs, &protocol.to_be_bytes(), &tag.to_be_bytes(), rest].concat().into())
}

impl fmt::Display for Direction {
    /// As tcpdump writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::In => "In",
            Self::Out => "Out",
        })
    }
}

impl fmt::Display for Packet {
    /// As `tcpdump -i any -n` writes it, with the namespace before the interface.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::line(self, f)
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
