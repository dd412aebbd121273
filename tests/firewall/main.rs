//! Rules of NAT and of firewalls: each effect beside its absence, on real packets; and what is left behind, held against nft and iptables.

mod lab;
mod maps;

mod chains;
mod filter;
mod hits;
mod iptables;
mod nat;
mod owned;
mod policy;
mod refusals;
mod rules;
mod sets;
mod text;
