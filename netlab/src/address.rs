//! Addresses of interfaces that are there.

use std::fmt::Display;
use std::panic::Location;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;

use crate::addr::AddressBuilder;
use crate::cidr;
use crate::entry::Entry;
use crate::error::{At, Doing, Error, Result};
use crate::link::Link;
use crate::messages;
use crate::netns::Netns;

/// An address of an interface, which goes when it is dropped.
///
/// With the first IPv4 address of a network, the kernel removes the others of that network too, unless the sysctl
/// `net.ipv4.conf.all.promote_secondaries` is 1.
#[derive(Debug)]
#[must_use = "the address goes as soon as it is dropped: bind it, as in `let _address = link.add_address(…)?;`, or `keep()` it"]
pub struct Address(Entry);

impl Address {
    /// An address with its prefix length, such as `10.0.0.2/24` or `fd00::2/64`, to be described further; without a prefix length it is a
    /// host address (`/32`, `/128`).
    pub fn of(address: impl Display) -> AddressBuilder {
        AddressBuilder::new(address)
    }

    /// The namespace that has the address.
    pub fn netns(&self) -> &Netns {
        self.0.netns()
    }

    /// Removes the address and reports. Equals `ip address del …`.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; an address that went with its interface is no error.
    #[track_caller]
    pub fn close(self) -> Result<()> {
        self.0.close()
    }

    /// Leaves the address: it goes with its interface.
    pub fn keep(self) {
        self.0.keep();
    }
}

impl AddressBuilder {
    /// Gives the interface the address, which can be used when this returns. Equals `ip address add … dev NAME`.
    ///
    /// # Errors
    ///
    /// A bad value ([`is_invalid_input`](Error::is_invalid_input)), an address that the interface has ([`is_exists`](Error::is_exists)).
    #[track_caller]
    pub fn install(self, link: &Link) -> Result<Address> {
        self.add(link).at(Location::caller())
    }

    fn add(self, link: &Link) -> Result<Address> {
        let plan = self.plan(&link.to_string())?;
        let netns = link.netns();
        let message = plan.message(link.index());
        netns
            .request(RouteNetlinkMessage::NewAddress(message.clone()), NLM_F_CREATE | NLM_F_EXCL)
            .doing(|| format!("give `{link}` the address `{self}`"))?;
        let address = Address(Entry::new(&netns, format!("address `{self}` of `{link}`"), RouteNetlinkMessage::DelAddress(message)));
        if plan.is_ipv6() {
            link.settle_ipv6()?;
        }
        Ok(address)
    }
}

impl Link {
    /// Gives the interface an address with its prefix length, such as `10.0.0.5/24`, until it is dropped.
    ///
    /// Equals `ip address add ADDRESS dev NAME`. For a broadcast address, peer or label see [`Address::of`].
    ///
    /// # Errors
    ///
    /// A bad address ([`is_invalid_input`](Error::is_invalid_input)), or one that the interface has ([`is_exists`](Error::is_exists)).
    #[track_caller]
    pub fn add_address(&self, address: impl Display) -> Result<Address> {
        let here = Location::caller();
        AddressBuilder::new(address).add(self).at(here)
    }

    /// Removes an address of the interface, whoever gave it. Equals `ip address del ADDRESS dev NAME`.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if the interface does not have it with that prefix length.
    #[track_caller]
    pub fn remove_address(&self, address: impl Display) -> Result<()> {
        let here = Location::caller();
        let what = || format!("remove address `{address}` of `{self}`");
        let net = cidr::parse(&address.to_string()).map_err(|why| Error::invalid(what(), why).at(here))?;
        let message = messages::address(net.addr(), net, self.index());
        self.netns().request(RouteNetlinkMessage::DelAddress(message), 0).map(drop).doing(what).at(here)
    }

    /// Removes all addresses of the interface, link-local ones too. Equals `ip address flush dev NAME`.
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    #[track_caller]
    pub fn flush_addresses(&self) -> Result<()> {
        let here = Location::caller();
        let what = || format!("flush the addresses of `{self}`");
        self.ask().doing(what).at(here)?;
        let mut question = AddressMessage::default();
        question.header.index = self.index();
        for answer in self.netns().dump(RouteNetlinkMessage::GetAddress(question)).doing(what).at(here)? {
            let RouteNetlinkMessage::NewAddress(address) = answer else { continue };
            match self.netns().request(RouteNetlinkMessage::DelAddress(address), 0) {
                // A secondary one, which has gone with the first.
                Err(refusal) if refusal.is(libc::EADDRNOTAVAIL) => {}
                other => drop(other.doing(what).at(here)?),
            }
        }
        Ok(())
    }
}
