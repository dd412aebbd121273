//! What becomes of packets that no rule of a base chain decides.

use std::fmt;
use std::panic::Location;

use super::change::{self, ERESTART};
use super::draft::chain_name;
use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::nft::object::Chain;
use crate::nft::owned::ChainName;
use crate::nft::transaction::Transaction;
use crate::nft::{Family, Hits, look};
use crate::sys::Refusal;
use crate::sys::netlink::Socket;
use crate::teardown;

/// The policy of a base chain, which is what it was before when this is dropped.
///
/// Guards of one chain may be dropped in any order: the policy from before the first is back when the last has gone, and while several live,
/// the newest of them holds. A policy that somebody else has set meanwhile is theirs, and stays. A chain that netlab made for it goes, as for
/// a [`PacketRule`](crate::PacketRule).
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let router = netlab::Netns::new("router")?;
/// let _closed = netlab::Policy::drop(&router).forward().install()?;
/// # Ok(()) }
/// ```
#[must_use = "the old policy comes back as soon as this is dropped: bind it, as in `let _policy = Policy::drop(…).install()?;`, or `keep()` it"]
pub struct Policy {
    netns: Netns,
    chain: ChainName,
    /// Those of the table and the chain: others of the same names are not ours.
    handles: (u64, u64),
    accept: bool,
    layer: u64,
    armed: bool,
}

/// A [`Policy`], described; [`install`](Self::install) makes it true.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: `install` it"]
pub struct PolicyBuilder {
    netns: Netns,
    accept: bool,
    family: Family,
    table: String,
    chain: Option<String>,
}

impl Policy {
    /// Packets that no rule decides are dropped. Equals `iptables -P CHAIN DROP`.
    pub fn drop(netns: &Netns) -> PolicyBuilder {
        PolicyBuilder::new(netns, false)
    }

    /// Packets that no rule decides pass. Equals `iptables -P CHAIN ACCEPT`.
    pub fn accept(netns: &Netns) -> PolicyBuilder {
        PolicyBuilder::new(netns, true)
    }

    /// The namespace whose policy it is.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The packets that the policy has decided since the chain counts them, which it does from the first `Policy` on.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if somebody else removed the chain.
    #[track_caller]
    pub fn hits(&self) -> Result<Hits> {
        let here = Location::caller();
        self.count().at(here)
    }

    fn count(&self) -> Result<Hits> {
        let what = || format!("read the counter of the {self} in `{}`", self.netns);
        let mut socket = self.netns.netfilter().doing(what)?;
        let there = same_chain(&mut socket, &self.chain, self.handles).doing(what)?;
        let counted = there.and_then(|chain| chain.counter);
        counted.ok_or_else(|| Error::new(what(), Refusal::gone("the chain is gone")).help("somebody else has removed it, or its table"))
    }

    /// Sets that count to zero and gives what it was; packets between are lost to the count.
    ///
    /// # Errors
    ///
    /// As [`hits`](Self::hits).
    #[track_caller]
    pub fn zero(&self) -> Result<Hits> {
        let here = Location::caller();
        let hits = self.count().at(here)?;
        let mut transaction = Transaction::default();
        transaction.set_policy_hits(&self.chain.table, &self.chain.chain, Hits::default());
        let mut socket = self.netns.netfilter().doing(|| format!("zero the counter of the {self} in `{}`", self.netns)).at(here)?;
        transaction.commit(&mut socket).at(here)?;
        Ok(hits)
    }

    /// Brings the old policy back and reports.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; a chain that somebody else removed is no error.
    #[track_caller]
    pub fn close(mut self) -> Result<()> {
        let here = Location::caller();
        self.armed = false;
        self.restore().doing(|| self.restoring()).at(here)
    }

    /// Leaves the policy for good, also when older guards go.
    pub fn keep(mut self) {
        self.armed = false;
        let mut owned = self.netns.owned();
        owned.policies(&self.chain).keep(self.layer);
        owned.disown(&self.chain);
        owned.release(&self.chain);
    }

    fn restoring(&self) -> String {
        format!("bring back the policy of chain `{}` of `{}`", self.chain, self.netns)
    }

    fn restore(&self) -> Result<(), Refusal> {
        let before = self.netns.owned().policies(&self.chain).remove(self.layer);
        if let Some(before) = before {
            self.bring_back(before)?;
        }
        change::remove(&self.netns, &[], std::slice::from_ref(&self.chain))
    }

