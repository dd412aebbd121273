//! What the taps saw of the probe: its packets told from all others, also where they were translated or carried by a tunnel.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::finding::Way;
use super::lab::{Lab, Tap};
use super::rewrites::Rewrites;
use super::tuple::Tuple;
use crate::capture::{Arp, Body, Decoded, IcmpKind, Ip, Packet, Packets};

/// From `netinet/ip_icmp.h`: what is asked for by an ARP question.
const ARP_ASKS: u16 = 1;

/// What the taps saw of one packet.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) way: Way,
    /// What tells it from other packets of its way: the sequence number.
    pub(super) number: u32,
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
    /// The packets of tunnels that carry the probe, or what resolves its neighbours.
    pub(super) carried: Vec<Sighting>,
}

impl Trail {
    /// `rewrites`: what each machine is known to have made of a packet.
    pub(super) fn read(lab: &Lab, asker: usize, target: SocketAddr, protocol: u8, packets: &Packets, rewrites: &[Rewrites]) -> Self {
        let mut trail = Self::default();
        let seen: Vec<(Tap, &Packet)> = packets.iter().filter_map(|packet| Some((lab.tap(packet)?, packet))).collect();
        trail.first = seen.iter().filter(|(tap, _)| tap.place.machine == asker).find_map(|(_, packet)| {
            let tuple = Tuple::of(packet.ip()?)?;
            let asks = tuple.protocol == protocol && tuple.destination == target.ip();
            (asks && (tuple.destination_port == target.port() || target.port() == 0) && tuple.source_port != 0).then_some(tuple)
        });
        trail.questions = closure(trail.first, rewrites);
        for (tap, packet) in seen {
            trail.add(tap, packet);
        }
        trail.flights.sort_by_key(|flight| flight.sightings[0].time);
        trail
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
        let Some(tuple) = Tuple::of(ip) else { return };
        if packet.vxlan().is_some_and(|vxlan| self.is_carried(&vxlan.inner)) {
            return self.carried.push(Sighting { tap, time: packet.since_epoch(), tuple, packet: packet.clone() });
        }
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

    /// Whether a frame in a tunnel is of the probe, or resolves a neighbour.
    fn is_carried(&self, inner: &Decoded) -> bool {
        let Some(ip) = inner.as_ip() else { return inner.as_arp().is_some() };
        discovery(ip) || Tuple::of(ip).is_some_and(|tuple| self.way(&tuple).is_some())
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
fn closure(first: Option<Tuple>, rewrites: &[Rewrites]) -> HashSet<Tuple> {
    let mut known = HashSet::from_iter(first);
    let mut fresh: Vec<Tuple> = known.iter().copied().collect();
    while let Some(tuple) = fresh.pop() {
        let translated = rewrites.iter().flat_map(|machine| machine.all_of(tuple));
        fresh.extend(translated.filter(|tuple| known.insert(*tuple)));
    }
    known
}

/// The sequence number; packets without one are alike.
fn number(ip: &Ip) -> u32 {
    match (ip.as_tcp(), ip.as_icmp()) {
        (Some(tcp), _) => tcp.seq,
        (_, Some(IcmpKind::EchoRequest { seq, .. } | IcmpKind::EchoReply { seq, .. })) => u32::from(*seq),
        _ => 0,
    }
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

/// Whether the packet resolves an IPv6 neighbour; the trace quotes too little of it to tell whose.
pub(super) fn discovery(ip: &Ip) -> bool {
    const SOLICITS: u8 = 135;
    const ADVERTISES: u8 = 136;
    match ip.as_icmp() {
        Some(IcmpKind::NeighbourSolicitation { .. } | IcmpKind::NeighbourAdvertisement { .. }) => true,
        Some(IcmpKind::Other { kind, .. }) => ip.source.is_ipv6() && matches!(*kind, SOLICITS | ADVERTISES),
        _ => false,
    }
}
