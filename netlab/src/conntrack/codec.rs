//! Connections to ctnetlink's attributes and back. The numbers are those of include/uapi/linux/netfilter/nfnetlink_conntrack.h.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::connection::Connection;
use super::status::Status;
use super::tuple::{Part, Tuple};
use crate::nft::Hits;
use crate::nft::message::Message;
use crate::nft::wire::{Writer, attribute};

const ICMP: u8 = 1;
const GRE: u8 = 47;
const ICMPV6: u8 = 58;

/// `TCP_CONNTRACK_*`, as the library behind conntrack(8) prints them.
const TCP: &[&str] =
    &["NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"];
const DCCP: &[&str] = &["NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE", "INVALID"];
const SCTP: &[&str] = &[
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
    "HEARTBEAT_ACKED",
];

/// The connection that a message describes, if it is one.
pub(super) fn read(message: &Message) -> Option<Connection> {
    let a = &message.attributes;
    let (protocol, original) = read_tuple(a, 1, 9)?;
    let (_, reply) = read_tuple(a, 2, 10)?;
    Some(Connection {
        protocol,
        timeout: attribute(a, 7),
        state: nested(a, 4).and_then(|info| read_state(&info)),
        original,
        reply,
        status: Status(attribute(a, 3).unwrap_or(0)),
        mark: attribute(a, 8),
        secctx: nested(a, 19).and_then(|context| attribute(&context, 1)),
        zone: attribute(a, 18),
        age: nested(a, 20).and_then(|times| attribute(&times, 1)).map(age),
        helper: nested(a, 5).and_then(|help| attribute(&help, 1)),
        uses: attribute(a, 11),
        id: attribute(a, 12),
    })
}

fn nested(attributes: &[u8], kind: u16) -> Option<Vec<u8>> {
    attribute(attributes, kind)
}

/// The protocol and one direction, whose counters are another attribute.
fn read_tuple(a: &[u8], kind: u16, counters: u16) -> Option<(u8, Tuple)> {
    let tuple = nested(a, kind)?;
    let (ip, part) = (nested(&tuple, 1)?, nested(&tuple, 2)?);
    let v4 = |kind| attribute::<[u8; 4]>(&ip, kind).map(IpAddr::from);
    let v6 = |kind| attribute::<[u8; 16]>(&ip, kind).map(IpAddr::from);
    let protocol = attribute(&part, 1)?;
    let counters =
        nested(a, counters).and_then(|counters| Some(Hits { packets: attribute(&counters, 1)?, bytes: attribute(&counters, 2)? }));
    let (src, dst) = (v4(1).or_else(|| v6(3))?, v4(2).or_else(|| v6(4))?);
    Some((protocol, Tuple { src, dst, part: read_part(protocol, &part), zone: attribute(&tuple, 3), counters }))
}

fn read_part(protocol: u8, part: &[u8]) -> Part {
    let icmp = |id, kind, code| Some(Part::Icmp { kind: attribute(part, kind)?, code: attribute(part, code)?, id: attribute(part, id)? });
    let ports = || {
        let (source, destination) = (attribute(part, 2)?, attribute(part, 3)?);
        Some(match protocol {
            GRE => Part::Keys { srckey: source, dstkey: destination },
            _ => Part::Ports { sport: source, dport: destination },
        })
    };
    match protocol {
        ICMP => icmp(4, 5, 6),
        ICMPV6 => icmp(7, 8, 9),
        _ => ports(),
    }
    .unwrap_or(Part::None)
}

fn read_state(info: &[u8]) -> Option<String> {
    [(1, TCP), (2, DCCP), (3, SCTP)].into_iter().find_map(|(kind, words)| {
        let number: u8 = attribute(&nested(info, kind)?, 1)?;
        Some(words.get(usize::from(number)).map_or_else(|| number.to_string(), |word| (*word).to_owned()))
    })
}

/// Seconds since the nanosecond `start` of Unix time: the difference of whole seconds, as conntrack(8) has it.
fn age(start: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs().saturating_sub(Duration::from_nanos(start).as_secs())
}

/// What names one connection among all.
pub(super) fn write_name(w: &mut Writer, connection: &Connection) {
    w.nest(1, |w| write_tuple(w, connection.protocol, &connection.original));
    if let Some(zone) = connection.zone {
        w.put(18, &zone);
    }
    if let Some(id) = connection.id {
        w.put(12, &id);
    }
}

