//! Responders: servers of one line, which live in a namespace and tell who they are and whom they see.

mod bind;
mod datagram;
mod http;
mod ledger;
mod proxy;
mod reactor;
mod stream;
pub(crate) mod stun;

use std::fmt::{self, Display};
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

pub use self::bind::Bound;
use self::datagram::Datagrams;
use self::ledger::Ledger;
use self::proxy::Proxy;
use self::reactor::{Reactor, Source};
use self::stream::{Listener, Service};
pub use self::stun::StunServer;
use crate::endpoint;
use crate::error::{Error, Result};
use crate::netns::{Netns, lock};
use crate::probe::{self, Probe};
use crate::sys::socket::{UdpServer, listen};
use crate::sys::traffic::Binding;
use crate::teardown;

/// How long [`Responder::expect_hits`] waits for hits that are on their way.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a responder speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Speaks {
    /// UDP: the line, then the datagram that came.
    UdpEcho,
    /// TCP: the line as soon as the connection is there, then every byte that comes.
    Tcp,
    /// HTTP/1.1 with keep-alive: the line as the page at every path.
    Http,
    /// UDP that takes everything and never answers.
    UdpSink,
    /// TCP that takes connections and everything on them and never says a byte.
    TcpSink,
    /// TCP that connects to somebody else for each client, and carries what is said from one to the other.
    TcpProxy,
}

impl Speaks {
    fn is_udp(self) -> bool {
        matches!(self, Self::UdpEcho | Self::UdpSink)
    }
}

impl Display for Speaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UdpEcho => "UDP echo",
            Self::Tcp => "TCP server",
            Self::Http => "HTTP server",
            Self::UdpSink => "UDP sink",
            Self::TcpSink => "TCP sink",
            Self::TcpProxy => "TCP proxy",
        })
    }
}

/// A server in a namespace that answers who it is and which client it sees, counts its clients, and goes when it is dropped.
///
/// The answer is one line, such as `name=web1 client=10.0.0.2:41234`. It is bound and listens when its constructor returns. When it is
/// dropped its port is free, and its connections are reset, before the drop returns. All responders of a process share one thread, which
/// ends with the last of them.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let (laptop, server) = (netlab::Netns::new("laptop")?, netlab::Netns::new("server")?);
/// let web = server.http_server("203.0.113.9:80")?;
/// let page = laptop.probe(&web)?;
/// assert_eq!(page.server(), Some("server"));
/// assert_eq!(web.hits(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the server stops as soon as it is dropped: bind it, as in `let echo = server.udp_echo(…)?;`"]
pub struct Responder {
    info: Arc<Info>,
    owner: u64,
    reactor: Arc<Reactor>,
}

#[derive(Debug)]
struct Info {
    netns: Netns,
    name: String,
    speaks: Speaks,
    address: SocketAddr,
    place: &'static Location<'static>,
    ledger: Arc<Ledger>,
}

/// Every responder of the process, to name the one that has an address already.
static LIVE: Mutex<Vec<Weak<Info>>> = Mutex::new(Vec::new());

/// What a source has to say and where it counts.
#[derive(Debug, Clone)]
struct Identity {
    name: Arc<str>,
    ledger: Arc<Ledger>,
}

impl Identity {
    fn line(&self, client: SocketAddr) -> String {
        format!("name={} client={}\n", self.name, endpoint::canonical(client))
    }
}

impl Netns {
    /// A UDP server at `address` that answers with a line on who it is and whom it sees, and the datagram.
    ///
    /// # Errors
    ///
    /// As [`Serve::http`].
    #[track_caller]
    pub fn udp_echo(&self, address: impl Display) -> Result<Responder> {
        self.serve(self.name()).udp_echo(address)
    }

    /// A TCP server at `address` that greets with a line on who it is and whom it sees, then sends back what it gets.
    ///
    /// # Errors
    ///
    /// As [`Serve::http`].
    #[track_caller]
    pub fn tcp_server(&self, address: impl Display) -> Result<Responder> {
        self.serve(self.name()).tcp(address)
    }

