//! The harness's side of a pause: says how to look around, and listens for Enter.

use std::fs;
use std::io::{self, Read, Stdin, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Instant;

use crate::evidence::PID;

/// Somebody may look around in a machine until a file is gone.
pub(super) struct Visit {
    pub(super) since: Instant,
    file: String,
    /// None at the end of standard input, as under nextest.
    keyboard: Option<Stdin>,
}

impl Visit {
    /// `handles` holds one of the process that waits.
    pub(super) fn begin(file: String, text: &str, handles: &[OwnedFd]) -> Self {
        let process = handles.first().and_then(process_id).unwrap_or_else(|| PID.to_owned());
        // Not by eprintln!, which libtest captures: somebody reads it now.
        io::stderr().write_all(text.replace(PID, &process).as_bytes()).unwrap_or_default();
        Self { since: Instant::now(), file, keyboard: Some(io::stdin()) }
    }

    pub(super) fn keyboard(&self) -> Option<OwnedFd> {
        self.keyboard.as_ref().and_then(|stdin| stdin.as_fd().try_clone_to_owned().ok())
    }

    /// Enter ends the pause, as the removal of the file does, of which it is one.
    pub(super) fn read_key(&mut self) {
        let mut typed = [0; 256];
        match self.keyboard.as_mut().map(|stdin| stdin.read(&mut typed)) {
            Some(Ok(length)) if typed[..length].contains(&b'\n') => fs::remove_file(&self.file).unwrap_or_default(),
            Some(Ok(1..)) => {}
            _ => self.keyboard = None,
        }
    }
}

/// The process's number as this process's /proc has it (proc(5), `fdinfo` of a pidfd).
fn process_id(handle: &OwnedFd) -> Option<String> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", handle.as_raw_fd())).ok()?;
    let id = info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim();
    id.parse::<u32>().is_ok().then(|| id.to_owned())
}
