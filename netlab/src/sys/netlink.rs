//! A synchronous netlink transport: many requests in one datagram, one acknowledgement, the kernel's extended ack kept.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NetlinkBuffer, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::{
    Socket as RawSocket, SocketAddr,
    protocols::{NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG},
};
use socket2::SockRef;

use super::Refusal;

const NLM_F_DUMP_INTR: u16 = 0x10;
const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSGERR_ATTR_OFFS: u16 = 2;
const RECEIVE_BYTES: usize = 64 * 1024;
const NETFILTER_BUFFER: usize = 4 * 1024 * 1024;

/// A netlink socket. It speaks for the network namespace in which it was opened, from whatever thread it is used.
#[derive(Debug)]
pub(crate) struct Socket {
    raw: RawSocket,
    sequence: u32,
}

/// One request of a batch: a message and the flags beside `NLM_F_REQUEST`.
#[derive(Debug)]
pub(crate) struct Request<M> {
    pub(crate) message: M,
    pub(crate) flags: u16,
}

impl<M> Request<M> {
    pub(crate) fn new(message: M, flags: u16) -> Self {
        Self { message, flags }
    }
}

impl Socket {
    /// A route socket (links, addresses, routes, rules, neighbours) in the calling thread's network namespace.
    pub(crate) fn route() -> io::Result<Self> {
        let socket = Self::open(NETLINK_ROUTE)?;
        socket.raw.set_netlink_get_strict_chk(true)?;
        Ok(socket)
    }

    /// A netfilter socket (nf_tables, conntrack, logs) in the calling thread's network namespace.
    pub(crate) fn netfilter() -> io::Result<Self> {
        let socket = Self::open(NETLINK_NETFILTER)?;
        // A transaction is one datagram, and its rules are echoed at once: the default buffers hold a few hundred of them. The kernel
        // gives as much as net.core.{w,r}mem_max allow.
        let buffers = SockRef::from(&socket.raw);
        buffers.set_send_buffer_size(NETFILTER_BUFFER)?;
        buffers.set_recv_buffer_size(NETFILTER_BUFFER)?;
        Ok(socket)
    }

    /// A socket that lists sockets (sock_diag(7)) of the calling thread's network namespace.
    pub(crate) fn diagnostics() -> io::Result<Self> {
        Self::open(NETLINK_SOCK_DIAG)
    }

