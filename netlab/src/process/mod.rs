//! A program in a namespace: started, ready, signalled, waited for, its output kept, and gone with its fixture.

mod around;
mod listening;
pub(crate) mod log;
mod output;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Seek, Write};
use std::os::unix::process::CommandExt;
use std::panic::Location;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use self::around::Around;
use self::listening::Sockets;
use self::output::{Record, Seen};
use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::sys::child;
use crate::teardown;

/// How long a program may take to be ready.
const READY: Duration = Duration::from_secs(10);
/// How long a line may take to be printed.
const LINE: Duration = Duration::from_secs(5);
/// Between two looks at what tells no change of its own: the kernel's list of sockets, a predicate.
const LOOK: Duration = Duration::from_millis(5);
/// How long killed processes may take to be gone.
const KILL: Duration = Duration::from_secs(5);
/// The environment variable by which a program's descendants are known.
const MARK: &str = "NETLAB_PROCESS";

static COUNT: AtomicU64 = AtomicU64::new(0);

/// A program that runs in a namespace, and ends with this fixture at the latest.
///
/// What it prints is kept ([`stdout`](Self::stdout), [`stderr`](Self::stderr)), and an error shows the last 20 lines of it. Dropping it kills
/// the program, its process group, and whatever else it started: daemons that left the group are known by an environment variable
/// `NETLAB_PROCESS`, which descendants inherit. Who clears the environment as well ends with the test's pid namespace, if it has one, as in
/// a `#[netlab::test]`.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// # use std::time::Duration;
/// # let host = netlab::Netns::new("host")?;
/// let web = host.process("python3").args(["-m", "http.server", "8080"]).listens_tcp(8080).start()?;
/// assert_eq!(host.http_get("http://127.0.0.1:8080/")?.status(), Some(200));
/// web.expect_line("GET / HTTP/1.1")?;
/// web.signal(libc::SIGINT)?;
/// web.wait(Duration::from_secs(5))?;
/// # Ok(()) }
/// ```
#[must_use = "the program is killed as soon as this is dropped: bind it, as in `let web = host.process(…).start()?;`"]
pub struct Process {
    netns: Netns,
    program: String,
    mark: String,
    child: Child,
    record: Arc<Record>,
    bell: Arc<child::Bell>,
    reader: Option<JoinHandle<()>>,
    /// Whether it is reaped as soon as it ends, and not with the fixture: the first process of a pid namespace does not end before all
    /// others of it are reaped (`zap_pid_ns_processes` in kernel/pid_namespace.c).
    reaps: bool,
    gone: bool,
}

/// A program, described: arguments, environment, input, and what makes it ready. [`start`](Self::start) starts it.
///
/// Its standard input is empty, its working directory and environment are the caller's.
#[must_use = "a description does nothing: end it with `.start()?`"]
pub struct ProcessPlan {
    netns: Netns,
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    ready: Vec<Ready>,
    within: Duration,
    around: Around,
}

/// What makes a program ready.
enum Ready {
    Socket { udp: bool, port: u16 },
    Line(String),
    When(Box<dyn FnMut() -> bool + Send>),
}

impl Netns {
    /// A program of this namespace, described; as [`command`](Self::command), but it ends with its fixture and its output is kept.
    pub fn process(&self, program: impl AsRef<OsStr>) -> ProcessPlan {
        ProcessPlan {
            netns: self.clone(),
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: Vec::new(),
            ready: Vec::new(),
            within: READY,
            around: Around::default(),
        }
    }
}

impl ProcessPlan {
    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Gives it these bytes as its standard input, and then its end.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Is ready when a TCP socket listens on that port of the namespace which did not before.
    pub fn listens_tcp(mut self, port: u16) -> Self {
        self.ready.push(Ready::Socket { udp: false, port });
        self
    }

    /// Is ready when a UDP socket is bound to that port of the namespace which was not before.
    pub fn listens_udp(mut self, port: u16) -> Self {
        self.ready.push(Ready::Socket { udp: true, port });
        self
    }

    /// Is ready when a line that it prints, to either output, contains the text.
    pub fn prints(mut self, text: impl Into<String>) -> Self {
        self.ready.push(Ready::Line(text.into()));
        self
    }

    /// Is ready when the predicate says so; it is asked every few milliseconds.
    pub fn ready_when(mut self, predicate: impl FnMut() -> bool + Send + 'static) -> Self {
        self.ready.push(Ready::When(Box::new(predicate)));
        self
    }

