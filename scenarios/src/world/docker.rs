//! What Docker makes of a machine: its networks, containers in them, and its rules.

use std::net::Ipv4Addr;

use netlab::{Bridge, FilterRule, FilterRuleBuilder, NatRule, Netns, Policy, RuleChain, Rules, RulesBuilder, Sysctl, VethPair};

use super::World;
use crate::error::Result;

/// A network as `docker network create` makes it, and as `bridge` is there from the start: a bridge with the network's gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    /// `docker0`, or `br-` and the first twelve digits of the network's id.
    pub(crate) bridge: &'static str,
    /// The interface index of the bridge.
    pub(crate) index: u32,
    /// The host's address in it, which is the containers' gateway.
    pub(crate) gateway: Ipv4Addr,
    /// The length of its prefix.
    pub(crate) prefix: u8,
}

/// A container as `docker run` makes it, as far as the network is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Container {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its address, which its MAC address repeats.
    pub(crate) address: Ipv4Addr,
    /// The host's end of its cable: `veth` and seven digits.
    pub(crate) port: &'static str,
    /// The interface index of its `eth0`; the next one is that of the host's end.
    pub(crate) index: u32,
}

/// What Docker's daemon sets on a machine: the rules of its networks, and the sysctls that go with them. Dropped, all is as it was before.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// The rules of FORWARD, but for the policy.
    pub(crate) forward: Option<Rules>,
    /// The rules by which no network reaches another.
    pub(crate) isolation: Option<Rules>,
    /// The policy DROP of FORWARD.
    pub(crate) policy: Policy,
    _others: Rules,
    _chains: Vec<RuleChain>,
    _sysctls: [Sysctl; 2],
}

/// The chain that Docker leaves to the administrator, and asks first.
pub(crate) const DOCKER_USER: &str = "DOCKER-USER";
const PORTS: &str = "DOCKER";
const STAGE_1: &str = "DOCKER-ISOLATION-STAGE-1";
const STAGE_2: &str = "DOCKER-ISOLATION-STAGE-2";

impl Daemon {
    /// Starts the daemon on a machine that has these networks: forwarding, `br_netfilter`, and the rules that Docker 17.06 to 27 installs by
    /// iptables.
    pub(crate) fn start(on: &Netns, networks: &[&Network]) -> Result<Self> {
        let forwarding = on.set_sysctl("net.ipv4.ip_forward", 1)?;
        let bridged = on.set_sysctl("net.bridge.bridge-nf-call-iptables", 1)?;
        let chains = [("filter", PORTS), ("filter", DOCKER_USER), ("filter", STAGE_1), ("filter", STAGE_2), ("nat", PORTS)];
        let chains = chains.into_iter().map(|(table, name)| RuleChain::new(on, table, name)).collect::<netlab::Result<_>>()?;
        let policy = Policy::drop(on).forward().install()?;
        Ok(Self {
            forward: Some(Rules::install(forward(on, networks))?),
            isolation: Some(Rules::install(isolation(on, networks))?),
            policy,
            _others: others(on, networks).install()?,
            _chains: chains,
            _sysctls: [forwarding, bridged],
        })
    }
}

/// The way to the chains that decide first, and four rules for each network.
fn forward(on: &Netns, networks: &[&Network]) -> Vec<FilterRuleBuilder> {
    let mut rules = vec![FilterRule::jump(on, DOCKER_USER), FilterRule::jump(on, STAGE_1)];
    for Network { bridge, .. } in networks {
        rules.push(FilterRule::accept(on).out(bridge).state("related,established"));
        rules.push(FilterRule::jump(on, PORTS).out(bridge));
        rules.push(FilterRule::accept(on).on(bridge).not_out(bridge));
        rules.push(FilterRule::accept(on).on(bridge).out(bridge));
    }
    rules.into_iter().map(FilterRuleBuilder::forward).collect()
}

/// What comes from a bridge and leaves by another interface goes to stage 2; if that is a bridge of Docker's too, it is dropped there.
fn isolation(on: &Netns, networks: &[&Network]) -> Vec<FilterRuleBuilder> {
    let bridges = || networks.iter().map(|network| network.bridge);
    let first = bridges().map(|bridge| FilterRule::jump(on, STAGE_2).chain(STAGE_1).on(bridge).not_out(bridge));
    let second = bridges().map(|bridge| FilterRule::drop(on).chain(STAGE_2).out(bridge));
    let ends = [STAGE_1, STAGE_2].map(|chain| FilterRule::return_(on).chain(chain));
    first.chain(second).chain(ends).collect()
}

