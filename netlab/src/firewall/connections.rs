//! What becomes of connections that were there before a rule.

use super::plan::Plan;
use crate::conntrack;
use crate::error::Result;
use crate::netns::Netns;
use crate::nft::Family;

/// Lets the kernel forget the connections of the families of those rules that translate, so that their next packets meet the rules as they are
/// now: nat rules see only the first packet of a connection.
pub(crate) fn forget_connections<'a>(netns: &Netns, plans: impl IntoIterator<Item = &'a Plan>) -> Result<()> {
    let mut families: Vec<Family> = plans.into_iter().filter(|plan| plan.table == "nat").map(|plan| plan.family).collect();
    families.sort_unstable();
    families.dedup();
    families.into_iter().try_for_each(|family| conntrack::forget(netns, family))
}
