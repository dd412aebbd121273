//! What a bridge's port does with frames (`bridge link set`).

use std::panic::Location;

use netlink_packet_route::link::{InfoBridgePort, InfoPortData, InfoPortKind, LinkAttribute, LinkInfo};

use crate::error::{At, Doing, Result};
use crate::link::Link;

/// The flags of a bridge's port. Each is refused for an interface that is none.
impl Link {
    /// Lets the bridge send a frame back out of the port that it came in by, or not.
    ///
    /// Equals `bridge link set dev NAME hairpin on`.
    ///
    /// # Errors
    ///
    /// If the interface is not a bridge port.
    #[track_caller]
    pub fn set_hairpin(&self, on: bool) -> Result<()> {
        self.set_port("hairpin", InfoBridgePort::HairpinMode(on)).at(Location::caller())
    }

    /// Keeps the port from talking to other isolated ports of its bridge, or not.
    ///
    /// Equals `bridge link set dev NAME isolated on`.
    ///
    /// # Errors
    ///
    /// If the interface is not a bridge port.
    #[track_caller]
    pub fn set_isolated(&self, on: bool) -> Result<()> {
        self.set_port("isolation", InfoBridgePort::Isolated(on)).at(Location::caller())
    }

    /// Lets the bridge note which MAC addresses send through the port, as it does by default, or not.
    ///
    /// Equals `bridge link set dev NAME learning on`.
    ///
    /// # Errors
    ///
    /// If the interface is not a bridge port.
    #[track_caller]
    pub fn set_learning(&self, on: bool) -> Result<()> {
        self.set_port("learning", InfoBridgePort::Learning(on)).at(Location::caller())
    }

    /// Lets frames to MAC addresses that the bridge does not know leave by the port, as they do by default, or not.
    ///
    /// Equals `bridge link set dev NAME flood on`.
    ///
    /// # Errors
    ///
    /// If the interface is not a bridge port.
    #[track_caller]
    pub fn set_flood(&self, on: bool) -> Result<()> {
        self.set_port("flooding", InfoBridgePort::UnicastFlood(on)).at(Location::caller())
    }

    /// Lets frames to everyone leave by the port, such as ARP requests, as they do by default, or not.
    ///
    /// Equals `bridge link set dev NAME bcast_flood on`.
    ///
    /// # Errors
    ///
    /// If the interface is not a bridge port.
    #[track_caller]
    pub fn set_broadcast_flood(&self, on: bool) -> Result<()> {
        self.set_port("flooding of broadcasts", InfoBridgePort::BroadcastFlood(on)).at(Location::caller())
    }

    /// Lets frames to groups leave by the port that nobody there has joined, as they do by default, or not.
    ///
    /// Equals `bridge link set dev NAME mcast_flood on`.
    ///
    /// # Errors
    ///
    /// If the interface is not a bridge port.
    #[track_caller]
    pub fn set_multicast_flood(&self, on: bool) -> Result<()> {
        self.set_port("flooding of multicasts", InfoBridgePort::MulticastFlood(on)).at(Location::caller())
    }

    /// Lets only those send through the port whose MAC addresses are entries of the forwarding database (IEEE 802.1X), or everyone.
    ///
    /// Equals `bridge link set dev NAME locked on`.
    ///
    /// # Errors
    ///
    /// If the interface is not a bridge port, or if the kernel is older than the flag (5.18).
    #[track_caller]
    pub fn set_locked(&self, on: bool) -> Result<()> {
        self.set_port("lock", InfoBridgePort::Locked(on)).at(Location::caller())
    }

    fn set_port(&self, what: &str, value: InfoBridgePort) -> Result<()> {
        self.set_new(LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![value])),
        ]))
        .doing(|| format!("set {what} of `{self}`"))
    }
}
