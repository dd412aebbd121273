//! VXLAN: Ethernet over UDP (RFC 7348).

use std::fmt::Display;
use std::net::IpAddr;
use std::panic::Location;

use netlink_packet_route::link::{InfoData, InfoKind, InfoVxlan};

use crate::cidr;
use crate::device::{Device, Recipe, verbs};
use crate::error::{At, Error, Result};
use crate::iface::Iface;
use crate::link::{self, Link};
use crate::netns::Netns;

/// The port that IANA has given to VXLAN. The kernel's own default is 8472, which is older (drivers/net/vxlan/vxlan_core.c).
const PORT: u16 = 4789;
/// The greatest network identifier: it has 24 bits.
const GREATEST_ID: u32 = (1 << 24) - 1;

/// One end of a VXLAN tunnel: an Ethernet interface whose frames travel in UDP datagrams. It goes when it is dropped.
///
/// Whom it sends a frame to is written in its forwarding database: by [`remote`](VxlanBuilder::remote) or [`group`](VxlanBuilder::group) for
/// all that it does not know, by [`Fdb`](crate::Fdb) entries, and by what it learns from the datagrams that come.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let node = netlab::Netns::new("node")?;
/// use netlab::{Bridge, Vxlan};
/// let pods = Bridge::new(node.iface("cni0").addr("10.244.1.1/24"))?;
/// let _overlay = Vxlan::id(42)
///     .local("192.168.1.11")
///     .remote("192.168.1.12")
///     .dev(&node.link("eth0")?)
///     .install(node.iface("vxlan0").master(&pods))?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the tunnel goes as soon as it is dropped: bind it, as in `let _overlay = Vxlan::id(42).….install(…)?;`"]
pub struct Vxlan(Device);

verbs!(Vxlan);

/// A VXLAN tunnel's end, described; [`install`](Self::install) makes it true and reports a bad value.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: `install` it"]
pub struct VxlanBuilder {
    id: u32,
    local: Option<String>,
    far: Option<Far>,
    dev: Option<Link>,
    outside: Option<Netns>,
    port: u16,
    ttl: Option<u8>,
    learning: bool,
    proxy: bool,
}

/// Where frames go that the forwarding database says nothing of.
#[derive(Debug, Clone)]
enum Far {
    Remote(String),
    Group(String),
}

impl Vxlan {
    /// A tunnel's end with that network identifier (VNI), which has 24 bits: only ends with equal identifiers hear each other.
    pub fn id(id: u32) -> VxlanBuilder {
        VxlanBuilder { id, local: None, far: None, dev: None, outside: None, port: PORT, ttl: None, learning: true, proxy: false }
    }
}

impl VxlanBuilder {
    /// Sets the source address of the datagrams, IPv4 or IPv6. The default is that of the route to the far end.
    pub fn local(mut self, address: impl Display) -> Self {
        self.local = Some(address.to_string());
        self
    }

    /// Sets the address of the far end, to which everything goes of which nothing else is known. Without it, and without a group, nothing
    /// leaves before there is an [`Fdb`](crate::Fdb) entry.
    pub fn remote(mut self, address: impl Display) -> Self {
        self.far = Some(Far::Remote(address.to_string()));
        self
    }

    /// Sets the multicast group, to which everything goes of which nothing else is known, and which this end joins. It needs a
    /// [`dev`](Self::dev).
    pub fn group(mut self, address: impl Display) -> Self {
        self.far = Some(Far::Group(address.to_string()));
        self
    }

    /// Sets the interface by which the datagrams leave; the MTU of the tunnel then is that of the interface less 50 bytes (70 over IPv6).
    /// Without it, the MTU is 1500, which is more than what gets through an underlay of 1500: say [`Iface::mtu`] then.
    ///
    /// The interface may be in another namespace than the tunnel's end: the datagrams are in that namespace then, and only frames in the
    /// one of the tunnel's end. Swarm's overlay networks are built so.
    pub fn dev(mut self, underlay: impl AsRef<Link>) -> Self {
        self.dev = Some(underlay.as_ref().clone());
        self
    }

    /// Says in which namespace the datagrams are, where no [`dev`](Self::dev) says it. The default is that of the tunnel's end.
    ///
    /// Equals `ip -n UNDERLAY link add NAME netns OVERLAY type vxlan …`.
    pub fn underlay(mut self, netns: &Netns) -> Self {
        self.outside = Some(netns.clone());
        self
    }

    /// Sets the UDP port to which datagrams are sent, and where they are waited for; the default is IANA's 4789. Equals `dstport`.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the time to live of the datagrams. The kernel's default is that of the underlay's route, and 1 to a group.
    pub fn ttl(mut self, hops: u8) -> Self {
        self.ttl = Some(hops);
        self
    }

    /// Learns nothing from the datagrams that come: all it knows is in [`Fdb`](crate::Fdb) entries. Equals `nolearning`.
    pub fn no_learning(mut self) -> Self {
        self.learning = false;
        self
    }

    /// Answers ARP requests and neighbour solicitations from the neighbours of its own interface, in place of the far end. Equals `proxy`.
    pub fn proxy(mut self) -> Self {
        self.proxy = true;
        self
    }

