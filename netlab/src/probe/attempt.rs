//! One try of a probe: its values checked, its socket opened in the namespace, its errors told apart.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{IcmpError, Kind, Outcome, Probe, ping, tcp, udp, witness};
use crate::endpoint;
use crate::error::{Error, Result};
use crate::netns::Netns;
use crate::sys::socket::Client;
use crate::sys::traffic::{Failure, Options, Protocol};

/// A try under way.
pub(super) struct Attempt<'a> {
    pub(super) netns: &'a Netns,
    pub(super) probe: &'a Probe,
    pub(super) target: SocketAddr,
    pub(super) start: Instant,
    pub(super) deadline: Instant,
}

pub(super) fn attempt(netns: &Netns, probe: &Probe, wait: Duration) -> Result<Outcome> {
    let what = || format!("ask {probe} in `{netns}`");
    let invalid = |why| Error::invalid(what(), why);
    let target = match probe.kind {
        Kind::Ping => endpoint::parse_host(netns, &probe.target),
        _ => endpoint::parse(netns, &probe.target),
    }
    .map_err(invalid)?;
    if target.ip().is_unspecified() {
        return Err(invalid(format!("{} means every address: say which one", target.ip()))
            .help("a responder that is bound to all addresses is asked by `.via(\"ADDRESS\")`"));
    }
    if probe.ttl == Some(0) {
        return Err(invalid("a packet has a TTL of at least 1".to_owned()));
    }
    let source = probe.source.as_ref().map(|text| endpoint::parse_host(netns, text).or_else(|_| endpoint::parse(netns, text)));
    let options = Options { source: source.transpose().map_err(invalid)?, ttl: probe.ttl, dont_fragment: probe.dont_fragment };
    let protocol = match probe.kind {
        Kind::Ping => Protocol::Ping,
        Kind::Udp => Protocol::Udp,
        Kind::Tcp | Kind::Http { .. } => Protocol::Tcp,
    };
    let client = netns.enter_io(|| Client::open(protocol, target.is_ipv6(), &options)).map_err(|e| {
        let error = Error::new(what(), e);
        if error.errno() == Some(libc::EADDRNOTAVAIL) { error.fact(witness::addresses(netns)) } else { error }
    })?;
    let start = Instant::now();
    let attempt = Attempt { netns, probe, target, start, deadline: start + wait };
    match &probe.kind {
        Kind::Ping => ping::ask(&attempt, &client),
        Kind::Udp => udp::ask(&attempt, &client),
        Kind::Tcp => tcp::connect(&attempt, client),
        Kind::Http { path } => tcp::get(&attempt, client, path),
    }
    .map_err(|e| Error::new(what(), e))
}

impl Attempt<'_> {
    pub(super) fn silence(&self) -> Outcome {
        Outcome::Silence { waited: self.start.elapsed() }
    }

    /// Whose error it is: this host's, the target's own refusal, or that of somebody on the way.
    pub(super) fn failed(&self, failure: Failure) -> Outcome {
        let Some(icmp) = failure.icmp else {
            // A TCP reset has no ICMP message behind it, and only the far side sends one: instead of a connection, or to end one so soon that
            // we had no time to look at it.
            let tcp = matches!(self.probe.kind, Kind::Tcp | Kind::Http { .. });
            return match failure.errno {
                libc::ECONNREFUSED if tcp => Outcome::Refused,
                libc::ECONNRESET if tcp => Outcome::Reset,
                errno => Outcome::LocalError(errno),
            };
        };
        let error = IcmpError::new(icmp);
        if error.from == Some(self.target.ip()) && self.probe.kind == Kind::Udp && failure.errno == libc::ECONNREFUSED {
            return Outcome::Refused;
        }
        // The kernel tells its own sockets of an unanswered ARP by an ICMP error that it sends to itself (ipv4_link_failure).
        let is_own = error.from.is_some_and(|from| from != self.target.ip() && witness::has_address(self.netns, from));
        if is_own { Outcome::LocalError(failure.errno) } else { Outcome::IcmpError(error) }
    }
}
