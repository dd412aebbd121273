//! A machine for a program that is no test.

use std::io;
use std::panic::Location;
use std::process::{Command, ExitStatus};
use std::time::Duration;

#[cfg(not(target_os = "linux"))]
use crate::error::Error;
use crate::error::{At, Result};

/// Of a function.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
const TIMEOUT: Duration = Duration::from_secs(60);

/// A machine of its own for a function, described: what `#[netlab::test]` gives to a test, for a program with a `main`.
///
/// The function runs in a copy of the calling process, as root of fresh user, network, mount, PID, UTS and IPC namespaces. When it
/// returns, the machine and all that it started are gone, and its bytes are here.
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// let page = netlab::Machine::new("lab").run(|| {
///     let host = netlab::Netns::current()?;
///     let _web = host.serve("web").http("127.0.0.1:80")?;
///     Ok(host.http_get("127.0.0.1")?.body().into_owned().into_bytes())
/// })?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a description does nothing: end it with `.run(…)`"]
pub struct Machine {
    pub(super) hostname: String,
    pub(super) timeout: Option<Duration>,
}

impl Machine {
    /// A machine of that host name.
    pub fn new(hostname: impl Into<String>) -> Self {
        Self { hostname: hostname.into(), timeout: None }
    }

    /// How long the function may take, 60 s by default, or the program, which by default may take as long as it likes; after that the machine
    /// ends with all that is in it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Runs `f` in a fresh machine and gives its bytes back.
    ///
    /// # Errors
    ///
    /// What `f` returned as an error, or that it panicked or was killed, is [`is_unexpected`](crate::Error::is_unexpected);
    /// [`is_timeout`](crate::Error::is_timeout) if it took too long. Anything else says that this host gives no machine
    /// ([`is_permission`](crate::Error::is_permission), [`is_unsupported`](crate::Error::is_unsupported)), or that the calling process has other threads
    /// and cannot be copied.
    #[track_caller]
    pub fn run(&self, f: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        self.start(f).at(Location::caller())
    }

    /// Runs a program in a fresh machine and tells how it ended, or why it could not be started; `prepare` runs in the machine before it.
    ///
    /// The program is root of the machine and has the command's streams, directory and environment, the terminal too. SIGHUP, SIGINT, SIGQUIT,
    /// SIGTERM, SIGUSR1 and SIGUSR2 that are sent to the calling process go to the program meanwhile. When it ends, or the calling process
    /// does, all that it started is gone.
    ///
    /// Equals `unshare --user --map-root-user --net --mount --pid --fork --kill-child --uts --ipc --mount-proc PROGRAM` with loopback up.
    ///
    /// # Errors
    ///
    /// [`is_timeout`](crate::Error::is_timeout) if it took too long, [`is_unexpected`](crate::Error::is_unexpected) if `prepare` failed. Anything else says that this host gives no machine, or that the
    /// calling process has other threads and cannot be copied.
    #[track_caller]
    pub fn exec(&self, command: &mut Command, prepare: impl FnOnce() -> Result<()>) -> Result<io::Result<ExitStatus>> {
        self.execute(command, prepare).at(Location::caller())
    }

    #[cfg(not(target_os = "linux"))]
    fn execute(&self, _: &mut Command, _: impl FnOnce() -> Result<()>) -> Result<io::Result<ExitStatus>> {
        Err(Error::unsupported(self.what(), "netlab needs Linux"))
    }

    #[cfg(target_os = "linux")]
    fn execute(&self, command: &mut Command, prepare: impl FnOnce() -> Result<()>) -> Result<io::Result<ExitStatus>> {
        use crate::error::Doing;
        super::exec::run(self, command, prepare).doing(|| super::exec::what(command))?
    }

    fn what(&self) -> String {
        format!("run a function in a machine `{}`", self.hostname)
    }

    #[cfg(not(target_os = "linux"))]
    fn start(&self, _: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        Err(Error::unsupported(self.what(), "netlab needs Linux"))
    }

