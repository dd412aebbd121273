//! Frames come from whoever the test is about: any bytes are taken.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::decode::{Decoded, Transport, VXLAN_HEADER};
use super::text::{Names, content};

/// All that happens to a frame: decoded, and printed with and without what differs from run to run.
fn digest(frame: &[u8]) {
    for decoded in [Decoded::ethernet(frame), Decoded::ip(frame)] {
        content(&decoded, &mut Names::default());
        content(&decoded, &mut Names::normalising());
    }
}

/// Wraps `inner` as the packet that an ICMP "port unreachable" quotes.
fn quoting(inner: &[u8]) -> Vec<u8> {
    let length = u16::try_from(28 + inner.len()).unwrap();
    let ip = etherparse::Ipv4Header::new(length - 20, 64, etherparse::IpNumber::ICMP, [10, 0, 0, 1], [10, 0, 0, 2]).unwrap();
    [&ip.to_bytes()[..], &[3, 3, 0, 0, 0, 0, 0, 0], inner].concat()
}

/// Wraps `inner` as a frame that VXLAN carries.
fn tunnelling(inner: &[u8]) -> Vec<u8> {
    let udp = [&[0x08, 0, 0, 0, 0, 0, 42, 0][..], inner].concat();
    let builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(40_000, 4789);
    let mut frame = Vec::new();
    builder.write(&mut frame, &udp).unwrap();
    assert_eq!(frame.len(), 14 + 20 + 8 + VXLAN_HEADER + inner.len());
    frame
}

#[test]
fn packets_in_packets_are_decoded_as_deep_as_anybody_needs_and_no_stack_overflows() {
    let deep = |wrap: fn(&[u8]) -> Vec<u8>, room: usize| {
        let mut packet = wrap(&[]);
        let each = packet.len();
        while packet.len() + each < room {
            packet = wrap(&packet);
        }
        packet
    };
    let errors = deep(quoting, 65_000);
    let decoded = Decoded::ip(&errors);
    let outer = decoded.as_ip().and_then(|ip| ip.as_icmp()).and_then(|icmp| icmp.inner()).expect("the quoted packet");
    assert_eq!(outer.source, Ipv4Addr::new(10, 0, 0, 1));
    digest(&errors);
    digest(&deep(tunnelling, 65_000));
}

/// ICMP, TCP, UDP, IPv6's extensions and its ICMP, and protocols inside which IP may come again.
const PROTOCOLS: [u8; 13] = [1, 6, 17, 0, 43, 44, 51, 60, 58, 4, 41, 47, 255];

/// A packet of IPv6 with `extensions`, the first of which is of the kind `next`.
fn extended(next: u8, extensions: &[u8]) -> Vec<u8> {
    let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
    [&[0x60, 0, 0, 0, length[0], length[1], next, 64][..], &[0xfd; 32], extensions].concat()
}

#[test]
fn a_chain_of_extensions_that_ends_early_is_read_as_far_as_it_goes() {
    // 0 hop by hop, 43 routing, 44 fragment, 51 authentication, 60 destination options; each also as what the one before announces.
    for next in [0, 43, 44, 51, 60] {
        digest(&extended(next, &[]));
        digest(&extended(next, &[next, 0, 0, 0]));
        let fragment = extended(44, &[next, 0, 0x05, 0xa8, 0, 0, 0, 1]);
        let decoded = Decoded::ip(&fragment);
        assert_eq!(decoded.as_ip().map(|ip| ip.transport.clone()), Some(Transport::Fragment(181 * 8)), "before {next}");
        digest(&fragment);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        digest(&bytes);
    }

    #[test]
    fn what_is_almost_a_packet_is_taken(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_usize..8,
        protocol in prop::sample::select(&PROTOCOLS[..]), wrapped in 0_u8..3, changed in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>()) {
        const TYPES: [[u8; 2]; 8] = [[8, 0], [0x86, 0xdd], [8, 6], [0x81, 0], [0x88, 0xa8], [0x88, 0xe5], [8, 0], [0x86, 0xdd]];
        let mut frame = [&[2; 12][..], &TYPES[kind]].concat();
        if let Some(first) = bytes.first_mut() {
            // A version and a length of header that fit the type.
            *first = if kind % 2 == 0 { 0x45 } else { 0x60 | *first & 0xf };
        }
        if let Some(byte) = bytes.get_mut(if kind % 2 == 0 { 9 } else { 6 }) {
            *byte = protocol;
        }
        frame.extend(bytes);
        for _ in 0..wrapped {
            frame = if wrapped == 1 { tunnelling(&frame) } else { tunnelling(&[&[2; 12][..], &[8, 0], &quoting(&frame)].concat()) };
        }
        let place = changed.index(frame.len());
        frame[place] = with;
        digest(&frame);
        digest(&frame[..cut.index(frame.len())]);
    }
}
