//! IPIP: IPv4 in IPv4 (RFC 2003).

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::panic::Location;

use netlink_packet_route::link::{InfoData, InfoIpTunnel, InfoKind};

use crate::device::{Device, MacAddress, Recipe, verbs};
use crate::error::{At, Result};
use crate::iface::Iface;
use crate::tunnel::Ends;

/// One end of an IPIP tunnel: an interface whose IPv4 packets travel in IPv4 packets. It goes when it is dropped. Calico can build its pod
/// network of such.
#[derive(Debug)]
#[must_use = "the tunnel goes as soon as it is dropped: bind it, as in `let _tunnel = Ipip::between(…).install(…)?;`"]
pub struct Ipip(Device);

verbs!(Ipip);

/// An IPIP tunnel's end, described; [`install`](Self::install) makes it true and reports a bad value.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: `install` it"]
pub struct IpipBuilder(Ends);

impl Ipip {
    /// A tunnel from this end's address in the underlay to the other's. `any` for `remote` leaves the choice to the routes' gateways, `any`
    /// for `local` takes the address of the route to the far end.
    pub fn between(local: impl Display, remote: impl Display) -> IpipBuilder {
        IpipBuilder(Ends::new(local, remote))
    }
}

impl IpipBuilder {
    /// Sets the time to live of the packets outside; the default is that of the packet inside.
    pub fn ttl(mut self, hops: u8) -> Self {
        self.0.ttl = hops;
        self
    }

    /// Makes the tunnel's end, in the namespace and with the addresses of the interface's description.
    ///
    /// Equals `ip link add NAME type ipip local … remote …`, then `ip address add …`, `ip link set NAME up`. Its MTU is that of the route to
    /// the far end less 20 bytes.
    ///
    /// # Errors
    ///
    /// A bad value ([`is_invalid_input`](crate::Error::is_invalid_input)), a name or index that is taken, or another tunnel between the same
    /// ends ([`is_exists`](crate::Error::is_exists)), a kernel without it ([`is_unsupported`](crate::Error::is_unsupported)). Nothing is left
    /// behind then.
    #[track_caller]
    pub fn install(self, iface: Iface) -> Result<Ipip> {
        let here = Location::caller();
        let (local, remote) = self.0.parse("ipip", &iface).at(here)?;
        Device::create(&iface, recipe(local, remote, self.0.ttl).mac(MacAddress::Never)).map(Ipip).at(here)
    }
}

fn recipe(local: Ipv4Addr, remote: Ipv4Addr, ttl: u8) -> Recipe {
    let data =
        vec![InfoIpTunnel::Local(local.into()), InfoIpTunnel::Remote(remote.into()), InfoIpTunnel::PMtuDisc(true), InfoIpTunnel::Ttl(ttl)];
    Recipe::new(InfoKind::IpIp, Some(InfoData::IpTunnel(data)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_as_iproute2_asks() {
        recipe(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), 0).asks_as_iproute2(
            "ipip",
            b"\x05\x00\x09\x00\x00\x00\x00\x00\x08\x00\x02\x00\x0a\x00\x00\x01\x08\x00\x03\x00\x0a\x00\x00\x02\x05\x00\x0a\x00\x01\x00\x00\x00\
              \x05\x00\x05\x00\x00\x00\x00\x00\x05\x00\x04\x00\x00\x00\x00\x00\x08\x00\x01\x00\x00\x00\x00\x00\x08\x00\x14\x00\x00\x00\x00\x00\
              \x06\x00\x0f\x00\x00\x00\x00\x00\x06\x00\x10\x00\x00\x00\x00\x00\x06\x00\x11\x00\x00\x00\x00\x00\x06\x00\x12\x00\x00\x00\x00\x00",
        );
    }
}