fn write_tuple(w: &mut Writer, protocol: u8, tuple: &Tuple) {
    w.nest(1, |w| match (tuple.src, tuple.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            w.bytes(1, &src.octets());
            w.bytes(2, &dst.octets());
        }
        (src, dst) => {
            w.bytes(3, &v6(src));
            w.bytes(4, &v6(dst));
        }
    });
    w.nest(2, |w| {
        w.put(1, &protocol);
        match tuple.part {
            Part::None => {}
            Part::Ports { sport: source, dport: destination } | Part::Keys { srckey: source, dstkey: destination } => {
                w.put(2, &source);
                w.put(3, &destination);
            }
            Part::Icmp { kind, code, id } => {
                let first = if protocol == ICMP { 4 } else { 7 };
                w.put(first, &id);
                w.put(first + 1, &kind);
                w.put(first + 2, &code);
            }
        }
    });
    if let Some(zone) = tuple.zone {
        w.put(3, &zone);
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Attributes that look right from afar: types that mean something, nested as the kernel nests them, and lengths that may lie.
    fn attributes() -> impl Strategy<Value = Vec<u8>> {
        let leaf = proptest::collection::vec(any::<u8>(), 0..20).boxed();
        let number = prop_oneof![Just(1_usize), Just(2), Just(4), Just(8), Just(16)];
        let leaf = prop_oneof![leaf, number.prop_flat_map(|length| proptest::collection::vec(any::<u8>(), length))].boxed();
        let list = |value: BoxedStrategy<Vec<u8>>| {
            proptest::collection::vec((0_u16..27, value, prop_oneof![9 => Just(0_i16), 1 => -8_i16..8]), 0..12).prop_map(|all| {
                let mut bytes = Vec::new();
                for (kind, value, lie) in all {
                    bytes.extend((4 + value.len() as u16).wrapping_add_signed(lie).to_ne_bytes());
                    bytes.extend(kind.to_ne_bytes());
                    bytes.extend(value);
                    bytes.resize(bytes.len().next_multiple_of(4), 0);
                }
                bytes
            })
        };
        let inner = list(leaf.clone());
        let middle = list(prop_oneof![leaf.clone(), inner.boxed()].boxed());
        list(prop_oneof![leaf, middle.boxed()].boxed())
    }

    fn tuple() -> impl Strategy<Value = (u8, Tuple)> {
        let addresses = prop_oneof![
            any::<([u8; 4], [u8; 4])>().prop_map(|(src, dst)| (IpAddr::from(src), IpAddr::from(dst))),
            any::<([u8; 16], [u8; 16])>().prop_map(|(src, dst)| (IpAddr::from(src), IpAddr::from(dst))),
        ];
        let icmp = any::<(u8, u8, u16)>().prop_map(|(kind, code, id)| Part::Icmp { kind, code, id });
        let ports = any::<(u16, u16)>().prop_map(|(sport, dport)| Part::Ports { sport, dport });
        let keys = any::<(u16, u16)>().prop_map(|(srckey, dstkey)| Part::Keys { srckey, dstkey });
        let part = prop_oneof![
            (Just(ICMP), icmp.clone()),
            (Just(ICMPV6), icmp),
            (prop_oneof![Just(6), Just(17), Just(132)], ports),
            (Just(GRE), keys),
            (Just(50), Just(Part::None)),
        ];
        (addresses, part, any::<Option<u16>>())
            .prop_map(|((src, dst), (protocol, part), zone)| (protocol, Tuple { src, dst, part, zone, counters: None }))
    }

    fn message(attributes: Vec<u8>) -> Message {
        Message::of(1, 0, 2, attributes)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), attributes()]) {
            if let Some(connection) = read(&message(bytes)) {
                prop_assert!(connection.to_string().contains("src="));
                prop_assert!(!connection.rewriting().is_empty());
            }
        }

        #[test]
        fn what_is_around_a_good_tuple_makes_no_decoder_panic((protocol, tuple) in tuple(), mut bytes in attributes()) {
            let mut w = Writer::default();
            w.nest(1, |w| write_tuple(w, protocol, &tuple));
            w.nest(2, |w| write_tuple(w, protocol, &tuple));
            let mut good = w.finish().unwrap_or_default();
            good.append(&mut bytes);
            let connection = read(&message(good));
            prop_assert_eq!(connection.map(|found| (found.protocol, found.original.part, found.to_string().is_empty())),
                Some((protocol, tuple.part, false)));
        }

        #[test]
        fn a_tuple_that_is_written_reads_the_same((protocol, tuple) in tuple()) {
            let mut w = Writer::default();
            w.nest(1, |w| write_tuple(w, protocol, &tuple));
            prop_assert_eq!(read_tuple(&w.finish().unwrap_or_default(), 1, 9), Some((protocol, tuple)));
        }
    }
}
