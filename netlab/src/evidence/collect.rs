//! Looks at the whole lab at once, on a thread of its own, and not for longer than a deadline.

use std::cell::Cell;
use std::error::Error;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::sysctls::Values;
use super::why::Why;
use super::{repro, state};
use crate::draw::Topology;
use crate::error;
use crate::netns::Netns;
use crate::probe::witness;
use crate::process::log;
use crate::sys::namespace;

/// How long it may take: what is not there then, because somebody holds a lock, is left out.
const PATIENCE: Duration = Duration::from_secs(5);
const THREAD: &str = "netlab evidence";
/// Of each file; of a program's output the last part counts, of all else the first.
const FILE_BYTES: usize = 1024 * 1024;
const LOG_BYTES: usize = 256 * 1024;
const LOGS: usize = 64;

thread_local! {
    static COLLECTS: Cell<bool> = const { Cell::new(false) };
}

/// What was seen of a lab.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// Completes the sentence "it is from the moment when …".
    pub(super) when: String,
    /// Names and contents.
    pub(super) files: Vec<(String, Vec<u8>)>,
    /// What could not be seen.
    pub(super) notes: Vec<String>,
}

enum Part {
    File(String, Vec<u8>),
    Note(String),
}

/// Whether the calling thread is one that looks.
pub(super) fn is_collecting() -> bool {
    COLLECTS.get()
}

/// What there is now.
pub(super) fn now(test: &'static str, when: &str) -> Snapshot {
    let mut snapshot = Snapshot { when: when.to_owned(), ..Snapshot::default() };
    let (sender, parts) = mpsc::channel();
    // A thread of its own, left behind at the deadline: the caller may be a thread in another namespace, or amid a panic.
    if let Err(e) = thread::Builder::new().name(THREAD.to_owned()).spawn(move || look(test, &sender)) {
        snapshot.notes.push(format!("nothing could be looked at: {e}"));
        return snapshot;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match parts.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Part::File(name, bytes)) => snapshot.files.push((name, bytes)),
            Ok(Part::Note(note)) => snapshot.notes.push(note),
            Err(RecvTimeoutError::Disconnected) => return snapshot,
            Err(RecvTimeoutError::Timeout) => {
                snapshot.notes.push(format!("not everything could be looked at within {PATIENCE:?}"));
                return snapshot;
            }
        }
    }
}

fn look(test: &str, sender: &Sender<Part>) {
    COLLECTS.set(true);
    error::count_no_more();
    // Nobody listens after the deadline.
    let tell = |part| sender.send(part).unwrap_or_default();
    let machines = match namespace::follow_main_thread().and_then(|()| machines()) {
        Ok(machines) => machines,
        Err(e) => return tell(Part::Note(format!("the namespaces cannot be opened: {e}"))),
    };
    let failed = witness::last_failed();
    let topology = attempt(|| Ok(Topology::of(&machines)?));
    let drawn = topology.as_ref().ok();
    let text = |name: &str, made: Result<String, String>| match made {
        Ok(text) => tell(Part::File(name.to_owned(), head(text))),
        Err(why) => tell(Part::Note(format!("{name} is missing: {why}"))),
    };
    let values = match machines.iter().map(Values::read).collect::<io::Result<Vec<_>>>() {
        Ok(values) => values,
        Err(e) => return tell(Part::Note(format!("the sysctls cannot be read: {e}"))),
    };
    // What is there comes first: to ask the probe once more leaves traces.
    text("state.txt", attempt(|| Ok(state::text(&machines, drawn, &values)?)));
    logs().into_iter().for_each(|(name, log)| tell(Part::File(name, log.into_bytes())));
    text("repro.sh", attempt(|| Ok(repro::script(test, &machines, drawn, &values, failed.as_ref())?)));
    let why = failed.map(|failed| attempt(|| Ok(Why::find(&machines, &failed)?))).transpose();
    if let Ok(Some(Some(why))) = &why {
        tell(Part::File("explanation.txt".to_owned(), head(why.explanation.clone())));
        tell(Part::File("sequence.mmd".to_owned(), head(why.sequence.clone())));
        tell(Part::File("packets.pcapng".to_owned(), why.packets.clone()));
    } else if let Err(e) = &why {
        tell(Part::Note(format!("explanation.txt is missing: {e}")));
    }
    let topology = topology.map(|topology| match &why {
        Ok(Some(Some(why))) => why.mark(topology),
        _ => topology,
    });
    text("topology.svg", topology.as_ref().map(Topology::svg).map_err(Clone::clone));
    text("topology.mmd", topology.as_ref().map(Topology::mermaid).map_err(Clone::clone));
}

