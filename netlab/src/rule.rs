//! Policy rules: which table a packet's route is looked up in.

use std::fmt::{self, Display};
use std::panic::Location;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage, RulePortRange};
use netlink_packet_route::{IpProtocol, RouteNetlinkMessage};

use crate::cidr;
use crate::entry::Entry;
use crate::error::{At, Doing, Error, Result};
use crate::messages;
use crate::netns::Netns;

/// A policy rule in a namespace, which goes when it is dropped.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let router = netlab::Netns::new("router")?;
/// use netlab::{Route, Rule};
/// let _uplink = Route::default_via("192.0.2.1").table(100).install(&router)?;
/// let _guests = Rule::lookup(100).from("10.0.66.0/24").install(&router)?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the rule goes as soon as it is dropped: bind it, as in `let _rule = Rule::lookup(…).install(…)?;`, or `keep()` it"]
pub struct Rule {
    entry: Entry,
    priority: u32,
}

/// A policy rule, described; [`install`](Self::install) makes it true and reports a bad value.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: `install` it in a namespace"]
pub struct RuleBuilder {
    action: RuleAction,
    /// The table to look in, or the rule to go to.
    target: Option<u32>,
    from: Option<String>,
    to: Option<String>,
    ipv6: bool,
    invert: bool,
    priority: Option<u32>,
    iif: Option<String>,
    oif: Option<String>,
    mark: Option<u32>,
    mask: Option<u32>,
    protocol: Option<u8>,
    sport: Option<(u16, u16)>,
    dport: Option<(u16, u16)>,
    suppress_prefix_length: Option<u32>,
}

impl Rule {
    /// A rule that looks the route up in a table; 254 is `main`, 255 `local`, 253 `default`. Equals `ip rule add … lookup TABLE`.
    pub fn lookup(table: u32) -> RuleBuilder {
        RuleBuilder::new(RuleAction::ToTable, Some(table))
    }

    /// A rule that goes on with the rule of that priority, which must be higher than its own. Equals `ip rule add … goto PRIORITY`.
    pub fn goto(priority: u32) -> RuleBuilder {
        RuleBuilder::new(RuleAction::Goto, Some(priority))
    }

    /// A rule that drops silently; a local sender gets `EINVAL`. Equals `ip rule add … blackhole`.
    pub fn blackhole() -> RuleBuilder {
        RuleBuilder::new(RuleAction::Blackhole, None)
    }

    /// A rule that answers "network unreachable". Equals `ip rule add … unreachable`.
    pub fn unreachable() -> RuleBuilder {
        RuleBuilder::new(RuleAction::Unreachable, None)
    }

    /// A rule that answers "administratively prohibited"; a local sender gets `EACCES`. Equals `ip rule add … prohibit`.
    pub fn prohibit() -> RuleBuilder {
        RuleBuilder::new(RuleAction::Prohibit, None)
    }

    /// The priority: the one asked for, or the one that the kernel chose.
    pub fn priority(&self) -> u32 {
        self.priority
    }

    /// The namespace that has the rule.
    pub fn netns(&self) -> &Netns {
        self.entry.netns()
    }

    /// Removes the rule and reports. Equals `ip rule del …`.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; a rule that somebody else removed is no error.
    #[track_caller]
    pub fn close(self) -> Result<()> {
        self.entry.close()
    }

    /// Leaves the rule: it goes with its namespace.
    pub fn keep(self) {
        self.entry.keep();
    }
}

impl RuleBuilder {
    fn new(action: RuleAction, target: Option<u32>) -> Self {
        Self {
            action,
            target,
            from: None,
            to: None,
            ipv6: false,
            invert: false,
            priority: None,
            iif: None,
            oif: None,
            mark: None,
            mask: None,
            protocol: None,
            sport: None,
            dport: None,
            suppress_prefix_length: None,
        }
    }

    /// Matches packets from a network, such as `10.0.66.0/24`.
    pub fn from(mut self, network: impl Display) -> Self {
        self.from = Some(network.to_string());
        self
    }

