//! What came of a probe.

use std::fmt::{self, Display};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::Location;
use std::time::Duration;

use super::{Probe, witness};
use crate::endpoint;
use crate::error::{Error, Result};
use crate::netns::Netns;
use crate::sys::socket::errno_name;
use crate::sys::traffic::{Icmp, Protocol};

/// What came of one try of a [`Probe`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Outcome {
    /// The far side answered.
    Answer(Answer),
    /// Nothing came in the time.
    Silence {
        /// How long was waited.
        waited: Duration,
    },
    /// This host's own kernel refused, such as `ENETUNREACH` (no route), `EHOSTUNREACH` (no neighbour answers, or an `unreachable` route),
    /// `EINVAL` (a `blackhole` route), `EACCES` (a `prohibit` route), `EPERM` (an output rule drops), `EADDRNOTAVAIL`, `EMSGSIZE`.
    LocalError(i32),
    /// A machine on the way, or the far one, sent an ICMP error.
    IcmpError(IcmpError),
    /// The far host says that nobody has the port: a TCP reset, or its own ICMP port unreachable to a datagram (`ECONNREFUSED`).
    Refused,
    /// The far side broke an established connection off (`ECONNRESET`), or ended it without a word.
    Reset,
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => answer.fmt(f),
            Self::Silence { waited } => write!(f, "silence for {waited:.0?}"),
            Self::LocalError(errno) => {
                write!(f, "{} on this host: {}", errno_name(*errno), io::Error::from_raw_os_error(*errno))
            }
            Self::IcmpError(error) => error.fmt(f),
            Self::Refused => f.write_str("refused (nobody has the port there)"),
            Self::Reset => f.write_str("the connection was broken off by the far side"),
        }
    }
}

/// An ICMP error message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct IcmpError {
    /// What it says.
    pub kind: IcmpKind,
    /// Who sent it; for a message about a TCP connection, the kernel may not tell.
    pub from: Option<IpAddr>,
    /// The message's type field, of ICMP or ICMPv6 as the probe is of IPv4 or IPv6.
    pub icmp_type: u8,
    /// The message's code field.
    pub code: u8,
}

/// What an ICMP error says, for IPv4 (RFC 792, RFC 1812) and IPv6 (RFC 4443) alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IcmpKind {
    /// The sender has no route: type 3 code 0, ICMPv6 type 1 code 0.
    NetUnreachable,
    /// The sender's neighbour does not answer: type 3 code 1, ICMPv6 type 1 code 3.
    HostUnreachable,
    /// Type 3 code 2, ICMPv6 type 4 code 1.
    ProtocolUnreachable,
    /// Nobody has the port, or a firewall says so: type 3 code 3, ICMPv6 type 1 code 4.
    PortUnreachable,
    /// A packet that must not be fragmented is larger than the next link takes: type 3 code 4, ICMPv6 type 2.
    FragmentationNeeded {
        /// The MTU of that link in bytes.
        mtu: u32,
    },
    /// A rule or a prohibit route forbids it: type 3 codes 9, 10 and 13, ICMPv6 type 1 codes 1, 5 and 6.
    Prohibited,
    /// The hop limit ran out at the sender: type 11, ICMPv6 type 3.
    TimeExceeded,
    /// Any other.
    Other,
}

impl IcmpKind {
    /// The reason that demands this message from that sender.
    pub fn sent_by(self, sender: impl Display) -> Reason {
        Reason::Icmp { kind: self, sender: Some(sender.to_string()) }
    }
}

impl IcmpError {
    pub(super) fn new(icmp: Icmp) -> Self {
        let kind = match (icmp.v6, icmp.kind, icmp.code) {
            (false, 3, 0 | 6) | (true, 1, 0) => IcmpKind::NetUnreachable,
            (false, 3, 1 | 7) | (true, 1, 3) => IcmpKind::HostUnreachable,
            (false, 3, 2) | (true, 4, 1) => IcmpKind::ProtocolUnreachable,
            (false, 3, 3) | (true, 1, 4) => IcmpKind::PortUnreachable,
            (false, 3, 4) | (true, 2, _) => IcmpKind::FragmentationNeeded { mtu: icmp.info },
            (false, 3, 9 | 10 | 13) | (true, 1, 1 | 5 | 6) => IcmpKind::Prohibited,
            (false, 11, _) | (true, 3, _) => IcmpKind::TimeExceeded,
            _ => IcmpKind::Other,
        };
        Self { kind, from: icmp.from, icmp_type: icmp.kind, code: icmp.code }
    }
}

