//! Containers made by hand, the network between them on one node, on two, and as Calico does it.
//!
//! ```text
//!                          internet  8.8.8.8
//!                             │ 192.168.200.0/24
//!                             │
//!                       eth1 192.168.200.172
//!                           head       translates 10.141.0.0/16
//!                       eth0 10.141.255.254
//!                             │
//!                       switch lan, 10.141.0.0/16
//!                  ┌──────────┴─────────────┐
//!  ┌ node001 ──────┴───────────────┐  ┌─────┴ node002 ───────────────┐
//!  │        eth0 10.141.0.1        │  │    eth0 10.141.0.2           │
//!  │                               │  │                              │
//!  │        br0 172.19.35.1        │  │    br0 172.19.36.1           │
//!  │      ┌──────┴───────┐         │  │      │                       │
//!  │    veth0          veth2       │  │    veth0                     │
//!  │ ┌ con1 ┴───┐  ┌ con2 ┴───┐    │  │ ┌ con3 ┴───┐                 │
//!  │ │ eth0  .2 │  │ eth0  .3 │    │  │ │ eth0  .2 │                 │
//!  │ └──────────┘  └──────────┘    │  │ └──────────┘                 │
//!  └───────────────────────────────┘  └──────────────────────────────┘
//! ```
//!
//! The nodes, the head node, the switch and the internet are machines of the lab. A container is a process in namespaces of its own, whose
//! root is a directory that is made on the spot. The text was written for nodes with CentOS, whose FORWARD policy is ACCEPT and which have
//! no `br_netfilter`; so they are here. The part on Calico starts again with rebooted nodes.
#![doc = include_str!("stages.md")]

mod bridge;
mod cable;
mod calico;
mod containers;
mod knobs;
mod nat;
mod nsenter;
mod outside;
mod routed;

use std::net::Ipv4Addr;

use netlab::{NatRule, Netns, VethPair};

use crate::ask::hardware;
use crate::error::Result;
use crate::stage::Document;
use crate::world::World;

/// The tutorial.
pub const DOCUMENT: Document = Document {
    id: "001",
    title: "Containers from scratch: a bridge, two nodes, and Calico's way",
    start,
    parts: &[
        containers::STAGES,
        cable::STAGES,
        bridge::STAGES,
        nat::STAGES,
        calico::STAGES,
        knobs::STAGES,
        routed::STAGES,
        outside::STAGES,
        nsenter::STAGES,
    ],
};

const NODE_1: &str = "node001";
const NODE_2: &str = "node002";
const HEAD: &str = "head";
const CON_1: &str = "con1";
const CON_2: &str = "con2";
const CON_3: &str = "con3";
const LAN: &str = "lan";
/// The head node's address outside.
const OUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 200, 172);

/// Two nodes of a cluster, behind a head node that is their way out.
fn start() -> Result<World> {
    let mut world = World::new()?;
    world.add_switch(LAN)?;
    let head = world.add(Netns::new(HEAD)?);
    head.forward_ipv4()?;
    world.plug(LAN, head.iface("eth0").addr("10.141.255.254/16"))?;
    for (name, address) in [(NODE_1, "10.141.0.1/16"), (NODE_2, "10.141.0.2/16")] {
        let node = world.add(Netns::new(name)?);
        world.plug(LAN, node.iface("eth0").addr(address).gateway("10.141.255.254"))?;
    }
    world.add_internet(&[])?;
    world.uplink(head.iface("eth1").addr(format!("{OUTER}/24")), "192.168.200.1/24")?;
    let rule = NatRule::masquerade(&head).from("10.141.0.0/16").out("eth1").install()?;
    world.keep("the MASQUERADE rule of head", rule);
    world.machines().try_for_each(have_patience)?;
    Ok(world)
}

/// A container that is cabled to its node as stages 07 to 10 do it, in one step.
fn cable(world: &mut World, node: &str, port: &str, container: &str, address: &str) -> Result<()> {
    let (node, container) = (world.machine(node)?, world.machine(container)?);
    let cable = VethPair::connect(node.iface(port), container.iface("eth0").addr(address))?;
    world.keep_cable(cable);
    [node, container].iter().try_for_each(have_patience)
}

/// Gives neighbours the kernel's own time to answer ARP, a second for each of three requests. With a lab's 0.03 s a busy machine may be too
/// late, and who has `lo` DOWN is not told.
fn have_patience(machine: &Netns) -> Result<()> {
    for link in machine.links()?.iter().filter(|link| link.name != "lo") {
        machine.link(&link.name)?.set_ipv4_neigh("retrans_time_ms", 1000)?.keep();
    }
    Ok(())
}
