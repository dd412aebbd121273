//! Sockets for probes and responders. A socket belongs to the namespace of the thread that opens it, wherever it is used.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SetSockOpt, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, SockAddr, Socket, Type};

use super::poll;
use super::traffic::{Arrival, Binding, Failure, Icmp, Interest, Options, Protocol};

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self { errno: errno as i32, icmp: None }
    }
}

/// A probe's socket; it never blocks.
#[derive(Debug)]
pub(crate) struct Client {
    socket: Socket,
    raw: bool,
}

impl Client {
    /// Opens and binds a socket in the calling thread's namespace.
    pub(crate) fn open(protocol: Protocol, v6: bool, options: &Options) -> io::Result<Self> {
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let (socket, raw) = match protocol {
            Protocol::Udp => (Socket::new(domain, Type::DGRAM, None)?, false),
            Protocol::Tcp => (Socket::new(domain, Type::STREAM, None)?, false),
            Protocol::Ping => open_ping(domain)?,
        };
        socket.set_nonblocking(true)?;
        // TCP has no ancillary TTL, and would only refuse the question.
        report_errors(&socket, v6, protocol != Protocol::Tcp)?;
        if let Some(ttl) = options.ttl {
            if v6 { socket.set_unicast_hops_v6(ttl.into())? } else { socket.set_ttl_v4(ttl.into())? }
        }
        if options.dont_fragment {
            forbid_fragments(&socket, v6)?;
        }
        if let Some(source) = options.source {
            if protocol == Protocol::Tcp {
                socket.set_reuse_address(true)?;
            }
            // A ping socket's port is the identifier, which the kernel chooses.
            let source = if protocol == Protocol::Ping { SocketAddr::new(source.ip(), 0) } else { source };
            socket.bind(&SockAddr::from(source))?;
        }
        Ok(Self { socket, raw })
    }

    /// Whether it is a raw ICMP socket, which sees everybody's packets and, for IPv4, their IP headers.
    pub(crate) fn is_raw(&self) -> bool {
        self.raw
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok().and_then(|address| address.as_socket())
    }

    /// Connects a datagram socket, or starts to connect a stream.
    pub(crate) fn connect(&self, to: SocketAddr) -> Result<(), Failure> {
        match self.socket.connect(&SockAddr::from(to)) {
            Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(self.explain(e)),
            _ => Ok(()),
        }
    }

    /// How the connection went; nothing: it is not decided at the deadline.
    pub(crate) fn connected(&self, deadline: Instant) -> io::Result<Option<Result<(), Failure>>> {
        if !poll::wait(self.socket.as_fd(), Interest::Write, deadline)? {
            return Ok(None);
        }
        Ok(Some(match self.socket.take_error()? {
            Some(e) => Err(self.explain(e)),
            None => Ok(()),
        }))
    }

    /// The connected stream, blocking as std's are.
    pub(crate) fn into_stream(self) -> io::Result<TcpStream> {
        self.socket.set_nonblocking(false)?;
        Ok(self.socket.into())
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.socket.send(bytes).map(drop).map_err(|e| self.explain(e))
    }

    pub(crate) fn send_to(&self, bytes: &[u8], to: SocketAddr) -> Result<(), Failure> {
        self.socket.send_to(bytes, &SockAddr::from(to)).map(drop).map_err(|e| self.explain(e))
    }

    /// The next thing that comes; nothing: the deadline passed.
    pub(crate) fn receive(&self, deadline: Instant) -> io::Result<Option<Arrival>> {
        loop {
            if !poll::wait(self.socket.as_fd(), Interest::Read, deadline)? {
                return Ok(None);
            }
            if let Some((failure, quoted)) = self.next_report() {
                return Ok(Some(Arrival::Failure(failure, quoted)));
            }
            match self.next_datagram() {
                Ok(arrival) => return Ok(Some(arrival)),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => return Ok(Some(Arrival::Failure(errno.into(), Vec::new()))),
            }
        }
    }