    /// An HTTP server at `address` whose every page is a line on who it is and whom it sees.
    ///
    /// # Errors
    ///
    /// As [`Serve::http`].
    #[track_caller]
    pub fn http_server(&self, address: impl Display) -> Result<Responder> {
        self.serve(self.name()).http(address)
    }

    /// A server of this namespace that calls itself `name`, described: the next verb starts it.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let host = netlab::Netns::new("host")?;
    /// let web1 = host.serve("web1").http("127.0.0.1:80")?;
    /// let web2 = host.serve("web2").v6_only().http("[::]:80")?;
    /// # Ok(()) }
    /// ```
    pub fn serve(&self, name: impl Into<String>) -> Serve {
        Serve { netns: self.clone(), name: name.into(), binding: Binding::default() }
    }
}

/// A server, described: who it is and how it binds. [`udp_echo`](Self::udp_echo), [`tcp`](Self::tcp), [`http`](Self::http) and the sinks start it.
///
/// An IPv6 wildcard, `[::]:80`, serves IPv4 too, as the kernel's default has it, unless [`v6_only`](Self::v6_only) is said.
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: end it with `.http(…)`, `.tcp(…)` or `.udp_echo(…)`"]
pub struct Serve {
    netns: Netns,
    name: String,
    binding: Binding,
}

impl Serve {
    /// Leaves IPv4 alone (`IPV6_V6ONLY`), so that another server may have the port there.
    pub fn v6_only(mut self) -> Self {
        self.binding.v6_only = true;
        self
    }

    /// Shares the address with others that say so too (`SO_REUSEPORT`); the kernel spreads the clients over them.
    pub fn reuse_port(mut self) -> Self {
        self.binding.reuse_port = true;
        self
    }

    /// Starts a UDP server that answers with its line and the datagram.
    ///
    /// # Errors
    ///
    /// As [`http`](Self::http).
    #[track_caller]
    pub fn udp_echo(self, address: impl Display) -> Result<Responder> {
        self.start(Work::Datagrams { silent: false }, &address.to_string(), Location::caller())
    }

    /// Starts a TCP server that greets with its line and sends back what it gets.
    ///
    /// # Errors
    ///
    /// As [`http`](Self::http).
    #[track_caller]
    pub fn tcp(self, address: impl Display) -> Result<Responder> {
        self.start(Work::Stream(Service::WhoAmI), &address.to_string(), Location::caller())
    }

    /// Starts an HTTP server whose page is its line. Port 0 lets the kernel choose one.
    ///
    /// # Errors
    ///
    /// [`is_exists`](Error::is_exists) if the port is taken, and by whom if that is a responder; [`is_not_found`](Error::is_not_found) if
    /// the namespace has no such address, with those that it has; [`is_invalid_input`](Error::is_invalid_input) for anything but
    /// `ADDRESS:PORT`.
    #[track_caller]
    pub fn http(self, address: impl Display) -> Result<Responder> {
        self.start(Work::Stream(Service::Http), &address.to_string(), Location::caller())
    }

    /// Starts a UDP server that never answers.
    ///
    /// # Errors
    ///
    /// As [`http`](Self::http).
    #[track_caller]
    pub fn udp_sink(self, address: impl Display) -> Result<Responder> {
        self.start(Work::Datagrams { silent: true }, &address.to_string(), Location::caller())
    }

    /// Starts a TCP server that takes connections and never says a byte.
    ///
    /// # Errors
    ///
    /// As [`http`](Self::http).
    #[track_caller]
    pub fn tcp_sink(self, address: impl Display) -> Result<Responder> {
        self.start(Work::Stream(Service::Sink), &address.to_string(), Location::caller())
    }

    /// Starts a TCP proxy: for each client it connects to `target`, from its own namespace and address, and carries what is said from one to
    /// the other, ends and resets too. The target sees the proxy for its client; [`Responder::last_client`] tells who that was.
    ///
    /// Equals `docker-proxy -proto tcp -host-ip … -container-ip …`, or `socat TCP-LISTEN:PORT,fork TCP:TARGET`. A client is accepted before
    /// the target is asked; if that refuses, its connection is broken off.
    ///
    /// # Errors
    ///
    /// As [`http`](Self::http).
    #[track_caller]
    pub fn tcp_proxy(self, address: impl Display, target: impl Display) -> Result<Responder> {
        let (here, netns) = (Location::caller(), self.netns.clone());
        let what = || format!("start {} `{}` in `{netns}` to `{target}`", Speaks::TcpProxy, self.name);
        let target = endpoint::parse(&netns, &target.to_string()).map_err(|why| Error::invalid(what(), why).at(here))?;
        self.start(Work::Proxy { netns, target }, &address.to_string(), here)
    }

