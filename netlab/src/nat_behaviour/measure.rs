//! How a NAT behaves, told from outside by asking STUN servers (RFC 5780).

use std::collections::HashSet;
use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Filtering, Mapping};
use crate::error::{At, Error, Result};
use crate::netns::Netns;
use crate::serve::StunServer;
use crate::serve::stun::message::{Change, Request};
use crate::sys::socket::Client;
use crate::sys::traffic::{Arrival, Options, Protocol};

/// How long an answer may take that must come.
const PATIENCE: Duration = Duration::from_secs(3);
/// After how much silence a question is asked again.
const AGAIN: Duration = Duration::from_millis(80);
const TRIES: usize = 3;

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// Whether clients behind a NAT reach each other by their outside address and port (RFC 4787, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hairpinning {
    /// They do not.
    None,
    /// They do, and see each other's outside address.
    ExternalSource,
    /// They do, and see each other's inside address.
    InternalSource,
}

/// How what is between a client and a server treats the client's UDP, as it shows from outside (RFC 4787, RFC 5780).
///
/// It prints as one line: `endpoint-independent mapping, address-dependent filtering, no hairpinning, ports preserved`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NatBehaviour {
    /// For which packets the outside port is the same; none if the client is seen by its own address and port.
    pub mapping: Option<Mapping>,
    /// From whom packets are let in.
    pub filtering: Filtering,
    /// Whether two ports of the client reach each other by their outside address and port, once each has sent to the other.
    pub hairpinning: Hairpinning,
    /// Whether the outside port was the client's own, for the first server that was asked.
    pub ports_preserved: bool,
    /// As whom the server's four addresses and ports saw the client's first port: the first address with both ports, then the second.
    pub mapped: [SocketAddr; 4],
}

impl NatBehaviour {
    /// Measures, with fresh ports of the client's for each question.
    ///
    /// It takes the time of the silences that it finds, of a quarter of a second each.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let (laptop, server) = (netlab::Netns::new("laptop")?, netlab::Netns::new("server")?);
    /// use netlab::nat_behaviour::{Mapping, NatBehaviour};
    /// let stun = server.stun_server(["203.0.113.9", "203.0.113.10"])?;
    /// let behaviour = NatBehaviour::measure(&laptop, &stun)?;
    /// assert_eq!(behaviour.mapping, Some(Mapping::EndpointIndependent), "{behaviour}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`is_timeout`](Error::is_timeout) if the server does not answer the client; or if no socket can be had.
    #[track_caller]
    pub fn measure(client: &Netns, stun: &StunServer) -> Result<Self> {
        Measuring { client, stun }.all().at(Location::caller())
    }

    /// RFC 3489's word for it, if it has one: `full cone`, `restricted cone`, `port restricted cone`, `symmetric`.
    pub fn cone(&self) -> Option<&'static str> {
        match (self.mapping?, self.filtering) {
            (Mapping::EndpointIndependent, Filtering::EndpointIndependent) => Some("full cone"),
            (Mapping::EndpointIndependent, Filtering::AddressDependent) => Some("restricted cone"),
            (Mapping::EndpointIndependent, Filtering::AddressAndPortDependent) => Some("port restricted cone"),
            (Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent) => Some("symmetric"),
            _ => None,
        }
    }
}

impl Display for Hairpinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no hairpinning",
            Self::ExternalSource => "hairpinning",
            Self::InternalSource => "hairpinning with internal source",
        })
    }
}

impl Display for NatBehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mapping {
            Some(mapping) => {
                let ports = if self.ports_preserved { "ports preserved" } else { "ports not preserved" };
                write!(f, "{mapping}, {}, {}, {ports}", self.filtering, self.hairpinning)
            }
            None => write!(f, "no NAT, {}", self.filtering),
        }
    }
}

struct Measuring<'a> {
    client: &'a Netns,
    stun: &'a StunServer,
}

