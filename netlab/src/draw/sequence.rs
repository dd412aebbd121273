//! What packets did, as a mermaid sequence diagram.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::mermaid::quoted;
use crate::capture::{Body, Direction, Ip, Names, Packet, Packets, Transport};

/// How many lines are drawn: these at the beginning, those at the end.
const FIRST: usize = 60;
const LAST: usize = 40;
/// How long a line may be.
const LONGEST: usize = 110;
/// How long a packet is on a cable, or in a machine, at most.
const SOON: Duration = Duration::from_millis(500);

/// The packets of a capture as a mermaid sequence diagram: one line for each hop of each packet, machines in the order of its way.
///
/// A hop is what one tap saw leave and another one saw come in; where only one of both was tapped, the other end is `elsewhere`, and what no
/// other tap saw come in ends in a cross. A note tells where a machine rewrote addresses or ports; what was sent again is one line with
/// `×3` at its end. Client ports, echo ids and sequence numbers are as in [`Packets::normalised`]. Of very many packets the first and the last
/// are drawn.
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # let (laptop, router) = (netlab::Netns::new("laptop")?, netlab::Netns::new("router")?);
/// let capture = netlab::Capture::on_all([&laptop, &router])?;
/// // … traffic …
/// println!("```mermaid\n{}```", netlab::draw::sequence(&capture.stop()?));
/// # Ok(()) }
/// ```
pub fn sequence(packets: &Packets) -> String {
    let mut diagram = Diagram { names: Names::normalising(), ..Diagram::default() };
    for hop in hops(packets) {
        diagram.hop(&hop);
    }
    diagram.text()
}

/// A packet from one machine to the next.
struct Hop<'a> {
    packet: &'a Packet,
    from: Option<&'a str>,
    to: Option<&'a str>,
    /// What came into the machine that sent this, before it was rewritten.
    was: Option<&'a Packet>,
}

/// A packet that was seen to leave.
struct Sent<'a> {
    packet: &'a Packet,
    hop: usize,
    /// Who has received it.
    seen: Vec<&'a str>,
    /// Whether a bridge sent it, and this is one of its ports.
    passed_on: bool,
}

/// Pairs what left with what came in. A packet is the same on both ends of a cable, to the byte; a router changes its time to live.
fn hops(packets: &Packets) -> Vec<Hop<'_>> {
    let mut hops: Vec<Hop<'_>> = Vec::new();
    let mut sent: HashMap<&[u8], Vec<Sent<'_>>> = HashMap::new();
    let mut came: HashMap<&str, Vec<&Packet>> = HashMap::new();
    for packet in packets {
        let machine = packet.netns();
        if packet.direction() == Direction::Out {
            let before = came.get(machine);
            let alike = |before: &&&Packet| before.bytes() == packet.bytes() && is_soon(before, packet);
            let transit = before.is_some_and(|came| came.iter().rev().any(|before| alike(&before)));
            let sent = sent.entry(packet.bytes()).or_default();
            if let Some(bridge) = sent.iter_mut().find(|sent| !transit && sent.is_of_bridge(packet)) {
                (bridge.packet, bridge.passed_on) = (packet, true);
                hops[bridge.hop].packet = packet;
                continue;
            }
            let was = before.and_then(|came| came.iter().rev().find(|before| is_forwarded(before, packet)).copied());
            sent.push(Sent { packet, hop: hops.len(), seen: Vec::new(), passed_on: transit });
            hops.push(Hop { packet, from: Some(machine), to: None, was });
            continue;
        }
        came.entry(machine).or_default().push(packet);
        if packet.device() == "lo" {
            hops.push(Hop { packet, from: Some(machine), to: Some(machine), was: None });
            continue;
        }
        match arrival(sent.get_mut(packet.bytes()), packet) {
            Arrival::Of(number) => hops[number].to = Some(machine),
            Arrival::OneMoreOf(number) => {
                let from = hops[number].from;
                hops.push(Hop { packet, from, to: Some(machine), was: None });
            }
            Arrival::Known => {}
            Arrival::Unknown => {
                let known = came[machine].iter().rev().skip(1).any(|before| before.bytes() == packet.bytes() && is_soon(before, packet));
                // A bridge hands up what came in at a port.
                if !known {
                    hops.push(Hop { packet, from: None, to: Some(machine), was: None });
                }
            }
        }
    }
    hops
}

/// What a packet that comes in is the arrival of.
enum Arrival {
    /// Of this hop.
    Of(usize),
    /// Of the packet of this hop, which has arrived elsewhere too.
    OneMoreOf(usize),
    /// Of one that has arrived at this machine already.
    Known,
    Unknown,
}

fn arrival<'a>(sent: Option<&mut Vec<Sent<'a>>>, packet: &'a Packet) -> Arrival {
    let Some(sent) = sent else { return Arrival::Unknown };
    let machine = packet.netns();
    let fresh = |sent: &&mut Sent<'_>| is_soon(sent.packet, packet) && sent.packet.netns() != machine;
    if let Some(first) = sent.iter_mut().filter(fresh).find(|sent| sent.seen.is_empty()) {
        first.seen.push(machine);
        return Arrival::Of(first.hop);
    }
    match sent.iter_mut().rfind(fresh) {
        Some(sent) if sent.seen.contains(&machine) => Arrival::Known,
        Some(sent) => {
            sent.seen.push(machine);
            Arrival::OneMoreOf(sent.hop)
        }
        None => Arrival::Unknown,
    }
}

impl Sent<'_> {
    /// Whether this is what a bridge itself sent, and the packet the same on its way out at a port.
    fn is_of_bridge(&self, packet: &Packet) -> bool {
        let same_machine = self.packet.netns() == packet.netns() && self.packet.device() != packet.device();
        same_machine && !self.passed_on && self.seen.is_empty() && is_soon(self.packet, packet)
    }
}

