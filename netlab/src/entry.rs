//! A row of one of the kernel's tables (a route, a rule, a neighbour, an address), put there by one request and taken away by another.

use std::panic::Location;

use netlink_packet_route::RouteNetlinkMessage;

use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::sys::Refusal;
use crate::teardown;

/// What the fixtures of such rows have in common: the request that undoes them, sent when they are dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    netns: Netns,
    /// Such as ``route `10.1.0.0/16 via 10.0.0.1` of `laptop` ``.
    what: String,
    undo: RouteNetlinkMessage,
    armed: bool,
}

impl Entry {
    /// The owner of a row that the kernel has just taken.
    pub(crate) fn new(netns: &Netns, what: String, undo: RouteNetlinkMessage) -> Self {
        Self { netns: netns.clone(), what, undo, armed: true }
    }

    /// The namespace whose table it is.
    pub(crate) fn netns(&self) -> &Netns {
        &self.netns
    }

    #[track_caller]
    pub(crate) fn close(mut self) -> Result<()> {
        let here = Location::caller();
        self.armed = false;
        self.remove().doing(|| self.removal()).at(here)
    }

    pub(crate) fn keep(mut self) {
        self.armed = false;
    }

    fn removal(&self) -> String {
        format!("remove {}", self.what)
    }

    fn remove(&self) -> Result<(), Refusal> {
        match self.netns.request(self.undo.clone(), 0) {
            Err(refusal) if is_gone(&refusal) => Ok(()),
            other => other.map(drop),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        if self.armed
            && let Err(refusal) = self.remove()
        {
            teardown::failed(Error::new(self.removal(), refusal));
        }
    }
}

/// The row went by itself, with its interface or when that went down, or somebody else removed it: nothing is left to undo.
fn is_gone(refusal: &Refusal) -> bool {
    [libc::ESRCH, libc::ENODEV, libc::ENOENT, libc::EADDRNOTAVAIL].iter().any(|errno| refusal.is(*errno))
}
