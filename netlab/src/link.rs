//! A link that is there: a handle to one network interface, and what can be done to it.

use std::fmt;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    BridgePortState, InfoBridgePort, InfoKind, InfoPortData, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use crate::cidr;
use crate::error::{At, Doing, Error, Result};
use crate::iface::{Iface, Plan};
use crate::messages;
use crate::netns::{Netns, lock};
use crate::patience;
use crate::sys::Refusal;
use crate::sys::netlink::Request;

/// How long a link may take to carry traffic once it is up.
const SETTLE: Duration = Duration::from_secs(5);

/// A network interface that exists: a handle, clones of which are the same interface.
///
/// It follows its interface through a rename or a move to another namespace that is done with it. The handle keeps the namespace alive, not
/// the interface: that goes with its fixture.
#[derive(Clone)]
pub struct Link(Arc<Mutex<State>>);

#[derive(Clone)]
struct State {
    netns: Netns,
    index: u32,
    name: String,
}

impl Netns {
    /// The interface of that name, such as `lo`, whoever made it.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if there is none.
    #[track_caller]
    pub fn link(&self, name: &str) -> Result<Link> {
        let here = Location::caller();
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let what = || format!("find interface `{self}/{name}`");
        let answers = self.request(RouteNetlinkMessage::GetLink(message), 0).doing(what).at(here)?;
        let found = answers.iter().find_map(as_link).ok_or_else(|| Error::unexpected(what(), "the kernel gave no answer").at(here))?;
        Ok(Link::new(self, found.header.index, name))
    }
}

impl Link {
    pub(crate) fn new(netns: &Netns, index: u32, name: &str) -> Self {
        Self(Arc::new(Mutex::new(State { netns: netns.clone(), index, name: name.to_owned() })))
    }

    fn state(&self) -> State {
        lock(&self.0).clone()
    }

    /// The namespace in which the interface is now.
    pub fn netns(&self) -> Netns {
        lock(&self.0).netns.clone()
    }

    /// The interface index in that namespace.
    pub fn index(&self) -> u32 {
        lock(&self.0).index
    }

    /// The interface's name.
    pub fn name(&self) -> String {
        lock(&self.0).name.clone()
    }

    /// Sets the interface up and waits until it carries traffic and so does its far end, or until it is certain that the far end is down.
    ///
    /// Equals `ip link set NAME up`, without the moment in which the kernel has not yet noticed the carrier.
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    #[track_caller]
    pub fn up(&self) -> Result<()> {
        let here = Location::caller();
        self.set_flags(LinkFlags::Up, LinkFlags::Up).doing(|| format!("set `{self}` up")).at(here)?;
        self.settle(false).and_then(|()| self.settle_far_end()).and_then(|()| self.settle_ipv6()).at(here)
    }

    /// Sets the interface down; its routes go, its IPv4 addresses stay. Equals `ip link set NAME down`.
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    #[track_caller]
    pub fn down(&self) -> Result<()> {
        let here = Location::caller();
        self.set_flags(LinkFlags::empty(), LinkFlags::Up).doing(|| format!("set `{self}` down")).at(here)
    }

    /// Sets the MTU in bytes. Equals `ip link set NAME mtu BYTES`.
    ///
    /// # Errors
    ///
    /// If the device does not take that size.
    #[track_caller]
    pub fn set_mtu(&self, bytes: u32) -> Result<()> {
        let here = Location::caller();
        self.set(LinkAttribute::Mtu(bytes)).doing(|| format!("set the MTU of `{self}` to {bytes}")).at(here)
    }

    /// Sets the MAC address, such as `02:42:ac:11:00:02`. Equals `ip link set NAME address MAC`.
    ///
    /// # Errors
    ///
    /// If it is no unicast MAC address.
    #[track_caller]
    pub fn set_mac(&self, mac: impl fmt::Display) -> Result<()> {
        let here = Location::caller();
        let what = || format!("give `{self}` the MAC address `{mac}`");
        let bytes = cidr::parse_mac(&mac.to_string()).map_err(|why| Error::invalid(what(), why).at(here))?;
        self.set(LinkAttribute::Address(bytes.to_vec())).doing(what).at(here)
    }

