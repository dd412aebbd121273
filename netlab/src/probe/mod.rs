//! Probes: one question to a far machine, and what came of it, typed.

mod attempt;
mod outcome;
mod ping;
mod question;
mod tcp;
mod udp;
pub(crate) mod witness;

use std::fmt::{self, Display};
use std::panic::Location;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub use self::outcome::{Answer, IcmpError, IcmpKind, Outcome, Reason, Unreachable};
use crate::error::{At, Error, Result};
use crate::netns::Netns;

/// How long one try waits for an answer before it is silence.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a verb that demands an answer tries again.
const EVENTUALLY: Duration = Duration::from_secs(3);
/// How long the first of these tries waits; each next one waits twice as long.
const FIRST_TRY: Duration = Duration::from_millis(200);
/// Between two tries that were refused at once.
const PAUSE: Duration = Duration::from_millis(10);

/// A question to a far machine, described: what is asked, whom, from where, and how long to wait.
///
/// A description does nothing; [`Netns::probe`], [`Netns::expect_unreachable`] and [`Netns::observe`] ask it, and report a bad value in it.
/// A [`Responder`](crate::Responder) by reference is a `Probe` to it.
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # use std::time::Duration;
/// use netlab::Probe;
/// # let host = netlab::Netns::new("host")?;
/// host.probe(Probe::ping("10.0.0.1").source("10.0.0.7").size(1400).dont_fragment())?;
/// host.probe(Probe::http("http://10.0.0.1:8080/"))?.expect_server("web1")?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a description does nothing: give it to `Netns::probe`, `Netns::expect_unreachable` or `Netns::observe`"]
pub struct Probe {
    kind: Kind,
    target: String,
    within: Option<Duration>,
    source: Option<String>,
    ttl: Option<u8>,
    size: usize,
    dont_fragment: bool,
    greeted: bool,
    /// Of a ping by a raw socket, instead of the process's own.
    identifier: Option<u16>,
    witness: Option<Arc<dyn Fn() -> String + Send + Sync>>,
}

/// The words of a probe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// `ping`, `udp`, `tcp` or `http`.
    pub(crate) kind: &'static str,
    pub(crate) path: &'a str,
    pub(crate) target: &'a str,
    pub(crate) source: Option<&'a str>,
    pub(crate) ttl: Option<u8>,
    pub(crate) size: usize,
    pub(crate) dont_fragment: bool,
    pub(crate) greeted: bool,
}

impl Asked<'_> {
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Ping,
    Udp,
    Tcp,
    Http { path: String },
}

impl Probe {
    fn new(kind: Kind, target: String) -> Self {
        let size = 56; // as ping(8)
        let (within, source, ttl, witness) = (None, None, None, None);
        Self { kind, target, within, source, ttl, size, dont_fragment: false, greeted: false, identifier: None, witness }
    }

    /// One ICMP echo request to an address, such as `10.0.0.1` or `fe80::1%eth0`. Equals `ping -c 1`.
    pub fn ping(target: impl Display) -> Self {
        Self::new(Kind::Ping, target.to_string())
    }

    /// One datagram to an address and port, such as `203.0.113.9:7000`; whatever comes back from there is the answer.
    pub fn udp(target: impl Display) -> Self {
        Self::new(Kind::Udp, target.to_string())
    }

    /// A TCP connection to an address and port; that it is established is the answer, unless [`greeted`](Self::greeted) asks for more.
    pub fn tcp(target: impl Display) -> Self {
        Self::new(Kind::Tcp, target.to_string())
    }

    /// A GET on a connection of its own, of `http://203.0.113.9:8080/path` or just `203.0.113.9:8080`; every status is an answer.
    ///
    /// Equals `curl`. The host is an address, the port is 80 if none is said.
    pub fn http(url: impl Display) -> Self {
        let url = url.to_string();
        let rest = url.strip_prefix("http://").unwrap_or(&url);
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let has_port = host.rsplit_once(':').is_some_and(|(before, _)| !before.contains(':') || before.ends_with(']'));
        let host = if has_port { host.to_owned() } else { format!("{host}:80") };
        Self::new(Kind::Http { path: format!("/{path}") }, host)
    }

