//! A rule as it is being described: words are read as they come, and the first that makes no sense is told when the rule is installed.

use std::fmt::Display;
use std::net::IpAddr;

use super::change::{Installed, Order};
use super::plan::{Match, Plan, Target, Test, Translation};
use crate::error::{Error, Result};
use crate::netns::Netns;
use crate::nft::Family;
use crate::nft::family::TableName;
use crate::nft::matches::{self as m, Addresses, Ports};
use crate::nft::owned::ChainName;
use crate::nft::transaction::{LONGEST_COMMENT, Position};
use crate::nft::types::DataType;
use crate::nft::words;

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
const ICMPV6: u8 = 58;
/// `RTN_LOCAL`: an address of this machine.
const LOCAL: u32 = 2;
const SNAT_OR_DNAT: [(&str, u32); 2] = [("snat", 0x10), ("dnat", 0x20)];

/// What was said so far.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) netns: Netns,
    /// Such as "masquerade".
    title: String,
    family: Option<Family>,
    pub(crate) table: String,
    pub(crate) chain: Option<String>,
    words: Vec<Word>,
    pub(crate) target: Option<Target>,
    pub(crate) spot: Spot,
    pub(crate) also_local: bool,
    pub(crate) keep_connections: bool,
    wrong: Option<(String, String)>,
}

/// Where the rule goes among the others.
#[derive(Debug, Clone)]
pub(crate) enum Spot {
    Last,
    First,
    Before(ChainName, u64),
    After(ChainName, u64),
}

/// A condition, or what becomes one when the family is known.
#[derive(Debug, Clone)]
enum Word {
    Test(Test),
    Icmp { kind: Option<String> },
}

impl Draft {
    pub(crate) fn new(netns: &Netns, title: impl Into<String>, table: &str, chain: Option<&str>, target: Option<Target>) -> Self {
        Self {
            netns: netns.clone(),
            title: title.into(),
            family: None,
            table: table.to_owned(),
            chain: chain.map(str::to_owned),
            words: Vec::new(),
            target,
            spot: Spot::Last,
            also_local: false,
            keep_connections: false,
            wrong: None,
        }
    }

    /// Completes the sentence "cannot …".
    pub(crate) fn what(&self) -> String {
        format!("install the {} rule in `{}`", self.title, self.netns)
    }

    pub(crate) fn family(&mut self, family: Family) {
        match self.family {
            Some(known) if known != family => self.wrong("one rule", format!("it cannot be of the families {known} and {family} at once")),
            _ => self.family = Some(family),
        }
    }

    pub(crate) fn test(&mut self, not: bool, of: Match) {
        self.words.push(Word::Test(Test { not, of }));
    }

    /// Adds a test, or remembers why there is none. `word` is what the caller wrote.
    pub(crate) fn read(&mut self, not: bool, word: impl FnOnce() -> String, of: Result<Match, String>) {
        match of {
            Ok(of) => self.test(not, of),
            Err(why) => self.wrong(word(), why),
        }
    }

    pub(crate) fn wrong(&mut self, word: impl Into<String>, why: impl Into<String>) {
        self.wrong.get_or_insert((word.into(), why.into()));
    }

    pub(crate) fn icmp(&mut self, kind: Option<String>) {
        self.words.push(Word::Icmp { kind });
    }

    pub(crate) fn comment(&mut self, text: String) {
        if text.len() > LONGEST_COMMENT || text.contains(['"', '\0', '\n']) {
            self.wrong(
                format!(".comment {text}"),
                format!("a comment has at most {LONGEST_COMMENT} bytes, and no quotes, NUL or line feed"),
            );
        }
        self.test(false, Match::Comment(text));
    }

    /// The rules to be installed: one, or two for a translation that is for this machine's own connections too.
    pub(crate) fn orders(&self) -> Result<Vec<Order>> {
        let invalid = |why: String| Error::invalid(self.what(), why);
        if let Some((word, why)) = &self.wrong {
            return Err(Error::invalid(format!("read `{word}`"), why).fact(format!("which is needed to {}", self.what())));
        }
        let family = self.decide_family().map_err(invalid)?;
        let Some(chain) = &self.chain else {
            return Err(invalid("it does not say in which chain".to_owned())
                .help("say `.forward()`, `.input()`, `.output()` or `.chain(\"NAME\")`"));
        };
        if let Some(Target::Snat { to, .. } | Target::Dnat { to, .. }) = &self.target
            && to.address.is_none()
            && to.ports.is_none()
        {
            return Err(invalid("it does not say where to".to_owned()).help("say `.to(\"172.18.0.2:8000\")`"));
        }
        let tests = self.words.iter().map(|word| word.test(family)).collect::<Result<Vec<_>, _>>().map_err(invalid)?;
        let plan = Plan { family, table: self.table.clone(), chain: chain.clone(), tests, target: self.target.clone() };
        let mut plans = vec![plan];
        if self.also_local {
            plans.extend(self.for_local(&plans[0]));
        }
        for (place, plan) in plans.iter().enumerate() {
            let also = if place > 0 { ", where `also_local` puts the rule too" } else { "" };
            interfaces_are_known(plan).map_err(|why| invalid(why + also))?;
        }
        let position = |plan: &Plan| self.position(plan).map_err(invalid);
        plans.into_iter().map(|plan| Ok(Order { position: position(&plan)?, plan })).collect()
    }

