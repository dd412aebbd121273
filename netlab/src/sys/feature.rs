//! Kernel features, found out by asking for them.

use std::fs::OpenOptions;
use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use netlink_sys::{
    Socket as RawSocket, SocketAddr,
    protocols::{NETLINK_GENERIC, NETLINK_NETFILTER},
};

use super::{Refusal, netlink};

/// Asks whether there are links of that kind. Leaves one, if there are, in the calling thread's network namespace.
pub(crate) fn link(kind: &str) -> Result<(), Refusal> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Other(kind.to_owned()))]));
    let answer = netlink::Socket::route()?.request(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL);
    // Any other refusal is that of a driver, which so is there: most kinds demand attributes.
    known(answer, &[libc::EOPNOTSUPP, libc::EPERM])
}

/// Asks whether there are queueing disciplines of that kind; may put one on the loopback interface.
pub(crate) fn qdisc(kind: &str) -> Result<(), Refusal> {
    let mut message = TcMessage::with_index(1);
    message.header.parent = TcHandle::ROOT;
    message.attributes.push(TcAttribute::Kind(kind.to_owned()));
    let answer = netlink::Socket::route()?.request(RouteNetlinkMessage::NewQueueDiscipline(message), NLM_F_CREATE | NLM_F_EXCL);
    known(answer, &[libc::ENOENT, libc::EOPNOTSUPP, libc::EPERM])
}

fn known<T>(answer: Result<T, Refusal>, unknown: &[i32]) -> Result<(), Refusal> {
    match answer {
        Err(refusal) if unknown.contains(&refusal.errno) => Err(refusal),
        _ => Ok(()),
    }
}

/// Asks for the device by which programs make tun and tap links.
pub(crate) fn tun() -> Result<(), Refusal> {
    OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    Ok(())
}

/// Asks for an nf_tables base chain of that type (`filter`, `nat`) at postrouting; leaves one.
pub(crate) fn chain(kind: &str) -> Result<(), Refusal> {
    const NFTABLES: u16 = 10 << 8; // NFNL_SUBSYS_NFTABLES
    const BEGIN: u16 = 0x10; // NFNL_MSG_BATCH_BEGIN
    const END: u16 = 0x11;
    let socket = RawSocket::new(NETLINK_NETFILTER)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let hook = [attribute(1, &4u32.to_be_bytes()), attribute(2, &100u32.to_be_bytes())].concat(); // postrouting, srcnat
    let chain = [
        attribute(1, b"netlab\0"),
        attribute(3, b"probe\0"),
        attribute(4 | 0x8000, &hook),
        attribute(7, &[kind.as_bytes(), b"\0"].concat()),
    ];
    let batch = [
        message(BEGIN, 0, 0, 10, &[]),
        message(NFTABLES, NLM_F_CREATE, 2, 0, &attribute(1, b"netlab\0")),
        message(NFTABLES | 3, NLM_F_CREATE | NLM_F_ACK, 2, 0, &chain.concat()),
        message(END, 0, 0, 10, &[]),
    ];
    socket.send(&batch.concat(), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    // The first answer is the first error, or else the acknowledgement that was asked for.
    match errno(&answer) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno).into()),
    }
}

/// Asks for a family of generic netlink.
pub(crate) fn family(name: &str) -> Result<(), Refusal> {
    const CONTROL: u16 = 0x10; // GENL_ID_CTRL
    const GET_FAMILY: u8 = 3; // CTRL_CMD_GETFAMILY
    const FAMILY_NAME: u16 = 2; // CTRL_ATTR_FAMILY_NAME
    const ERROR: u16 = 2; // NLMSG_ERROR
    let socket = RawSocket::new(NETLINK_GENERIC)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // A generic header has the place of a netfilter one: command, version, and two bytes of nothing.
    socket.send(&message(CONTROL, 0, GET_FAMILY, 0, &attribute(FAMILY_NAME, &[name.as_bytes(), b"\0"].concat())), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    match (kind(&answer), errno(&answer)) {
        (Some(ERROR), libc::ENOENT) => {
            Err(Refusal { errno: libc::EOPNOTSUPP, message: Some(format!("no generic netlink family {name}")), offset: None, request: 0 })
        }
        (Some(ERROR), errno) => Err(io::Error::from_raw_os_error(errno).into()),
        _ => Ok(()),
    }
}

fn kind(answer: &[u8]) -> Option<u16> {
    answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes)
}

/// That of an error or acknowledgement, where it is 0.
fn errno(answer: &[u8]) -> i32 {
    answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map_or(libc::EBADMSG, |bytes| -i32::from_ne_bytes(bytes))
}

/// Asks for the list of connections of the calling thread's network namespace.
pub(crate) fn connections() -> Result<(), Refusal> {
    const NLMSG_ERROR: u16 = 2;
    const LIST: u16 = 1 << 8 | 1; // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
    let socket = RawSocket::new(NETLINK_NETFILTER)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&message(LIST, NLM_F_DUMP, 2, 0, &[]), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let number = |bytes: &[u8]| bytes.try_into().map_or(libc::EBADMSG, i32::from_ne_bytes);
    match (answer.get(4..6), answer.get(16..20)) {
        (Some(kind), Some(errno)) if kind == NLMSG_ERROR.to_ne_bytes() => Err(io::Error::from_raw_os_error(-number(errno)).into()),
        _ => Ok(()),
    }
}

/// Asks for a file below /proc/sys.
pub(crate) fn sysctl(key: &str) -> Result<(), Refusal> {
    super::sysctl::read(key)?;
    Ok(())
}

/// Asks for a file below /proc/sys that can be written; the value stays.
pub(crate) fn writable_sysctl(key: &str) -> Result<(), Refusal> {
    super::sysctl::write(key, &super::sysctl::read(key)?)?;
    Ok(())
}

/// Asks for a file system of two directories, in a mount namespace and a memory of its own.
pub(crate) fn overlay() -> Result<(), Refusal> {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    const NOTHING: Option<&str> = None;
    let asked = super::namespace::on_thread("netlab", || {
        unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
        mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
        mount(Some("netlab"), "/run", Some("tmpfs"), MsFlags::empty(), NOTHING)?;
        ["lower", "upper", "work", "merged"].iter().try_for_each(|name| std::fs::create_dir(format!("/run/{name}")))?;
        let options = Some("lowerdir=/run/lower,upperdir=/run/upper,workdir=/run/work");
        Ok(mount(Some("netlab"), "/run/merged", Some("overlay"), MsFlags::empty(), options)?)
    });
    Ok(asked.unwrap_or_else(|_| Err(io::Error::other("the question panicked")))?)
}

/// A netfilter message: header, `nfgenmsg` (family, version, resource), attributes.
fn message(kind: u16, flags: u16, family: u8, resource: u16, attributes: &[u8]) -> Vec<u8> {
    let length = (20 + attributes.len()) as u32;
    let flags = flags | NLM_F_REQUEST;
    let sequence_and_port = [0; 8];
    let generic = [&[family, 0][..], &resource.to_be_bytes()].concat();
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &sequence_and_port, &generic, attributes].concat()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = 4 + value.len();
    let mut bytes = [&(length as u16).to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    bytes.resize(length.next_multiple_of(4), 0);
    bytes
}
