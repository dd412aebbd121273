//! The header fields that have names.

use super::expr::PayloadBase;
use super::types::DataType as T;

/// A field of a protocol's header.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Template {
    pub(crate) base: PayloadBase,
    pub(crate) protocol: &'static str,
    pub(crate) field: &'static str,
    /// Bits from the header's start.
    pub(crate) offset: u32,
    pub(crate) bits: u32,
    pub(crate) data_type: T,
}

macro_rules! headers {
    ($($name:ident $protocol:literal $base:ident { $($field:literal $offset:literal $bits:literal $data_type:ident)* })*) => {
        $(
            const $name: &[Template] = &[$(Template {
                base: PayloadBase::$base, protocol: $protocol, field: $field, offset: $offset, bits: $bits, data_type: T::$data_type,
            }),*];
        )*
        const HEADERS: &[&[Template]] = &[$($name),*];
    };
}

headers! {
    ETHER "ether" LINK { "daddr" 0 48 EtherAddress "saddr" 48 48 EtherAddress "type" 96 16 EtherType }
    VLAN "vlan" LINK { "pcp" 112 3 Integer "dei" 115 1 Integer "id" 116 12 Integer "type" 128 16 EtherType }
    ARP "arp" NETWORK {
        "htype" 0 16 Integer "ptype" 16 16 EtherType "hlen" 32 8 Integer "plen" 40 8 Integer "operation" 48 16 ArpOperation
        "saddr ether" 64 48 EtherAddress "saddr ip" 112 32 Ipv4 "daddr ether" 144 48 EtherAddress "daddr ip" 192 32 Ipv4
    }
    IP "ip" NETWORK {
        "version" 0 4 Integer "hdrlength" 4 4 Integer "dscp" 8 6 Dscp "ecn" 14 2 Ecn "length" 16 16 Integer "id" 32 16 Integer
        "frag-off" 48 16 Integer "ttl" 64 8 Integer "protocol" 72 8 Protocol "checksum" 80 16 Integer "saddr" 96 32 Ipv4 "daddr" 128 32 Ipv4
    }
    IP6 "ip6" NETWORK {
        "version" 0 4 Integer "dscp" 4 6 Dscp "ecn" 10 2 Ecn "flowlabel" 12 20 Integer "length" 32 16 Integer "nexthdr" 48 8 Protocol
        "hoplimit" 56 8 Integer "saddr" 64 128 Ipv6 "daddr" 192 128 Ipv6
    }
    ICMP "icmp" TRANSPORT {
        "type" 0 8 IcmpType "code" 8 8 IcmpCode "checksum" 16 16 Integer "id" 32 16 Integer "sequence" 48 16 Integer "mtu" 48 16 Integer
        "gateway" 32 32 Integer
    }
    ICMPV6 "icmpv6" TRANSPORT {
        "type" 0 8 Icmpv6Type "code" 8 8 Icmpv6Code "checksum" 16 16 Integer "id" 32 16 Integer "sequence" 48 16 Integer
        "mtu" 32 32 Integer
    }
    IGMP "igmp" TRANSPORT { "type" 0 8 IgmpType "mrt" 8 8 Integer "checksum" 16 16 Integer "group" 32 32 Ipv4 }
    TCP "tcp" TRANSPORT {
        "sport" 0 16 Service "dport" 16 16 Service "sequence" 32 32 Integer "ackseq" 64 32 Integer "doff" 96 4 Integer
        "reserved" 100 4 Integer "flags" 104 8 TcpFlag "window" 112 16 Integer "checksum" 128 16 Integer "urgptr" 144 16 Integer
    }
    UDP "udp" TRANSPORT { "sport" 0 16 Service "dport" 16 16 Service "length" 32 16 Integer "checksum" 48 16 Integer }
    UDPLITE "udplite" TRANSPORT { "sport" 0 16 Service "dport" 16 16 Service "checksum" 48 16 Integer }
    SCTP "sctp" TRANSPORT { "sport" 0 16 Service "dport" 16 16 Service "vtag" 32 32 Integer "checksum" 64 32 Integer }
    DCCP "dccp" TRANSPORT { "sport" 0 16 Service "dport" 16 16 Service }
    ESP "esp" TRANSPORT { "spi" 0 32 Integer "sequence" 32 32 Integer }
    AH "ah" TRANSPORT { "hdrlength" 8 8 Integer "reserved" 16 16 Integer "spi" 32 32 Integer "sequence" 64 32 Integer }
    TH "th" TRANSPORT { "sport" 0 16 Service "dport" 16 16 Service }
}

/// The field of that name, such as `("tcp", "dport")`.
pub(crate) fn field(protocol: &str, field: &str) -> Option<&'static Template> {
    header(protocol)?.iter().find(|template| template.field == field)
}

/// All named fields of a protocol's header, in their order.
pub(crate) fn header(protocol: &str) -> Option<&'static [Template]> {
    HEADERS.iter().copied().find(|header| header.first().is_some_and(|template| template.protocol == protocol))
}

/// The name of a transport protocol whose fields are known.
pub(crate) fn transport(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "icmp",
        2 => "igmp",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        132 => "sctp",
        136 => "udplite",
        _ => return None,
    })
}

pub(crate) fn transport_number(name: &str) -> Option<u8> {
    (0..=u8::MAX).find(|number| transport(*number) == Some(name))
}

/// The network protocol of an Ethernet type.
pub(crate) fn network(ether_type: u16) -> Option<&'static str> {
    Some(match ether_type {
        0x0800 => "ip",
        0x0806 => "arp",
        0x86dd => "ip6",
        _ => return None,
    })
}
