//! What lies around the machines of a tutorial: switches, and the internet with its name server.

use std::net::Ipv4Addr;

use netlab::{Bridge, Iface, NatRule, Netns, Route, VethPair};

use super::World;
use crate::error::Result;
use crate::{dns, etc};

/// The machine that is the internet.
pub(crate) const INTERNET: &str = "internet";
/// The address of its name server.
pub(crate) const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);

/// Names that the internet knows, and their addresses.
pub(crate) type Names = &'static [(&'static str, Ipv4Addr)];

impl World {
    /// A computer at home: on a switch with the router, which translates and is cabled to an internet that knows `names`. The host looks names
    /// up by a stub resolver on its own 127.0.0.53.
    pub(crate) fn at_home(names: Names) -> Result<Self> {
        let mut world = Self::new()?;
        let host = world.host();
        let router = world.add(Netns::new("router")?);
        world.add_switch("lan")?;
        world.plug("lan", host.iface("eth0").addr("192.168.0.100/24").gateway("192.168.0.1"))?;
        world.plug("lan", router.iface("lan0").addr("192.168.0.1/24"))?;
        world.add_internet(names)?;
        world.uplink(router.iface("wan0").addr("203.0.113.2/24"), "203.0.113.1/24")?;
        router.forward_ipv4()?;
        world.keep("the router's masquerading", NatRule::masquerade(&router).out("wan0").install()?);
        etc::configure_resolver("nameserver 127.0.0.53\n")?;
        dns::stub(&host, "127.0.0.53:53", (NAME_SERVER, 53).into())?;
        Ok(world)
    }

    /// Adds a switch: a machine of its own, which passes frames on and has no address. [`plug`](Self::plug) others in.
    pub(crate) fn add_switch(&mut self, name: &str) -> Result<()> {
        let machine = self.add(Netns::new(name)?);
        self.keep(name, Bridge::new(machine.iface("br0"))?);
        Ok(())
    }

    /// Plugs an interface into the switch of that name, as `netns.iface("eth0").addr(…)` describes it.
    pub(crate) fn plug(&mut self, switch: &str, iface: Iface) -> Result<()> {
        let cable = self.kept::<Bridge>(switch)?.plug(iface)?;
        self.keep_cable(cable);
        Ok(())
    }

    /// Adds the internet: one machine that has the addresses of all `names` and of its name server, which knows them, 8.8.8.8. It serves
    /// pages on port 80, has no route but those to its neighbours, and is reached by an [`uplink`](Self::uplink).
    pub(crate) fn add_internet(&mut self, names: Names) -> Result<Netns> {
        let internet = self.add(Netns::new(INTERNET)?);
        let mut addresses: Vec<_> = names.iter().map(|(_, address)| *address).chain([NAME_SERVER]).collect();
        addresses.sort();
        addresses.dedup();
        let lo = internet.link("lo")?;
        addresses.iter().try_for_each(|address| lo.add_address(format!("{address}/32")).map(netlab::Address::keep))?;
        dns::serve(&internet, &format!("{NAME_SERVER}:53"), names)?;
        let pages = internet.http_server("0.0.0.0:80")?;
        self.keep("the pages of the internet", pages);
        Ok(internet)
    }

    /// Cables a router to the internet, which has the address `gateway` (with its prefix length) there: the router's default route.
    pub(crate) fn uplink(&mut self, iface: Iface, gateway: &str) -> Result<()> {
        let internet = self.machine(INTERNET)?;
        // The names of the machines that were there before are not known to the internet: it numbers its ends.
        let end = format!("eth{}", internet.links()?.len() - 1);
        let cable = VethPair::connect(iface, internet.iface(end).addr(gateway))?;
        let address = gateway.split('/').next().unwrap_or(gateway);
        let route = Route::default_via(address).install(&cable.left().netns())?;
        self.keep(format!("the default route of {}", route.netns()), route);
        self.keep_cable(cable);
        Ok(())
    }

    /// Keeps a cable under the name of the end that was described first, such as `the cable of host/eth0`.
    pub(crate) fn keep_cable(&mut self, cable: VethPair) {
        self.keep(format!("the cable of {}", cable.left()), cable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names = &[("www.example.com", Ipv4Addr::new(198, 51, 100, 80))];

    #[netlab::test]
    fn a_computer_at_home_reaches_the_internet_and_its_name_server_through_a_router_that_translates() -> Result<()> {
        let mut world = World::at_home(NAMES)?;
        let host = world.host();
        host.http_get("http://198.51.100.80/")?.expect_server(INTERNET)?.expect_source("203.0.113.2")?;
        let found = host.run(|| std::net::ToSocketAddrs::to_socket_addrs(&("www.example.com", 80)).map(Iterator::collect::<Vec<_>>))?;
        assert_eq!(found.map_err(|e| crate::Error::World(e.to_string()))?, [([198, 51, 100, 80], 80).into()]);
        drop(world.take::<NatRule>("the router's masquerading")?);
        host.expect_no_ping("8.8.8.8")?;
        Ok(())
    }
}
