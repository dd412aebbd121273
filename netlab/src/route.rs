//! Routes: where a namespace sends packets.

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::panic::Location;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteNextHop, RouteNextHopFlags, RouteProtocol, RouteScope,
    RouteType, RouteVia,
};

use crate::cidr;
use crate::entry::Entry;
use crate::error::{At, Error, Result};
use crate::messages;
use crate::netns::Netns;
use crate::sys::Refusal;

const MAIN_TABLE: u32 = RouteHeader::RT_TABLE_MAIN as u32;
/// The metric that the kernel gives an IPv6 route without one (`IP6_RT_PRIO_USER`).
const IPV6_METRIC: u32 = 1024;

/// A route in a namespace, which goes when it is dropped.
///
/// A route also goes by itself when its interface goes or is set down; dropping it is no error then.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let router = netlab::Netns::new("router")?;
/// use netlab::Route;
/// let _branch = Route::to("10.1.0.0/16").via("10.0.0.1").install(&router)?;
/// let _nowhere = Route::blackhole("192.0.2.0/24").install(&router)?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the route goes as soon as it is dropped: bind it, as in `let _route = Route::to(…).install(…)?;`, or `keep()` it"]
pub struct Route(Entry);

/// A route, described; [`install`](Self::install) makes it true and reports a bad value.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: `install` it in a namespace"]
pub struct RouteBuilder {
    kind: RouteType,
    destination: String,
    hop: Hop,
    hops: Vec<(Hop, u16)>,
    source: Option<String>,
    metric: Option<u32>,
    table: Option<u32>,
    mtu: Option<u32>,
    scope: Option<RouteScope>,
    onlink: bool,
}

#[derive(Debug, Clone, Default)]
struct Hop {
    via: Option<String>,
    dev: Option<String>,
}

impl Route {
    /// A route to a network, such as `10.1.0.0/16` or `fd01::/64`, to one address, or `default`; say [`via`](RouteBuilder::via),
    /// [`dev`](RouteBuilder::dev) or both. Equals `ip route add DESTINATION …`.
    pub fn to(destination: impl Display) -> RouteBuilder {
        RouteBuilder::new(RouteType::Unicast, destination)
    }

    /// The default route of the gateway's family. Equals `ip route add default via GATEWAY`.
    pub fn default_via(gateway: impl Display) -> RouteBuilder {
        Self::to("default").via(gateway)
    }

    /// A route that drops silently; a local sender gets `EINVAL`. Equals `ip route add blackhole DESTINATION`.
    pub fn blackhole(destination: impl Display) -> RouteBuilder {
        RouteBuilder::new(RouteType::BlackHole, destination)
    }

    /// A route that answers "host unreachable"; a local sender gets `EHOSTUNREACH`. Equals `ip route add unreachable DESTINATION`.
    pub fn unreachable(destination: impl Display) -> RouteBuilder {
        RouteBuilder::new(RouteType::Unreachable, destination)
    }

    /// A route that answers "administratively prohibited"; a local sender gets `EACCES`. Equals `ip route add prohibit DESTINATION`.
    pub fn prohibit(destination: impl Display) -> RouteBuilder {
        RouteBuilder::new(RouteType::Prohibit, destination)
    }

    /// A route that ends the lookup in its table and goes on with the next policy rule. Equals `ip route add throw DESTINATION`.
    pub fn throw(destination: impl Display) -> RouteBuilder {
        RouteBuilder::new(RouteType::Throw, destination)
    }

    /// Makes every address of a network the namespace's own ("AnyIP"), in the table `local`; say which [`dev`](RouteBuilder::dev), mostly
    /// `lo`. Equals `ip route add local DESTINATION dev lo`.
    pub fn local(destination: impl Display) -> RouteBuilder {
        RouteBuilder::new(RouteType::Local, destination)
    }

    /// The namespace that has the route.
    pub fn netns(&self) -> &Netns {
        self.0.netns()
    }

