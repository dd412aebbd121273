//! Route netlink messages as they come: a fixed header and attributes, read without trusting any length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};

pub(crate) const AF_UNSPEC: u8 = 0;
pub(crate) const AF_INET: u8 = 2;
/// Linux's number, which differs from other systems'.
pub(crate) const AF_INET6: u8 = 10;
pub(crate) const AF_BRIDGE: u8 = 7;

/// A message of which only the type is known.
///
/// A listing has to show what the kernel has, also an attribute that no decoder knows or one that is longer than it was last year.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    kind: u16,
    bytes: Vec<u8>,
}

impl Raw {
    pub(crate) fn new(kind: u16, bytes: Vec<u8>) -> Self {
        Self { kind, bytes }
    }

    /// The fixed header of `N` bytes and the attributes behind it.
    pub(crate) fn split<const N: usize>(&self) -> Option<(&[u8; N], Attributes<'_>)> {
        let header = self.bytes.first_chunk::<N>()?;
        Some((header, Attributes(self.bytes.get(N.next_multiple_of(4)..).unwrap_or_default())))
    }
}

impl NetlinkSerializable for Raw {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.bytes.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer[..self.bytes.len()].copy_from_slice(&self.bytes);
    }
}

impl NetlinkDeserializable for Raw {
    type Error = std::convert::Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self { kind: header.message_type, bytes: payload.to_vec() })
    }
}

/// Attributes (netlink(7)), read from the front; what is cut off is as if it were not there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Attributes<'a> {
    /// The last attribute of that type, as the kernel's and iproute2's parsers take it.
    pub(crate) fn get(self, kind: u16) -> Option<Value<'a>> {
        self.filter(|(found, _)| *found == kind).last().map(|(_, value)| value)
    }

    pub(crate) fn u8(self, kind: u16) -> Option<u8> {
        self.get(kind)?.u8()
    }

    pub(crate) fn u16(self, kind: u16) -> Option<u16> {
        self.get(kind)?.u16()
    }

    pub(crate) fn u32(self, kind: u16) -> Option<u32> {
        self.get(kind)?.u32()
    }

    pub(crate) fn text(self, kind: u16) -> Option<String> {
        Some(self.get(kind)?.text())
    }

    pub(crate) fn ip(self, kind: u16) -> Option<IpAddr> {
        self.get(kind)?.ip()
    }

    pub(crate) fn nested(self, kind: u16) -> Self {
        self.get(kind).map(Value::nested).unwrap_or_default()
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        /// NLA_F_NESTED and NLA_F_NET_BYTEORDER are no part of the type.
        const TYPE: u16 = 0x3fff;
        let [l0, l1, t0, t1, ..] = *self.0 else { return None };
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([t0, t1]) & TYPE, Value(value)))
    }
}

/// One attribute's bytes. A number that is shorter than it should be is none; a longer one is read from its front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a>(pub(crate) &'a [u8]);

impl<'a> Value<'a> {
    pub(crate) fn u8(self) -> Option<u8> {
        self.0.first().copied()
    }

    pub(crate) fn u16(self) -> Option<u16> {
        self.0.first_chunk().copied().map(u16::from_ne_bytes)
    }

    pub(crate) fn be16(self) -> Option<u16> {
        self.0.first_chunk().copied().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(self) -> Option<u32> {
        self.0.first_chunk().copied().map(u32::from_ne_bytes)
    }

    pub(crate) fn be32(self) -> Option<u32> {
        self.0.first_chunk().copied().map(u32::from_be_bytes)
    }

    pub(crate) fn i32(self) -> Option<i32> {
        self.0.first_chunk().copied().map(i32::from_ne_bytes)
    }

    pub(crate) fn u64(self) -> Option<u64> {
        self.0.first_chunk().copied().map(u64::from_ne_bytes)
    }

    pub(crate) fn be64(self) -> Option<u64> {
        self.0.first_chunk().copied().map(u64::from_be_bytes)
    }

    /// The `n`th number of an array of 32-bit ones.
    pub(crate) fn word(self, n: usize) -> Option<u32> {
        Value(self.0.get(n * 4..)?).u32()
    }

    pub(crate) fn text(self) -> String {
        String::from_utf8_lossy(self.0.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
    }

    /// An IPv4 or IPv6 address, told by its length.
    pub(crate) fn ip(self) -> Option<IpAddr> {
        match *self.0 {
            [a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d).into()),
            _ => Some(Ipv6Addr::from(<[u8; 16]>::try_from(self.0).ok()?).into()),
        }
    }

    pub(crate) fn nested(self) -> Attributes<'a> {
        Attributes(self.0)
    }
}

/// An address and its prefix length; none if the length is impossible.
pub(crate) fn prefix(ip: Option<IpAddr>, family: u8, length: u8) -> Option<IpNet> {
    let any = if family == AF_INET6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    IpNet::new(ip.unwrap_or(any), length).ok()
}

/// Bytes in pairs of hexadecimal digits, as a MAC address is written.
pub(crate) fn colons(bytes: &[u8]) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_up_to_the_first_that_is_cut_off() {
        let bytes = [[5u8, 0, 1, 0, 7, 0, 0, 0].as_slice(), &[8, 0, 2, 0x80, 1, 2, 3, 4], &[200, 0, 3, 0, 1]].concat();
        let attributes = Attributes(&bytes);
        assert_eq!(attributes.u8(1), Some(7));
        assert_eq!(attributes.u32(1), None);
        assert_eq!(attributes.ip(2).map(|ip| ip.to_string()), Some("1.2.3.4".to_owned()));
        assert!(attributes.get(3).is_none());
    }

    #[test]
    fn a_length_below_the_header_ends_the_reading() {
        for length in 0..4 {
            assert_eq!(Attributes(&[length, 0, 1, 0, 9, 9, 9, 9]).count(), 0);
        }
    }
}
