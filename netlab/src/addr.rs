//! An address of an interface, described.

use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope};

use crate::cidr;
use crate::error::{Error, Result};
use crate::messages;
use crate::sys::netlink::Request;

/// The longest label, in bytes (`IFNAMSIZ - 1`).
const LABEL_BYTES: usize = 15;

/// An address with what belongs to it, described; [`install`](Self::install) makes it true and reports a bad value.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: `install` it on a link"]
pub struct AddressBuilder {
    text: String,
    broadcast: Option<String>,
    peer: Option<String>,
    label: Option<String>,
    scope: Option<AddressScope>,
    prefix_route: bool,
    dad: bool,
}

/// A description whose values make sense.
#[derive(Debug, Clone)]
pub(crate) struct PlannedAddress {
    pub(crate) net: IpNet,
    broadcast: Option<Ipv4Addr>,
    peer: Option<IpNet>,
    label: Option<String>,
    scope: AddressScope,
    flags: AddressFlags,
}

impl AddressBuilder {
    pub(crate) fn new(address: impl Display) -> Self {
        Self { text: address.to_string(), broadcast: None, peer: None, label: None, scope: None, prefix_route: true, dad: false }
    }

    /// Sets the IPv4 broadcast address; `+` means the network's own. The default is none.
    pub fn broadcast(mut self, address: impl Display) -> Self {
        self.broadcast = Some(address.to_string());
        self
    }

    /// Sets the address of the far end, and the network behind it, such as `10.0.0.2` or `10.0.0.2/30`; the address itself is a host's then.
    pub fn peer(mut self, address: impl Display) -> Self {
        self.peer = Some(address.to_string());
        self
    }

    /// Names an IPv4 address, by the rules the interface's name and a colon first, such as `eth0:1`.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says that the address is valid on its link only. It is not chosen as the source of what leaves by another link.
    pub fn scope_link(mut self) -> Self {
        self.scope = Some(AddressScope::Link);
        self
    }

    /// Says that the address is valid in its machine only.
    pub fn scope_host(mut self) -> Self {
        self.scope = Some(AddressScope::Host);
        self
    }

    /// Adds no route to the address's network.
    pub fn no_prefix_route(mut self) -> Self {
        self.prefix_route = false;
        self
    }

    /// Lets the kernel probe for duplicates of an IPv6 address (RFC 4862), which it does not in a lab.
    ///
    /// The address stays tentative for about a second then. The namespace's `accept_dad` has to allow it.
    pub fn dad(mut self) -> Self {
        self.dad = true;
        self
    }

    /// `place` is the interface, for messages.
    pub(crate) fn plan(&self, place: &str) -> Result<PlannedAddress> {
        let wrong = |why: String| Error::invalid(format!("give `{place}` the address `{}`", self.text), why);
        let net = cidr::parse(&self.text).map_err(wrong)?;
        let ipv6 = net.addr().is_ipv6();
        if ipv6 && (self.broadcast.is_some() || self.label.is_some()) {
            return Err(wrong("IPv6 has no broadcast addresses and no labels".to_owned()));
        }
        let peer = self.peer.as_deref().map(cidr::parse).transpose().map_err(wrong)?;
        if peer.is_some_and(|peer| peer.addr().is_ipv6() != ipv6) {
            return Err(wrong("its peer is of the other family".to_owned()));
        }
        if let Some(label) = self.label.as_ref().filter(|label| label.is_empty() || label.len() > LABEL_BYTES) {
            return Err(wrong(format!("a label has 1 to {LABEL_BYTES} bytes, `{label}` has {}", label.len())));
        }
        let mut flags = AddressFlags::empty();
        flags.set(AddressFlags::Nodad, ipv6 && !self.dad);
        flags.set(AddressFlags::Noprefixroute, !self.prefix_route);
        let usual = if net.addr().is_loopback() && !ipv6 { AddressScope::Host } else { AddressScope::Universe };
        Ok(PlannedAddress {
            net,
            broadcast: self.planned_broadcast(net).map_err(wrong)?,
            peer,
            label: self.label.clone(),
            scope: self.scope.unwrap_or(usual),
            flags,
        })
    }

    fn planned_broadcast(&self, net: IpNet) -> Result<Option<Ipv4Addr>, String> {
        match (self.broadcast.as_deref(), net) {
            (Some("+"), IpNet::V4(net)) => Ok(Some(net.broadcast())),
            (Some(text), _) => text.parse().map(Some).map_err(|_| format!("expected a broadcast address or `+`, not `{text}`")),
            (None, _) => Ok(None),
        }
    }
}

impl Display for AddressBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PlannedAddress {
    pub(crate) fn request(&self, index: u32) -> Request<RouteNetlinkMessage> {
        Request::new(RouteNetlinkMessage::NewAddress(self.message(index)), NLM_F_CREATE | NLM_F_EXCL)
    }

    pub(crate) fn message(&self, index: u32) -> AddressMessage {
        let far = self.peer.unwrap_or(self.net);
        let mut message = messages::address(self.net.addr(), far, index);
        message.header.scope = self.scope;
        message.attributes.extend(self.broadcast.map(AddressAttribute::Broadcast));
        message.attributes.extend(self.label.clone().map(AddressAttribute::Label));
        if !self.flags.is_empty() {
            message.header.flags = AddressHeaderFlags::from_bits_truncate(self.flags.bits() as u8);
            message.attributes.push(AddressAttribute::Flags(self.flags));
        }
        message
    }

    /// Whether the kernel will probe for duplicates, which takes a second.
    pub(crate) fn is_ipv6(&self) -> bool {
        self.net.addr().is_ipv6()
    }
}
