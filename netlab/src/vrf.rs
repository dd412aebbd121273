//! VRF: routing tables that belong to interfaces.

use std::panic::Location;

use netlink_packet_route::link::{InfoData, InfoKind, InfoVrf};

use crate::device::{Device, Recipe, verbs};
use crate::error::{At, Error, Result};
use crate::iface::Iface;

/// A VRF: interfaces whose master it is ([`Iface::master`]) have a routing table of their own, and know nothing of the others. It goes when
/// it is dropped.
#[derive(Debug)]
#[must_use = "the VRF goes as soon as it is dropped: bind it, as in `let red = Vrf::new(…)?;`"]
pub struct Vrf(Device);

verbs!(Vrf);

impl Vrf {
    /// Makes a VRF whose interfaces use that routing table. Equals `ip link add NAME type vrf table TABLE`, then `ip link set NAME up`.
    ///
    /// # Errors
    ///
    /// A bad value in the description, or the table 0 ([`is_invalid_input`](Error::is_invalid_input)), a name or index that is taken
    /// ([`is_exists`](Error::is_exists)), a kernel without it ([`is_unsupported`](Error::is_unsupported)). Nothing is left behind then.
    #[track_caller]
    pub fn new(iface: Iface, table: u32) -> Result<Self> {
        let here = Location::caller();
        if table == 0 {
            return Err(Error::invalid(format!("create vrf `{}`", iface.place()), "there is no routing table 0").at(here));
        }
        Device::create(&iface, recipe(table)).map(Self).at(here)
    }
}

fn recipe(table: u32) -> Recipe {
    Recipe::new(InfoKind::Vrf, Some(InfoData::Vrf(vec![InfoVrf::TableId(table)])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_as_iproute2_asks() {
        recipe(10).asks_as_iproute2("vrf", b"\x08\x00\x01\x00\x0a\x00\x00\x00");
    }
}
