//! nft's names of what the kernel knows about a packet, its connection and its route.

use super::expr::{CtKey, FibResult, MetaKey};
use super::types::DataType as T;

/// Name, type and size of one key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) data_type: T,
    pub(crate) bytes: usize,
}

const fn row(name: &'static str, data_type: T, bytes: usize) -> Row {
    Row { name, data_type, bytes }
}

/// `meta …`; the names of interfaces and their groups go without the word `meta`.
pub(crate) fn meta(key: MetaKey) -> Option<Row> {
    Some(match key {
        MetaKey::LENGTH => row("meta length", T::Integer, 4),
        MetaKey::PROTOCOL => row("meta protocol", T::EtherType, 2),
        MetaKey::PRIORITY => row("meta priority", T::ClassId, 4),
        MetaKey::MARK => row("meta mark", T::Mark, 4),
        MetaKey::IIF => row("iif", T::IfIndex, 4),
        MetaKey::OIF => row("oif", T::IfIndex, 4),
        MetaKey::IIFNAME => row("iifname", T::IfName, 16),
        MetaKey::OIFNAME => row("oifname", T::IfName, 16),
        MetaKey::IIFTYPE => row("meta iiftype", T::ArpHardware, 2),
        MetaKey::OIFTYPE => row("meta oiftype", T::ArpHardware, 2),
        MetaKey::SKUID => row("meta skuid", T::Uid, 4),
        MetaKey::SKGID => row("meta skgid", T::Gid, 4),
        MetaKey::NFTRACE => row("meta nftrace", T::Integer, 1),
        MetaKey::RTCLASSID => row("meta rtclassid", T::Realm, 4),
        MetaKey::NFPROTO => row("meta nfproto", T::NfProto, 1),
        MetaKey::L4PROTO => row("meta l4proto", T::Protocol, 1),
        MetaKey::IBRNAME => row("meta ibrname", T::IfName, 16),
        MetaKey::OBRNAME => row("meta obrname", T::IfName, 16),
        MetaKey::PKTTYPE => row("meta pkttype", T::PacketType, 1),
        MetaKey::CPU => row("meta cpu", T::Integer, 4),
        MetaKey::IIFGROUP => row("iifgroup", T::DeviceGroup, 4),
        MetaKey::OIFGROUP => row("oifgroup", T::DeviceGroup, 4),
        MetaKey::CGROUP => row("meta cgroup", T::Integer, 4),
        MetaKey::RANDOM => row("meta random", T::Integer, 4),
        MetaKey::SECPATH => row("meta ipsec", T::Boolean, 1),
        MetaKey::IIFKIND => row("meta iifkind", T::IfName, 16),
        MetaKey::OIFKIND => row("meta oifkind", T::IfName, 16),
        MetaKey::SDIF => row("meta sdif", T::IfIndex, 4),
        MetaKey::SDIFNAME => row("meta sdifname", T::IfName, 16),
        _ => return None,
    })
}

/// `ct …`, without the direction.
pub(crate) fn ct(key: CtKey) -> Option<Row> {
    Some(match key {
        CtKey::STATE => row("state", T::CtState, 4),
        CtKey::DIRECTION => row("direction", T::CtDirection, 1),
        CtKey::STATUS => row("status", T::CtStatus, 4),
        CtKey::MARK => row("mark", T::Mark, 4),
        CtKey::EXPIRATION => row("expiration", T::Time, 4),
        CtKey::HELPER => row("helper", T::String, 16),
        CtKey::L3PROTOCOL => row("l3proto", T::NfProto, 1),
        CtKey::SRC => row("saddr", T::Integer, 16),
        CtKey::DST => row("daddr", T::Integer, 16),
        CtKey::PROTOCOL => row("protocol", T::Protocol, 1),
        CtKey::PROTO_SRC => row("proto-src", T::Service, 2),
        CtKey::PROTO_DST => row("proto-dst", T::Service, 2),
        CtKey::LABELS => row("label", T::CtLabel, 16),
        CtKey::PACKETS => row("packets", T::Integer, 8),
        CtKey::BYTES => row("bytes", T::Integer, 8),
        CtKey::AVGPKT => row("avgpkt", T::Integer, 8),
        CtKey::ZONE => row("zone", T::Integer, 2),
        CtKey::SRC_IP => row("ip saddr", T::Ipv4, 4),
        CtKey::DST_IP => row("ip daddr", T::Ipv4, 4),
        CtKey::SRC_IP6 => row("ip6 saddr", T::Ipv6, 16),
        CtKey::DST_IP6 => row("ip6 daddr", T::Ipv6, 16),
        CtKey::ID => row("id", T::Integer, 4),
        _ => return None,
    })
}

/// `rt …`.
pub(crate) fn route(key: u32) -> Option<(&'static str, T)> {
    Some(match key {
        0 => ("rt classid", T::Realm),
        1 => ("rt ip nexthop", T::Ipv4),
        2 => ("rt ip6 nexthop", T::Ipv6),
        3 => ("rt mtu", T::Integer),
        4 => ("rt ipsec", T::Boolean),
        _ => return None,
    })
}

/// `socket …`.
pub(crate) fn socket(key: u32) -> Option<&'static str> {
    ["transparent", "mark", "wildcard", "cgroupv2"].get(key as usize).copied()
}

/// The words of `fib`'s tuple, by flag.
pub(crate) const FIB_FLAGS: &[(u32, &str)] = &[(1, "saddr"), (2, "daddr"), (4, "mark"), (8, "iif"), (16, "oif")];
/// `fib … check`: whether there is a route at all.
pub(crate) const FIB_PRESENT: u32 = 0x20;

pub(crate) fn fib_type(result: FibResult, flags: u32) -> T {
    match result {
        _ if flags & FIB_PRESENT != 0 => T::Boolean,
        FibResult::OIF => T::IfIndex,
        FibResult::OIFNAME => T::IfName,
        _ => T::FibAddressType,
    }
}
