//! Docker's own network, looked at from outside and inside, and then one like it made by hand.
//!
//! Three containers hang on two of Docker's bridges: `con1` and `con2` on `docker0`, `con3` on that of a network of its own. The text finds
//! their namespaces, follows their cables from end to end, and sees who reaches whom. Then it makes by hand what Docker made: the
//! namespace `sample`, its cable, its bridge, and its way to the internet.
//!
//! ```text
//!                                      internet  8.8.8.8, github.com
//!                                         │ 203.0.113.0/24
//!                                      router    192.168.0.1
//!                                         │
//!                                      switch lan, 192.168.0.0/24
//!                                         │
//!  ┌ host ────────────────────────────────┴─────────────────────────────────────┐
//!  │                                 eth0 192.168.0.100                         │
//!  │                                                                            │
//!  │     docker0 172.17.0.1/16    br-3f2a7c9d1e04 172.18.0.1/16   samplebr      │
//!  │       ┌──────┴───────┐                │                      10.1.1.1/24   │
//!  │   veth8a1f3c2   veth5ae2f19      vethc04d7b6                     │         │
//!  │       23             25               35                       veth1       │
//!  │ ┌ con1 ┴─────┐ ┌ con2 ┴─────┐   ┌ con3 ┴─────┐            ┌ sample ┴───┐   │
//!  │ │  22: eth0  │ │  24: eth0  │   │  34: eth0  │            │   veth2    │   │
//!  │ │ 172.17.0.2 │ │ 172.17.0.3 │   │ 172.18.0.2 │            │  10.1.1.2  │   │
//!  │ └────────────┘ └────────────┘   └────────────┘            └────────────┘   │
//!  └────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The router, the switch and the internet are machines of the lab. Docker is what it makes of the kernel: bridges, cables and rules. What the
//! host's name server is, the text does not say: here it is a stub resolver on its own 127.0.0.53.
#![doc = include_str!("stages.md")]

mod containers;
mod internet;
mod sample;

use std::net::Ipv4Addr;

use crate::error::Result;
use crate::stage::Document;
use crate::world::{Container, Daemon, Names, Network, World};

/// The tutorial.
pub const DOCUMENT: Document = Document {
    id: "002",
    title: "Docker's own network, then a hand-made one",
    start,
    parts: &[containers::STAGES, sample::STAGES, internet::STAGES],
};

/// The network that Docker has from the start.
const DOCKER0: Network = Network { bridge: "docker0", index: 3, gateway: Ipv4Addr::new(172, 17, 0, 1), prefix: 16 };
/// A network that the reader has added.
const OTHER: Network = Network { bridge: "br-3f2a7c9d1e04", index: 33, gateway: Ipv4Addr::new(172, 18, 0, 1), prefix: 16 };

const CON_1: Container = Container { name: "con1", address: Ipv4Addr::new(172, 17, 0, 2), port: "veth8a1f3c2", index: 22 };
const CON_2: Container = Container { name: "con2", address: Ipv4Addr::new(172, 17, 0, 3), port: "veth5ae2f19", index: 24 };
const CON_3: Container = Container { name: "con3", address: Ipv4Addr::new(172, 18, 0, 2), port: "vethc04d7b6", index: 34 };
/// The containers, each with its network.
const CONTAINERS: [(Container, Network); 3] = [(CON_1, DOCKER0), (CON_2, DOCKER0), (CON_3, OTHER)];

/// What Docker's daemon sets on the host.
const DAEMON: &str = "Docker's daemon";
/// The namespace that is made by hand, and its bridge.
const SAMPLE: &str = "sample";
const BRIDGE: &str = "samplebr";

/// What the internet's name server knows.
const NAMES: Names = &[(SITE, Ipv4Addr::new(140, 82, 121, 3)), (MACHINE, Ipv4Addr::new(140, 82, 121, 3))];
const SITE: &str = "github.com";
/// The name of the machine that has the site.
const MACHINE: &str = "lb-140-82-121-3-fra.github.com";
const SITE_ADDRESS: &str = "140.82.121.3";

/// A computer at home with Docker on it.
fn start() -> Result<World> {
    let mut world = World::at_home(NAMES)?;
    let host = world.host();
    world.docker_network(&host, &DOCKER0)?;
    world.docker_network(&host, &OTHER)?;
    world.keep(DAEMON, Daemon::start(&host, &[&DOCKER0, &OTHER])?);
    Ok(world)
}
