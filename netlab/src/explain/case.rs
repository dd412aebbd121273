//! The evidence of one probe: what was there, what passed, what was counted.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::counters::Counters;
use super::finding::Way;
use super::lab::{Lab, Machine};
use super::rewrites::Rewrites;
use super::trace::{Event, Trace};
use super::trail::Trail;
use super::tuple::Tuple;
use crate::capture::{Capture, Packets};
use crate::conntrack::Connection;
use crate::error::Result;
use crate::netns::Netns;
use crate::nft::Ruleset;
use crate::probe::{Outcome, Probe};
use crate::snapshot::{Question, Route};
use crate::sys::Refusal;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// Headers, also those in a tunnel or an ICMP error, and what whoever opens the packets later wants to read of the rest.
const SNAP: u32 = 2048;
const BUFFER: usize = 1 << 20;

pub(super) struct Case {
    pub(super) lab: Lab,
    pub(super) asker: usize,
    pub(super) probe: Probe,
    pub(super) target: SocketAddr,
    pub(super) outcome: Outcome,
    pub(super) trail: Trail,
    /// All that the taps saw, that of others too.
    pub(super) packets: Packets,
    /// For each machine, what it told of its hooks; nothing where the trace could not be had.
    pub(super) told: Vec<Told>,
    pub(super) rewrites: Vec<Rewrites>,
    /// The connections of before the probe.
    pub(super) known: Vec<Vec<Connection>>,
    before: Vec<Counters>,
    after: Vec<Counters>,
}

/// What one machine told.
#[derive(Default)]
pub(super) struct Told {
    pub(super) events: Vec<Event>,
    pub(super) ruleset: Ruleset,
    /// Whether it could be asked to tell.
    pub(super) armed: bool,
}

impl Case {
    /// Asks once more while everything is watched.
    pub(super) fn watch(netns: &Netns, probe: &Probe) -> Result<Self> {
        let target = probe.endpoint(netns)?;
        let protocol = probe.ip_protocol(target.is_ipv6());
        let mut lab = Lab::look()?;
        let asker = match lab.find(netns) {
            Some(asker) => asker,
            None => lab.add(netns)?,
        };
        let each = |read: fn(&Netns) -> Counters| lab.machines.iter().map(|machine| read(&machine.netns)).collect::<Vec<_>>();
        let before = each(Counters::read);
        let known = connections(&lab);
        let traces: Vec<_> = lab.machines.iter().map(|machine| arm(machine, protocol)).collect();
        let plan = lab.machines.iter().fold(Capture::plan().snap(SNAP).buffer(BUFFER), |plan, machine| plan.on(&machine.netns));
        let capture = plan.start()?;
        let outcome = ask(netns, probe)?;
        let packets = capture.stop_with_losses()?;
        let told: Vec<Told> = traces.iter().map(told).collect();
        drop(traces);
        let each = |read: fn(&Netns) -> Counters| lab.machines.iter().map(|machine| read(&machine.netns)).collect::<Vec<_>>();
        let after = each(Counters::read);
        let rewrites = connections(&lab).into_iter().zip(&told).map(|(remembered, told)| Rewrites::new(remembered, &told.events));
        let rewrites: Vec<_> = rewrites.collect();
        lab.again();
        let trail = Trail::read(&lab, asker, target, protocol, &packets, &rewrites);
        Ok(Self { lab, asker, probe: probe.clone(), target, outcome, trail, packets, told, rewrites, known, before, after })
    }

    pub(super) fn machine(&self, place: usize) -> &Machine {
        &self.lab.machines[place]
    }

    pub(super) fn name(&self, machine: usize) -> String {
        self.machine(machine).name().to_owned()
    }

    /// How much a counter of a machine has grown by the probe.
    pub(super) fn counted(&self, machine: usize, name: &str) -> u64 {
        self.after[machine].since(&self.before[machine], name)
    }

    /// What a machine makes of a packet that comes to it: another destination, another source.
    pub(super) fn translated(&self, machine: usize, tuple: Tuple) -> Tuple {
        self.rewrites[machine].last_of(tuple)
    }

    /// The words of a machine's trace about packets of one way.
    pub(super) fn events(&self, machine: usize, way: Way) -> impl Iterator<Item = &Event> {
        self.told[machine].events.iter().filter(move |event| event.tuple.is_some_and(|tuple| self.way(&tuple) == Some(way)))
    }

    /// The way of a packet, also of one whose translation nobody remembers, since it died.
    pub(super) fn way(&self, tuple: &Tuple) -> Option<Way> {
        let asks = match self.trail.first {
            Some(first) => {
                let begins = |way: &Tuple| (way.source, way.source_port, way.protocol);
                begins(&first) == begins(tuple)
            }
            // It died before any tap saw it.
            None => (tuple.destination, tuple.destination_port) == (self.target.ip(), self.target.port()),
        };
        self.trail.way(tuple).or_else(|| asks.then_some(Way::Question))
    }

    /// Whether packets of the way came to the begin (or the end) of a hook; nothing where that could not be watched.
    pub(super) fn reached(&self, machine: usize, way: Way, hook: &str, end: bool) -> Option<bool> {
        let there = || self.events(machine, way).any(|event| event.station() == Some((hook, end)));
        self.told[machine].armed.then(there)
    }

    /// The last mark that the packet bore.
    pub(super) fn mark(&self, machine: usize, way: Way) -> u32 {
        self.events(machine, way).last().map_or(0, |event| event.mark)
    }

    /// What the routes of a machine say about the packet, which came in by `iif` or is its own.
    pub(super) fn route(&self, machine: usize, way: Way, tuple: Tuple, iif: Option<String>) -> std::result::Result<Route, Refusal> {
        let question = Question {
            from: Some(tuple.source).filter(|source| !source.is_unspecified()),
            iif,
            mark: self.mark(machine, way),
            transport: Some((tuple.protocol, tuple.source_port, tuple.destination_port)),
            ..Question::to(tuple.destination)
        };
        self.machine(machine).way(&question)
    }

    pub(super) fn is_local(&self, machine: usize, address: IpAddr) -> bool {
        self.machine(machine).has(address)
    }
}

fn arm(machine: &Machine, protocol: u8) -> Option<Trace> {
    let has_bridge = machine.links.iter().any(|link| link.kind.as_ref().is_some_and(|kind| kind.kind == "bridge"));
    // Without a trace there are still the taps, the routes and the counters.
    Trace::arm(&machine.netns, protocol, has_bridge).ok()
}

fn told(trace: &Option<Trace>) -> Told {
    let of = |trace: &Trace| Told { events: trace.events(), ruleset: trace.ruleset.clone(), armed: true };
    trace.as_ref().map(of).unwrap_or_default()
}

fn connections(lab: &Lab) -> Vec<Vec<Connection>> {
    let of = |machine: &Machine| machine.netns.connections().map(|all| all.into_iter().collect()).unwrap_or_default();
    lab.machines.iter().map(of).collect()
}

fn ask(netns: &Netns, probe: &Probe) -> Result<Outcome> {
    match netns.observe(probe.with_patience(PATIENCE)) {
        Err(error) if error.errno() == Some(libc::EADDRNOTAVAIL) => Ok(Outcome::LocalError(libc::EADDRNOTAVAIL)),
        outcome => outcome,
    }
}
