//! Which connections are meant.

use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use super::connection::{Connection, protocol_name};
use super::kernel;
use super::tuple::End;
use crate::cidr;

type Condition = Arc<dyn Fn(&Connection) -> bool + Send + Sync>;

/// Says which connections are meant: `Flow::tcp().from("10.0.0.2").to("203.0.113.9:80").translated()`.
///
/// It starts with the protocol, and each further word narrows it. A value that makes no sense, such as a bad address, is reported by
/// whoever is given the flow.
///
/// | word | of conntrack(8) |
/// |---|---|
/// | [`from`](Self::from), [`to`](Self::to) | `--orig-src`, `--orig-port-src`, `--orig-dst`, `--orig-port-dst` |
/// | [`reply_from`](Self::reply_from), [`reply_to`](Self::reply_to) | `--reply-src`, `--reply-port-src`, `--reply-dst`, `--reply-port-dst` |
/// | [`state`](Self::state), [`status`](Self::status) | `--state`, `--status` |
/// | [`src_nat`](Self::src_nat), [`dst_nat`](Self::dst_nat), [`translated`](Self::translated) | `--src-nat`, `--dst-nat`, `--any-nat` |
/// | [`mark`](Self::mark), [`zone`](Self::zone) | `--mark`, `--zone` |
#[derive(Clone)]
#[must_use = "a description does nothing: give it to `Netns::expect_connection` or to a verb of `Connections`"]
pub struct Flow {
    words: Vec<String>,
    conditions: Vec<Condition>,
    problem: Option<String>,
    family: u8,
    mark: Option<(u32, u32)>,
}

impl Flow {
    /// Connections of any protocol.
    pub fn any() -> Self {
        Self { words: Vec::new(), conditions: Vec::new(), problem: None, family: kernel::ANY, mark: None }
    }

    /// TCP connections.
    pub fn tcp() -> Self {
        Self::protocol("tcp")
    }

    /// Exchanges of UDP datagrams between two ports.
    pub fn udp() -> Self {
        Self::protocol("udp")
    }

    /// Pings, and other questions of ICMP that have answers.
    pub fn icmp() -> Self {
        Self::protocol("icmp")
    }

    /// Pings, and other questions of ICMPv6 that have answers.
    pub fn icmpv6() -> Self {
        Self::protocol("icmpv6")
    }

    /// Connections of a protocol by its name, such as `sctp`, or by its number.
    pub fn protocol(protocol: impl Display) -> Self {
        let text = protocol.to_string();
        let number = (0..=u8::MAX).find(|number| protocol_name(*number) == Some(&text)).or_else(|| text.parse().ok());
        match number {
            Some(number) => Self::any().and(text, move |connection| connection.protocol == number),
            None => Self::any().wrong(&text, "it is no protocol that conntrack has a name for: say its number"),
        }
    }

    fn and(mut self, words: impl Into<String>, condition: impl Fn(&Connection) -> bool + Send + Sync + 'static) -> Self {
        self.words.push(words.into());
        self.conditions.push(Arc::new(condition));
        self
    }

    fn wrong(mut self, words: &str, why: impl Display) -> Self {
        self.problem.get_or_insert(format!("`{words}`: {why}"));
        self
    }

    fn and_end(self, word: &str, end: impl Display, of: impl Fn(&Connection) -> End + Send + Sync + 'static) -> Self {
        let text = end.to_string();
        let words = format!("{word} {text}");
        match Place::parse(&text) {
            Ok(place) => self.and(words, move |connection| place.contains(of(connection))),
            Err(why) => self.wrong(&words, why),
        }
    }

    /// Begun by that address, net, address and port, or `:port`: `10.0.0.2`, `10.0.0.0/24`, `10.0.0.2:5000`, `[fd00::2]:5000`, `:5000`.
    pub fn from(self, source: impl Display) -> Self {
        self.and_end("from", source, |connection| connection.original.source())
    }

    /// Begun towards that address, net, address and port, or `:port`, before any translation.
    pub fn to(self, destination: impl Display) -> Self {
        self.and_end("to", destination, |connection| connection.original.destination())
    }

    /// Answered from there: where the packets really go.
    pub fn reply_from(self, source: impl Display) -> Self {
        self.and_end("reply from", source, |connection| connection.reply.source())
    }

    /// Answered to there: whom the far side sees.
    pub fn reply_to(self, destination: impl Display) -> Self {
        self.and_end("reply to", destination, |connection| connection.reply.destination())
    }

    /// Of IPv4.
    pub fn ipv4(self) -> Self {
        let mut flow = self.and("ipv4", |connection| connection.original.src.is_ipv4());
        flow.family = crate::nft::Family::Ip.number();
        flow
    }

    /// Of IPv6.
    pub fn ipv6(self) -> Self {
        let mut flow = self.and("ipv6", |connection| connection.original.src.is_ipv6());
        flow.family = crate::nft::Family::Ip6.number();
        flow
    }

    /// In that state, in the kernel's word, such as `ESTABLISHED` or `TIME_WAIT`.
    pub fn state(self, state: &str) -> Self {
        let wanted = state.to_owned();
        self.and(format!("state {state}"), move |connection| connection.state.as_ref() == Some(&wanted))
    }

    /// With that bit of [`Status`](super::Status) set, such as `ASSURED`.
    pub fn status(self, word: &str) -> Self {
        let known = super::Status::try_from(word.to_owned());
        match known {
            Ok(wanted) => self.and(format!("status {word}"), move |connection| connection.status.bits() & wanted.bits() == wanted.bits()),
            Err(why) => self.wrong(&format!("status {word}"), why),
        }
    }

