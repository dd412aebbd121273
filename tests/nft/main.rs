//! nf_tables rulesets, held against the real `nft` and iptables-nft.

mod corpus;
mod iptables;
mod listing;
mod oracle;