    /// Makes the tunnel's end, in the namespace and with the addresses of the interface's description; it carries traffic when this returns.
    ///
    /// Equals `ip link add NAME type vxlan id ID dstport 4789 local … remote … dev …`, then `ip address add …`, `ip link set NAME up`.
    ///
    /// # Errors
    ///
    /// A bad value ([`is_invalid_input`](Error::is_invalid_input)), a name or index that is taken, or an identifier that another end with the
    /// same port has ([`is_exists`](Error::is_exists)), a kernel without VXLAN ([`is_unsupported`](Error::is_unsupported)). Nothing is left
    /// behind then.
    #[track_caller]
    pub fn install(self, iface: Iface) -> Result<Vxlan> {
        let here = Location::caller();
        self.create(&iface).at(here)
    }

    fn create(&self, iface: &Iface) -> Result<Vxlan> {
        let recipe = self.recipe(iface)?;
        self.check_mtu(iface)?;
        Device::create(iface, recipe).map(Vxlan).map_err(|e| self.explain(e))
    }

    fn recipe(&self, iface: &Iface) -> Result<Recipe> {
        if self.id > GREATEST_ID {
            return Err(wrong(iface, format!("a network identifier has 24 bits: {} is greater than {GREATEST_ID}", self.id)));
        }
        let (local, far) = self.ends(iface)?;
        let mut data = vec![InfoVxlan::Id(self.id), InfoVxlan::Port(self.port), InfoVxlan::Learning(self.learning)];
        data.extend(far.map(|far| match far {
            IpAddr::V4(far) => InfoVxlan::Group(far),
            IpAddr::V6(far) => InfoVxlan::Group6(far),
        }));
        data.extend(local.map(|local| match local {
            IpAddr::V4(local) => InfoVxlan::Local(local),
            IpAddr::V6(local) => InfoVxlan::Local6(local),
        }));
        data.extend(self.dev.as_ref().map(|dev| InfoVxlan::Link(dev.index())));
        data.extend(self.ttl.map(InfoVxlan::Ttl));
        data.extend(self.proxy.then_some(InfoVxlan::Proxy(true)));
        let recipe = Recipe::new(InfoKind::Vxlan, Some(InfoData::Vxlan(data))).holds();
        let outside = self.dev.as_ref().map(Link::netns).or_else(|| self.outside.clone());
        Ok(outside.iter().fold(recipe, Recipe::outside))
    }

    /// The addresses of this end and of the other, or of the group.
    fn ends(&self, iface: &Iface) -> Result<(Option<IpAddr>, Option<IpAddr>)> {
        let parse = |word: &str, text: &str| cidr::parse_ip(text).map_err(|why| wrong(iface, format!("{word} `{text}`: {why}")));
        let local = self.local.as_deref().map(|text| parse("local", text)).transpose()?;
        let far = match &self.far {
            None => None,
            Some(Far::Remote(text)) => match parse("remote", text)? {
                group if group.is_multicast() => {
                    return Err(wrong(iface, format!("{group} is a multicast group, not one far end")).help("say `.group(…)`"));
                }
                remote => Some(remote),
            },
            Some(Far::Group(text)) => match parse("group", text)? {
                remote if !remote.is_multicast() => {
                    return Err(wrong(iface, format!("{remote} is no multicast group")).help("say `.remote(…)`"));
                }
                group if self.dev.is_none() => {
                    let why = format!("the group {group} can be joined on an interface only");
                    return Err(wrong(iface, why).help("say on which: `.dev(&node.link(\"eth0\")?)`"));
                }
                group => Some(group),
            },
        };
        match (local, far) {
            (Some(local), Some(far)) if local.is_ipv4() != far.is_ipv4() => {
                Err(wrong(iface, format!("local {local} and far end {far} are of different families")))
            }
            ends => Ok(ends),
        }
    }

    /// The kernel takes a greater MTU than the underlay has room for without a word, and sets a smaller one (`vxlan_config_apply`).
    fn check_mtu(&self, iface: &Iface) -> Result<()> {
        let (Some(wanted), Some(dev)) = (iface.mtu, &self.dev) else { return Ok(()) };
        let (local, far) = self.ends(iface)?;
        let taken = if local.or(far).is_some_and(|end| end.is_ipv6()) { 70 } else { 50 };
        match dev.ask().ok().as_ref().and_then(link::mtu) {
            Some(there) if wanted > there.saturating_sub(taken) => {
                let why = format!("the MTU {wanted} is more than `{dev}` has room for: {there}, of which VXLAN takes {taken}");
                Err(wrong(iface, why).help("say no MTU to have the greatest"))
            }
            _ => Ok(()),
        }
    }

    fn explain(&self, error: Error) -> Error {
        match (&self.dev, error.extended_ack()) {
            (_, Some(ack)) if ack.contains("already exists") => {
                let (id, port) = (self.id, self.port);
                error.fact(format!("another tunnel's end has the identifier {id} at port {port} of the same namespace"))
            }
            (Some(dev), _) if error.errno() == Some(libc::ENODEV) => error.fact(format!("`{dev}`, its underlay, is gone")),
            _ => error,
        }
    }
}

fn wrong(iface: &Iface, why: String) -> Error {
    Error::invalid(format!("create vxlan `{}`", iface.place()), why)
}