    /// Removes the route and reports. Equals `ip route del …`.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; a route that went by itself is no error.
    #[track_caller]
    pub fn close(self) -> Result<()> {
        self.0.close()
    }

    /// Leaves the route: it goes with its interface or its namespace.
    pub fn keep(self) {
        self.0.keep();
    }
}

impl Netns {
    /// Removes the first route to that destination from the main table, whoever made it. Equals `ip route del DESTINATION`.
    ///
    /// For one of several, say more: `Route::to(…).via(…).delete(&netns)`.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if there is none.
    #[track_caller]
    pub fn delete_route(&self, destination: impl Display) -> Result<()> {
        let here = Location::caller();
        let destination = destination.to_string();
        Route::to(destination).remove(self).at(here)
    }
}

impl RouteBuilder {
    fn new(kind: RouteType, destination: impl Display) -> Self {
        Self {
            kind,
            destination: destination.to_string(),
            hop: Hop::default(),
            hops: Vec::new(),
            source: None,
            metric: None,
            table: None,
            mtu: None,
            scope: None,
            onlink: false,
        }
    }

    /// Sends to a gateway, which must be on a network of the namespace, unless the route is [`onlink`](Self::onlink). An IPv4 destination
    /// may have an IPv6 gateway (RFC 5549).
    pub fn via(mut self, gateway: impl Display) -> Self {
        self.hop.via = Some(gateway.to_string());
        self
    }

    /// Sends out of the interface of that name. With a gateway it may be left out: the kernel looks the gateway up.
    pub fn dev(mut self, name: impl Into<String>) -> Self {
        self.hop.dev = Some(name.into());
        self
    }

    /// Adds one of several next hops, between which the kernel divides the flows by weight (1 to 256); `dev` may be empty.
    ///
    /// Equals `ip route add … nexthop via GATEWAY dev NAME weight WEIGHT`.
    pub fn nexthop(mut self, gateway: impl Display, dev: &str, weight: u16) -> Self {
        let dev = (!dev.is_empty()).then(|| dev.to_owned());
        self.hops.push((Hop { via: Some(gateway.to_string()), dev }, weight));
        self
    }

    /// Prefers a source address for what is sent by this route from a socket without one.
    pub fn src(mut self, address: impl Display) -> Self {
        self.source = Some(address.to_string());
        self
    }

    /// Sets the metric: of two routes to one destination, the lower one is used. The default is 0, for IPv6 1024.
    pub fn metric(mut self, metric: u32) -> Self {
        self.metric = Some(metric);
        self
    }

    /// Puts the route into another table than `main` (254); a [`Rule`](crate::Rule) makes the kernel look there.
    pub fn table(mut self, table: u32) -> Self {
        self.table = Some(table);
        self
    }

    /// Sets the path MTU in bytes for this destination.
    pub fn mtu(mut self, bytes: u32) -> Self {
        self.mtu = Some(bytes);
        self
    }

    /// Says that the destination is on the link itself. It is the default for an IPv4 route without a gateway.
    pub fn scope_link(mut self) -> Self {
        self.scope = Some(RouteScope::Link);
        self
    }

    /// Says that the destination is the machine itself, as on `lo`.
    pub fn scope_host(mut self) -> Self {
        self.scope = Some(RouteScope::Host);
        self
    }

    /// Pretends that the gateway is on the link, though no network of the interface says so.
    pub fn onlink(mut self) -> Self {
        self.onlink = true;
        self
    }

    /// Adds the route. Equals `ip route add …`.
    ///
    /// # Errors
    ///
    /// A bad value ([`is_invalid_input`](Error::is_invalid_input)), an unknown interface ([`is_not_found`](Error::is_not_found)), a gateway
    /// on no network of the namespace ([`is_unreachable`](Error::is_unreachable), with the kernel's `Nexthop has invalid gateway`), a route
    /// that is there ([`is_exists`](Error::is_exists)).
    #[track_caller]
    pub fn install(self, netns: &Netns) -> Result<Route> {
        self.add(netns, NLM_F_CREATE | NLM_F_EXCL).at(Location::caller())
    }

