//! ICMP echo (RFC 792, RFC 4443).

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use super::Outcome;
use super::attempt::Attempt;
use super::outcome::Answer;
use crate::sys::socket::Client;
use crate::sys::traffic::{Arrival, Protocol};

/// The type, code, checksum, identifier and sequence number.
const HEADER: usize = 8;

static SEQUENCE: AtomicU16 = AtomicU16::new(1);

pub(super) fn ask(attempt: &Attempt<'_>, client: &Client) -> io::Result<Outcome> {
    let v6 = attempt.target.is_ipv6();
    let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
    let identifier = attempt.probe.identifier.unwrap_or(std::process::id() as u16);
    let request = request(v6, identifier, sequence, attempt.probe.size);
    if let Err(failure) = client.send_to(&request, attempt.target) {
        return Ok(attempt.failed(failure));
    }
    loop {
        match client.receive(attempt.deadline)? {
            None => return Ok(attempt.silence()),
            Some(Arrival::Failure(failure, quoted)) if !client.is_raw() || same_echo(&quoted, &request) => {
                return Ok(attempt.failed(failure));
            }
            Some(Arrival::Failure(..)) => {}
            Some(Arrival::Data { bytes, from, ttl }) => {
                let message = if client.is_raw() && !v6 { without_ip_header(&bytes) } else { &bytes[..] };
                if let Some(payload) = reply_payload(message, v6, client.is_raw(), &request) {
                    return Ok(Outcome::Answer(Answer {
                        asked: attempt.probe.to_string(),
                        protocol: Protocol::Ping,
                        from: SocketAddr::new(from.unwrap_or(attempt.target).ip(), 0),
                        local: local(client, &request),
                        time: attempt.start.elapsed(),
                        ttl,
                        status: None,
                        body: payload.to_vec(),
                    }));
                }
            }
        }
    }
}

/// The asking end; the port that the kernel tells for a raw socket is the protocol.
fn local(client: &Client, request: &[u8]) -> Option<SocketAddr> {
    let identifier = request.get(4..6).filter(|_| client.is_raw()).map(|id| u16::from_be_bytes([id[0], id[1]]));
    client.local_addr().map(|local| SocketAddr::new(local.ip(), identifier.unwrap_or(local.port())))
}

fn request(v6: bool, identifier: u16, sequence: u16, size: usize) -> Vec<u8> {
    let mut message = vec![if v6 { 128 } else { 8 }, 0, 0, 0];
    // A datagram socket replaces the identifier by its own, and fills in the checksum; a raw one needs both.
    message.extend(identifier.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend((0..size).map(|place| place as u8));
    if !v6 {
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum = words.fold(0u32, |sum, word| sum.wrapping_add(word));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn without_ip_header(packet: &[u8]) -> &[u8] {
    let length = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    packet.get(length..).unwrap_or_default()
}

/// The payload, if the message is the reply to the request.
fn reply_payload<'a>(message: &'a [u8], v6: bool, raw: bool, request: &[u8]) -> Option<&'a [u8]> {
    let ours = message.first() == Some(if v6 { &129 } else { &0 })
        && message.get(6..HEADER) == request.get(6..HEADER)
        && (!raw || message.get(4..6) == request.get(4..6));
    ours.then(|| message.get(HEADER..)).flatten()
}

/// Whether an error's quotation of a packet is of this request.
fn same_echo(quoted: &[u8], request: &[u8]) -> bool {
    quoted.first() == request.first() && quoted.get(4..HEADER) == request.get(4..HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_its_checksum_sums_to_zero() {
        for size in [0, 1, 56, 1473] {
            assert_eq!(checksum(&request(false, 1, 7, size)), 0);
        }
    }

    #[test]
    fn only_the_reply_to_this_request_is_taken() {
        let request = request(false, 1, 7, 3);
        let mut reply = request.clone();
        reply[0] = 0;
        assert_eq!(reply_payload(&reply, false, true, &request), Some(&[0, 1, 2][..]));
        assert_eq!(reply_payload(&request, false, true, &request), None);
        reply[7] = 8;
        assert_eq!(reply_payload(&reply, false, true, &request), None);
        assert_eq!(reply_payload(&[0; 5], false, false, &request), None);
        assert_eq!(without_ip_header(&[0x45; 24]), &[0x45; 4]);
        assert_eq!(without_ip_header(&[0x4f; 24]), b"");
    }
}
