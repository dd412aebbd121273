//! NATs that behave as RFC 4787 names it, and a probe that tells from outside how a NAT behaves.

mod measure;
mod prefix;
mod rules;

use std::fmt::{self, Display};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::panic::Location;

pub use self::measure::{Hairpinning, NatBehaviour};
pub use self::prefix::PrefixNat;
use crate::conntrack;
use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::nft::Family;
use crate::nft::family::TableName;
use crate::nft::matches;
use crate::nft::transaction::Transaction;
use crate::teardown;

/// Ports that a NAT assigns where it does not keep the client's: the dynamic ones of RFC 6335.
const PORTS: RangeInclusive<u16> = 49152..=65535;

/// For which packets of a client's port a NAT uses the same outside port (RFC 4787, section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mapping {
    /// For all.
    EndpointIndependent,
    /// For all to the same address.
    AddressDependent,
    /// For all to the same address and port.
    AddressAndPortDependent,
}

/// From whom a NAT lets packets in to a port that it has mapped (RFC 4787, section 5).
///
/// A client whose mapping depends on the server has several such ports. Each lets in those alone to whom the client has sent from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filtering {
    /// From everybody.
    EndpointIndependent,
    /// From addresses to which the client has sent.
    AddressDependent,
    /// From addresses and ports to which the client has sent.
    AddressAndPortDependent,
}

impl Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointIndependent => "endpoint-independent mapping",
            Self::AddressDependent => "address-dependent mapping",
            Self::AddressAndPortDependent => "address-and-port-dependent mapping",
        })
    }
}

impl Display for Filtering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointIndependent => "endpoint-independent filtering",
            Self::AddressDependent => "address-dependent filtering",
            Self::AddressAndPortDependent => "address-and-port-dependent filtering",
        })
    }
}

/// A router's NAT of UDP and TCP over IPv4 whose behaviour is chosen in the words of RFC 4787, and which goes when it is dropped.
///
/// | | mapping | filtering |
/// |---|---|---|
/// | [`full_cone`](Self::full_cone) | endpoint-independent | endpoint-independent |
/// | [`restricted_cone`](Self::restricted_cone) | endpoint-independent | address-dependent |
/// | [`port_restricted_cone`](Self::port_restricted_cone) | endpoint-independent | address-and-port-dependent |
/// | [`symmetric`](Self::symmetric) | address-and-port-dependent | address-and-port-dependent |
///
/// Any other pair is [`on`](Self::on) with [`mapping`](NatGatewayBuilder::mapping) and [`filtering`](NatGatewayBuilder::filtering).
/// [`NatBehaviour::measure`] tells how a NAT behaves, this or any other.
///
/// No two mappings have the same outside port at the same time, which Linux's own masquerade does not promise: it keeps the port of
/// each of two clients that use the same port, as long as they talk to different servers, and chooses a new one when they talk to the same.
/// The ports are the same from run to run: where the client's own is not kept, they are made of the client's address and port, and of the
/// server's as far as the mapping depends on that.
///
/// A mapping is kept for five minutes after the last packet from inside (RFC 4787, REQ-5). What leaves the router and is neither UDP
/// nor TCP is masqueraded. Packets to the router's own ports that are not mapped reach the router. It is a table of its own,
/// `ip netlab_nat_INTERFACE`; rules of [`NatRule`](crate::NatRule), such as a port forwarding, come before it.
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let router = netlab::Netns::new("router")?;
/// use netlab::nat_behaviour::{Filtering, Mapping, NatGateway};
/// let _home = NatGateway::port_restricted_cone(&router).out("wan0").install()?;
/// # drop(_home);
/// let _odd = NatGateway::on(&router).out("wan0").mapping(Mapping::AddressDependent).filtering(Filtering::EndpointIndependent).install()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the NAT goes as soon as it is dropped: bind it, as in `let _nat = NatGateway::full_cone(…).out(…).install()?;`"]
pub struct NatGateway {
    netns: Netns,
    table: TableName,
    plan: Plan,
    armed: bool,
}

/// What the rules are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    out: String,
    address: Ipv4Addr,
    mapping: Mapping,
    filtering: Filtering,
    hairpinning: bool,
    port_preservation: bool,
    ports: RangeInclusive<u16>,
}

/// A [`NatGateway`], described; [`install`](Self::install) makes it true and reports a word that makes no sense.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: end it with `.install()?`"]
pub struct NatGatewayBuilder {
    netns: Netns,
    address: Option<String>,
    plan: Plan,
}

impl NatGateway {
    /// The NAT of a home router: endpoint-independent mapping, address-and-port-dependent filtering, ports kept where they are free, no
    /// hairpinning. Each of these can be said otherwise.
    ///
    /// The router has to forward: [`Netns::forward_ipv4`].
    pub fn on(router: &Netns) -> NatGatewayBuilder {
        let plan = Plan {
            out: String::new(),
            address: Ipv4Addr::UNSPECIFIED,
            mapping: Mapping::EndpointIndependent,
            filtering: Filtering::AddressAndPortDependent,
            hairpinning: false,
            port_preservation: true,
            ports: PORTS,
        };
        NatGatewayBuilder { netns: router.clone(), address: None, plan }
    }

    /// A mapped port is open to everybody.
    pub fn full_cone(router: &Netns) -> NatGatewayBuilder {
        Self::on(router).filtering(Filtering::EndpointIndependent)
    }

    /// A mapped port is open to addresses to which the client has sent.
    pub fn restricted_cone(router: &Netns) -> NatGatewayBuilder {
        Self::on(router).filtering(Filtering::AddressDependent)
    }

