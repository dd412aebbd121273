//! Rules of NAT and of firewalls: each effect beside its absence, on real packets; and what is left behind, held against nft and iptables.

mod lab;

mod filter;
mod nat;
