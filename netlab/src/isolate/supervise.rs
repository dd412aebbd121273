//! The parent of a body: waits for it, reaps what it leaves, ends it when its time is up.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::wire::Ended;
use crate::sys::channel::Channel;
use crate::sys::hang::Answers;
use crate::sys::poll;
use crate::sys::process::{self, ChildSignals, Lone, Pid, Status};

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

/// What the supervisor of a test says to its body, and back.
const TIME_IS_UP: &[u8] = b"t";
const DONE: &[u8] = b"d";

/// The body's end of the connection to its supervisor.
#[derive(Debug)]
pub(super) struct Door(Channel);

impl Door {
    /// Whether the test's time is up, and the supervisor waits for [`is_done`](Self::is_done); otherwise it has gone.
    pub(super) fn asks_for_evidence(&self) -> bool {
        matches!(self.0.receive(), Ok(Some(message)) if message.bytes == TIME_IS_UP)
    }

    pub(super) fn is_done(&self) {
        // Nobody waits who has gone.
        self.0.send(DONE, &[]).unwrap_or_default();
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Has a body whose time is up say what it has to say. One that does not listen is not waited for.
fn last_words(body: &Channel, deadline: Instant) {
    if body.send(TIME_IS_UP, &[]).is_ok() {
        body.wait(deadline).unwrap_or_default();
    }
}

/// Runs `body` as a child of the calling process and returns when it and all its descendants are gone.
///
/// The kernel hands every orphan to the caller, as it is the first process of a PID namespace or has asked for it.
///
/// It ends the body when `owner` can be read: whoever waits for the outcome is gone.
pub(super) fn run(
    lone: &Lone,
    reach: Reach,
    timeout: Duration,
    owner: BorrowedFd<'_>,
    body: impl FnOnce(Door) -> i32,
) -> io::Result<Ended> {
    let (inside, door) = Channel::pair()?;
    let signals = ChildSignals::hold()?;
    let deadline = Instant::now() + timeout;
    let mut answers = Some(Answers::new()?); // the child takes its own copy of it
    let body = process::spawn(lone, || {
        if reach == Reach::Host {
            process::leave_session();
        }
        match process::release_signals().and_then(|()| answers.take().map_or(Ok(()), Answers::install)) {
            Ok(()) => body(Door(door)),
            Err(_) => 101,
        }
    })?;
    let killed = Status::Killed(libc::SIGKILL);
    let (status, hung) = match wait(body, deadline, &signals, owner)? {
        Waited::Ended(status) => (status, None),
        Waited::Forsaken => (killed, None),
        Waited::Late => {
            last_words(&inside, Instant::now() + ANSWER_GRACE);
            let hung = answers.map(|answers| answers.collect(body, Instant::now() + ANSWER_GRACE));
            (killed, Some(hung.unwrap_or_default()))
        }
    };
    match reach {
        Reach::Machine => end(process::kill_everybody_else),
        Reach::Host => end_descendants(),
    }
    Ok(Ended { status, hung })
}

/// Why the wait for a body is over.
#[derive(Debug)]
enum Waited {
    Ended(Status),
    /// Its time is up.
    Late,
    /// Nobody wants to know.
    Forsaken,
}

/// Waits for the body. Orphans that end meanwhile are reaped.
fn wait(body: Pid, deadline: Instant, signals: &ChildSignals, owner: BorrowedFd<'_>) -> io::Result<Waited> {
    loop {
        signals.clear(); // first: who ends after that signals again
        while let Ok(Some((pid, status))) = process::reap(false) {
            if pid == body {
                return Ok(Waited::Ended(status));
            }
        }
        match poll::readable([signals.as_fd(), owner], deadline)? {
            [_, true] => return Ok(Waited::Forsaken),
            [true, false] => {}
            [false, false] => return Ok(Waited::Late),
        }
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