    /// May take that long until it is ready; the default is 10 s.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Starts the program, and returns when everything that makes it ready has come, in the order in which it was said.
    ///
    /// # Errors
    ///
    /// If it cannot be started, [`is_timeout`](Error::is_timeout) if it is not ready in time, [`is_unexpected`](Error::is_unexpected) if it
    /// ends before; nothing of it is left then.
    #[track_caller]
    pub fn start(self) -> Result<Process> {
        let here = Location::caller();
        self.run().at(here)
    }

    fn run(mut self) -> Result<Process> {
        self.around.problem()?;
        let ready = std::mem::take(&mut self.ready);
        let (netns, within) = (self.netns.clone(), self.within);
        // Looked at before the start: a socket that is there already says nothing of the program.
        let needs_sockets = ready.iter().any(|ready| matches!(ready, Ready::Socket { .. }));
        let sockets =
            needs_sockets.then(|| netns.enter_io(Sockets::open)).transpose().doing(|| format!("list the sockets of `{netns}`"))?;
        let process = self.spawn()?;
        let deadline = Instant::now() + within;
        let mut sockets = sockets;
        for condition in ready {
            process.await_ready(condition, sockets.as_mut(), deadline, within)?;
        }
        Ok(process)
    }

    fn spawn(self) -> Result<Process> {
        let program = self.program.to_string_lossy().into_owned();
        let what = || format!("start `{program}` in `{}`", self.netns);
        let mark = format!("{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let stdin = input(&self.stdin).doing(what)?;
        let bell = Arc::new(child::Bell::new().doing(what)?);
        let mut command = self.netns.command(&self.program)?;
        command.args(&self.arguments).envs(self.environment).env(MARK, &mark).process_group(0);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (around, reaps) = (self.around.words(), self.around.joins_processes());
        let child = self.around.start(command).map_err(|e| around.into_iter().fold(Error::new(what(), e), Error::fact))?;
        let record = Arc::<Record>::default();
        log::keep(&self.netns, &program, child.id(), &record);
        let mut process = Process {
            netns: self.netns.clone(),
            program: program.clone(),
            mark: format!("{MARK}={mark}"),
            child,
            record: record.clone(),
            bell: bell.clone(),
            reader: None,
            reaps,
            gone: false,
        };
        let (id, out, err) = (process.id(), process.child.stdout.take(), process.child.stderr.take());
        let streams = output::Streams::new(id, reaps, out.map(Into::into), err.map(Into::into), bell).doing(what)?;
        let reader = thread::Builder::new().name(format!("output of {program}")).spawn(move || streams.follow(&record));
        process.reader = Some(reader.doing(what)?);
        Ok(process)
    }
}

/// A file without a name: it takes any number of bytes without waiting for the program to read them.
fn input(bytes: &[u8]) -> io::Result<Stdio> {
    if bytes.is_empty() {
        return Ok(Stdio::null());
    }
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

impl Process {
    fn await_ready(&self, condition: Ready, sockets: Option<&mut Sockets>, deadline: Instant, within: Duration) -> Result<()> {
        let (state, came) = match (condition, sockets) {
            (Ready::Line(text), _) => {
                self.record.wait(deadline, |seen| seen.has_line(&text) || seen.is_over());
                let came = self.record.read().has_line(&text);
                (format!("print `{text}`"), came)
            }
            (Ready::Socket { udp, port }, Some(sockets)) => {
                let came = self.look(deadline, || sockets.has_new(udp, port)).doing(|| format!("list the sockets of `{}`", self.netns))?;
                (format!("listen on {} port {port}", if udp { "UDP" } else { "TCP" }), came)
            }
            (Ready::Socket { .. }, None) => return Ok(()), // opened for any such condition
            (Ready::When(mut predicate), _) => {
                let came = self.look(deadline, || Ok(predicate())).doing(|| "ask the predicate".to_owned())?;
                ("be ready by its predicate".to_owned(), came)
            }
        };
        if came {
            return Ok(());
        }
        let seen = self.record.read();
        let what = format!("see `{}` in `{}` {state}", self.program, self.netns);
        let error = match seen.exit {
            Some(status) => Error::unexpected(what, format!("it ended with {status}")),
            None => Error::timeout(what, format!("it did not in {within:?}")),
        };
        drop(seen);
        Err(self.with_output(error))
    }

    /// Looks again and again, until it is true, the program has failed, or the time is over.
    fn look(&self, deadline: Instant, mut there: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
        loop {
            if there()? {
                return Ok(true);
            }
            // A program that ends well may have left a daemon, which is on its way.
            let failed = |seen: &Seen| seen.exit.is_some_and(|status| !status.success());
            if self.record.wait(deadline.min(Instant::now() + LOOK), failed) || Instant::now() >= deadline {
                return there();
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.record.read().exit
    }

    /// What it has printed to its standard output; when it has ended, all of it.
    pub fn stdout(&self) -> String {
        self.record.read().stdout()
    }

    /// What it has printed to its standard error; when it has ended, all of it.
    pub fn stderr(&self) -> String {
        self.record.read().stderr()
    }

    /// Waits up to five seconds for a line, on either output, that contains the text; one that was printed before counts.
    ///
    /// # Errors
    ///
    /// [`is_timeout`](Error::is_timeout) if it does not come, [`is_unexpected`](Error::is_unexpected) if the program ends without it.
    #[track_caller]
    pub fn expect_line(&self, text: impl Into<String>) -> Result<()> {
        let here = Location::caller();
        self.await_ready(Ready::Line(text.into()), None, Instant::now() + LINE, LINE).at(here)
    }

    /// Sends it a signal, such as `libc::SIGTERM`. Nothing happens to a program that has ended.
    ///
    /// # Errors
    ///
    /// If there is no such signal.
    #[track_caller]
    pub fn signal(&self, signal: i32) -> Result<()> {
        let here = Location::caller();
        // It is not reaped while we look: its id is its own.
        let seen = self.record.read();
        if self.reaps && seen.exit.is_some() {
            return Ok(());
        }
        child::signal(self.id(), signal).doing(|| format!("send signal {signal} to `{}` in `{}`", self.program, self.netns)).at(here)
    }

    /// Waits until it ends, and tells how.
    ///
    /// # Errors
    ///
    /// [`is_timeout`](Error::is_timeout) if it runs still after that time.
    #[track_caller]
    pub fn wait(&self, within: Duration) -> Result<ExitStatus> {
        self.record.wait(Instant::now() + within, |seen| seen.exit.is_some());
        self.exit_status().ok_or_else(|| {
            let what = format!("see `{}` in `{}` end", self.program, self.netns);
            self.with_output(Error::timeout(what, format!("it runs still after {within:?}"))).at(Location::caller())
        })
    }

    /// Waits until it ends, and demands that it does so with status 0.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected) if it ends otherwise, [`is_timeout`](Error::is_timeout) if it does not.
    #[track_caller]
    pub fn expect_success(&self, within: Duration) -> Result<()> {
        let here = Location::caller();
        let status = self.wait(within).at(here)?;
        if status.success() {
            return Ok(());
        }
        let what = format!("see `{}` in `{}` succeed", self.program, self.netns);
        Err(self.with_output(Error::unexpected(what, format!("it ended with {status}"))).at(here))
    }

    /// Kills it and everything that it started, and waits until they are gone; dropping it does the same.
    ///
    /// # Errors
    ///
    /// If something of it cannot be killed.
    #[track_caller]
    pub fn close(mut self) -> Result<()> {
        let here = Location::caller();
        self.end().doing(|| self.undo()).at(here)
    }

    fn undo(&self) -> String {
        format!("end `{}` in `{}` and what it started", self.program, self.netns)
    }

    fn end(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.gone, true) {
            return Ok(());
        }
        let woken = self.bell.ring();
        if woken.is_ok()
            && let Some(reader) = self.reader.take()
        {
            reader.join().unwrap_or_default();
        }
        // While the leader is not reaped, the group's number belongs to it.
        let reaped = self.reaps && self.exit_status().is_some();
        let leader = if reaped { Ok(()) } else { child::kill_group(self.id()).and_then(|()| self.child.wait().map(drop)) };
        let others = child::kill_marked(&self.mark, Instant::now() + KILL);
        leader.and(others).and(woken)
    }

    fn with_output(&self, error: Error) -> Error {
        let seen = self.record.read();
        let tail = seen.tail();
        if tail.is_empty() {
            error.fact("it has printed nothing")
        } else {
            tail.into_iter().fold(error.fact("it has printed:"), Error::fact)
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        if let Err(e) = self.end() {
            teardown::failed(Error::new(self.undo(), e));
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("program", &self.program)
            .field("netns", &self.netns)
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ProcessPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPlan").field("program", &self.program).field("arguments", &self.arguments).finish_non_exhaustive()
    }
}
