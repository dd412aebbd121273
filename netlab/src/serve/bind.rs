//! Binding: whether an address can be had.

use std::fmt::Display;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::Location;

use super::explain;
use crate::endpoint;
use crate::error::{Error, Result};
use crate::netns::Netns;
use crate::sys::socket::{UdpServer, listen};
use crate::sys::traffic::Binding;

/// An address that was free: the socket that has it now, which goes when it is dropped.
#[derive(Debug)]
#[must_use = "the address is free again as soon as this is dropped; `drop(…)` says that it was only a question"]
pub struct Bound {
    socket: OwnedFd,
    address: SocketAddr,
}

impl Bound {
    /// The address and port that it has.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Netns {
    /// Binds a TCP socket to an address and port and listens there, as a server does (with `SO_REUSEADDR`, without `SO_REUSEPORT`).
    ///
    /// # Errors
    ///
    /// With [`errno`](Error::errno) `EADDRINUSE` if it is taken, `EADDRNOTAVAIL` if the namespace has no such address, `EACCES` for a port
    /// below `net.ipv4.ip_unprivileged_port_start` without privilege.
    #[track_caller]
    pub fn bind_tcp(&self, address: impl Display) -> Result<Bound> {
        self.bind(false, &address.to_string(), Location::caller(), |at| {
            let socket = listen(at, Binding::default())?;
            Ok((socket.local_addr()?, socket.into()))
        })
    }

    /// Binds a UDP socket to an address and port.
    ///
    /// # Errors
    ///
    /// As [`bind_tcp`](Self::bind_tcp).
    #[track_caller]
    pub fn bind_udp(&self, address: impl Display) -> Result<Bound> {
        self.bind(true, &address.to_string(), Location::caller(), |at| {
            let socket = UdpServer::bind(at, Binding::default())?;
            Ok((socket.local_addr()?, socket.into()))
        })
    }

    fn bind(
        &self,
        udp: bool,
        text: &str,
        here: &'static Location<'static>,
        open: impl FnOnce(SocketAddr) -> std::io::Result<(SocketAddr, OwnedFd)> + Send,
    ) -> Result<Bound> {
        let protocol = if udp { "UDP" } else { "TCP" };
        let what = || format!("bind {protocol} `{text}` in `{self}`");
        let wanted = endpoint::parse(self, text).map_err(|why| Error::invalid(what(), why).at(here))?;
        let opened = self.enter_io(|| open(wanted));
        let (address, socket) = opened.map_err(|e| explain(Error::new(what(), e), self, udp, wanted).at(here))?;
        Ok(Bound { socket, address })
    }
}
