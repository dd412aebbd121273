//! Rules that translate addresses.

use std::fmt::Display;

use ipnet::{IpNet, Ipv6Net};

use super::draft::{self, Draft};
use super::plan::{Match, Target, Translation};
use super::rule::{Nat, PacketRule};
use super::words::PacketRuleBuilder;
use crate::netns::Netns;
use crate::nft::expr::nat_flags;

/// A rule that translates addresses, which goes when it is dropped.
///
/// The kernel asks nat rules about the first packet of a connection only, and treats the others like it. Installing and removing one
/// therefore makes the namespace forget its connections, so that their next packets meet the rules as they are now;
/// [`keep_connections`](PacketRuleBuilder::keep_connections) opts out.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let router = netlab::Netns::new("router")?;
/// use netlab::NatRule;
/// let _out = NatRule::masquerade(&router).from("10.1.1.0/24").not_out("br0").install()?;
/// let _in = NatRule::dnat(&router).tcp(8081).to("10.1.1.2:80").also_local().install()?;
/// # Ok(()) }
/// ```
pub type NatRule = PacketRule<Nat>;

/// A [`NatRule`], described; [`install`](PacketRuleBuilder::install) makes it true and reports a word that makes no sense.
pub type NatRuleBuilder = PacketRuleBuilder<Nat>;

const NOWHERE: Translation = Translation { address: None, ports: None };

impl PacketRule<Nat> {
    /// Gives packets the address of the interface by which they leave. Equals `iptables -t nat -A POSTROUTING … -j MASQUERADE`.
    pub fn masquerade(netns: &Netns) -> NatRuleBuilder {
        let target = Target::Masquerade { ports: None, flags: 0 };
        PacketRuleBuilder::new(Draft::new(netns, "masquerade", "nat", Some("POSTROUTING"), Some(target)))
    }

    /// Gives packets another source, which [`to`](PacketRuleBuilder::to) says. Equals `iptables -t nat -A POSTROUTING … -j SNAT`.
    pub fn snat(netns: &Netns) -> NatRuleBuilder {
        let target = Target::Snat { to: NOWHERE, flags: 0 };
        PacketRuleBuilder::new(Draft::new(netns, "snat", "nat", Some("POSTROUTING"), Some(target)))
    }

    /// Gives packets another destination, which [`to`](PacketRuleBuilder::to) says. Equals `iptables -t nat -A PREROUTING … -j DNAT`.
    ///
    /// It sees connections that come to this machine or through it, also those to other addresses than its own, unless
    /// [`addressed_to`](PacketRuleBuilder::addressed_to) or [`addressed_to_local`](PacketRuleBuilder::addressed_to_local) says which.
    /// Those that this machine itself begins pass OUTPUT instead: [`also_local`](PacketRuleBuilder::also_local).
    pub fn dnat(netns: &Netns) -> NatRuleBuilder {
        let target = Target::Dnat { to: NOWHERE, flags: 0 };
        PacketRuleBuilder::new(Draft::new(netns, "dnat", "nat", Some("PREROUTING"), Some(target)))
    }

    /// Gives packets another prefix of their source, and keeps no memory of connections: one half of an NPTv6 router (RFC 6296).
    /// Equals `ip6tables -t mangle -A POSTROUTING -s FROM -j SNPT --src-pfx FROM --dst-pfx TO`.
    ///
    /// Prefixes have at most 64 bits. The address changes in one more word, so that no checksum does. What tracks connections does not
    /// see that the answers belong to the questions. [`PrefixNat::nptv6`](crate::PrefixNat::nptv6) has both halves.
    pub fn snpt(netns: &Netns, from: impl Display, to: impl Display) -> NatRuleBuilder {
        npt(netns, true, &from.to_string(), &to.to_string())
    }

    /// Gives packets another prefix of their destination: the other half.
    /// Equals `ip6tables -t mangle -A PREROUTING -d FROM -j DNPT --src-pfx FROM --dst-pfx TO`.
    pub fn dnpt(netns: &Netns, from: impl Display, to: impl Display) -> NatRuleBuilder {
        npt(netns, false, &from.to_string(), &to.to_string())
    }

    /// Sends packets to this machine itself, by the primary address of the interface by which they came; to another port if
    /// [`to_port`](PacketRuleBuilder::to_port) says so. Equals `iptables -t nat -A PREROUTING … -j REDIRECT`.
    pub fn redirect(netns: &Netns) -> NatRuleBuilder {
        let target = Target::Redirect { ports: None, flags: 0 };
        PacketRuleBuilder::new(Draft::new(netns, "redirect", "nat", Some("PREROUTING"), Some(target)))
    }

