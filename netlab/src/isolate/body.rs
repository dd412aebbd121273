//! The process of one test: what it inherits, the thread on which the function runs, its report.

use std::any::Any;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::supervise::Door;
use super::wire::{Pausing, Report, human};
use super::{Case, needs};
use crate::evidence::{self, End, Pause, Subject};
use crate::probe::witness;
use crate::sys::child::Bell;
use crate::sys::process::{self, Lone};
use crate::sys::{plate, poll};
use crate::{explain, sys, teardown};

/// The main thread waits as long as the test takes: the supervisor knows when its time is up.
const EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What the harness gives to the body: its working directory, its streams, and its environment if it has changed.
#[derive(Debug)]
pub(super) struct Legacy {
    pub(super) directory: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) report: File,
    pub(super) environment: Option<File>,
}

impl Legacy {
    pub(super) fn from_descriptors(descriptors: Vec<OwnedFd>) -> Option<Self> {
        let mut descriptors = descriptors.into_iter();
        Some(Self {
            directory: descriptors.next()?,
            stdout: descriptors.next()?,
            stderr: descriptors.next()?,
            report: descriptors.next()?.into(),
            environment: descriptors.next().map(File::from),
        })
    }

    fn accept(self, lone: &Lone) -> io::Result<File> {
        process::become_stdio(1, self.stdout.as_fd())?;
        process::become_stdio(2, self.stderr.as_fd())?;
        process::enter_directory(self.directory.as_fd())?;
        if let Some(file) = self.environment {
            process::replace_environment(lone, &decode_environment(file)?);
        }
        Ok(self.report)
    }
}

/// Runs the test and leaves its report; the exit code is the process's, which nobody but a debugger reads.
pub(super) fn run(lone: &Lone, case: &'static Case, legacy: Legacy, door: Door) -> i32 {
    let door = Arc::new(door);
    let Ok(report_file) = legacy.accept(lone) else { return 101 };
    plate::hang(&format!("test {}", case.path));
    if !case.host {
        sys::declare_machine_ours();
        witness::explain_by(explain::for_error);
    }
    let report = needs::missing(case.needs).map_or_else(|| observed(case, &door), Report::Unsupported);
    let written = report.write(&report_file);
    i32::from(written.is_err() || report != Report::Returned(0))
}

fn observed(case: &'static Case, door: &Arc<Door>) -> Report {
    let speaker = door.clone();
    let pausing = move |pause: Option<Pause>| {
        let pausing = pause.map_or(Pausing::Over, |pause| Pausing::Begins { file: pause.file, text: pause.text });
        speaker.tell(&pausing)
    };
    let subject = Subject { path: case.path, file: case.file, line: case.line, should_panic: case.should_panic };
    evidence::begin(subject, Box::new(pausing));
    let report = on_thread(case, door);
    match &report {
        Report::Returned(0) => evidence::end(End::Passed),
        Report::Panicked(text) => evidence::end(End::Panicked(text.clone())),
        Report::Returned(_) | Report::Leftovers(_) => evidence::end(End::Failed),
        Report::Unsupported(_) | Report::Unstarted(_) => {}
    }
    report
}

/// On a thread with the test's name, as libtest would: a panic's message names it.
fn on_thread(case: &'static Case, door: &Door) -> Report {
    let unstarted = |e: io::Error| Report::Unstarted(format!("cannot start the test's thread: {e}"));
    let ended = match Bell::new() {
        Ok(bell) => Arc::new(bell),
        Err(e) => return unstarted(e),
    };
    let bell = Rings(ended.clone());
    let body = move || {
        let _rings = bell;
        (case.body)()
    };
    match thread::Builder::new().name(case.name().to_owned()).spawn(body) {
        Ok(thread) => {
            listen(case, door, &ended);
            match thread.join() {
                Ok(exit) if exit.0 == 0 => leftovers().unwrap_or(Report::Returned(0)),
                Ok(exit) => Report::Returned(exit.0),
                Err(payload) => Report::Panicked(message(&*payload)),
            }
        }
        Err(e) => unstarted(e),
    }
}

/// Rings when the test's thread is done, however it ends.
struct Rings(Arc<Bell>);

impl Drop for Rings {
    fn drop(&mut self) {
        // A bell that does not ring leaves the test to its timeout.
        self.0.ring().unwrap_or_default();
    }
}

/// Does what the supervisor asks until the test's thread is done.
fn listen(case: &'static Case, door: &Door, ended: &Bell) {
    while let Ok([false, true]) = poll::readable([ended.as_fd(), door.as_fd()], Instant::now() + EVER) {
        if !door.asks_for_evidence() {
            return;
        }
        let timeout = human(Duration::from_millis(case.timeout_ms));
        evidence::end(End::Late(format!("timed out after {timeout}")));
        door.is_done();
    }
}

/// A test whose fixtures did not go has not passed.
fn leftovers() -> Option<Report> {
    let failures = teardown::take();
    let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
    (!lines.is_empty()).then(|| Report::Leftovers(lines.join("\n")))
}

fn message(payload: &(dyn Any + Send)) -> Option<String> {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
}

/// The environment as `NAME=VALUE` with a zero byte after each.
pub(super) fn encode_environment(variables: &[(OsString, OsString)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in variables {
        bytes.extend_from_slice(name.as_encoded_bytes());
        bytes.push(b'=');
        bytes.extend_from_slice(value.as_encoded_bytes());
        bytes.push(0);
    }
    bytes
}

fn decode_environment(mut file: File) -> io::Result<Vec<(OsString, OsString)>> {
    use std::io::Seek;
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    let pair = |entry: &[u8]| {
        let equals = entry.iter().skip(1).position(|byte| *byte == b'=')? + 1;
        Some((OsString::from_vec(entry[..equals].to_vec()), OsString::from_vec(entry[equals + 1..].to_vec())))
    };
    Ok(bytes.split(|byte| *byte == 0).filter_map(pair).collect())
}
