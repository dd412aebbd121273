//! What nf_tables rules a namespace has.

use std::collections::BTreeMap;
use std::panic::Location;

use crate::error::{At, Doing, Result};
use crate::netns::Netns;
use crate::nft::Ruleset;

impl Netns {
    /// All nf_tables rules of the namespace, with their sets and counters. Equals `nft list ruleset`.
    ///
    /// # Errors
    ///
    /// If the kernel has no nf_tables, or the caller may not see them ([`is_permission`](crate::Error::is_permission)).
    #[track_caller]
    pub fn ruleset(&self) -> Result<Ruleset> {
        let here = Location::caller();
        let what = || format!("list the rules of `{}`", self.name());
        let mut socket = self.netfilter().doing(what).at(here)?;
        let ruleset = Ruleset::list(&mut socket).doing(what).at(here)?;
        drop(socket);
        let interfaces = if ruleset.has_indexes() { self.interface_names().doing(what).at(here)? } else { BTreeMap::new() };
        Ok(ruleset.describe(interfaces))
    }
}
