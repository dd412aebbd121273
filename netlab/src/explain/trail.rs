//! What the taps saw of the probe: its packets told from all others, also where they were translated or carried by a tunnel.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::finding::Way;
use super::lab::{Lab, Tap};
use super::tuple::Tuple;
use crate::capture::{Arp, Body, Decoded, IcmpKind, Ip, Packet, Packets};
use crate::conntrack::Connection;

/// From `netinet/ip_icmp.h`: what is asked for by an ARP question.
const ARP_ASKS: u16 = 1;

/// What the taps saw of one packet.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) way: Way,
    /// What tells it from other packets of its way: the sequence number.
    number: u32,
    pub(super) sightings: Vec<Sighting>,
}

#[derive(Debug, Clone)]
pub(super) struct Sighting {
    pub(super) tap: Tap,
    pub(super) time: Duration,
    pub(super) tuple: Tuple,
    pub(super) packet: Packet,
}

/// An ARP or neighbour discovery packet.
#[derive(Debug, Clone)]
pub(super) struct Resolving {
    pub(super) tap: Tap,
    pub(super) asks: bool,
    /// The address whose MAC address is asked for or told.
    pub(super) address: IpAddr,
}

/// An ICMP error about one of the packets.
#[derive(Debug, Clone)]
pub(super) struct Complaint {
    pub(super) tap: Tap,
    /// The way of the packet that it quotes.
    pub(super) about: Way,
    pub(super) kind: IcmpKind,
}

/// That a machine made something else of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Renamed {
    pub(super) machine: usize,
    pub(super) before: Tuple,
    pub(super) after: Tuple,
}

/// What the taps saw.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// The question as the asker sent it, if it did.
    pub(super) first: Option<Tuple>,
    pub(super) questions: HashSet<Tuple>,
    pub(super) flights: Vec<Flight>,
    /// Packets to the asker that would be answers, came they from who was asked.
    pub(super) strays: Vec<Sighting>,
    pub(super) complaints: Vec<Complaint>,
    pub(super) resolving: Vec<Resolving>,
    /// Where a connection was translated, by its first packet: what refuses it makes the kernel forget it at once.
    pub(super) renamed: Vec<Renamed>,
    /// The packets inside of tunnels.
    pub(super) carried: Vec<Sighting>,
}

impl Trail {
    /// `connections`: what each machine remembers.
    pub(super) fn read(
        lab: &Lab,
        asker: usize,
        target: SocketAddr,
        protocol: u8,
        packets: &Packets,
        connections: &[Vec<Connection>],
    ) -> Self {
        let mut trail = Self::default();
        let seen: Vec<(Tap, &Packet)> = packets.iter().filter_map(|packet| Some((lab.tap(packet)?, packet))).collect();
        trail.first = seen.iter().filter(|(tap, _)| tap.place.machine == asker).find_map(|(_, packet)| {
            let tuple = Tuple::of(packet.ip()?)?;
            let asks = tuple.protocol == protocol && tuple.destination == target.ip();
            (asks && (tuple.destination_port == target.port() || target.port() == 0) && tuple.source_port != 0).then_some(tuple)
        });
        trail.questions = closure(trail.first, connections);
        trail.renamed = renamed(trail.first, &seen);
        trail.questions.extend(trail.renamed.iter().map(|renamed| renamed.after));
        for (tap, packet) in seen {
            trail.add(tap, packet);
        }
        trail.flights.sort_by_key(|flight| flight.sightings[0].time);
        trail
    }

    /// Takes in what a machine told of packets that it translated, and that died in it before their connection was remembered.
    pub(super) fn learn(&mut self, machine: usize, told: impl Iterator<Item = Tuple>) {
        for after in told {
            let begins_alike =
                |before: &&Tuple| (before.protocol, before.source, before.source_port) == (after.protocol, after.source, after.source_port);
            let before = self.questions.iter().find(begins_alike).copied();
            if let Some(before) = before.filter(|_| after.source_port != 0 && !self.questions.contains(&after)) {
                self.questions.insert(after);
                self.renamed.push(Renamed { machine, before, after });
            }
        }
    }

    pub(super) fn way(&self, tuple: &Tuple) -> Option<Way> {
        match (self.questions.contains(tuple), self.questions.contains(&tuple.back())) {
            (true, _) => Some(Way::Question),
            (_, true) => Some(Way::Answer),
            _ => None,
        }
    }

