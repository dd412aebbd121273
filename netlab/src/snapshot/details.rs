//! What `-d` adds to `ip link`: tables of attributes in iproute2's order, and how each is written.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Names;
use super::wire::{Attributes, Value, colons};

const IFLA_AF_SPEC: u16 = 26;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;

/// The kind of a link or of a port, and its settings in iproute2's order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Details {
    /// The kind, such as `bridge` or `bridge_slave`.
    pub kind: String,
    /// The settings; none for a kind whose settings netlab does not read.
    pub settings: Vec<Setting>,
}

/// A word of `ip -d link` and its value, which is empty where the word says it all (`nolearning`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Setting {
    /// The word, such as `forward_delay`.
    pub name: String,
    /// The value as iproute2 writes it.
    pub value: String,
}

impl Details {
    /// The value of a setting, such as that of `forward_delay`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|setting| setting.name == name).map(|setting| setting.value.as_str())
    }
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        self.settings.iter().try_for_each(|setting| write!(f, " {setting}"))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.value.is_empty() { Ok(()) } else { write!(f, " {}", self.value) }
    }
}

impl Setting {
    pub(super) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// One attribute: its number, its word, and how its value becomes text (none: it is not shown).
type Row = (u16, &'static str, fn(Value<'_>) -> Option<String>);

fn read(attributes: Attributes<'_>, rows: &[Row]) -> Vec<Setting> {
    let setting = |(number, name, write): &Row| Some(Setting::new(*name, write(attributes.get(*number)?)?));
    rows.iter().filter_map(setting).collect()
}

/// The rest of the line of the MAC address. There are two spaces behind the promiscuity.
pub(super) fn limits(link: Attributes<'_>) -> Vec<Setting> {
    read(link, &[(30, "promiscuity", |v| Some(format!("{} ", v.u32()?))), (61, "allmulti", u32), (50, "minmtu", u32), (51, "maxmtu", u32)])
}

/// What comes last.
pub(super) fn queues(link: Attributes<'_>) -> Vec<Setting> {
    const AF_INET6: u16 = 10;
    const ROWS: &[Row] = &[
        (31, "numtxqueues", u32),
        (32, "numrxqueues", u32),
        (41, "gso_max_size", u32),
        (40, "gso_max_segs", u32),
        (59, "tso_max_size", u32),
        (60, "tso_max_segs", u32),
        (58, "gro_max_size", u32),
    ];
    let mut all = read(link.nested(IFLA_AF_SPEC).nested(AF_INET6), &[(8, "addrgenmode", address_generation)]);
    all.extend(read(link, ROWS));
    all
}

/// The kind of link and its settings.
pub(super) fn kind(info: Attributes<'_>, names: &Names) -> Option<Details> {
    let kind = info.text(IFLA_INFO_KIND)?;
    let data = info.nested(IFLA_INFO_DATA);
    let settings = match kind.as_str() {
        "bridge" => read(data, BRIDGE),
        "macvlan" | "macvtap" => macvlan(data),
        "tun" => tun(data),
        "vxlan" => vxlan(data, names),
        _ => Vec::new(),
    };
    Some(Details { kind, settings })
}

/// What the link is as the port of another.
pub(super) fn port(info: Attributes<'_>) -> Option<Details> {
    let kind = info.text(IFLA_INFO_SLAVE_KIND)?;
    let settings = if kind == "bridge" { read(info.nested(IFLA_INFO_SLAVE_DATA), BRIDGE_PORT) } else { Vec::new() };
    Some(Details { kind: format!("{kind}_slave"), settings })
}

