//! Sets of addresses as fixtures: what rules ask for, and what changes while the rules stay.

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::panic::Location;

use super::change;
use super::lower::address_set;
use super::plan::Match;
use super::words::PacketRuleBuilder;
use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::nft::Family;
use crate::nft::family::TableName;
use crate::nft::memories::SetName;
use crate::nft::object::{Element, Set};
use crate::nft::transaction::Transaction;
use crate::sys::Refusal;
use crate::teardown;

/// A set of addresses of a namespace's packet filter, which goes when it is dropped.
///
/// Rules of its table ask for what is in it: [`from_set`](PacketRuleBuilder::from_set), [`addressed_to_set`](PacketRuleBuilder::addressed_to_set),
/// or `-m set --match-set NAME src` in a line of iptables. [`add`](Self::add) and [`remove`](Self::remove) take effect with the next packet, and
/// the rules and what they have counted stay.
///
/// It stays as long as rules of live fixtures ask for it, and goes with the last of them; it stays for good if rules of others do. The same holds
/// for its table, if netlab made that.
///
/// It is a set of nf_tables, of one table: the kernel's ipset, which the program `ipset` makes for a whole namespace, is another thing.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let node = netlab::Netns::new("node")?;
/// use netlab::{AddressSet, FilterRule};
/// let clients = AddressSet::new(&node, "filter", "clients")?;
/// let _named = FilterRule::accept(&node).forward().addressed_to("10.244.1.2").from_set(&clients).install()?;
/// let _rest = FilterRule::drop(&node).forward().addressed_to("10.244.1.2").install()?;
/// clients.add("10.244.1.4")?; // reaches 10.244.1.2 from now on
/// clients.remove("10.244.1.4")?; // and no more
/// # Ok(()) }
/// ```
#[must_use = "the set goes as soon as it is dropped: bind it, as in `let clients = AddressSet::new(…)?;`, or `keep()` it"]
pub struct AddressSet {
    netns: Netns,
    name: SetName,
    armed: bool,
}

impl AddressSet {
    /// Makes an empty set of IPv4 addresses, and its table if it is not there. Equals `nft add set ip TABLE NAME '{ type ipv4_addr; }'`.
    ///
    /// # Errors
    ///
    /// [`is_exists`](Error::is_exists) if the table has a set of that name; otherwise the kernel's refusal.
    #[track_caller]
    pub fn new(netns: &Netns, table: &str, name: &str) -> Result<Self> {
        Self::create(netns, Family::Ip, table, name).at(Location::caller())
    }