    /// Lets connections pass as they are: no later rule of this chain's hook translates them. It must say its chain. Equals `-j ACCEPT`.
    pub fn accept(netns: &Netns) -> NatRuleBuilder {
        PacketRuleBuilder::new(Draft::new(netns, "nat accept", "nat", None, Some(Target::Accept)))
    }

    /// Sends connections through another chain of the table and, if that decides nothing, back. It must say its chain. Equals `-j CHAIN`.
    pub fn jump(netns: &Netns, chain: impl Into<String>) -> NatRuleBuilder {
        let chain = chain.into();
        PacketRuleBuilder::new(Draft::new(netns, format!("nat jump {chain}"), "nat", None, Some(Target::Jump(chain))))
    }

    /// Ends the chain for connections: they go on behind the jump that led to it. It must say its chain. Equals `-j RETURN`.
    pub fn return_(netns: &Netns) -> NatRuleBuilder {
        PacketRuleBuilder::new(Draft::new(netns, "nat return", "nat", None, Some(Target::Return)))
    }
}

/// A rule that gives an address another prefix.
fn npt(netns: &Netns, source: bool, from: &str, to: &str) -> NatRuleBuilder {
    let (title, chain) = if source { ("snpt", "POSTROUTING") } else { ("dnpt", "PREROUTING") };
    let prefix = |text: &str| text.parse::<Ipv6Net>().ok().filter(|net| net.prefix_len() <= 64 && net.addr() == net.network());
    let (Some(from), Some(to)) = (prefix(from), prefix(to)) else {
        let mut draft = Draft::new(netns, title, "mangle", Some(chain), None);
        draft.wrong(format!("{from} to {to}"), "expected two prefixes of IPv6 of at most 64 bits, such as `fd00:a::/48`");
        return PacketRuleBuilder::new(draft);
    };
    let mut draft = Draft::new(netns, title, "mangle", Some(chain), Some(Target::Npt { source, from, to }));
    let addresses = vec![IpNet::V6(from).into()];
    draft.test(false, if source { Match::From(addresses) } else { Match::To(addresses) });
    PacketRuleBuilder::new(draft)
}

impl PacketRuleBuilder<Nat> {
    /// Says where a translation leads: an address, a range of addresses (the kernel chooses among them), and perhaps a port or a range of
    /// ports. `172.18.0.2`, `172.18.0.2:8000`, `[fd00::2]:8000`, `203.0.113.1-203.0.113.4:1024-2047`, `:8000`.
    ///
    /// Equals `--to-source`, `--to-destination`. A port needs a test for a protocol that has ports, such as [`tcp`](Self::tcp).
    pub fn to(mut self, place: impl Display) -> Self {
        let text = place.to_string();
        match (draft::translation(&text), &mut self.draft.target) {
            (Err(why), _) => self.draft.wrong(format!(".to {text}"), why),
            (Ok(place), Some(Target::Snat { to, .. } | Target::Dnat { to, .. })) => *to = place,
            (Ok(_), _) => self.draft.wrong(format!(".to {text}"), "only snat and dnat lead to an address; redirect has `to_port`"),
        }
        self
    }

    /// Says which net an address is translated to, whose other bits stay: `198.51.100.0/24`, `2001:db8:1::/48`. For snat and dnat.
    ///
    /// Equals `-j NETMAP --to` of iptables and `snat prefix to` of nft. [`PrefixNat::netmap`](crate::PrefixNat::netmap) is one for both
    /// directions.
    pub fn to_prefix(mut self, net: impl Display) -> Self {
        let text = net.to_string();
        match (text.parse::<IpNet>(), &mut self.draft.target) {
            (Err(_), _) => self.draft.wrong(format!(".to_prefix {text}"), "expected a net, such as `198.51.100.0/24` or `2001:db8:1::/48`"),
            (Ok(net), Some(Target::Snat { to, flags } | Target::Dnat { to, flags })) => {
                *to = Translation { address: Some((net.network(), net.broadcast())), ports: None };
                *flags |= nat_flags::NETMAP;
            }
            (Ok(_), _) => self.draft.wrong(format!(".to_prefix {text}"), "only snat and dnat lead to a net"),
        }
        self
    }

    /// Spreads connections over several destinations in turn, beginning with the first: the same from run to run. For dnat.
    pub fn to_each<P: Display>(self, places: impl IntoIterator<Item = P>) -> Self {
        self.each(false, places)
    }

