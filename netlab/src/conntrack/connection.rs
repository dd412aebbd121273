//! One connection, and how it is rewritten.

use std::fmt::{self, Display};
use std::panic::Location;

use serde::{Deserialize, Serialize};

use super::status::Status;
use super::tuple::{End, Tuple};
use crate::error::{Error, Result};

/// A connection that a namespace remembers: a line of `conntrack -L`.
///
/// "Connection" is conntrack's word for any exchange of packets: UDP and ICMP have them too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Connection {
    /// The number of the transport protocol, such as 6 for TCP.
    pub protocol: u8,
    /// Seconds until it is forgotten if nothing more comes.
    pub timeout: Option<u32>,
    /// The state in the kernel's word, such as `ESTABLISHED`, where the protocol has states.
    pub state: Option<String>,
    /// The direction of the first packet, as it came, before any translation.
    pub original: Tuple,
    /// The direction of the answers, as they come: to whom the far side answers, and from where.
    pub reply: Tuple,
    /// What has become of it so far.
    pub status: Status,
    /// The mark, where the kernel has such marks.
    pub mark: Option<u32>,
    /// The security context, where the kernel has such.
    pub secctx: Option<String>,
    /// The zone, where both directions are in one.
    pub zone: Option<u16>,
    /// Seconds since its first packet, where `net.netfilter.nf_conntrack_timestamp` was 1 then.
    pub age: Option<u64>,
    /// The helper that follows it, such as `ftp`.
    pub helper: Option<String>,
    /// How many hold it.
    pub uses: Option<u32>,
    /// The kernel's number of it, which no other connection of its time has; a later one with the same addresses and ports may.
    pub id: Option<u32>,
}

impl Connection {
    /// The name of the transport protocol in conntrack's word, `unknown` for those that conntrack has none for.
    pub fn protocol_name(&self) -> &'static str {
        protocol_name(self.protocol).unwrap_or("unknown")
    }

    /// Who began it, before any translation.
    pub fn source(&self) -> End {
        self.original.source()
    }

    /// Where the first packet was sent, before any translation.
    pub fn destination(&self) -> End {
        self.original.destination()
    }

    /// Whom the far side sees, behind this machine.
    pub fn seen_source(&self) -> End {
        match self.reply.destination() {
            // Of ICMP, the identifier goes with the message, whatever way it goes.
            End { ip, port: None } => End { ip, port: self.reply.source().port },
            end => end,
        }
    }

    /// Where the packets go, behind this machine.
    pub fn seen_destination(&self) -> End {
        End { port: self.destination().port.and(self.reply.source().port), ..self.reply.source() }
    }

    /// Whether this machine rewrites a source or destination of it.
    pub fn is_translated(&self) -> bool {
        self.status.src_nat() || self.status.dst_nat()
    }

    /// How this machine rewrites it, in words: `source 10.0.0.2:1234 -> 203.0.113.1:1234`, or `nothing is rewritten`.
    pub fn rewriting(&self) -> String {
        let ends = [("source", self.source(), self.seen_source()), ("destination", self.destination(), self.seen_destination())];
        let changed = ends.iter().filter(|(_, before, after)| before != after);
        let words: Vec<_> = changed.map(|(end, before, after)| format!("{end} {before} -> {after}")).collect();
        if words.is_empty() { "nothing is rewritten".to_owned() } else { words.join(", ") }
    }

    /// Demands that the far side sees that source: an address, or an address and port.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected) if it sees another, with how this machine rewrites the connection.
    #[track_caller]
    pub fn expect_source(self, source: impl Display) -> Result<Self> {
        let seen = self.seen_source();
        self.demand("source", &source.to_string(), seen, Location::caller())
    }

    /// Demands that the packets go to that destination behind this machine: an address, or an address and port.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected) if they go to another, with how this machine rewrites the connection.
    #[track_caller]
    pub fn expect_destination(self, destination: impl Display) -> Result<Self> {
        let seen = self.seen_destination();
        self.demand("destination", &destination.to_string(), seen, Location::caller())
    }

    fn demand(self, end: &str, wanted: &str, seen: End, here: &'static Location<'static>) -> Result<Self> {
        if seen.to_string() == wanted || wanted.parse() == Ok(seen.ip) {
            return Ok(self);
        }
        let what = format!("see the {end} {wanted} behind the machine that has this connection");
        Err(Error::unexpected(what, format!("it is {seen}")).fact(self.rewriting()).fact(self.to_string()).at(here))
    }
}

/// The names that conntrack has for protocols.
pub(super) fn protocol_name(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        47 => "gre",
        58 => "icmpv6",
        132 => "sctp",
        136 => "udplite",
        _ => return None,
    })
}

impl Display for Connection {
    /// The line of `conntrack -L`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().trim_end())
    }
}

impl Connection {
    fn words(&self) -> String {
        let mut text = format!("{:<8} {} ", self.protocol_name(), self.protocol);
        let mut word = |word: Option<String>| text.extend(word.map(|word| word + " "));
        word(self.timeout.map(|seconds| seconds.to_string()));
        word(self.state.clone());
        word(Some(direction(&self.original, "orig")));
        word((!self.status.seen_reply()).then(|| "[UNREPLIED]".to_owned()));
        word(Some(direction(&self.reply, "reply")));
        let strongest = ["HW_OFFLOAD", "OFFLOAD", "ASSURED"].into_iter().find(|word| self.status.has(word));
        word(strongest.map(|word| format!("[{word}]")));
        word(self.mark.map(|mark| format!("mark={mark}")));
        word(self.secctx.as_ref().map(|context| format!("secctx={context}")));
        word(self.zone.map(|zone| format!("zone={zone}")));
        word(self.age.map(|seconds| format!("delta-time={seconds}")));
        word(self.helper.as_ref().map(|helper| format!("helper={helper}")));
        word(self.uses.map(|uses| format!("use={uses}")));
        text
    }
}

fn direction(tuple: &Tuple, name: &str) -> String {
    let zone = tuple.zone.map(|zone| format!("zone-{name}={zone} ")).unwrap_or_default();
    let counters = tuple.counters.map(|hits| format!("packets={} bytes={} ", hits.packets, hits.bytes)).unwrap_or_default();
    format!("{tuple}{zone}{counters}").trim_end().to_owned()
}