const BRIDGE: &[Row] = &[
    (1, "forward_delay", u32),
    (2, "hello_time", u32),
    (3, "max_age", u32),
    (4, "ageing_time", u32),
    (5, "stp_state", u32),
    (6, "priority", u16),
    (7, "vlan_filtering", u8),
    (8, "vlan_protocol", |v| {
        Some(match v.be16()? {
            0x8100 => "802.1Q".to_owned(),
            0x88a8 => "802.1ad".to_owned(),
            other => format!("[{other}]"),
        })
    }),
    (11, "bridge_id", bridge_id),
    (10, "designated_root", bridge_id),
    (12, "root_port", u16),
    (13, "root_path_cost", u32),
    (14, "topology_change", u8),
    (15, "topology_change_detected", u8),
    (16, "hello_timer", timer),
    (17, "tcn_timer", timer),
    (18, "topology_change_timer", timer),
    (19, "gc_timer", timer),
    (39, "vlan_default_pvid", u16),
    (41, "vlan_stats_enabled", u8),
    (45, "vlan_stats_per_port", u8),
    (9, "group_fwd_mask", |v| v.u16().map(hexadecimal)),
    (20, "group_address", |v| Some(colons(v.0))),
    (23, "mcast_snooping", u8),
    (46, "no_linklocal_learn", |v| bit(v, 0)),
    (46, "mcast_vlan_snooping", |v| bit(v, 1)),
    (22, "mcast_router", u8),
    (24, "mcast_query_use_ifaddr", u8),
    (25, "mcast_querier", u8),
    (26, "mcast_hash_elasticity", u32),
    (27, "mcast_hash_max", u32),
    (28, "mcast_last_member_count", u32),
    (29, "mcast_startup_query_count", u32),
    (30, "mcast_last_member_interval", u64),
    (31, "mcast_membership_interval", u64),
    (32, "mcast_querier_interval", u64),
    (33, "mcast_query_interval", u64),
    (34, "mcast_query_response_interval", u64),
    (35, "mcast_startup_query_interval", u64),
    (42, "mcast_stats_enabled", u8),
    (43, "mcast_igmp_version", u8),
    (44, "mcast_mld_version", u8),
    (36, "nf_call_iptables", u8),
    (37, "nf_call_ip6tables", u8),
    (38, "nf_call_arptables", u8),
];

const BRIDGE_PORT: &[Row] = &[
    (1, "state", |v| {
        const WORDS: [&str; 5] = ["disabled", "listening", "learning", "forwarding", "blocking"];
        let state = v.u8()?;
        Some(WORDS.get(usize::from(state)).map_or_else(|| format!("({state})"), |word| (*word).to_owned()))
    }),
    (2, "priority", u16),
    (3, "cost", u32),
    (4, "hairpin", on_off),
    (5, "guard", on_off),
    (6, "root_block", on_off),
    (7, "fastleave", on_off),
    (8, "learning", on_off),
    (9, "flood", on_off),
    (17, "port_id", |v| Some(format!("{:#x}", v.u16()?))),
    (18, "port_no", |v| Some(format!("{:#x}", v.u16()?))),
    (15, "designated_port", u16),
    (16, "designated_cost", u16),
    (14, "designated_bridge", bridge_id),
    (13, "designated_root", bridge_id),
    (23, "hold_timer", timer),
    (21, "message_age_timer", timer),
    (22, "forward_delay_timer", timer),
    (19, "topology_change_ack", u8),
    (20, "config_pending", u8),
    (10, "proxy_arp", on_off),
    (12, "proxy_arp_wifi", on_off),
    (25, "mcast_router", u8),
    (7, "mcast_fast_leave", on_off),
    (27, "mcast_flood", on_off),
    (30, "bcast_flood", on_off),
    (28, "mcast_to_unicast", on_off),
    (32, "neigh_suppress", on_off),
    (31, "group_fwd_mask", |v| v.u16().map(hexadecimal)),
    (31, "group_fwd_mask_str", |v| v.u16().map(reserved_groups)),
    (29, "vlan_tunnel", on_off),
    (33, "isolated", on_off),
    (39, "locked", on_off),
];