    fn add(&mut self, tap: Tap, packet: &Packet) {
        if let Body::Arp(arp) = &packet.decoded().body {
            return self.resolving.push(arp_resolving(tap, arp));
        }
        let Some(ip) = packet.ip() else { return };
        if let Some(resolving) = ip.as_icmp().and_then(|icmp| discovering(tap, icmp)) {
            return self.resolving.push(resolving);
        }
        if let Some(icmp) = ip.as_icmp()
            && let Some(about) = icmp.inner().and_then(Tuple::of).and_then(|inner| self.way(&inner))
        {
            return self.complaints.push(Complaint { tap, about, kind: icmp.clone() });
        }
        if let Some(inner) = packet.vxlan().and_then(|vxlan| inner_tuple(&vxlan.inner)).filter(|inner| self.way(inner).is_some()) {
            return self.carried.push(Sighting { tap, time: packet.since_epoch(), tuple: inner, packet: packet.clone() });
        }
        let Some(tuple) = Tuple::of(ip) else { return };
        let sighting = Sighting { tap, time: packet.since_epoch(), tuple, packet: packet.clone() };
        match self.way(&tuple) {
            Some(way) => self.fly(way, number(ip), sighting),
            None if self.is_stray(&tuple) => self.strays.push(sighting),
            None => {}
        }
    }

    fn fly(&mut self, way: Way, number: u32, sighting: Sighting) {
        match self.flights.iter_mut().find(|flight| flight.way == way && flight.number == number) {
            Some(flight) => flight.sightings.push(sighting),
            None => self.flights.push(Flight { way, number, sightings: vec![sighting] }),
        }
    }

    fn is_stray(&self, tuple: &Tuple) -> bool {
        self.questions.iter().any(|asked| {
            let back = asked.back();
            let ends =
                (tuple.protocol, tuple.destination, tuple.destination_port) == (back.protocol, back.destination, back.destination_port);
            ends && (tuple.source_port == back.source_port || tuple.protocol == 1)
        })
    }

    /// Where the resolving of an address was seen, by its questions or by its answers.
    pub(super) fn resolved_at(&self, asks: bool, address: IpAddr) -> HashSet<Tap> {
        self.resolving.iter().filter(|seen| seen.asks == asks && seen.address == address).map(|seen| seen.tap).collect()
    }
}

/// The question, and what the machines made of it.
fn closure(first: Option<Tuple>, connections: &[Vec<Connection>]) -> HashSet<Tuple> {
    let mut known = HashSet::from_iter(first);
    let mut fresh: Vec<Tuple> = known.iter().copied().collect();
    while let Some(tuple) = fresh.pop() {
        let translated = connections.iter().flatten().filter_map(|connection| tuple.translated(connection));
        fresh.extend(translated.filter(|tuple| known.insert(*tuple)));
    }
    known
}

/// What machines made of the packet that opens a TCP connection, which keeps its sequence number.
fn renamed(first: Option<Tuple>, seen: &[(Tap, &Packet)]) -> Vec<Renamed> {
    let opening = |packet: &Packet| {
        let ip = packet.ip()?;
        let tcp = ip.as_tcp().filter(|tcp| tcp.flags.syn && !tcp.flags.ack)?;
        Some((tcp.seq, Tuple::of(ip)?))
    };
    let mut openings: Vec<_> =
        seen.iter().filter_map(|(tap, packet)| Some((packet.since_epoch(), tap.place.machine, opening(packet)?))).collect();
    openings.sort_by_key(|(time, ..)| *time);
    let Some((seq, _)) = openings.iter().map(|(.., opening)| *opening).find(|(_, tuple)| Some(*tuple) == first) else { return Vec::new() };
    openings.retain(|(.., (number, _))| *number == seq);
    let mut renamed = Vec::new();
    for (place, (_, machine, (_, after))) in openings.iter().enumerate() {
        let before = openings[..place].iter().rev().find(|(_, other, _)| other == machine).map(|(.., (_, before))| *before);
        renamed.extend(before.filter(|before| before != after).map(|before| Renamed { machine: *machine, before, after: *after }));
    }
    renamed
}

/// The sequence number; packets without one are alike.
fn number(ip: &Ip) -> u32 {
    match (ip.as_tcp(), ip.as_icmp()) {
        (Some(tcp), _) => tcp.seq,
        (_, Some(IcmpKind::EchoRequest { seq, .. } | IcmpKind::EchoReply { seq, .. })) => u32::from(*seq),
        _ => 0,
    }
}

fn inner_tuple(decoded: &Decoded) -> Option<Tuple> {
    Tuple::of(decoded.as_ip()?)
}

fn arp_resolving(tap: Tap, arp: &Arp) -> Resolving {
    let asks = arp.operation == ARP_ASKS;
    Resolving { tap, asks, address: if asks { arp.target } else { arp.sender }.into() }
}

fn discovering(tap: Tap, icmp: &IcmpKind) -> Option<Resolving> {
    match icmp {
        IcmpKind::NeighbourSolicitation { target } => Some(Resolving { tap, asks: true, address: (*target).into() }),
        IcmpKind::NeighbourAdvertisement { target } => Some(Resolving { tap, asks: false, address: (*target).into() }),
        _ => None,
    }
}
