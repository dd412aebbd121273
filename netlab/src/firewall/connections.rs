//! What becomes of connections that were there before a rule.

use super::plan::{Plan, Target};
use crate::conntrack;
use crate::error::Result;
use crate::netns::Netns;
use crate::nft::Family;

/// Lets the kernel forget the connections of the families of those rules that translate or lead to such, so that their next packets meet the
/// rules as they are now: nat rules see only the first packet of a connection.
pub(crate) fn forget_connections<'a>(netns: &Netns, plans: impl IntoIterator<Item = &'a Plan>) -> Result<()> {
    let mut families: Vec<Family> = plans.into_iter().filter(|plan| is_nat(plan)).map(|plan| plan.family).collect();
    families.sort_unstable();
    families.dedup();
    families.into_iter().try_for_each(|family| conntrack::forget(netns, family))
}

fn is_nat(plan: &Plan) -> bool {
    let translates = matches!(
        plan.target,
        Some(Target::Masquerade { .. } | Target::Snat { .. } | Target::Dnat { .. } | Target::DnatEach { .. } | Target::Redirect { .. })
    );
    translates || plan.table == "nat"
}
