//! STUN messages (RFC 8489), as much of them as discovers how a NAT behaves (RFC 5780), and what clients of RFC 3489 ask for beside.

use std::net::{IpAddr, SocketAddr};

const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_RESPONSE: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const MAPPED_ADDRESS: u16 = 0x0001;
const CHANGE_REQUEST: u16 = 0x0003;
const SOURCE_ADDRESS: u16 = 0x0004;
const CHANGED_ADDRESS: u16 = 0x0005;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const RESPONSE_ORIGIN: u16 = 0x802b;
const OTHER_ADDRESS: u16 = 0x802c;
/// From here on, whoever does not understand an attribute may leave it.
const OPTIONAL: u16 = 0x8000;

const CHANGE_IP: u32 = 4;
const CHANGE_PORT: u32 = 2;

/// What tells the answers to different requests apart: of RFC 8489 the cookie and 96 bits, of RFC 3489 all of them at will.
pub(crate) type Id = [u8; 16];

/// From where an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) ip: bool,
    pub(crate) port: bool,
}

impl Change {
    pub(crate) const NONE: Self = Self { ip: false, port: false };
}

/// A question for the address that the server sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) id: Id,
    pub(crate) change: Change,
    /// Attributes that have to be understood and are not.
    unknown: Vec<u16>,
}

/// The addresses that an answer tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    /// Whom the server sees.
    pub(crate) client: SocketAddr,
    /// Where the answer comes from.
    pub(crate) origin: SocketAddr,
    /// The server's address and port of which both are others.
    pub(crate) other: SocketAddr,
}

impl Request {
    /// With a number in its identifier that no other request of the process has.
    pub(crate) fn new(number: u64, change: Change) -> Self {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&COOKIE);
        id[4..8].copy_from_slice(&std::process::id().to_be_bytes());
        id[8..].copy_from_slice(&number.to_be_bytes());
        Self { id, change, unknown: Vec::new() }
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut attributes = Vec::new();
        if self.change != Change::NONE {
            let flags = if self.change.ip { CHANGE_IP } else { 0 } | if self.change.port { CHANGE_PORT } else { 0 };
            attribute(&mut attributes, CHANGE_REQUEST, &flags.to_be_bytes());
        }
        message(BINDING_REQUEST, &self.id, &attributes)
    }

    /// The request in a datagram, if it is one.
    pub(crate) fn read(datagram: &[u8]) -> Option<Self> {
        let (id, list) = parts(datagram, BINDING_REQUEST)?;
        let mut request = Self { id, change: Change::NONE, unknown: Vec::new() };
        for (kind, value) in attributes(list) {
            match (kind, value.first_chunk()) {
                (CHANGE_REQUEST, Some(flags)) => {
                    let flags = u32::from_be_bytes(*flags);
                    request.change = Change { ip: flags & CHANGE_IP != 0, port: flags & CHANGE_PORT != 0 };
                }
                (kind, _) if kind < OPTIONAL => request.unknown.push(kind),
                _ => {}
            }
        }
        Some(request)
    }

    /// The answer: the addresses, or which attributes were not understood.
    pub(crate) fn answer(&self, told: &Told) -> Vec<u8> {
        let mut list = Vec::new();
        if !self.unknown.is_empty() {
            attribute(&mut list, ERROR_CODE, b"\x00\x00\x04\x14Unknown Attribute");
            let unknown: Vec<u8> = self.unknown.iter().flat_map(|kind| kind.to_be_bytes()).collect();
            attribute(&mut list, UNKNOWN_ATTRIBUTES, &unknown);
            return message(BINDING_ERROR, &self.id, &list);
        }
        attribute(&mut list, MAPPED_ADDRESS, &address(told.client));
        if self.id.starts_with(&COOKIE) {
            attribute(&mut list, XOR_MAPPED_ADDRESS, &xor(&self.id, address(told.client)));
            attribute(&mut list, RESPONSE_ORIGIN, &address(told.origin));
            attribute(&mut list, OTHER_ADDRESS, &address(told.other));
        } else {
            attribute(&mut list, SOURCE_ADDRESS, &address(told.origin));
            attribute(&mut list, CHANGED_ADDRESS, &address(told.other));
        }
        message(BINDING_RESPONSE, &self.id, &list)
    }

    /// Whom the server sees, if the datagram answers this request.
    pub(crate) fn told(&self, datagram: &[u8]) -> Option<SocketAddr> {
        let (id, list) = parts(datagram, BINDING_RESPONSE)?;
        let (_, value) = attributes(list).find(|(kind, _)| id == self.id && *kind == XOR_MAPPED_ADDRESS)?;
        read_address(&xor(&id, value.to_vec()))
    }
}

fn message(kind: u16, id: &Id, attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(attributes.len()).unwrap_or(u16::MAX);
    [&kind.to_be_bytes(), &length.to_be_bytes(), &id[..], attributes].concat()
}

