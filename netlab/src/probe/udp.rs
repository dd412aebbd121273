//! One datagram and its answer.

use std::io;

use super::Outcome;
use super::attempt::Attempt;
use super::outcome::Answer;
use crate::sys::socket::Client;
use crate::sys::traffic::{Arrival, Protocol};

pub(super) fn ask(attempt: &Attempt<'_>, client: &Client) -> io::Result<Outcome> {
    // Connected, so that only answers from there, and errors about it, arrive.
    if let Err(failure) = client.connect(attempt.target) {
        return Ok(attempt.failed(failure));
    }
    let payload = vec![b'n'; attempt.probe.size];
    if let Err(failure) = client.send(&payload) {
        return Ok(attempt.failed(failure));
    }
    Ok(match client.receive(attempt.deadline)? {
        None => attempt.silence(),
        Some(Arrival::Failure(failure, _)) => attempt.failed(failure),
        Some(Arrival::Data { bytes, ttl, .. }) => Outcome::Answer(Answer {
            asked: attempt.probe.to_string(),
            protocol: Protocol::Udp,
            from: attempt.target,
            local: client.local_addr(),
            time: attempt.start.elapsed(),
            ttl,
            status: None,
            body: bytes,
        }),
    })
}
