//! The harness's side of a test: a machine for it, its output, its end.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ExitCode};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::Case;
use super::body::encode_environment;
use super::outcome::{self, Verdict};
use super::supervise::Reach;
use super::visit::Visit;
use super::wire::{Ended, Pausing, Ready, Report, Request};
use super::zygote::{self, Kind};
use crate::sys::channel::{self, Channel};
use crate::sys::machine::Denied;
use crate::sys::{poll, process};

/// A test binary that has not come to its first isolated test by then is not one that libtest runs.
const REACH_DEADLINE: Duration = Duration::from_secs(30);
/// What a supervisor may take, beside the test's own time, to end what a test started.
const END_GRACE: Duration = Duration::from_secs(30);
/// Longer than anybody looks around.
const EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Machines that stand by beside those in use: made while a test runs, they save the next one the wait.
const AHEAD: usize = 1;

const UNPRIVILEGED: &str = "a test with `host` changes the network of its caller, and this process may not: it lacks CAP_NET_ADMIN\n  \
    help: run it as root (`sudo -E cargo test`), or without `host` in a machine of its own";

/// Why a test got no outcome.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The kernel refuses a machine.
    Denied(Denied),
    /// Something that should work did not.
    Broken(String),
}

impl From<io::Error> for Trouble {
    fn from(e: io::Error) -> Self {
        Self::Broken(format!("cannot reach the test's machine: {e}"))
    }
}

pub(super) fn run(case: &'static Case) -> ExitCode {
    static ROLE: OnceLock<()> = OnceLock::new();
    ROLE.get_or_init(|| zygote::serve_if_asked(case));
    let came = match case.host {
        true if !process::is_network_admin() => Ok(Verdict::Unsupported(UNPRIVILEGED.to_owned())),
        true => test(case, Reach::Host),
        false => test(case, Reach::Machine),
    };
    outcome::settle(case, came)
}

fn test(case: &'static Case, reach: Reach) -> Result<Verdict, Trouble> {
    if runs_one_test() {
        let (channel, child) = zygote::start(case, Kind::Solo(reach)).map_err(unstarted)?;
        let mut line = Line::new(channel)?;
        let verdict = line.test(case, case, None);
        drop(line);
        let mut child = child;
        let explained = verdict.map_err(|trouble| explain(trouble, &mut child));
        child.wait()?;
        return explained;
    }
    let harness = Harness::get(case)?;
    let mut line = harness.line(reach)?;
    let now = zygote::environment();
    let changed = (now != harness.environment).then_some(now);
    let verdict = line.test(case, harness.first, changed);
    match verdict {
        Ok(_) => lock(harness.idle(reach)).push_back(line),
        Err(_) => drop(line),
    }
    verdict.map_err(|trouble| explain(trouble, &mut lock(&harness.child)))
}

/// nextest gives each test a process, and so does somebody who asks for one by its exact name.
fn runs_one_test() -> bool {
    env::var_os("NEXTEST_EXECUTION_MODE").is_some_and(|mode| mode == "process-per-test")
}

fn unstarted(e: io::Error) -> Trouble {
    Trouble::Broken(format!("cannot start the test binary again: {e}"))
}

/// Adds what became of the zygote, if that is why.
fn explain(trouble: Trouble, child: &mut Child) -> Trouble {
    match (trouble, child.try_wait()) {
        (Trouble::Broken(why), Ok(Some(status))) => Trouble::Broken(format!("{why} (the test binary, started again for it: {status})")),
        (trouble, _) => trouble,
    }
}

/// The zygote of this process and the connections to its workers.
struct Harness {
    zygote: Mutex<Option<Channel>>,
    child: Mutex<Child>,
    /// The test at which the zygote serves, from which other tests are measured.
    first: &'static Case,
    environment: Vec<(OsString, OsString)>,
    machines: Mutex<VecDeque<Line>>,
    hosts: Mutex<VecDeque<Line>>,
}

static HARNESS: OnceLock<Result<Harness, String>> = OnceLock::new();

