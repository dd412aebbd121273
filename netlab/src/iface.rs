//! An interface, described.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::RouteAttribute;

use crate::addr::{AddressBuilder, PlannedAddress};
use crate::cidr;
use crate::error::{Error, Result};
use crate::link::Link;
use crate::messages;
use crate::netns::Netns;
use crate::sys::netlink::Request;

/// The longest interface name, in bytes (`IFNAMSIZ - 1`).
const NAME_BYTES: usize = 15;

/// An interface, described: a name in a namespace, with addresses, gateway, MTU, MAC address and index.
///
/// A description does nothing. [`VethPair::connect`](crate::VethPair::connect), [`Bridge::new`](crate::Bridge::new) and the other fixtures of
/// links make it true, and report a bad value in it. Every value but the name has a default: no address, the kernel's MTU, a MAC address that follows from the names
/// of namespace and interface, and the next free index, so that two runs of a test see the same.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: give it to `VethPair::connect`, `Bridge::new` or another fixture"]
pub struct Iface {
    pub(crate) netns: Netns,
    pub(crate) name: String,
    addresses: Vec<AddressBuilder>,
    gateways: Vec<String>,
    pub(crate) mtu: Option<u32>,
    mac: Option<String>,
    random_mac: bool,
    index: Option<u32>,
    pub(crate) up: bool,
    pub(crate) master: Option<Link>,
}

impl Netns {
    /// The description of an interface `name` in this namespace.
    pub fn iface(&self, name: impl Into<String>) -> Iface {
        Iface {
            netns: self.clone(),
            name: name.into(),
            addresses: Vec::new(),
            gateways: Vec::new(),
            mtu: None,
            mac: None,
            random_mac: false,
            index: None,
            up: true,
            master: None,
        }
    }
}

impl Iface {
    /// Adds an address with its prefix length, such as `10.0.0.2/24` or `fd00::2/64`; without one it is a host address (`/32`, `/128`).
    ///
    /// Equals `ip address add ADDRESS dev NAME`; an IPv4 address gets no broadcast address unless [`broadcast`](Self::broadcast) asks.
    pub fn addr(mut self, address: impl Display) -> Self {
        self.addresses.push(AddressBuilder::new(address));
        self
    }

    /// Gives the address added last a broadcast address; `+` means the network's own, as in `ip address add … broadcast +`.
    pub fn broadcast(mut self, address: impl Display) -> Self {
        let last = self.addresses.pop();
        self.addresses.extend(last.map(|last| last.broadcast(address)));
        self
    }

    /// Lets the kernel probe for duplicates of the IPv6 address added last (RFC 4862), which it does not in a lab.
    ///
    /// It stays tentative for about a second then, and the fixture waits for it. The namespace's `accept_dad` has to allow it.
    pub fn dad(mut self) -> Self {
        let last = self.addresses.pop();
        self.addresses.extend(last.map(AddressBuilder::dad));
        self
    }

    /// Adds a default route through `gateway`, which the interface's addresses must reach.
    ///
    /// Equals `ip route add default via GATEWAY dev NAME`.
    pub fn gateway(mut self, gateway: impl Display) -> Self {
        self.gateways.push(gateway.to_string());
        self
    }

    /// Sets the MTU in bytes; the default for Ethernet is 1500.
    pub fn mtu(mut self, bytes: u32) -> Self {
        self.mtu = Some(bytes);
        self
    }

    /// Sets the MAC address, such as `02:42:ac:11:00:02`.
    pub fn mac(mut self, mac: impl Display) -> Self {
        self.mac = Some(mac.to_string());
        self.random_mac = false;
        self
    }

    /// Leaves the MAC address to the kernel, as `ip link add` does: a random one; a bridge then takes the lowest of its ports, whenever one
    /// comes or goes.
    pub fn random_mac(mut self) -> Self {
        self.random_mac = true;
        self
    }

    /// Chooses the interface index, which must be free in its namespace; 0 leaves the choice to the kernel, as `ip link add` does.
    pub fn index(mut self, index: u32) -> Self {
        self.index = Some(index);
        self
    }

    /// Leaves the interface administratively down; its addresses are set, but a gateway needs it up.
    pub fn down(mut self) -> Self {
        self.up = false;
        self
    }

    /// Makes the interface a port of a bridge, or of a VRF (`ip link set NAME master BRIDGE`).
    pub fn master(mut self, bridge: impl AsRef<Link>) -> Self {
        self.master = Some(bridge.as_ref().clone());
        self
    }

