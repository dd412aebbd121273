//! Labs to draw.

use std::any::Any;

use netlab::draw::Topology;
use netlab::{Bridge, FilterRule, Macvlan, NatRule, Netns, Policy, Result, Route, VethPair, Vxlan};

/// Fixtures of any kind, kept alive.
pub(crate) type Kept = Vec<Box<dyn Any>>;

fn keep<T: Any>(kept: &mut Kept, fixture: T) {
    kept.push(Box::new(fixture));
}

/// A client and a server on a cable.
pub(crate) fn two() -> Result<(Kept, Topology)> {
    let mut kept = Kept::new();
    let client = Netns::new("client")?;
    let server = Netns::new("server")?;
    keep(&mut kept, VethPair::connect(client.iface("eth0").addr("10.0.0.1/24"), server.iface("eth0").addr("10.0.0.2/24"))?);
    keep(&mut kept, server.http_server("10.0.0.2:80")?);
    let topology = Topology::current()?;
    kept.extend([Box::new(client) as Box<dyn Any>, Box::new(server)]);
    Ok((kept, topology))
}

/// Two LANs, and a router that translates.
pub(crate) fn office() -> Result<(Kept, Topology)> {
    let mut kept = Kept::new();
    let host = Netns::current()?;
    let router = Netns::new("router")?;
    let server = Netns::new("server")?;
    for (lan, who, net) in [("office", "desk", "10.0.1"), ("guests", "guest", "10.0.2")] {
        let bridge = Bridge::new(host.iface(lan))?;
        keep(&mut kept, bridge.plug(router.iface(lan).addr(format!("{net}.1/24")))?);
        for number in [1, 2] {
            let machine = Netns::new(format!("{who}{number}"))?;
            let address = format!("{net}.1{number}");
            let iface = machine.iface("eth0").addr(format!("{address}/24")).gateway(format!("{net}.1"));
            keep(&mut kept, bridge.plug(iface)?);
            if number == 2 {
                keep(&mut kept, machine.http_server(format!("{address}:8080"))?);
            }
        }
        keep(&mut kept, bridge);
    }
    keep(&mut kept, VethPair::connect(router.iface("wan0").addr("203.0.113.1/24"), server.iface("eth0").addr("203.0.113.9/24"))?);
    router.forward_ipv4()?;
    keep(&mut kept, NatRule::masquerade(&router).out("wan0").install()?);
    keep(&mut kept, Policy::drop(&router).forward().install()?);
    keep(&mut kept, server.udp_echo("203.0.113.9:7000")?);
    let topology = Topology::current()?;
    Ok((kept, topology))
}

/// A container host with two networks, behind a router.
pub(crate) fn containers() -> Result<(Kept, Topology)> {
    let mut kept = Kept::new();
    let host = Netns::current()?;
    let router = Netns::new("router")?;
    let internet = Netns::new("internet")?;
    keep(&mut kept, VethPair::connect(internet.iface("eth0").addr("203.0.113.9/24"), router.iface("wan0").addr("203.0.113.1/24"))?);
    let uplink = host.iface("eth0").addr("192.168.0.100/24").gateway("192.168.0.1");
    keep(&mut kept, VethPair::connect(router.iface("lan0").addr("192.168.0.1/24"), uplink)?);
    for (name, net, count) in [("docker0", "172.17.0", 5), ("br-web", "172.18.0", 4)] {
        let bridge = Bridge::new(host.iface(name).addr(format!("{net}.1/16")))?;
        for number in 2..count + 2 {
            let machine = Netns::new(format!("{}{}", if count == 5 { "con" } else { "web" }, number - 1))?;
            let iface = machine.iface("eth0").addr(format!("{net}.{number}/16")).gateway(format!("{net}.1"));
            keep(&mut kept, bridge.plug(iface)?);
            if name == "br-web" {
                keep(&mut kept, machine.http_server("0.0.0.0:80")?);
            }
        }
        keep(&mut kept, NatRule::masquerade(&host).from(format!("{net}.0/16")).install()?);
        keep(&mut kept, FilterRule::accept(&host).forward().from("172.16.0.0/12").install()?);
        keep(&mut kept, bridge);
    }
    for machine in [&host, &router] {
        machine.forward_ipv4()?;
    }
    keep(&mut kept, Policy::drop(&host).forward().install()?);
    keep(&mut kept, NatRule::masquerade(&router).out("wan0").install()?);
    keep(&mut kept, internet.udp_echo("203.0.113.9:53")?);
    let topology = Topology::current()?;
    Ok((kept, topology))
}

