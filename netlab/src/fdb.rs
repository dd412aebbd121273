//! Forwarding databases: behind which port, or which far end of a tunnel, a MAC address is.

use std::fmt::Display;
use std::net::IpAddr;
use std::panic::Location;

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::RouteType;

use crate::cidr;
use crate::entry::Entry;
use crate::error::{At, Doing, Error, Result};
use crate::link::Link;
use crate::netns::Netns;
use crate::sys::Refusal;

/// `AF_BRIDGE` (linux/socket.h), which other systems have not.
const AF_BRIDGE: u8 = 7;
/// What a tunnel has for frames to addresses that it does not know, and to groups.
const FLOOD: [u8; 6] = [0; 6];

/// An entry in the forwarding database of a bridge or of a VXLAN, which goes when it is dropped.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let node = netlab::Netns::new("node")?;
/// use netlab::Fdb;
/// // Whom to ask for all that is not known: every other node.
/// let _node2 = Fdb::flood().dev("vxlan0").dst("192.168.1.12").install(&node)?;
/// // Where one machine is: nobody has to be asked.
/// let _pod = Fdb::entry("02:42:0a:00:00:02").dev("vxlan0").dst("192.168.1.12").install(&node)?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the entry goes as soon as it is dropped: bind it, as in `let _fdb = Fdb::entry(…).dev(…).install(…)?;`, or `keep()` it"]
pub struct Fdb(Entry);

/// An entry of a forwarding database, described; [`install`](Self::install) makes it true and reports a bad value.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: say `dev` and `install` it in a namespace"]
pub struct FdbBuilder {
    mac: Option<String>,
    dev: String,
    dst: Option<String>,
    port: Option<u16>,
    id: Option<u32>,
    sticky: bool,
}

impl Fdb {
    /// Where a MAC address is: behind a bridge's port, or with [`dst`](FdbBuilder::dst) behind the far end of a tunnel.
    ///
    /// Equals `bridge fdb add MAC dev PORT master static`, or `bridge fdb add MAC dev VXLAN dst ADDRESS`.
    pub fn entry(mac: impl Display) -> FdbBuilder {
        Self::about(Some(mac.to_string()))
    }

    /// One more far end of a tunnel to which a frame goes whose destination is not known, or is a group.
    ///
    /// Equals `bridge fdb append 00:00:00:00:00:00 dev VXLAN dst ADDRESS`.
    pub fn flood() -> FdbBuilder {
        Self::about(None)
    }

    fn about(mac: Option<String>) -> FdbBuilder {
        FdbBuilder { mac, dev: String::new(), dst: None, port: None, id: None, sticky: false }
    }

    /// The namespace that has the entry.
    pub fn netns(&self) -> &Netns {
        self.0.netns()
    }

    /// Removes the entry and reports. Equals `bridge fdb del …`.
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

impl FdbBuilder {
    /// Says which port of a bridge, or which VXLAN, it is about.
    pub fn dev(mut self, name: impl Into<String>) -> Self {
        self.dev = name.into();
        self
    }

    /// Says which far end of the tunnel it is about, by its address in the underlay.
    pub fn dst(mut self, address: impl Display) -> Self {
        self.dst = Some(address.to_string());
        self
    }

    /// Sets the UDP port of the far end; the default is the tunnel's.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets the network identifier that the far end knows; the default is the tunnel's. Equals `vni`.
    pub fn id(mut self, id: u32) -> Self {
        self.id = Some(id);
        self
    }

    /// Keeps the entry of a bridge where it is. Without it, even a static one moves to the port by which a frame from the address comes
    /// (net/bridge/br_fdb.c, `br_fdb_update`). Equals `sticky`.
    pub fn sticky(mut self) -> Self {
        self.sticky = true;
        self
    }

    /// Adds the entry.
    ///
    /// # Errors
    ///
    /// A bad value ([`is_invalid_input`](Error::is_invalid_input)), an unknown interface ([`is_not_found`](Error::is_not_found)), an
    /// entry that is there ([`is_exists`](Error::is_exists)), an interface that is neither a bridge's port nor a VXLAN.
    #[track_caller]
    pub fn install(self, netns: &Netns) -> Result<Fdb> {
        self.add(netns).at(Location::caller())
    }

