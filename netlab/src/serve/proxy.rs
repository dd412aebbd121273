//! TCP proxy: each connection of a client is one more to the target, and what is said on one is said on the other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ledger::Ledger;
use super::reactor::{Next, Source};
use crate::netns::Netns;
use crate::sys::socket::{dial, reset_on_close};
use crate::sys::traffic::Interest;

/// The most that is read before it is written.
const PIECE: usize = 64 * 1024;

pub(super) struct Proxy {
    pub(super) socket: TcpListener,
    /// Where it connects from.
    pub(super) netns: Netns,
    pub(super) target: SocketAddr,
    pub(super) ledger: Arc<Ledger>,
}

impl Source for Proxy {
    fn fd(&self, _: Interest) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn ready(&mut self) -> Next {
        let mut pipes: Vec<Box<dyn Source>> = Vec::new();
        while let Ok((client, address)) = self.socket.accept() {
            self.ledger.hit(address);
            match self.relay(&client) {
                Ok([to, from]) => pipes.extend([Box::new(to) as Box<dyn Source>, Box::new(from)]),
                // The client sees what the proxy saw: no connection.
                Err(_) => reset_on_close(&client).unwrap_or_default(),
            }
        }
        Next::Spawn(pipes)
    }
}

impl Proxy {
    /// The two directions of a connection.
    fn relay(&self, client: &TcpStream) -> io::Result<[Pipe; 2]> {
        client.set_nonblocking(true)?;
        client.set_nodelay(true)?;
        let target = self.netns.enter_io(|| dial(self.target))?;
        let broken = Arc::<AtomicBool>::default();
        // The one to the target has its turn as soon as the target has accepted, or refused.
        Ok([Pipe::new(client, &target, Interest::Write, &broken)?, Pipe::new(&target, client, Interest::Read, &broken)?])
    }
}

/// One direction of a connection. Each has descriptors of its own, so that each waits for itself.
struct Pipe {
    from: TcpStream,
    to: TcpStream,
    /// What has been read and not been written.
    piece: Vec<u8>,
    first: Interest,
    /// Of both directions.
    broken: Arc<AtomicBool>,
}

impl Pipe {
    fn new(from: &TcpStream, to: &TcpStream, first: Interest, broken: &Arc<AtomicBool>) -> io::Result<Self> {
        Ok(Self { from: from.try_clone()?, to: to.try_clone()?, piece: Vec::new(), first, broken: broken.clone() })
    }

    /// Carries one piece, and tells what it then waits for; nothing: it is over, and the receiver knows.
    fn carry(&mut self) -> io::Result<Option<Interest>> {
        if self.broken.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if let Some(e) = self.to.take_error()? {
            return Err(e);
        }
        if self.piece.is_empty() {
            let mut buffer = [0; PIECE];
            match self.from.read(&mut buffer) {
                Ok(0) => return self.to.shutdown(Shutdown::Write).map(|()| None),
                Ok(length) => self.piece.extend_from_slice(&buffer[..length]),
                Err(e) if is_for_later(&e) => return Ok(Some(Interest::Read)),
                Err(e) => return Err(e),
            }
        }
        while !self.piece.is_empty() {
            match self.to.write(&self.piece) {
                Ok(written) => drop(self.piece.drain(..written)),
                Err(e) if is_for_later(&e) => return Ok(Some(Interest::Write)),
                Err(e) => return Err(e),
            }
        }
        Ok(Some(Interest::Read))
    }
}

fn is_for_later(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl Source for Pipe {
    fn fd(&self, interest: Interest) -> BorrowedFd<'_> {
        match interest {
            Interest::Read => self.from.as_fd(),
            Interest::Write => self.to.as_fd(),
        }
    }

    fn interest(&self) -> Interest {
        self.first
    }

    fn ready(&mut self) -> Next {
        match self.carry() {
            Ok(Some(interest)) => Next::Wait(interest),
            Ok(None) => Next::Close,
            Err(_) => {
                self.abort();
                Next::Close
            }
        }
    }

    /// One side is broken: so is the other. The pipe of the other direction is woken by an end, and the last one to go resets both sides.
    fn abort(&self) {
        self.broken.store(true, Ordering::Relaxed);
        for stream in [&self.from, &self.to] {
            reset_on_close(stream).unwrap_or_default();
            stream.shutdown(Shutdown::Read).unwrap_or_default();
        }
    }
}