    /// Sets the old policy, if the present one still is ours.
    fn bring_back(&self, before: bool) -> Result<(), Refusal> {
        let mut socket = self.netns.netfilter()?;
        loop {
            let generation = look::generation(&mut socket)?;
            let there = same_chain(&mut socket, &self.chain, self.handles)?;
            if there.and_then(|chain| chain.base).is_none_or(|base| base.accept != self.accept || base.accept == before) {
                return Ok(());
            }
            let mut transaction = Transaction::default();
            transaction.set_policy(&self.chain.table, &self.chain.chain, before);
            match transaction.send(&mut socket, generation) {
                Err(refusal) if refusal.is(ERESTART) => {}
                other => return other.map(drop),
            }
        }
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        if self.armed
            && let Err(refusal) = self.restore()
        {
            teardown::failed(Error::new(self.restoring(), refusal));
        }
    }
}

/// Such as `policy drop of chain ip filter FORWARD`.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {} of chain {}", if self.accept { "accept" } else { "drop" }, self.chain)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({}: {self})", self.netns)
    }
}

impl PolicyBuilder {
    fn new(netns: &Netns, accept: bool) -> Self {
        Self { netns: netns.clone(), accept, family: Family::Ip, table: "filter".to_owned(), chain: None }
    }

    /// For packets that this machine forwards.
    pub fn forward(self) -> Self {
        self.chain("FORWARD")
    }

    /// For packets that are for this machine.
    pub fn input(self) -> Self {
        self.chain("INPUT")
    }

    /// For packets that this machine itself sends.
    pub fn output(self) -> Self {
        self.chain("OUTPUT")
    }

    /// For that base chain: one that iptables knows, or one that is there.
    pub fn chain(mut self, name: impl Into<String>) -> Self {
        self.chain = Some(name.into());
        self
    }

    /// For a chain of that table; `filter` is the default.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// For IPv6. Equals `ip6tables -P`.
    pub fn ipv6(self) -> Self {
        self.family(Family::Ip6)
    }

    /// For that family; IPv4 is the default.
    pub fn family(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    /// Sets the policy, and makes the chain count what it decides; makes the chain, if it is not there.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) if no chain was said or there is no such base chain; otherwise the kernel's refusal.
    #[track_caller]
    pub fn install(self) -> Result<Policy> {
        let here = Location::caller();
        self.set().at(here)
    }

    fn set(self) -> Result<Policy> {
        let Self { netns, accept, family, table, chain } = self;
        let policy = if accept { "accept" } else { "drop" };
        let Some(chain) = chain else {
            let error = Error::invalid(format!("set the policy {policy} in `{netns}`"), "it does not say of which chain");
            return Err(error.help("say `.forward()`, `.input()`, `.output()` or `.chain(\"NAME\")`"));
        };
        let chain = chain_name(family, &table, &chain);
        let (handles, layer) = put(&netns, &chain, accept).map_err(|error| error.fact(format!("to set the policy {policy}")))?;
        Ok(Policy { netns, chain, handles, accept, layer, armed: true })
    }
}

/// Sets the policy. Gives the handles of the table and the chain, and the number of the layer.
fn put(netns: &Netns, name: &ChainName, accept: bool) -> Result<((u64, u64), u64)> {
    let mut owned = netns.owned();
    let mut before = true;
    let made = change::change(netns, &mut owned, |owned, socket, transaction| {
        let what = || format!("set the policy of chain `{name}` of `{netns}`");
        change::need(netns, owned, socket, transaction, name.clone(), &mut Vec::new())?;
        let there = look::chain(socket, &name.table, &name.chain).doing(what)?;
        let counts = there.as_ref().is_some_and(|chain| chain.counter.is_some());
        before = match there.map(|chain| chain.base) {
            None => true, // it is being made, with the policy accept
            Some(Some(base)) => base.accept,
            Some(None) => return Err(Error::invalid(what(), "only a base chain has a policy, and this one is jumped to")),
        };
        transaction.set_policy(&name.table, &name.chain, accept);
        if !counts {
            transaction.set_policy_hits(&name.table, &name.chain, Hits::default());
        }
        Ok(())
    });
    change::own(&mut owned, &made.map_err(|refused| refused.error)?, true);
    owned.hold(name);
    let layer = owned.policies(name).push(Some(before));
    let what = || format!("look at chain `{name}` of `{netns}`");
    let mut socket = netns.netfilter().doing(what)?;
    let chain = look::chain(&mut socket, &name.table, &name.chain).doing(what)?;
    Ok(((owned.table(&name.table).unwrap_or(0), chain.map_or(0, |chain| chain.handle)), layer))
}

/// The chain, if it still is the one with these handles.
fn same_chain(socket: &mut Socket, name: &ChainName, (table, chain): (u64, u64)) -> Result<Option<Chain>, Refusal> {
    if look::table(socket, &name.table)?.is_none_or(|there| there.handle != table) {
        return Ok(None);
    }
    Ok(look::chain(socket, &name.table, &name.chain)?.filter(|there| there.handle == chain))
}
