//! The connections of a namespace as a listing.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::flow::Flow;
use super::tuple::{Part, Tuple};
use crate::error::{Error, Result};
use crate::snapshot::collection;

/// `net.ipv4.ip_local_port_range`, from which the kernel takes ports for sockets that ask for none.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

/// The connections that a namespace remembers. It prints what `conntrack -L` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Connections(pub(super) Vec<Connection>);

collection!(Connections, Connection);

impl Connections {
    /// Those that are meant.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let router = netlab::Netns::new("router")?;
    /// use netlab::Flow;
    /// let web = router.connections()?.of(Flow::tcp().from("10.0.0.2").to(":80").translated())?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) for a bad value in the flow.
    #[track_caller]
    pub fn of(mut self, flow: Flow) -> Result<Self> {
        if let Some(problem) = flow.problem() {
            let error = Error::invalid(format!("choose connections by `{flow}`"), problem);
            return Err(error.at(std::panic::Location::caller()));
        }
        self.0.retain(|connection| flow.matches(connection));
        Ok(self)
    }

    /// The same with stable values for what differs from run to run.
    ///
    /// Sorted by family, protocol, addresses and chosen ports; without timeouts, ages, numbers of holders, ids and counters. Ports that the
    /// kernel chooses (32768 to 60999) become 32768, 32769, … and identifiers of ICMP 1, 2, …, the same wherever they were the same.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        self.0.sort_by_cached_key(|connection| {
            let sides = [&connection.original, &connection.reply].map(|tuple| (tuple.src, tuple.dst, chosen(tuple.part)));
            let state = (connection.state.clone(), connection.status, connection.mark, connection.zone);
            (connection.original.src.is_ipv6(), connection.protocol, sides, state)
        });
        let mut numbers = Numbers::default();
        for connection in &mut self.0 {
            (connection.timeout, connection.age, connection.uses, connection.id) = (None, None, None, None);
            numbers.replace(&mut connection.original);
            numbers.replace(&mut connection.reply);
        }
        self
    }
}

/// What somebody chose, not the kernel.
fn chosen(part: Part) -> Part {
    let port = |port| if EPHEMERAL.contains(&port) { 0 } else { port };
    match part {
        Part::Ports { sport, dport } => Part::Ports { sport: port(sport), dport: port(dport) },
        Part::Icmp { kind, code, .. } => Part::Icmp { kind, code, id: 0 },
        other => other,
    }
}

/// What has been replaced so far.
#[derive(Default)]
struct Numbers {
    ports: HashMap<u16, u16>,
    ids: HashMap<u16, u16>,
}

impl Numbers {
    fn replace(&mut self, tuple: &mut Tuple) {
        tuple.counters = None;
        match &mut tuple.part {
            Part::Ports { sport, dport } => {
                for port in [sport, dport].into_iter().filter(|port| EPHEMERAL.contains(port)) {
                    *port = number(&mut self.ports, *port, *EPHEMERAL.start());
                }
            }
            Part::Icmp { id, .. } => *id = number(&mut self.ids, *id, 1),
            Part::None | Part::Keys { .. } => {}
        }
    }
}

fn number(known: &mut HashMap<u16, u16>, value: u16, first: u16) -> u16 {
    let next = u16::try_from(known.len()).unwrap_or(u16::MAX).saturating_add(first);
    *known.entry(value).or_insert(next)
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|connection| writeln!(f, "{connection}"))
    }
}