    /// Makes an empty set of IPv6 addresses. Equals `nft add set ip6 TABLE NAME '{ type ipv6_addr; }'`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn ipv6(netns: &Netns, table: &str, name: &str) -> Result<Self> {
        Self::create(netns, Family::Ip6, table, name).at(Location::caller())
    }

    fn create(netns: &Netns, family: Family, table: &str, name: &str) -> Result<Self> {
        let name = SetName { table: TableName::new(family, table), set: name.to_owned() };
        let what = format!("make set `{} {}` of `{netns}`", name.table, name.set);
        change::create_set(netns, &name, &address_set(family, &name.set), &what)?;
        Ok(Self { netns: netns.clone(), name, armed: true })
    }

    /// Puts an address into the set; one that is in it already stays. Equals `nft add element FAMILY TABLE NAME { ADDRESS }`.
    ///
    /// Connections that rules of the table `nat` have decided go on as they are: those rules see the first packet of each.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) for what is no address of the set's family, such as a net;
    /// [`is_not_found`](Error::is_not_found) if somebody else has removed the set.
    #[track_caller]
    pub fn add(&self, address: impl Display) -> Result<()> {
        let here = Location::caller();
        let put = |transaction: &mut Transaction, set: &Set, element| {
            transaction.add_elements(&self.name.table, set, &[element]);
        };
        self.change("add", "to", &address.to_string(), put).at(here)
    }

    /// Takes an address out of the set. Equals `nft delete element FAMILY TABLE NAME { ADDRESS }`.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add); and [`is_not_found`](Error::is_not_found) if the address is not in it.
    #[track_caller]
    pub fn remove(&self, address: impl Display) -> Result<()> {
        let here = Location::caller();
        let take = |transaction: &mut Transaction, set: &Set, element| {
            transaction.delete_elements(&self.name.table, set, &[element]);
        };
        self.change("remove", "from", &address.to_string(), take).at(here)
    }

    fn change(&self, verb: &str, preposition: &str, address: &str, step: impl FnOnce(&mut Transaction, &Set, Element)) -> Result<()> {
        let what = || format!("{verb} `{address}` {preposition} set `{self}` of `{}`", self.netns);
        let key = self.key(address).map_err(|why| Error::invalid(what(), why))?;
        let mut transaction = Transaction::default();
        step(&mut transaction, &address_set(self.family(), &self.name.set), Element { key: Some(key), ..Element::default() });
        let mut socket = self.netns.netfilter().doing(what)?;
        transaction.send(&mut socket, None).doing(what).map(drop)
    }

    /// The address as the kernel has it.
    fn key(&self, address: &str) -> Result<Vec<u8>, String> {
        match (address.parse(), self.family()) {
            (Ok(IpAddr::V4(address)), Family::Ip) => Ok(address.octets().into()),
            (Ok(IpAddr::V6(address)), Family::Ip6) => Ok(address.octets().into()),
            (_, Family::Ip6) => Err("it is no IPv6 address, such as `fd00::1`".to_owned()),
            _ => Err("it is no IPv4 address, such as `10.0.0.1`".to_owned()),
        }
    }

    /// The namespace whose set it is.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The address family of its table and of its addresses.
    pub fn family(&self) -> Family {
        self.name.table.family
    }

    /// The name of its table.
    pub fn table(&self) -> &str {
        &self.name.table.name
    }

    /// The set's name.
    pub fn name(&self) -> &str {
        &self.name.set
    }

    /// Removes the set, unless it is needed still, and reports.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; a set that is needed still, or that somebody else removed, is no error.
    #[track_caller]
    pub fn close(mut self) -> Result<()> {
        let here = Location::caller();
        self.armed = false;
        self.give_up().doing(|| self.removal()).at(here)
    }

    /// Leaves the set for good: it goes with its namespace.
    pub fn keep(mut self) {
        self.armed = false;
        let mut owned = self.netns.owned();
        owned.memories.disown(&self.name);
        owned.memories.release(&self.name);
    }

    fn removal(&self) -> String {
        format!("remove set `{self}` of `{}`", self.netns)
    }

    fn give_up(&self) -> Result<(), Refusal> {
        self.netns.owned().memories.release(&self.name);
        change::remove(&self.netns, &[], &[])
    }
}

impl Drop for AddressSet {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        if self.armed
            && let Err(refusal) = self.give_up()
        {
            teardown::failed(Error::new(self.removal(), refusal));
        }
    }
}

/// Such as `ip filter clients`.
impl fmt::Display for AddressSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name.table, self.name.set)
    }
}

impl fmt::Debug for AddressSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddressSet({}: {self})", self.netns)
    }
}

impl<K> PacketRuleBuilder<K> {
    /// The packet's source is in that set, which is of the rule's table. Equals `-m set --match-set NAME src`, `ip saddr @NAME`.
    pub fn from_set(self, set: &AddressSet) -> Self {
        self.in_set(false, set, true)
    }

    /// The contrary of [`from_set`](Self::from_set).
    pub fn not_from_set(self, set: &AddressSet) -> Self {
        self.in_set(true, set, true)
    }

    /// The packet's destination is in that set, which is of the rule's table. Equals `-m set --match-set NAME dst`, `ip daddr @NAME`.
    pub fn addressed_to_set(self, set: &AddressSet) -> Self {
        self.in_set(false, set, false)
    }

    /// The contrary of [`addressed_to_set`](Self::addressed_to_set).
    pub fn not_addressed_to_set(self, set: &AddressSet) -> Self {
        self.in_set(true, set, false)
    }

    fn in_set(mut self, not: bool, set: &AddressSet, source: bool) -> Self {
        if !set.netns.is_same(&self.draft.netns) {
            self.draft.wrong(format!("set {set}"), format!("it is of namespace `{}`", set.netns));
        }
        self.draft.family(set.family());
        self.draft.test(not, Match::InSet { name: set.name.set.clone(), source });
        self
    }
}
