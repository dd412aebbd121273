//! Pods, and the network between them.
//!
//! Containers on one node: first each with a cable of its own to Docker's bridge, then several that share one namespace and so are one
//! host to the network, then the pod, where that namespace belongs to a container that does nothing else, `pause`. Then two nodes, and
//! what it takes for the pods of one to reach those of the other.
//!
//! ```text
//!                  router
//!                     │ lan0 10.100.0.1
//!          switch lan, 10.100.0.0/24
//!         ┌───────────┴───────────┐
//!  ┌ node1┴──────────────┐ ┌ node2┴──────────────┐
//!  │ eth0 10.100.0.2     │ │ eth0 10.100.0.3     │
//!  │                     │ │                     │
//!  │ cbr0 10.0.1.1/24    │ │ cbr0 10.0.2.1/24    │
//!  │   └ veth_pod1       │ │   └ veth_pod2       │
//!  │  ┌ pod1 ┴────────┐  │ │  ┌ pod2 ┴────────┐  │
//!  │  │ eth0 10.0.1.2 │  │ │  │ eth0 10.0.2.2 │  │
//!  │  └───────────────┘  │ │  └───────────────┘  │
//!  └─────────────────────┘ └─────────────────────┘
//! ```
//!
//! The nodes, the switch and the router are machines of the lab, and so are containers and pods. Up to stage 08 the bridges are Docker's:
//! docker0, 172.17.0.1/24, on either node.
#![doc = include_str!("stages.md")]

mod network;
mod node;

use std::net::Ipv4Addr;

use netlab::{Bridge, Netns, VethPair};

use crate::container::{serve, unpack_image};
use crate::error::Result;
use crate::stage::Document;
use crate::world::World;

/// The tutorial.
pub const DOCUMENT: Document =
    Document { id: "004", title: "Pods, and the network between them", start, parts: &[node::STAGES, network::STAGES] };

const NODE_1: &str = "node1";
const NODE_2: &str = "node2";
const ROUTER: &str = "router";
/// The addresses of Docker's first and second container, on whichever node.
const FIRST: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 2);
const SECOND: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 3);
const CON_1: &str = "con1";
const CON_2: &str = "con2";
const CON_3: &str = "con3";
const POD_1: &str = "pod1";
const POD_2: &str = "pod2";

/// One node in a data centre: on a switch with the router.
fn start() -> Result<World> {
    let mut world = World::new()?;
    unpack_image(&mut world)?;
    let router = world.add(Netns::new(ROUTER)?);
    let node = world.add(Netns::new(NODE_1)?);
    world.add_switch("lan")?;
    world.plug("lan", router.iface("lan0").addr("10.100.0.1/24"))?;
    world.plug("lan", node.iface("eth0").addr("10.100.0.2/24").gateway("10.100.0.1"))?;
    router.forward_ipv4()?;
    Ok(world)
}

/// Adds a bridge to a node, as its way to its containers.
fn add_bridge(world: &mut World, node: &Netns, name: &str, address: &str) -> Result<()> {
    let bridge = Bridge::new(node.iface(name).addr(address))?;
    world.keep(format!("{node}/{name}"), bridge);
    Ok(())
}

/// Adds a namespace to docker0 of a node: its end of the cable is eth0, the bridge's is named after it.
fn add_namespace(world: &mut World, node: &Netns, name: &str, address: Ipv4Addr) -> Result<Netns> {
    let netns = world.add(Netns::new(name)?);
    let [a, b, c, d] = address.octets();
    // Docker's MAC address goes with the IP address, so that neighbours who remember it are right when another container gets that.
    let eth0 =
        netns.iface("eth0").mac(format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")).addr(format!("{address}/24")).gateway("172.17.0.1");
    let port = node.iface(format!("veth_{name}")).master(world.kept::<Bridge>(&format!("{node}/docker0"))?);
    world.keep_cable(VethPair::connect(eth0, port)?);
    Ok(netns)
}

/// Adds a container to docker0 of a node, with a web server on port 80 that tells its name.
fn add_container(world: &mut World, node: &Netns, name: &str, address: Ipv4Addr) -> Result<()> {
    let netns = add_namespace(world, node, name, address)?;
    world.keep(name, serve(&netns, name, 80)?);
    Ok(())
}

/// The ports of a bridge, by name.
fn ports(of: &Netns, bridge: &str) -> Result<String> {
    let links = of.links()?;
    let ports: Vec<_> = links.iter().filter(|link| link.master.as_deref() == Some(bridge)).map(|link| link.name.clone()).collect();
    Ok(ports.join(" "))
}
