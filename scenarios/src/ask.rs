//! What a stage asks of the network, and the sentences that the answers become.

use std::fmt::Display;
use std::net::ToSocketAddrs;
use std::thread;
use std::time::{Duration, Instant};

use netlab::snapshot::{self, RouteQuery};
use netlab::{IcmpKind, Netns, Outcome, Probe, Reason};

use crate::error::{Error, Result};
use crate::ip_netns;
use crate::story::Story;

/// How long an answer may take: a network that is there answers in far less than a millisecond.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);
/// How long nothing must come for it to be silence. A positive check stands beside each.
pub(crate) const SILENCE: Duration = Duration::from_millis(300);
/// How long somebody may take who does something by himself, such as a routing daemon: it waits for seconds between two tries.
pub(crate) const EVENTUALLY: Duration = Duration::from_secs(20);
/// Between two looks at what tells no change of its own.
const LOOK: Duration = Duration::from_millis(10);
/// How many routers a way may have.
const MOST_HOPS: u8 = 8;
/// What "at once" means: nobody waited for anything.
const AT_ONCE: Duration = Duration::from_millis(500);

impl Story {
    /// `curl URL` gets a page of that server.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if nobody or another answers.
    pub fn served(&mut self, from: &Netns, url: &str, server: &str) -> Result<()> {
        let outcome = answer_to(from, Probe::http(url).within(ANSWER))?;
        let check = format!("{from}: `curl {url}` gets {server}");
        match &outcome {
            Outcome::Answer(answer) => {
                let client = answer.source().map(|client| client.ip().to_string()).unwrap_or_default();
                let seen = format!("{} saw {client}", answer.server().unwrap_or("somebody"));
                self.holds(check, seen, answer.server() == Some(server))
            }
            other => self.holds(check, words(other), false),
        }
    }

    /// `curl URL` gets a page of that server, which saw that client.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if nobody or another answers, or if it saw another client.
    pub fn served_as(&mut self, from: &Netns, url: &str, server: &str, client: &str) -> Result<()> {
        let outcome = answer_to(from, Probe::http(url).within(ANSWER))?;
        let check = format!("{from}: `curl {url}` gets {server}, as {client}");
        let Outcome::Answer(answer) = &outcome else { return self.holds(check, words(&outcome), false) };
        let saw = answer.source().map(|client| client.ip().to_string()).unwrap_or_default();
        let seen = format!("{} saw {saw}", answer.server().unwrap_or("somebody"));
        self.holds(check, seen, answer.server() == Some(server) && saw == client)
    }

    /// `curl URL` fails for that reason.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it succeeds or fails otherwise.
    pub fn not_served(&mut self, from: &Netns, url: &str, reason: impl Into<Reason>) -> Result<()> {
        self.fails(from, &format!("curl {url}"), Probe::http(url), reason.into())
    }

    /// `ping ADDRESS` gets a reply.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it does not.
    pub fn replies(&mut self, from: &Netns, address: &str) -> Result<()> {
        let outcome = answer_to(from, Probe::ping(address).within(ANSWER))?;
        let check = format!("{from}: `ping {address}` gets a reply");
        match &outcome {
            Outcome::Answer(answer) => {
                let ttl = answer.ttl().map_or_else(|| "unknown".to_owned(), |ttl| ttl.to_string());
                self.holds(check, format!("ttl {ttl}"), true)
            }
            other => self.holds(check, words(other), false),
        }
    }

    /// `ping ADDRESS` gets a reply with that time to live: 64 less one for each machine that forwarded it.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it does not.
    pub fn replies_with_ttl(&mut self, from: &Netns, address: &str, ttl: u8) -> Result<()> {
        let outcome = answer_to(from, Probe::ping(address).within(ANSWER))?;
        let check = format!("{from}: `ping {address}` gets a reply with ttl {ttl}");
        let Outcome::Answer(answer) = &outcome else { return self.holds(check, words(&outcome), false) };
        self.holds(check, answer.ttl().map_or("none".to_owned(), |seen| format!("ttl {seen}")), answer.ttl() == Some(ttl))
    }

