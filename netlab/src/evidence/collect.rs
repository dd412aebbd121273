//! Looks at the whole lab at once, on a thread of its own, and not for longer than a deadline.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

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
    type Look<'a> = (&'a str, &'a dyn Fn() -> io::Result<Vec<(String, String)>>);
    let topology = catch_unwind(AssertUnwindSafe(|| Topology::of(&machines)));
    let picture = |write: fn(&Topology) -> String| match &topology {
        Ok(Ok(topology)) => Ok(write(topology)),
        Ok(Err(e)) => Err(io::Error::other(e.to_string())),
        Err(_) => Err(io::Error::other("the topology could not be read, which is a bug of netlab")),
    };
    let drawn = topology.as_ref().ok().and_then(|topology| topology.as_ref().ok());
    let one = |name: &str, text| vec![(name.to_owned(), text)];
    let looks: [Look<'_>; 5] = [
        ("state.txt", &|| Ok(one("state.txt", state::text(&machines, drawn)))),
        ("logs", &|| Ok(logs())),
        ("repro.sh", &|| Ok(one("repro.sh", repro::script(test, &machines, drawn, witness::last_failed().as_ref())?))),
        ("topology.svg", &|| Ok(one("topology.svg", picture(Topology::svg)?))),
        ("topology.mmd", &|| Ok(one("topology.mmd", picture(Topology::mermaid)?))),
    ];
    for (name, look) in looks {
        match catch_unwind(AssertUnwindSafe(look)) {
            Ok(Ok(files)) => files.into_iter().for_each(|(name, text)| tell(Part::File(name, head(text)))),
            Ok(Err(e)) => tell(Part::Note(format!("{name} is missing: {e}"))),
            Err(_) => tell(Part::Note(format!("{name} is missing: its making panicked, which is a bug of netlab"))),
        }
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
