//! Translation of whole nets, one address to one address.

use std::fmt::Display;
use std::panic::Location;

use crate::error::{At, Error, Result};
use crate::firewall::NatRule;
use crate::netns::Netns;

/// A translation of a net behind a router to another of the same size in front of it, one address to one address, in both directions.
///
/// Whoever is outside reaches each inside address by its outside one, without anything having been sent before. The router forwards, and
/// the outside has a route to the outside net.
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let router = netlab::Netns::new("router")?;
/// use netlab::PrefixNat;
/// let _v4 = PrefixNat::netmap(&router, "wan0", "10.0.0.0/24", "198.51.100.0/24")?;
/// let _v6 = PrefixNat::nptv6(&router, "wan0", "fd00:a::/48", "2001:db8:1::/48")?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the translation goes as soon as it is dropped: bind it, as in `let _nat = PrefixNat::netmap(…)?;`"]
pub struct PrefixNat {
    outward: NatRule,
    inward: NatRule,
}

impl PrefixNat {
    /// Translates the nets by the kernel's connection tracking, for IPv4 or IPv6: the bits behind the prefix stay as they are.
    ///
    /// Equals `iptables -t nat -A POSTROUTING -s INSIDE -o OUT -j NETMAP --to OUTSIDE`, and
    /// `-A PREROUTING -d OUTSIDE -i OUT -j NETMAP --to INSIDE`.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) if they are no nets, or not of one family and length; or if the kernel refuses.
    #[track_caller]
    pub fn netmap(router: &Netns, out: &str, inside: impl Display, outside: impl Display) -> Result<Self> {
        let (here, inside, outside) = (Location::caller(), inside.to_string(), outside.to_string());
        let length = |net: &str| net.parse::<ipnet::IpNet>().ok().map(|net| (net.max_prefix_len(), net.prefix_len()));
        if length(&inside).is_none() || length(&inside) != length(&outside) {
            let what = format!("translate {inside} of `{router}` to {outside}");
            return Err(Error::invalid(what, "expected two nets of one family and length").at(here));
        }
        let outward = NatRule::snat(router).from(&inside).out(out).to_prefix(&outside).install().at(here)?;
        let inward = NatRule::dnat(router).addressed_to(&outside).on(out).to_prefix(&inside).install().at(here)?;
        Ok(Self { outward, inward })
    }

    /// Translates IPv6 prefixes of at most 64 bits as RFC 6296 has it (NPTv6): without memory of connections, and so that no checksum
    /// changes. For that, one word of the address behind the prefix is another than inside.
    ///
    /// Equals `ip6tables -t mangle -A POSTROUTING -s INSIDE -o OUT -j SNPT --src-pfx INSIDE --dst-pfx OUTSIDE`, and
    /// `-A PREROUTING -d OUTSIDE -i OUT -j DNPT --src-pfx OUTSIDE --dst-pfx INSIDE`. A filter on the state of connections does not see that
    /// answers belong to their questions.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) if they are no prefixes of at most 64 bits; or if the kernel refuses, as one does that
    /// has no `ip6t_NPT`.
    #[track_caller]
    pub fn nptv6(router: &Netns, out: &str, inside: impl Display, outside: impl Display) -> Result<Self> {
        let here = Location::caller();
        let outward = NatRule::snpt(router, &inside, &outside).out(out).install().at(here)?;
        let inward = NatRule::dnpt(router, &outside, &inside).on(out).install().at(here)?;
        Ok(Self { outward, inward })
    }

    /// The rule for what leaves.
    pub fn outward(&self) -> &NatRule {
        &self.outward
    }

    /// The rule for what comes in.
    pub fn inward(&self) -> &NatRule {
        &self.inward
    }

    /// Removes both rules and reports what dropping them would only print.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    #[track_caller]
    pub fn close(self) -> Result<()> {
        let here = Location::caller();
        let outward = self.outward.close().at(here);
        self.inward.close().at(here).and(outward)
    }
}