    /// Checks every value and turns the description into what the kernel takes.
    pub(crate) fn plan(&self) -> Result<Plan> {
        self.check_name()?;
        let place = self.place();
        let mac = match &self.mac {
            Some(text) => cidr::parse_mac(text).map_err(|why| Error::invalid(format!("give `{place}` the MAC address `{text}`"), why))?,
            None => self.derived_mac(),
        };
        let mac = (!self.random_mac).then_some(mac);
        if let Some(master) = &self.master
            && !master.netns().is_same(&self.netns)
        {
            let why = format!("the bridge is in namespace `{}`", master.netns());
            return Err(Error::invalid(format!("make `{place}` a port of `{}`", master.name()), why));
        }
        let addresses = self.addresses.iter().map(|address| address.plan(&place)).collect::<Result<Vec<_>>>()?;
        let gateways = self
            .gateways
            .iter()
            .map(|text| cidr::parse_ip(text).map_err(|why| Error::invalid(format!("give `{place}` the gateway `{text}`"), why)));
        let gateways = gateways.collect::<Result<Vec<_>>>()?;
        if let (Some(gateway), false) = (gateways.first(), self.up) {
            return Err(Error::invalid(format!("give `{place}` the gateway `{gateway}`"), "a route needs an interface that is up"));
        }
        let index = match self.index {
            Some(0) => None,
            Some(index) => {
                self.netns.avoid_index(index);
                Some(index)
            }
            None => self.netns.choose_index(),
        };
        Ok(Plan { index, mac, mtu: self.mtu, addresses, gateways })
    }

    pub(crate) fn has_chosen_mac(&self) -> bool {
        self.mac.is_some() && !self.random_mac
    }

    pub(crate) fn has_chosen_index(&self) -> bool {
        self.index.is_some_and(|index| index != 0)
    }

    /// Refuses a MAC address in the description of a link of a kind that has none.
    pub(crate) fn check_no_mac(&self, kind: &str) -> Result<()> {
        if self.has_chosen_mac() {
            return Err(Error::invalid(format!("create {kind} `{}`", self.place()), "a link of this kind has no MAC address"));
        }
        Ok(())
    }

    pub(crate) fn check_name(&self) -> Result<()> {
        let name = &self.name;
        let why = match name.len() {
            0 => "the name is empty".to_owned(),
            n if n > NAME_BYTES => format!("the name has {n} bytes; an interface name has {NAME_BYTES} at most"),
            _ if name == "."
                || name == ".."
                || name.contains(['/', ':', '%'])
                || name.contains(|c: char| c.is_whitespace() || c == '\0') =>
            {
                "an interface name has no `/`, `:`, `%` or white space, and is neither `.` nor `..`".to_owned()
            }
            _ => return Ok(()),
        };
        Err(Error::invalid(format!("create interface `{}`", self.place()), why))
    }

    /// A locally administered unicast address that follows from the names: the same in every run.
    fn derived_mac(&self) -> [u8; 6] {
        let mut hasher = DefaultHasher::new();
        (self.netns.name(), &self.name).hash(&mut hasher);
        let [a, b, c, d, e, ..] = hasher.finish().to_be_bytes();
        [0x02, a, b, c, d, e]
    }

    /// `laptop/eth0`
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.netns.name(), self.name)
    }
}

/// A description whose values make sense.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) index: Option<u32>,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) mtu: Option<u32>,
    pub(crate) addresses: Vec<PlannedAddress>,
    pub(crate) gateways: Vec<IpAddr>,
}

impl Plan {
    /// The start of a request that creates the link.
    pub(crate) fn link_message(&self, iface: &Iface) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = self.index.unwrap_or(0);
        message.attributes.push(LinkAttribute::IfName(iface.name.clone()));
        message.attributes.extend(self.mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
        message.attributes.extend(self.mtu.map(LinkAttribute::Mtu));
        message
    }

    /// The requests that follow once the link is there, each with what it does: the words complete "cannot …".
    pub(crate) fn requests(&self, link: &Link) -> Vec<(String, Request<RouteNetlinkMessage>)> {
        let index = link.index();
        let addresses =
            self.addresses.iter().map(|address| (format!("give `{link}` the address `{}`", address.net), address.request(index)));
        let gateways =
            self.gateways.iter().map(|gateway| (format!("give `{link}` the gateway `{gateway}`"), default_route(*gateway, index)));
        addresses.chain(gateways).collect()
    }
}

fn default_route(gateway: IpAddr, index: u32) -> Request<RouteNetlinkMessage> {
    let mut message = messages::route(messages::everything(gateway.is_ipv6()));
    message.attributes.push(RouteAttribute::Gateway(gateway.into()));
    message.attributes.push(RouteAttribute::Oif(index));
    Request::new(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL)
}