impl Display for IcmpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetUnreachable => "network unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::ProtocolUnreachable => "protocol unreachable",
            Self::PortUnreachable => "port unreachable",
            Self::FragmentationNeeded { mtu } => return write!(f, "fragmentation needed (mtu {mtu})"),
            Self::Prohibited => "administratively prohibited",
            Self::TimeExceeded => "time exceeded",
            Self::Other => "another error",
        })
    }
}

impl Display for IcmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ICMP {} (type {} code {})", self.kind, self.icmp_type, self.code)?;
        self.from.map_or(Ok(()), |from| write!(f, " from {from}"))
    }
}

/// Why something is to be unreachable, for [`Unreachable::by`]. An errno and an [`IcmpKind`] are reasons too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing comes back.
    Silence,
    /// Nobody has the port: [`Outcome::Refused`].
    Refused,
    /// An established connection is broken off: [`Outcome::Reset`].
    Reset,
    /// This host's own kernel refuses: [`Outcome::LocalError`].
    LocalError(i32),
    /// An ICMP error comes, from `sender` if one is named.
    Icmp {
        /// What it says; of a [`FragmentationNeeded`](IcmpKind::FragmentationNeeded) with MTU 0, any MTU does.
        kind: IcmpKind,
        /// The address that it comes from.
        sender: Option<String>,
    },
}

impl From<i32> for Reason {
    /// An errno, such as `libc::ENETUNREACH`.
    fn from(errno: i32) -> Self {
        Self::LocalError(errno)
    }
}

impl From<IcmpKind> for Reason {
    fn from(kind: IcmpKind) -> Self {
        Self::Icmp { kind, sender: None }
    }
}

impl Reason {
    /// Whether this is why `outcome` is no answer.
    pub fn fits(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Silence, Outcome::Silence { .. }) | (Self::Refused, Outcome::Refused) | (Self::Reset, Outcome::Reset) => true,
            (Self::LocalError(wanted), Outcome::LocalError(errno)) => wanted == errno,
            (Self::Icmp { kind, sender }, Outcome::IcmpError(error)) => {
                let any_mtu =
                    matches!((kind, error.kind), (IcmpKind::FragmentationNeeded { mtu: 0 }, IcmpKind::FragmentationNeeded { .. }));
                let from = error.from.map(|from| from.to_string());
                (any_mtu || *kind == error.kind) && (sender.is_none() || *sender == from)
            }
            _ => false,
        }
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence => f.write_str("silence"),
            Self::Refused => f.write_str("refusal"),
            Self::Reset => f.write_str("a connection that is broken off"),
            Self::LocalError(errno) => write!(f, "{} on this host", errno_name(*errno)),
            Self::Icmp { kind, sender } => {
                write!(f, "ICMP {kind}")?;
                sender.as_ref().map_or(Ok(()), |sender| write!(f, " from {sender}"))
            }
        }
    }
}

/// That a probe got no answer, and what came instead.
#[derive(Debug, Clone)]
pub struct Unreachable {
    netns: Netns,
    probe: Probe,
    outcome: Outcome,
}

impl Unreachable {
    pub(super) fn new(netns: Netns, probe: Probe, outcome: Outcome) -> Self {
        Self { netns, probe, outcome }
    }

