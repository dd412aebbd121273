//! What a namespace remembers of the connections that pass it, and how it rewrites them: `conntrack -L`, `-D`, `-F` and `-C`.
//!
//! A namespace tracks connections while a rule in it needs that: NAT, or a match of a connection's state. With the last such rule, the kernel
//! stops to look at what it remembers: even a connection that was translated no longer is (nf_ct_netns_put).

mod codec;
mod connection;
mod connections;
mod flow;
mod kernel;
mod status;
mod tuple;

use std::panic::Location;
use std::thread;
use std::time::{Duration, Instant};

pub use self::connection::Connection;
pub use self::connections::Connections;
pub use self::flow::Flow;
pub use self::status::Status;
pub use self::tuple::{End, Part, Tuple};
use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::nft::Family;
use crate::probe::Answer;
use crate::sys::Refusal;
use crate::sys::netlink::Socket;
use crate::sys::traffic::Protocol;

/// How long the verbs that demand something wait for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks. The kernel reports changes of those connections alone that began while somebody listened
/// (`net.netfilter.nf_conntrack_events` is 2), so that there is nothing to wait on that tells every change.
const PAUSE: Duration = Duration::from_millis(5);

impl Netns {
    /// The connections that the namespace remembers, of IPv4 and IPv6. Equals `conntrack -L`.
    ///
    /// Where nothing is tracked, there are none.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let router = netlab::Netns::new("router")?;
    /// for connection in router.connections()? {
    ///     println!("{connection}: {}", connection.rewriting());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// If the kernel has no ctnetlink, or the caller may not see them ([`is_permission`](Error::is_permission)).
    #[track_caller]
    pub fn connections(&self) -> Result<Connections> {
        self.list_connections().at(Location::caller())
    }

    fn list_connections(&self) -> Result<Connections> {
        self.conntrack(|| format!("list the connections of `{self}`"), kernel::list).map(Connections)
    }

    /// How many connections the namespace remembers, as the kernel counts them. Equals `conntrack -C`.
    ///
    /// # Errors
    ///
    /// As [`connections`](Self::connections).
    #[track_caller]
    pub fn count_connections(&self) -> Result<u32> {
        self.conntrack(|| format!("count the connections of `{self}`"), kernel::count).at(Location::caller())
    }

    /// Forgets all connections, so that the next packet of each is a first packet again and meets the rules of now.
    ///
    /// Equals `conntrack -F`. Where nothing is tracked it does nothing. A TCP connection that goes on is picked up in its middle
    /// (`net.netfilter.nf_conntrack_tcp_loose`).
    ///
    /// # Errors
    ///
    /// As [`connections`](Self::connections).
    #[track_caller]
    pub fn flush_connections(&self) -> Result<()> {
        forget(self, Family::Inet).at(Location::caller())
    }

    /// Forgets the connections that are meant. Equals `conntrack -D` with filters; that none is meant is no error.
    ///
    /// Those of a family or with a mark go at once; other words are looked at one by one, so that a connection that comes meanwhile stays.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) for a bad value in the flow; otherwise as [`connections`](Self::connections).
    #[track_caller]
    pub fn flush_connections_of(&self, flow: Flow) -> Result<()> {
        self.flush_flow(flow).at(Location::caller())
    }

    fn flush_flow(&self, flow: Flow) -> Result<()> {
        let what = || format!("forget the connections `{flow}` of `{self}`");
        if let Some(problem) = flow.problem() {
            return Err(Error::invalid(what(), problem));
        }
        self.conntrack(what, |socket| {
            if let Some((family, mark)) = flow.in_kernels_words() {
                return kernel::flush(socket, family, mark);
            }
            kernel::list(socket)?.iter().filter(|connection| flow.matches(connection)).try_for_each(|connection| {
                match kernel::delete(socket, connection) {
                    // It went by itself.
                    Err(refusal) if refusal.is(libc::ENOENT) => Ok(()),
                    other => other,
                }
            })
        })
    }

    /// Forgets one connection of a listing. Equals `conntrack -D` with all that names it.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if it has gone; otherwise as [`connections`](Self::connections).
    #[track_caller]
    pub fn delete_connection(&self, connection: &Connection) -> Result<()> {
        let what = || format!("forget the connection `{connection}` of `{self}`");
        self.conntrack(what, |socket| kernel::delete(socket, connection)).at(Location::caller())
    }