fn macvlan(data: Attributes<'_>) -> Vec<Setting> {
    const NOPROMISC: u16 = 1;
    let mut all = read(
        data,
        &[
            (1, "mode", |v| {
                let word = match v.u32()? {
                    1 => "private",
                    2 => "vepa",
                    4 => "bridge",
                    8 => "passthru",
                    16 => "source",
                    other => return Some(other.to_string()),
                };
                Some(word.to_owned())
            }),
            (2, "nopromisc", |v| if v.u16()? & NOPROMISC == 0 { None } else { word() }),
            (7, "bcqueuelen", u32),
            (8, "usedbcqueuelen", u32),
        ],
    );
    let sources: Vec<_> = data.nested(5).filter(|(kind, _)| *kind == 4).map(|(_, mac)| colons(mac.0)).collect();
    if !sources.is_empty() {
        all.push(Setting::new("remotes", format!("({}) {}", sources.len(), sources.join(" "))));
    }
    all
}

fn tun(data: Attributes<'_>) -> Vec<Setting> {
    let multi_queue = data.u8(7).is_some_and(|on| on != 0);
    let mut all = read(
        data,
        &[
            (3, "type", |v| {
                Some(match v.u8()? {
                    1 => "tun".to_owned(),
                    2 => "tap".to_owned(),
                    other => format!("UNKNOWN:{other}"),
                })
            }),
            (4, "pi", on_off),
            (5, "vnet_hdr", on_off),
            (7, "multi_queue", flag),
        ],
    );
    if multi_queue {
        all.extend(read(data, &[(8, "numqueues", u32), (9, "numdisabled", u32)]));
    }
    all.extend(read(data, &[(6, "persist", on_off), (1, "user", owner), (2, "group", owner)]));
    all
}

fn vxlan(data: Attributes<'_>, names: &Names) -> Vec<Setting> {
    let mut all = read(data, &[(25, "external", flag), (30, "vnifilter", flag), (1, "id", u32)]);
    // iproute2 6.1 forgets the space between these two words.
    if let [.., vnifilter, id] = all.as_mut_slice()
        && vnifilter.name == "vnifilter"
    {
        vnifilter.name.push_str(&id.name);
        vnifilter.value = std::mem::take(&mut id.value);
        all.pop();
    }
    let far = data.ip(2).or_else(|| data.ip(16)).filter(|ip| !ip.is_unspecified());
    let near = data.ip(4).or_else(|| data.ip(17)).filter(|ip| !ip.is_unspecified());
    all.extend(far.map(|ip: IpAddr| Setting::new(if ip.is_multicast() { "group" } else { "remote" }, ip.to_string())));
    all.extend(near.map(|ip| Setting::new("local", ip.to_string())));
    all.extend(data.u32(3).filter(|index| *index != 0).map(|index| Setting::new("dev", names.of(index))));
    all.extend(read(
        data,
        &[
            (10, "srcport", |v| Some(format!("{} {}", v.be16()?, Value(v.0.get(2..)?).be16()?))),
            (15, "dstport", |v| Some(v.be16()?.to_string())),
            (7, "nolearning", unless),
            (11, "proxy", flag),
            (12, "rsc", flag),
            (13, "l2miss", flag),
            (14, "l3miss", flag),
            (6, "tos", |v| match v.u8()? {
                0 => None,
                1 => Some("inherit".to_owned()),
                tos => Some(format!("{tos:#x}")),
            }),
        ],
    ));
    let ttl = match (data.u8(28), data.u8(5)) {
        (Some(1..), _) => "inherit".to_owned(),
        (_, None | Some(0)) => "auto".to_owned(),
        (_, Some(ttl)) => ttl.to_string(),
    };
    all.push(Setting::new("ttl", ttl));
    all.extend(read(data, VXLAN_REST));
    all
}