    fn add(self, netns: &Netns) -> Result<Fdb> {
        let mac = self.mac.as_deref().unwrap_or("00:00:00:00:00:00");
        let behind = self.dst.as_ref().map(|dst| format!(" dst {dst}")).unwrap_or_default();
        let what = format!("forwarding entry `{mac} dev {}{behind}` of `{netns}`", self.dev);
        let wrong = |why: &str| Error::invalid(format!("add {what}"), why);
        let mac = self.mac.as_deref().map(cidr::parse_mac).transpose().map_err(|why| wrong(&why))?.unwrap_or(FLOOD);
        let dst = self.dst.as_deref().map(cidr::parse_ip).transpose().map_err(|why| wrong(&why))?;
        if self.dev.is_empty() {
            return Err(wrong("no interface is said").help("say which: `.dev(\"vxlan0\")`"));
        }
        if self.mac.is_none() && dst.is_none() {
            return Err(wrong("no far end is said").help("say to which: `.dst(\"192.168.1.12\")`"));
        }
        let link = netns.link(&self.dev)?;
        if dst.is_some() && !is_vxlan(&link).doing(|| format!("add {what}"))? {
            // Another driver would take the entry, and ignore the far end.
            return Err(wrong(&format!("`{link}` is no VXLAN, so it has no far ends")));
        }
        let message = self.message(link.index(), mac, dst);
        let refuse = |refusal| Error::new(format!("add {what}"), refusal);
        if self.mac.is_none() && is_there(netns, &message)? {
            // Asked to append it once more, the kernel says nothing, and there still is one.
            return Err(refuse(Refusal { errno: libc::EEXIST, message: None, offset: None, request: 0 }));
        }
        let flags = if self.mac.is_none() { NLM_F_APPEND } else { NLM_F_EXCL };
        netns.request(RouteNetlinkMessage::NewNeighbour(message.clone()), NLM_F_CREATE | flags).map_err(|refusal| {
            let unfit = dst.is_none() && (refusal.is(libc::EOPNOTSUPP) || refusal.is(libc::EINVAL));
            let error = refuse(refusal);
            if unfit {
                error.help(format!("is `{link}` a port of a bridge? For a VXLAN, say behind which far end: `.dst(…)`"))
            } else {
                error
            }
        })?;
        Ok(Fdb(Entry::new(netns, what, RouteNetlinkMessage::DelNeighbour(message))))
    }

    fn message(&self, index: u32, mac: [u8; 6], dst: Option<IpAddr>) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.family = AF_BRIDGE.into();
        message.header.ifindex = index;
        message.header.kind = RouteType::Unspec;
        (message.header.flags, message.header.state) = match dst {
            Some(_) => (NeighbourFlags::Own, NeighbourState::Permanent),
            // A permanent entry of a bridge is the bridge's own address: what is to be forwarded is static.
            None => (NeighbourFlags::Controller, NeighbourState::Noarp),
        };
        message.header.flags.set(NeighbourFlags::Sticky, self.sticky);
        message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
        message.attributes.extend(dst.map(|dst| NeighbourAttribute::Destination(dst.into())));
        message.attributes.extend(self.port.map(NeighbourAttribute::Port));
        message.attributes.extend(self.id.map(NeighbourAttribute::Vni));
        message
    }
}

fn is_vxlan(link: &Link) -> Result<bool, Refusal> {
    let kind = LinkInfo::Kind(InfoKind::Vxlan);
    Ok(link.ask()?.attributes.iter().any(|attribute| matches!(attribute, LinkAttribute::LinkInfo(infos) if infos.contains(&kind))))
}

/// Whether the tunnel has that far end for everything already.
fn is_there(netns: &Netns, entry: &NeighbourMessage) -> Result<bool> {
    let mut question = NeighbourMessage::default();
    question.header.family = AF_BRIDGE.into();
    let listed = netns.dump(RouteNetlinkMessage::GetNeighbour(question)).doing(|| format!("list the forwarding databases of `{netns}`"))?;
    let entry = Facts::of(entry);
    Ok(listed.iter().any(|message| matches!(message, RouteNetlinkMessage::NewNeighbour(message) if Facts::of(message) == entry)))
}

/// What tells one entry of a tunnel from another.
#[derive(Default, PartialEq, Eq)]
struct Facts {
    index: u32,
    mac: Vec<u8>,
    dst: Vec<u8>,
    port: Option<u16>,
    id: Option<u32>,
}

impl Facts {
    fn of(message: &NeighbourMessage) -> Self {
        let mut facts = Self { index: message.header.ifindex, ..Self::default() };
        for attribute in &message.attributes {
            match attribute {
                NeighbourAttribute::LinkLayerAddress(mac) => facts.mac.clone_from(mac),
                NeighbourAttribute::Destination(NeighbourAddress::Inet(dst)) => facts.dst = dst.octets().to_vec(),
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(dst)) => facts.dst = dst.octets().to_vec(),
                NeighbourAttribute::Destination(NeighbourAddress::Other(dst)) => facts.dst.clone_from(dst),
                NeighbourAttribute::Port(port) => facts.port = Some(*port),
                NeighbourAttribute::Vni(id) => facts.id = Some(*id),
                _ => {}
            }
        }
        facts
    }
}