/// The end of the administrator's chain, masquerading, and the way to the chain of published ports, in which none is published yet.
fn others(on: &Netns, networks: &[&Network]) -> RulesBuilder {
    let to_ports = || FilterRule::jump(on, PORTS).table("nat").addressed_to_local();
    let rules = Rules::new().add(FilterRule::return_(on).chain(DOCKER_USER));
    let rules = rules.add(to_ports().prerouting()).add(to_ports().output().not_addressed_to("127.0.0.0/8"));
    networks.iter().fold(rules, |rules, network| {
        rules
            .add(NatRule::masquerade(on).from(network.subnet()).not_out(network.bridge))
            .add(FilterRule::return_(on).table("nat").chain(PORTS).on(network.bridge))
    })
}

impl Network {
    /// The network's own address and the length of its prefix, such as `172.17.0.0/16`.
    pub(crate) fn subnet(&self) -> String {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
        format!("{}/{}", Ipv4Addr::from_bits(self.gateway.to_bits() & mask), self.prefix)
    }
}

impl Container {
    /// Docker's choice: `02:42`, and the bytes of the address.
    pub(crate) fn mac(&self) -> String {
        let [a, b, c, d] = self.address.octets();
        format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    }
}

impl World {
    /// Adds one of Docker's networks to a machine: a bridge with an address.
    pub(crate) fn docker_network(&mut self, on: &Netns, network: &Network) -> Result<()> {
        let Network { bridge, index, gateway, prefix } = network;
        let iface = on.iface(*bridge).index(*index).addr(format!("{gateway}/{prefix}")).broadcast("+");
        self.keep(*bridge, Bridge::new(iface)?);
        Ok(())
    }

    /// Runs a container in a network: a namespace with a cable to the network's bridge, which is its way out.
    pub(crate) fn docker_run(&mut self, network: &Network, container: &Container) -> Result<Netns> {
        let bridge = self.kept::<Bridge>(network.bridge)?.link().clone();
        let netns = self.add(Netns::new(container.name)?);
        let port = bridge.netns().iface(container.port).index(container.index + 1).master(&bridge);
        let eth0 = netns.iface("eth0").index(container.index).mac(container.mac());
        let address = format!("{}/{}", container.address, network.prefix);
        let cable = VethPair::connect(eth0.addr(address).broadcast("+").gateway(network.gateway), port)?;
        self.keep_cable(cable);
        Ok(netns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: Network = Network { bridge: "docker0", index: 3, gateway: Ipv4Addr::new(172, 17, 0, 1), prefix: 16 };
    const CONTAINER: Container = Container { name: "web", address: Ipv4Addr::new(172, 17, 0, 2), port: "veth0a1b2c3", index: 22 };

    #[netlab::test]
    fn a_container_is_cabled_to_its_network_as_docker_does_it() -> Result<()> {
        let mut world = World::new()?;
        let host = world.host();
        world.docker_network(&host, &NETWORK)?;
        let web = world.docker_run(&NETWORK, &CONTAINER)?;
        web.expect_ping("172.17.0.1")?;
        let links = web.links()?;
        let eth0 = links.named("eth0").map(|link| (link.index, link.mac.as_deref()));
        assert_eq!(eth0, Some((22, Some("02:42:ac:11:00:02"))));
        let routes = web.routes()?.to_string();
        assert_eq!(NETWORK.subnet(), "172.17.0.0/16");
        assert!(routes.contains("172.17.0.0/16 dev eth0") && routes.contains("default via 172.17.0.1"), "{routes}");
        assert_eq!(host.link(CONTAINER.port)?.index(), 23);
        Ok(())
    }

    #[netlab::test]
    fn the_rules_of_the_daemon_are_those_of_docker_and_go_with_it() -> Result<()> {
        const OTHER: Network = Network { bridge: "br-other", index: 4, gateway: Ipv4Addr::new(172, 18, 0, 1), prefix: 16 };
        let host = Netns::current()?;
        let before = host.ruleset()?.to_string();
        let daemon = Daemon::start(&host, &[&NETWORK, &OTHER])?;
        insta::assert_snapshot!(host.ruleset()?.stateless());
        drop(daemon);
        assert_eq!(host.ruleset()?.to_string(), before);
        assert_eq!(host.sysctl("net.ipv4.ip_forward")?, "0");
        Ok(())
    }
}
