//! nft's data types: what kind of value a key has, how many bytes, and the words that nft prints for it.

/// A data type, numbered as nft numbers them in the keys of sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub(crate) enum DataType {
    Verdict = 1,
    NfProto = 2,
    Bitmask = 3,
    Integer = 4,
    String = 5,
    LinkAddress = 6,
    Ipv4 = 7,
    Ipv6 = 8,
    EtherAddress = 9,
    EtherType = 10,
    ArpOperation = 11,
    Protocol = 12,
    Service = 13,
    IcmpType = 14,
    TcpFlag = 15,
    Time = 18,
    Mark = 19,
    IfIndex = 20,
    ArpHardware = 21,
    Realm = 22,
    ClassId = 23,
    Uid = 24,
    Gid = 25,
    CtState = 26,
    CtDirection = 27,
    CtStatus = 28,
    Icmpv6Type = 29,
    CtLabel = 30,
    PacketType = 31,
    IcmpCode = 32,
    Icmpv6Code = 33,
    IcmpxCode = 34,
    DeviceGroup = 35,
    Dscp = 36,
    Ecn = 37,
    FibAddressType = 38,
    Boolean = 39,
    IfName = 41,
    IgmpType = 42,
}

use DataType as T;

/// Type, nft's name of it in `type …`, bytes (0: varies), whether its values are kept in host byte order.
const TYPES: &[(DataType, &str, usize, bool)] = &[
    (T::Verdict, "verdict", 0, false),
    (T::NfProto, "nf_proto", 1, true),
    (T::Bitmask, "bitmask", 0, true),
    (T::Integer, "integer", 0, false),
    (T::String, "string", 0, false),
    (T::LinkAddress, "ll_addr", 0, false),
    (T::Ipv4, "ipv4_addr", 4, false),
    (T::Ipv6, "ipv6_addr", 16, false),
    (T::EtherAddress, "ether_addr", 6, false),
    (T::EtherType, "ether_type", 2, false),
    (T::ArpOperation, "arp_op", 2, false),
    (T::Protocol, "inet_proto", 1, false),
    (T::Service, "inet_service", 2, false),
    (T::IcmpType, "icmp_type", 1, false),
    (T::TcpFlag, "tcp_flag", 1, false),
    (T::Time, "time", 8, true),
    (T::Mark, "mark", 4, true),
    (T::IfIndex, "iface_index", 4, true),
    (T::ArpHardware, "iface_type", 2, true),
    (T::Realm, "realm", 4, true),
    (T::ClassId, "classid", 4, true),
    (T::Uid, "uid", 4, true),
    (T::Gid, "gid", 4, true),
    (T::CtState, "ct_state", 4, true),
    (T::CtDirection, "ct_dir", 1, true),
    (T::CtStatus, "ct_status", 4, true),
    (T::Icmpv6Type, "icmpv6_type", 1, false),
    (T::CtLabel, "ct_label", 16, true),
    (T::PacketType, "pkt_type", 1, true),
    (T::IcmpCode, "icmp_code", 1, false),
    (T::Icmpv6Code, "icmpv6_code", 1, false),
    (T::IcmpxCode, "icmpx_code", 1, false),
    (T::DeviceGroup, "devgroup", 4, true),
    (T::Dscp, "dscp", 1, false),
    (T::Ecn, "ecn", 1, false),
    (T::FibAddressType, "fib_addrtype", 4, true),
    (T::Boolean, "boolean", 1, true),
    (T::IfName, "ifname", 16, true),
    (T::IgmpType, "igmp_type", 1, false),
];

/// Bits that one type takes in the number of a concatenation.
const CONCAT_BITS: u32 = 6;