    /// `traceroute ADDRESS` names these machines, the last of which is the address itself.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it names others.
    pub fn hops(&mut self, from: &Netns, address: &str, expected: &[&str]) -> Result<()> {
        let mut seen = Vec::new();
        for ttl in 1..=MOST_HOPS {
            let outcome = answer_to(from, Probe::ping(address).ttl(ttl).within(ANSWER))?;
            seen.push(match &outcome {
                Outcome::IcmpError(error) => error.from.map_or_else(|| "*".to_owned(), |router| router.to_string()),
                Outcome::Answer(answer) => answer.from().ip().to_string(),
                other => words(other),
            });
            if !matches!(outcome, Outcome::IcmpError(_)) {
                break;
            }
        }
        self.equals(format!("{from}: `traceroute {address}` shows"), seen.join("\n"), expected.join("\n"))
    }

    /// `ping ADDRESS` fails for that reason.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if there is a reply, or another reason.
    pub fn no_reply(&mut self, from: &Netns, address: &str, reason: impl Into<Reason>) -> Result<()> {
        self.fails(from, &format!("ping {address}"), Probe::ping(address), reason.into())
    }

    /// A probe, which `command` stands for, fails for that reason.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it succeeds or fails otherwise.
    pub(crate) fn fails(&mut self, from: &Netns, command: &str, probe: Probe, reason: Reason) -> Result<()> {
        // The kernel asks for a neighbour a few times before it gives up.
        let nobody_there = matches!(reason, Reason::LocalError(libc::EHOSTUNREACH) | Reason::Icmp { kind: IcmpKind::HostUnreachable, .. });
        let check = match &reason {
            Reason::Silence => format!("{from}: `{command}` waits in vain"),
            Reason::LocalError(_) if nobody_there => format!("{from}: `{command}` fails, nobody answers ARP"),
            Reason::LocalError(_) => format!("{from}: `{command}` fails at once"),
            Reason::Refused => format!("{from}: `{command}` is refused"),
            other => format!("{from}: `{command}` fails by {other}"),
        };
        let started = Instant::now();
        let probe = probe.within(if reason == Reason::Silence { SILENCE } else { ANSWER });
        let outcome = if nobody_there { from.observe(probe)? } else { answer_to(from, probe)? };
        let in_time = nobody_there || !matches!(reason, Reason::LocalError(_)) || started.elapsed() < AT_ONCE;
        self.holds(check, words(&outcome), reason.fits(&outcome) && in_time)
    }

    /// Something is refused with that errno.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it is done, or refused otherwise.
    pub fn refused<T>(&mut self, check: impl Into<String>, outcome: netlab::Result<T>, errno: i32) -> Result<()> {
        match outcome {
            Ok(_) => self.holds(check, "it is done", false),
            Err(e) => {
                let seen = e.errno().map_or_else(
                    || e.to_string(),
                    |errno| without_number(&std::io::Error::from_raw_os_error(errno).to_string()).to_owned(),
                );
                self.holds(check, seen, e.errno() == Some(errno))
            }
        }
    }

    /// A link is as `ip link` shows it: name, flags, queueing discipline and state.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it is otherwise or not there.
    pub fn link(&mut self, on: &Netns, what: impl Display, name: &str, expected: &str) -> Result<()> {
        let links = on.links()?;
        let seen = links.named(name).map_or_else(|| format!("{name}: no such link"), brief);
        self.equals(format!("{on}: {what}"), seen, expected)
    }

    /// The names of the links are these.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if there are others.
    pub fn links(&mut self, on: &Netns, what: impl Display, expected: &str) -> Result<()> {
        let names: Vec<_> = on.links()?.iter().map(|link| link.name.clone()).collect();
        self.equals(format!("{on}: {what}"), names.join(" "), expected)
    }

    /// A link has these addresses and no other; `none` is none.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it has others.
    pub fn addresses(&mut self, on: &Netns, what: impl Display, link: &str, expected: &str) -> Result<()> {
        let all = on.addresses()?;
        let words: Vec<_> = all.of(link).map(|address| address.net.to_string()).collect();
        self.equals(format!("{on}: {what}"), or_none(&words.join(" ")), expected)
    }

