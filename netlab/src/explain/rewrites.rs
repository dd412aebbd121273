//! What a machine made of packets: by the connections that it remembers, and by what it told of each packet at its hooks.

use super::trace::Event;
use super::tuple::Tuple;
use crate::conntrack::Connection;

/// The translations of a machine.
#[derive(Debug, Default)]
pub(super) struct Rewrites {
    connections: Vec<Connection>,
    /// What a packet was at one hook and at a later one; a connection that ends by a reset is forgotten at once.
    told: Vec<(Tuple, Tuple)>,
}

impl Rewrites {
    pub(super) fn new(connections: Vec<Connection>, events: &[Event]) -> Self {
        let mut told = Vec::new();
        for (place, event) in events.iter().enumerate() {
            let first = events[..place].iter().find(|before| before.id == event.id && before.tuple.is_some());
            let pair = first.and_then(|first| Some((first.tuple?, event.tuple?)));
            let fresh = pair.filter(|pair| pair.0 != pair.1 && !told.contains(pair));
            told.extend(fresh);
        }
        Self { connections, told }
    }

    /// What it makes of a packet in the end.
    pub(super) fn last_of(&self, tuple: Tuple) -> Tuple {
        let remembered = self.connections.iter().find_map(|connection| tuple.translated(connection));
        let told = || self.told.iter().rev().find(|(before, _)| *before == tuple).map(|(_, after)| *after);
        remembered.or_else(told).unwrap_or(tuple)
    }

    /// All that it makes of a packet on its way.
    pub(super) fn all_of(&self, tuple: Tuple) -> Vec<Tuple> {
        let remembered = self.connections.iter().filter_map(|connection| tuple.translated(connection));
        let told = self.told.iter().filter(|(before, _)| *before == tuple).map(|(_, after)| *after);
        remembered.chain(told).collect()
    }
}
