//! Capture files that Wireshark, tshark and tcpdump open.
//!
//! The format is draft-ietf-opsawg-pcapng. Written here, because it is small: the one crate that writes it is a release candidate that brings
//! seven more.

use std::collections::HashMap;

use crate::capture::{Direction, Losses, Medium, Packet};

const SECTION: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;

const LINKTYPE_ETHERNET: u16 = 1;
const LINKTYPE_RAW: u16 = 101;

const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;
const ISB_USRDELIV: u16 = 8;
/// 10^-9 s.
const NANOSECONDS: u8 = 9;

/// The bytes of a file with these packets.
pub(crate) fn file<'a>(packets: impl Iterator<Item = &'a Packet> + Clone, losses: Losses) -> Vec<u8> {
    let interfaces = Interfaces::of(packets.clone());
    let mut file = section(losses);
    for packet in &interfaces.first {
        file.extend(interface(packet));
    }
    let mut counts = vec![0_u64; interfaces.first.len()];
    let mut last = 0;
    for packet in packets {
        let id = interfaces.id(packet);
        counts[id as usize] += 1;
        last = nanoseconds(packet);
        file.extend(enhanced_packet(packet, id));
    }
    for (id, count) in (0..).zip(counts) {
        file.extend(statistics(id, last, count));
    }
    file
}

/// The interfaces in the order of their first packet, each shown by that packet.
struct Interfaces<'a> {
    first: Vec<&'a Packet>,
    ids: HashMap<(&'a str, u32, &'a str), u32>,
}

impl<'a> Interfaces<'a> {
    fn of(packets: impl Iterator<Item = &'a Packet>) -> Self {
        let mut interfaces = Self { first: Vec::new(), ids: HashMap::new() };
        for packet in packets {
            let next = interfaces.first.len() as u32;
            if *interfaces.ids.entry(key(packet)).or_insert(next) == next {
                interfaces.first.push(packet);
            }
        }
        interfaces
    }

    fn id(&self, packet: &'a Packet) -> u32 {
        self.ids.get(&key(packet)).copied().unwrap_or(0)
    }
}

fn key(packet: &Packet) -> (&str, u32, &str) {
    (packet.netns(), packet.index(), packet.device())
}

fn section(losses: Losses) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(0x1A2B_3C4D_u32.to_ne_bytes());
    body.extend(1_u16.to_ne_bytes());
    body.extend(0_u16.to_ne_bytes());
    body.extend(u64::MAX.to_ne_bytes()); // the section's length is left open
    let mut options = Options::default();
    if !losses.is_none() {
        options.add(OPT_COMMENT, losses.to_string().as_bytes());
    }
    options.add(SHB_USERAPPL, concat!("netlab ", env!("CARGO_PKG_VERSION")).as_bytes());
    block(SECTION, body, options)
}

fn interface(packet: &Packet) -> Vec<u8> {
    let link_type = match packet.medium() {
        Medium::Ethernet => LINKTYPE_ETHERNET,
        Medium::Ip => LINKTYPE_RAW,
    };
    let mut body = Vec::new();
    body.extend(link_type.to_ne_bytes());
    body.extend(0_u16.to_ne_bytes());
    body.extend(0_u32.to_ne_bytes()); // no limit of a packet's length
    let mut options = Options::default();
    options.add(IF_NAME, format!("{}/{}", packet.netns(), packet.device()).as_bytes());
    options.add(IF_TSRESOL, &[NANOSECONDS]);
    block(INTERFACE, body, options)
}

fn enhanced_packet(packet: &Packet, interface: u32) -> Vec<u8> {
    let bytes = packet.bytes();
    let mut body = Vec::with_capacity(bytes.len() + 64);
    body.extend(interface.to_ne_bytes());
    body.extend(time_words(nanoseconds(packet)));
    body.extend((bytes.len() as u32).to_ne_bytes());
    body.extend((packet.length() as u32).to_ne_bytes());
    body.extend(bytes);
    pad(&mut body);
    let mut options = Options::default();
    let direction = match packet.direction() {
        Direction::In => 1_u32,
        Direction::Out => 2,
    };
    options.add(EPB_FLAGS, &(direction | packet.reception() << 2).to_ne_bytes());
    if let Some(segmentation) = packet.segmentation() {
        options.add(OPT_COMMENT, format!("not yet cut into segments of {} bytes", segmentation.segment_bytes).as_bytes());
    }
    for comment in packet.comments() {
        options.add(OPT_COMMENT, comment.as_bytes());
    }
    block(PACKET, body, options)
}

fn statistics(interface: u32, nanoseconds: u64, count: u64) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(interface.to_ne_bytes());
    body.extend(time_words(nanoseconds));
    let mut options = Options::default();
    options.add(ISB_USRDELIV, &count.to_ne_bytes());
    block(STATISTICS, body, options)
}

fn nanoseconds(packet: &Packet) -> u64 {
    packet.since_epoch().as_nanos() as u64
}

/// The upper half first, whatever the byte order.
fn time_words(nanoseconds: u64) -> impl Iterator<Item = u8> {
    let [upper, lower] = [(nanoseconds >> 32) as u32, nanoseconds as u32];
    upper.to_ne_bytes().into_iter().chain(lower.to_ne_bytes())
}

#[derive(Default)]
struct Options(Vec<u8>);

impl Options {
    fn add(&mut self, code: u16, value: &[u8]) {
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        self.0.extend(code.to_ne_bytes());
        self.0.extend((value.len() as u16).to_ne_bytes());
        self.0.extend(value);
        pad(&mut self.0);
    }
}

fn block(kind: u32, body: Vec<u8>, mut options: Options) -> Vec<u8> {
    options.0.extend([0; 4]); // opt_endofopt
    let length = (12 + body.len() + options.0.len()) as u32;
    let mut block = Vec::with_capacity(length as usize);
    block.extend(kind.to_ne_bytes());
    block.extend(length.to_ne_bytes());
    block.extend(body);
    block.extend(options.0);
    block.extend(length.to_ne_bytes());
    block
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
