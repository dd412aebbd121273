//! What a namespace remembers of the connections that pass it, and how it rewrites them: `conntrack -L`, `-D` and `-F`.

mod kernel;

use std::panic::Location;

use crate::error::{At, Doing, Result};
use crate::netns::Netns;
use crate::nft::Family;

impl Netns {
    /// Forgets all connections, so that the next packet of each is a first packet again and meets the rules of now.
    ///
    /// Equals `conntrack -F`. In a namespace that tracks nothing it does nothing.
    ///
    /// # Errors
    ///
    /// If the kernel has no ctnetlink, or the caller may not ([`is_permission`](crate::Error::is_permission)).
    #[track_caller]
    pub fn flush_connections(&self) -> Result<()> {
        forget(self, Family::Inet).at(Location::caller())
    }
}

/// Forgets the namespace's connections of that family, both for [`Family::Inet`].
///
/// Rules of NAT see only the first packet of a connection: what they decided stays for as long as it is remembered.
pub(crate) fn forget(netns: &Netns, family: Family) -> Result<()> {
    let what = || format!("forget the connections of `{netns}`");
    let family = match family {
        Family::Inet => kernel::ANY,
        Family::Ip | Family::Ip6 => family.number(),
        _ => return Ok(()),
    };
    let mut socket = netns.netfilter().doing(what)?;
    kernel::flush(&mut socket, family, None).map_err(|refusal| kernel::explain(what(), refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[netlab::test]
    fn a_namespace_that_tracks_nothing_has_nothing_to_forget() -> Result<()> {
        let host = Netns::new("untracked")?;
        for family in [Family::Inet, Family::Ip, Family::Ip6, Family::Bridge] {
            forget(&host, family)?;
        }
        host.flush_connections()
    }
}