    /// Matches packets to a network.
    pub fn to(mut self, network: impl Display) -> Self {
        self.to = Some(network.to_string());
        self
    }

    /// Makes it a rule for IPv6, where no network tells: a rule is for IPv4 otherwise. Equals `ip -6 rule`.
    pub fn ipv6(mut self) -> Self {
        self.ipv6 = true;
        self
    }

    /// Matches packets that came in by the interface of that name; `lo` means packets of the machine itself.
    ///
    /// As in iproute2, the interface need not be there yet.
    pub fn iif(mut self, name: impl Into<String>) -> Self {
        self.iif = Some(name.into());
        self
    }

    /// Matches packets from sockets that are bound to the interface of that name.
    pub fn oif(mut self, name: impl Into<String>) -> Self {
        self.oif = Some(name.into());
        self
    }

    /// Matches packets with that firewall mark.
    pub fn fwmark(mut self, mark: u32) -> Self {
        self.mark = Some(mark);
        self
    }

    /// Compares only these bits of the mark. Equals `fwmark MARK/MASK`.
    pub fn fwmask(mut self, mask: u32) -> Self {
        self.mask = Some(mask);
        self
    }

    /// Matches packets of an IP protocol, by its number: 6 for TCP, 17 for UDP.
    pub fn ipproto(mut self, protocol: u8) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Matches source ports from the first to the last.
    pub fn sport(mut self, first: u16, last: u16) -> Self {
        self.sport = Some((first, last));
        self
    }

    /// Matches destination ports from the first to the last.
    pub fn dport(mut self, first: u16, last: u16) -> Self {
        self.dport = Some((first, last));
        self
    }

    /// Ignores what the lookup found if its prefix is no longer than this; 0 ignores default routes.
    pub fn suppress_prefixlength(mut self, bits: u32) -> Self {
        self.suppress_prefix_length = Some(bits);
        self
    }

    /// Turns the match around: the rule is for all other packets. Equals `ip rule add not …`.
    #[expect(clippy::should_implement_trait, reason = "the word of ip-rule(8)")]
    pub fn not(mut self) -> Self {
        self.invert = true;
        self
    }

    /// Sets the place among the rules; the lowest comes first. The default is the kernel's, one before the first rule after `local`:
    /// 32765, then 32764, and so on.
    pub fn priority(mut self, priority: u32) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Adds the rule. Equals `ip rule add …`.
    ///
    /// # Errors
    ///
    /// A bad value ([`is_invalid_input`](Error::is_invalid_input)), or a rule that is there ([`is_exists`](Error::is_exists)).
    #[track_caller]
    pub fn install(self, netns: &Netns) -> Result<Rule> {
        self.add(netns).at(Location::caller())
    }

    /// Removes the first rule that matches all that was said, whoever made it. Equals `ip rule del …`.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if there is none.
    #[track_caller]
    pub fn delete(self, netns: &Netns) -> Result<()> {
        self.remove(netns).at(Location::caller())
    }

    fn add(self, netns: &Netns) -> Result<Rule> {
        let what = format!("rule `{self}` of `{netns}`");
        let message = self.message().map_err(|e| e.fact(format!("which is needed to add {what}")))?;
        // The echo tells which priority the kernel chose.
        let flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO;
        let answers = netns.request(RouteNetlinkMessage::NewRule(message.clone()), flags).doing(|| format!("add {what}"))?;
        let priority = self.priority.or_else(|| answers.iter().find_map(priority_of)).unwrap_or(0);
        let mut undo = message;
        if self.priority.is_none() {
            undo.attributes.push(RuleAttribute::Priority(priority));
        }
        Ok(Rule { entry: Entry::new(netns, what, RouteNetlinkMessage::DelRule(undo)), priority })
    }

    fn remove(self, netns: &Netns) -> Result<()> {
        let what = format!("delete rule `{self}` of `{netns}`");
        let message = self.message().map_err(|e| e.fact(format!("which is needed to {what}")))?;
        netns.request(RouteNetlinkMessage::DelRule(message), 0).map(drop).doing(|| what)
    }