    /// Renames the interface, also while it is up. Equals `ip link set OLD name NEW`.
    ///
    /// # Errors
    ///
    /// [`is_exists`](Error::is_exists) if the name is taken.
    #[track_caller]
    pub fn rename(&self, name: &str) -> Result<()> {
        let here = Location::caller();
        self.netns().iface(name).check_name().at(here)?;
        self.set(LinkAttribute::IfName(name.to_owned())).doing(|| format!("rename `{self}` to `{name}`")).at(here)?;
        lock(&self.0).name = name.to_owned();
        Ok(())
    }

    /// Makes the interface a port of a bridge, or of a VRF, and waits until it forwards. Equals `ip link set NAME master BRIDGE`.
    ///
    /// # Errors
    ///
    /// If the bridge is in another namespace.
    #[track_caller]
    pub fn set_master(&self, bridge: impl AsRef<Link>) -> Result<()> {
        let here = Location::caller();
        let bridge = bridge.as_ref();
        let what = || format!("make `{self}` a port of `{}`", bridge.name());
        if !bridge.netns().is_same(&self.netns()) {
            return Err(Error::invalid(what(), format!("the bridge is in namespace `{}`", bridge.netns())).at(here));
        }
        self.set(LinkAttribute::Controller(bridge.index())).doing(what).at(here)?;
        self.settle(false).at(here)
    }

    /// Takes the interface off its bridge or VRF. Equals `ip link set NAME nomaster`.
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    #[track_caller]
    pub fn set_nomaster(&self) -> Result<()> {
        let here = Location::caller();
        self.set(LinkAttribute::Controller(0)).doing(|| format!("take `{self}` off its bridge")).at(here)
    }

    /// Moves the interface into another namespace, down and without its addresses, as the kernel does it.
    ///
    /// Equals `ip link set NAME netns OTHER`. The index stays unless it is taken there. It costs about 16 ms:
    /// [`VethPair::connect`](crate::VethPair::connect) makes both ends where they belong at once.
    ///
    /// # Errors
    ///
    /// [`is_exists`](Error::is_exists) if the name is taken there.
    #[track_caller]
    pub fn move_to(&self, other: &Netns) -> Result<()> {
        let here = Location::caller();
        let what = || format!("move `{self}` to namespace `{other}`");
        other.bury();
        self.set(LinkAttribute::NetNsFd(other.descriptor().as_raw_fd())).doing(what).at(here)?;
        self.follow_to(other, self.name()).at(here)
    }

    /// Moves the interface into the network namespace behind a descriptor, such as an open `/run/netns/NAME` or `/proc/PID/ns/net`.
    ///
    /// The handle stays with the old namespace then, where the interface is gone.
    ///
    /// # Errors
    ///
    /// If it is no descriptor of a network namespace that the caller may change.
    #[track_caller]
    pub fn move_to_fd(&self, namespace: BorrowedFd<'_>) -> Result<()> {
        let here = Location::caller();
        let what = || format!("move `{self}` to the namespace behind descriptor {}", namespace.as_raw_fd());
        self.set(LinkAttribute::NetNsFd(namespace.as_raw_fd())).doing(what).at(here)
    }

    /// Moves the interface into the network namespace of a process, by its id as the caller sees it.
    ///
    /// Equals `ip link set NAME netns PID`. The handle stays with the old namespace then, where the interface is gone.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if there is no such process.
    #[track_caller]
    pub fn move_to_pid(&self, pid: u32) -> Result<()> {
        let here = Location::caller();
        self.set(LinkAttribute::NetNsPid(pid)).doing(|| format!("move `{self}` to the namespace of process {pid}")).at(here)
    }

