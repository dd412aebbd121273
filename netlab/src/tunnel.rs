//! What tunnels of IP in IP have in common: two ends.

use std::fmt::Display;
use std::net::Ipv4Addr;

use crate::error::{Error, Result};
use crate::iface::Iface;

/// The two ends of a tunnel in its underlay, as the caller wrote them, and what the packets outside have.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    local: String,
    remote: String,
    pub(crate) ttl: u8,
}

impl Ends {
    pub(crate) fn new(local: impl Display, remote: impl Display) -> Self {
        Self { local: local.to_string(), remote: remote.to_string(), ttl: 0 }
    }

    /// This end and the other.
    pub(crate) fn parse(&self, kind: &str, iface: &Iface) -> Result<(Ipv4Addr, Ipv4Addr)> {
        let parse = |word, text: &str| match text {
            "any" => Ok(Ipv4Addr::UNSPECIFIED),
            _ => text.parse().map_err(|_| {
                let why = format!("{word} `{text}`: expected an IPv4 address, such as `10.0.0.1`, or `any`");
                Error::invalid(format!("create {kind} `{}`", iface.place()), why)
            }),
        };
        Ok((parse("local", &self.local)?, parse("remote", &self.remote)?))
    }
}