    #[cfg(target_os = "linux")]
    fn start(&self, f: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        use crate::error::Doing;
        linux::run(self, f).doing(|| self.what())?
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{self, Read, Seek, Write};
    use std::os::fd::AsFd;

    use super::{Machine, TIMEOUT};
    use crate::error::{Error, Result};
    use crate::isolate::refusal;
    use crate::isolate::supervise::{self, Owner, Reach};
    use crate::isolate::wire::{Ended, human};
    use crate::sys::channel::anonymous_file;
    use crate::sys::machine::{self, Denied, Maker, Step};
    use crate::sys::plate;
    use crate::sys::process::{self, Lone, Stack, Status, signal_name};
    use crate::{sys, teardown};

    /// What the first process of the machine comes to.
    type Supervised = Result<io::Result<Ended>, Denied>;

    const GOOD: u8 = b'+';
    const BAD: u8 = b'-';

    /// The outer error says that there was no machine.
    pub(super) fn run(machine: &Machine, f: impl FnOnce() -> Result<Vec<u8>>) -> io::Result<Result<Vec<u8>>> {
        let lone = Lone::check()?;
        let mut report = anonymous_file("netlab-machine")?;
        io::stdout().flush()?; // or the copy of this process would print it once more
        let maker = Maker::current();
        let caller = process::own_handle()?;
        // The machine works in our memory: what it says of itself is here when it is gone.
        let mut supervised: Option<Supervised> = None;
        let first_process = || {
            supervised = Some(process::die_with(caller.as_fd()).map_err(|e| Step::Process.denied(&e)).and_then(|()| {
                machine::furnish(maker, &machine.hostname)?;
                let owner = Owner { gone: caller.as_fd(), tell: &|_| {} };
                Ok(supervise::run(&lone, Reach::Machine, machine.timeout.unwrap_or(TIMEOUT), owner, |door| {
                    drop(door); // nobody here listens to the supervisor
                    body(&machine.hostname, f, &report)
                }))
            }));
            0
        };
        let made = process::run_in_namespaces(&lone, &mut Stack::new(), machine::namespaces(), first_process);
        if let Ok(first) = made {
            // Children that the program started itself are reaped with it, as by any wait(2).
            while !matches!(process::reap(true)?, Some((pid, _)) if pid == first) {}
        }
        let ended = match (made, supervised) {
            (Err(e), _) => return Ok(Err(refusal::error(&machine.what(), Step::Namespaces.denied(&e)))),
            (Ok(_), Some(Err(denied))) => return Ok(Err(refusal::error(&machine.what(), denied))),
            (Ok(_), Some(Ok(ended))) => ended?,
            (Ok(_), None) => return Err(io::Error::other("the machine's first process was killed")),
        };
        Ok(outcome(machine, &ended, &mut report))
    }

    /// The copy of the process, in the machine: leaves the bytes, or the error's text.
    fn body(hostname: &str, f: impl FnOnce() -> Result<Vec<u8>>, mut report: &File) -> i32 {
        plate::hang(&format!("function {hostname}"));
        sys::declare_machine_ours();
        let leftovers = |bytes| match teardown::take().pop() {
            Some(error) => Err(error),
            None => Ok(bytes),
        };
        let (mark, bytes) = match f().and_then(leftovers) {
            Ok(bytes) => (GOOD, bytes),
            Err(e) => (BAD, e.to_string().into_bytes()),
        };
        i32::from(report.write_all(&[&[mark], &bytes[..]].concat()).is_err())
    }

    fn outcome(machine: &Machine, ended: &Ended, report: &mut File) -> Result<Vec<u8>> {
        if ended.hung.is_some() {
            return Err(Error::timeout(machine.what(), format!("timed out after {}", human(machine.timeout.unwrap_or(TIMEOUT)))));
        }
        let mut bytes = Vec::new();
        if let Err(e) = report.rewind().and_then(|()| report.read_to_end(&mut bytes)) {
            return Err(Error::new(machine.what(), e));
        }
        let unexpected = |why: String| Err(Error::unexpected(machine.what(), why));
        match (ended.status, bytes.split_first()) {
            (Status::Exited(0), Some((&GOOD, rest))) => Ok(rest.to_vec()),
            (Status::Exited(0), Some((_, text))) => unexpected(String::from_utf8_lossy(text).into_owned()),
            (Status::Exited(code), _) => unexpected(format!("its process left with exit code {code} before it returned")),
            (Status::Killed(signal), _) => unexpected(format!("its process was killed by {}", signal_name(signal))),
        }
    }
}