const VXLAN_REST: &[Row] = &[
    (29, "df", |v| match v.u8()? {
        0 => None,
        1 => Some("set".to_owned()),
        2 => Some("inherit".to_owned()),
        _ => None,
    }),
    (26, "flowlabel", |v| v.be32().filter(|label| *label != 0).map(|label| format!("{label:#x}"))),
    (8, "ageing", |v| Some(v.u32().filter(|age| *age != 0).map_or_else(|| "none".to_owned(), |age| age.to_string()))),
    (9, "maxaddr", |v| v.u32().filter(|max| *max != 0).map(|max| max.to_string())),
    (18, "udpcsum", flag),
    (18, "noudpcsum", unless),
    (19, "udp6zerocsumtx", flag),
    (19, "noudp6zerocsumtx", unless),
    (20, "udp6zerocsumrx", flag),
    (20, "noudp6zerocsumrx", unless),
    (21, "remcsumtx", flag),
    (22, "remcsumrx", flag),
    (23, "gbp", |_| word()),
    (27, "gpe", |_| word()),
];

fn u8(value: Value<'_>) -> Option<String> {
    value.u8().map(|n| n.to_string())
}

fn u16(value: Value<'_>) -> Option<String> {
    value.u16().map(|n| n.to_string())
}

fn u32(value: Value<'_>) -> Option<String> {
    value.u32().map(|n| n.to_string())
}

fn u64(value: Value<'_>) -> Option<String> {
    value.u64().map(|n| n.to_string())
}

fn on_off(value: Value<'_>) -> Option<String> {
    value.u8().map(|on| if on == 0 { "off" } else { "on" }.to_owned())
}

/// The bare word.
fn word() -> Option<String> {
    Some(String::new())
}

/// The bare word if the value is true.
fn flag(value: Value<'_>) -> Option<String> {
    value.u8().filter(|on| *on != 0).and_then(|_| word())
}

/// The bare word if the value is false.
fn unless(value: Value<'_>) -> Option<String> {
    value.u8().filter(|on| *on == 0).and_then(|_| word())
}

/// `struct br_boolopt_multi`: the values' bits come first.
fn bit(value: Value<'_>, n: u32) -> Option<String> {
    value.u32().map(|bits| (bits >> n & 1).to_string())
}

/// As C's `%#x`, which writes no prefix before zero.
fn hexadecimal(number: u16) -> String {
    if number == 0 { "0".to_owned() } else { format!("{number:#x}") }
}

/// The link-local groups 01-80-C2-00-00-0X that a port forwards, some by name.
fn reserved_groups(mask: u16) -> String {
    let name = |bit: u16| match bit {
        0 => "stp".to_owned(),
        2 => "lacp".to_owned(),
        14 => "lldp".to_owned(),
        _ => format!("{:#x}", 1u16 << bit),
    };
    let names: Vec<_> = (0..16).filter(|bit| mask >> bit & 1 == 1).map(name).collect();
    if names.is_empty() { "0x0".to_owned() } else { names.join(",") }
}

/// `struct ifla_bridge_id`: priority and MAC address, the latter without leading zeros.
fn bridge_id(value: Value<'_>) -> Option<String> {
    let [p0, p1, mac @ ..] = value.0.first_chunk::<8>()?;
    let mac: Vec<_> = mac.iter().map(|byte| format!("{byte:x}")).collect();
    Some(format!("{p0:02x}{p1:02x}.{}", mac.join(":")))
}

/// Hundredths of a second.
fn timer(value: Value<'_>) -> Option<String> {
    value.u64().map(|hundredths| format!("{:4}.{:02}", hundredths / 100, hundredths % 100))
}

/// A user or group by number, but for root: the machine's user names do not belong into a text that is the same on every machine.
fn owner(value: Value<'_>) -> Option<String> {
    value.u32().map(|id| if id == 0 { "root".to_owned() } else { id.to_string() })
}

fn address_generation(value: Value<'_>) -> Option<String> {
    let word = match value.u8()? {
        0 => "eui64",
        1 => "none",
        2 => "stable_secret",
        3 => "random",
        other => return Some(format!("{other:#x}")),
    };
    Some(word.to_owned())
}
