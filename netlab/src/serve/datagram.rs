//! UDP: who am I, and the datagram back.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};

use super::Identity;
use super::reactor::{Next, Source};
use crate::sys::socket::UdpServer;
use crate::sys::traffic::Interest;

/// Datagrams that are served in one turn, so that a flood at one responder does not starve the others.
pub(super) const TURN: usize = 64;

pub(super) struct Datagrams {
    pub(super) socket: UdpServer,
    pub(super) identity: Identity,
    pub(super) silent: bool,
}

impl Source for Datagrams {
    fn fd(&self, _: Interest) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn ready(&mut self) -> Next {
        let mut buffer = vec![0; 64 * 1024];
        for _ in 0..TURN {
            match self.socket.receive(&mut buffer) {
                Ok((length, path)) => {
                    self.identity.ledger.hit(path.client);
                    if !self.silent {
                        let mut answer = self.identity.line(path.client).into_bytes();
                        answer.extend_from_slice(&buffer[..length]);
                        answer.truncate(65_507); // the most that fits in an IPv4 datagram
                        // The client sees silence, as it does when the network loses the answer.
                        let _lost = self.socket.answer(&answer, &path);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                // An ICMP error about an earlier answer: the next datagram may be well.
                Err(_) => {}
            }
        }
        Next::Wait(Interest::Read)
    }
}
