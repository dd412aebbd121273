//! Nodes on a network, with a pod each: what overlays and routed networks begin with.

use netlab::{Bridge, Netns, VethPair};

use crate::error::Result;
use crate::world::World;

/// A node, its pod, and their addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) name: &'static str,
    /// On the network of the nodes, 192.168.1.0/24.
    pub(super) address: &'static str,
    pub(super) pod: &'static str,
}

pub(super) const NODE_1: Node = Node { name: "node1", address: "192.168.1.11", pod: "pod1" };
pub(super) const NODE_2: Node = Node { name: "node2", address: "192.168.1.12", pod: "pod2" };
/// The switch between the nodes.
pub(super) const LAN: &str = "lan";

/// Two nodes on a switch.
pub(super) fn nodes(world: &mut World) -> Result<()> {
    world.add_switch(LAN)?;
    for node in [NODE_1, NODE_2] {
        let netns = world.add(Netns::new(node.name)?);
        world.plug(LAN, netns.iface("eth0").addr(format!("{}/24", node.address)))?;
    }
    Ok(())
}

/// A pod of the node on the node's bridge `cni0`, which has `gateway` if there is one; pods know no other way out.
pub(super) fn pod(world: &mut World, node: Node, address: &str, gateway: Option<&str>) -> Result<()> {
    let netns = world.machine(node.name)?;
    let bridge = netns.iface("cni0");
    let bridge = Bridge::new(gateway.iter().fold(bridge, |bridge, gateway| bridge.addr(gateway)))?;
    let pod = world.add(Netns::new(node.pod)?);
    let eth0 = pod.iface("eth0").addr(address);
    let gateway = gateway.and_then(|gateway| gateway.split('/').next());
    let eth0 = gateway.iter().fold(eth0, |eth0, gateway| eth0.gateway(gateway));
    let cable = VethPair::connect(eth0, netns.iface(format!("veth_{}", node.pod)).master(&bridge))?;
    world.keep_cable(cable);
    world.keep(format!("the bridge of {}", node.name), bridge);
    Ok(())
}

impl Node {
    /// The network of its pods where they are [`routed`], without its last number.
    pub(super) fn net(self) -> &'static str {
        if self.name == NODE_1.name { "10.244.1" } else { "10.244.2" }
    }
}

/// Two nodes with a pod each, on networks of their own; the nodes forward.
pub(super) fn routed(world: &mut World) -> Result<()> {
    nodes(world)?;
    for node in [NODE_1, NODE_2] {
        let net = node.net();
        pod(world, node, &format!("{net}.2/24"), Some(&format!("{net}.1/24")))?;
        world.machine(node.name)?.forward_ipv4()?;
    }
    Ok(())
}
