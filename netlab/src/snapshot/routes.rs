//! `ip route`.

use std::fmt;
use std::net::IpAddr;
use std::panic::Location;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::details::Setting;
use super::normal::Normal;
use super::wire::{AF_INET, AF_INET6, AF_UNSPEC, Attributes, Raw, Value, prefix};
use super::{Addresses, Lifetime, Names, list, list_with_links, words};
use crate::error::{At, Error, Result};
use crate::netns::Netns;

const RTM_GETROUTE: u16 = 26;
const RT_TABLE_MAIN: u32 = 254;
const RTPROT_BOOT: u8 = 3;
const RTM_F_CLONED: u32 = 0x200;

const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_FLOW: u16 = 11;
const RTA_CACHEINFO: u16 = 12;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_PREF: u16 = 20;
const RTA_ENCAP_TYPE: u16 = 21;
const RTA_ENCAP: u16 = 22;
const RTA_NH_ID: u16 = 30;

const FLAGS: &[(u32, &str)] = &[
    (0x1, "dead"),
    (0x4, "onlink"),
    (0x2, "pervasive"),
    (0x8, "offload"),
    (0x40, "trap"),
    (0x100, "notify"),
    (0x10, "linkdown"),
    (0x20, "unresolved"),
    (0x4000, "rt_offload"),
    (0x8000, "rt_trap"),
    (0x2000_0000, "rt_offload_failed"),
];

/// Routes of a namespace; derefs to a slice of [`Route`]. It prints what `ip route` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// Whether these are the routes of all tables; their text names the table then.
    pub all_tables: bool,
    /// The routes in the kernel's order.
    pub routes: Vec<Route>,
}

/// One route: an entry of `ip route`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Route {
    /// What becomes of a packet that takes it.
    pub kind: RouteKind,
    /// The destination; `0.0.0.0/0` or `::/0` is the default route.
    pub dst: IpNet,
    /// The source prefix to which it is restricted (IPv6).
    pub from: Option<IpNet>,
    /// The type of service (DS field) to which it is restricted; 0: none.
    pub tos: u8,
    /// The encapsulation, as iproute2 writes it.
    pub encap: Option<String>,
    /// The id of its nexthop object.
    pub nhid: Option<u32>,
    /// The gateway.
    pub via: Option<IpAddr>,
    /// The interface.
    pub dev: Option<String>,
    /// The routing table; 254 is main, 255 local.
    pub table: u32,
    /// Who made it: `kernel`, `boot` (a person with `ip route`), `static`, …
    pub protocol: String,
    /// How far the destination is: `global`, `link`, `host`, …
    pub scope: String,
    /// The preferred source address.
    pub src: Option<IpAddr>,
    /// The metric; none is 0 in IPv4.
    pub metric: Option<u32>,
    /// The flags in iproute2's words and order, such as `onlink`, `linkdown`.
    pub flags: Vec<String>,
    /// The realms: the source's in the upper half, the destination's in the lower.
    pub realms: Option<u32>,
    /// How long it stays, if not for ever.
    pub expires: Option<Lifetime>,
    /// The error that it answers with, as a negative errno (IPv6).
    pub error: Option<i32>,
    /// `mtu`, `advmss`, …: values as iproute2 writes them, `lock 1400` for a locked one.
    pub metrics: Vec<Setting>,
    /// The nexthops of a multipath route.
    pub nexthops: Vec<Nexthop>,
    /// The preference of the router (RFC 4191): `low`, `medium`, `high`.
    pub pref: Option<String>,
}

/// One way of a multipath route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Nexthop {
    /// The encapsulation, as iproute2 writes it.
    pub encap: Option<String>,
    /// The gateway.
    pub via: Option<IpAddr>,
    /// The interface.
    pub dev: Option<String>,
    /// Its share of the traffic.
    pub weight: u32,
    /// The flags in iproute2's words and order, such as `onlink`, `dead`, `linkdown`.
    pub flags: Vec<String>,
    /// The realms: the source's in the upper half, the destination's in the lower.
    pub realms: Option<u32>,
}

