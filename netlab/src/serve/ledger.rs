//! What a responder counts.

use std::net::SocketAddr;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::netns::lock;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    tally: Mutex<Tally>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) hits: u64,
    pub(super) last: Option<SocketAddr>,
}

impl Ledger {
    /// Counted before it is answered, so that who has the answer sees the count.
    pub(super) fn hit(&self, client: SocketAddr) {
        let mut tally = lock(&self.tally);
        tally.hits += 1;
        tally.last = Some(client);
        self.changed.notify_all();
    }

    pub(super) fn read(&self) -> Tally {
        *lock(&self.tally)
    }

    /// Waits until there are that many hits, or the time is over.
    pub(super) fn wait(&self, hits: u64, within: Duration) -> Tally {
        let tally = lock(&self.tally);
        match self.changed.wait_timeout_while(tally, within, |tally| tally.hits < hits) {
            Ok((tally, _)) => *tally,
            Err(poisoned) => *poisoned.into_inner().0,
        }
    }
}
