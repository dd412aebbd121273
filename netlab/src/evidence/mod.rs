//! What is kept of a test that fails: a folder with the state of its lab, from before its fixtures went.
//!
//! The state is looked at in three moments, each before anything is undone: when a panic begins, before its stack is unwound; at the first
//! drop of a fixture while an [`Error`](crate::Error) is on its way out of the test; and when the test's time is up. It is kept in memory
//! and written when the test has failed. A test that passes writes nothing, and looks at nothing if its errors are dealt with where they
//! come up.
//!
//! | variable | value |
//! |---|---|
//! | `NETLAB_EVIDENCE` | the folder in place of `target/netlab`; `0`: none is written |
//! | `NETLAB_PAUSE` | `fail`: a test that fails waits, with its lab as it is, for somebody who looks around |
//! | `NETLAB_KEEP` | `always`: also for tests that pass, from before the first of their last drops |
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

mod collect;
mod folder;
mod github;
mod pause;
mod repro;
mod state;
mod sysctls;
mod why;

use std::env;
use std::ffi::OsString;
use std::panic::{self, Location, PanicHookInfo};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;

use crate::error::{self, Last};
use crate::netns::{Netns, lock};
use crate::teardown::{self, Moment};
use collect::Snapshot;
use pause::Pauser;
pub use pause::pause;
pub(crate) use pause::{PID, Pause};

/// A test may panic and recover so often with the lab being looked at each time.
const LOOKS: u32 = 16;

/// The test of which evidence is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    /// Its path, with its crate.
    pub(crate) path: &'static str,
    pub(crate) file: &'static str,
    pub(crate) line: u32,
    /// The text that its panic shall have, if it shall panic.
    pub(crate) should_panic: Option<&'static str>,
}

/// How a test ended.
#[derive(Debug)]
pub(crate) enum End {
    Passed,
    Failed,
    /// It panicked with this text; whether that is a failure depends on the test.
    Panicked(Option<String>),
    /// Its time is up.
    Late(String),
}

/// What is known of a failure.
#[derive(Debug, Clone, Default)]
struct Failure {
    text: String,
    place: Option<(String, u32)>,
}

struct Keeper {
    subject: Subject,
    /// What `NETLAB_EVIDENCE` says.
    asked: Option<OsString>,
    snapshot: Option<Snapshot>,
    failure: Option<Failure>,
}

static PAUSES: AtomicBool = AtomicBool::new(false);
static KEEPER: Mutex<Option<Keeper>> = Mutex::new(None);
static ALWAYS: AtomicBool = AtomicBool::new(false);
/// The last error, by its number, for which the lab was looked at.
static SEEN_ERROR: AtomicU64 = AtomicU64::new(0);
static SEEN_USES: AtomicU64 = AtomicU64::new(0);
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// Keeps evidence of the test that this process is about to run.
pub(crate) fn begin(subject: Subject, pauser: Pauser) {
    pause::through(subject, pauser);
    let asked = env::var_os("NETLAB_EVIDENCE");
    let pauses = env::var_os("NETLAB_PAUSE").is_some_and(|pause| pause == "fail");
    if asked.as_ref().is_some_and(|asked| asked == "0") && !pauses {
        return;
    }
    PAUSES.store(pauses, Ordering::Relaxed);
    ALWAYS.store(env::var_os("NETLAB_KEEP").is_some_and(|keep| keep == "always"), Ordering::Relaxed);
    *lock(&KEEPER) = Some(Keeper { subject, asked, snapshot: None, failure: None });
    teardown::watch(at_a_drop);
    let printed = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        // What goes wrong while evidence is kept is told with it.
        if !collect::is_collecting() {
            printed(panic);
            at_a_panic(panic);
        }
    }));
}

fn at_a_drop(moment: Moment) {
    if thread::panicking() || collect::is_collecting() {
        return;
    }
    match moment {
        Moment::Before => {
            let error = error::on_their_way().filter(|made| SEEN_ERROR.swap(*made, Ordering::Relaxed) != *made);
            if error.is_some() {
                look("an error was on its way out of the test");
                pause_if_asked("an error is on its way out of the test");
            } else if ALWAYS.load(Ordering::Relaxed) && SEEN_USES.load(Ordering::Relaxed) != Netns::uses() {
                look("a fixture was about to be dropped");
            }
        }
        // Drops that follow each other are one: between them nothing was asked of any namespace.
        Moment::After => SEEN_USES.store(Netns::uses(), Ordering::Relaxed),
    }
}

