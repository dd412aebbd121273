//! What a program prints and how it ends, followed by a thread that sleeps in between.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use crate::netns::lock;
use crate::sys::child;

/// The lines that an error shows.
const TAIL: usize = 20;

/// What was seen of a program so far, shared with the thread that sees it.
#[derive(Debug, Default)]
pub(super) struct Record {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    text: [Vec<u8>; 2],
    /// Whole lines of both, in the order in which they were read.
    lines: Vec<String>,
    /// Where the last line of each begins.
    started: [usize; 2],
    pub(super) exit: Option<ExitStatus>,
    /// Nobody can print any more.
    closed: bool,
}

impl Record {
    /// What was seen so far, if nobody who holds the lock has stopped.
    pub(super) fn try_read(&self) -> Option<MutexGuard<'_, Seen>> {
        self.seen.try_lock().ok()
    }

    pub(super) fn read(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// Waits until it is true, which it says, or the time is over.
    pub(super) fn wait(&self, deadline: Instant, mut enough: impl FnMut(&Seen) -> bool) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.changed.wait_timeout_while(self.read(), left, |seen| !enough(seen)) {
            Ok((_, outcome)) => !outcome.timed_out(),
            Err(poisoned) => !poisoned.into_inner().1.timed_out(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.read());
        self.changed.notify_all();
    }
}

impl Seen {
    pub(super) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.text[0]).into_owned()
    }

    pub(super) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.text[1]).into_owned()
    }

    /// Whether a line contains the text, the unfinished ones too: a prompt has no end.
    pub(super) fn has_line(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text)) || self.unfinished().any(|line| line.contains(text))
    }

    /// Whether nothing more will be printed.
    pub(super) fn is_over(&self) -> bool {
        self.exit.is_some() && self.closed
    }

    pub(super) fn tail(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.lines.iter().cloned().chain(self.unfinished()).collect();
        lines.split_off(lines.len().saturating_sub(TAIL))
    }

    fn unfinished(&self) -> impl Iterator<Item = String> {
        let rest = |stream: usize| String::from_utf8_lossy(&self.text[stream][self.started[stream]..]).into_owned();
        (0..2).map(rest).filter(|line| !line.is_empty())
    }

    fn append(&mut self, stream: usize, bytes: &[u8]) {
        let text = &mut self.text[stream];
        text.extend_from_slice(bytes);
        while let Some(length) = text[self.started[stream]..].iter().position(|byte| *byte == b'\n') {
            let start = self.started[stream];
            self.lines.push(String::from_utf8_lossy(&text[start..start + length]).trim_end_matches('\r').to_owned());
            self.started[stream] = start + length + 1;
        }
    }
}

/// The ends of a program's pipes that we read, and its end.
pub(super) struct Streams {
    id: u32,
    reaps: bool,
    pipes: [Option<File>; 2],
    end: Option<OwnedFd>,
    bell: Arc<child::Bell>,
}

impl Streams {
    pub(super) fn new(id: u32, reaps: bool, stdout: Option<OwnedFd>, stderr: Option<OwnedFd>, bell: Arc<child::Bell>) -> io::Result<Self> {
        for pipe in [&stdout, &stderr].into_iter().flatten() {
            child::set_nonblocking(pipe)?;
        }
        Ok(Self { id, reaps, pipes: [stdout.map(File::from), stderr.map(File::from)], end: Some(child::watch(id)?), bell })
    }

    /// Writes down what is printed until everybody who can print has gone, or the bell rings.
    pub(super) fn follow(mut self, record: &Record) {
        while self.end.is_some() || self.pipes.iter().any(Option::is_some) {
            let Ok((rung, ended)) = self.wait() else { break };
            // Read before the end is told: who sees the end sees all that was printed before.
            self.read(record);
            if ended {
                let look = if self.reaps { child::reap } else { child::ended };
                record.change(|seen| seen.exit = look(self.id).ok().flatten());
                self.end = None;
            }
            if rung {
                break;
            }
        }
        record.change(|seen| seen.closed = true);
    }

    /// Whether the bell rang, and whether the program has ended.
    fn wait(&self) -> io::Result<(bool, bool)> {
        let mut descriptors: Vec<BorrowedFd<'_>> = vec![self.bell.as_fd()];
        descriptors.extend(self.end.as_ref().map(AsFd::as_fd));
        descriptors.extend(self.pipes.iter().flatten().map(AsFd::as_fd));
        let ready = child::wait_any(&descriptors)?;
        Ok((ready[0], self.end.is_some() && ready[1]))
    }

    fn read(&mut self, record: &Record) {
        for (stream, place) in self.pipes.iter_mut().enumerate() {
            let mut buffer = [0; 16 * 1024];
            while let Some(pipe) = place {
                match pipe.read(&mut buffer) {
                    Ok(0) => *place = None,
                    Ok(length) => record.change(|seen| seen.append(stream, &buffer[..length])),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => *place = None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_arrive() {
        let mut seen = Seen::default();
        for part in ["on", "e\r\ntw", "o\n\nthr"] {
            seen.append(0, part.as_bytes());
        }
        seen.append(1, b"error\n");
        assert_eq!(seen.lines, ["one", "two", "", "error"]);
        assert!(seen.has_line("thr") && seen.has_line("err") && !seen.has_line("onetwo"));
        assert_eq!(seen.tail().last().map(String::as_str), Some("thr"));
    }
}
