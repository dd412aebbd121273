//! A STUN server: it tells clients as whom it sees them, and answers from another address or port if they ask for that.

pub(crate) mod message;

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::sync::Arc;

use self::message::{Request, Told};
use super::datagram::TURN;
use super::explain;
use super::reactor::{Next, Reactor, Source};
use crate::cidr;
use crate::error::{At, Error, Result};
use crate::netns::Netns;
use crate::sys::socket::UdpServer;
use crate::sys::traffic::{Binding, Interest};
use crate::teardown;

/// The port that RFC 8489 gives to STUN, and the next one.
const PORTS: [u16; 2] = [3478, 3479];
/// Bits of a socket's place among the four.
const OTHER_PORT: usize = 1;
const OTHER_IP: usize = 2;

/// A STUN server in a namespace, with two addresses and the ports 3478 and 3479 on each, as discovering a NAT's behaviour needs
/// (RFC 5780). It listens when its constructor returns and goes when it is dropped.
///
/// Clients of RFC 8489 and of RFC 3489 understand it, so that a program under test can use it, too.
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let server = netlab::Netns::new("server")?;
/// let stun = server.stun_server(["203.0.113.9", "203.0.113.10"])?;
/// # Ok(()) }
/// ```
#[must_use = "the server stops as soon as it is dropped: bind it, as in `let stun = server.stun_server(…)?;`"]
pub struct StunServer {
    netns: Netns,
    addresses: [SocketAddr; 4],
    owners: Vec<u64>,
    reactor: Arc<Reactor>,
}

impl Netns {
    /// A STUN server at two addresses of the namespace, of one family.
    ///
    /// # Errors
    ///
    /// [`is_exists`](Error::is_exists) if a port is taken, and by whom if that is a responder; [`is_not_found`](Error::is_not_found) if the
    /// namespace has no such address, with those that it has; [`is_invalid_input`](Error::is_invalid_input) for anything but two addresses
    /// of one family.
    #[track_caller]
    pub fn stun_server<A: Display>(&self, addresses: [A; 2]) -> Result<StunServer> {
        StunServer::start(self, addresses.map(|address| address.to_string())).at(Location::caller())
    }
}

impl StunServer {
    fn start(netns: &Netns, texts: [String; 2]) -> Result<Self> {
        let what = || format!("start a STUN server at {} and {} in `{netns}`", texts[0], texts[1]);
        let [first, second] = [&texts[0], &texts[1]].map(|text| cidr::parse_ip(text).map_err(|why| Error::invalid(what(), why)));
        let (first, second) = (first?, second?);
        if first == second || first.is_ipv4() != second.is_ipv4() {
            return Err(Error::invalid(what(), "it takes two different addresses of one family"));
        }
        let addresses: [SocketAddr; 4] =
            std::array::from_fn(|place| SocketAddr::new(if place & OTHER_IP == 0 { first } else { second }, PORTS[place & OTHER_PORT]));
        let open = |at: SocketAddr| {
            let opened = netns.enter_io(|| UdpServer::bind(at, Binding::default()));
            opened.map_err(|e| explain(Error::new(what(), e), netns, true, at))
        };
        let sockets: Arc<[UdpServer]> = addresses.into_iter().map(open).collect::<Result<_>>()?;
        let reactor = Reactor::current().map_err(|e| Error::new(what(), e))?;
        let mut server = Self { netns: netns.clone(), addresses, owners: Vec::new(), reactor };
        for place in 0..addresses.len() {
            let source = Binder { sockets: sockets.clone(), addresses, place };
            server.owners.push(server.reactor.add(Box::new(source)).map_err(|e| Error::new(what(), e))?);
        }
        Ok(server)
    }

    /// The address and port that clients ask first.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The first address with both ports, then the second address with both.
    pub fn addresses(&self) -> [SocketAddr; 4] {
        self.addresses
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

impl Drop for StunServer {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        self.owners.iter().for_each(|owner| self.reactor.remove(*owner));
    }
}

impl fmt::Debug for StunServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StunServer").field("netns", &self.netns).field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Display for StunServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "STUN server at {} in `{}`", self.address(), self.netns)
    }
}

/// One of the four sockets, which answers from whichever of them is asked for.
struct Binder {
    sockets: Arc<[UdpServer]>,
    addresses: [SocketAddr; 4],
    place: usize,
}

impl Source for Binder {
    fn fd(&self, _: Interest) -> BorrowedFd<'_> {
        self.sockets[self.place].as_fd()
    }

    fn ready(&mut self) -> Next {
        let mut buffer = vec![0; 2048];
        for _ in 0..TURN {
            match self.sockets[self.place].receive(&mut buffer) {
                Ok((length, path)) => self.answer(&buffer[..length], path.client),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                // An ICMP error about an earlier answer: the next datagram may be well.
                Err(_) => {}
            }
        }
        Next::Wait(Interest::Read)
    }
}

impl Binder {
    fn answer(&self, datagram: &[u8], client: SocketAddr) {
        let Some(request) = Request::read(datagram) else { return };
        let flip = |bit: usize, wanted: bool| if wanted { bit } else { 0 };
        let from = self.place ^ flip(OTHER_IP, request.change.ip) ^ flip(OTHER_PORT, request.change.port);
        let other = self.place ^ OTHER_IP ^ OTHER_PORT;
        let told = Told { client, origin: self.addresses[from], other: self.addresses[other] };
        // The client sees silence, as it does when the network loses the answer.
        let _lost = self.sockets[from].send(&request.answer(&told), client);
    }
}