    fn start(self, work: Work, text: &str, here: &'static Location<'static>) -> Result<Responder> {
        let speaks = work.speaks();
        let what = format!("start {speaks} `{}` at `{text}` in `{}`", self.name, self.netns);
        let wanted = endpoint::parse(&self.netns, text).map_err(|why| Error::invalid(&what, why).at(here))?;
        if self.name.contains(char::is_whitespace) || self.name.is_empty() {
            return Err(Error::invalid(what, "its name is a word of the answer: at least one character, and no space").at(here));
        }
        let ledger = Arc::<Ledger>::default();
        let identity = Identity { name: self.name.as_str().into(), ledger: ledger.clone() };
        let started = self.netns.enter_io(|| open(work, wanted, self.binding, identity)).and_then(|(source, address)| {
            let reactor = Reactor::current()?;
            Ok((reactor.add(source)?, reactor, address))
        });
        let (owner, reactor, address) = started.map_err(|e| explain(Error::new(what, e), &self.netns, speaks.is_udp(), wanted).at(here))?;
        let info = Arc::new(Info { netns: self.netns, name: self.name, speaks, address, place: here, ledger });
        let mut live = lock(&LIVE);
        live.retain(|info| info.strong_count() > 0);
        live.push(Arc::downgrade(&info));
        Ok(Responder { info, owner, reactor })
    }
}

/// What a responder does.
#[derive(Debug)]
enum Work {
    Datagrams { silent: bool },
    Stream(Service),
    Proxy { netns: Netns, target: SocketAddr },
}

impl Work {
    fn speaks(&self) -> Speaks {
        match self {
            Self::Datagrams { silent: false } => Speaks::UdpEcho,
            Self::Datagrams { silent: true } => Speaks::UdpSink,
            Self::Stream(Service::WhoAmI) => Speaks::Tcp,
            Self::Stream(Service::Http) => Speaks::Http,
            Self::Stream(Service::Sink) => Speaks::TcpSink,
            Self::Proxy { .. } => Speaks::TcpProxy,
        }
    }
}

/// Called in the namespace.
fn open(work: Work, address: SocketAddr, binding: Binding, identity: Identity) -> io::Result<(Box<dyn Source>, SocketAddr)> {
    Ok(match work {
        Work::Datagrams { silent } => {
            let socket = UdpServer::bind(address, binding)?;
            let bound = socket.local_addr()?;
            (Box::new(Datagrams { socket, identity, silent }), bound)
        }
        Work::Stream(service) => {
            let socket = listen(address, binding)?;
            let bound = socket.local_addr()?;
            (Box::new(Listener { socket, identity, service }), bound)
        }
        Work::Proxy { netns, target } => {
            let socket = listen(address, binding)?;
            let bound = socket.local_addr()?;
            (Box::new(Proxy { socket, netns, target, ledger: identity.ledger }), bound)
        }
    })
}

/// The name of the responder that has this socket, and what it speaks.
pub(crate) fn name_at(netns: &Netns, udp: bool, address: SocketAddr) -> Option<String> {
    let live = lock(&LIVE);
    let it = |info: &Arc<Info>| info.speaks.is_udp() == udp && info.address == address && info.netns.is_same(netns);
    live.iter().filter_map(Weak::upgrade).find(it).map(|info| info.name.clone())
}

/// Says who has the port, or which addresses there are.
fn explain(e: Error, netns: &Netns, udp: bool, wanted: SocketAddr) -> Error {
    match e.errno() {
        Some(libc::EADDRINUSE) => holders(netns, udp, wanted).into_iter().fold(e, Error::fact),
        Some(libc::EADDRNOTAVAIL) => e.fact(probe::witness::addresses(netns)),
        _ => e,
    }
}