    /// Waits that long: one try for [`Netns::observe`] and [`Netns::expect_unreachable`] (default 1 s), all tries together for
    /// [`Netns::probe`] (default 3 s).
    pub fn within(mut self, within: Duration) -> Self {
        self.within = Some(within);
        self
    }

    /// Asks from that address, or address and port, of the asking namespace.
    pub fn source(mut self, address: impl Display) -> Self {
        self.source = Some(address.to_string());
        self
    }

    /// Lets the packets pass at most that many hops less one (TTL, hop limit), 1 to 255; the default is the kernel's 64.
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The bytes of payload that a ping or datagram carries, 56 by default.
    pub fn size(mut self, bytes: usize) -> Self {
        self.size = bytes;
        self
    }

    /// Forbids to fragment the packets, here and on the way (`ping -M do`).
    pub fn dont_fragment(mut self) -> Self {
        self.dont_fragment = true;
        self
    }

    /// Takes a TCP connection for an answer only if the server says a line on it.
    pub fn greeted(mut self) -> Self {
        self.greeted = true;
        self
    }

    /// What the far side can say about it when the answer does not come.
    pub(crate) fn witnessed(mut self, witness: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.witness = Some(Arc::new(witness));
        self
    }

    /// What is asked, for whoever asks it by other means.
    pub(crate) fn asked(&self) -> Asked<'_> {
        let (kind, path) = match &self.kind {
            Kind::Ping => ("ping", ""),
            Kind::Udp => ("udp", ""),
            Kind::Tcp => ("tcp", ""),
            Kind::Http { path } => ("http", path.as_str()),
        };
        let (source, ttl, size) = (self.source.as_deref(), self.ttl, self.size);
        let (dont_fragment, greeted) = (self.dont_fragment, self.greeted);
        Asked { kind, path, target: &self.target, source, ttl, size, dont_fragment, greeted }
    }

    fn facts(&self) -> Option<String> {
        self.witness.as_ref().map(|witness| witness())
    }
}

impl From<&Probe> for Probe {
    fn from(probe: &Probe) -> Self {
        probe.clone()
    }
}

impl Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Ping => write!(f, "ping {}", self.target)?,
            Kind::Udp => write!(f, "udp {}", self.target)?,
            Kind::Tcp => write!(f, "tcp {}", self.target)?,
            Kind::Http { path } => write!(f, "http://{}{path}", self.target)?,
        }
        self.source.as_ref().map_or(Ok(()), |source| write!(f, " from {source}"))
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe({self})")
    }
}

impl Netns {
    /// Asks until there is an answer, and gives it; tries that fail are repeated for three seconds.
    ///
    /// Each try is a new packet or connection; the first waits 200 ms, each next one twice as long. What is asked is a
    /// [`Responder`](crate::Responder) by reference, or a [`Probe`].
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let (laptop, server) = (netlab::Netns::new("laptop")?, netlab::Netns::new("server")?);
    /// let echo = server.udp_echo("203.0.113.9:7000")?;
    /// laptop.probe(&echo)?.expect_source("10.0.0.2")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected) if no answer came, with the outcome of the last try, this side's addresses and route, and the
    /// responder's count; [`is_invalid_input`](Error::is_invalid_input) for a bad value in the description; or if no socket can be had.
    #[track_caller]
    pub fn probe(&self, probe: impl Into<Probe>) -> Result<Answer> {
        let (here, probe) = (Location::caller(), probe.into());
        self.probe_until(&probe).at(here)
    }

    fn probe_until(&self, probe: &Probe) -> Result<Answer> {
        let patience = probe.within.unwrap_or(EVENTUALLY);
        let deadline = Instant::now() + patience;
        let (mut wait, mut tries) = (FIRST_TRY, 0);
        loop {
            tries += 1;
            let left = deadline.saturating_duration_since(Instant::now());
            let outcome = attempt::attempt(self, probe, wait.min(left))?;
            match outcome {
                Outcome::Answer(answer) => return Ok(answer),
                Outcome::Silence { .. } => wait *= 2,
                // The state of the network is asked for again: there is nothing to wait on that tells every change of it.
                _ => thread::sleep(PAUSE.min(left)),
            }
            if Instant::now() >= deadline {
                let error = Error::unexpected(format!("get an answer in `{self}` to {probe}"), outcome.to_string());
                let error = error.fact(format!("tried {tries} times in {patience:?}"));
                return Err(witness::explained(error, self, probe));
            }
        }
    }

