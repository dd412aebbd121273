//! The way of a packet from machine to machine, by what the taps saw, to the place where it was seen last.

use std::collections::HashSet;
use std::time::Duration;

use super::Step;
use super::case::Case;
use super::causes::routed;
use super::finding::Way;
use super::lab::{Place, Tap};
use super::trail::{Flight, Sighting};
use super::tuple::Tuple;
use crate::capture::Direction;

/// More machines than a packet with a TTL of 64 passes.
const FARTHEST: usize = 130;

/// Where the way of a packet ends.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) way: Way,
    /// The machine that had it last.
    pub(super) machine: usize,
    /// By which device it came into this machine; none if it begins here.
    pub(super) by: Option<Place>,
    /// How it was seen there.
    pub(super) arrived: Option<Sighting>,
    /// The packet in the machine before.
    pub(super) before: Option<Box<End>>,
    /// The packet, as this machine got or made it.
    pub(super) tuple: Tuple,
    pub(super) place: Ended,
}

#[derive(Debug, Clone)]
pub(super) enum Ended {
    /// In the machine: nothing left it.
    Inside,
    /// On the way to the next machine: all taps of the way, and how many of them saw it.
    Between { taps: Vec<Tap>, seen: usize },
    /// It left by this device, and nobody is there who has its frame's destination.
    Nowhere { left: Sighting },
}

impl End {
    /// The device by which it came, by name.
    pub(super) fn iif(&self, case: &Case) -> Option<String> {
        self.by.map(|place| case.lab.device(place))
    }
}

/// A walk: where it led, and where it ended.
pub(super) struct Walk {
    pub(super) steps: Vec<Step>,
    pub(super) end: End,
    /// The packet in each machine that passed it on.
    pub(super) ends: Vec<End>,
}

impl Case {
    /// Follows a packet from the machine that sent it. Without a flight, it was seen nowhere.
    pub(super) fn walk(&self, way: Way, flight: Option<&Flight>, origin: usize, tuple: Tuple) -> Walk {
        let sightings: &[Sighting] = flight.map_or(&[], |flight| &flight.sightings);
        let seen: HashSet<Tap> = sightings.iter().map(|sighting| sighting.tap).collect();
        let start = End { way, machine: origin, by: None, arrived: None, before: None, tuple, place: Ended::Inside };
        let mut walk = Walk { steps: Vec::new(), end: start, ends: Vec::new() };
        for _ in 0..FARTHEST {
            let Some(left) = self.departure(sightings, &walk.end) else {
                self.through_loopback(sightings, &mut walk);
                break;
            };
            walk.push(self, &left);
            let Some(taps) = self.onwards(&left, &seen) else {
                walk.end.place = Ended::Nowhere { left: left.clone() };
                break;
            };
            let passed = taps.iter().take_while(|tap| seen.contains(tap)).count();
            let arrival = taps.last().and_then(|last| sightings.iter().find(|one| one.tap == *last && one.time >= left.time));
            walk.pass(self, &taps[1..passed.max(1)]);
            let Some(arrival) = arrival.filter(|_| passed == taps.len()) else {
                walk.end.place = Ended::Between { taps, seen: passed };
                break;
            };
            walk.arrive(arrival.clone());
            if self.is_here(&walk.end) {
                break;
            }
        }
        walk
    }

    /// Whether the packet is for the machine that it came to.
    pub(super) fn is_here(&self, end: &End) -> bool {
        self.is_local(end.machine, routed(self, end).destination)
    }

    /// Where the packet left the machine: by a device that sends packets, and not just forwards frames.
    fn departure(&self, sightings: &[Sighting], end: &End) -> Option<Sighting> {
        let since = end.arrived.as_ref().map_or(Duration::ZERO, |arrived| arrived.time);
        let leaves = |one: &&Sighting| {
            one.tap.direction == Direction::Out
                && one.tap.place.machine == end.machine
                && one.time >= since
                && self.lab.bridge(one.tap.place).is_none()
        };
        sightings.iter().filter(leaves).min_by_key(|one| one.time).cloned()
    }

    /// The taps to the machine whose MAC address the frame bears.
    fn onwards(&self, left: &Sighting, seen: &HashSet<Tap>) -> Option<Vec<Tap>> {
        let reached = self.lab.reached(left.tap.place);
        let to: Vec<Place> = match left.packet.decoded().ethernet.as_ref() {
            Some(ethernet) => {
                let mac = ethernet.destination.to_string();
                reached.into_iter().filter(|place| self.lab.link(*place).is_some_and(|link| link.mac.as_deref() == Some(&mac))).collect()
            }
            None => reached,
        };
        let ways = to.into_iter().filter_map(|to| self.lab.segment(left.tap.place, to));
        // A bridge has the MAC address of one of its ports and is beyond it, a VLAN that of the link below it.
        ways.max_by_key(|taps| {
            let is_port = self.lab.bridge(taps[taps.len() - 1].place).is_some();
            let whole = taps.iter().all(|tap| seen.contains(tap));
            (!is_port, whole, if whole { taps.len() } else { usize::MAX - taps.len() })
        })
    }

    fn through_loopback(&self, sightings: &[Sighting], walk: &mut Walk) {
        let is_loopback = |place: Place| self.lab.link(place).is_some_and(|link| link.has_flag("LOOPBACK"));
        let looped = sightings.iter().find(|one| one.tap.place.machine == walk.end.machine && is_loopback(one.tap.place));
        if let Some(looped) = looped.filter(|_| walk.end.arrived.is_none()) {
            walk.push(self, looped);
            walk.end.by = Some(looped.tap.place);
            walk.end.arrived = Some(looped.clone());
        }
    }
}

impl Walk {
    fn arrive(&mut self, arrival: Sighting) {
        let (machine, tuple, way) = (arrival.tap.place.machine, arrival.tuple, self.end.way);
        let next = End { way, machine, by: Some(arrival.tap.place), arrived: Some(arrival), before: None, tuple, place: Ended::Inside };
        let before = std::mem::replace(&mut self.end, next);
        // One machine back is enough, and keeps the chain from growing.
        self.end.before = Some(Box::new(End { before: None, ..before.clone() }));
        self.ends.push(before);
    }

    fn push(&mut self, case: &Case, seen: &Sighting) {
        self.add(case, seen.tap, Some(seen.tuple));
    }

    fn pass(&mut self, case: &Case, taps: &[Tap]) {
        taps.iter().for_each(|tap| self.add(case, *tap, None));
    }

    fn add(&mut self, case: &Case, tap: Tap, tuple: Option<Tuple>) {
        let verb = match tap.direction {
            Direction::In => "received",
            Direction::Out => "sent",
        };
        let event = tuple.map_or_else(|| verb.to_owned(), |tuple| format!("{verb} {tuple}"));
        self.steps.push(Step {
            machine: case.name(tap.place.machine),
            device: Some(case.lab.device(tap.place)),
            direction: self.end.way,
            event,
        });
    }
}