    /// Waits until there is a connection that is meant, two seconds at most, and gives it; the first of several.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let router = netlab::Netns::new("router")?;
    /// use netlab::Flow;
    /// router.expect_connection(Flow::tcp().from("10.0.0.2").state("TIME_WAIT"))?.expect_source("203.0.113.1")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`is_timeout`](Error::is_timeout) if none has come, with all that there are; [`is_invalid_input`](Error::is_invalid_input) for a bad
    /// value in the flow; otherwise as [`connections`](Self::connections).
    #[track_caller]
    pub fn expect_connection(&self, flow: Flow) -> Result<Connection> {
        let what = || format!("see a connection `{flow}` in `{self}`");
        self.wait_for(&flow, what, |found| found.first().cloned()).at(Location::caller())
    }

    /// Waits until no connection is left that is meant, two seconds at most.
    ///
    /// # Errors
    ///
    /// As [`expect_connection`](Self::expect_connection).
    #[track_caller]
    pub fn expect_no_connection(&self, flow: Flow) -> Result<()> {
        let what = || format!("see no connection `{flow}` in `{self}`");
        self.wait_for(&flow, what, |found| found.is_empty().then_some(())).at(Location::caller())
    }

    /// The connection that brought this answer to a question from behind this namespace, or from it: how it rewrote the question.
    ///
    /// It is found by what the asking side knows. Behind a second translation, ask the machine that did the first.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let (laptop, router, server) = (netlab::Netns::new("laptop")?, netlab::Netns::new("router")?, netlab::Netns::new("server")?);
    /// # let echo = server.udp_echo("203.0.113.9:7000")?;
    /// let answer = laptop.probe(&echo)?;
    /// router.connection_of(&answer)?.expect_source("203.0.113.1")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`is_timeout`](Error::is_timeout) if there is none, with all that there are.
    #[track_caller]
    pub fn connection_of(&self, answer: &Answer) -> Result<Connection> {
        let flow = question(answer);
        let what = || format!("see the connection of {answer} in `{self}`");
        self.wait_for(&flow, what, |found| found.first().cloned()).at(Location::caller())
    }

    fn wait_for<T>(&self, flow: &Flow, what: impl Fn() -> String, enough: impl Fn(&Connections) -> Option<T>) -> Result<T> {
        if let Some(problem) = flow.problem() {
            return Err(Error::invalid(what(), problem));
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let all = self.list_connections()?;
            let found = Connections(all.iter().filter(|connection| flow.matches(connection)).cloned().collect());
            if let Some(enough) = enough(&found) {
                return Ok(enough);
            }
            if Instant::now() >= deadline {
                let why = format!("after {PATIENCE:?} `{self}` remembers {} connections, {} of them such", all.len(), found.len());
                return Err(Error::timeout(what(), why).fact(all.to_string()));
            }
            thread::sleep(PAUSE);
        }
    }

    fn conntrack<T>(&self, what: impl Fn() -> String, ask: impl FnOnce(&mut Socket) -> Result<T, Refusal>) -> Result<T> {
        let mut socket = self.netfilter().doing(&what)?;
        ask(&mut socket).map_err(|refusal| kernel::explain(what(), refusal))
    }
}

/// The flow of a probe's question, as the asking side knows it.
fn question(answer: &Answer) -> Flow {
    let (to, v6) = (answer.from(), answer.from().is_ipv6());
    let flow = match answer.protocol() {
        Protocol::Tcp => Flow::tcp().to(to),
        Protocol::Udp => Flow::udp().to(to),
        Protocol::Ping if v6 => Flow::icmpv6().to(to.ip()),
        Protocol::Ping => Flow::icmp().to(to.ip()),
    };
    // A raw socket, with which root pings, has no identifier.
    match answer.local() {
        Some(local) if local.port() != 0 && !local.ip().is_unspecified() => flow.from(local),
        Some(local) if !local.ip().is_unspecified() => flow.from(local.ip()),
        Some(local) if local.port() != 0 => flow.from(format!(":{}", local.port())),
        _ => flow,
    }
}

/// Forgets the namespace's connections of that family, both for [`Family::Inet`].
///
/// Rules of NAT see only the first packet of a connection: what they decided stays for as long as it is remembered.
pub(crate) fn forget(netns: &Netns, family: Family) -> Result<()> {
    let family = match family {
        Family::Inet => kernel::ANY,
        Family::Ip | Family::Ip6 => family.number(),
        _ => return Ok(()),
    };
    netns.conntrack(|| format!("forget the connections of `{netns}`"), |socket| kernel::flush(socket, family, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[netlab::test]
    fn a_namespace_that_tracks_nothing_has_nothing_to_forget() -> Result<()> {
        let host = Netns::new("untracked")?;
        for family in [Family::Inet, Family::Ip, Family::Ip6, Family::Bridge] {
            forget(&host, family)?;
        }
        host.flush_connections()
    }
}
