//! What sockets are asked for and what they answer, the same on every system.

use std::net::{IpAddr, SocketAddr};

/// What a client socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Udp,
    Tcp,
    /// ICMP echo.
    Ping,
}

/// What a probe sets on its socket.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    pub(crate) source: Option<SocketAddr>,
    pub(crate) ttl: Option<u8>,
    pub(crate) dont_fragment: bool,
}

/// An error that the kernel reports on a socket: its own, or one that an ICMP message brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) errno: i32,
    pub(crate) icmp: Option<Icmp>,
}

/// The ICMP message behind an error (`struct sock_extended_err`, ip(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Icmp {
    pub(crate) v6: bool,
    pub(crate) kind: u8,
    pub(crate) code: u8,
    /// The MTU, where the message tells one.
    pub(crate) info: u32,
    pub(crate) from: Option<IpAddr>,
}

/// What came back.
#[derive(Debug)]
pub(crate) enum Arrival {
    Data {
        bytes: Vec<u8>,
        from: Option<SocketAddr>,
        ttl: Option<u8>,
    },
    /// With the bytes of our packet that the report quotes.
    Failure(Failure, Vec<u8>),
}

/// How a responder binds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Binding {
    /// An IPv6 socket leaves IPv4 alone.
    pub(crate) v6_only: bool,
    pub(crate) reuse_port: bool,
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
}