    /// A socket of any netlink protocol in the calling thread's network namespace.
    fn open(protocol: isize) -> io::Result<Self> {
        let raw = RawSocket::new(protocol)?;
        raw.set_ext_ack(true)?;
        raw.set_cap_ack(true)?;
        raw.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { raw, sequence: 0 })
    }

    /// Sends all requests in one datagram and returns the answers of each.
    ///
    /// The kernel runs them in order and does not stop at one that fails; the first refusal is returned, with its place.
    pub(crate) fn batch<M>(&mut self, requests: Vec<Request<M>>) -> Result<Vec<Vec<M>>, Refusal>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        let count = requests.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::with_capacity(256 * count);
        for (place, request) in requests.into_iter().enumerate() {
            // Every acknowledgement costs room in the receive buffer: only the last request asks for one.
            let ack = if place + 1 == count { NLM_F_ACK } else { 0 };
            self.sequence = self.sequence.wrapping_add(1);
            push(&mut datagram, request.message, request.flags | NLM_F_REQUEST | ack, self.sequence);
        }
        self.raw.send(&datagram, 0)?;
        self.collect(first, count, false)
    }

    /// Sends all requests between `begin` and `end` as one nfnetlink transaction: all of it happens, or nothing.
    ///
    /// The refusal that is returned is the first one; its place counts the requests alone.
    pub(crate) fn transaction<M>(&mut self, begin: M, requests: Vec<Request<M>>, end: M) -> Result<Vec<Vec<M>>, Refusal>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        let count = requests.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut datagram = Vec::with_capacity(512 * count);
        let envelope = self.sequence.wrapping_add(1);
        push(&mut datagram, begin, NLM_F_REQUEST, envelope);
        for (place, request) in requests.into_iter().enumerate() {
            // Kernels before 6.10 acknowledge neither end of the envelope: the last request does.
            let ack = if place + 1 == count { NLM_F_ACK } else { 0 };
            push(&mut datagram, request.message, request.flags | NLM_F_REQUEST | ack, envelope.wrapping_add(1 + place as u32));
        }
        self.sequence = envelope.wrapping_add(1 + count as u32);
        push(&mut datagram, end, NLM_F_REQUEST, self.sequence);
        self.raw.send(&datagram, 0)?;
        self.collect(envelope.wrapping_add(1), count, true)
    }

    /// Sends one request and waits for its acknowledgement.
    pub(crate) fn request<M>(&mut self, message: M, flags: u16) -> Result<Vec<M>, Refusal>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        let answers = self.batch(vec![Request::new(message, flags)])?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// Lists what the kernel has, as one consistent state: a listing that a change interrupted is asked for again.
    pub(crate) fn dump<M>(&mut self, message: M) -> Result<Vec<M>, Refusal>
    where
        M: NetlinkSerializable + NetlinkDeserializable + Clone,
    {
        loop {
            self.sequence = self.sequence.wrapping_add(1);
            let mut datagram = Vec::new();
            push(&mut datagram, message.clone(), NLM_F_REQUEST | NLM_F_DUMP, self.sequence);
            self.raw.send(&datagram, 0)?;
            if let Some(listing) = self.collect_dump()? {
                return Ok(listing);
            }
        }
    }

    /// `enveloped` requests follow one that stands for all of them: its refusal is the last word.
    fn collect<M: NetlinkDeserializable>(&mut self, first: u32, count: usize, enveloped: bool) -> Result<Vec<Vec<M>>, Refusal> {
        let mut answers: Vec<Vec<M>> = (0..count).map(|_| Vec::new()).collect();
        let mut refusal: Option<Refusal> = None;
        let mut done = false;
        while !done {
            self.receive(|header, payload| {
                let place = header.sequence_number.wrapping_sub(first) as usize;
                if enveloped && header.sequence_number == first.wrapping_sub(1) && header.message_type == NLMSG_ERROR {
                    done = true;
                    if let Some(new) = parse_error(header, payload, 0) {
                        refusal.get_or_insert(new);
                    }
                    return Ok(());
                }
                if place >= count {
                    return Ok(()); // a late answer to an earlier batch that was given up
                }
                match header.message_type {
                    NLMSG_ERROR => {
                        done |= place + 1 == count;
                        if let Some(new) = parse_error(header, payload, place) {
                            refusal.get_or_insert(new);
                        }
                    }
                    NLMSG_DONE | NLMSG_NOOP => {}
                    _ => answers[place].push(decode(header, payload)?),
                }
                Ok(())
            })?;
        }
        refusal.map_or(Ok(answers), Err)
    }

    fn collect_dump<M: NetlinkDeserializable>(&mut self) -> Result<Option<Vec<M>>, Refusal> {
        let sequence = self.sequence;
        let (mut listing, mut interrupted, mut done) = (Vec::new(), false, false);
        let mut refusal = None;
        while !done {
            self.receive(|header, payload| {
                if header.sequence_number != sequence {
                    return Ok(());
                }
                interrupted |= header.flags & NLM_F_DUMP_INTR != 0;
                match header.message_type {
                    NLMSG_DONE => {
                        done = true;
                        refusal = parse_error(header, payload, 0);
                    }
                    NLMSG_ERROR => {
                        done = true;
                        refusal = parse_error(header, payload, 0);
                    }
                    NLMSG_NOOP => {}
                    _ => listing.push(decode(header, payload)?),
                }
                Ok(())
            })?;
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None if interrupted => Ok(None),
            None => Ok(Some(listing)),
        }
    }

    fn receive(&self, mut each: impl FnMut(&NetlinkHeader, &[u8]) -> Result<(), Refusal>) -> Result<(), Refusal> {
        let mut buffer = Vec::with_capacity(RECEIVE_BYTES);
        while let Err(e) = self.raw.recv(&mut buffer, 0) {
            if e.kind() != io::ErrorKind::Interrupted {
                return Err(e.into());
            }
        }
        messages(&buffer, &mut each)
    }
}

