//! The parent of a body: waits for it, reaps what it leaves, ends it when its time is up.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::wire::{Ended, Pausing};
use crate::sys::channel::{Channel, Message};
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
/// As long as somebody looks around.
const EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

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

    /// Stops the clock, and has whoever runs the test told how to look around; [`Pausing::Over`] ends that.
    pub(super) fn tell(&self, pausing: &Pausing) -> io::Result<()> {
        let handle = process::own_handle()?;
        self.0.send(&pausing.encode(), &[handle.as_fd()])
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Who waits for the outcome of a body.
pub(super) struct Owner<'a> {
    /// It can be read when the owner is gone.
    pub(super) gone: BorrowedFd<'a>,
    /// Takes what the body says of a pause.
    pub(super) tell: &'a dyn Fn(&Message),
}

/// Runs `body` as a child of the calling process and returns when it and all its descendants are gone.
///
/// The kernel hands every orphan to the caller, as it is the first process of a PID namespace or has asked for it.
///
/// It ends the body when its owner is gone.
pub(super) fn run(lone: &Lone, reach: Reach, timeout: Duration, owner: Owner<'_>, body: impl FnOnce(Door) -> i32) -> io::Result<Ended> {
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
    let mut watch = Watch { body, end: process::handle(body)?, signals, owner, door: Some(inside), deadline, paused: None };
    let killed = Status::Killed(libc::SIGKILL);
    let (status, hung) = match watch.wait()? {
        Waited::Ended(status) => (status, None),
        Waited::Forsaken => (killed, None),
        Waited::Late => {
            watch.last_words()?;
            let hung = answers.map(|answers| answers.collect(body, Instant::now() + ANSWER_GRACE));
            (killed, Some(hung.unwrap_or_default()))
        }
    };
    match reach {
        Reach::Machine => end_machine(),
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

/// What a supervisor has its eye on.
struct Watch<'a> {
    body: Pid,
    /// Can be read when the body has ended. The signal alone would not do: where the supervisor is one of two threads, as in a process of
    /// nextest's, the kernel may give it to the other, which ignores it.
    end: OwnedFd,
    signals: ChildSignals,
    owner: Owner<'a>,
    /// None when the body has closed its end.
    door: Option<Channel>,
    deadline: Instant,
    /// Since when the clock has stood still.
    paused: Option<Instant>,
}

enum Event {
    Ended(Status),
    Said(Message),
    Forsaken,
    Late,
}

impl Watch<'_> {
    /// Waits for the body.
    fn wait(&mut self) -> io::Result<Waited> {
        loop {
            match self.next()? {
                Event::Ended(status) => return Ok(Waited::Ended(status)),
                Event::Said(message) => self.hear(&message),
                Event::Forsaken => return Ok(Waited::Forsaken),
                Event::Late => return Ok(Waited::Late),
            }
        }
    }

    /// Has a body whose time is up say what it has to say. One that does not listen is not waited for.
    fn last_words(&mut self) -> io::Result<()> {
        self.deadline = Instant::now() + ANSWER_GRACE;
        if self.door.as_ref().is_none_or(|door| door.send(TIME_IS_UP, &[]).is_err()) {
            return Ok(());
        }
        loop {
            match self.next()? {
                Event::Said(message) if message.bytes != DONE => self.hear(&message),
                _ => return Ok(()),
            }
        }
    }

    /// The next that happens. Orphans that end meanwhile are reaped.
    fn next(&mut self) -> io::Result<Event> {
        loop {
            self.signals.clear(); // first: who ends after that signals again
            while let Ok(Some((pid, status))) = process::reap(false) {
                if pid == self.body {
                    return Ok(Event::Ended(status));
                }
            }
            let deadline = if self.paused.is_some() { Instant::now() + EVER } else { self.deadline };
            let (signals, gone) = (self.signals.as_fd(), self.owner.gone);
            // A door that is closed is not asked: another stands in.
            let door = self.door.as_ref().map_or(gone, AsFd::as_fd);
            let [orphan, ended, forsaken, said] = poll::readable([signals, self.end.as_fd(), gone, door], deadline)?;
            if forsaken {
                return Ok(Event::Forsaken);
            }
            if said {
                match self.door.as_ref().map(Channel::receive).transpose()?.flatten() {
                    Some(message) => return Ok(Event::Said(message)),
                    None => self.door = None,
                }
            } else if !(orphan || ended) {
                return Ok(Event::Late);
            }
        }
    }

    fn hear(&mut self, message: &Message) {
        match Pausing::decode(&message.bytes) {
            Some(Pausing::Begins { .. }) => self.paused = Some(Instant::now()),
            Some(Pausing::Over) => self.deadline += self.paused.take().map(|since| since.elapsed()).unwrap_or_default(),
            None => return,
        }
        (self.owner.tell)(message);
    }
}

/// Kills and reaps all others in the machine of which this is the first process.
pub(super) fn end_machine() {
    end(process::kill_everybody_else);
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