    fn follow_to(&self, netns: &Netns, name: String) -> Result<()> {
        let index = netns.link(&name)?.index();
        netns.avoid_index(index);
        // To its new namespace it is a new link, with the kernel's patience.
        match netns.batch(patience::requests(index).collect()) {
            Err(refusal) if !patience::has_no_neighbours(&refusal) => {
                return Err(Error::new(format!("set how long the neighbours of `{self}` may take"), refusal));
            }
            _ => {}
        }
        *lock(&self.0) = State { netns: netns.clone(), index, name };
        Ok(())
    }

    fn message(&self) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = self.index();
        message
    }

    fn flags_message(&self, flags: LinkFlags, mask: LinkFlags) -> LinkMessage {
        let mut message = self.message();
        message.header.flags = flags;
        message.header.change_mask = mask;
        message
    }

    pub(crate) fn set(&self, attribute: LinkAttribute) -> Result<(), Refusal> {
        let mut message = self.message();
        message.attributes.push(attribute);
        self.netns().request(RouteNetlinkMessage::SetLink(message), 0).map(drop)
    }

    /// As [`set`](Self::set), by RTM_NEWLINK: RTM_SETLINK ignores what belongs to the kind of link or port.
    pub(crate) fn set_new(&self, attribute: LinkAttribute) -> Result<(), Refusal> {
        let mut message = self.message();
        message.attributes.push(attribute);
        self.netns().request(RouteNetlinkMessage::NewLink(message), 0).map(drop)
    }

    fn set_flags(&self, flags: LinkFlags, mask: LinkFlags) -> Result<(), Refusal> {
        self.netns().request(RouteNetlinkMessage::SetLink(self.flags_message(flags, mask)), 0).map(drop)
    }

    /// What the kernel says of the link now. The question makes it take note of a carrier change first.
    pub(crate) fn ask(&self) -> Result<LinkMessage, Refusal> {
        let answers = self.netns().request(RouteNetlinkMessage::GetLink(self.message()), 0)?;
        answers.into_iter().find_map(into_link).ok_or(Refusal { errno: libc::ENODEV, message: None, offset: None, request: 0 })
    }

    /// Waits until the link carries traffic; with `must`, a far end that is down is an error, else it is an answer.
    pub(crate) fn settle(&self, must: bool) -> Result<()> {
        let what = || format!("wait for `{self}` to carry traffic");
        let deadline = Instant::now() + SETTLE;
        loop {
            let link = self.ask().doing(what)?;
            let up = link.header.flags.contains(LinkFlags::Up);
            let carrier = link.header.flags.contains(LinkFlags::LowerUp);
            if port_forwards(&link) && (carrier || !up || !must) {
                return self.ask_bridge(&link, None).doing(what);
            }
            if Instant::now() > deadline {
                return Err(Error::timeout(what(), format!("after {SETTLE:?} its flags are {:?}", link.header.flags)));
            }
            std::thread::yield_now();
        }
    }

    /// Waits until the far end of a cable, if it is up, carries traffic as well: it may be the port of a bridge, which forwards from then on.
    fn settle_far_end(&self) -> Result<()> {
        let what = || format!("wait for the far end of `{self}` to carry traffic");
        let deadline = Instant::now() + SETTLE;
        while let Some((far, place)) = self.ask_far_end().doing(what)? {
            let carries = far.header.flags.contains(LinkFlags::LowerUp) || !far.header.flags.contains(LinkFlags::Up);
            if carries && port_forwards(&far) {
                return self.ask_bridge(&far, place).doing(what);
            }
            if Instant::now() > deadline {
                return Err(Error::timeout(what(), format!("after {SETTLE:?} its flags are {:?}", far.header.flags)));
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// As [`ask`](Self::ask), of the far end of a cable, and where that is; nothing if there is none, or none that can be asked from here.
    fn ask_far_end(&self) -> Result<Option<(LinkMessage, Option<i32>)>, Refusal> {
        let near = self.ask()?;
        let far = near.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Link(index) if is_veth(&near) && near.header.flags.contains(LinkFlags::Up) => Some(*index),
            _ => None,
        });
        let place = near.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::LinkNetNsId(id) => Some(*id),
            _ => None,
        });
        let Some(far) = far else { return Ok(None) };
        let answers = self.netns().request(look_at(far, place), 0).unwrap_or_default();
        Ok(answers.into_iter().find_map(into_link).map(|far| (far, place)))
    }

    /// Lets the kernel take note of the carrier of the bridge whose port this is: a bridge has the first one from its first port.
    ///
    /// Until then what its machine sends by it is lost without a word. `place` is the id of the namespace where they are.
    fn ask_bridge(&self, port: &LinkMessage, place: Option<i32>) -> Result<(), Refusal> {
        let bridge = port.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Controller(index) if *index != 0 => Some(*index),
            _ => None,
        });
        bridge.map_or(Ok(()), |bridge| self.netns().request(look_at(bridge, place), 0).map(drop))
    }

    /// Waits until the kernel answers for every IPv6 address of the link, if it has a carrier; without one it will not before it gets one.
    ///
    /// An address is listed at once, and with `nodad` it is never tentative. But its solicited-node group and its local route are the work
    /// of a kernel thread (net/ipv6/addrconf.c, `addrconf_dad_begin`); the route comes last.
    pub(crate) fn settle_ipv6(&self) -> Result<()> {
        let what = || format!("wait for the IPv6 addresses of `{self}`");
        let deadline = Instant::now() + SETTLE;
        while self.ask().doing(what)?.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp) {
            let waiting = self.unanswered_ipv6().doing(what)?;
            let Some(address) = waiting.first() else { break };
            if Instant::now() > deadline {
                return Err(Error::timeout(what(), format!("after {SETTLE:?} the kernel does not answer for {address}")));
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// The IPv6 addresses of the link that have no local route yet; those that somebody else had before (`dadfailed`) never get one.
    fn unanswered_ipv6(&self) -> Result<Vec<IpAddr>, Refusal> {
        let netns = self.netns();
        let mut question = AddressMessage::default();
        question.header.family = AddressFamily::Inet6;
        question.header.index = self.index();
        let listed = netns.dump(RouteNetlinkMessage::GetAddress(question))?;
        let addresses: Vec<_> = listed.iter().filter_map(living_address).collect();
        if addresses.is_empty() {
            return Ok(addresses);
        }
        let routes = netns.dump(RouteNetlinkMessage::GetRoute(messages::local_ipv6_routes(self.index())))?;
        let answered: Vec<_> = routes.iter().filter_map(messages::destination).collect();
        Ok(addresses.into_iter().filter(|address| !answered.contains(address)).collect())
    }

    /// Gives a new link what its description says, and waits until it carries traffic where it can.
    pub(crate) fn configure(&self, iface: &Iface, plan: &Plan, must_carry: bool) -> Result<()> {
        let mut steps = Vec::new();
        if iface.up {
            let message = self.flags_message(LinkFlags::Up, LinkFlags::Up);
            steps.push((format!("set `{self}` up"), Request::new(RouteNetlinkMessage::SetLink(message), 0)));
        }
        steps.extend(plan.requests(self));
        let patience = steps.len();
        steps
            .extend(patience::requests(self.index()).map(|request| (format!("set how long the neighbours of `{self}` may take"), request)));
        let last = steps.len();
        steps.push((format!("look at `{self}`"), Request::new(RouteNetlinkMessage::GetLink(self.message()), 0)));
        let (mut words, requests): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
        let answers = match self.netns().batch(requests) {
            // The first refusal, so all was done that matters.
            Err(refusal) if refusal.request >= patience && patience::has_no_neighbours(&refusal) => Vec::new(),
            answers => answers.map_err(|refusal| Error::new(words.swap_remove(refusal.request), refusal))?,
        };
        let seen = answers.get(last).and_then(|answers| answers.iter().find_map(as_link));
        let settled =
            |link: &&LinkMessage| !iface.up || (port_forwards(link) && (link.header.flags.contains(LinkFlags::LowerUp) || !must_carry));
        match seen.filter(settled) {
            Some(link) => self.ask_bridge(link, None).doing(|| format!("look at the bridge of `{self}`"))?,
            None => self.settle(must_carry)?,
        }
        if plan.addresses.iter().any(|address| address.is_ipv6()) && iface.up {
            self.settle_ipv6()?;
        }
        Ok(())
    }

    /// Makes the link ineffective and frees its name, without waiting for the kernel to delete it; tells whether it was there.
    pub(crate) fn retire(&self) -> Result<bool, Refusal> {
        self.netns().retire(self.flags_message(LinkFlags::empty(), LinkFlags::Up))
    }

    /// Deletes the link and waits for it.
    pub(crate) fn delete(&self) -> Result<(), Refusal> {
        match self.netns().request(RouteNetlinkMessage::DelLink(self.message()), 0) {
            Err(refusal) if refusal.is(libc::ENODEV) => Ok(()),
            other => other.map(drop),
        }
    }
}

impl AsRef<Link> for Link {
    fn as_ref(&self) -> &Link {
        self
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0);
        write!(f, "{}/{}", state.netns.name(), state.name)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { netns, index, name } = self.state();
        f.debug_struct("Link").field("netns", &netns.name()).field("name", &name).field("index", &index).finish()
    }
}

