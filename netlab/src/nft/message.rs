//! nfnetlink messages: a header of four bytes and attributes.

use std::convert::Infallible;

use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};

use super::family::Family;
use super::wire::Writer;

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NFNL_BATCH_GENID: u16 = 1;

/// nf_tables' requests and answers (`NFT_MSG_*`).
pub(crate) mod kind {
    pub(crate) const NEW_TABLE: u16 = 0;
    pub(crate) const GET_TABLE: u16 = 1;
    pub(crate) const DELETE_TABLE: u16 = 2;
    pub(crate) const NEW_CHAIN: u16 = 3;
    pub(crate) const GET_CHAIN: u16 = 4;
    pub(crate) const DELETE_CHAIN: u16 = 5;
    pub(crate) const NEW_RULE: u16 = 6;
    pub(crate) const GET_RULE: u16 = 7;
    pub(crate) const DELETE_RULE: u16 = 8;
    pub(crate) const NEW_SET: u16 = 9;
    pub(crate) const GET_SET: u16 = 10;
    pub(crate) const DELETE_SET: u16 = 11;
    pub(crate) const NEW_ELEMENTS: u16 = 12;
    pub(crate) const GET_ELEMENTS: u16 = 13;
    pub(crate) const DELETE_ELEMENTS: u16 = 14;
    pub(crate) const GET_GENERATION: u16 = 16;
    pub(crate) const NEW_OBJECT: u16 = 18;
    pub(crate) const GET_OBJECT: u16 = 19;
    pub(crate) const GET_RULE_RESET: u16 = 25;
}

/// A message of the netfilter netlink protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Subsystem and kind, as the netlink header has them.
    pub(crate) message_type: u16,
    pub(crate) family: u8,
    /// 0, but for requests whose meaning has changed since.
    pub(crate) version: u8,
    pub(crate) resource: u16,
    pub(crate) attributes: Vec<u8>,
}

impl Message {
    pub(crate) fn new(kind: u16, family: Option<Family>, attributes: Vec<u8>) -> Self {
        Self::of(NFNL_SUBSYS_NFTABLES, kind, family.map_or(0, Family::number), attributes)
    }

    /// A message of any subsystem of nfnetlink.
    pub(crate) fn of(subsystem: u16, kind: u16, family: u8, attributes: Vec<u8>) -> Self {
        Self { message_type: subsystem << 8 | kind, family, version: 0, resource: 0, attributes }
    }

    /// The begin of a transaction, for a ruleset of that generation only if one is given.
    pub(crate) fn begin(generation: Option<u32>) -> Self {
        let mut w = Writer::default();
        if let Some(generation) = generation {
            w.put(NFNL_BATCH_GENID, &generation);
        }
        let attributes = w.finish().unwrap_or_default();
        Self { message_type: NFNL_MSG_BATCH_BEGIN, family: 0, version: 0, resource: NFNL_SUBSYS_NFTABLES, attributes }
    }

    pub(crate) fn end() -> Self {
        Self { message_type: NFNL_MSG_BATCH_END, ..Self::begin(None) }
    }

    /// The kind, if it is one of nf_tables'.
    pub(crate) fn kind(&self) -> Option<u16> {
        (self.message_type >> 8 == NFNL_SUBSYS_NFTABLES).then_some(self.message_type & 0xff)
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.message_type
    }

    fn buffer_len(&self) -> usize {
        4 + self.attributes.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let [high, low] = self.resource.to_be_bytes();
        buffer[..4].copy_from_slice(&[self.family, self.version, high, low]);
        buffer[4..].copy_from_slice(&self.attributes);
    }
}

impl NetlinkDeserializable for Message {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        let (&[family, version, high, low], attributes) = payload.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let resource = u16::from_be_bytes([high, low]);
        Ok(Self { message_type: header.message_type, family, version, resource, attributes: attributes.to_vec() })
    }
}