/// A socket that hears what the kernel tells a group.
#[derive(Debug)]
pub(crate) struct Listener(RawSocket);

impl Listener {
    /// Hears a group of netfilter in the calling thread's network namespace.
    pub(crate) fn netfilter(group: u32) -> io::Result<Self> {
        let mut raw = RawSocket::new(NETLINK_NETFILTER)?;
        raw.bind_auto()?;
        SockRef::from(&raw).set_recv_buffer_size(NETFILTER_BUFFER)?;
        raw.add_membership(group)?;
        raw.set_non_blocking(true)?;
        Ok(Self(raw))
    }

    /// All that was told until now, as far as the buffer had room.
    pub(crate) fn take<M: NetlinkDeserializable>(&self) -> Result<Vec<M>, Refusal> {
        let mut all = Vec::new();
        loop {
            let mut buffer = Vec::with_capacity(RECEIVE_BYTES);
            match self.0.recv(&mut buffer, 0) {
                Ok(_) => messages(&buffer, &mut |header, payload| {
                    all.push(decode(header, payload)?);
                    Ok(())
                })?,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(all),
                Err(e) if e.kind() == io::ErrorKind::Interrupted || e.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// The messages of a datagram, each with its header.
fn messages(datagram: &[u8], each: &mut impl FnMut(&NetlinkHeader, &[u8]) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let mut rest = datagram;
    while rest.len() >= 16 {
        let message = NetlinkBuffer::new_checked(rest).map_err(malformed)?;
        let length = (message.length() as usize).min(rest.len());
        let mut header = NetlinkHeader::default();
        header.length = message.length();
        header.message_type = message.message_type();
        header.flags = message.flags();
        header.sequence_number = message.sequence_number();
        each(&header, &rest[16..length])?;
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
    }
    Ok(())
}

fn push<M: NetlinkSerializable>(datagram: &mut Vec<u8>, message: M, flags: u16, sequence: u32) {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let start = datagram.len();
    datagram.resize(start + message.buffer_len().next_multiple_of(4), 0);
    message.serialize(&mut datagram[start..]);
}

fn decode<M: NetlinkDeserializable>(header: &NetlinkHeader, payload: &[u8]) -> Result<M, Refusal> {
    M::deserialize(header, payload).map_err(|e| malformed(e.to_string()))
}

fn malformed(why: impl ToString) -> Refusal {
    Refusal { errno: libc::EBADMSG, message: Some(why.to_string()), offset: None, request: 0 }
}

/// NLMSG_ERROR and NLMSG_DONE carry an errno; an error is followed by the request's header and, perhaps, extended ack attributes.
fn parse_error(header: &NetlinkHeader, payload: &[u8], request: usize) -> Option<Refusal> {
    let errno = -i32::from_ne_bytes(payload.get(..4)?.try_into().ok()?);
    let attributes = payload.get(if header.message_type == NLMSG_ERROR { 20 } else { 4 }..).unwrap_or_default();
    (errno != 0).then(|| Refusal { errno, message: extended_ack_message(attributes), offset: extended_ack_offset(attributes), request })
}

fn extended_ack_message(attributes: &[u8]) -> Option<String> {
    let text = extended_ack(attributes, NLMSGERR_ATTR_MSG)?.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(text).trim_end_matches('.').to_owned())
}

fn extended_ack_offset(attributes: &[u8]) -> Option<usize> {
    let offset = extended_ack(attributes, NLMSGERR_ATTR_OFFS)?.first_chunk()?;
    Some(u32::from_ne_bytes(*offset) as usize)
}

fn extended_ack(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    while let [l0, l1, t0, t1, ..] = *attributes {
        let length = u16::from_ne_bytes([l0, l1]) as usize;
        let value = attributes.get(4..length)?;
        if u16::from_ne_bytes([t0, t1]) & 0x3fff == kind {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// Takes all capabilities from the calling thread, for tests of what the kernel then refuses.
#[cfg(test)]
pub(crate) fn drop_capabilities() -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let none = [0_u32; 6];
    // SAFETY: capset reads a header of two words and, for this version, two blocks of three words; both outlive the call.
    let done = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