    fn next_datagram(&self) -> nix::Result<Arrival> {
        let mut bytes = vec![0; 64 * 1024];
        let (length, from, ttl) = {
            let mut room = nix::cmsg_space!(libc::c_int, libc::c_int);
            let mut slices = [io::IoSliceMut::new(&mut bytes)];
            let message = recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut slices, Some(&mut room), MsgFlags::MSG_DONTWAIT)?;
            let ttl = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => u8::try_from(ttl).ok(),
                _ => None,
            });
            (message.bytes, message.address.as_ref().and_then(to_std), ttl)
        };
        bytes.truncate(length);
        Ok(Arrival::Data { bytes, from, ttl })
    }

    /// An error just returned, with the ICMP message that caused it, if one did.
    fn explain(&self, e: io::Error) -> Failure {
        let errno = e.raw_os_error().unwrap_or(libc::EIO);
        match self.next_report() {
            Some((failure, _)) if failure.errno == errno => failure,
            _ => Failure { errno, icmp: None },
        }
    }

    fn next_report(&self) -> Option<(Failure, Vec<u8>)> {
        let mut bytes = vec![0; 2048];
        let (length, failure) = {
            let mut room = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6, libc::c_int);
            let mut slices = [io::IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let message = recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut slices, Some(&mut room), flags).ok()?;
            (message.bytes, message.cmsgs().ok()?.find_map(to_failure)?)
        };
        bytes.truncate(length);
        Some((failure, bytes))
    }
}

/// Without privilege where the namespace allows it (`net.ipv4.ping_group_range`), else raw.
fn open_ping(domain: Domain) -> io::Result<(Socket, bool)> {
    let protocol = if domain == Domain::IPV6 { socket2::Protocol::ICMPV6 } else { socket2::Protocol::ICMPV4 };
    match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Err(e) if matches!(e.raw_os_error(), Some(libc::EACCES | libc::EPROTONOSUPPORT)) => {
            Ok((Socket::new(domain, Type::RAW, Some(protocol))?, true))
        }
        other => Ok((other?, false)),
    }
}

fn report_errors(socket: &Socket, v6: bool, ttl: bool) -> io::Result<()> {
    if v6 {
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
        if ttl {
            setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true)?;
        }
    } else {
        setsockopt(socket, sockopt::Ipv4RecvErr, &true)?;
        if ttl {
            setsockopt(socket, sockopt::Ipv4RecvTtl, &true)?;
        }
    }
    Ok(())
}

fn forbid_fragments(socket: &Socket, v6: bool) -> io::Result<()> {
    let (level, name, value) = if v6 {
        (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO)
    } else {
        (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)
    };
    let size = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the descriptor is open, and the kernel reads `size` bytes of `value`, which lives through the call.
    let outcome = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    Errno::result(outcome)?;
    Ok(())
}

fn to_failure(control: ControlMessageOwned) -> Option<Failure> {
    let (error, from) = match control {
        ControlMessageOwned::Ipv4RecvErr(error, from) => (error, from.map(|from| to_ip(from.sin_addr))),
        ControlMessageOwned::Ipv6RecvErr(error, from) => (error, from.map(|from| IpAddr::from(from.sin6_addr.s6_addr).to_canonical())),
        _ => return None,
    };
    let v6 = error.ee_origin == libc::SO_EE_ORIGIN_ICMP6;
    let icmp = (v6 || error.ee_origin == libc::SO_EE_ORIGIN_ICMP).then_some(Icmp {
        v6,
        kind: error.ee_type,
        code: error.ee_code,
        info: error.ee_info,
        from: from.filter(|from| !from.is_unspecified()),
    });
    Some(Failure { errno: error.ee_errno as i32, icmp })
}

fn to_ip(address: libc::in_addr) -> IpAddr {
    IpAddr::from(address.s_addr.to_ne_bytes())
}

fn to_std(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4(SocketAddrV4::new(v4.ip(), v4.port())));
    let v6 = || address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::new(v6.ip(), v6.port(), v6.flowinfo(), v6.scope_id())));
    v4.or_else(v6)
}

