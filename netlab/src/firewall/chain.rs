//! Chains as fixtures: those that rules jump to, and base chains with a hook and a priority of their own.

use std::fmt;
use std::panic::Location;

use super::change;
use super::draft::chain_name;
use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::nft::Family;
use crate::nft::object::{Base, Chain, Hits};
use crate::nft::owned::ChainName;
use crate::teardown;

/// A chain of a namespace's packet filter, which goes when it is dropped.
///
/// It stays as long as rules of live fixtures are in it or lead to it, and goes with the last of them; it stays for good if rules of others are
/// in it or lead to it. The same holds for its table, if netlab made that.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let host = netlab::Netns::new("host")?;
/// use netlab::{NatRule, RuleChain};
/// let service = RuleChain::new(&host, "nat", "KUBE-SVC-WEB")?;
/// let _to = NatRule::jump(&host, "KUBE-SVC-WEB").prerouting().addressed_to("10.96.0.1").tcp(80).install()?;
/// let _pod = NatRule::dnat(&host).in_chain(&service).tcp(80).to("10.244.1.2:8080").install()?;
/// # Ok(()) }
/// ```
#[must_use = "the chain goes as soon as it is dropped: bind it, as in `let _chain = RuleChain::new(…)?;`, or `keep()` it"]
pub struct RuleChain {
    netns: Netns,
    name: ChainName,
    armed: bool,
}

/// A base chain, described; [`install`](Self::install) makes it and reports a word that makes no sense.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: `install` it"]
pub struct RuleChainBuilder {
    netns: Netns,
    name: ChainName,
    kind: String,
    hook: Option<String>,
    priority: String,
    accept: bool,
    devices: Vec<String>,
}

impl RuleChain {
    /// Makes a chain that rules of the same table can jump to, in a table of IPv4. Equals `iptables -t TABLE -N NAME`.
    ///
    /// # Errors
    ///
    /// [`is_exists`](Error::is_exists) if the table has a chain of that name.
    #[track_caller]
    pub fn new(netns: &Netns, table: &str, name: &str) -> Result<Self> {
        let here = Location::caller();
        Self::create(netns, chain_name(Family::Ip, table, name), None).at(here)
    }

    /// Makes such a chain in a table of that family. Equals `nft add chain FAMILY TABLE NAME`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn of(netns: &Netns, family: Family, table: &str, name: &str) -> Result<Self> {
        let here = Location::caller();
        Self::create(netns, chain_name(family, table, name), None).at(here)
    }

    /// A chain that packets meet at a hook. Equals `nft add chain FAMILY TABLE NAME { type …; hook …; priority …; }`.
    ///
    /// iptables' own base chains are made by the rules that need them.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let host = netlab::Netns::new("host")?;
    /// use netlab::{FilterRule, RuleChain, nft::Family};
    /// let early = RuleChain::base(&host, Family::Netdev, "filter", "early").hook("ingress").device("eth0").install()?;
    /// let _deaf = FilterRule::drop(&host).in_chain(&early).udp(7000).install()?;
    /// # Ok(()) }
    /// ```
    pub fn base(netns: &Netns, family: Family, table: &str, name: &str) -> RuleChainBuilder {
        RuleChainBuilder {
            netns: netns.clone(),
            name: chain_name(family, table, name),
            kind: "filter".to_owned(),
            hook: None,
            priority: "filter".to_owned(),
            accept: true,
            devices: Vec::new(),
        }
    }

    fn create(netns: &Netns, name: ChainName, base: Option<Base>) -> Result<Self> {
        let counter = base.as_ref().map(|_| Hits::default());
        let chain = Chain { name: name.chain.clone(), base, counter, ..Chain::default() };
        change::create_chain(netns, &name.table, &chain)?;
        Ok(Self { netns: netns.clone(), name, armed: true })
    }

    /// The namespace whose chain it is.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The address family of its table.
    pub fn family(&self) -> Family {
        self.name.table.family
    }

    /// The name of its table.
    pub fn table(&self) -> &str {
        &self.name.table.name
    }

    /// The chain's name.
    pub fn name(&self) -> &str {
        &self.name.chain
    }

    /// Removes the chain, unless it is needed still, and reports.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; a chain that is needed still, or that somebody else removed, is no error.
    #[track_caller]
    pub fn close(mut self) -> Result<()> {
        let here = Location::caller();
        self.armed = false;
        self.remove().doing(|| self.removal()).at(here)
    }

    /// Leaves the chain for good: it goes with its namespace.
    pub fn keep(mut self) {
        self.armed = false;
        let mut owned = self.netns.owned();
        owned.disown(&self.name);
        owned.release(&self.name);
    }

    fn removal(&self) -> String {
        format!("remove chain `{}` of `{}`", self.name, self.netns)
    }

    fn remove(&self) -> Result<(), crate::sys::Refusal> {
        change::remove(&self.netns, &[], std::slice::from_ref(&self.name))
    }
}

