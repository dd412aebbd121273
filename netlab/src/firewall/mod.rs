//! Rules of NAT and of firewalls as fixtures.

mod change;
mod connections;
mod draft;
mod filter;
mod hits;
mod lower;
mod nat;
mod plan;
mod rule;
mod standard;
mod words;

pub use filter::{FilterRule, FilterRuleBuilder};
pub use nat::{NatRule, NatRuleBuilder};
pub use rule::{Filter, Nat, PacketRule};
pub use words::PacketRuleBuilder;