    /// The same translation for connections that this machine begins.
    fn for_local(&self, plan: &Plan) -> Option<Plan> {
        let mut local = Plan { chain: "OUTPUT".to_owned(), ..plan.clone() };
        if !local.tests.iter().any(|test| matches!(test.of, Match::To(_) | Match::AddressType { source: false, .. }) && !test.not) {
            local.tests.push(Test { not: false, of: local_address(false) });
        }
        (plan.chain != "OUTPUT").then_some(local)
    }

    fn position(&self, plan: &Plan) -> Result<Position, String> {
        let beside = |chain: &ChainName, position| match *chain == plan.chain_name() {
            true => Ok(position),
            false => Err(format!("its neighbour is in chain `{chain}`, and it would be in `{}`", plan.chain_name())),
        };
        match &self.spot {
            Spot::Last => Ok(Position::Last),
            Spot::First => Ok(Position::First),
            Spot::Before(chain, handle) => beside(chain, Position::Before(*handle)),
            Spot::After(chain, handle) => beside(chain, Position::After(*handle)),
        }
    }

    /// That of the addresses, or the one that was said; IPv4 if nothing tells.
    fn decide_family(&self) -> Result<Family, String> {
        let mut seen: Option<IpAddr> = None;
        for address in self.addresses() {
            match seen {
                Some(other) if other.is_ipv4() != address.is_ipv4() => {
                    return Err(format!("`{other}` and `{address}` are of different families: one rule is for IPv4 or for IPv6"));
                }
                _ => seen = Some(address),
            }
        }
        let by_address = seen.map(|address| if address.is_ipv4() { Family::Ip } else { Family::Ip6 });
        match (self.family, by_address, seen) {
            (Some(said @ (Family::Ip | Family::Ip6)), Some(other), Some(address)) if said != other => {
                Err(format!("`{address}` is not of the rule's family, {said}"))
            }
            (said, by_address, _) => Ok(said.or(by_address).unwrap_or(Family::Ip)),
        }
    }

    fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for word in &self.words {
            if let Word::Test(Test { of: Match::From(some) | Match::To(some), .. }) = word {
                addresses.extend(some.iter().map(|one| one.first()));
            }
        }
        match &self.target {
            Some(Target::Snat { to, .. } | Target::Dnat { to, .. }) => addresses.extend(to.address.map(|(from, _)| from)),
            Some(Target::DnatEach { to, .. }) => addresses.extend(to.iter().map(|(address, _)| *address)),
            _ => {}
        }
        addresses
    }
}

impl Word {
    fn test(&self, family: Family) -> Result<Test, String> {
        let of = match self {
            Self::Test(test) => return Ok(test.clone()),
            Self::Icmp { kind } => {
                let ipv6 = family == Family::Ip6;
                match kind {
                    None => Match::Protocol(if ipv6 { ICMPV6 } else { ICMP }),
                    Some(kind) => Match::Icmp(icmp_type(kind, ipv6)?, None),
                }
            }
        };
        Ok(Test { not: false, of })
    }
}

fn icmp_type(name: &str, ipv6: bool) -> Result<u8, String> {
    let known = if ipv6 { words::ICMPV6_TYPES } else { words::ICMP_TYPES };
    let number = known.iter().find(|(_, word)| *word == name).and_then(|(number, _)| u8::try_from(*number).ok());
    number.or_else(|| name.parse().ok()).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|(_, word)| *word).collect();
        format!("`{name}` is no type of ICMP{}: expected a number or one of {}", if ipv6 { "v6" } else { "" }, names.join(", "))
    })
}