/// The identifier and the attributes of a message of that kind.
fn parts(datagram: &[u8], wanted: u16) -> Option<(Id, &[u8])> {
    let (&[k0, k1, l0, l1], rest) = datagram.split_first_chunk()?;
    let (id, attributes) = rest.split_first_chunk()?;
    let whole = usize::from(u16::from_be_bytes([l0, l1])) == datagram.len() - HEADER;
    (whole && u16::from_be_bytes([k0, k1]) == wanted).then_some((*id, attributes))
}

fn attribute(list: &mut Vec<u8>, kind: u16, value: &[u8]) {
    list.extend(kind.to_be_bytes());
    list.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    list.extend(value);
    list.resize(list.len().next_multiple_of(4), 0);
}

/// The attributes up to the first that is cut off.
fn attributes(mut list: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (&[k0, k1, l0, l1], rest) = list.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let value = rest.get(..length)?;
        list = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_be_bytes([k0, k1]), value))
    })
}

fn address(address: SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => [&[0, 1][..], &port, &ip.octets()].concat(),
        IpAddr::V6(ip) => [&[0, 2][..], &port, &ip.octets()].concat(),
    }
}

fn read_address(value: &[u8]) -> Option<SocketAddr> {
    let (&[_, family, p0, p1], ip) = value.split_first_chunk()?;
    let ip = match family {
        1 => IpAddr::from(<[u8; 4]>::try_from(ip).ok()?),
        2 => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes([p0, p1])))
}

/// Hides an address from NATs that would translate it in the payload, or shows it again: the port with the cookie, the rest with all.
fn xor(id: &Id, mut address: Vec<u8>) -> Vec<u8> {
    let keys = id[..2].iter().chain(id);
    address.iter_mut().skip(2).zip(keys).for_each(|(byte, key)| *byte ^= key);
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 5769, section 2.2 and 2.3: the addresses of the sample responses.
    #[test]
    fn the_sample_addresses_of_the_rfc_are_read() {
        let id: Id = *b"\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";
        let v4 = xor(&id, b"\x00\x01\xa1\x47\xe1\x12\xa6\x43".to_vec());
        assert_eq!(read_address(&v4).map(|a| a.to_string()), Some("192.0.2.1:32853".to_owned()));
        let v6 = xor(&id, b"\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9".to_vec());
        assert_eq!(read_address(&v6).map(|a| a.to_string()), Some("[2001:db8:1234:5678:11:2233:4455:6677]:32853".to_owned()));
    }

    fn told(client: &str) -> Told {
        let parse = |text: &str| text.parse().unwrap();
        Told { client: parse(client), origin: parse("192.0.2.9:3478"), other: parse("192.0.2.10:3479") }
    }

    #[test]
    fn an_answer_is_for_its_request_alone() {
        for client in ["192.0.2.1:5000", "[2001:db8::1]:5000"] {
            let (request, other) = (Request::new(1, Change::NONE), Request::new(2, Change::NONE));
            let answer = request.answer(&told(client));
            assert_eq!(request.told(&answer).map(|a| a.to_string()), Some(client.to_owned()));
            assert_eq!(other.told(&answer), None);
        }
    }

    #[test]
    fn a_request_that_is_written_reads_the_same() {
        for (ip, port) in [(false, false), (true, false), (false, true), (true, true)] {
            let request = Request::new(7, Change { ip, port });
            assert_eq!(Request::read(&request.write()), Some(request));
        }
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_named() {
        let mut list = Vec::new();
        attribute(&mut list, 0x0026, b"padding");
        attribute(&mut list, 0x8022, b"software");
        let request = Request::read(&message(BINDING_REQUEST, &[7; 16], &list)).unwrap();
        let answer = request.answer(&told("192.0.2.1:5000"));
        assert_eq!(answer[..2], BINDING_ERROR.to_be_bytes());
        assert!(answer.ends_with(&[0, 0x0a, 0, 2, 0, 0x26, 0, 0]), "{answer:02x?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_datagram_is_taken(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), kind in prop_oneof![Just(0x01_u8), Just(0x11)]) {
            let request = Request::new(1, Change::NONE);
            if let [k0, k1, l0, l1, ..] = bytes.as_mut_slice() {
                (*k0, *k1, *l0) = (kind >> 4, 1, 0);
                *l1 = l1.wrapping_rem(70);
            }
            if bytes.len() >= HEADER {
                let length = (bytes.len() - HEADER) as u8;
                bytes[3] = length;
                bytes[4..HEADER].copy_from_slice(&request.id);
            }
            if let Some(read) = Request::read(&bytes) {
                prop_assert!(!read.answer(&told("192.0.2.1:1")).is_empty());
            }
            request.told(&bytes);
        }
    }
}
