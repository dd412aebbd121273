//! A dummy: an interface behind which there is nothing.

use std::panic::Location;

use netlink_packet_route::link::InfoKind;

use crate::device::{Device, Recipe, verbs};
use crate::error::{At, Result};
use crate::iface::Iface;

/// An interface that is always up and swallows what is sent to it: a place for addresses and routes. It goes when it is dropped.
#[derive(Debug)]
#[must_use = "the interface goes as soon as it is dropped: bind it, as in `let _dummy = Dummy::new(…)?;`"]
pub struct Dummy(Device);

verbs!(Dummy);

impl Dummy {
    /// Makes one from its description. Equals `ip link add NAME type dummy`, then `ip address add …`, `ip link set NAME up`.
    ///
    /// # Errors
    ///
    /// A bad value in the description ([`is_invalid_input`](crate::Error::is_invalid_input)), a name or index that is taken
    /// ([`is_exists`](crate::Error::is_exists)), a kernel without it ([`is_unsupported`](crate::Error::is_unsupported)). Nothing is left
    /// behind then.
    #[track_caller]
    pub fn new(iface: Iface) -> Result<Self> {
        Device::create(&iface, recipe()).map(Self).at(Location::caller())
    }
}

fn recipe() -> Recipe {
    Recipe::new(InfoKind::Dummy, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_as_iproute2_asks() {
        recipe().asks_as_iproute2("dummy", &[]);
    }
}