    /// Adds the route in the place of one with the same destination and metric, if there is one. Equals `ip route replace …`.
    ///
    /// Dropping it removes it; the replaced route does not come back.
    ///
    /// # Errors
    ///
    /// As [`install`](Self::install).
    #[track_caller]
    pub fn replace(self, netns: &Netns) -> Result<Route> {
        self.add(netns, NLM_F_CREATE | NLM_F_REPLACE).at(Location::caller())
    }

    /// Removes the first route that matches all that was said, whoever made it. Equals `ip route del …`.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if there is none.
    #[track_caller]
    pub fn delete(self, netns: &Netns) -> Result<()> {
        self.remove(netns).at(Location::caller())
    }

    fn add(self, netns: &Netns, flags: u16) -> Result<Route> {
        let what = format!("route `{self}` of `{netns}`");
        let message = self.message(netns).map_err(|e| e.fact(format!("which is needed to add {what}")))?;
        let mut undo = message.clone();
        let has_metric = message.attributes.iter().any(|attribute| matches!(attribute, RouteAttribute::Priority(_)));
        if message.header.address_family == netlink_packet_route::AddressFamily::Inet6 && !has_metric {
            undo.attributes.push(RouteAttribute::Priority(IPV6_METRIC)); // without one, any metric would do
        }
        match netns.request(RouteNetlinkMessage::NewRoute(message), flags) {
            Ok(_) => Ok(Route(Entry::new(netns, what, RouteNetlinkMessage::DelRoute(undo)))),
            Err(refusal) => Err(explain(format!("add {what}"), refusal)),
        }
    }

    fn remove(self, netns: &Netns) -> Result<()> {
        let what = format!("delete route `{self}` of `{netns}`");
        let mut message = self.message(netns).map_err(|e| e.fact(format!("which is needed to {what}")))?;
        // What was not said may be anything.
        message.header.protocol = RouteProtocol::Unspec;
        if self.scope.is_none() {
            message.header.scope = RouteScope::NoWhere;
        }
        if self.kind == RouteType::Unicast {
            message.header.kind = RouteType::Unspec;
        }
        netns.request(RouteNetlinkMessage::DelRoute(message), 0).map(drop).map_err(|refusal| Error::new(what, refusal))
    }

    fn message(&self, netns: &Netns) -> Result<RouteMessage> {
        let destination = self.parse_destination()?;
        let mut message = messages::route(destination);
        let ipv4 = destination.addr().is_ipv4();
        message.header.kind = self.kind;
        message.header.scope = self.scope.unwrap_or_else(|| self.usual_scope(ipv4));
        let table = self.table.unwrap_or(if self.kind == RouteType::Local { u32::from(messages::LOCAL_TABLE) } else { MAIN_TABLE });
        message.header.table = u8::try_from(table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
        message.attributes.push(RouteAttribute::Table(table));
        message.attributes.extend(self.metric.map(RouteAttribute::Priority));
        message.attributes.extend(self.mtu.map(|mtu| RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)])));
        if let Some(source) = &self.source {
            message.attributes.push(RouteAttribute::PrefSource(parse_ip(source, "src")?.into()));
        }
        let (gateway, index) = self.hop.resolve(netns, ipv4)?;
        message.attributes.extend(gateway);
        message.attributes.extend(index.map(RouteAttribute::Oif));
        if self.onlink {
            message.header.flags = RouteFlags::Onlink;
        }
        if !self.hops.is_empty() {
            let hops = self.hops.iter().map(|(hop, weight)| self.next_hop(hop, *weight, netns, ipv4));
            message.attributes.push(RouteAttribute::MultiPath(hops.collect::<Result<_>>()?));
        }
        Ok(message)
    }

    fn parse_destination(&self) -> Result<IpNet> {
        let wrong = |why: String| Error::invalid(format!("read the destination `{}`", self.destination), why);
        if self.destination == "default" {
            let gateway = self.hop.via.as_ref().or_else(|| self.hops.first().and_then(|(hop, _)| hop.via.as_ref()));
            let ipv6 = gateway.or(self.source.as_ref()).is_some_and(|address| address.contains(':'));
            return Ok(messages::everything(ipv6));
        }
        let net = cidr::parse(&self.destination).map_err(|_| wrong("expected a network, such as `10.1.0.0/16`, or `default`".into()))?;
        if net.trunc() != net {
            return Err(wrong(format!("it has bits beyond its prefix; the network is `{}`", net.trunc())));
        }
        Ok(net)
    }

    /// As ip-route(8): an IPv4 route without a gateway leads to the link, one of the machine's own to the machine.
    fn usual_scope(&self, ipv4: bool) -> RouteScope {
        match self.kind {
            RouteType::Local if ipv4 => RouteScope::Host,
            RouteType::Unicast if ipv4 && self.hop.via.is_none() && self.hops.is_empty() => RouteScope::Link,
            _ => RouteScope::Universe,
        }
    }

    fn next_hop(&self, hop: &Hop, weight: u16, netns: &Netns, ipv4: bool) -> Result<RouteNextHop> {
        let wrong = || Error::invalid(format!("give a next hop the weight {weight}"), "a weight is 1 to 256");
        let (gateway, index) = hop.resolve(netns, ipv4)?;
        let mut next = RouteNextHop::default();
        next.hops = weight.checked_sub(1).and_then(|weight| u8::try_from(weight).ok()).ok_or_else(wrong)?;
        next.interface_index = index.unwrap_or(0);
        next.attributes.extend(gateway);
        if self.onlink {
            next.flags = RouteNextHopFlags::Onlink;
        }
        Ok(next)
    }
}

