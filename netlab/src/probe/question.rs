//! What a probe is about, for whoever explains it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Kind, Probe};
use crate::endpoint;
use crate::error::{Error, Result};
use crate::netns::Netns;

impl Probe {
    /// Whom it asks.
    pub(crate) fn endpoint(&self, netns: &Netns) -> Result<SocketAddr> {
        let parsed = match self.kind {
            Kind::Ping => endpoint::parse_host(netns, &self.target),
            _ => endpoint::parse(netns, &self.target),
        };
        parsed.map_err(|why| Error::invalid(format!("ask {self} in `{netns}`"), why))
    }

    /// The number of its transport protocol.
    pub(crate) fn ip_protocol(&self, v6: bool) -> u8 {
        match self.kind {
            Kind::Ping if v6 => 58,
            Kind::Ping => 1,
            Kind::Udp => 17,
            Kind::Tcp | Kind::Http { .. } => 6,
        }
    }

    /// The length of the IP packet that brings a ping or datagram.
    pub(crate) fn packet_length(&self, v6: bool) -> usize {
        const TRANSPORT: usize = 8;
        self.size + TRANSPORT + if v6 { 40 } else { 20 }
    }

    /// Itself, waiting no longer than that unless it was told how long.
    pub(crate) fn with_patience(&self, patience: Duration) -> Self {
        let mut probe = self.clone();
        probe.within.get_or_insert(patience);
        probe
    }

    /// Itself, waiting at most that long.
    pub(crate) fn hurried(&self, most: Duration) -> Self {
        let mut probe = self.clone();
        probe.within = probe.within.map(|within| within.min(most));
        probe
    }

    /// The source that it asks from, as it was written.
    pub(crate) fn source_text(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The same question from a port or by an identifier of its own, so that nobody remembers it.
    pub(crate) fn anew(&self, source: IpAddr) -> Self {
        let mut probe = self.clone();
        probe.source = Some(source.to_string());
        probe.identifier = Some((std::process::id() as u16) ^ 0x5a5a);
        probe
    }
}