impl Harness {
    fn get(case: &'static Case) -> Result<&'static Self, Trouble> {
        let made = HARNESS.get_or_init(|| {
            let environment = zygote::environment();
            let (channel, child) = zygote::start(case, Kind::Shared).map_err(|e| e.to_string())?;
            process::at_exit(end_zygote);
            Ok(Self {
                zygote: Mutex::new(Some(channel)),
                child: Mutex::new(child),
                first: case,
                environment,
                machines: Mutex::default(),
                hosts: Mutex::default(),
            })
        });
        made.as_ref().map_err(|e| Trouble::Broken(format!("cannot start the test binary again: {e}")))
    }

    fn idle(&self, reach: Reach) -> &Mutex<VecDeque<Line>> {
        match reach {
            Reach::Machine => &self.machines,
            Reach::Host => &self.hosts,
        }
    }

    /// The connection that has waited longest, whose machine stands ready.
    fn line(&self, reach: Reach) -> Result<Line, Trouble> {
        if let Some(line) = lock(self.idle(reach)).pop_front() {
            return Ok(line);
        }
        for _ in 0..AHEAD {
            let spare = self.open(reach)?;
            lock(self.idle(reach)).push_back(spare);
        }
        self.open(reach)
    }

    fn open(&self, reach: Reach) -> Result<Line, Trouble> {
        let (here, there) = Channel::pair()?;
        match &*lock(&self.zygote) {
            Some(zygote) => zygote.send(&[reach.byte()], &[there.as_fd()])?,
            None => return Err(Trouble::Broken("the test process is exiting".to_owned())),
        }
        Ok(Line::new(here)?)
    }
}

/// When the harness exits, nothing that it started is left.
extern "C" fn end_zygote() {
    let Some(Ok(harness)) = HARNESS.get() else { return };
    drop(lock(&harness.zygote).take());
    let mut child = lock(&harness.child);
    if let Ok(handle) = process::handle(process::Pid::from_raw(child.id() as i32)) {
        poll::readable([handle.as_fd()], Instant::now() + END_GRACE).unwrap_or_default();
    }
    // Reaped here, so that nobody meets its zombie.
    child.try_wait().unwrap_or_default();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection to a worker.
struct Line {
    channel: Channel,
    report: File,
}

impl Line {
    fn new(channel: Channel) -> io::Result<Self> {
        Ok(Self { channel, report: channel::anonymous_file("netlab-report")? })
    }

    /// Runs the test in the worker's machine.
    fn test(
        &mut self,
        case: &'static Case,
        first: &'static Case,
        environment: Option<Vec<(OsString, OsString)>>,
    ) -> Result<Verdict, Trouble> {
        self.ready()?;
        let output = self.request(case, first, environment)?;
        let ended = self.pump(output, Instant::now() + Duration::from_millis(case.timeout_ms) + END_GRACE)?;
        Ok(Verdict::new(case, Report::take(&mut self.report)?, ended))
    }

    fn ready(&self) -> Result<(), Trouble> {
        if !self.channel.wait(Instant::now() + REACH_DEADLINE)? {
            return Err(Trouble::Broken(format!(
                "the test binary, started again with `--exact`, did not come to the test within {} s: does it have a custom harness, or \
                 does an attribute below `#[netlab::test]` wait for something?",
                REACH_DEADLINE.as_secs()
            )));
        }
        match self.channel.receive()?.map(|message| Ready::decode(&message.bytes)) {
            Some(Some(Ready::Machine)) => Ok(()),
            Some(Some(Ready::Denied(denied))) => Err(Trouble::Denied(denied)),
            Some(None) => Err(Trouble::Broken("the test's machine speaks another language".to_owned())),
            None => Err(Trouble::Broken(
                "the test binary, started again with `--exact`, ended before it came to the test: does it have a custom harness?"
                    .to_owned(),
            )),
        }
    }

    fn request(
        &self,
        case: &'static Case,
        first: &'static Case,
        environment: Option<Vec<(OsString, OsString)>>,
    ) -> Result<Option<PipeReader>, Trouble> {
        let directory = process::directory(".".as_ref())?;
        let environment = environment.map(|variables| file_with(&encode_environment(&variables))).transpose()?;
        let (stdout, stderr, output) = streams()?;
        let mut descriptors = vec![directory.as_fd(), stdout.as_fd(), stderr.as_fd(), self.report.as_fd()];
        descriptors.extend(environment.as_ref().map(AsFd::as_fd));
        self.channel.send(&Request { distance: process::distance(first, case) }.encode(), &descriptors)?;
        Ok(output)
    }

    /// Prints what the test prints, so that libtest captures it, until the test has ended.
    fn pump(&self, mut output: Option<PipeReader>, mut deadline: Instant) -> Result<Ended, Trouble> {
        let mut printer = Printer::default();
        let mut visit: Option<Visit> = None;
        let ended = loop {
            let until = if visit.is_some() { Instant::now() + EVER } else { deadline };
            // What is not there is not asked twice: a connection stands in.
            let line = self.channel.as_fd();
            let reader = output.as_ref().map_or(line, AsFd::as_fd);
            let keyboard = visit.as_ref().and_then(Visit::keyboard);
            let [printed, typed, told] = poll::readable([reader, keyboard.as_ref().map_or(line, AsFd::as_fd), line], until)?;
            let (printed, typed) = (printed && output.is_some(), typed && keyboard.is_some());
            if printed && !printer.print_from(&mut output)? {
                output = None;
            }
            if let Some(visit) = visit.as_mut().filter(|_| typed) {
                visit.read_key();
            }
            if told {
                match self.news()? {
                    News::Ended(ended) => break ended,
                    News::Pausing(Pausing::Begins { file, text }, descriptors) => visit = Some(Visit::begin(file, &text, &descriptors)),
                    News::Pausing(Pausing::Over, _) => deadline += visit.take().map(|visit| visit.since.elapsed()).unwrap_or_default(),
                }
            } else if !printed && !typed {
                return Err(Trouble::Broken("the test's machine neither ran the test nor ended it in time".to_owned()));
            }
        };
        // Everybody who could print is dead; what is still in the pipe ends with its end.
        while printer.print_from(&mut output)? {}
        Ok(ended)
    }

    fn news(&self) -> Result<News, Trouble> {
        let message = self.channel.receive()?;
        let news = message.and_then(|message| match Pausing::decode(&message.bytes) {
            Some(pausing) => Some(News::Pausing(pausing, message.descriptors)),
            None => Ended::decode(&message.bytes).map(News::Ended),
        });
        news.ok_or_else(|| Trouble::Broken("the test's machine was killed from outside".to_owned()))
    }
}

/// What comes from the machine of a test that runs.
enum News {
    Ended(Ended),
    Pausing(Pausing, Vec<OwnedFd>),
}

fn file_with(bytes: &[u8]) -> io::Result<File> {
    let mut file = channel::anonymous_file("netlab-environment")?;
    io::Write::write_all(&mut file, bytes)?;
    Ok(file)
}

/// The streams of the test: one pipe for both, so that their order is kept, or the harness's own where libtest captures nothing.
fn streams() -> io::Result<(OwnedFd, OwnedFd, Option<PipeReader>)> {
    if !captures() {
        return Ok((io::stdout().as_fd().try_clone_to_owned()?, io::stderr().as_fd().try_clone_to_owned()?, None));
    }
    let (reader, writer) = io::pipe()?;
    let writer = OwnedFd::from(writer);
    Ok((writer.try_clone()?, writer, Some(reader)))
}

fn captures() -> bool {
    static CAPTURES: OnceLock<bool> = OnceLock::new();
    *CAPTURES.get_or_init(|| {
        let asked = env::args_os().any(|arg| arg == "--nocapture" || arg == "--no-capture");
        let told = env::var_os("RUST_TEST_NOCAPTURE").is_some_and(|value| value != "0");
        !asked && !told
    })
}

/// Prints bytes as text, whatever pieces they come in.
#[derive(Default)]
struct Printer {
    /// The beginning of a character whose end has not come.
    rest: Vec<u8>,
}

impl Printer {
    /// False at the end of the output.
    fn print_from(&mut self, reader: &mut Option<PipeReader>) -> io::Result<bool> {
        let Some(reader) = reader else { return Ok(false) };
        let start = self.rest.len();
        self.rest.resize(start + 16 * 1024, 0);
        let length = reader.read(&mut self.rest[start..])?;
        self.rest.truncate(start + length);
        let complete = if length == 0 { self.rest.len() } else { complete_prefix(&self.rest) };
        // Through the macro: libtest captures what comes this way.
        print!("{}", String::from_utf8_lossy(&self.rest[..complete]));
        self.rest.drain(..complete);
        Ok(length > 0)
    }
}

/// Up to the last character, if its end has not come.
fn complete_prefix(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid())) {
        Err(e) if e.error_len().is_none() => bytes.len() - bytes.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len()),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_not_cut_in_two() {
        let euro = "a€".as_bytes();
        assert_eq!(complete_prefix(&euro[..1]), 1);
        assert_eq!(complete_prefix(&euro[..2]), 1);
        assert_eq!(complete_prefix(&euro[..3]), 1);
        assert_eq!(complete_prefix(euro), 4);
        assert_eq!(complete_prefix(b"a\xff"), 2);
        assert_eq!(complete_prefix(b""), 0);
    }
}