fn is_soon(before: &Packet, after: &Packet) -> bool {
    after.since_epoch().saturating_sub(before.since_epoch()) < SOON
}

/// Whether a packet that leaves is the one that came in, with another address or port.
fn is_forwarded(before: &Packet, after: &Packet) -> bool {
    let (Some(old), Some(new)) = (before.ip(), after.ip()) else { return false };
    is_soon(before, after) && old.protocol == new.protocol && old.ttl > new.ttl && carries(before, old) == carries(after, new)
}

/// What translation does not change: sequence numbers and payload.
fn carries<'a>(packet: &'a Packet, ip: &Ip) -> (u32, u32, usize, &'a [u8]) {
    let tail = |length: usize| packet.bytes().len().checked_sub(length).map_or(&[][..], |start| &packet.bytes()[start..]);
    match &ip.transport {
        Transport::Tcp(tcp) => (tcp.seq, tcp.ack, tcp.length, tail(tcp.length)),
        Transport::Udp(udp) => (0, 0, udp.length, tail(udp.length)),
        // Type, code, checksum and id come first.
        Transport::Icmp(icmp) => (0, 0, icmp.length, tail(icmp.length.saturating_sub(6))),
        _ => (0, 0, ip.length, tail(ip.length)),
    }
}

#[derive(Default)]
struct Diagram<'a> {
    /// In the order of their first appearance.
    machines: Vec<Option<&'a str>>,
    lines: Vec<Line>,
    /// The lines by what they tell of, to count what is sent again.
    known: HashMap<(usize, usize, String, Vec<u8>), usize>,
    names: Names,
}

struct Line {
    text: String,
    count: usize,
}

impl<'a> Diagram<'a> {
    fn hop(&mut self, hop: &Hop<'a>) {
        let (from, to) = (self.machine(hop.from), self.machine(hop.to));
        let content = hop.packet.content(&mut self.names);
        let text = quoted(&shortened(&content));
        let arrow = if hop.to.is_none() { "--x" } else { "->>" };
        let key = (from, to, content, same(hop.packet));
        if let Some(line) = self.known.get(&key).and_then(|line| self.lines.get_mut(*line)) {
            line.count += 1;
            return;
        }
        let rewrites = hop.was.map(|was| self.rewrites(was, hop.packet)).unwrap_or_default();
        self.lines.extend(rewrites.into_iter().map(|rewrite| Line { text: format!("Note over p{from}: {}", quoted(&rewrite)), count: 1 }));
        self.known.insert(key, self.lines.len());
        self.lines.push(Line { text: format!("p{from}{arrow}p{to}: {text}"), count: 1 });
    }

    fn machine(&mut self, name: Option<&'a str>) -> usize {
        self.machines.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.machines.push(name);
            self.machines.len() - 1
        })
    }

    /// `source 10.0.0.2:PORT1`, below it `→ 203.0.113.1:PORT1`, where it was changed.
    fn rewrites(&mut self, was: &Packet, is: &Packet) -> Vec<String> {
        let (Some(old), Some(new)) = (was.ip(), is.ip()) else { return Vec::new() };
        let ends = |ip: &Ip| {
            let (from, to) = ip.ports().map_or((None, None), |(from, to)| (Some(from), Some(to)));
            [(ip.source, from), (ip.destination, to)]
        };
        let changed = ["source", "destination"].into_iter().zip(ends(old).into_iter().zip(ends(new))).filter(|(_, (old, new))| old != new);
        changed.map(|(what, (old, new))| format!("{what} {}\n→ {}", self.end(old), self.end(new))).collect()
    }

    fn end(&mut self, (ip, port): (IpAddr, Option<u16>)) -> String {
        let Some(port) = port else { return ip.to_string() };
        let name = self.names.port(port);
        SocketAddr::new(ip, port).to_string().replace(&format!(":{port}"), &format!(":{name}"))
    }

    fn text(&self) -> String {
        let mut text = "sequenceDiagram\n".to_owned();
        let mut machines: Vec<_> = self.machines.iter().enumerate().collect();
        machines.sort_by_key(|(_, name)| name.is_none());
        for (number, name) in &machines {
            text += &format!("  participant p{number} as {}\n", quoted(name.unwrap_or("elsewhere")));
        }
        if machines.is_empty() {
            return text + "  participant p0 as nobody\n  Note over p0: no packets\n";
        }
        let line = |line: &Line| format!("  {}{}\n", line.text, if line.count > 1 { format!(" ×{}", line.count) } else { String::new() });
        if self.lines.len() <= FIRST + LAST {
            return text + &self.lines.iter().map(line).collect::<String>();
        }
        let (first, last) = (&self.lines[..FIRST], &self.lines[self.lines.len() - LAST..]);
        text += &first.iter().map(line).collect::<String>();
        let ends = [machines.first(), machines.last()].into_iter().flatten().map(|(number, _)| format!("p{number}")).collect::<Vec<_>>();
        text += &format!("  Note over {}: {} more lines\n", ends.join(","), self.lines.len() - FIRST - LAST);
        text + &last.iter().map(line).collect::<String>()
    }
}

/// What is the same when the sender sends it again.
fn same(packet: &Packet) -> Vec<u8> {
    match &packet.decoded().body {
        Body::Arp(_) => Vec::new(),
        Body::Ip(ip) => {
            let (seq, ack, length, bytes) = carries(packet, ip);
            let acknowledged = if length == 0 { ack } else { 0 };
            [&seq.to_be_bytes()[..], &acknowledged.to_be_bytes(), bytes].concat()
        }
        _ => packet.bytes().to_vec(),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}