impl DataType {
    fn row(self) -> &'static (DataType, &'static str, usize, bool) {
        TYPES.iter().find(|row| row.0 == self).unwrap_or(&TYPES[3])
    }

    pub(crate) fn number(self) -> u32 {
        self as u32
    }

    /// The name in a set's declaration, such as `ipv4_addr`.
    pub(crate) fn name(self) -> &'static str {
        self.row().1
    }

    /// Bytes of a value, where the type says it.
    pub(crate) fn bytes(self) -> Option<usize> {
        Some(self.row().2).filter(|bytes| *bytes != 0)
    }

    /// Whether values are in host byte order. Names are text: their order is that of their characters.
    pub(crate) fn is_host_order(self) -> bool {
        self.row().3 && self != T::IfName
    }

    /// A number for a concatenation of types.
    pub(crate) fn concat(types: &[DataType]) -> u32 {
        types.iter().fold(0, |number, one| number << CONCAT_BITS | one.number())
    }

    /// The types of a concatenation, which a single type is too.
    pub(crate) fn split(mut number: u32) -> Vec<DataType> {
        let mut types = Vec::new();
        while number != 0 {
            let one = number & ((1 << CONCAT_BITS) - 1);
            types.push(TYPES.iter().find(|row| row.0.number() == one).map_or(T::Integer, |row| row.0));
            number >>= CONCAT_BITS;
        }
        types.reverse();
        types
    }

    /// Whether each bit of a value has a name.
    pub(crate) fn is_flags(self) -> bool {
        matches!(self, T::CtState | T::CtStatus | T::TcpFlag | T::CtLabel)
    }

    /// Whether nft writes an aligned range as `VALUE/LENGTH`.
    pub(crate) fn has_prefixes(self) -> bool {
        matches!(self, T::Ipv4 | T::Ipv6 | T::Mark | T::Realm | T::DeviceGroup | T::ClassId)
    }

    /// The words for values.
    pub(crate) fn words(self) -> &'static [(u64, &'static str)] {
        match self {
            T::NfProto => &[(2, "ipv4"), (10, "ipv6")],
            T::EtherType => &[(0x800, "ip"), (0x806, "arp"), (0x86dd, "ip6"), (0x8100, "8021q"), (0x88a8, "8021ad")],
            T::ArpOperation => {
                &[(1, "request"), (2, "reply"), (3, "rrequest"), (4, "rreply"), (8, "inrequest"), (9, "inreply"), (10, "nak")]
            }
            T::Protocol => super::words::PROTOCOLS,
            T::IcmpType => super::words::ICMP_TYPES,
            T::Icmpv6Type => super::words::ICMPV6_TYPES,
            T::IcmpCode => super::words::ICMP_CODES,
            T::Icmpv6Code => super::words::ICMPV6_CODES,
            T::IcmpxCode => super::words::ICMPX_CODES,
            T::Dscp => super::words::DSCP,
            T::IgmpType => super::words::IGMP_TYPES,
            T::FibAddressType => super::words::ADDRESS_TYPES,
            T::ArpHardware => super::words::HARDWARE,
            T::TcpFlag => {
                &[(0x01, "fin"), (0x02, "syn"), (0x04, "rst"), (0x08, "psh"), (0x10, "ack"), (0x20, "urg"), (0x40, "ecn"), (0x80, "cwr")]
            }
            T::CtState => &[(1, "invalid"), (2, "established"), (4, "related"), (8, "new"), (64, "untracked")],
            T::CtStatus => &[
                (0x01, "expected"),
                (0x02, "seen-reply"),
                (0x04, "assured"),
                (0x08, "confirmed"),
                (0x10, "snat"),
                (0x20, "dnat"),
                (0x200, "dying"),
            ],
            T::CtDirection => &[(0, "original"), (1, "reply")],
            T::PacketType => &[(0, "host"), (1, "broadcast"), (2, "multicast"), (3, "other")],
            T::Ecn => &[(0, "not-ect"), (1, "ect1"), (2, "ect0"), (3, "ce")],
            T::Boolean => &[(0, "missing"), (1, "exists")],
            _ => &[],
        }
    }

    /// The word for a value.
    pub(crate) fn word(self, value: u64) -> Option<&'static str> {
        self.words().iter().find(|(number, _)| *number == value).map(|(_, word)| *word)
    }
}