    /// What came instead; never [`Outcome::Answer`].
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Demands that this is why: a [`Reason`], an errno of this host, or an [`IcmpKind`] with or without its sender.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected) if something else is the reason, with this side's addresses and route.
    #[track_caller]
    pub fn by(self, reason: impl Into<Reason>) -> Result<Self> {
        let reason = reason.into();
        if reason.fits(&self.outcome) {
            return Ok(self);
        }
        let what = format!("find that {} stays without an answer in `{}` by {reason}", self.probe, self.netns);
        let error = Error::unexpected(what, format!("it was by {}", self.outcome)).at(Location::caller());
        Err(witness::explained(error, &self.netns, &self.probe))
    }
}

/// What the far side answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) asked: String,
    pub(super) protocol: Protocol,
    pub(super) from: SocketAddr,
    pub(super) local: Option<SocketAddr>,
    pub(super) time: Duration,
    pub(super) ttl: Option<u8>,
    pub(super) status: Option<u16>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Who answered, as this end sees it; the port is 0 for a ping.
    pub fn from(&self) -> SocketAddr {
        self.from
    }

    /// The address and port that this end asked from, before anybody translated them; the port of a ping is its identifier.
    pub fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    /// What was spoken.
    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The time from the question to the whole answer.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// The TTL or hop limit that the answer had left: 64 less the routers on the way back, from a Linux host. TCP does not tell it.
    pub fn ttl(&self) -> Option<u8> {
        self.ttl
    }

    /// The HTTP status, such as 200.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The payload: of a ping or datagram, the first line of a TCP server that was asked for it, an HTTP page.
    pub fn body(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The name that a [`Responder`](crate::Responder) tells.
    pub fn server(&self) -> Option<&str> {
        self.told("name")
    }

    /// The client that a [`Responder`](crate::Responder) saw: this end, or who translated its address.
    pub fn source(&self) -> Option<SocketAddr> {
        self.told("client")?.parse().ok().map(endpoint::canonical)
    }

    fn told(&self, key: &str) -> Option<&str> {
        let line = self.body.split(|byte| *byte == b'\n').next()?;
        let mut words = str::from_utf8(line).ok()?.split(' ');
        words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// Demands that the responder saw that client: an address, or an address and port.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected) if it saw another, or if it does not tell.
    #[track_caller]
    pub fn expect_source(self, client: impl Display) -> Result<Self> {
        let wanted = client.to_string();
        let seen = self.source();
        let fits = seen.is_some_and(|seen| seen.to_string() == wanted || wanted.parse() == Ok(seen.ip()));
        self.demand(fits, Location::caller(), || format!("the client {wanted}"), seen.map(|seen| seen.to_string()))
    }

    /// Demands that the responder tells that name.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected) if it tells another, or none.
    #[track_caller]
    pub fn expect_server(self, name: &str) -> Result<Self> {
        let seen = self.server().map(str::to_owned);
        self.demand(seen.as_deref() == Some(name), Location::caller(), || format!("the server `{name}`"), seen)
    }

    /// Demands that the answer arrived with that TTL or hop limit.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected) if it was another, or is not known.
    #[track_caller]
    pub fn expect_ttl(self, ttl: u8) -> Result<Self> {
        let seen = self.ttl;
        self.demand(seen == Some(ttl), Location::caller(), || format!("ttl {ttl}"), seen.map(|ttl| ttl.to_string()))
    }

    fn demand(self, fits: bool, here: &'static Location<'static>, wanted: impl FnOnce() -> String, seen: Option<String>) -> Result<Self> {
        if fits {
            return Ok(self);
        }
        let seen = seen.map_or_else(|| "the answer does not tell".to_owned(), |seen| format!("it is {seen}"));
        let error = Error::unexpected(format!("see {} in the answer to {}", wanted(), self.asked), seen);
        Err(error.fact(self.to_string()).at(here))
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an answer from {}", if self.from.port() == 0 { self.from.ip().to_string() } else { self.from.to_string() })?;
        if let Some(ttl) = self.ttl {
            write!(f, " with ttl {ttl}")?;
        }
        if let Some(status) = self.status {
            write!(f, " with status {status}")?;
        }
        if let (Some(server), Some(source)) = (self.server(), self.source()) {
            write!(f, ": server `{server}` saw client {source}")?;
        }
        Ok(())
    }
}
