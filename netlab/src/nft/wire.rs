//! Netlink attributes, written and read.

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED, NlasIterator};

/// Attributes in the order in which they are put.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Writer {
    pub(crate) fn put(&mut self, kind: u16, value: &impl Attribute) {
        value.put(kind, self);
    }

    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) {
        // The length field has 16 bits, and netlink-packet-core cuts silently.
        self.too_long |= value.len() > usize::from(u16::MAX) - 4;
        if !self.too_long {
            let attribute = DefaultNla::new(kind, value.to_vec());
            let start = self.bytes.len();
            self.bytes.resize(start + attribute.buffer_len(), 0);
            attribute.emit(&mut self.bytes[start..]);
        }
    }

    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Writer)) {
        let mut inner = Writer::default();
        fill(&mut inner);
        self.too_long |= inner.too_long;
        self.bytes(kind | NLA_F_NESTED, &inner.bytes);
    }

    /// The attributes, or nothing if one of them is longer than netlink can carry.
    pub(crate) fn finish(self) -> Option<Vec<u8>> {
        (!self.too_long).then_some(self.bytes)
    }
}

/// The attributes of `bytes`, up to the first that is malformed.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(|attribute| {
        let attribute = attribute.ok()?;
        let kind = attribute.kind();
        let value = attribute.into_inner();
        let end = usize::from(u16::from_ne_bytes([*value.first()?, *value.get(1)?]));
        Some((kind, value.get(4..end)?))
    })
}

pub(crate) fn attribute<T: Attribute>(bytes: &[u8], kind: u16) -> Option<T> {
    attributes(bytes).find(|(k, _)| *k == kind).and_then(|(_, value)| T::get(value))
}

/// A value that an attribute holds. Numbers are big-endian in nf_tables.
pub(crate) trait Attribute: Sized {
    fn put(&self, kind: u16, writer: &mut Writer);
    fn get(value: &[u8]) -> Option<Self>;
}

macro_rules! number_attributes {
    ($($number:ty)*) => { $(
        impl Attribute for $number {
            fn put(&self, kind: u16, writer: &mut Writer) {
                writer.bytes(kind, &self.to_be_bytes());
            }
            fn get(value: &[u8]) -> Option<Self> {
                value.try_into().ok().map(Self::from_be_bytes)
            }
        }
    )* };
}
number_attributes!(u8 u16 u32 u64 i32);

impl Attribute for String {
    fn put(&self, kind: u16, writer: &mut Writer) {
        let mut value = self.as_bytes().to_vec();
        value.push(0);
        writer.bytes(kind, &value);
    }
    fn get(value: &[u8]) -> Option<Self> {
        let text = value.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

impl Attribute for Vec<u8> {
    fn put(&self, kind: u16, writer: &mut Writer) {
        writer.bytes(kind, self);
    }
    fn get(value: &[u8]) -> Option<Self> {
        Some(value.to_vec())
    }
}

impl<const N: usize> Attribute for [u8; N] {
    fn put(&self, kind: u16, writer: &mut Writer) {
        writer.bytes(kind, self);
    }
    fn get(value: &[u8]) -> Option<Self> {
        value.try_into().ok()
    }
}

/// A field of a message or expression: required as `T`, optional as `Option<T>`.
pub(crate) trait Field: Sized {
    fn write(&self, kind: u16, writer: &mut Writer);
    fn read(value: Option<&[u8]>) -> Option<Self>;
}

impl<T: Attribute> Field for T {
    fn write(&self, kind: u16, writer: &mut Writer) {
        self.put(kind, writer);
    }
    fn read(value: Option<&[u8]>) -> Option<Self> {
        T::get(value?)
    }
}

impl<T: Attribute> Field for Option<T> {
    fn write(&self, kind: u16, writer: &mut Writer) {
        if let Some(value) = self {
            value.put(kind, writer);
        }
    }
    fn read(value: Option<&[u8]>) -> Option<Self> {
        value.map_or(Some(None), |value| T::get(value).map(Some))
    }
}