impl Measuring<'_> {
    fn all(&self) -> Result<NatBehaviour> {
        let port = self.open()?;
        let (local, mapped) = (self.local(&port)?, self.mapped(&port)?);
        let mapping = (mapped != [local; 4]).then(|| classify(mapped));
        let ports_preserved = mapped[0].port() == local.port();
        Ok(NatBehaviour { mapping, filtering: self.filtering()?, hairpinning: self.hairpinning()?, ports_preserved, mapped })
    }

    fn what(&self) -> String {
        format!("measure how the NAT between `{}` and the {} behaves", self.client, self.stun)
    }

    fn io<T>(&self, outcome: std::io::Result<T>) -> Result<T> {
        outcome.map_err(|e| Error::new(self.what(), e))
    }

    fn open(&self) -> Result<Client> {
        let to = self.stun.address();
        let any: IpAddr = if to.is_ipv4() { std::net::Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
        let options = Options { source: Some(SocketAddr::new(any, 0)), ..Options::default() };
        self.io(self.client.enter_io(|| Client::open(Protocol::Udp, to.is_ipv6(), &options)))
    }

    /// The port's own address and port, as packets to the server have them.
    fn local(&self, port: &Client) -> Result<SocketAddr> {
        let number = port.local_addr().map_or(0, |address| address.port());
        let to_server = self.open()?;
        let connected = to_server.connect(self.stun.address()).map_err(|failure| std::io::Error::from_raw_os_error(failure.errno));
        self.io(connected)?;
        Ok(SocketAddr::new(to_server.local_addr().map_or(IpAddr::from([0; 4]), |address| address.ip()), number))
    }

    fn mapped(&self, port: &Client) -> Result<[SocketAddr; 4]> {
        let mut mapped = [self.stun.address(); 4];
        for (seen, server) in mapped.iter_mut().zip(self.stun.addresses()) {
            *seen = self.ask(port, server)?;
        }
        Ok(mapped)
    }

    fn filtering(&self) -> Result<Filtering> {
        // A port that sends to one address and port of the server's alone.
        let (port, server) = (self.open()?, self.stun.address());
        self.ask(&port, server)?;
        let lets_in = |ip| {
            let request = request(Change { ip, port: true });
            let cause = || {
                let _unreachable = port.send_to(&request.write(), server);
            };
            Ok::<_, Error>(self.comes(&port, cause, |bytes, _| request.told(bytes))?.is_some())
        };
        Ok(if lets_in(true)? {
            Filtering::EndpointIndependent
        } else if lets_in(false)? {
            Filtering::AddressDependent
        } else {
            Filtering::AddressAndPortDependent
        })
    }

    fn hairpinning(&self) -> Result<Hairpinning> {
        let (ports, server) = ([self.open()?, self.open()?], self.stun.address());
        let mapped = [self.ask(&ports[0], server)?, self.ask(&ports[1], server)?];
        let locals = [self.local(&ports[0])?, self.local(&ports[1])?];
        if mapped == locals {
            return Ok(Hairpinning::None);
        }
        let hello = request(Change::NONE).write();
        // Each opens its own port for the other, which a NAT may ask for.
        let both = || {
            let _unreachable = (ports[1].send_to(&hello, mapped[0]), ports[0].send_to(&hello, mapped[1]));
        };
        let from = self.comes(&ports[0], both, |bytes, from| (bytes == hello).then_some(from))?;
        Ok(match from {
            Some(from) if from.ip() == locals[0].ip() => Hairpinning::InternalSource,
            Some(_) => Hairpinning::ExternalSource,
            None => Hairpinning::None,
        })
    }

    /// As whom a server sees the port.
    fn ask(&self, port: &Client, server: SocketAddr) -> Result<SocketAddr> {
        let request = request(Change::NONE);
        self.hear(port, server, &request, |bytes, _| request.told(bytes))
    }

    /// Asks a server that must answer until something comes that means something.
    fn hear<T>(&self, port: &Client, server: SocketAddr, request: &Request, meaning: impl Fn(&[u8], SocketAddr) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            // An error of the network is silence, as far as a NAT's behaviour goes.
            let _unreachable = port.send_to(&request.write(), server);
            if let Some(meaning) = self.listen(port, AGAIN, &meaning)? {
                return Ok(meaning);
            }
        }
        Err(Error::timeout(self.what(), format!("nothing comes back from {server} in {PATIENCE:?}")))
    }

    /// What the first datagram means that means something.
    fn listen<T>(&self, port: &Client, within: Duration, meaning: impl Fn(&[u8], SocketAddr) -> Option<T>) -> Result<Option<T>> {
        let until = Instant::now() + within;
        while let Some(arrival) = self.io(port.receive(until))? {
            if let Arrival::Data { bytes, from: Some(from), .. } = arrival
                && let Some(meaning) = meaning(&bytes, from)
            {
                return Ok(Some(meaning));
            }
        }
        Ok(None)
    }

    /// What comes to the port, perhaps, after `cause`, which is done several times.
    ///
    /// A silence counts from the answer to a question that was asked after the cause: so it is one, however slow the machine is.
    fn comes<T>(&self, port: &Client, cause: impl Fn(), meaning: impl Fn(&[u8], SocketAddr) -> Option<T>) -> Result<Option<T>> {
        for _ in 0..TRIES {
            cause();
            let fence = request(Change::NONE);
            let either = |bytes: &[u8], from| meaning(bytes, from).map(Some).or_else(|| fence.told(bytes).map(|_| None));
            if let Some(came) = self.hear(port, self.stun.address(), &fence, either)? {
                return Ok(Some(came));
            }
            if let Some(came) = self.listen(port, AGAIN, &meaning)? {
                return Ok(Some(came));
            }
        }
        Ok(None)
    }
}

fn request(change: Change) -> Request {
    Request::new(NUMBER.fetch_add(1, Ordering::Relaxed), change)
}

/// The mapping by which an address and a port of a client was seen by four addresses and ports of servers.
fn classify([a1, a2, b1, b2]: [SocketAddr; 4]) -> Mapping {
    match [a1, a2, b1, b2].into_iter().collect::<HashSet<_>>().len() {
        1 => Mapping::EndpointIndependent,
        2 if a1 == a2 && b1 == b2 => Mapping::AddressDependent,
        _ => Mapping::AddressAndPortDependent,
    }
}