/// What becomes of a packet that takes the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RouteKind {
    /// It is sent to the gateway or the interface.
    Unicast,
    /// It is for this machine.
    Local,
    /// It is a link-layer broadcast.
    Broadcast,
    /// It is for this machine, as the nearest of several.
    Anycast,
    /// It is a multicast.
    Multicast,
    /// It is dropped silently.
    Blackhole,
    /// It is dropped; the sender hears that the host is unreachable.
    Unreachable,
    /// It is dropped; the sender hears that it is forbidden.
    Prohibit,
    /// The lookup goes on in the next table.
    Throw,
    /// A kind that netlab has no word for.
    Other(u8),
}

impl RouteKind {
    fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Unicast,
            2 => Self::Local,
            3 => Self::Broadcast,
            4 => Self::Anycast,
            5 => Self::Multicast,
            6 => Self::Blackhole,
            7 => Self::Unreachable,
            8 => Self::Prohibit,
            9 => Self::Throw,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for RouteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(number) => write!(f, "{number}"),
            word => f.write_str(&format!("{word:?}").to_lowercase()),
        }
    }
}

/// Which routes to list: a table or all, of one family or both.
///
/// | | equals |
/// |---|---|
/// | `RouteQuery::main()` | `ip route` |
/// | `RouteQuery::main().ipv6()` | `ip -6 route` |
/// | `RouteQuery::table("local")` | `ip route show table local` |
/// | `RouteQuery::table(100).ipv6()` | `ip -6 route show table 100` |
/// | `RouteQuery::all_tables()` | `ip route show table all`: both families |
/// | `RouteQuery::all_tables().ipv4()` | `ip -4 route show table all` |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteQuery {
    table: Option<String>,
    family: u8,
}

impl RouteQuery {
    /// The main table, IPv4.
    pub fn main() -> Self {
        Self::table(RT_TABLE_MAIN)
    }

    /// A table by number or by one of the names `main`, `local` and `default`; IPv4.
    pub fn table(table: impl fmt::Display) -> Self {
        Self { table: Some(table.to_string()), family: AF_INET }
    }

    /// All tables, both families.
    pub fn all_tables() -> Self {
        Self { table: None, family: AF_UNSPEC }
    }

    /// IPv4 only.
    #[must_use]
    pub fn ipv4(mut self) -> Self {
        self.family = AF_INET;
        self
    }

    /// IPv6 only.
    #[must_use]
    pub fn ipv6(mut self) -> Self {
        self.family = AF_INET6;
        self
    }
}

impl Netns {
    /// The IPv4 routes of the main table, as `ip route` lists them.
    ///
    /// # Errors
    ///
    /// If the kernel does not answer.
    #[track_caller]
    pub fn routes(&self) -> Result<Routes> {
        self.list_routes(&RouteQuery::main()).at(Location::caller())
    }

    /// The routes of a table or of all, as `ip route show table …` and `ip -6 route` list them; none if there is no such table.
    ///
    /// Of IPv6 it waits first, as [`addresses`](Self::addresses) does, because an address brings its routes.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) if a table's name is none. If the kernel does not answer.
    #[track_caller]
    pub fn routes_of(&self, query: RouteQuery) -> Result<Routes> {
        self.list_routes(&query).at(Location::caller())
    }

