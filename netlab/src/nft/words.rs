//! The words that nft prints for numbers: IANA's names, as nft and `/etc/protocols` write them.

type Words = &'static [(u64, &'static str)];

#[rustfmt::skip]
pub(crate) const PROTOCOLS: Words = &[
    (0, "ip"), (1, "icmp"), (2, "igmp"), (3, "ggp"), (4, "ipencap"), (5, "st"), (6, "tcp"), (8, "egp"), (9, "igp"), (12, "pup"), (17, "udp"),
    (20, "hmp"), (22, "xns-idp"), (27, "rdp"), (29, "iso-tp4"), (33, "dccp"), (36, "xtp"), (37, "ddp"), (38, "idpr-cmtp"), (41, "ipv6"),
    (43, "ipv6-route"), (44, "ipv6-frag"), (45, "idrp"), (46, "rsvp"), (47, "gre"), (50, "esp"), (51, "ah"), (57, "skip"),
    (58, "ipv6-icmp"), (59, "ipv6-nonxt"), (60, "ipv6-opts"), (73, "rspf"), (81, "vmtp"), (88, "eigrp"), (89, "ospf"), (93, "ax.25"),
    (94, "ipip"), (97, "etherip"), (98, "encap"), (103, "pim"), (108, "ipcomp"), (112, "vrrp"), (115, "l2tp"), (124, "isis"), (132, "sctp"),
    (133, "fc"), (135, "mobility-header"), (136, "udplite"), (137, "mpls-in-ip"), (138, "manet"), (139, "hip"), (140, "shim6"),
    (141, "wesp"), (142, "rohc"), (143, "ethernet"),
];

#[rustfmt::skip]
pub(crate) const ICMP_TYPES: Words = &[
    (0, "echo-reply"), (3, "destination-unreachable"), (4, "source-quench"), (5, "redirect"), (8, "echo-request"),
    (9, "router-advertisement"), (10, "router-solicitation"), (11, "time-exceeded"), (12, "parameter-problem"), (13, "timestamp-request"),
    (14, "timestamp-reply"), (15, "info-request"), (16, "info-reply"), (17, "address-mask-request"), (18, "address-mask-reply"),
];

#[rustfmt::skip]
pub(crate) const ICMPV6_TYPES: Words = &[
    (1, "destination-unreachable"), (2, "packet-too-big"), (3, "time-exceeded"), (4, "parameter-problem"), (128, "echo-request"),
    (129, "echo-reply"), (130, "mld-listener-query"), (131, "mld-listener-report"), (132, "mld-listener-done"), (133, "nd-router-solicit"),
    (134, "nd-router-advert"), (135, "nd-neighbor-solicit"), (136, "nd-neighbor-advert"), (137, "nd-redirect"), (138, "router-renumbering"),
    (141, "ind-neighbor-solicit"), (142, "ind-neighbor-advert"), (143, "mld2-listener-report"),
];

#[rustfmt::skip]
pub(crate) const ICMP_CODES: Words = &[
    (0, "net-unreachable"), (1, "host-unreachable"), (2, "prot-unreachable"), (3, "port-unreachable"), (4, "frag-needed"),
    (9, "net-prohibited"), (10, "host-prohibited"), (13, "admin-prohibited"),
];

pub(crate) const ICMPV6_CODES: Words =
    &[(0, "no-route"), (1, "admin-prohibited"), (3, "addr-unreachable"), (4, "port-unreachable"), (5, "policy-fail"), (6, "reject-route")];

pub(crate) const ICMPX_CODES: Words = &[(0, "no-route"), (1, "port-unreachable"), (2, "host-unreachable"), (3, "admin-prohibited")];

#[rustfmt::skip]
pub(crate) const DSCP: Words = &[
    (0, "cs0"), (8, "cs1"), (16, "cs2"), (24, "cs3"), (32, "cs4"), (40, "cs5"), (48, "cs6"), (56, "cs7"), (1, "lephb"), (10, "af11"),
    (12, "af12"), (14, "af13"), (18, "af21"), (20, "af22"), (22, "af23"), (26, "af31"), (28, "af32"), (30, "af33"), (34, "af41"),
    (36, "af42"), (38, "af43"), (46, "ef"), (44, "va"),
];

#[rustfmt::skip]
pub(crate) const IGMP_TYPES: Words = &[
    (0x11, "membership-query"), (0x12, "membership-report-v1"), (0x16, "membership-report-v2"), (0x22, "membership-report-v3"),
    (0x17, "leave-group"),
];

#[rustfmt::skip]
pub(crate) const ADDRESS_TYPES: Words = &[
    (0, "unspec"), (1, "unicast"), (2, "local"), (3, "broadcast"), (4, "anycast"), (5, "multicast"), (6, "blackhole"), (7, "unreachable"),
    (8, "prohibit"),
];

#[rustfmt::skip]
pub(crate) const HARDWARE: Words = &[
    (1, "ether"), (512, "ppp"), (768, "ipip"), (769, "ipip6"), (772, "loopback"), (776, "sit"), (778, "ipgre"),
];

/// The levels of a syslog message. nft leaves out `warn`.
pub(crate) const LOG_LEVELS: &[&str] = &["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit"];
