//! What is asked of ctnetlink, the conntrack part of nfnetlink.

use super::codec;
use super::connection::Connection;
use crate::error::Error;
use crate::nft::message::Message;
use crate::nft::wire::{Writer, attribute};
use crate::sys::Refusal;
use crate::sys::netlink::Socket;

const NFNL_SUBSYS_CTNETLINK: u16 = 1;
const IPCTNL_MSG_CT_GET: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;
const IPCTNL_MSG_CT_GET_STATS: u16 = 5;

const CTA_MARK: u16 = 8;
const CTA_MARK_MASK: u16 = 21;
const CTA_STATS_GLOBAL_ENTRIES: u16 = 1;

/// Connections of IPv4 and of IPv6.
pub(super) const ANY: u8 = 0;
const IPV4: u8 = 2;
const IPV6: u8 = 10;

/// How many connections there are, as the kernel counts them: those that it is about to forget among them.
pub(super) fn count(socket: &mut Socket) -> Result<u32, Refusal> {
    let answers = socket.request(request(IPCTNL_MSG_CT_GET_STATS, ANY, Writer::default()), 0)?;
    Ok(answers.iter().find_map(|answer| attribute(&answer.attributes, CTA_STATS_GLOBAL_ENTRIES)).unwrap_or(0))
}

/// All connections, in the order of the kernel's table, whose seed is random.
pub(super) fn list(socket: &mut Socket) -> Result<Vec<Connection>, Refusal> {
    // To list, the kernel walks the one table of all namespaces, of 262,144 buckets: 16 ms for one connection.
    if count(socket)? == 0 {
        return Ok(Vec::new());
    }
    let answers = socket.dump(request(IPCTNL_MSG_CT_GET, ANY, Writer::default()))?;
    Ok(answers.iter().filter_map(codec::read).collect())
}

/// Deletes the connections of that family, or those of them that have that mark under that mask.
///
/// A namespace that tracks nothing has none, and that is no error.
pub(super) fn flush(socket: &mut Socket, family: u8, mark: Option<(u32, u32)>) -> Result<(), Refusal> {
    let mut w = Writer::default();
    if let Some((value, mask)) = mark {
        w.put(CTA_MARK, &value);
        w.put(CTA_MARK_MASK, &mask);
    }
    let mut message = request(IPCTNL_MSG_CT_DELETE, family, w);
    // To a request of version 0 the kernel deletes those of both families (ctnetlink_del_conntrack).
    message.version = 1;
    socket.request(message, 0).map(drop)
}

/// Deletes this one. The number keeps most others safe that have taken its place: it is made of addresses, ports and a place in memory.
pub(super) fn delete(socket: &mut Socket, connection: &Connection) -> Result<(), Refusal> {
    let mut w = Writer::default();
    codec::write_name(&mut w, connection);
    let family = if connection.original.src.is_ipv4() { IPV4 } else { IPV6 };
    socket.request(request(IPCTNL_MSG_CT_DELETE, family, w), 0).map(drop)
}

fn request(kind: u16, family: u8, attributes: Writer) -> Message {
    Message::of(NFNL_SUBSYS_CTNETLINK, kind, family, attributes.finish().unwrap_or_default())
}

/// What the kernel means by refusing.
pub(super) fn explain(what: String, refusal: Refusal) -> Error {
    // nfnetlink knows no such subsystem, and could not load it.
    let absent = refusal.is(libc::EINVAL) && refusal.message.is_none();
    let error = Error::new(what, refusal);
    if absent { error.help("this kernel does not tell of connections: `modprobe nf_conntrack_netlink`") } else { error }
}