    /// A link has these IPv4 addresses and no other; `none` is none.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it has others.
    pub fn ipv4_addresses(&mut self, on: &Netns, what: impl Display, link: &str, expected: &str) -> Result<()> {
        let all = on.addresses()?;
        let words: Vec<_> = all.of(link).filter(|address| address.net.addr().is_ipv4()).map(|address| address.net.to_string()).collect();
        self.equals(format!("{on}: {what}"), or_none(&words.join(" ")), expected)
    }

    /// A table has these IPv4 routes and no other, as `ip route list table TABLE` prints them.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it has others.
    pub fn routes(&mut self, on: &Netns, what: impl Display, table: &str, expected: &[&str]) -> Result<()> {
        let seen = route_lines(on, table)?;
        self.equals(format!("{on}: {what}"), or_none(&seen.join("\n")), or_none(&expected.join("\n")))
    }

    /// A table has that IPv4 route, as `ip route list table TABLE` prints it.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it has not.
    pub fn has_route(&mut self, on: &Netns, what: impl Display, table: &str, route: &str) -> Result<()> {
        let lines = route_lines(on, table)?;
        let found = lines.iter().find(|line| *line == route);
        self.holds(format!("{on}: {what}"), found.unwrap_or(&or_none(&lines.join("\n"))), found.is_some())
    }

    /// No IPv4 route of a table has that destination: an address or network, with `local` or the like before it.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if one has.
    pub fn has_no_route_to(&mut self, on: &Netns, what: impl Display, table: &str, destination: &str) -> Result<()> {
        let lines = route_lines(on, table)?;
        let to_it = |line: &&String| line.starts_with(&format!("{destination} ")) || line.contains(&format!(" {destination} dev "));
        let found = lines.iter().find(to_it);
        self.holds(format!("{on}: {what}"), or_none(&lines.join("\n")), found.is_none())
    }

    /// The table `main` comes to have these IPv4 routes and no other, as [`routes`](Self::routes): somebody is about to change it.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it has others after a long while.
    pub(crate) fn comes_to_routes(&mut self, on: &Netns, what: impl Display, expected: &[&str]) -> Result<()> {
        let deadline = Instant::now() + EVENTUALLY;
        while route_lines(on, "main")? != expected && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
        self.routes(on, what, "main", expected)
    }

    /// The IPv4 neighbours that have answered are these, sorted, as `ip neigh` lists them without their state; `none` is none.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if there are others.
    pub fn neighbours(&mut self, on: &Netns, what: impl Display, expected: &str) -> Result<()> {
        let seen = neighbour_lines(on)?;
        self.equals(format!("{on}: {what}"), or_none(&seen.join("\n")), expected)
    }

    /// One of the IPv4 neighbours is that.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if none is.
    pub fn has_neighbour(&mut self, on: &Netns, what: impl Display, expected: &str) -> Result<()> {
        let seen = neighbour_lines(on)?;
        let found = seen.iter().find(|line| *line == expected);
        self.holds(format!("{on}: {what}"), found.unwrap_or(&or_none(&seen.join("\n"))), found.is_some())
    }

    /// The machine has these nf_tables rules and no other, as `nft -s list ruleset` prints them.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it has others.
    pub fn ruleset(&mut self, on: &Netns, what: impl Display, expected: &[&str]) -> Result<()> {
        let seen = on.ruleset()?.stateless().to_string().replace('\t', "    ");
        self.equals(format!("{on}: {what}"), or_none(seen.trim_end()), or_none(&expected.join("\n")))
    }

    /// A machine listens on these TCP ports, of either family, and on no other; `none` is none.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it listens on others.
    pub fn listening(&mut self, on: &Netns, what: impl Display, expected: &str) -> Result<()> {
        let ports: Vec<_> = listening(on)?.iter().map(u16::to_string).collect();
        self.equals(format!("{on}: {what}"), or_none(&ports.join(" ")), expected)
    }

