//! GRE: generic routing encapsulation over IPv4 (RFC 2784, keys by RFC 2890).

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::panic::Location;

use netlink_packet_route::link::{GreIOFlags, InfoData, InfoGre, InfoKind};

use crate::device::{Device, MacAddress, Recipe, verbs};
use crate::error::{At, Result};
use crate::iface::Iface;
use crate::tunnel::Ends;

/// One end of a GRE tunnel: an interface whose IP packets travel in IPv4 packets. It goes when it is dropped.
#[derive(Debug)]
#[must_use = "the tunnel goes as soon as it is dropped: bind it, as in `let _tunnel = Gre::between(…).install(…)?;`"]
pub struct Gre(Device);

verbs!(Gre);

/// A GRE tunnel's end, described; [`install`](Self::install) makes it true and reports a bad value.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: `install` it"]
pub struct GreBuilder {
    ends: Ends,
    key: Option<u32>,
}

impl Gre {
    /// A tunnel from this end's address in the underlay to the other's. `any` for `remote` leaves the choice to the routes' gateways, `any`
    /// for `local` takes the address of the route to the far end.
    pub fn between(local: impl Display, remote: impl Display) -> GreBuilder {
        GreBuilder { ends: Ends::new(local, remote), key: None }
    }
}

impl GreBuilder {
    /// Sets the time to live of the packets outside; the default is that of the packet inside.
    pub fn ttl(mut self, hops: u8) -> Self {
        self.ends.ttl = hops;
        self
    }

    /// Sets the key, in both directions: only ends with equal keys hear each other. The default is none.
    pub fn key(mut self, key: u32) -> Self {
        self.key = Some(key);
        self
    }

    /// Makes the tunnel's end, in the namespace and with the addresses of the interface's description.
    ///
    /// Equals `ip link add NAME type gre local … remote … key …`, then `ip address add …`, `ip link set NAME up`. Its MTU is that of the
    /// route to the far end less 24 bytes, or 28 with a key.
    ///
    /// # Errors
    ///
    /// A bad value ([`is_invalid_input`](crate::Error::is_invalid_input)), a name or index that is taken, or another tunnel between the same
    /// ends ([`is_exists`](crate::Error::is_exists)), a kernel without it ([`is_unsupported`](crate::Error::is_unsupported)). Nothing is left
    /// behind then.
    #[track_caller]
    pub fn install(self, iface: Iface) -> Result<Gre> {
        let here = Location::caller();
        let (local, remote) = self.ends.parse("gre", &iface).at(here)?;
        Device::create(&iface, recipe(local, remote, self.ends.ttl, self.key).mac(MacAddress::Never)).map(Gre).at(here)
    }
}

fn recipe(local: Ipv4Addr, remote: Ipv4Addr, ttl: u8, key: Option<u32>) -> Recipe {
    let mut data = vec![InfoGre::Local(local), InfoGre::Remote(remote), InfoGre::PathMTUDiscovery(true), InfoGre::Ttl(ttl)];
    if let Some(key) = key {
        data.extend([InfoGre::IFlags(GreIOFlags::Key), InfoGre::OFlags(GreIOFlags::Key), InfoGre::IKey(key), InfoGre::OKey(key)]);
    }
    Recipe::new(InfoKind::GreTun, Some(InfoData::GreTun(data)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_as_iproute2_asks() {
        recipe(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), 64, Some(7)).asks_as_iproute2(
            "gre",
            b"\x08\x00\x04\x00\x00\x00\x00\x07\x08\x00\x05\x00\x00\x00\x00\x07\x06\x00\x02\x00\x20\x00\x00\x00\x06\x00\x03\x00\x20\x00\x00\x00\
              \x08\x00\x06\x00\x0a\x00\x00\x01\x08\x00\x07\x00\x0a\x00\x00\x02\x05\x00\x0a\x00\x01\x00\x00\x00\x05\x00\x09\x00\x00\x00\x00\x00\
              \x05\x00\x08\x00\x40\x00\x00\x00\x08\x00\x14\x00\x00\x00\x00\x00\x06\x00\x0e\x00\x00\x00\x00\x00\x06\x00\x0f\x00\x00\x00\x00\x00\
              \x06\x00\x10\x00\x00\x00\x00\x00\x06\x00\x11\x00\x00\x00\x00\x00",
        );
    }
}
