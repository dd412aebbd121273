//! The test binary, started once more: it comes to the first isolated test in its own libtest and from there serves copies of itself.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Case;
use super::body::{self, Legacy};
use super::supervise::{self, Owner, Reach};
use super::wire::{Ready, Request};
use crate::sys::channel::{Channel, Message};
use crate::sys::machine::{self, Maker, Step};
use crate::sys::process::{self, Lone, Stack};

/// Says to a test binary that it is a zygote, of which kind, and at which test it shall serve.
const VARIABLE: &str = "NETLAB_ZYGOTE";
const HOSTNAME: &str = "netlab";

/// What a zygote's connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It asks for workers.
    Shared,
    /// It is that of the only test: the zygote itself is the worker.
    Solo(Reach),
}

impl Kind {
    const ALL: [(Self, &str); 3] =
        [(Self::Shared, "shared"), (Self::Solo(Reach::Machine), "solo-machine"), (Self::Solo(Reach::Host), "solo-host")];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("shared", |(_, word)| word)
    }
}

/// Starts this process's binary again, so that it comes to `case` and serves `kind` there.
pub(super) fn start(case: &Case, kind: Kind) -> io::Result<(Channel, Child)> {
    let (here, there) = Channel::pair()?;
    // The link leads to this very file even if the path now has another, as after a rebuild.
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = env::args_os().next() {
        command.arg0(name);
    }
    command.args([case.name(), "--exact", "--include-ignored", "--nocapture", "--test-threads=1"]);
    command.env(VARIABLE, format!("{} {}", kind.word(), case.path)).env_remove("RUST_TEST_SHUFFLE");
    command.stdin(there.into_descriptor()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok((here, command.spawn()?))
}

/// The environment that a zygote started now has.
pub(super) fn environment() -> Vec<(OsString, OsString)> {
    env::vars_os().collect()
}

/// Serves, if this process was started as a zygote, and then does not return.
pub(super) fn serve_if_asked(case: &'static Case) {
    let Ok(asked) = env::var(VARIABLE) else { return };
    let served = match asked.split_once(' ') {
        Some((kind, path)) if path == case.path => serve(kind, case),
        // Another test than the one that was asked for: this is no libtest, and distances would be measured from the wrong place.
        _ => Ok(()),
    };
    process::leave_at_once(if served.is_ok() { 0 } else { 101 });
}

fn serve(kind: &str, first: &'static Case) -> io::Result<()> {
    let lone = Lone::under_libtest()?;
    process::take_variable(&lone, VARIABLE);
    process::leave_session();
    let channel = Channel::from_descriptor(process::take_stdin()?);
    match Kind::ALL.iter().find(|(_, word)| *word == kind) {
        Some((Kind::Shared, _)) => share(&lone, first, &channel),
        Some((Kind::Solo(reach), _)) => Worker::new(first, channel)?.run(*reach, 1),
        None => Ok(()),
    }
}

/// Starts a worker for each connection that the harness sends, until the harness is gone; then ends them all and waits for that.
fn share(lone: &Lone, first: &'static Case, channel: &Channel) -> io::Result<()> {
    process::adopt_descendants()?;
    let zygote = process::own_handle()?;
    while let Some(mut message) = channel.receive()? {
        let Some(connection) = message.descriptors.pop() else { continue };
        let reach = Reach::from_byte(message.bytes.first().copied());
        process::spawn(lone, || {
            let worked = process::die_with(zygote.as_fd()).and_then(|()| Worker::new(first, Channel::from_descriptor(connection)));
            i32::from(worked.and_then(|worker| worker.run(reach, usize::MAX)).is_err())
        })?;
    }
    supervise::end_descendants();
    std::process::exit(0) // a coverage profile is written
}

/// A process that makes machines, one after the other, each ahead of its test.
struct Worker {
    lone: Lone,
    first: &'static Case,
    channel: Channel,
    handle: OwnedFd,
}

impl Worker {
    fn new(first: &'static Case, channel: Channel) -> io::Result<Self> {
        Ok(Self { lone: Lone::under_libtest()?, first, channel, handle: process::own_handle()? })
    }

    fn run(&self, reach: Reach, tests: usize) -> io::Result<()> {
        let mut stack = Stack::new();
        let maker = Maker::current();
        if reach == Reach::Host {
            process::adopt_descendants()?;
        }
        for _ in 0..tests {
            // The machine works in our memory: what it says of itself is here when it is gone.
            let mut served = Ok(false);
            match reach {
                Reach::Host => served = self.serve(reach),
                Reach::Machine => {
                    let machine = || {
                        served = self.in_machine(maker);
                        i32::from(served.is_err())
                    };
                    if let Err(e) = process::run_in_namespaces(&self.lone, &mut stack, machine::namespaces(), machine) {
                        self.channel.send(&Ready::Denied(Step::Namespaces.denied(&e)).encode(), &[])?;
                    }
                    // Those that the kernel has done away with by now; the last needs a little longer.
                    while let Ok(Some(_)) = process::reap(false) {}
                }
            }
            if !served? {
                break;
            }
        }
        // The harness closes the connection when it has read what is in it.
        while self.channel.receive()?.is_some() {}
        Ok(())
    }

    fn in_machine(&self, maker: Maker) -> io::Result<bool> {
        process::die_with(self.handle.as_fd())?;
        process::leave_session();
        match machine::furnish(maker, HOSTNAME) {
            Ok(()) => self.serve(Reach::Machine),
            Err(denied) => {
                self.channel.send(&Ready::Denied(denied).encode(), &[])?;
                Ok(false)
            }
        }
    }

    /// Runs one test; false if none came.
    fn serve(&self, reach: Reach) -> io::Result<bool> {
        self.channel.send(&Ready::Machine.encode(), &[])?;
        let Some(message) = self.channel.receive()? else { return Ok(false) };
        let (Some(request), Some(legacy)) = (Request::decode(&message.bytes), Legacy::from_descriptors(message.descriptors)) else {
            return Ok(false);
        };
        let case = process::at_distance(self.first, request.distance);
        let timeout = Duration::from_millis(case.timeout_ms);
        let tell = |message: &Message| {
            let descriptors: Vec<_> = message.descriptors.iter().map(AsFd::as_fd).collect();
            // A harness that has gone is noticed by its connection.
            self.channel.send(&message.bytes, &descriptors).unwrap_or_default();
        };
        let owner = Owner { gone: self.channel.as_fd(), tell: &tell };
        let ended = supervise::run(&self.lone, reach, timeout, owner, |door| body::run(&self.lone, case, legacy, door))?;
        self.channel.send(&ended.encode(), &[])?;
        Ok(true)
    }
}