    /// A name cannot be looked up: the resolver gives up for now (`EAI_AGAIN`), at once or after having waited.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it can, or fails otherwise.
    pub fn unresolved(&mut self, from: &Netns, name: &str, at_once: bool) -> Result<()> {
        let check = format!("{from}: the name {name} is not found {}", if at_once { "at once" } else { "after waiting in vain" });
        self.gives_up(check, || ip_netns::exec(from, || look_up(name)), at_once)
    }

    /// A name cannot be looked up by who has entered the namespace by setns(2) alone, and so without its files in `/etc/netns`.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it can, or fails otherwise.
    pub fn unresolved_by_setns(&mut self, from: &Netns, name: &str) -> Result<()> {
        let check = format!("{from}, entered by `nsenter --net`: the name {name} is not found at once");
        self.gives_up(check, || ip_netns::setns(from, || look_up(name)), true)
    }

    fn gives_up(&mut self, check: String, ask: impl FnOnce() -> Result<Result<String, String>>, at_once: bool) -> Result<()> {
        let started = Instant::now();
        let looked_up = ask()?;
        let waited = started.elapsed();
        match looked_up {
            Ok(address) => self.holds(check, address, false),
            // What gai_strerror(3) says of EAI_AGAIN in glibc and in musl; std does not tell the number.
            Err(why) => {
                let again = why.contains("Temporary failure in name resolution") || why.contains("Try again");
                let when = if waited < AT_ONCE { "at once".to_owned() } else { format!("after {:.1} s", waited.as_secs_f64()) };
                self.holds(check, format!("{why}, {when}"), again && (waited < AT_ONCE) == at_once)
            }
        }
    }

    /// A name is looked up, and there is none: the name server says so (`EAI_NONAME`).
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it is found, or the server does not answer.
    pub fn unknown(&mut self, from: &Netns, name: &str) -> Result<()> {
        let check = format!("{from}: nobody knows the name {name}");
        match ip_netns::exec(from, || look_up(name))? {
            Ok(address) => self.holds(check, address, false),
            // What gai_strerror(3) says of EAI_NONAME in glibc and in musl.
            Err(why) => {
                let unknown = why.contains("Name or service not known") || why.contains("Name does not resolve");
                self.holds(check, why, unknown)
            }
        }
    }

    /// A name is found.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it is not.
    pub fn resolved(&mut self, from: &Netns, name: &str, expected: &str) -> Result<()> {
        let check = format!("{from}: the name {name} is found");
        match ip_netns::exec(from, || look_up(name))? {
            Ok(address) => self.equals(check, address, expected),
            Err(why) => self.holds(check, why, false),
        }
    }
}

/// What comes of a question to somebody who is there. A lab gives a neighbour 0.1 s to answer ARP, here or at a router on the way. On a busy
/// machine that may be too short: then it is asked again.
pub(crate) fn answer_to(from: &Netns, probe: Probe) -> Result<Outcome> {
    let deadline = Instant::now() + ANSWER;
    loop {
        let outcome = from.observe(&probe)?;
        let too_late = [Reason::from(libc::EHOSTUNREACH), IcmpKind::HostUnreachable.into()].iter().any(|reason| reason.fits(&outcome));
        if !too_late || Instant::now() > deadline {
            return Ok(outcome);
        }
    }
}

/// What came instead of an answer, in a few words: `ENETUNREACH: Network is unreachable`.
fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Refused => "ECONNREFUSED: nobody has the port".to_owned(),
        Outcome::LocalError(_) => without_number(&outcome.to_string()).replace(" on this host", ""),
        Outcome::Silence { waited } => format!("silence for {} ms", waited.as_millis()),
        other => other.to_string(),
    }
}

/// `Address already in use`, without its `(os error 98)`.
pub(crate) fn without_number(error: &str) -> &str {
    error.split(" (os error").next().unwrap_or(error)
}

/// `getaddrinfo(3)` where the calling thread is: the first address, or the resolver's words.
fn look_up(name: &str) -> Result<String, String> {
    match (name, 80).to_socket_addrs().map(|mut addresses| addresses.next()) {
        Ok(Some(address)) => Ok(address.ip().to_string()),
        Ok(None) => Err("no address".to_owned()),
        Err(e) => Err(e.to_string().rsplit(": ").next().unwrap_or_default().to_owned()),
    }
}

