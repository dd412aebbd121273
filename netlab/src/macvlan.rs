//! macvlan: a second MAC address on an interface, with a network of its own.

use std::panic::Location;

use netlink_packet_route::link::{InfoData, InfoKind, InfoMacVlan, MacVlanMode};

use crate::device::{Device, Recipe, verbs};
use crate::error::{At, Result};
use crate::iface::Iface;
use crate::link::Link;

/// An interface that shares the cable of another, its parent, and has a MAC address of its own. It goes when it is dropped.
///
/// The description says where it is, which is usually another namespace than the parent's: a container with an address of the host's LAN.
/// The parent itself and its macvlans do not reach each other, whatever the mode: what they send goes out by the cable.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let (host, container) = (netlab::Netns::new("docker")?, netlab::Netns::new("container")?);
/// use netlab::Macvlan;
/// let _nic = Macvlan::bridge(container.iface("eth0").addr("192.168.1.50/24").gateway("192.168.1.1"), &host.link("eth0")?)?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the interface goes as soon as it is dropped: bind it, as in `let _nic = Macvlan::bridge(…)?;`"]
pub struct Macvlan(Device);

verbs!(Macvlan);

impl Macvlan {
    /// One that reaches the parent's other macvlans of this mode directly. Docker's network driver `macvlan` makes such.
    ///
    /// Equals `ip link add NAME link PARENT netns NAMESPACE type macvlan mode bridge`, then `ip address add …`, `ip link set NAME up`.
    ///
    /// # Errors
    ///
    /// A bad value in the description ([`is_invalid_input`](crate::Error::is_invalid_input)), a name or index that is taken
    /// ([`is_exists`](crate::Error::is_exists)), a parent that is gone ([`is_not_found`](crate::Error::is_not_found)), or that has been
    /// [passed through](Self::passthru), a kernel without macvlan ([`is_unsupported`](crate::Error::is_unsupported)). Nothing is left behind
    /// then.
    #[track_caller]
    pub fn bridge(iface: Iface, parent: impl AsRef<Link>) -> Result<Self> {
        Self::create(&iface, parent.as_ref(), MacVlanMode::Bridge).at(Location::caller())
    }

    /// One that reaches none of the parent's other macvlans, not even by a switch that sends their frames back. Equals `mode private`.
    ///
    /// # Errors
    ///
    /// As [`bridge`](Self::bridge).
    #[track_caller]
    pub fn private(iface: Iface, parent: impl AsRef<Link>) -> Result<Self> {
        Self::create(&iface, parent.as_ref(), MacVlanMode::Private).at(Location::caller())
    }

    /// One that reaches the parent's other macvlans only by a switch that sends their frames back
    /// ([`set_hairpin`](Link::set_hairpin); IEEE 802.1Qbg). Equals `mode vepa`, the kernel's default.
    ///
    /// # Errors
    ///
    /// As [`bridge`](Self::bridge).
    #[track_caller]
    pub fn vepa(iface: Iface, parent: impl AsRef<Link>) -> Result<Self> {
        Self::create(&iface, parent.as_ref(), MacVlanMode::Vepa).at(Location::caller())
    }

    /// The only one of its parent, which it takes over with its MAC address: the parent itself receives nothing any more. Equals
    /// `mode passthru`.
    ///
    /// # Errors
    ///
    /// As [`bridge`](Self::bridge), and if the parent has another macvlan.
    #[track_caller]
    pub fn passthru(iface: Iface, parent: impl AsRef<Link>) -> Result<Self> {
        Self::create(&iface, parent.as_ref(), MacVlanMode::Passthrough).at(Location::caller())
    }

    fn create(iface: &Iface, parent: &Link, mode: MacVlanMode) -> Result<Self> {
        let recipe = Recipe::new(InfoKind::MacVlan, Some(InfoData::MacVlan(vec![InfoMacVlan::Mode(mode)]))).upon(parent);
        let alone = mode == MacVlanMode::Passthrough;
        let device = Device::create(iface, if alone { recipe.holds() } else { recipe });
        device.map(Self).map_err(|error| match error.errno() {
            Some(libc::EINVAL) if alone => error.help(format!("`{parent}` can be passed through only while it has no other macvlan")),
            Some(libc::EINVAL) => {
                error.help("a parent that has been passed through takes no other macvlan, and loopback interfaces take none")
            }
            _ => error,
        })
    }
}
