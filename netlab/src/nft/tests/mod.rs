//! What we install, held against the real `nft`.

#[path = "../../../../tests/nft/corpus/mod.rs"]
mod corpus;
#[path = "../../../../tests/nft/oracle.rs"]
pub(crate) mod oracle;

mod again;
mod change;
mod fuzz;
mod refusal;
mod words;

use crate::Netns;
use crate::error::Result;

use super::transaction::Transaction;

fn commit(netns: &Netns, transaction: Transaction) -> Result<Vec<u64>> {
    transaction.commit(&mut netns.netfilter().unwrap())
}