impl Hop {
    /// The gateway's attribute and the interface's index.
    fn resolve(&self, netns: &Netns, ipv4: bool) -> Result<(Option<RouteAttribute>, Option<u32>)> {
        let index = self.dev.as_ref().map(|name| netns.link(name)).transpose()?.map(|link| link.index());
        let gateway = self.via.as_ref().map(|via| parse_ip(via, "via")).transpose()?;
        let gateway = match gateway {
            Some(IpAddr::V6(gateway)) if ipv4 => Some(RouteAttribute::Via(RouteVia::Inet6(gateway))),
            Some(gateway) => Some(RouteAttribute::Gateway(gateway.into())),
            None => None,
        };
        Ok((gateway, index))
    }
}

/// The words of `ip route add`.
impl Display for RouteBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            RouteType::BlackHole => "blackhole ",
            RouteType::Unreachable => "unreachable ",
            RouteType::Prohibit => "prohibit ",
            RouteType::Throw => "throw ",
            RouteType::Local => "local ",
            _ => "",
        };
        write!(f, "{kind}{}{}", self.destination, self.hop)?;
        if let Some(source) = &self.source {
            write!(f, " src {source}")?;
        }
        for (word, value) in [("metric", self.metric), ("table", self.table), ("mtu", self.mtu)] {
            if let Some(value) = value {
                write!(f, " {word} {value}")?;
            }
        }
        if self.onlink {
            f.write_str(" onlink")?;
        }
        for (hop, weight) in &self.hops {
            write!(f, " nexthop{hop} weight {weight}")?;
        }
        Ok(())
    }
}

impl Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, value) in [("via", &self.via), ("dev", &self.dev)] {
            if let Some(value) = value {
                write!(f, " {word} {value}")?;
            }
        }
        Ok(())
    }
}

fn parse_ip(text: &str, word: &str) -> Result<IpAddr> {
    cidr::parse_ip(text).map_err(|why| Error::invalid(format!("read `{word} {text}`"), why))
}

fn explain(what: String, refusal: Refusal) -> Error {
    let unreachable = refusal.is(libc::ENETUNREACH) || refusal.is(libc::EHOSTUNREACH);
    let error = Error::new(what, refusal);
    if unreachable {
        return error.help("a gateway is on a network of the namespace: give the interface its address first, or say `.onlink()`");
    }
    error
}
