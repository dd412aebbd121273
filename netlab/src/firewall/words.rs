//! The words that describe a rule, of either kind.

use std::fmt::Display;
use std::marker::PhantomData;
use std::panic::Location;

use super::chain::RuleChain;
use super::draft::{self, Draft, Spot, TCP, UDP};
use super::plan::Match;
use super::rule::PacketRule;
use crate::cidr;
use crate::error::{At, Result};
use crate::nft::Family;
use crate::nft::matches;

/// A rule of the packet filter, described; [`install`](Self::install) makes it true and reports a word that makes no sense.
///
/// A packet must pass all tests that are said. Tests and their contraries take the same values.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: `install` it"]
pub struct PacketRuleBuilder<K> {
    pub(crate) draft: Draft,
    kind: PhantomData<K>,
}

/// A test and its contrary.
macro_rules! tests {
    ($($(#[$doc:meta])* $name:ident, $not:ident($argument:ident: $type:ty) $word:literal => $of:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name(mut self, $argument: $type) -> Self {
            let word = || draft::quoted(concat!(".", stringify!($name)), &$argument);
            self.draft.read(false, word, $of);
            self
        }

        #[doc = concat!("The contrary of [`", stringify!($name), "`](Self::", stringify!($name), "). Equals `! ", $word, "`.")]
        pub fn $not(mut self, $argument: $type) -> Self {
            let word = || draft::quoted(concat!(".", stringify!($not)), &$argument);
            self.draft.read(true, word, $of);
            self
        }
    )* };
}

impl<K> PacketRuleBuilder<K> {
    pub(crate) fn new(draft: Draft) -> Self {
        Self { draft, kind: PhantomData }
    }

    /// Puts the rule into the namespace, with the table and base chain that it needs, if they are not there.
    ///
    /// They are those that iptables-nft uses (table `ip filter`, chain `FORWARD`, …), so that rules of several tools are in one
    /// order. Every rule has a counter. `nft list ruleset` lists every rule; `iptables -S` those that iptables could have written, and calls a
    /// table with others, such as nf_tables' own translations, incompatible. Its `-A`, `-I` and `-D` work there all the same.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](crate::Error::is_invalid_input) for a word that makes no sense; otherwise the kernel's refusal, with the rule's
    /// text. Nothing is left behind then.
    #[track_caller]
    pub fn install(self) -> Result<PacketRule<K>> {
        let here = Location::caller();
        let draft = self.draft;
        let orders = draft.orders().at(here)?;
        PacketRule::install(&draft.netns, &orders, draft.keep_connections).at(here)
    }

    tests! {
        /// The packet came in by that interface; a `*` (or iptables' `+`) at the end stands for any rest. Equals `-i NAME`.
        ///
        /// Not known, and refused, in OUTPUT and POSTROUTING.
        on, not_on(name: &str) "-i NAME" => Ok(Match::In(draft::interface(name)));

        /// The packet leaves by that interface; a `*` (or iptables' `+`) at the end stands for any rest. Equals `-o NAME`.
        ///
        /// Not known, and refused, in PREROUTING and INPUT.
        out, not_out(name: &str) "-o NAME" => Ok(Match::Out(draft::interface(name)));

        /// The packet's source is that address (`10.0.0.1`), net (`10.0.0.0/24`) or range (`10.0.0.1-10.0.0.9`), or one of several with commas
        /// between them. Equals `-s ADDRESS`.
        from, not_from(address: impl Display) "-s ADDRESS" => draft::addresses(&address.to_string()).map(Match::From);

        /// The packet's destination is that address, net or range, or one of several with commas between them. Equals `-d ADDRESS`.
        addressed_to, not_addressed_to(address: impl Display) "-d ADDRESS" => draft::addresses(&address.to_string()).map(Match::To);

        /// TCP to that port (`80`) or range of ports (`8000-8010`), or one of several with commas between them. Equals `-p tcp --dport PORT`.
        tcp, not_tcp(port: impl Display) "-p tcp --dport PORT" => draft::ports(&port.to_string()).map(|ports| Match::ToPorts(TCP, ports));

        /// UDP to that port or range of ports, or one of several with commas between them. Equals `-p udp --dport PORT`.
        udp, not_udp(port: impl Display) "-p udp --dport PORT" => draft::ports(&port.to_string()).map(|ports| Match::ToPorts(UDP, ports));

        /// TCP from that port or range of ports. Equals `-p tcp --sport PORT`.
        from_tcp, not_from_tcp(port: impl Display) "-p tcp --sport PORT" => draft::ports(&port.to_string()).map(|ports| Match::FromPorts(TCP, ports));

        /// UDP from that port or range of ports. Equals `-p udp --sport PORT`.
        from_udp, not_from_udp(port: impl Display) "-p udp --sport PORT" => draft::ports(&port.to_string()).map(|ports| Match::FromPorts(UDP, ports));

        /// The transport protocol, by the name in `/etc/protocols` or its number. Equals `-p PROTOCOL`.
        protocol, not_protocol(protocol: impl Display) "-p PROTOCOL" => {
            let name = protocol.to_string();
            matches::protocol_number(&name).map(Match::Protocol).ok_or_else(|| format!("`{name}` is no protocol such as `tcp` or `47`"))
        };

        /// The connection's state: `new`, `established`, `related`, `invalid` or `untracked`, or one of several with commas between them;
        /// or whether it is translated: `dnat`, `snat`. Equals `-m conntrack --ctstate STATE`.
        state, not_state(state: &str) "-m conntrack --ctstate STATE" => draft::state(state);

        /// The packet's mark is that number (`1`, `0x4000`), or its bits under a mask are (`0x4000/0x4000`). Equals `-m mark --mark MARK`.
        mark, not_mark(mark: impl Display) "-m mark --mark MARK" => draft::mark(&mark.to_string()).map(|(value, mask)| Match::Mark { value, mask });

        /// The connection's mark is that number, or its bits under a mask are. Equals `-m connmark --mark MARK`.
        connmark, not_connmark(mark: impl Display) "-m connmark --mark MARK" => draft::mark(&mark.to_string()).map(|(value, mask)| Match::ConnMark { value, mask });

        /// The frame's sender has that hardware address. Equals `-m mac --mac-source ADDRESS`.
        from_mac, not_from_mac(address: &str) "-m mac --mac-source ADDRESS" => cidr::parse_mac(address).map(Match::EtherFrom);

        /// The frame goes to that hardware address; for the families bridge and netdev. Equals ebtables' `-d ADDRESS`.
        to_mac, not_to_mac(address: &str) "-d ADDRESS" => cidr::parse_mac(address).map(Match::EtherTo);
    }

