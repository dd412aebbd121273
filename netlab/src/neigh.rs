//! Neighbours: which MAC address an address on the link has.

use std::fmt::Display;
use std::net::IpAddr;
use std::panic::Location;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::RouteType;

use crate::cidr;
use crate::entry::Entry;
use crate::error::{At, Doing, Error, Result};
use crate::link::Link;
use crate::messages;
use crate::netns::Netns;

/// An entry in the neighbour table (ARP for IPv4, neighbour discovery for IPv6) of a namespace, which goes when it is dropped.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let laptop = netlab::Netns::new("laptop")?;
/// use netlab::Neigh;
/// let _gateway = Neigh::permanent("10.0.0.1", "02:42:ac:11:00:02").dev("eth0").install(&laptop)?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the entry goes as soon as it is dropped: bind it, as in `let _neigh = Neigh::permanent(…).dev(…).install(…)?;`, or `keep()` it"]
pub struct Neigh(Entry);

/// A neighbour, described; [`install`](Self::install) makes it true and reports a bad value.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: say `dev` and `install` it in a namespace"]
pub struct NeighBuilder {
    address: String,
    mac: Option<String>,
    dev: String,
}

impl Neigh {
    /// A neighbour that never has to be asked for. Equals `ip neigh replace ADDRESS lladdr MAC nud permanent dev …`.
    pub fn permanent(address: impl Display, mac: impl Display) -> NeighBuilder {
        NeighBuilder { address: address.to_string(), mac: Some(mac.to_string()), dev: String::new() }
    }

    /// An address for which the machine answers on the link in place of its owner. Equals `ip neigh add proxy ADDRESS dev …`.
    ///
    /// For IPv4 the machine answers if it forwards and its route to the address leads out of another link; for IPv6 the link's `proxy_ndp`
    /// must be 1.
    pub fn proxy(address: impl Display) -> NeighBuilder {
        NeighBuilder { address: address.to_string(), mac: None, dev: String::new() }
    }

    /// The namespace that has the entry.
    pub fn netns(&self) -> &Netns {
        self.0.netns()
    }

    /// Removes the entry and reports. Equals `ip neigh del …`.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; an entry that went with its interface is no error.
    #[track_caller]
    pub fn close(self) -> Result<()> {
        self.0.close()
    }

    /// Leaves the entry: it goes with its interface.
    pub fn keep(self) {
        self.0.keep();
    }
}

impl NeighBuilder {
    /// Says by which interface the neighbour is reached.
    pub fn dev(mut self, name: impl Into<String>) -> Self {
        self.dev = name.into();
        self
    }

    /// Adds the entry, in the place of one that the kernel has learned for the address.
    ///
    /// # Errors
    ///
    /// A bad value ([`is_invalid_input`](Error::is_invalid_input)), or an unknown interface ([`is_not_found`](Error::is_not_found)).
    #[track_caller]
    pub fn install(self, netns: &Netns) -> Result<Neigh> {
        self.add(netns).at(Location::caller())
    }

    fn add(self, netns: &Netns) -> Result<Neigh> {
        let what = format!("neighbour `{}` of `{netns}/{}`", self.address, self.dev);
        let wrong = |why| Error::invalid(format!("add {what}"), why);
        let address = cidr::parse_ip(&self.address).map_err(wrong)?;
        let mac = self.mac.as_deref().map(cidr::parse_mac).transpose().map_err(wrong)?;
        if self.dev.is_empty() {
            return Err(wrong("no interface is said".to_owned()).help("say by which interface it is reached: `.dev(\"eth0\")`"));
        }
        let link = netns.link(&self.dev)?;
        let mut message = message(address, link.index());
        match mac {
            Some(mac) => {
                message.header.state = NeighbourState::Permanent;
                message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
            }
            None => message.header.flags = NeighbourFlags::Proxy,
        }
        netns.request(RouteNetlinkMessage::NewNeighbour(message.clone()), NLM_F_CREATE | NLM_F_REPLACE).doing(|| format!("add {what}"))?;
        Ok(Neigh(Entry::new(netns, what, RouteNetlinkMessage::DelNeighbour(message))))
    }
}

impl Link {
    /// Forgets a neighbour, learned or permanent. Equals `ip neigh del ADDRESS dev NAME`.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if the kernel does not know it.
    #[track_caller]
    pub fn delete_neighbour(&self, address: impl Display) -> Result<()> {
        let here = Location::caller();
        let what = || format!("delete neighbour `{address}` of `{self}`");
        let address = cidr::parse_ip(&address.to_string()).map_err(|why| Error::invalid(what(), why).at(here))?;
        let message = RouteNetlinkMessage::DelNeighbour(message(address, self.index()));
        self.netns().request(message, 0).map(drop).doing(what).at(here)
    }

    /// Forgets all neighbours that were learned; permanent ones stay. Equals `ip neigh flush dev NAME`.
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    #[track_caller]
    pub fn flush_neighbours(&self) -> Result<()> {
        let here = Location::caller();
        let what = || format!("flush the neighbours of `{self}`");
        let mut question = NeighbourMessage::default();
        question.attributes.push(NeighbourAttribute::IfIndex(self.index()));
        for answer in self.netns().dump(RouteNetlinkMessage::GetNeighbour(question)).doing(what).at(here)? {
            let RouteNetlinkMessage::NewNeighbour(neighbour) = answer else { continue };
            if matches!(neighbour.header.state, NeighbourState::Permanent | NeighbourState::Noarp) {
                continue;
            }
            let Some(address) = destination(&neighbour) else { continue };
            match self.netns().request(RouteNetlinkMessage::DelNeighbour(message(address, self.index())), 0) {
                Err(refusal) if refusal.is(libc::ENOENT) => {} // it went while we looked
                other => drop(other.doing(what).at(here)?),
            }
        }
        Ok(())
    }
}

fn message(address: IpAddr, index: u32) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = messages::family(address);
    message.header.ifindex = index;
    message.header.kind = RouteType::Unspec;
    message.attributes.push(NeighbourAttribute::Destination(match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    }));
    message
}

fn destination(neighbour: &NeighbourMessage) -> Option<IpAddr> {
    neighbour.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })
}
