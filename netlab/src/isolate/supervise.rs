//! The parent of a body: waits for it, reaps what it leaves, ends it when its time is up.

use std::io;
use std::time::{Duration, Instant};

use super::wire::Ended;
use crate::sys::hang::Answers;
use crate::sys::process::{self, Lone, Pid, Status};

/// What a body whose time is up may take to say where it is: to read the debug information of a large binary takes a while.
const ANSWER_GRACE: Duration = Duration::from_secs(10);

/// How far a test reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Into a machine of its own, whose first process is the supervisor.
    Machine,
    /// Into the namespaces of its caller.
    Host,
}

impl Reach {
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Machine => b'm',
            Self::Host => b'h',
        }
    }

    pub(super) fn from_byte(byte: Option<u8>) -> Self {
        if byte == Some(b'h') { Self::Host } else { Self::Machine }
    }
}

/// Runs `body` as a child of the calling process and returns when it and all its descendants are gone.
///
/// The kernel hands every orphan to the caller, as it is the first process of a PID namespace or has asked for it.
pub(super) fn run(lone: &Lone, reach: Reach, timeout: Duration, body: impl FnOnce() -> i32) -> io::Result<Ended> {
    process::hold_child_signals()?;
    let deadline = Instant::now() + timeout;
    let mut answers = Some(Answers::new()?); // the child takes its own copy of it
    let body = process::spawn(lone, || {
        if reach == Reach::Host {
            process::leave_session();
        }
        match process::release_signals().and_then(|()| answers.take().map_or(Ok(()), Answers::install)) {
            Ok(()) => body(),
            Err(_) => 101,
        }
    })?;
    let (status, hung) = match (wait(body, deadline), answers) {
        (Some(status), _) => (status, None),
        (None, answers) => {
            let hung = answers.map(|answers| answers.collect(body, Instant::now() + ANSWER_GRACE));
            (Status::Killed(libc::SIGKILL), Some(hung.unwrap_or_default()))
        }
    };
    match reach {
        Reach::Machine => end(process::kill_everybody_else),
        Reach::Host => end_descendants(),
    }
    Ok(Ended { status, hung })
}

/// How the body ended; `None` if it did not before the deadline. Orphans that end meanwhile are reaped.
fn wait(body: Pid, deadline: Instant) -> Option<Status> {
    loop {
        while let Ok(Some((pid, status))) = process::reap(false) {
            if pid == body {
                return Some(status);
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        process::child_changed(left);
    }
}

/// Kills and reaps all descendants of this process, which is told of every orphan among them.
pub(super) fn end_descendants() {
    end(|| process::children().into_iter().for_each(process::kill));
}

fn end(kill: impl Fn()) {
    loop {
        match process::reap(false) {
            Ok(Some(_)) => {}
            // Somebody lives: kill, then wait for one. The children of the dead come next.
            Ok(None) => {
                kill();
                if process::reap(true).is_err() {
                    return;
                }
            }
            Err(_) => return, // nobody is left
        }
    }
}
