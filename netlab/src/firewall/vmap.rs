//! Verdict maps: one look-up that tells the chain for an address, a protocol and a port.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::net::IpAddr;
use std::panic::Location;

use super::change;
use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::nft::data::Verdict;
use crate::nft::family::TableName;
use crate::nft::lower::set::service_map;
use crate::nft::matches::protocol_number;
use crate::nft::memories::SetName;
use crate::nft::object::Set;
use crate::nft::owned::ChainName;
use crate::nft::statement::{Gives, Item, Items};
use crate::nft::{Family, transaction::Transaction};
use crate::sys::Refusal;
use crate::teardown;

/// What a map gives verdicts by: the bytes of address, protocol and port.
type Fields = [Vec<u8>; 3];

/// A verdict map of a namespace's packet filter, which goes when it is dropped: by a packet's destination, protocol and port it tells the
/// chain in which the packet goes on.
///
/// A rule of the table asks it: [`FilterRule::vmap`](crate::FilterRule::vmap). However many elements it has, that is one look-up; and elements
/// come and go while the rules stay. So kube-proxy has its services in nftables mode. The map stays as long as rules of live fixtures ask it,
/// and the chains stay as long as it leads to them.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let node = netlab::Netns::new("node")?;
/// use netlab::{FilterRule, NatRule, RuleChain, VerdictMap, nft::Family};
/// let services = RuleChain::base(&node, Family::Ip, "kube-proxy", "services").kind("nat").hook("prerouting").priority("dstnat").install()?;
/// let web = RuleChain::of(&node, Family::Ip, "kube-proxy", "web")?;
/// let _pod = NatRule::dnat(&node).in_chain(&web).protocol("tcp").to("10.244.1.2:8080").install()?;
/// let mut map = VerdictMap::new(&node, Family::Ip, "kube-proxy", "service-ips")?;
/// map.goto("10.96.0.10", "tcp", 80, "web")?;
/// let _asked = FilterRule::vmap(&node, "service-ips").in_chain(&services).install()?;
/// # Ok(()) }
/// ```
#[must_use = "the map goes as soon as it is dropped: bind it, as in `let map = VerdictMap::new(…)?;`, or `keep()` it"]
pub struct VerdictMap {
    netns: Netns,
    name: SetName,
    leads_to: BTreeMap<Fields, ChainName>,
    armed: bool,
}

impl VerdictMap {
    /// Makes a map without elements, in a table of IPv4 or IPv6.
    ///
    /// Equals `nft add map ip TABLE NAME { type ipv4_addr . inet_proto . inet_service : verdict; }`; the table is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`is_exists`](Error::is_exists) if the table has a set or map of that name; [`is_invalid_input`](Error::is_invalid_input) for another
    /// family.
    #[track_caller]
    pub fn new(netns: &Netns, family: Family, table: &str, name: &str) -> Result<Self> {
        let here = Location::caller();
        let name = SetName { table: TableName::new(family, table), set: name.to_owned() };
        let map = Self { netns: netns.clone(), name, leads_to: BTreeMap::new(), armed: false };
        map.create().at(here)
    }

    fn create(mut self) -> Result<Self> {
        let what = format!("make {self}");
        let set = self.with_elements(Vec::new()).map_err(|why| Error::invalid(what.clone(), why))?;
        change::create_set(&self.netns, &self.name, &set, &what)?;
        self.armed = true;
        Ok(self)
    }

    /// Leads packets to that address, by that protocol (`tcp`, `udp`, `sctp`), to that port, into a chain of the table, from now on.
    ///
    /// Equals `nft add element ip TABLE NAME { ADDRESS . PROTOCOL . PORT : goto CHAIN }`. Connections that are translated already stay as they
    /// are.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if there is no such chain, [`is_invalid_input`](Error::is_invalid_input) for a word that makes no
    /// sense, or if the kernel refuses, as it does if the element leads elsewhere already.
    #[track_caller]
    pub fn goto(&mut self, address: impl Display, protocol: &str, port: u16, chain: impl Into<String>) -> Result<()> {
        let here = Location::caller();
        let what = format!("lead {address} {protocol} {port} to a chain by {self}");
        self.add(&what, &address.to_string(), protocol, port, chain.into()).at(here)
    }

    fn add(&mut self, what: &str, address: &str, protocol: &str, port: u16, chain: String) -> Result<()> {
        let fields = self.fields(address, protocol, port).map_err(|why| Error::invalid(what, why))?;
        let chain = ChainName::new(self.name.table.clone(), chain);
        let set = self.with_elements(vec![(&fields, Verdict::Goto(chain.chain.clone()))]).map_err(|why| Error::invalid(what, why))?;
        let added = self.change(|transaction, table| {
            transaction.add_elements(table, &set, &set.elements);
        });
        added.map_err(|e| match e.errno() {
            Some(libc::ENOENT) => e.help(format!("make chain `{chain}` first, with `RuleChain::of`")),
            _ => e,
        })?;
        if !self.leads_to.contains_key(&fields) {
            self.netns.owned().hold(&chain);
            self.leads_to.insert(fields, chain);
        }
        Ok(())
    }

