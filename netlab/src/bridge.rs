//! A bridge: a switch in a namespace.

use std::panic::Location;

use netlink_packet_route::link::{BridgeStpState, InfoBridge, InfoData, InfoKind, LinkAttribute, LinkInfo};

use crate::device::{Device, Recipe, verbs};
use crate::error::{At, Doing, Result};
use crate::iface::Iface;
use crate::veth::VethPair;

/// A bridge: a switch whose ports are interfaces of one namespace, and an interface of that namespace itself. It goes when it is dropped.
///
/// It forwards at once: spanning tree is off and the forward delay is 0. When it goes, its ports stay, as plain interfaces.
#[derive(Debug)]
#[must_use = "the bridge goes as soon as it is dropped: bind it, as in `let lan = Bridge::new(…)?;`"]
pub struct Bridge(Device);

verbs!(Bridge);

impl Bridge {
    /// Makes a bridge from the description of its own interface, such as `host.iface("br0").addr("10.1.1.1/24")`.
    ///
    /// Equals `ip link add NAME type bridge stp_state 0 forward_delay 0; ip address add …; ip link set NAME up`.
    ///
    /// # Errors
    ///
    /// A bad value in the description ([`is_invalid_input`](crate::Error::is_invalid_input)), or a name or index that is taken
    /// ([`is_exists`](crate::Error::is_exists)). Nothing is left behind then.
    #[track_caller]
    pub fn new(iface: Iface) -> Result<Self> {
        let here = Location::caller();
        Self::create(&iface).at(here)
    }

    fn create(iface: &Iface) -> Result<Self> {
        let data = InfoData::Bridge(vec![InfoBridge::StpState(BridgeStpState::Disabled), InfoBridge::ForwardDelay(0)]);
        Device::create(iface, Recipe::new(InfoKind::Bridge, Some(data))).map(Self)
    }

    /// Plugs a machine in: a cable from `machine` to a new port of this bridge, named after the machine.
    ///
    /// The port's name is the machine's, cut to what an interface name may hold, and made free with a number where it is taken.
    ///
    /// # Errors
    ///
    /// As [`VethPair::connect`].
    #[track_caller]
    pub fn plug(&self, machine: Iface) -> Result<VethPair> {
        let here = Location::caller();
        let port = self.link().netns().iface(self.free_port_name(machine.netns.name())).master(self.link());
        VethPair::connect(machine, port).at(here)
    }

    fn free_port_name(&self, machine: &str) -> String {
        let stem: String =
            machine.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).take(11).collect();
        let netns = self.link().netns();
        let names = std::iter::once(stem.clone()).chain((1..).map(|n| format!("{stem}.{n}")));
        names.into_iter().find(|name| netns.link(name).is_err()).unwrap_or(stem)
    }

    /// Turns the spanning tree protocol of the kernel on or off. Equals `ip link set NAME type bridge stp_state 1`.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    #[track_caller]
    pub fn set_stp(&self, on: bool) -> Result<()> {
        let state = if on { BridgeStpState::KernelStp } else { BridgeStpState::Disabled };
        self.set(InfoBridge::StpState(state), "set spanning tree of", Location::caller())
    }

    /// Sets the time that a port listens and learns before it forwards, in hundredths of a second (`USER_HZ`).
    ///
    /// Equals `ip link set NAME type bridge forward_delay N`; with spanning tree off, 0 is allowed.
    ///
    /// # Errors
    ///
    /// If spanning tree is on and the delay is not between 2 s and 30 s.
    #[track_caller]
    pub fn set_forward_delay(&self, centiseconds: u32) -> Result<()> {
        self.set(InfoBridge::ForwardDelay(centiseconds), "set the forward delay of", Location::caller())
    }

    /// Sets how long the bridge remembers where a MAC address is, in hundredths of a second; 0 forgets at once and floods.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    #[track_caller]
    pub fn set_ageing(&self, centiseconds: u32) -> Result<()> {
        self.set(InfoBridge::AgeingTime(centiseconds), "set the ageing time of", Location::caller())
    }

    fn set(&self, value: InfoBridge, what: &str, here: &'static Location<'static>) -> Result<()> {
        let info = vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(InfoData::Bridge(vec![value]))];
        self.link().set_new(LinkAttribute::LinkInfo(info)).doing(|| format!("{what} `{}`", self.link())).at(here)
    }
}