    /// Asks once, demands that no answer comes, and gives what came instead; [`by`](Unreachable::by) demands a reason.
    ///
    /// Silence takes its time: 1 s, or what [`Probe::within`] says. A negative needs a positive beside it that shows that only the one
    /// thing is missing.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let (laptop, router, server) = (netlab::Netns::new("laptop")?, netlab::Netns::new("router")?, netlab::Netns::new("server")?);
    /// use netlab::{IcmpKind, Reason};
    /// # let echo = server.udp_echo("203.0.113.9:7000")?;
    /// router.probe(&echo)?;
    /// laptop.expect_unreachable(&echo)?;
    /// laptop.expect_unreachable(&echo)?.by(Reason::Silence)?;
    /// laptop.expect_unreachable(&echo)?.by(libc::ENETUNREACH)?;
    /// laptop.expect_unreachable(&echo)?.by(IcmpKind::NetUnreachable.sent_by("10.0.0.1"))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected) if an answer came; otherwise as [`probe`](Self::probe).
    #[track_caller]
    pub fn expect_unreachable(&self, probe: impl Into<Probe>) -> Result<Unreachable> {
        let (here, probe) = (Location::caller(), probe.into());
        self.no_answer(probe).at(here)
    }

    fn no_answer(&self, probe: Probe) -> Result<Unreachable> {
        match attempt::attempt(self, &probe, probe.within.unwrap_or(SILENCE))? {
            Outcome::Answer(answer) => {
                let error = Error::unexpected(format!("find that nothing answers {probe} in `{self}`"), answer.to_string());
                Err(witness::both_sides(error, self, &probe))
            }
            outcome => Ok(Unreachable::new(self.clone(), probe, outcome)),
        }
    }

    /// Asks once and gives what came, whatever it is.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let host = netlab::Netns::new("host")?;
    /// use netlab::{Outcome, Probe};
    /// match host.observe(Probe::tcp("10.0.0.1:22"))? {
    ///     Outcome::Answer(answer) => println!("open, after {:?}", answer.time()),
    ///     Outcome::Refused => println!("closed"),
    ///     other => println!("filtered: {other}"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) for a bad value in the description; or if no socket can be had or bound to
    /// [`Probe::source`].
    #[track_caller]
    pub fn observe(&self, probe: impl Into<Probe>) -> Result<Outcome> {
        let (here, probe) = (Location::caller(), probe.into());
        attempt::attempt(self, &probe, probe.within.unwrap_or(SILENCE)).at(here)
    }

    /// Sends one ICMP echo request and gives what came: [`observe`](Self::observe) of [`Probe::ping`].
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let host = netlab::Netns::new("host")?;
    /// if let netlab::Outcome::Answer(reply) = host.ping("10.0.0.1")? {
    ///     println!("ttl={:?} time={:?}", reply.ttl(), reply.time());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`observe`](Self::observe).
    #[track_caller]
    pub fn ping(&self, target: impl Display) -> Result<Outcome> {
        self.observe(Probe::ping(target))
    }

    /// Pings until there is a reply: [`probe`](Self::probe) of [`Probe::ping`].
    ///
    /// # Errors
    ///
    /// As [`probe`](Self::probe).
    #[track_caller]
    pub fn expect_ping(&self, target: impl Display) -> Result<Answer> {
        self.probe(Probe::ping(target))
    }

    /// Pings once and demands that no reply comes: [`expect_unreachable`](Self::expect_unreachable) of [`Probe::ping`].
    ///
    /// # Errors
    ///
    /// As [`expect_unreachable`](Self::expect_unreachable).
    #[track_caller]
    pub fn expect_no_ping(&self, target: impl Display) -> Result<Unreachable> {
        self.expect_unreachable(Probe::ping(target))
    }

    /// Gets a page, with as many tries as it takes: [`probe`](Self::probe) of [`Probe::http`].
    ///
    /// # Errors
    ///
    /// As [`probe`](Self::probe).
    #[track_caller]
    pub fn http_get(&self, url: impl Display) -> Result<Answer> {
        self.probe(Probe::http(url))
    }
}
