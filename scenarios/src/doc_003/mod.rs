//! Port mapping, localhost, and a service with an address of its own.
//!
//! Two containers on a bridge, each with a web server on port 8000. The host publishes them on its own ports 8081 and 8082: to those who
//! come from outside, then to itself, then to its localhost. Then a service: one address, 172.18.1.1, that no interface has, and behind it
//! both servers in turn.
//!
//! ```text
//!    laptop 192.168.0.50          router 192.168.0.1
//!       │                            │
//!  switch lan, 192.168.0.0/24 ───────┘
//!       │
//!  ┌ host ────────────────────────────────────────┐
//!  │  eth0 192.168.0.100                          │
//!  │                         :8081 → con1:8000    │
//!  │                         :8082 → con2:8000    │
//!  │  172.18.1.1:80 → con1:8000 or con2:8000      │
//!  │                                              │
//!  │  br0 172.18.0.1/24                           │
//!  │   ├ veth_con1              ├ veth_con2       │
//!  │  ┌ con1 ┴───────────┐     ┌ con2 ┴────────┐  │
//!  │  │ eth0 172.18.0.2  │     │ .3            │  │
//!  │  │ server :8000     │     │ server :8000  │  │
//!  │  └──────────────────┘     └───────────────┘  │
//!  └──────────────────────────────────────────────┘
//! ```
//!
//! The host, the laptop, the router and the switch are machines of the lab; the router knows 192.168.0.0/24 and nothing else. The laptop
//! has a web server of its own on port 8081.
#![doc = include_str!("stages.md")]

mod mapping;
mod published;
mod service;

use netlab::Netns;

use crate::error::Result;
use crate::stage::Document;
use crate::world::World;

/// The tutorial.
pub const DOCUMENT: Document = Document {
    id: "003",
    title: "Port mapping, localhost, and the virtual address of a service",
    start,
    parts: &[published::STAGES, mapping::STAGES, service::STAGES],
};

const CON_1: &str = "con1";
const CON_2: &str = "con2";
const LAPTOP: &str = "laptop";
const ROUTER: &str = "router";

/// A computer on a switch, with a neighbour and a router.
fn start() -> Result<World> {
    let mut world = World::new()?;
    let host = world.host();
    let laptop = world.add(Netns::new(LAPTOP)?);
    let router = world.add(Netns::new(ROUTER)?);
    world.add_switch("lan")?;
    world.plug("lan", router.iface("lan0").addr("192.168.0.1/24"))?;
    world.plug("lan", host.iface("eth0").addr("192.168.0.100/24").gateway("192.168.0.1"))?;
    world.plug("lan", laptop.iface("eth0").addr("192.168.0.50/24").gateway("192.168.0.1"))?;
    router.forward_ipv4()?;
    world.keep("the server of the laptop", laptop.http_server("0.0.0.0:8081")?);
    Ok(world)
}