/// A link in one line: `lo: <LOOPBACK> noop DOWN`.
fn brief(link: &snapshot::Link) -> String {
    let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "-".to_owned());
    format!("{}: <{}> {} {}", with_peer(link), link.flags.join(","), word(&link.qdisc), word(&link.state))
}

/// A link's name, and after an `@` what it is the other end of: `eth0@if23`.
pub(crate) fn with_peer(link: &snapshot::Link) -> String {
    let peer = match &link.peer {
        None => String::new(),
        Some(snapshot::Peer::Gone) => "@NONE".to_owned(),
        Some(snapshot::Peer::Here(name)) => format!("@{name}"),
        Some(snapshot::Peer::Elsewhere(index)) => format!("@if{index}"),
    };
    format!("{}{peer}", link.name)
}

/// The lines of `ip route list table TABLE`.
fn route_lines(on: &Netns, table: &str) -> Result<Vec<String>> {
    let routes = on.routes_of(RouteQuery::table(table))?;
    Ok(routes.to_string().lines().map(|line| line.trim_end().to_owned()).collect())
}

/// The IPv4 neighbours that have answered, sorted, as `ip neigh` lists them without their state.
fn neighbour_lines(on: &Netns) -> Result<Vec<String>> {
    let all = on.neighbours()?;
    let known = all.iter().filter(|neighbour| neighbour.dst.is_ipv4());
    let mut known: Vec<_> = known.filter_map(|known| Some((known.dst, known.dev.as_ref()?, known.mac.as_ref()?))).collect();
    known.sort();
    Ok(known.iter().map(|(dst, dev, mac)| format!("{dst} dev {dev} lladdr {mac}")).collect())
}

/// The TCP ports with a listener, sorted, from `/proc/net/tcp` and `/proc/net/tcp6`.
pub(crate) fn listening(of: &Netns) -> Result<Vec<u16>> {
    const LISTEN: &str = "0A";
    let tables = of.run(|| ["tcp", "tcp6"].map(|table| std::fs::read_to_string(format!("/proc/thread-self/net/{table}"))))?;
    let mut ports = Vec::new();
    for table in tables {
        let table = table.map_err(|e| Error::World(format!("cannot list the sockets of `{of}`: {e}")))?;
        let port = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            let (_, port) = words.get(1)?.rsplit_once(':')?;
            (*words.get(3)? == LISTEN).then(|| u16::from_str_radix(port, 16).ok())?
        };
        ports.extend(table.lines().filter_map(port));
    }
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

fn or_none(words: &str) -> String {
    if words.is_empty() { "none".to_owned() } else { words.to_owned() }
}

/// The MAC address of an interface.
pub(crate) fn hardware(on: &Netns, link: &str) -> Result<String> {
    let links = on.links()?;
    links.named(link).and_then(|link| link.mac.clone()).ok_or_else(|| Error::World(format!("`{on}/{link}` has no MAC address")))
}

/// A counter of `/proc/net/snmp` or `/proc/net/netstat`, such as `IpInAddrErrors` or `TcpExtListenDrops`.
///
/// # Errors
///
/// If there is no counter of that name.
pub fn counter(of: &Netns, name: &str) -> Result<u64> {
    let tables = of.run(|| ["snmp", "netstat"].map(|table| std::fs::read_to_string(format!("/proc/thread-self/net/{table}"))))?;
    let tables: Vec<_> = tables.into_iter().flatten().collect();
    let found = tables.iter().find_map(|table| {
        let lines: Vec<_> = table.lines().collect();
        lines.chunks_exact(2).find_map(|pair| {
            let (group, names) = pair[0].split_once(':')?;
            let (_, values) = pair[1].split_once(':')?;
            let mut both = names.split_whitespace().zip(values.split_whitespace());
            both.find_map(|(counter, value)| (format!("{group}{counter}") == name).then(|| value.parse().ok())?)
        })
    });
    found.ok_or_else(|| Error::World(format!("`{of}` has no counter {name}")))
}
