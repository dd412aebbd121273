//! Name servers of a tutorial's world: one on the internet that knows its names, and the stub that a desktop's own resolver is.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use netlab::Netns;

use crate::error::{Error, Result};

const HEADER: usize = 12;
const RESPONSE: u8 = 0x80;
const RECURSION_AVAILABLE: u8 = 0x80;
const NAME_ERROR: u8 = 3;
/// The kinds of records: an address, and the name of one.
const A: u8 = 1;
const PTR: u8 = 12;
/// Below this, the name of an address is found, by its bytes from last to first.
const REVERSE: &str = "in-addr.arpa";

/// Starts a name server on a machine; it knows the IPv4 addresses of some names, as long as the test runs.
///
/// # Errors
///
/// If the address cannot be bound.
pub(crate) fn serve(on: &Netns, at: &str, names: &'static [(&'static str, Ipv4Addr)]) -> Result<()> {
    start(on, at, move |question| answer(question, names))
}

/// Starts a name server on a machine that passes questions on to a server, but for the names that it knows itself.
///
/// # Errors
///
/// If the address cannot be bound.
pub(crate) fn embedded(on: &Netns, at: &str, names: &'static [(&'static str, Ipv4Addr)], server: SocketAddr) -> Result<()> {
    let ns = on.clone();
    start(on, at, move |question| {
        let known = name(question, HEADER).is_some_and(|(name, _)| records(&name, names).is_some());
        if known { answer(question, names) } else { ns.run(|| pass_on(question, server)).ok()?.ok() }
    })
}

/// Starts a stub resolver on a machine: it passes questions on to a server, and the answers back.
///
/// # Errors
///
/// If the address cannot be bound.
pub(crate) fn stub(on: &Netns, at: &str, server: SocketAddr) -> Result<()> {
    let ns = on.clone();
    start(on, at, move |question| ns.run(|| pass_on(question, server)).ok()?.ok())
}

fn start(on: &Netns, at: &str, reply: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> Result<()> {
    let bound = on.run(|| UdpSocket::bind(at))?;
    let socket = bound.map_err(|e| Error::World(format!("cannot serve names on `{on}` at {at}: {e}")))?;
    // The thread ends with the process: a machine's stage or test.
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = reply(&buffer[..length]) {
                // A client that has gone needs no answer.
                socket.send_to(&answer, client).unwrap_or_default();
            }
        }
    });
    Ok(())
}

fn pass_on(question: &[u8], server: SocketAddr) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.connect(server)?;
    socket.send(question)?;
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer)?;
    Ok(buffer[..length].to_vec())
}

/// The name of an address, as the name server there tells it; nothing if it has none or does not answer.
///
/// # Errors
///
/// If the namespace cannot be entered.
pub(crate) fn name_of(from: &Netns, address: Ipv4Addr, server: SocketAddr) -> Result<Option<String>> {
    let [a, b, c, d] = address.octets();
    let mut question = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    question.extend(labels(&format!("{d}.{c}.{b}.{a}.{REVERSE}")));
    question.extend([0, PTR, 0, 1]);
    let asked = question.len();
    let answer = from.run(|| pass_on(&question, server))?.unwrap_or_default();
    // The name of the question, type, class, time to live and length take twelve bytes.
    Ok(name(&answer, asked + 12).map(|(name, _)| name))
}

/// The answer to a question of one name (RFC 1035, section 4); nothing for what is none.
fn answer(question: &[u8], names: &[(&str, Ipv4Addr)]) -> Option<Vec<u8>> {
    let (asked_for, end) = name(question, HEADER)?;
    let kind = question.get(end..end + 2)?;
    let asked = question.get(..end + 4)?;
    let records = records(&asked_for, names);
    let mut reply = asked.to_vec();
    reply[2] |= RESPONSE;
    reply[3] = RECURSION_AVAILABLE | if records.is_some() { 0 } else { NAME_ERROR };
    reply[4..HEADER].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    if let Some((known, data)) = records.filter(|(known, _)| kind == [0, *known]) {
        reply[7] = 1;
        // The name of the question, its type, class IN, a minute to live.
        reply.extend([0xc0, HEADER as u8, 0, known, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        reply.extend(data);
    }
    Some(reply)
}

/// What is known of a name: the kind of its record, and the record. An address has the last of the names that have it.
fn records(asked_for: &str, names: &[(&str, Ipv4Addr)]) -> Option<(u8, Vec<u8>)> {
    let Some(reversed) = asked_for.strip_suffix(&format!(".{REVERSE}")) else {
        let (_, address) = names.iter().find(|(known, _)| asked_for.eq_ignore_ascii_case(known))?;
        return Some((A, address.octets().into()));
    };
    let address: Ipv4Addr = reversed.split('.').rev().collect::<Vec<_>>().join(".").parse().ok()?;
    let (name, _) = names.iter().rfind(|(_, known)| *known == address)?;
    Some((PTR, labels(name)))
}

/// A name as messages have it: each label after its length, and an empty one.
fn labels(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| std::iter::once(label.len() as u8).chain(label.bytes()));
    labels.chain([0]).collect()
}

/// The name that begins there, and where it ends.
fn name(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).into_owned());
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[(&str, Ipv4Addr)] = &[("www.example.com", Ipv4Addr::new(203, 0, 113, 80))];

    fn question(kind: u8) -> Vec<u8> {
        let mut question = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in ["WWW", "example", "com"] {
            question.push(label.len() as u8);
            question.extend(label.bytes());
        }
        question.extend([0, 0, kind, 0, 1]);
        question
    }

    #[test]
    fn a_known_name_has_an_address() {
        let reply = answer(&question(1), NAMES).unwrap();
        assert_eq!(reply[..8], [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1]);
        assert!(reply.ends_with(&[0, 4, 203, 0, 113, 80]));
    }

    #[test]
    fn a_known_name_has_no_other_records_and_an_unknown_one_is_an_error() {
        let reply = answer(&question(28), NAMES).unwrap();
        assert_eq!((reply[3] & 0xf, reply[7]), (0, 0));
        let reply = answer(&question(1), &[]).unwrap();
        assert_eq!((reply[3] & 0xf, reply[7]), (NAME_ERROR, 0));
    }

    #[netlab::test]
    fn an_address_has_the_last_of_its_names() -> Result<()> {
        const TWO: &[(&str, Ipv4Addr)] = &[NAMES[0], ("web1.example.com", NAMES[0].1)];
        let host = Netns::current()?;
        serve(&host, "127.0.0.1:53", TWO)?;
        let server = ([127, 0, 0, 1], 53).into();
        assert_eq!(name_of(&host, NAMES[0].1, server)?.as_deref(), Some("web1.example.com"));
        assert_eq!(name_of(&host, Ipv4Addr::LOCALHOST, server)?, None);
        assert_eq!(name_of(&host, NAMES[0].1, ([127, 0, 0, 1], 54).into())?, None);
        Ok(())
    }

    #[test]
    fn what_is_no_question_gets_no_answer() {
        assert_eq!(answer(&[0; 12], NAMES), None);
        assert_eq!(answer(&question(1)[..20], NAMES), None);
    }
}