fn bind(address: SocketAddr, kind: Type, binding: Binding) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        // Said in any case: the default is a sysctl (net.ipv6.bindv6only).
        socket.set_only_v6(binding.v6_only)?;
    }
    if binding.reuse_port {
        socket.set_reuse_port(true)?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A listening, non-blocking TCP socket in the calling thread's namespace.
pub(crate) fn listen(address: SocketAddr, binding: Binding) -> io::Result<TcpListener> {
    let socket = bind(address, Type::STREAM, binding)?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// A non-blocking stream of the calling thread's namespace that has begun to connect; it is writable when that is decided.
pub(crate) fn dial(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&SockAddr::from(to)) {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
        _ => Ok(socket.into()),
    }
}

/// Makes the stream's end abrupt: a reset, and no TIME_WAIT that would hold the port.
pub(crate) fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO))
}

/// A UDP socket that answers from the address at which it was asked, also when it is bound to all of them.
#[derive(Debug)]
pub(crate) struct UdpServer(Socket);

/// Where an answer goes, and the address that it comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    pub(crate) client: SocketAddr,
    local: Option<Local>,
}

#[derive(Debug, Clone, Copy)]
enum Local {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl UdpServer {
    /// A bound, non-blocking socket in the calling thread's namespace.
    pub(crate) fn bind(address: SocketAddr, binding: Binding) -> io::Result<Self> {
        let socket = bind(address, Type::DGRAM, binding)?;
        if address.is_ipv6() {
            set(&socket, sockopt::Ipv6RecvPacketInfo)?;
        } else {
            set(&socket, sockopt::Ipv4PacketInfo)?;
        }
        Ok(Self(socket))
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()?.as_socket().ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
    }

    /// The next datagram, or `WouldBlock`.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Path)> {
        let mut room = nix::cmsg_space!(libc::in6_pktinfo, libc::in_pktinfo);
        let mut slices = [io::IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(self.0.as_raw_fd(), &mut slices, Some(&mut room), MsgFlags::MSG_DONTWAIT)?;
        let local = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Local::V4(info)),
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(Local::V6(info)),
            _ => None,
        });
        let client = message.address.as_ref().and_then(to_std).ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))?;
        Ok((message.bytes, Path { client, local }))
    }

    /// Sends from the address to which it is bound.
    pub(crate) fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.0.send_to(bytes, &SockAddr::from(to)).map(drop)
    }

    pub(crate) fn answer(&self, bytes: &[u8], path: &Path) -> io::Result<()> {
        let slices = [io::IoSlice::new(bytes)];
        let v4;
        let v6;
        let control = match path.local {
            // The route chooses the interface; only link-local addresses mean nothing without theirs.
            Some(Local::V4(info)) => {
                v4 = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: info.ipi_addr, ..info };
                Some(ControlMessage::Ipv4PacketInfo(&v4))
            }
            Some(Local::V6(info)) => {
                let scoped = std::net::Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local();
                v6 = libc::in6_pktinfo { ipi6_ifindex: if scoped { info.ipi6_ifindex } else { 0 }, ..info };
                Some(ControlMessage::Ipv6PacketInfo(&v6))
            }
            None => None,
        };
        let (flags, fd) = (MsgFlags::MSG_DONTWAIT, self.0.as_raw_fd());
        match path.client {
            SocketAddr::V4(client) => sendmsg(fd, &slices, control.as_slice(), flags, Some(&SockaddrIn::from(client)))?,
            SocketAddr::V6(client) => sendmsg(fd, &slices, control.as_slice(), flags, Some(&SockaddrIn6::from(client)))?,
        };
        Ok(())
    }
}

impl From<UdpServer> for OwnedFd {
    fn from(server: UdpServer) -> Self {
        server.0.into()
    }
}

impl AsFd for UdpServer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn set(socket: &Socket, option: impl SetSockOpt<Val = bool>) -> io::Result<()> {
    Ok(setsockopt(socket, option, &true)?)
}

/// `ENETUNREACH` for 101.
pub(crate) fn errno_name(errno: i32) -> String {
    match Errno::from_raw(errno) {
        Errno::UnknownErrno => format!("errno {errno}"),
        known => format!("{known:?}"),
    }
}
