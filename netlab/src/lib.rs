//! Real Linux networks for `cargo test`.

// The attribute names this crate by its name, in its own tests too.
#[cfg(test)]
extern crate self as netlab;

mod addr;
mod address;
mod bridge;
pub mod capture;
mod cidr;
mod endpoint;
mod entry;
mod error;
mod files;
mod iface;
mod isolate;
mod link;
mod messages;
mod neigh;
mod netns;
#[cfg_attr(not(test), allow(dead_code, reason = "what installs rules is for the fixtures of NAT and firewalls"))]
pub mod nft;
mod patience;
mod pcapng;
mod probe;
mod process;
mod route;
mod rule;
mod ruleset;
mod serve;
pub mod snapshot;
mod sys;
mod sysctl;
#[cfg(feature = "tokio")]
mod task;
mod teardown;
mod veth;

pub use addr::AddressBuilder;
pub use address::Address;
pub use bridge::Bridge;
pub use capture::Capture;
pub use error::{Error, Result};
pub use files::PrivateFile;
pub use iface::Iface;
pub use isolate::Machine;
pub use link::Link;
pub use neigh::{Neigh, NeighBuilder};
pub use netns::Netns;
pub use probe::{Answer, IcmpError, IcmpKind, Outcome, Probe, Reason, Unreachable};
pub use process::{Process, ProcessPlan};
pub use route::{Route, RouteBuilder};
pub use rule::{Rule, RuleBuilder};
pub use serve::{Bound, Responder, Serve, Speaks};
pub use sysctl::{RpFilter, Sysctl};
#[cfg(feature = "tokio")]
pub use task::Task;
pub use veth::VethPair;

#[doc = include_str!("isolate/attribute.md")]
pub use netlab_macros::test;

/// What the attribute's expansion names; not for direct use.
#[doc(hidden)]
pub mod __rt {
    #[cfg(feature = "tokio")]
    pub use crate::isolate::block_on;
    pub use crate::isolate::{Case, Exit, exit, run, run_unit};
}
