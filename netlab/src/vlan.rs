//! VLAN: an interface for the frames with one tag (IEEE 802.1Q).

use std::panic::Location;

use netlink_packet_route::link::{InfoData, InfoKind, InfoVlan};

use crate::device::{Device, MacAddress, Recipe, verbs};
use crate::error::{At, Error, Result};
use crate::iface::Iface;
use crate::link::Link;

/// An interface that sends and receives what has one VLAN's tag on another interface, its parent. It goes when it is dropped.
///
/// It may be in another namespace than its parent. Its MAC address is the parent's, unless the description says one.
#[derive(Debug)]
#[must_use = "the interface goes as soon as it is dropped: bind it, as in `let _vlan = Vlan::new(…)?;`"]
pub struct Vlan(Device);

verbs!(Vlan);

impl Vlan {
    /// Makes the interface of the VLAN `id`, 1 to 4094.
    ///
    /// Equals `ip link add link PARENT NAME type vlan id ID`, then `ip address add …`, `ip link set NAME up`.
    ///
    /// # Errors
    ///
    /// A bad value ([`is_invalid_input`](Error::is_invalid_input)), a name, an index or a VLAN of the parent that is taken
    /// ([`is_exists`](Error::is_exists)), a parent that is gone ([`is_not_found`](Error::is_not_found)), a kernel without it
    /// ([`is_unsupported`](Error::is_unsupported)). Nothing is left behind then.
    #[track_caller]
    pub fn new(iface: Iface, parent: impl AsRef<Link>, id: u16) -> Result<Self> {
        let here = Location::caller();
        if !(1..=4094).contains(&id) {
            let why = format!("a VLAN has a number from 1 to 4094, {id} is none");
            return Err(Error::invalid(format!("create vlan `{}`", iface.place()), why).at(here));
        }
        let recipe = recipe(id).upon(parent.as_ref()).mac(MacAddress::Parents).holds();
        Device::create(&iface, recipe).map(Self).at(here)
    }
}

fn recipe(id: u16) -> Recipe {
    Recipe::new(InfoKind::Vlan, Some(InfoData::Vlan(vec![InfoVlan::Id(id)])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_as_iproute2_asks() {
        recipe(5).asks_as_iproute2("vlan", b"\x06\x00\x01\x00\x05\x00\x00\x00");
    }
}