    fn message(&self) -> Result<RuleMessage> {
        let (from, to) = (parse_network("from", self.from.as_deref())?, parse_network("to", self.to.as_deref())?);
        let mut families = [from, to].into_iter().flatten().map(|net| net.addr().is_ipv6());
        let ipv6 = families.next().unwrap_or(self.ipv6);
        if families.any(|other| other != ipv6) || (self.ipv6 && !ipv6) {
            return Err(Error::invalid("make one rule", "its networks are of different families"));
        }
        let mut message = RuleMessage::default();
        message.header.family = messages::family(messages::everything(ipv6).addr());
        message.header.action = self.action;
        message.header.flags = if self.invert { RuleFlags::Invert } else { RuleFlags::empty() };
        message.header.src_len = from.map_or(0, |net| net.prefix_len());
        message.header.dst_len = to.map_or(0, |net| net.prefix_len());
        let table = self.target.filter(|_| self.action == RuleAction::ToTable);
        message.header.table = table.and_then(|table| u8::try_from(table).ok()).unwrap_or(0);
        let range = |(first, last)| RulePortRange { start: first, end: last };
        let attributes = [
            from.filter(|net| net.prefix_len() > 0).map(|net| RuleAttribute::Source(net.addr())),
            to.filter(|net| net.prefix_len() > 0).map(|net| RuleAttribute::Destination(net.addr())),
            table.map(RuleAttribute::Table),
            self.target.filter(|_| self.action == RuleAction::Goto).map(RuleAttribute::Goto),
            self.priority.map(RuleAttribute::Priority),
            self.iif.clone().map(RuleAttribute::Iifname),
            self.oif.clone().map(RuleAttribute::Oifname),
            self.mark.map(RuleAttribute::FwMark),
            self.mask.map(RuleAttribute::FwMask),
            self.protocol.map(|protocol| RuleAttribute::IpProtocol(IpProtocol::from(i32::from(protocol)))),
            self.sport.map(range).map(RuleAttribute::SourcePortRange),
            self.dport.map(range).map(RuleAttribute::DestinationPortRange),
            self.suppress_prefix_length.map(RuleAttribute::SuppressPrefixLen),
            Some(RuleAttribute::Protocol(RouteProtocol::Boot)),
        ];
        message.attributes.extend(attributes.into_iter().flatten());
        Ok(message)
    }
}

/// The words of `ip rule add`.
impl Display for RuleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.invert { "not " } else { "" })?;
        write!(f, "from {}", self.from.as_deref().unwrap_or("all"))?;
        for (word, value) in [("to", &self.to), ("iif", &self.iif), ("oif", &self.oif)] {
            if let Some(value) = value {
                write!(f, " {word} {value}")?;
            }
        }
        if let Some(mark) = self.mark {
            write!(f, " fwmark {mark:#x}")?;
        }
        if let Some(priority) = self.priority {
            write!(f, " priority {priority}")?;
        }
        match (self.action, self.target) {
            (RuleAction::Goto, Some(priority)) => write!(f, " goto {priority}"),
            (_, Some(table)) => write!(f, " lookup {table}"),
            (RuleAction::Blackhole, None) => f.write_str(" blackhole"),
            (RuleAction::Unreachable, None) => f.write_str(" unreachable"),
            _ => f.write_str(" prohibit"),
        }
    }
}

fn parse_network(word: &str, text: Option<&str>) -> Result<Option<IpNet>> {
    let Some(text) = text else { return Ok(None) };
    let wrong = |why| Error::invalid(format!("read `{word} {text}`"), why);
    let net = cidr::parse(text).map_err(|_| wrong("expected a network, such as `10.0.66.0/24`".to_owned()))?;
    if net.trunc() != net {
        return Err(wrong(format!("it has bits beyond its prefix; the network is `{}`", net.trunc())));
    }
    Ok(Some(net))
}

fn priority_of(answer: &RouteNetlinkMessage) -> Option<u32> {
    let RouteNetlinkMessage::NewRule(rule) = answer else { return None };
    rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    })
}