fn as_link(message: &RouteNetlinkMessage) -> Option<&LinkMessage> {
    match message {
        RouteNetlinkMessage::NewLink(link) => Some(link),
        _ => None,
    }
}

fn into_link(message: RouteNetlinkMessage) -> Option<LinkMessage> {
    match message {
        RouteNetlinkMessage::NewLink(link) => Some(link),
        _ => None,
    }
}

/// The MTU of a link that the kernel was asked for.
pub(crate) fn mtu(link: &LinkMessage) -> Option<u32> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Mtu(bytes) => Some(*bytes),
        _ => None,
    })
}

/// The question for a link, here or in the namespace of that id.
fn look_at(index: u32, place: Option<i32>) -> RouteNetlinkMessage {
    let mut question = LinkMessage::default();
    question.header.index = index;
    question.attributes.extend(place.map(LinkAttribute::IfNetnsId));
    RouteNetlinkMessage::GetLink(question)
}

fn is_veth(link: &LinkMessage) -> bool {
    link.attributes
        .iter()
        .any(|attribute| matches!(attribute, LinkAttribute::LinkInfo(infos) if infos.contains(&LinkInfo::Kind(InfoKind::Veth))))
}

/// Whether the link is no bridge port, or one that forwards, or one that cannot because it is down.
fn port_forwards(link: &LinkMessage) -> bool {
    let infos = link.attributes.iter().filter_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    let state = infos.flatten().find_map(|info| match info {
        LinkInfo::PortData(InfoPortData::BridgePort(port)) => port.iter().find_map(|value| match value {
            InfoBridgePort::State(state) => Some(*state),
            _ => None,
        }),
        _ => None,
    });
    // Learning and listening are on the way to forwarding; blocking and disabled are where the port stays.
    !matches!(state, Some(BridgePortState::Learning | BridgePortState::Listening))
}

/// The address, unless duplicate address detection has failed for it.
fn living_address(message: &RouteNetlinkMessage) -> Option<IpAddr> {
    let RouteNetlinkMessage::NewAddress(address) = message else { return None };
    let failed =
        |attribute: &AddressAttribute| matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(AddressFlags::Dadfailed));
    if address.attributes.iter().any(failed) {
        return None;
    }
    let local = address.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(local) => Some(*local),
        _ => None,
    });
    // Without a peer, the kernel lists an IPv6 address as IFA_ADDRESS alone.
    local.or_else(|| {
        address.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}