fn at_a_panic(panic: &PanicHookInfo<'_>) {
    let text = panic.payload_as_str().unwrap_or("a value that is no text");
    let expected = match &*lock(&KEEPER) {
        Some(keeper) => keeper.subject.should_panic.is_some_and(|expected| text.contains(expected)),
        None => true,
    };
    if expected && !ALWAYS.load(Ordering::Relaxed) {
        return;
    }
    let place = panic.location().map(|place| (place.file().to_owned(), place.line()));
    let thread = thread::current();
    let who = thread.name().unwrap_or("a thread without a name").to_owned();
    let at = place.as_ref().map(|(file, line)| format!(" at {file}:{line}")).unwrap_or_default();
    if let Some(keeper) = &mut *lock(&KEEPER) {
        keeper.failure = Some(Failure { text: text.to_owned(), place });
    }
    look(&format!("`{who}` had panicked, before its stack was unwound"));
    pause_if_asked(&format!("`{who}` panicked{at}: {text}"));
}

fn pause_if_asked(why: &str) {
    if PAUSES.load(Ordering::Relaxed) {
        pause::wait(why);
    }
}

/// Looks at the lab and keeps what it sees in place of what was seen before.
fn look(when: &str) {
    if TAKEN.fetch_add(1, Ordering::Relaxed) >= LOOKS {
        return;
    }
    let Some(test) = lock(&KEEPER).as_ref().map(|keeper| keeper.subject.path) else { return };
    let snapshot = collect::now(test, when);
    if let Some(keeper) = &mut *lock(&KEEPER) {
        keeper.snapshot = Some(snapshot);
    }
}

/// The test function has returned, and this is the error of ours that it returned, if it did.
pub(crate) fn returned(last: Option<Last>) {
    let Some(last) = last else { return };
    let place = |place: &'static Location<'static>| (place.file().to_owned(), place.line());
    if let Some(keeper) = &mut *lock(&KEEPER) {
        keeper.failure = Some(Failure { text: last.text, place: last.place.map(place) });
    }
}

/// Writes what was kept, if the test has failed. Tells where on standard error.
pub(crate) fn end(end: End) {
    let Some(mut keeper) = lock(&KEEPER).take() else { return };
    let subject = keeper.subject;
    let failure = match end {
        End::Passed => None,
        End::Panicked(text) => {
            let as_it_should = subject.should_panic.is_some_and(|expected| text.as_ref().is_some_and(|text| text.contains(expected)));
            (!as_it_should).then(|| keeper.failure.take().unwrap_or_default())
        }
        End::Failed => Some(keeper.failure.take().unwrap_or_default()),
        End::Late(text) => {
            keeper.snapshot = Some(collect::now(subject.path, "its time was up"));
            pause_if_asked(&text);
            Some(Failure { text, place: None })
        }
    };
    if failure.is_none() && !ALWAYS.load(Ordering::Relaxed) {
        return;
    }
    let snapshot = keeper.snapshot.take().unwrap_or_else(|| {
        collect::now(
            subject.path,
            "the test had returned: what its fixtures had made was gone. A panic, or an error of netlab's that leaves the test by `?`, is \
             looked at before",
        )
    });
    if keeper.asked.as_ref().is_some_and(|asked| asked == "0") {
        return;
    }
    let written = folder::write(subject.path, keeper.asked.as_deref(), &head(subject, failure.as_ref(), &snapshot), &snapshot);
    match &written {
        Ok(place) => eprintln!("netlab: evidence is in {}", place.display()),
        Err(why) => eprintln!("netlab: no evidence is kept: {why}"),
    }
    if let Some(failure) = failure {
        let place = failure.place.as_ref().map_or((subject.file, subject.line), |(file, line)| (file, *line));
        github::tell(subject.path, place, &failure.text, &snapshot, written.ok().as_deref());
    }
}

/// The first lines of `state.txt`.
fn head(subject: Subject, failure: Option<&Failure>, snapshot: &Snapshot) -> String {
    let mut head = match failure {
        Some(_) => format!("{} failed", subject.path),
        None => format!("{} passed", subject.path),
    };
    let (file, line) = match failure.and_then(|failure| failure.place.clone()) {
        Some(place) => place,
        None => (subject.file.to_owned(), subject.line),
    };
    head.push_str(&format!(" at {file}:{line}\n"));
    if let Some(failure) = failure {
        failure.text.lines().for_each(|line| head.push_str(&format!("    {line}\n")));
    }
    head.push_str(&format!("The state below is from the moment when {}.\n", snapshot.when));
    snapshot.notes.iter().for_each(|note| head.push_str(&format!("note: {note}\n")));
    head
}
