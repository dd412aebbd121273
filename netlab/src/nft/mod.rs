//! nf_tables: the rules of a namespace as values, and as the text of `nft list ruleset`.
//!
//! [`Netns::ruleset`](crate::Netns::ruleset) lists them, whoever installed them: netlab, `nft` or iptables-nft.

// Two levels. `expr` mirrors the kernel's expressions, `statement` has nft's words; `lift` and `resolve` lead up from the one to the other,
// `lower` leads down. The text is made from statements, so that what others installed reads as well as what netlab did.

mod codec;
pub(crate) mod data;
pub(crate) mod expr;
pub(crate) mod family;
mod items;
mod keys;
mod lift;
pub(crate) mod look;
pub(crate) mod lower;
pub(crate) mod matches;
pub(crate) mod memories;
pub(crate) mod message;
pub(crate) mod object;
pub(crate) mod owned;
mod render;
mod resolve;
mod ruleset;
pub(crate) mod statement;
pub(crate) mod targets;
pub(crate) mod template;
pub(crate) mod transaction;
pub(crate) mod types;
mod userdata;
pub(crate) mod wire;
pub(crate) mod words;

pub use family::Family;
pub use object::{Chain, Hits, Rule, Table};
pub use ruleset::Ruleset;

#[cfg(test)]
pub(crate) mod tests;
