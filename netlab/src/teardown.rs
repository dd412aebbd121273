//! Where a drop reports that it could not undo its fixture.
//!
//! Each isolated test is a process of its own, so one list a process is one list a test. `#[netlab::test]` fails a test whose body
//! passed but whose fixtures did not go.

use std::sync::{Mutex, PoisonError};

use crate::error::Error;

static FAILED: Mutex<Vec<Error>> = Mutex::new(Vec::new());

/// Reports a failed undo: on standard error at once, and to the test at its end. Never panics.
pub(crate) fn failed(error: Error) {
    eprintln!("netlab: {error}");
    FAILED.lock().unwrap_or_else(PoisonError::into_inner).push(error);
}

/// What was reported since the last call.
pub(crate) fn take() -> Vec<Error> {
    std::mem::take(&mut *FAILED.lock().unwrap_or_else(PoisonError::into_inner))
}
