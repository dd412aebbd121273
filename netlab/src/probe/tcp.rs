//! TCP: the handshake, the first line, an HTTP page.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::Outcome;
use super::attempt::Attempt;
use super::outcome::Answer;
use crate::sys::socket::Client;
use crate::sys::traffic::Protocol;

/// The most of an answer that is taken.
const LIMIT: usize = 4 << 20;

/// A connection, or what came instead.
type Established = Result<(TcpStream, Option<SocketAddr>), Outcome>;

pub(super) fn connect(attempt: &Attempt<'_>, client: Client) -> io::Result<Outcome> {
    let (stream, local) = match establish(attempt, client)? {
        Ok(established) => established,
        Err(outcome) => return Ok(outcome),
    };
    if !attempt.probe.greeted {
        return Ok(answer(attempt, local, None, Vec::new()));
    }
    let read = read_until(attempt, &stream, |bytes| bytes.contains(&b'\n'))?;
    Ok(read.map_or_else(|outcome| outcome, |body| answer(attempt, local, None, body)))
}

pub(super) fn get(attempt: &Attempt<'_>, client: Client, path: &str) -> io::Result<Outcome> {
    let (mut stream, local) = match establish(attempt, client)? {
        Ok(established) => established,
        Err(outcome) => return Ok(outcome),
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: netlab\r\nConnection: close\r\n\r\n", attempt.probe.target);
    if stream.write_all(request.as_bytes()).is_err() {
        return Ok(Outcome::Reset);
    }
    let page = match read_until(attempt, &stream, |bytes| parse(bytes).is_some_and(|page| page.complete))? {
        Ok(page) => page,
        Err(outcome) => return Ok(outcome),
    };
    Ok(match parse(&page) {
        Some(page) => answer(attempt, local, Some(page.status), page.body.to_vec()),
        None => Outcome::Reset, // ended before its head did
    })
}

fn answer(attempt: &Attempt<'_>, local: Option<SocketAddr>, status: Option<u16>, body: Vec<u8>) -> Outcome {
    let (asked, from, time) = (attempt.probe.to_string(), attempt.target, attempt.start.elapsed());
    Outcome::Answer(Answer { asked, protocol: Protocol::Tcp, from, local, time, ttl: None, status, body })
}

fn establish(attempt: &Attempt<'_>, client: Client) -> io::Result<Established> {
    if let Err(failure) = client.connect(attempt.target) {
        return Ok(Err(attempt.failed(failure)));
    }
    Ok(match client.connected(attempt.deadline)? {
        None => Err(attempt.silence()),
        Some(Err(failure)) => Err(attempt.failed(failure)),
        Some(Ok(())) => {
            let local = client.local_addr();
            Ok((client.into_stream()?, local))
        }
    })
}

/// Reads until it is enough or the far side ends; nothing at all before its end is a reset.
fn read_until(attempt: &Attempt<'_>, mut stream: &TcpStream, enough: impl Fn(&[u8]) -> bool) -> io::Result<Result<Vec<u8>, Outcome>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    while !enough(&bytes) && bytes.len() < LIMIT {
        let left = attempt.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Err(attempt.silence()));
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) if bytes.is_empty() => return Ok(Err(Outcome::Reset)),
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(_) => return Ok(Err(Outcome::Reset)),
        }
    }
    Ok(Ok(bytes))
}

struct Page<'a> {
    status: u16,
    body: &'a [u8],
    /// Whether its length is known and all of it is there; else it ends with the connection.
    complete: bool,
}

fn parse(bytes: &[u8]) -> Option<Page<'_>> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let body = &bytes[end + 4..];
    let complete = length.is_some_and(|length| body.len() >= length);
    Some(Page { status, body: &body[..length.unwrap_or(body.len()).min(body.len())], complete })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_complete_when_all_of_its_length_is_there() {
        let page = b"HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nabcd";
        assert!(parse(&page[..20]).is_none());
        assert!(parse(&page[..page.len() - 2]).is_some_and(|page| !page.complete));
        assert!(parse(page).is_some_and(|page| page.complete && page.status == 404 && page.body == b"abc"));
        assert!(parse(b"HTTP/1.0 200 OK\r\n\r\nabc").is_some_and(|page| !page.complete && page.body == b"abc"));
    }
}