impl Drop for RuleChain {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        if self.armed
            && let Err(refusal) = self.remove()
        {
            teardown::failed(Error::new(self.removal(), refusal));
        }
    }
}

/// Such as `ip nat KUBE-SVC-WEB`.
impl fmt::Display for RuleChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl fmt::Debug for RuleChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuleChain({}: {})", self.netns, self.name)
    }
}

impl RuleChainBuilder {
    /// Says what the chain may do: `filter`, the default, `nat` or `route`.
    pub fn kind(mut self, kind: &str) -> Self {
        self.kind = kind.to_owned();
        self
    }

    /// Says where packets meet it: `prerouting`, `input`, `forward`, `output`, `postrouting`; `ingress` and `egress` for a device.
    pub fn hook(mut self, hook: &str) -> Self {
        self.hook = Some(hook.to_owned());
        self
    }

    /// Says when packets meet it, the lowest first: a name of the family (`raw`, `mangle`, `dstnat`, `filter`, `security`, `srcnat`, for
    /// bridges `out`), with a number behind it if wanted (`filter - 10`), or a number. The default is `filter`.
    pub fn priority(mut self, priority: impl fmt::Display) -> Self {
        self.priority = priority.to_string();
        self
    }

    /// Packets that no rule decides are dropped.
    pub fn policy_drop(mut self) -> Self {
        self.accept = false;
        self
    }

    /// Names a device whose packets it sees; for the hooks `ingress` and `egress`, which need one or several.
    pub fn device(mut self, name: &str) -> Self {
        self.devices.push(name.to_owned());
        self
    }

    /// Makes the chain, and its table if it is not there.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) for a word that makes no sense; [`is_exists`](Error::is_exists) if the table has a chain
    /// of that name; otherwise the kernel's refusal.
    #[track_caller]
    pub fn install(self) -> Result<RuleChain> {
        let here = Location::caller();
        self.create().at(here)
    }

    fn create(self) -> Result<RuleChain> {
        let base = self.described().map_err(|why| Error::invalid(format!("make chain `{}` of `{}`", self.name, self.netns), why))?;
        RuleChain::create(&self.netns, self.name, Some(base))
    }

    fn described(&self) -> Result<Base, String> {
        let family = self.name.table.family;
        let hook = self.hook.as_deref().ok_or("it does not say at which hook")?;
        let number = family.hook_number(hook).ok_or_else(|| format!("the family {family} has no hook `{hook}`"))?;
        let hook = family.hook_name(number).ok_or_else(|| format!("the family {family} has no hook `{hook}`"))?;
        if !["filter", "nat", "route"].contains(&self.kind.as_str()) {
            return Err(format!("`{}` is no type of chain: there is filter, nat and route", self.kind));
        }
        if matches!(hook, "ingress" | "egress") == self.devices.is_empty() {
            return Err(format!("the hook {hook} {}", if self.devices.is_empty() { "needs a device" } else { "is of no device" }));
        }
        let priority = priority(family, &self.priority)?;
        Ok(Base { kind: self.kind.clone(), hook, priority, devices: self.devices.clone(), accept: self.accept })
    }
}

/// `filter`, `filter - 10`, `-150`.
fn priority(family: Family, text: &str) -> Result<i32, String> {
    let wrong =
        || format!("`{text}` is no priority of the family {family}: expected a name, a number, or a name and a number (`filter - 10`)");
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let (name, offset) = match text.find(['+', '-']) {
        Some(sign) => (&text[..sign], text[sign..].replace(' ', "").parse::<i32>().map_err(|_| wrong())?),
        None => (text, 0),
    };
    family.priority(name.trim()).and_then(|number| number.checked_add(offset)).ok_or_else(wrong)
}