    /// Leads those packets nowhere any more. Equals `nft delete element ip TABLE NAME { ADDRESS . PROTOCOL . PORT }`.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if there is no such element, or if the kernel refuses.
    #[track_caller]
    pub fn remove(&mut self, address: impl Display, protocol: &str, port: u16) -> Result<()> {
        let here = Location::caller();
        let what = format!("remove {address} {protocol} {port} from {self}");
        self.delete(&what, &address.to_string(), protocol, port).at(here)
    }

    fn delete(&mut self, what: &str, address: &str, protocol: &str, port: u16) -> Result<()> {
        let fields = self.fields(address, protocol, port).map_err(|why| Error::invalid(what, why))?;
        // A verdict is told with the key, and not looked at.
        let set = self.with_elements(vec![(&fields, Verdict::Return)]).map_err(|why| Error::invalid(what, why))?;
        self.change(|transaction, table| {
            transaction.delete_elements(table, &set, &set.elements);
        })?;
        let chain = self.leads_to.remove(&fields);
        change::remove(&self.netns, &[], chain.as_slice()).doing(|| what.to_owned())
    }

    fn change(&self, fill: impl Fn(&mut Transaction, &TableName)) -> Result<()> {
        let mut owned = self.netns.owned();
        let made = change::change(&self.netns, &mut owned, |_, _, transaction| {
            fill(transaction, &self.name.table);
            Ok(())
        });
        made.map(drop).map_err(|refused| refused.error)
    }

    /// The map as the kernel knows it, with these elements.
    fn with_elements(&self, elements: Vec<(&Fields, Verdict)>) -> Result<Set, String> {
        let span = |field: &Vec<u8>| (field.clone(), None);
        let item = |(fields, verdict): (&Fields, Verdict)| Item {
            key: fields.iter().map(span).collect(),
            gives: Some(Gives::Verdict(verdict)),
            ..Item::default()
        };
        let items = Items { items: elements.into_iter().map(item).collect(), data_types: Vec::new() };
        service_map(self.name.table.family, &self.name.set, &items)
    }

    fn fields(&self, address: &str, protocol: &str, port: u16) -> Result<Fields, String> {
        let family = self.name.table.family;
        let parsed: IpAddr = address.parse().map_err(|_| format!("`{address}` is no address"))?;
        let bytes = match (family, parsed) {
            (Family::Ip, IpAddr::V4(address)) => address.octets().to_vec(),
            (Family::Ip6, IpAddr::V6(address)) => address.octets().to_vec(),
            _ => return Err(format!("{address} is no address of the map's family, {family}")),
        };
        let number = protocol_number(protocol).ok_or_else(|| format!("`{protocol}` is no protocol such as `tcp`"))?;
        Ok([bytes, vec![number], port.to_be_bytes().to_vec()])
    }

    /// The namespace whose map it is.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The map's name.
    pub fn name(&self) -> &str {
        &self.name.set
    }

    /// Removes the map, unless a rule asks it still, and reports.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; a map that is needed still, or that somebody else removed, is no error.
    #[track_caller]
    pub fn close(mut self) -> Result<()> {
        let here = Location::caller();
        self.undo().doing(|| format!("remove {self}")).at(here)
    }

    /// Leaves the map and the chains that it leads to for good: they go with their namespace.
    pub fn keep(mut self) {
        self.armed = false;
        let mut owned = self.netns.owned();
        owned.memories.disown(&self.name);
        owned.memories.release(&self.name);
        for chain in self.leads_to.values() {
            owned.disown(chain);
            owned.release(chain);
        }
    }

    fn undo(&mut self) -> Result<(), Refusal> {
        if !std::mem::take(&mut self.armed) {
            return Ok(());
        }
        self.netns.owned().memories.release(&self.name);
        let chains: Vec<_> = std::mem::take(&mut self.leads_to).into_values().collect();
        change::remove(&self.netns, &[], &chains)
    }
}

impl Drop for VerdictMap {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        if let Err(refusal) = self.undo() {
            teardown::failed(Error::new(format!("remove {self}"), refusal));
        }
    }
}

/// Such as ``map `ip kube-proxy service-ips` of `node` ``.
impl fmt::Display for VerdictMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "map `{} {}` of `{}`", self.name.table, self.name.set, self.netns)
    }
}

impl fmt::Debug for VerdictMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerdictMap({self})")
    }
}
