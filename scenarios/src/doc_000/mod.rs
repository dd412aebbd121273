//! Two HTTP servers, a network namespace, and a cable between them.
//!
//! Two servers want the same port of one computer. The second one gets a network namespace of its own, `netns_dustin`, and with it a stack
//! of its own: links, addresses, routes, ports. Then it takes a cable, addresses and a default route until it can be reached again.
//!
//! ```text
//!                                           internet  8.8.8.8, www.example.com
//!                                              │ 203.0.113.0/24
//!                                           router    192.168.0.1
//!                                              │
//!                                           switch lan, 192.168.0.0/24
//!                                              │
//!  ┌ host ─────────────────────────────────────┴──────────────────┐
//!  │                                         eth0 192.168.0.100   │
//!  │  server1 :8080                                              │
//!  │                    veth_dustin 10.0.0.10                     │
//!  │                         │                                    │
//!  │  ┌ netns_dustin ────────┴─────────────────┐                  │
//!  │  │             veth_ns_dustin 10.0.0.11   │                  │
//!  │  │  server2 :8080                        │                  │
//!  │  └────────────────────────────────────────┘                  │
//!  └──────────────────────────────────────────────────────────────┘
//! ```
//!
//! The host, the switch, the router and the internet are machines of the lab. The host's names are looked up by a stub resolver on its own
//! 127.0.0.53, as on a desktop with systemd-resolved, which asks 8.8.8.8. The home router's translation of addresses is replaced by a route back to
//! 192.168.0.0/24; to 10.0.0.0/24 there is no way back, as at home.
#![doc = include_str!("stages.md")]

mod bridge;
mod cable;
mod second;
mod servers;

use std::net::Ipv4Addr;

use netlab::{Netns, Responder, Route};

use crate::error::Result;
use crate::stage::Document;
use crate::world::{NAME_SERVER, Names, World};
use crate::{dns, etc};

/// The tutorial.
pub const DOCUMENT: Document = Document {
    id: "000",
    title: "Two HTTP servers, a namespace and a cable between them",
    start,
    parts: &[servers::STAGES, cable::STAGES, second::STAGES, bridge::STAGES],
};

const DUSTIN: &str = "netns_dustin";
const ADA: &str = "netns_ada";
const LEAH: &str = "netns_leah";
const SERVER_1: &str = "server1";
const SERVER_2: &str = "server2";
const SERVER_3: &str = "server3";

/// What the internet's name server knows.
const NAMES: Names = &[(SITE, Ipv4Addr::new(198, 51, 100, 80))];
const SITE: &str = "www.example.com";
const SITE_ADDRESS: &str = "198.51.100.80";

/// A desktop at home: on a switch with the router, which is cabled to the internet.
fn start() -> Result<World> {
    let mut world = World::new()?;
    let host = world.host();
    let router = world.add(Netns::new("router")?);
    world.add_switch("lan")?;
    world.plug("lan", host.iface("eth0").addr("192.168.0.100/24").gateway("192.168.0.1"))?;
    world.plug("lan", router.iface("lan0").addr("192.168.0.1/24"))?;
    let internet = world.add_internet(NAMES)?;
    world.uplink(router.iface("wan0").addr("203.0.113.2/24"), "203.0.113.1/24")?;
    router.forward_ipv4()?;
    let way_back = Route::to("192.168.0.0/24").via("203.0.113.2").install(&internet)?;
    world.keep("the way back to 192.168.0.0/24", way_back);
    etc::configure_resolver("nameserver 127.0.0.53\n")?;
    dns::stub(&host, "127.0.0.53:53", (NAME_SERVER, 53).into())?;
    Ok(world)
}

/// Stops a server, as Ctrl-C in its terminal does.
fn stop(world: &mut World, server: &str) -> Result<()> {
    Ok(world.take::<Responder>(server)?.close()?)
}

/// How often a server was asked: the lines of its log.
fn log_lines(world: &World, server: &str) -> Result<u64> {
    Ok(world.kept::<Responder>(server)?.hits())
}
