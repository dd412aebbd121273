//! TCP: connections, and what is said on them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use super::Identity;
use super::http;
use super::reactor::{Next, Source};
use crate::sys::socket::reset_on_close;
use crate::sys::traffic::Interest;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Says who it is, then sends back what it gets.
    WhoAmI,
    Http,
    /// Takes everything and says nothing.
    Sink,
}

pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) identity: Identity,
    pub(super) service: Service,
}

impl Source for Listener {
    fn fd(&self, _: Interest) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn ready(&mut self) -> Next {
        let mut accepted: Vec<Box<dyn Source>> = Vec::new();
        while let Ok((stream, client)) = self.socket.accept() {
            if let Some(connection) = self.greet(stream, client) {
                accepted.push(Box::new(connection));
            }
        }
        Next::Spawn(accepted)
    }
}

impl Listener {
    fn greet(&self, stream: TcpStream, client: SocketAddr) -> Option<Connection> {
        if self.service != Service::Http {
            self.identity.ledger.hit(client);
        }
        stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).ok()?;
        let output = if self.service == Service::WhoAmI { self.identity.line(client).into_bytes() } else { Vec::new() };
        let (identity, service) = (self.identity.clone(), self.service);
        let mut connection = Connection { stream, client, identity, service, input: Vec::new(), output, ending: false };
        connection.flush().then_some(connection)
    }
}

struct Connection {
    stream: TcpStream,
    client: SocketAddr,
    identity: Identity,
    service: Service,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Closed as soon as the output is gone.
    ending: bool,
}

impl Source for Connection {
    fn fd(&self, _: Interest) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn ready(&mut self) -> Next {
        // While an answer waits for room, nothing more is read: a client that does not read is slowed down, and memory stays bounded.
        if self.output.is_empty() && !self.ending {
            self.fill();
            self.answer();
        }
        if !self.flush() || (self.ending && self.output.is_empty()) {
            return Next::Close;
        }
        Next::Wait(if self.output.is_empty() { Interest::Read } else { Interest::Write })
    }

    fn abort(&self) {
        reset_on_close(&self.stream).unwrap_or_default();
    }
}

impl Connection {
    fn fill(&mut self) {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.ending = true,
            Ok(length) => self.input.extend_from_slice(&buffer[..length]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.ending = true,
        }
    }

    fn answer(&mut self) {
        match self.service {
            Service::WhoAmI => self.output.append(&mut self.input),
            Service::Sink => self.input.clear(),
            Service::Http => {
                while let Some(request) = http::take_request(&mut self.input) {
                    self.identity.ledger.hit(self.client);
                    self.output.extend(request.answer(&self.identity.line(self.client)));
                    if !request.keep_alive {
                        self.ending = true;
                        break;
                    }
                }
            }
        }
    }

    /// False: the connection is broken.
    fn flush(&mut self) -> bool {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(written) => drop(self.output.drain(..written)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}
