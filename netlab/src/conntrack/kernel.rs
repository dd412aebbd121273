//! What is asked of ctnetlink, the conntrack part of nfnetlink.

use crate::error::Error;
use crate::nft::message::Message;
use crate::nft::wire::Writer;
use crate::sys::Refusal;
use crate::sys::netlink::Socket;

const NFNL_SUBSYS_CTNETLINK: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;

const CTA_MARK: u16 = 8;
const CTA_MARK_MASK: u16 = 21;

/// Connections of IPv4 and of IPv6.
pub(super) const ANY: u8 = 0;

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
