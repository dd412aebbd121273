//! Where a drop says that it is about to undo its fixture, and reports that it could not.
//!
//! Each isolated test is a process of its own, so one list a process is one list a test. `#[netlab::test]` fails a test whose body
//! passed but whose fixtures did not go.

use std::sync::{Mutex, OnceLock, PoisonError};

use crate::error::{self, Error};

static FAILED: Mutex<Vec<Error>> = Mutex::new(Vec::new());
static WATCHER: OnceLock<fn(Moment)> = OnceLock::new();

/// Two moments of a drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) enum Moment {
    /// The fixture still has its effect.
    Before,
    /// It has none any more.
    After,
}

/// Lives as long as a drop takes.
#[derive(Debug)]
#[must_use = "bind it: its end is the end of the drop"]
pub(crate) struct Undoing(());

/// Said by a drop before it undoes anything: whoever keeps evidence of a failure sees the lab as it is now.
pub(crate) fn begins() -> Undoing {
    if let Some(watcher) = WATCHER.get() {
        watcher(Moment::Before);
    }
    // What a drop cannot do is told to the test at its end: it is not what made the test end.
    error::count_no_more();
    Undoing(())
}

impl Drop for Undoing {
    fn drop(&mut self) {
        error::count_again();
        if let Some(watcher) = WATCHER.get() {
            watcher(Moment::After);
        }
    }
}

/// Has `watcher` told of every drop; the first who asks is.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) fn watch(watcher: fn(Moment)) {
    WATCHER.set(watcher).unwrap_or_default();
}

/// Reports a failed undo: on standard error at once, and to the test at its end. Never panics.
pub(crate) fn failed(error: Error) {
    eprintln!("netlab: {error}");
    FAILED.lock().unwrap_or_else(PoisonError::into_inner).push(error);
}

/// What was reported since the last call.
pub(crate) fn take() -> Vec<Error> {
    std::mem::take(&mut *FAILED.lock().unwrap_or_else(PoisonError::into_inner))
}
