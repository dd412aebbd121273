//! ipvlan: several machines with one MAC address on one interface.

use std::panic::Location;

use netlink_packet_route::link::{InfoData, InfoIpVlan, InfoKind, IpVlanFlags, IpVlanMode};

use crate::device::{Device, MacAddress, Recipe, verbs};
use crate::error::{At, Result};
use crate::iface::Iface;
use crate::link::Link;

/// An interface that shares cable and MAC address of another, its parent, and is told apart by its IP addresses. It goes when it is dropped.
///
/// The description says where it is, which is usually another namespace than the parent's. The parent and its ipvlans do not reach each
/// other. All ipvlans of a parent have the mode of the last one.
#[derive(Debug)]
#[must_use = "the interface goes as soon as it is dropped: bind it, as in `let _nic = Ipvlan::l2(…)?;`"]
pub struct Ipvlan(Device);

verbs!(Ipvlan);

impl Ipvlan {
    /// One that is a machine of the parent's LAN, as far as broadcasts and neighbours go.
    ///
    /// Equals `ip link add NAME link PARENT netns NAMESPACE type ipvlan mode l2`, then `ip address add …`, `ip link set NAME up`.
    ///
    /// # Errors
    ///
    /// A bad value in the description, or a MAC address in it ([`is_invalid_input`](crate::Error::is_invalid_input)), a name or index that
    /// is taken ([`is_exists`](crate::Error::is_exists)), a parent that is gone ([`is_not_found`](crate::Error::is_not_found)), a kernel
    /// without it ([`is_unsupported`](crate::Error::is_unsupported)). Nothing is left behind then.
    #[track_caller]
    pub fn l2(iface: Iface, parent: impl AsRef<Link>) -> Result<Self> {
        Self::create(&iface, parent.as_ref(), IpVlanMode::L2).at(Location::caller())
    }

    /// One to which the parent's namespace routes: no broadcasts, no neighbours. Equals `mode l3`.
    ///
    /// # Errors
    ///
    /// As [`l2`](Self::l2).
    #[track_caller]
    pub fn l3(iface: Iface, parent: impl AsRef<Link>) -> Result<Self> {
        Self::create(&iface, parent.as_ref(), IpVlanMode::L3).at(Location::caller())
    }

    /// As [`l3`](Self::l3), and the packets pass the parent's netfilter, too. Equals `mode l3s`.
    ///
    /// # Errors
    ///
    /// As [`l2`](Self::l2).
    #[track_caller]
    pub fn l3s(iface: Iface, parent: impl AsRef<Link>) -> Result<Self> {
        Self::create(&iface, parent.as_ref(), IpVlanMode::L3S).at(Location::caller())
    }

    fn create(iface: &Iface, parent: &Link, mode: IpVlanMode) -> Result<Self> {
        Device::create(iface, recipe(mode).upon(parent).mac(MacAddress::Never)).map(Self)
    }
}

fn recipe(mode: IpVlanMode) -> Recipe {
    let data = vec![InfoIpVlan::Mode(mode), InfoIpVlan::Flags(IpVlanFlags::empty())];
    Recipe::new(InfoKind::IpVlan, Some(InfoData::IpVlan(data)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_as_iproute2_asks() {
        for (mode, number) in [(IpVlanMode::L2, 0), (IpVlanMode::L3, 1), (IpVlanMode::L3S, 2)] {
            recipe(mode).asks_as_iproute2("ipvlan", &[6, 0, 2, 0, 0, 0, 0, 0, 6, 0, 1, 0, number, 0, 0, 0]);
        }
    }
}