    /// The packet's destination is an address of this machine, 127.0.0.1 among them. Equals `-m addrtype --dst-type LOCAL`.
    pub fn addressed_to_local(mut self) -> Self {
        self.draft.test(false, draft::local_address(false));
        self
    }

    /// The packet's destination is no address of this machine. Equals `-m addrtype ! --dst-type LOCAL`.
    pub fn not_addressed_to_local(mut self) -> Self {
        self.draft.test(true, draft::local_address(false));
        self
    }

    /// The packet's source is an address of this machine. Equals `-m addrtype --src-type LOCAL`.
    pub fn from_local(mut self) -> Self {
        self.draft.test(false, draft::local_address(true));
        self
    }

    /// ICMP; ICMPv6 in a rule for IPv6. Equals `-p icmp`.
    pub fn icmp(mut self) -> Self {
        self.draft.icmp(None);
        self
    }

    /// ICMP of a type, by its name (`echo-request`) or number. Equals `-p icmp --icmp-type TYPE`.
    pub fn icmp_type(mut self, kind: impl Display) -> Self {
        self.draft.icmp(Some(kind.to_string()));
        self
    }

    /// Of every `every` packets that pass the tests before, the one with number `packet`, counted from 0: the same from run to run.
    ///
    /// Equals `-m statistic --mode nth --every EVERY --packet PACKET`, except that the counters of two iptables rules, which have the same
    /// numbers, are two also after one of them was replaced.
    pub fn nth(mut self, every: u32, packet: u32) -> Self {
        self.draft.test(false, Match::Nth { every, packet });
        self
    }

    /// About `share` of every `of` packets that pass the tests before, at random. Equals `-m statistic --mode random --probability SHARE/OF`.
    pub fn share(mut self, share: u32, of: u32) -> Self {
        self.draft.test(false, Match::Share { share, of });
        self
    }

    /// At most that rate of packets, such as `5/second`, and as many as `burst` at once. Equals `-m limit --limit RATE --limit-burst BURST`.
    pub fn limit(mut self, rate: &str, burst: u32) -> Self {
        let limit = draft::rate(rate).map(|(rate, seconds)| Match::Limit { rate, seconds, burst });
        self.draft.read(false, || draft::quoted(".limit", rate), limit);
        self
    }

    /// A text of at most 128 bytes that listings show with the rule.
    pub fn comment(mut self, text: impl Into<String>) -> Self {
        self.draft.comment(text.into());
        self
    }

    /// Makes it a rule for IPv6, where no address tells: a rule is for IPv4 otherwise. Equals `ip6tables`.
    pub fn ipv6(self) -> Self {
        self.family(Family::Ip6)
    }

    /// Makes it a rule of that family.
    ///
    /// For the family netdev, and for hooks and priorities other than iptables' own, make a [`RuleChain`](crate::RuleChain) first.
    pub fn family(mut self, family: Family) -> Self {
        self.draft.family(family);
        self
    }

    /// Puts the rule into that chain: one that iptables knows, or one that is there. Equals `-A CHAIN`.
    pub fn chain(mut self, name: impl Into<String>) -> Self {
        self.draft.chain = Some(name.into());
        self
    }

    /// Puts the rule into that chain.
    pub fn in_chain(mut self, chain: &RuleChain) -> Self {
        self.draft.table = chain.table().to_owned();
        self.family(chain.family()).chain(chain.name())
    }

    /// Puts the rule into a chain of that table. Equals `-t TABLE`.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.draft.table = name.into();
        self
    }

    /// For a rule of the table nat: lets the connections that are there stay translated, or not translated, as they are.
    pub fn keep_connections(mut self) -> Self {
        self.draft.keep_connections = true;
        self
    }

    /// Puts the rule before all others of its chain, instead of behind them. Equals `-I CHAIN`.
    pub fn first(mut self) -> Self {
        self.draft.spot = Spot::First;
        self
    }

    /// Puts the rule right before another one of its chain.
    pub fn before<L>(mut self, other: &PacketRule<L>) -> Self {
        if let Some((chain, handle)) = draft::neighbour(other.rules().first()) {
            self.draft.spot = Spot::Before(chain, handle);
        }
        self
    }

    /// Puts the rule right behind another one of its chain.
    pub fn after<L>(mut self, other: &PacketRule<L>) -> Self {
        if let Some((chain, handle)) = draft::neighbour(other.rules().first()) {
            self.draft.spot = Spot::After(chain, handle);
        }
        self
    }
}