    /// A mapped port is open to addresses and ports to which the client has sent.
    pub fn port_restricted_cone(router: &Netns) -> NatGatewayBuilder {
        Self::on(router)
    }

    /// Each server's address and port sees another port of the client, which is open to that address and port alone.
    pub fn symmetric(router: &Netns) -> NatGatewayBuilder {
        Self::on(router).mapping(Mapping::AddressAndPortDependent).port_preservation(false)
    }

    /// The interface that leads outside.
    pub fn out(&self) -> &str {
        &self.plan.out
    }

    /// The address that the outside sees.
    pub fn address(&self) -> Ipv4Addr {
        self.plan.address
    }

    /// Removes the NAT and reports what dropping it would only print.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    #[track_caller]
    pub fn close(mut self) -> Result<()> {
        self.armed = false;
        self.remove().at(Location::caller())
    }

    fn remove(&self) -> Result<()> {
        let what = || format!("remove the NAT of `{}` in `{}`", self.plan.out, self.netns);
        let mut change = Transaction::default();
        change.delete_table(&self.table);
        let mut socket = self.netns.netfilter().doing(what)?;
        match change.commit(&mut socket) {
            // Somebody has flushed the ruleset.
            Err(e) if e.is_not_found() => {}
            other => drop(other?),
        }
        drop(socket);
        conntrack::forget(&self.netns, Family::Ip)
    }
}

impl Drop for NatGateway {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        if self.armed
            && let Err(e) = self.remove()
        {
            teardown::failed(e);
        }
    }
}

impl Display for NatGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.plan;
        write!(f, "NAT of `{}` in `{}` to {}: {}, {}", plan.out, self.netns, plan.address, plan.mapping, plan.filtering)
    }
}

impl NatGatewayBuilder {
    /// Says which interface leads outside.
    pub fn out(mut self, interface: &str) -> Self {
        self.plan.out = interface.to_owned();
        self
    }

    /// Says which address the outside sees; the first of the interface by default. The router need not have it, if it is routed there.
    pub fn to(mut self, address: impl Display) -> Self {
        self.address = Some(address.to_string());
        self
    }

    /// For which packets of a client's port the outside port is the same.
    pub fn mapping(mut self, mapping: Mapping) -> Self {
        self.plan.mapping = mapping;
        self
    }

    /// From whom packets to a mapped port are let in.
    pub fn filtering(mut self, filtering: Filtering) -> Self {
        self.plan.filtering = filtering;
        self
    }

    /// Whether clients of this router reach each other by their outside address and port (RFC 4787, section 6). The filtering applies, and a
    /// client is seen by its outside address and port.
    pub fn hairpinning(mut self, hairpinning: bool) -> Self {
        self.plan.hairpinning = hairpinning;
        self
    }

    /// Whether a client's port is kept where no other mapping has it (RFC 4787, section 4.2.1).
    pub fn port_preservation(mut self, port_preservation: bool) -> Self {
        self.plan.port_preservation = port_preservation;
        self
    }

    /// Which ports are assigned where the client's own is not kept, 49152 to 65535 by default. Sixteen are tried for a new mapping; if all
    /// of them are taken, its packets are dropped.
    pub fn ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.plan.ports = ports;
        self
    }

    /// Installs the NAT, and makes the router forget the connections that were there before.
    ///
    /// # Errors
    ///
    /// [`is_exists`](Error::is_exists) if the interface has a NAT of this kind already; [`is_invalid_input`](Error::is_invalid_input) for a
    /// word that makes no sense, or if the interface has no IPv4 address and none was said.
    #[track_caller]
    pub fn install(self) -> Result<NatGateway> {
        self.make().at(Location::caller())
    }

    fn make(mut self) -> Result<NatGateway> {
        let what = || format!("install a NAT of `{}` in `{}`", self.plan.out, self.netns);
        matches::oifname(&self.plan.out).map_err(|why| Error::invalid(what(), why))?;
        if self.plan.ports.is_empty() || *self.plan.ports.start() == 0 {
            return Err(Error::invalid(what(), "ports are from 1 to 65535, and the first comes before the last"));
        }
        let address = match &self.address {
            Some(text) => text.parse().map_err(|_| Error::invalid(what(), format!("`{text}` is no IPv4 address")))?,
            None => self.first_address()?.ok_or_else(|| {
                Error::invalid(what(), "the interface has no IPv4 address").help("say which one the outside sees: `.to(\"203.0.113.1\")`")
            })?,
        };
        let table = TableName::new(Family::Ip, format!("netlab_nat_{}", self.plan.out.replace(|c: char| !c.is_ascii_alphanumeric(), "_")));
        let mut change = Transaction::default();
        self.plan.address = address;
        rules::add(&mut change, &table, &self.plan).map_err(|why| Error::invalid(format!("install `{table}` in `{}`", self.netns), why))?;
        let mut socket = self.netns.netfilter().doing(|| format!("install `{table}` in `{}`", self.netns))?;
        change.commit(&mut socket)?;
        drop(socket);
        let nat = NatGateway { netns: self.netns, table, plan: self.plan, armed: true };
        conntrack::forget(&nat.netns, Family::Ip)?;
        Ok(nat)
    }

    fn first_address(&self) -> Result<Option<Ipv4Addr>> {
        let addresses = self.netns.addresses()?;
        let mut own = addresses.of(&self.plan.out).filter(|address| address.scope == "global");
        Ok(own.find_map(|address| match address.net.addr() {
            std::net::IpAddr::V4(address) => Some(address),
            std::net::IpAddr::V6(_) => None,
        }))
    }
}
