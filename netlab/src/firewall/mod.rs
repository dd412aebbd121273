//! Rules of NAT and of firewalls as fixtures.

mod chain;
mod change;
mod connections;
mod draft;
mod filter;
mod hits;
mod iptables;
mod lower;
mod memory;
mod nat;
mod plan;
mod policy;
mod rule;
mod rules;
mod set;
mod standard;
mod vmap;
mod words;

pub use chain::{RuleChain, RuleChainBuilder};
pub use filter::{FilterRule, FilterRuleBuilder};
pub use nat::{NatRule, NatRuleBuilder};
pub use policy::{Policy, PolicyBuilder};
pub use rule::{Filter, Nat, PacketRule};
pub use rules::{Mixed, Rules, RulesBuilder};
pub use set::AddressSet;
pub use vmap::VerdictMap;
pub use words::PacketRuleBuilder;
