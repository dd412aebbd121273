//! Rules that decide about packets.

use std::fmt::Display;

use super::draft::{self, Draft};
use super::plan::{RejectWith, Target};
use super::rule::{Filter, PacketRule};
use super::words::PacketRuleBuilder;
use crate::netns::Netns;

/// A rule that decides about packets, which goes when it is dropped.
///
/// It is in the table `filter` if nothing else is said, and must say its chain.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let router = netlab::Netns::new("router")?;
/// use netlab::{FilterRule, Policy};
/// let _closed = Policy::drop(&router).forward().install()?;
/// let _out = FilterRule::accept(&router).forward().on("lan0").out("wan0").install()?;
/// let _back = FilterRule::accept(&router).forward().state("established,related").install()?;
/// # Ok(()) }
/// ```
pub type FilterRule = PacketRule<Filter>;

/// A [`FilterRule`], described; [`install`](PacketRuleBuilder::install) makes it true and reports a word that makes no sense.
pub type FilterRuleBuilder = PacketRuleBuilder<Filter>;

fn rule(netns: &Netns, title: impl Into<String>, target: Option<Target>) -> FilterRuleBuilder {
    PacketRuleBuilder::new(Draft::new(netns, title, "filter", None, target))
}

fn spread<C: Into<String>>(netns: &Netns, random: bool, chains: impl IntoIterator<Item = C>) -> FilterRuleBuilder {
    rule(netns, "goto", Some(Target::GotoEach { random, chains: chains.into_iter().map(Into::into).collect() }))
}

impl PacketRule<Filter> {
    /// Lets packets pass; no later rule of this table's hook sees them. Equals `iptables -A … -j ACCEPT`.
    pub fn accept(netns: &Netns) -> FilterRuleBuilder {
        rule(netns, "accept", Some(Target::Accept))
    }

    /// Drops packets without a word; a local sender gets `EPERM`. Equals `iptables -A … -j DROP`.
    pub fn drop(netns: &Netns) -> FilterRuleBuilder {
        rule(netns, "drop", Some(Target::Drop))
    }

    /// Drops packets and tells the sender: ICMP port unreachable, if not [`with_code`](PacketRuleBuilder::with_code) or
    /// [`with_tcp_reset`](PacketRuleBuilder::with_tcp_reset) says otherwise. Equals `iptables -A … -j REJECT`.
    pub fn reject(netns: &Netns) -> FilterRuleBuilder {
        rule(netns, "reject", Some(Target::Reject(RejectWith::Port)))
    }

    /// Sends packets through another chain of the table and, if that decides nothing, back. Equals `iptables -A … -j CHAIN`.
    pub fn jump(netns: &Netns, chain: impl Into<String>) -> FilterRuleBuilder {
        let chain = chain.into();
        rule(netns, format!("jump {chain}"), Some(Target::Jump(chain)))
    }

    /// Sends packets through another chain of the table, not back. Equals `iptables -A … -g CHAIN`.
    pub fn goto(netns: &Netns, chain: impl Into<String>) -> FilterRuleBuilder {
        let chain = chain.into();
        rule(netns, format!("goto {chain}"), Some(Target::Goto(chain)))
    }

    /// Sends packets into several chains of the table in turn, beginning with the first, not back; in a chain of the table `nat` it is
    /// connections. The same from run to run. Equals `nft add rule … numgen inc mod 2 vmap { 0 : goto CHAIN, 1 : goto CHAIN }`.
    pub fn goto_each<C: Into<String>>(netns: &Netns, chains: impl IntoIterator<Item = C>) -> FilterRuleBuilder {
        spread(netns, false, chains)
    }

    /// Sends packets into several chains of the table by chance, not back; in a chain of the table `nat` it is connections.
    ///
    /// Equals `nft add rule … numgen random mod 2 vmap { 0 : goto CHAIN, 1 : goto CHAIN }`.
    pub fn goto_any<C: Into<String>>(netns: &Netns, chains: impl IntoIterator<Item = C>) -> FilterRuleBuilder {
        spread(netns, true, chains)
    }

    /// Sends packets where a [`VerdictMap`](crate::VerdictMap) of the table says; those of which it says nothing meet the next rule.
    ///
    /// Equals `nft add rule … ip daddr . meta l4proto . th dport vmap @MAP`.
    pub fn vmap(netns: &Netns, map: impl Into<String>) -> FilterRuleBuilder {
        let map = map.into();
        rule(netns, format!("vmap @{map}"), Some(Target::Vmap(map)))
    }

    /// Ends the chain for packets: they go on behind the jump that led to it, or meet the policy. Equals `iptables -A … -j RETURN`.
    pub fn return_(netns: &Netns) -> FilterRuleBuilder {
        rule(netns, "return", Some(Target::Return))
    }

    /// Counts packets and decides nothing. Equals `iptables -A …` without `-j`.
    pub fn count(netns: &Netns) -> FilterRuleBuilder {
        rule(netns, "counting", None)
    }

    /// Gives packets a mark, or sets its bits under a mask: `0x1`, `0x4000/0x4000`. Equals `iptables -A … -j MARK --set-xmark MARK`.
    ///
    /// The place for it is the table `mangle`.
    pub fn mark(netns: &Netns, mark: impl Display) -> FilterRuleBuilder {
        let text = mark.to_string();
        let mut builder = rule(netns, format!("mark {text}"), None);
        match draft::mark(&text) {
            Ok((value, mask)) => builder.draft.target = Some(Target::Mark { value, mask }),
            Err(why) => builder.draft.wrong(format!("mark {text}"), why),
        }
        builder
    }

    /// Sends copies of packets to the listeners of an nflog group. Equals `iptables -A … -j NFLOG --nflog-group GROUP`.
    ///
    /// The kernel's own log stays silent about namespaces (`net.netfilter.nf_log_all_netns`), so that there is no `LOG`.
    pub fn log(netns: &Netns, group: u16) -> FilterRuleBuilder {
        rule(netns, "log", Some(Target::Log { group, prefix: None, bytes: None }))
    }
}

impl PacketRuleBuilder<Filter> {
    /// For packets that this machine forwards. Equals `-A FORWARD`.
    pub fn forward(self) -> Self {
        self.chain("FORWARD")
    }

    /// For packets that are for this machine. Equals `-A INPUT`.
    pub fn input(self) -> Self {
        self.chain("INPUT")
    }

    /// For packets that this machine itself sends. Equals `-A OUTPUT`.
    pub fn output(self) -> Self {
        self.chain("OUTPUT")
    }

    /// For packets that come in, before they are routed. Equals `-A PREROUTING`; of the tables nat, mangle and raw.
    pub fn prerouting(self) -> Self {
        self.chain("PREROUTING")
    }

    /// For packets that leave, after they were routed. Equals `-A POSTROUTING`; of the tables nat and mangle.
    pub fn postrouting(self) -> Self {
        self.chain("POSTROUTING")
    }

    /// Rejects TCP with a reset, as a closed port does; for a rule that demands TCP. Equals `--reject-with tcp-reset`.
    pub fn with_tcp_reset(self) -> Self {
        self.reject_with(RejectWith::TcpReset)
    }

    /// Rejects with that code of ICMP's "destination unreachable", such as 13 (administratively prohibited; 1 in ICMPv6).
    pub fn with_code(self, code: u8) -> Self {
        self.reject_with(RejectWith::Code(code))
    }

    fn reject_with(mut self, with: RejectWith) -> Self {
        match &mut self.draft.target {
            Some(Target::Reject(known)) => *known = with,
            _ => self.draft.wrong("what a sender is told", "only a rule that rejects tells the sender something"),
        }
        self
    }
}