    /// Spreads connections over several destinations by chance. For dnat.
    pub fn to_any<P: Display>(self, places: impl IntoIterator<Item = P>) -> Self {
        self.each(true, places)
    }

    fn each<P: Display>(mut self, random: bool, places: impl IntoIterator<Item = P>) -> Self {
        let mut to = Vec::new();
        for place in places {
            let text = place.to_string();
            match draft::translation(&text) {
                Ok(Translation { address: Some((from, last)), ports }) if from == last && ports.is_none_or(|(from, to)| from == to) => {
                    to.push((from, ports.map(|(port, _)| port)));
                }
                Ok(_) => self.draft.wrong(format!(".to_each {text}"), "expected one address, and perhaps one port"),
                Err(why) => self.draft.wrong(format!(".to_each {text}"), why),
            }
        }
        match self.draft.target {
            Some(Target::Dnat { .. }) => self.draft.target = Some(Target::DnatEach { random, to }),
            _ => self.draft.wrong(".to_each", "only dnat has several destinations"),
        }
        self
    }

    /// Says to which port, or range of ports, a redirect leads; or which source ports a masquerade takes. Equals `--to-ports`.
    pub fn to_port(mut self, port: impl Display) -> Self {
        let text = port.to_string();
        match (draft::port_range(&text), &mut self.draft.target) {
            (Err(why), _) => self.draft.wrong(format!(".to_port {text}"), why),
            (Ok(range), Some(Target::Redirect { ports, .. } | Target::Masquerade { ports, .. })) => *ports = Some(range),
            (Ok(_), _) => {
                self.draft.wrong(format!(".to_port {text}"), "only redirect and masquerade lead to a port; snat and dnat have `to`")
            }
        }
        self
    }

    /// Chooses among the possible ports by a hash of the connection. Equals `--random`.
    pub fn random(self) -> Self {
        self.flag(nat_flags::RANDOM)
    }

    /// Chooses among the possible ports by chance. Equals `--random-fully`.
    pub fn fully_random(self) -> Self {
        self.flag(nat_flags::FULLY_RANDOM)
    }

    /// Gives all connections of one client the same address of a range. Equals `--persistent`.
    pub fn persistent(self) -> Self {
        self.flag(nat_flags::PERSISTENT)
    }

    fn flag(mut self, flag: u32) -> Self {
        match &mut self.draft.target {
            Some(
                Target::Masquerade { flags, .. } | Target::Snat { flags, .. } | Target::Dnat { flags, .. } | Target::Redirect { flags, .. },
            ) => *flags |= flag,
            _ => self.draft.wrong("a choice of ports", "several destinations have none"),
        }
        self
    }

    /// Puts the rule into PREROUTING, which connections pass that come to this machine or through it.
    pub fn prerouting(self) -> Self {
        self.chain("PREROUTING")
    }

    /// Puts the rule into POSTROUTING, which connections pass that leave this machine.
    pub fn postrouting(self) -> Self {
        self.chain("POSTROUTING")
    }

    /// Puts the rule into OUTPUT, which connections pass that this machine itself begins. For dnat and redirect.
    pub fn output(self) -> Self {
        self.chain("OUTPUT")
    }

    /// Puts the rule into INPUT, which connections pass that end at this machine. For snat.
    pub fn input(self) -> Self {
        self.chain("INPUT")
    }

    /// Adds the same rule to OUTPUT, for connections that this machine itself begins: both are one fixture. For dnat and redirect.
    ///
    /// The rule in OUTPUT has one test more, that the destination is an address of this machine (`-m addrtype --dst-type LOCAL`, as
    /// Docker's has); not if [`addressed_to`](Self::addressed_to) or [`addressed_to_local`](Self::addressed_to_local) was said. The rule in
    /// PREROUTING is the same with and without this word.
    ///
    /// 127.0.0.1 is an address of this machine: connections to it are translated too, and then leave the machine with the source 127.0.0.1.
    /// The kernel drops them unless the sysctl `net.ipv4.conf.IFACE.route_localnet` of the interface by which they leave is 1, and the far side
    /// drops them unless something gives them another source (`NatRule::masquerade(…)`). Neither is done here. For IPv6 no sysctl
    /// helps: `::1` never leaves. `.not_addressed_to("127.0.0.0/8")` leaves the loopback alone, as Docker does where its proxy serves it.
    pub fn also_local(mut self) -> Self {
        match self.draft.target {
            Some(Target::Dnat { .. } | Target::DnatEach { .. } | Target::Redirect { .. }) => self.draft.also_local = true,
            _ => self.draft.wrong(".also_local", "only dnat and redirect work in OUTPUT"),
        }
        self
    }
}
