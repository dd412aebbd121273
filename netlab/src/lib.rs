//! Real Linux networks for `cargo test`.

mod bridge;
mod cidr;
mod error;
mod iface;
mod link;
mod netns;
mod patience;
mod sys;
mod teardown;
mod veth;

pub use bridge::Bridge;
pub use error::{Error, Result};
pub use iface::Iface;
pub use link::Link;
pub use netns::Netns;
pub use veth::VethPair;