    fn list_routes(&self, query: &RouteQuery) -> Result<Routes> {
        let table = query.table.as_deref().map(|table| words::table_number(table).ok_or(table));
        let table = table.transpose().map_err(|table| {
            let what = format!("list the routes of table `{table}` of `{self}`");
            Error::invalid(what, "expected a number, `main`, `local` or `default`")
        })?;
        if query.family != AF_INET {
            Addresses::settled(self)?;
        }
        // The kernel refuses to list a table that has never had a route: it is asked for all of them.
        let question = Raw::new(RTM_GETROUTE, vec![query.family, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let (_, names, messages) = list_with_links(self, || list(self, "routes", &question))?;
        let all = messages.iter().filter_map(|message| Route::decode(message, &names));
        Ok(Routes { all_tables: table.is_none(), routes: all.filter(|route| table.is_none_or(|table| route.table == table)).collect() })
    }
}

impl Routes {
    /// The same with stable values for what differs from run to run or machine to machine.
    ///
    /// Lifetimes become `limited`, link-local addresses that a machine made `fe80::ff:fe00:1`, …, in the order of the interfaces' names.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        Normal::default().routes(&mut self.routes);
        self
    }
}

impl std::ops::Deref for Routes {
    type Target = [Route];

    fn deref(&self) -> &[Route] {
        &self.routes
    }
}

impl Route {
    /// Whether it is the default route of its table.
    pub fn is_default(&self) -> bool {
        self.dst.prefix_len() == 0
    }

    /// Whether it has that flag, in iproute2's word, such as `onlink`.
    pub fn has_flag(&self, word: &str) -> bool {
        self.flags.iter().any(|flag| flag == word)
    }

    /// None for a message that is no route of a table, but what a lookup cached.
    pub(super) fn decode(message: &Raw, names: &Names) -> Option<Self> {
        let ([.., f0, f1, f2, f3], _) = message.split::<12>()?;
        let flags = u32::from_ne_bytes([*f0, *f1, *f2, *f3]);
        (flags & RTM_F_CLONED == 0).then(|| Self::decode_any(message, names)).flatten()
    }

