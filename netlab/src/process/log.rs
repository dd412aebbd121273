//! What the programs that still have a fixture have printed, for the evidence of a failure.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

use std::process::ExitStatus;
use std::sync::{Arc, Mutex, Weak};

use super::output::Record;
use crate::netns::{Netns, lock};

static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

struct Kept {
    netns: String,
    program: String,
    id: u32,
    record: Weak<Record>,
}

/// What one program has printed.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) netns: String,
    /// As it was started: a name or a path.
    pub(crate) program: String,
    pub(crate) id: u32,
    pub(crate) exit: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(super) fn keep(netns: &Netns, program: &str, id: u32, record: &Arc<Record>) {
    let mut kept = lock(&KEPT);
    kept.retain(|kept| kept.record.strong_count() > 0);
    kept.push(Kept { netns: netns.name().to_owned(), program: program.to_owned(), id, record: Arc::downgrade(record) });
}

/// In the order in which they were started.
pub(crate) fn all() -> Vec<Log> {
    let Ok(kept) = KEPT.try_lock() else { return Vec::new() };
    let log = |kept: &Kept| {
        let record = kept.record.upgrade()?;
        let seen = record.try_read()?;
        let (netns, program) = (kept.netns.clone(), kept.program.clone());
        Some(Log { netns, program, id: kept.id, exit: seen.exit, stdout: seen.stdout(), stderr: seen.stderr() })
    };
    kept.iter().filter_map(log).collect()
}