/// Four nodes with pods, an overlay between them, and a router: forty machines.
pub(crate) fn cluster() -> Result<(Kept, Topology)> {
    let mut kept = Kept::new();
    let host = Netns::current()?;
    let router = Netns::new("router")?;
    let lan = Bridge::new(host.iface("lan"))?;
    keep(&mut kept, lan.plug(router.iface("eth0").addr("192.168.1.1/24"))?);
    for node in 1..=4 {
        let machine = Netns::new(format!("node{node}"))?;
        let address = format!("192.168.1.{}", 10 + node);
        keep(&mut kept, lan.plug(machine.iface("eth0").addr(format!("{address}/24")).gateway("192.168.1.1"))?);
        machine.forward_ipv4()?;
        let pods = Bridge::new(machine.iface("cbr0").addr(format!("10.0.{node}.1/24")))?;
        for pod in 1..=if node == 4 { 8 } else { 9 } {
            let machine = Netns::new(format!("pod{node}-{pod}"))?;
            let iface = machine.iface("eth0").addr(format!("10.0.{node}.{}/24", pod + 1)).gateway(format!("10.0.{node}.1"));
            keep(&mut kept, pods.plug(iface)?);
            if pod == 1 {
                keep(&mut kept, machine.http_server("0.0.0.0:80")?);
            }
        }
        keep(&mut kept, pods);
        keep(&mut kept, NatRule::masquerade(&machine).out("eth0").install()?);
    }
    keep(&mut kept, lan);
    let topology = Topology::current()?;
    Ok((kept, topology))
}

/// One switch, and so many machines.
pub(crate) fn star(count: usize) -> Result<(Kept, Topology)> {
    let mut kept = Kept::new();
    let lan = Bridge::new(Netns::current()?.iface("br0"))?;
    for number in 1..=count {
        let machine = Netns::new(format!("host{number}"))?;
        keep(&mut kept, lan.plug(machine.iface("eth0").addr(format!("10.0.0.{number}/24")))?);
    }
    keep(&mut kept, lan);
    let topology = Topology::current()?;
    Ok((kept, topology))
}

/// One router with a cable to each of so many machines.
pub(crate) fn spokes(count: usize) -> Result<(Kept, Topology)> {
    let mut kept = Kept::new();
    let router = Netns::new("hub")?;
    for number in 1..=count {
        let machine = Netns::new(format!("spoke{number}"))?;
        let iface = machine.iface("eth0").addr(format!("10.0.{number}.2/24")).gateway(format!("10.0.{number}.1"));
        keep(&mut kept, VethPair::connect(router.iface(format!("eth{number}")).addr(format!("10.0.{number}.1/24")), iface)?);
    }
    let topology = Topology::current()?;
    Ok((kept, topology))
}

/// What one rarely has: an overlay, links upon links, links that are down, both ends of a cable in one machine, bridges on bridges.
pub(crate) fn zoo() -> Result<(Kept, Topology)> {
    let mut kept = Kept::new();
    let host = Netns::current()?;
    let [first, second] = ["node1", "node2"].map(Netns::new);
    let (first, second) = (first?, second?);
    keep(
        &mut kept,
        VethPair::connect(first.iface("eth0").addr("192.168.1.1/24").addr("fd00:1::1/64"), second.iface("eth0").addr("192.168.1.2/24"))?,
    );
    for (node, near, far) in [(&first, 1, 2), (&second, 2, 1)] {
        let overlay = Vxlan::id(42).local(format!("192.168.1.{near}")).remote(format!("192.168.1.{far}")).dev(&node.link("eth0")?);
        keep(&mut kept, overlay.install(node.iface("vxlan0").addr(format!("10.42.0.{near}/24")))?);
    }
    let guest = Netns::new("guest")?;
    keep(&mut kept, Macvlan::bridge(guest.iface("mac0").addr("192.168.1.9/24"), &first.link("eth0")?)?);
    let (lower, upper) = (Bridge::new(host.iface("lower"))?, Bridge::new(host.iface("upper"))?);
    keep(&mut kept, VethPair::connect(host.iface("up0").master(lower.link()), host.iface("down0").master(upper.link()))?);
    for (bridge, name) in [(&lower, "left"), (&lower, "right"), (&upper, "above")] {
        keep(&mut kept, bridge.plug(Netns::new(name)?.iface("eth0").addr("10.1.0.1/24"))?);
    }
    host.link("right")?.down()?;
    kept.extend([Box::new(lower) as Box<dyn Any>, Box::new(upper)]);
    let both = Netns::bare("both")?;
    keep(&mut kept, VethPair::connect(both.iface("veth0").addr("10.2.0.1/24"), both.iface("veth1").addr("10.2.0.2/24"))?);
    keep(&mut kept, Netns::new("lonely")?);
    keep(&mut kept, Route::blackhole("10.9.0.0/16").install(&both)?);
    let topology = Topology::current()?.mark("node2/eth0", "chain input, policy drop").mark("nobody/eth7", "nothing was seen here");
    Ok((kept, topology))
}