/// The lines on who is bound where `wanted` would be.
fn holders(netns: &Netns, udp: bool, wanted: SocketAddr) -> Vec<String> {
    let live = lock(&LIVE);
    let in_the_way = |info: &Arc<Info>| {
        let (theirs, ours) = (info.address.ip().to_canonical(), wanted.ip().to_canonical());
        let overlap = theirs == ours || theirs.is_unspecified() || ours.is_unspecified();
        overlap && info.speaks.is_udp() == udp && info.address.port() == wanted.port() && info.netns.is_same(netns)
    };
    let lines: Vec<_> = live
        .iter()
        .filter_map(Weak::upgrade)
        .filter(in_the_way)
        .map(|info| format!("{} `{}`, started at {}, is bound to {}", info.speaks, info.name, info.place, info.address))
        .collect();
    if lines.is_empty() {
        vec!["no responder of this test is bound there: it is some other process's socket, or one of the test's own".to_owned()]
    } else {
        lines
    }
}

impl Responder {
    /// The name that its answers tell.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// The namespace in which it is.
    pub fn netns(&self) -> &Netns {
        &self.info.netns
    }

    /// What it speaks.
    pub fn speaks(&self) -> Speaks {
        self.info.speaks
    }

    /// The address and port to which it is bound.
    pub fn address(&self) -> SocketAddr {
        self.info.address
    }

    /// How often it was asked: datagrams, TCP connections, HTTP requests. Each is counted before it is answered.
    pub fn hits(&self) -> u64 {
        self.info.ledger.read().hits
    }

    /// The client that asked last, as this end sees it.
    pub fn last_client(&self) -> Option<SocketAddr> {
        self.info.ledger.read().last.map(endpoint::canonical)
    }

    /// Demands exactly that many hits, and waits up to two seconds for those that are on their way.
    ///
    /// # Errors
    ///
    /// [`is_timeout`](Error::is_timeout) if there are fewer by then, [`is_unexpected`](Error::is_unexpected) if there are more.
    #[track_caller]
    pub fn expect_hits(&self, hits: u64) -> Result<()> {
        let tally = self.info.ledger.wait(hits, PATIENCE);
        let what = || format!("see {hits} hits at {self}");
        if tally.hits < hits {
            return Err(Error::timeout(what(), format!("after {PATIENCE:?} there are {}", tally.hits)).at(Location::caller()));
        }
        if tally.hits > hits {
            return Err(Error::unexpected(what(), format!("there are {}", tally.hits)).at(Location::caller()));
        }
        Ok(())
    }

    /// The probe that asks this responder by another address, such as that of the router that forwards to it.
    ///
    /// Without a port in it, the responder's own is meant.
    pub fn via(&self, address: impl Display) -> Probe {
        let text = address.to_string();
        let text = match text.parse::<std::net::IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, self.info.address.port()).to_string(),
            Err(_) => text,
        };
        let probe = match self.info.speaks {
            Speaks::UdpEcho | Speaks::UdpSink => Probe::udp(text),
            Speaks::Tcp | Speaks::TcpSink => Probe::tcp(text).greeted(),
            Speaks::Http => Probe::http(text),
            // Whether somebody greets is the target's affair.
            Speaks::TcpProxy => Probe::tcp(text),
        };
        let info = self.info.clone();
        probe.witnessed(move || {
            let tally = info.ledger.read();
            match tally.last {
                Some(last) => format!("{info} has {} hits, the last from {}", tally.hits, endpoint::canonical(last)),
                None => format!("{info} has no hit"),
            }
        })
    }

    /// Stops the server; dropping it does the same.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn close(self) -> Result<()> {
        Ok(())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        self.reactor.remove(self.owner);
    }
}

impl Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` at {} in `{}`", self.speaks, self.name, self.address, self.netns)
    }
}

impl Display for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.fmt(f)
    }
}

impl From<&Responder> for Probe {
    /// Asks the responder where it is bound; one that is bound to all addresses is asked by [`Responder::via`].
    fn from(responder: &Responder) -> Self {
        responder.via(responder.address())
    }
}
