//! What rules have counted: read, zeroed, waited for.

use std::panic::Location;
use std::thread;
use std::time::{Duration, Instant};

use super::change::Installed;
use super::rule::PacketRule;
use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::nft::transaction::zero_rule;
use crate::nft::{Hits, look};
use crate::sys::Refusal;
use crate::sys::netlink::Socket;

/// How long packets are waited for.
const EVENTUALLY: Duration = Duration::from_secs(2);
/// Between two looks: the kernel tells nobody that a counter has changed.
const PAUSE: Duration = Duration::from_millis(5);

impl<K> PacketRule<K> {
    /// What the rule has counted. A rule that is in two chains counts in both.
    ///
    /// A nat rule sees the first packet of each connection only.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if somebody else removed the rule.
    #[track_caller]
    pub fn hits(&self) -> Result<Hits> {
        let here = Location::caller();
        self.sum(hits_of).at(here)
    }

    /// Sets the rule's counters to zero and gives what they had counted; no packet is lost to the count between.
    ///
    /// # Errors
    ///
    /// As [`hits`](Self::hits); [`is_unsupported`](Error::is_unsupported) before Linux 6.2, which cannot do it.
    #[track_caller]
    pub fn zero(&self) -> Result<Hits> {
        let here = Location::caller();
        self.sum(zero_one).at(here)
    }

    /// Demands that the rule has counted exactly that many packets, waits up to two seconds for those that are on their way, and gives
    /// what it has counted.
    ///
    /// Of a nat rule, these are the first packets of connections. A verb that asks again, such as
    /// [`probe`](crate::Netns::probe), may send more packets than one: [`expect_hits_at_least`](Self::expect_hits_at_least).
    ///
    /// # Errors
    ///
    /// [`is_timeout`](Error::is_timeout) if there are fewer by then, [`is_unexpected`](Error::is_unexpected) if there are more; both say
    /// what was counted, and the rule. Otherwise as [`hits`](Self::hits).
    #[track_caller]
    pub fn expect_hits(&self, packets: u64) -> Result<Hits> {
        let here = Location::caller();
        let hits = self.wait_for(packets, "").at(here)?;
        match hits.packets > packets {
            true => Err(self.counted(Error::unexpected, packets, "", hits).at(here)),
            false => Ok(hits),
        }
    }

    /// Demands that the rule has counted that many packets or more, waits up to two seconds for them, and gives what it has counted.
    ///
    /// # Errors
    ///
    /// [`is_timeout`](Error::is_timeout) if there are fewer by then, with what was counted, and the rule; otherwise as [`hits`](Self::hits).
    #[track_caller]
    pub fn expect_hits_at_least(&self, packets: u64) -> Result<Hits> {
        let here = Location::caller();
        self.wait_for(packets, " or more").at(here)
    }

    /// Demands that the rule has counted nothing. It looks once: first see something arrive that was sent after what must not be counted.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected) with what was counted, and the rule; otherwise as [`hits`](Self::hits).
    #[track_caller]
    pub fn expect_no_hits(&self) -> Result<()> {
        let here = Location::caller();
        match self.hits()? {
            Hits { packets: 0, .. } => Ok(()),
            hits => Err(self.counted(Error::unexpected, 0, "", hits).at(here)),
        }
    }

    fn wait_for(&self, packets: u64, more: &str) -> Result<Hits> {
        let deadline = Instant::now() + EVENTUALLY;
        loop {
            let hits = self.sum(hits_of)?;
            if hits.packets >= packets {
                return Ok(hits);
            }
            if Instant::now() >= deadline {
                return Err(self.counted(Error::timeout, packets, more, hits));
            }
            thread::sleep(PAUSE);
        }
    }

    fn counted(&self, error: impl FnOnce(String, String) -> Error, packets: u64, more: &str, hits: Hits) -> Error {
        let what = format!("see {packets} packets{more} meet the rule `{self}` of `{}`", self.netns());
        error(what, format!("it has counted {} packets ({} bytes)", hits.packets, hits.bytes))
    }

    fn sum(&self, of: impl Fn(&Netns, &Installed) -> Result<Hits>) -> Result<Hits> {
        self.rules().iter().try_fold(Hits::default(), |sum, rule| {
            let hits = of(self.netns(), rule)?;
            Ok(Hits { packets: sum.packets + hits.packets, bytes: sum.bytes + hits.bytes })
        })
    }
}

/// What a rule has counted.
fn hits_of(netns: &Netns, rule: &Installed) -> Result<Hits> {
    let name = rule.plan.chain_name();
    read(netns, rule, |socket| look::rule(socket, &name.table, &name.chain, rule.handle).map(|rule| rule.and_then(|rule| rule.hits())))
}

/// Zeroes what a rule has counted, and tells it.
fn zero_one(netns: &Netns, rule: &Installed) -> Result<Hits> {
    let name = rule.plan.chain_name();
    read(netns, rule, |socket| match zero_rule(socket, &name.table, &name.chain, rule.handle) {
        Err(refusal) if refusal.is(libc::ENOENT) => Ok(None),
        Err(refusal) if refusal.is(libc::EINVAL) => {
            let message = Some("zeroing a rule's counter needs Linux 6.2".to_owned());
            Err(Refusal { errno: libc::EOPNOTSUPP, message, ..refusal })
        }
        other => other.map(Some),
    })
}

fn read(netns: &Netns, rule: &Installed, of: impl FnOnce(&mut Socket) -> Result<Option<Hits>, Refusal>) -> Result<Hits> {
    let what = || format!("read the counter of rule `{}` of `{netns}`", rule.plan.text());
    let mut socket = netns.netfilter().doing(what)?;
    let table = look::table(&mut socket, &rule.plan.chain_name().table).doing(what)?;
    let counted = if table.is_some_and(|table| table.handle == rule.table) { of(&mut socket).doing(what)? } else { None };
    counted.ok_or_else(|| Error::new(what(), Refusal::gone("the rule is gone")).help("somebody else has removed it, or its chain or table"))
}
