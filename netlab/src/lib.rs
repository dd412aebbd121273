//! Real Linux networks for `cargo test`: each test has a private machine, and builds in it what it needs.
//!
//! ```no_run
//! use netlab::{Netns, Result, VethPair};
//!
//! #[netlab::test]
//! fn the_server_sees_the_client() -> Result<()> {
//!     let client = Netns::new("client")?;
//!     let server = Netns::new("server")?;
//!     let _cable = VethPair::connect(
//!         client.iface("eth0").addr("10.0.0.1/24"),
//!         server.iface("eth0").addr("10.0.0.2/24"),
//!     )?;
//!     let web = server.http_server("10.0.0.2:80")?;
//!     client.probe(&web)?.expect_source("10.0.0.1")?;
//!     Ok(())
//! }
//! ```
//!
//! | to have | look at |
//! |---|---|
//! | a machine for a test, or for a program | [`macro@test`], [`Machine`] |
//! | machines inside it, and code and programs in them | [`Netns`], [`Process`] |
//! | cables, switches and what hangs on them | [`VethPair`], [`Bridge`], [`Iface`], [`Link`], [`Fdb`] |
//! | overlays, and links upon links | [`Vxlan`], [`Macvlan`], and where the kernel has them [`Ipvlan`], [`Vlan`], [`Vrf`], [`Dummy`], [`Ipip`], [`Gre`] |
//! | links that end in a program | [`Tun`], [`Macvtap`] |
//! | addresses, routes, policy rules, neighbours, sysctls, files | [`Address`], [`Route`], [`Rule`], [`Neigh`], [`Sysctl`], [`PrivateFile`] |
//! | somebody who answers, and somebody who asks | [`Responder`], [`Probe`], [`Netns::probe`], [`Netns::expect_unreachable`] |
//! | address translation, firewalls, what they counted | [`NatRule`], [`FilterRule`], [`Policy`], [`RuleChain`], [`AddressSet`], [`VerdictMap`], [`Rules`] |
//! | a NAT that behaves as RFC 4787 names it, and how a NAT behaves | [`NatGateway`], [`NatBehaviour`], [`StunServer`], [`PrefixNat`] |
//! | what the kernel has, as iproute2 and nft print it | [`snapshot`], [`Netns::routes`], [`Netns::ruleset`] |
//! | the connections that a machine remembers and rewrites | [`Netns::connections`], [`Flow`], [`conntrack`] |
//! | the packets | [`Capture`] |
//! | whether this host gives machines, and if not, why | [`host::report`] |
//! | why a connection fails | [`Netns::explain`] |
//! | the machines that are alive now | [`live::machines`] |
//! | pictures of the lab and of what its packets did | [`draw`] |
//!
//! Fixtures carry traffic when their constructor returns and are undone when they are dropped: bind them to a name. An [`Error`] says what
//! could not be done, at which line of the test, why, and what helps.

#![cfg_attr(docsrs, feature(doc_cfg))]

// The attribute names this crate by its name, in its own tests too.
#[cfg(test)]
extern crate self as netlab;

mod addr;
mod address;
mod attach;
mod bridge;
pub mod capture;
mod cidr;
pub mod conntrack;
mod device;
pub mod draw;
mod dummy;
mod endpoint;
mod entry;
mod error;
mod evidence;
pub mod explain;
mod fdb;
mod feature;
mod files;
mod firewall;
mod gre;
pub mod host;
mod iface;
mod ipip;
mod ipvlan;
mod isolate;
mod layers;
mod link;
pub mod live;
mod macvlan;
mod macvtap;
mod messages;
pub mod nat_behaviour;
mod neigh;
mod netns;
#[cfg_attr(not(test), allow(dead_code, reason = "sets of ranges, objects and flags of tables, which no fixture needs yet"))]
pub mod nft;
mod nsid;
mod patience;
mod pcapng;
mod port;
mod probe;
mod process;
mod route;
mod rule;
mod ruleset;
mod serve;
pub mod snapshot;
mod sockets;
mod sys;
mod sysctl;
#[cfg(feature = "tokio")]
mod task;
mod teardown;
mod tun;
mod tunnel;
mod veth;
mod vlan;
mod vrf;
mod vxlan;

pub use addr::AddressBuilder;
pub use address::Address;
pub use bridge::Bridge;
pub use capture::Capture;
pub use conntrack::{Connection, Connections, Flow};
pub use dummy::Dummy;
pub use error::{Error, Result};
pub use evidence::pause;
pub use explain::Explanation;
pub use fdb::{Fdb, FdbBuilder};
pub use files::PrivateFile;
pub use firewall::{
    AddressSet, Filter, FilterRule, FilterRuleBuilder, Mixed, Nat, NatRule, NatRuleBuilder, PacketRule, PacketRuleBuilder, Policy,
    PolicyBuilder, RuleChain, RuleChainBuilder, Rules, RulesBuilder, VerdictMap,
};
pub use gre::{Gre, GreBuilder};
pub use iface::Iface;
pub use ipip::{Ipip, IpipBuilder};
pub use ipvlan::Ipvlan;
pub use isolate::{Machine, needs};
pub use link::Link;
pub use macvlan::Macvlan;
pub use macvtap::Macvtap;
pub use nat_behaviour::{NatBehaviour, NatGateway, PrefixNat};
pub use neigh::{Neigh, NeighBuilder};
pub use netns::Netns;
pub use probe::{Answer, IcmpError, IcmpKind, Outcome, Probe, Reason, Unreachable};
pub use process::{Process, ProcessPlan};
pub use route::{Route, RouteBuilder};
pub use rule::{Rule, RuleBuilder};
pub use serve::{Bound, Responder, Serve, Speaks, StunServer};
pub use sys::Namespace;
pub use sysctl::{RpFilter, Sysctl};
#[cfg(feature = "tokio")]
pub use task::Task;
pub use tun::Tun;
pub use veth::VethPair;
pub use vlan::Vlan;
pub use vrf::Vrf;
pub use vxlan::{Vxlan, VxlanBuilder};

#[doc = include_str!("isolate/attribute.md")]
pub use netlab_macros::test;

/// What the attribute's expansion names; not for direct use.
#[doc(hidden)]
pub mod __rt {
    #[cfg(feature = "tokio")]
    pub use crate::isolate::block_on;
    pub use crate::isolate::{Case, Exit, exit, run, run_unit};
}
