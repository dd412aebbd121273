//! Two HTTP servers, two network namespaces, and what lies between them.
//!
//! Two servers want the same port of one computer. The second one gets a network namespace of its own, `netns_dustin`, and with it a stack
//! of its own: links, addresses, routes, ports. It takes a cable, addresses and a default route until it can be reached again (01 to 18),
//! forwarding, masquerading and a name server until it has the internet (19 to 24). A second namespace, `netns_leah`, is cut off from the
//! first (25 to 27) until a bridge joins them (28 to 34). In the end everything is deleted, or nearly so (35).
//!
//! ```text
//!                                       internet  8.8.8.8, www.example.com
//!                                          │ 203.0.113.0/24
//!                                       router    192.168.0.1, masquerades
//!                                          │
//!                                       switch lan, 192.168.0.0/24
//!                                          │
//!  ┌ host ─────────────────────────────────┴─────────────────────────┐
//!  │                                    eth0 192.168.0.100           │
//!  │  server1 :8080                                                  │
//!  │                                                                 │
//!  │            ┌── bridge_home 10.0.0.1, from 28 on ──┐             │
//!  │  veth_dustin (10.0.0.10)                veth_leah (10.0.0.20)   │
//!  │            │                                      │             │
//!  │  ┌ netns_dustin ──────────────┐  ┌ netns_leah ──────────────┐   │
//!  │  │ veth_ns_dustin 10.0.0.11   │  │ veth_ns_leah 10.0.0.21   │   │
//!  │  │ server2 :8080              │  │ server3 :8080            │   │
//!  │  └────────────────────────────┘  └──────────────────────────┘   │
//!  └─────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The host, the switch, the router and the internet are machines of the lab. The host's names are looked up by a stub resolver on its own
//! 127.0.0.53, as on a desktop with systemd-resolved, which asks 8.8.8.8. Docker is installed on it: the policy of FORWARD is DROP, and
//! `bridge-nf-call-iptables` is 1. The host's ends have addresses until the bridge has one.
#![doc = include_str!("stages.md")]

mod bridge;
mod cable;
mod cleanup;
mod internet;
mod rules;
mod second;
mod servers;

use std::net::Ipv4Addr;

use netlab::{Policy, Responder};

use crate::error::Result;
use crate::stage::Document;
use crate::world::{Names, World};

/// The tutorial.
pub const DOCUMENT: Document = Document {
    id: "000",
    title: "Two HTTP servers, a namespace and a cable between them",
    start,
    parts: &[servers::STAGES, cable::STAGES, internet::STAGES, second::STAGES, bridge::STAGES, cleanup::STAGES],
};

const DUSTIN: &str = "netns_dustin";
const BRIDGE: &str = "bridge_home";
const CABLE: &str = "the cable of netns_dustin";
const ADA: &str = "netns_ada";
const LEAH: &str = "netns_leah";
const SERVER_1: &str = "server1";
const SERVER_2: &str = "server2";
const SERVER_3: &str = "server3";

/// What the internet's name server knows.
const NAMES: Names = &[(SITE, Ipv4Addr::new(198, 51, 100, 80))];
const SITE: &str = "www.example.com";
const SITE_ADDRESS: &str = "198.51.100.80";
/// The home router, as the internet sees it.
const ROUTER: &str = "203.0.113.2";

/// A desktop at home: on a switch with the router, which is cabled to the internet.
fn start() -> Result<World> {
    let mut world = World::at_home(NAMES)?;
    let host = world.host();
    world.keep(rules::DOCKER, Policy::drop(&host).forward().install()?);
    host.set_sysctl("net.bridge.bridge-nf-call-iptables", 1)?.keep();
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