    /// That the far side has answered.
    pub fn replied(self) -> Self {
        self.and("replied", |connection| connection.status.seen_reply())
    }

    /// That the far side has not answered.
    pub fn unreplied(self) -> Self {
        self.and("unreplied", |connection| !connection.status.seen_reply())
    }

    /// Whose source is translated.
    pub fn src_nat(self) -> Self {
        self.and("src-nat", |connection| connection.status.src_nat())
    }

    /// Whose destination is translated.
    pub fn dst_nat(self) -> Self {
        self.and("dst-nat", |connection| connection.status.dst_nat())
    }

    /// Whose source or destination is translated.
    pub fn translated(self) -> Self {
        self.and("translated", Connection::is_translated)
    }

    /// Of which neither source nor destination is translated.
    pub fn untranslated(self) -> Self {
        self.and("untranslated", |connection| !connection.is_translated())
    }

    /// With that mark.
    pub fn mark(self, mark: u32) -> Self {
        self.mark_masked(mark, u32::MAX)
    }

    /// With that mark, of which only the bits of the mask count.
    pub fn mark_masked(self, mark: u32, mask: u32) -> Self {
        let second = self.mark.is_some();
        let words = if mask == u32::MAX { format!("mark {mark}") } else { format!("mark {mark:#x}/{mask:#x}") };
        let mut flow = self.and(words, move |connection| connection.mark.unwrap_or(0) & mask == mark);
        // The kernel can be told one.
        flow.mark = (!second).then_some((mark, mask));
        flow
    }

    /// In that zone, in both directions or in one.
    pub fn zone(self, zone: u16) -> Self {
        self.and(format!("zone {zone}"), move |connection| {
            let zones = [connection.zone, connection.original.zone, connection.reply.zone];
            zones.contains(&Some(zone)) || zone == 0 && zones == [None; 3]
        })
    }

    /// For which `condition` holds as well; `words` describe it in messages.
    pub fn when(self, words: impl Into<String>, condition: impl Fn(&Connection) -> bool + Send + Sync + 'static) -> Self {
        self.and(words, condition)
    }

    /// Whether the connection is meant.
    pub fn matches(&self, connection: &Connection) -> bool {
        self.problem.is_none() && self.conditions.iter().all(|condition| condition(connection))
    }

    /// What is wrong with a value that it was given.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// What the kernel can be told, if that says it all: the family, and a mark under a mask.
    pub(super) fn in_kernels_words(&self) -> Option<(u8, Option<(u32, u32)>)> {
        let said = usize::from(self.family != kernel::ANY) + usize::from(self.mark.is_some());
        (said == self.conditions.len()).then_some((self.family, self.mark))
    }
}

impl Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.words.is_empty() { f.write_str("any") } else { f.write_str(&self.words.join(" ")) }
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flow({self})")
    }
}

/// A net, a port, or both.
struct Place {
    net: Option<IpNet>,
    port: Option<u16>,
}

impl Place {
    fn parse(text: &str) -> Result<Self, String> {
        let whole = |address: IpAddr| Some(IpNet::from(address));
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { net: whole(address.ip()), port: Some(address.port()) });
        }
        if let Some(Ok(port)) = text.strip_prefix(':').map(str::parse) {
            return Ok(Self { net: None, port: Some(port) });
        }
        let wrong =
            "expected an address, a net, an address and a port, or a port, such as `10.0.0.2`, `10.0.0.0/24`, `10.0.0.2:80` or `:80`";
        Ok(Self { net: Some(cidr::parse(text).map_err(|_| wrong.to_owned())?), port: None })
    }

    fn contains(&self, end: End) -> bool {
        self.net.is_none_or(|net| net.contains(&end.ip)) && self.port.is_none_or(|port| end.port == Some(port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_a_net_a_port_or_both() {
        let end = |ip: &str, port| End { ip: ip.parse().unwrap(), port };
        for text in ["10.0.0.2", "10.0.0.0/24", "10.0.0.2:80", ":80"] {
            let place = Place::parse(text).unwrap();
            assert!(place.contains(end("10.0.0.2", Some(80))), "{text}");
            assert!(!place.contains(end("10.0.1.2", Some(81))), "{text}");
        }
        assert!(Place::parse("[fd00::1]:80").unwrap().contains(end("fd00::1", Some(80))));
        assert!(!Place::parse(":80").unwrap().contains(end("10.0.0.2", None)));
        for nonsense in ["", ":", ":99999", "10.0.0.300", "eth0", "10.0.0.1/33", "fd00::1:80:"] {
            assert!(Place::parse(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn only_family_and_one_mark_are_said_in_the_kernels_words() {
        assert_eq!(Flow::any().in_kernels_words(), Some((0, None)));
        assert_eq!(Flow::any().ipv6().mark(7).in_kernels_words(), Some((10, Some((7, u32::MAX)))));
        assert_eq!(Flow::any().mark(7).mark_masked(1, 1).in_kernels_words(), None);
        assert_eq!(Flow::tcp().ipv4().in_kernels_words(), None);
        assert_eq!(Flow::any().ipv4().ipv6().in_kernels_words(), None);
    }

    #[test]
    fn what_makes_no_sense_is_a_problem_and_no_match() {
        for flow in [Flow::protocol("nonsense"), Flow::any().from("x"), Flow::any().to("10.0.0.1/33"), Flow::any().status("ASSURE")] {
            assert!(flow.problem().is_some(), "{flow}");
        }
        assert!(Flow::protocol("sctp").problem().is_none() && Flow::protocol(50).problem().is_none());
        assert_eq!(Flow::tcp().from("10.0.0.2").to(":80").translated().to_string(), "tcp from 10.0.0.2 to :80 translated");
    }
}