    pub(super) fn decode_any(message: &Raw, names: &Names) -> Option<Self> {
        let ([family, to, from, tos, table, protocol, scope, kind, f0, f1, f2, f3], all) = message.split::<12>()?;
        let flags = u32::from_ne_bytes([*f0, *f1, *f2, *f3]);
        if ![AF_INET, AF_INET6].contains(family) {
            return None;
        }
        let (expires, error) = cache(all);
        Some(Self {
            kind: RouteKind::from_number(*kind),
            dst: prefix(all.ip(RTA_DST), *family, *to)?,
            from: prefix(all.ip(RTA_SRC), *family, *from).filter(|net| net.prefix_len() != 0 || all.get(RTA_SRC).is_some()),
            tos: *tos,
            encap: encap(all),
            nhid: all.u32(RTA_NH_ID),
            via: gateway(all),
            dev: all.u32(RTA_OIF).map(|index| names.of(index)),
            table: all.u32(RTA_TABLE).unwrap_or(u32::from(*table)),
            protocol: words::protocol(*protocol),
            scope: words::scope(*scope),
            src: all.ip(RTA_PREFSRC),
            metric: all.u32(RTA_PRIORITY),
            flags: words::flags(flags, FLAGS).0,
            realms: all.u32(RTA_FLOW),
            expires,
            error,
            metrics: metrics(all.nested(RTA_METRICS)),
            nexthops: all.get(RTA_MULTIPATH).map(|hops| nexthops(hops.0, names)).unwrap_or_default(),
            pref: all.u8(RTA_PREF).map(|pref| match pref {
                0 => "medium".to_owned(),
                1 => "high".to_owned(),
                3 => "low".to_owned(),
                other => other.to_string(),
            }),
        })
    }
}

/// RTA_GATEWAY, or RTA_VIA, which is the gateway of another family behind two bytes.
fn gateway(all: Attributes<'_>) -> Option<IpAddr> {
    all.ip(RTA_GATEWAY).or_else(|| Value(all.get(RTA_VIA)?.0.get(2..)?).ip())
}

/// `struct rta_cacheinfo`: when it ends, in hundredths of a second from now, and the error.
fn cache(all: Attributes<'_>) -> (Option<Lifetime>, Option<i32>) {
    let word = |n| all.get(RTA_CACHEINFO).and_then(|cache| cache.word(n)).map(u32::cast_signed).filter(|value| *value != 0);
    (word(2).map(|hundredths| Lifetime::Seconds(i64::from(hundredths / 100))), word(3))
}

/// `struct rtnexthop` and attributes, again and again.
fn nexthops(mut bytes: &[u8], names: &Names) -> Vec<Nexthop> {
    let mut all = Vec::new();
    while let [l0, l1, flags, hops, i0, i1, i2, i3, ..] = *bytes {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let Some(attributes) = bytes.get(8..length).map(Attributes) else { break };
        let index = u32::from_ne_bytes([i0, i1, i2, i3]);
        all.push(Nexthop {
            encap: encap(attributes),
            via: gateway(attributes),
            dev: (index != 0).then(|| names.of(index)),
            weight: u32::from(hops) + 1,
            flags: words::flags(u32::from(flags), FLAGS).0,
            realms: attributes.u32(RTA_FLOW),
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

/// What lwtunnel(8) puts around a packet. Of another encapsulation than `ip` only the name is told.
fn encap(all: Attributes<'_>) -> Option<String> {
    const KINDS: [&str; 11] = ["none", "mpls", "ip", "ila", "ip6", "seg6", "bpf", "seg6local", "rpl", "ioam6", "xfrm"];
    const IP: u16 = 2;
    let number = all.u16(RTA_ENCAP_TYPE).filter(|number| *number != 0)?;
    let mut text = KINDS.get(usize::from(number)).map_or_else(|| number.to_string(), |word| (*word).to_owned());
    if number == IP {
        let tunnel = all.nested(RTA_ENCAP);
        let fields = [
            ("id", tunnel.get(1).and_then(Value::be64).map(|id| id.to_string())),
            ("src", tunnel.ip(3).map(|ip| ip.to_string())),
            ("dst", tunnel.ip(2).map(|ip| ip.to_string())),
            ("ttl", tunnel.u8(4).map(|ttl| ttl.to_string())),
            ("tos", tunnel.u8(5).map(|tos| tos.to_string())),
        ];
        text.extend(fields.into_iter().filter_map(|(word, value)| Some(format!(" {word} {}", value?))));
    }
    Some(text)
}

fn metrics(all: Attributes<'_>) -> Vec<Setting> {
    const LOCK: u16 = 1;
    const CONGCTL: u16 = 16;
    const WORDS: [(u16, &str); 16] = [
        (2, "mtu"),
        (3, "window"),
        (4, "rtt"),
        (5, "rttvar"),
        (6, "ssthresh"),
        (7, "cwnd"),
        (8, "advmss"),
        (9, "reordering"),
        (10, "hoplimit"),
        (11, "initcwnd"),
        (12, "features"),
        (13, "rto_min"),
        (14, "initrwnd"),
        (15, "quickack"),
        (CONGCTL, "congctl"),
        (17, "fastopen_no_cookie"),
    ];
    let locked = all.u32(LOCK).unwrap_or_default();
    let setting = |(number, name): (u16, &str)| {
        let value = match number {
            CONGCTL => all.text(number)?,
            _ => metric(name, all.u32(number)?),
        };
        let lock = if locked & 1 << number == 0 { "" } else { "lock " };
        Some(Setting::new(name, format!("{lock}{value}")))
    };
    WORDS.into_iter().filter_map(setting).collect()
}

fn metric(name: &str, value: u32) -> String {
    const ECN: u32 = 1;
    match name {
        // tcp_metrics.c keeps eighths and quarters of a millisecond.
        "rtt" => time(value / 8),
        "rttvar" => time(value / 4),
        "rto_min" => time(value),
        "features" if value == ECN => "ecn".to_owned(),
        "features" if value & ECN != 0 => format!("ecn {:#x}", value & !ECN),
        "features" => format!("{value:#x}"),
        _ => value.to_string(),
    }
}

fn time(milliseconds: u32) -> String {
    if milliseconds < 1000 { format!("{milliseconds}ms") } else { format!("{}s", f64::from(milliseconds) / 1000.0) }
}

/// As iproute2 writes a prefix: bare for one host, in words for all.
pub(super) fn print_prefix(f: &mut fmt::Formatter<'_>, net: IpNet) -> fmt::Result {
    if net.prefix_len() == net.max_prefix_len() { write!(f, "{}", net.addr()) } else { write!(f, "{net}") }
}

fn print_gateway(f: &mut fmt::Formatter<'_>, via: IpAddr, of_ipv4: bool) -> fmt::Result {
    write!(f, "via {}{via} ", if of_ipv4 && via.is_ipv6() { "inet6 " } else { "" })
}

fn print_realms(f: &mut fmt::Formatter<'_>, realms: u32) -> fmt::Result {
    let (word, value) = words::realms(realms);
    write!(f, "{word} {value} ")
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.routes.iter().try_for_each(|route| {
            route.print(f, self.all_tables)?;
            f.write_str("\n")
        })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, false)
    }
}

impl Route {
    fn print(&self, f: &mut fmt::Formatter<'_>, table: bool) -> fmt::Result {
        self.print_destination(f)?;
        if let Some(via) = self.via {
            print_gateway(f, via, self.dst.addr().is_ipv4())?;
        }
        if let Some(dev) = &self.dev {
            write!(f, "dev {dev} ")?;
        }
        if table && self.table != RT_TABLE_MAIN {
            write!(f, "table {} ", words::table(self.table))?;
        }
        if self.protocol != words::protocol(RTPROT_BOOT) {
            write!(f, "proto {} ", self.protocol)?;
        }
        if self.scope != words::scope(0) {
            write!(f, "scope {} ", self.scope)?;
        }
        self.print_preferences(f)?;
        // The one word without a space behind it.
        self.pref.as_ref().map_or(Ok(()), |pref| write!(f, "pref {pref}"))?;
        self.nexthops.iter().try_for_each(|hop| hop.print(f, self.dst.addr().is_ipv4()))
    }

    fn print_destination(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != RouteKind::Unicast {
            write!(f, "{} ", self.kind)?;
        }
        if self.is_default() {
            f.write_str("default")?;
        } else {
            print_prefix(f, self.dst)?;
        }
        f.write_str(" ")?;
        if let Some(from) = self.from {
            f.write_str("from ")?;
            print_prefix(f, from)?;
            f.write_str(" ")?;
        }
        if let Some(encap) = &self.encap {
            write!(f, " encap {encap} ")?;
        }
        if self.tos != 0 {
            write!(f, "tos {:#04x} ", self.tos)?;
        }
        self.nhid.map_or(Ok(()), |id| write!(f, "nhid {id} "))
    }

    fn print_preferences(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(src) = self.src {
            write!(f, "src {src} ")?;
        }
        if let Some(metric) = self.metric {
            write!(f, "metric {metric} ")?;
        }
        self.flags.iter().try_for_each(|flag| write!(f, "{flag} "))?;
        if let Some(realms) = self.realms {
            print_realms(f, realms)?;
        }
        if let Some(expires) = self.expires {
            write!(f, "expires {expires} ")?;
        }
        if let Some(error) = self.error {
            write!(f, "error {error} ")?;
        }
        self.metrics.iter().try_for_each(|metric| write!(f, "{metric} "))
    }
}

impl Nexthop {
    fn print(&self, f: &mut fmt::Formatter<'_>, of_ipv4: bool) -> fmt::Result {
        f.write_str("\n\tnexthop ")?;
        if let Some(encap) = &self.encap {
            write!(f, " encap {encap} ")?;
        }
        if let Some(via) = self.via {
            print_gateway(f, via, of_ipv4)?;
        }
        if let Some(realms) = self.realms {
            print_realms(f, realms)?;
        }
        if let Some(dev) = &self.dev {
            write!(f, "dev {dev} ")?;
        }
        write!(f, "weight {} ", self.weight)?;
        self.flags.iter().try_for_each(|flag| write!(f, "{flag} "))
    }
}