/// What went wrong in the making of evidence is a note.
fn attempt<T>(make: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(make)) {
        Ok(made) => made.map_err(|e| e.to_string().lines().collect::<Vec<_>>().join("; ")),
        Err(_) => Err("its making panicked, which is a bug of netlab".to_owned()),
    }
}

/// Handles of our own: the test's may be locked by a thread that does not go on.
fn machines() -> io::Result<Vec<Netns>> {
    Netns::live()?.iter().map(Netns::twin).collect()
}

/// Where the namespaces are open in this process: their names, and the descriptors of their networks and of mounts of their own.
pub(super) fn doors() -> Vec<(String, RawFd, Option<RawFd>)> {
    let (sender, doors) = mpsc::channel();
    let look = move || {
        COLLECTS.set(true);
        let live = namespace::follow_main_thread().and_then(|()| Netns::live()).unwrap_or_default();
        let door = |netns: &Netns| {
            let mounts = netns.mounts().get().map(|mounts| mounts.as_fd().as_raw_fd());
            (netns.name().to_owned(), netns.as_fd().as_raw_fd(), mounts)
        };
        sender.send(live.iter().map(door).collect()).unwrap_or_default();
    };
    let started = thread::Builder::new().name(THREAD.to_owned()).spawn(look);
    started.ok().and_then(|_| doors.recv_timeout(PATIENCE).ok()).unwrap_or_default()
}

fn logs() -> Vec<(String, String)> {
    let all = log::all();
    let left_out = all.len().saturating_sub(LOGS);
    let name = |number: usize, log: &log::Log| {
        let program = log.program.rsplit('/').next().unwrap_or_default();
        let safe: String = program.chars().chain("-".chars()).chain(log.netns.chars()).map(|c| if is_plain(c) { c } else { '_' }).collect();
        format!("logs/{number}-{safe}.log")
    };
    let text = |log: &log::Log| {
        let end = log.exit.map_or_else(|| "it runs".to_owned(), |exit| format!("it ended with {exit}"));
        format!(
            "{} in {}, process {}: {end}\n--- standard output\n{}\n--- standard error\n{}\n",
            log.program,
            log.netns,
            log.id,
            tail(&log.stdout),
            tail(&log.stderr)
        )
    };
    let shown = all.iter().enumerate().skip(left_out);
    shown.map(|(number, log)| (name(number + 1, log), text(log))).collect()
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

fn tail(text: &str) -> String {
    if text.len() <= LOG_BYTES {
        return text.to_owned();
    }
    let start = text.ceil_char_boundary(text.len() - LOG_BYTES);
    format!("[the first {start} bytes are left out]\n{}", &text[start..])
}

fn head(text: String) -> Vec<u8> {
    if text.len() <= FILE_BYTES {
        return text.into_bytes();
    }
    let end = text.floor_char_boundary(FILE_BYTES);
    format!("{}\n[{} bytes more are left out]\n", &text[..end], text.len() - end).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let long = "ä".repeat(FILE_BYTES);
        let cut = String::from_utf8(head(long.clone())).expect("whole characters");
        assert!(cut.len() < FILE_BYTES + 100 && cut.ends_with(&format!("[{FILE_BYTES} bytes more are left out]\n")), "{}", cut.len());
        let cut = tail(&(long + "end"));
        assert!(cut.starts_with("[the first ") && cut.ends_with("end") && cut.len() < LOG_BYTES + 100);
        assert_eq!(head("short".to_owned()), b"short");
        assert_eq!(tail("short"), "short");
    }
}