/// In a chain where packets have not been routed yet nothing is known of the interface by which they will leave; and iptables refuses the
/// input interface where packets of this machine pass too, which have none.
fn interfaces_are_known(plan: &Plan) -> Result<(), String> {
    let not_out = matches!(plan.chain.as_str(), "PREROUTING" | "INPUT");
    let not_in = matches!(plan.chain.as_str(), "OUTPUT" | "POSTROUTING");
    for test in &plan.tests {
        match &test.of {
            Match::Out(name) if not_out => {
                return Err(format!("a packet in {} has no output interface yet, so that it cannot be `{name}`", plan.chain));
            }
            Match::In(name) if not_in => {
                return Err(format!("{} does not know by which interface a packet came, so that it cannot be `{name}`", plan.chain));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The destination, or the source, is an address of this machine.
pub(crate) fn local_address(source: bool) -> Match {
    Match::AddressType { source, types: vec![LOCAL], seen_from: None }
}

/// The interface with a `*` at its end for any rest, also where it was written as iptables does (`+`).
pub(crate) fn interface(name: &str) -> String {
    name.strip_suffix('+').map_or_else(|| name.to_owned(), |stem| format!("{stem}*"))
}

/// Addresses, nets and ranges with commas between them.
pub(crate) fn addresses(text: &str) -> Result<Vec<Addresses>, String> {
    text.split(',').map(|one| one.trim().parse()).collect()
}

/// Ports and ranges of them (`8000-8010`, `8000:8010`) with commas between them.
pub(crate) fn ports(text: &str) -> Result<Vec<Ports>, String> {
    text.split(',').map(|one| port_range(one.trim())).collect()
}

pub(crate) fn port_range(text: &str) -> Result<Ports, String> {
    let wrong = |_| format!("`{text}` is no port (`8080`) and no range of ports (`8000-8010`)");
    let (from, to) = text.split_once(['-', ':']).unwrap_or((text, text));
    let (from, to) = (from.parse().map_err(wrong)?, to.parse().map_err(wrong)?);
    if from > to { Err(format!("the range `{text}` ends before it begins")) } else { Ok((from, to)) }
}

/// `172.18.0.2`, `172.18.0.2:8000`, `[fd00::2]:8000`, `10.0.0.1-10.0.0.9:1000-2000`, `:8000`.
pub(crate) fn translation(text: &str) -> Result<Translation, String> {
    let wrong = || format!("`{text}` is no place: expected an address, a range of addresses, and perhaps ports, such as `172.18.0.2:8000`");
    let (address, ports) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, ports) = rest.split_once(']').ok_or_else(wrong)?;
            (address, if ports.is_empty() { None } else { Some(ports.strip_prefix(':').ok_or_else(wrong)?) })
        }
        None if text.parse::<Addresses>().is_ok() => (text, None),
        None => match text.rsplit_once(':') {
            Some((address, ports)) => (address, Some(ports)),
            None => (text, None),
        },
    };
    let one = |text: &str| text.parse::<IpAddr>().map_err(|_| wrong());
    let address = match address.split_once('-') {
        _ if address.is_empty() => None,
        Some((from, to)) => Some((one(from)?, one(to)?)),
        None => Some((one(address)?, one(address)?)),
    };
    if address.is_some_and(|(from, to)| from.is_ipv4() != to.is_ipv4() || from > to) {
        return Err(format!("the range `{text}` ends before it begins"));
    }
    Ok(Translation { address, ports: ports.map(port_range).transpose()? })
}

/// `5/second`, `1/minute`, as packets and seconds.
pub(crate) fn rate(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("`{text}` is no rate: expected such as `5/second`, with second, minute, hour or day");
    let (packets, unit) = text.split_once('/').ok_or_else(wrong)?;
    let seconds = match unit {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 60 * 60,
        "d" | "day" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let packets = packets.parse().ok().filter(|packets| *packets > 0).ok_or_else(wrong)?;
    Ok((packets, seconds))
}

/// `0x1`, `16`, `0x4000/0x4000`.
pub(crate) fn mark(text: &str) -> Result<(u32, u32), String> {
    let (value, mask) = text.split_once('/').map_or((text, None), |(value, mask)| (value, Some(mask)));
    let number = |text: &str| {
        let parsed = text.strip_prefix("0x").map_or_else(|| text.parse(), |digits| u32::from_str_radix(digits, 16));
        parsed.map_err(|_| format!("`{text}` is no mark: expected a number such as `0x4000`, and perhaps a mask behind a slash"))
    };
    Ok((number(value)?, mask.map_or(Ok(u32::MAX), number)?))
}

/// `established,related`, in whatever case; or `dnat`, `snat`.
pub(crate) fn state(text: &str) -> Result<Match, String> {
    let text = text.to_ascii_lowercase();
    let words: Vec<_> = text.split(',').map(str::trim).collect();
    let translated = words.iter().map(|word| SNAT_OR_DNAT.iter().find(|(known, _)| known == word).map(|(_, bit)| *bit));
    match translated.collect::<Option<Vec<_>>>() {
        Some(bits) => Ok(Match::Status(bits.iter().fold(0, |all, bit| all | bit))),
        None => m::ct_bits(DataType::CtState, &words).map(Match::State),
    }
}

/// The rules' chain of a fixture, for neighbours.
pub(crate) fn neighbour(installed: Option<&Installed>) -> Option<(ChainName, u64)> {
    installed.map(|rule| (rule.plan.chain_name(), rule.handle))
}

/// A chain by its parts.
pub(crate) fn chain_name(family: Family, table: &str, chain: &str) -> ChainName {
    ChainName::new(TableName::new(family, table), chain)
}

pub(crate) fn quoted(word: &str, value: impl Display) -> String {
    format!("{word} {value}")
}
