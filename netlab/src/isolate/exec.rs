//! A program in a machine: the caller's streams, directory and terminal are its own; signals go in, and how it ended comes out.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use super::refusal;
use super::wire::human;
use super::{Machine, supervise};
use crate::error::{Error, Result};
use crate::sys::channel::Channel;
use crate::sys::machine::{self, Denied, Maker, Step};
use crate::sys::plate;
use crate::sys::process::{self, Lone, Mask, Signals, Stack, Status};
use crate::{sys, teardown};

/// As long as the program takes.
const EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What comes out of the machine, in this order: nothing or a refusal, a start with a handle of the program, an end.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Denied(Denied),
    /// `prepare` failed.
    Unprepared(String),
    /// There is no such program, or it cannot be run.
    Unstarted(i32),
    Started,
    Ended(Status),
    /// What should work did not, on the way.
    Broken(i32),
}

pub(super) fn what(command: &Command) -> String {
    format!("run `{}` in a machine", command.get_program().display())
}

/// The outer error says that there was no machine.
pub(super) fn run(
    machine: &Machine,
    command: &mut Command,
    prepare: impl FnOnce() -> Result<()>,
) -> io::Result<Result<io::Result<ExitStatus>>> {
    let lone = Lone::check()?;
    io::stdout().flush()?; // or the copy of this process would print it once more
    let (maker, caller) = (Maker::current(), process::own_handle()?);
    let (inside, outside) = Channel::pair()?;
    let what = what(command);
    let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
    let subject = format!("program {}", words.join(" "));
    let signals = Signals::take()?;
    let mut outside = Some(outside);
    let first_process = || {
        drop(outside.take());
        let ended = process::die_with(caller.as_fd()).map_err(|e| Step::Process.denied(&e));
        let said = match ended.and_then(|()| machine::furnish(maker, &machine.hostname)) {
            Err(denied) => Said::Denied(denied),
            Ok(()) => {
                let _plate = plate::new(&subject);
                supervised(&lone, &inside, || program(command, prepare, signals.mask()))
                    .map_or_else(|e| Said::Broken(e.raw_os_error().unwrap_or(libc::EIO)), Said::Ended)
            }
        };
        i32::from(inside.send(&said.encode(), &[]).is_err())
    };
    let first = match process::spawn_in_namespaces(&lone, &mut Stack::new(), machine::namespaces(), first_process) {
        Ok(first) => first,
        Err(e) => return Ok(Err(refusal::error(&what, Step::Namespaces.denied(&e)))),
    };
    drop(inside);
    let heard = match &outside {
        Some(outside) => listen(outside, &signals, machine.timeout),
        None => Ok(None),
    };
    // It has ended, or its time is up: in either case nothing shall stay.
    process::kill(first.as_raw());
    // Children that the program started itself are reaped with it, as by any wait(2).
    while !matches!(process::reap(true)?, Some((pid, _)) if pid == first) {}
    Ok(outcome(machine, &what, heard?))
}

/// Starts the program and waits for it, as the first process of the machine; then ends whatever else is there.
fn supervised(lone: &Lone, inside: &Channel, program: impl FnOnce() -> Said) -> io::Result<Status> {
    let pid = process::spawn(lone, || {
        let said = program();
        // Its status says the rest.
        inside.send(&said.encode(), &[]).unwrap_or_default();
        process::leave_at_once(127)
    })?;
    inside.send(&Said::Started.encode(), &[process::handle(pid)?.as_fd()])?;
    let status = loop {
        match process::reap(true)? {
            Some((ended, status)) if ended == pid => break status,
            _ => {}
        }
    };
    supervise::end_machine();
    Ok(status)
}

/// Becomes the program; returns if that cannot be.
fn program(command: &mut Command, prepare: impl FnOnce() -> Result<()>, mask: Mask) -> Said {
    sys::declare_machine_ours();
    let leftovers = |()| teardown::take().pop().map_or(Ok(()), Err);
    if let Err(e) = prepare().and_then(leftovers) {
        return Said::Unprepared(e.to_string());
    }
    let e = mask.set().map_or_else(|e| e, |()| command.exec());
    Said::Unstarted(e.raw_os_error().unwrap_or(libc::EINVAL))
}

/// Passes signals on until the machine has said its last; `None` if its time is up.
fn listen(outside: &Channel, signals: &Signals, timeout: Option<Duration>) -> io::Result<Option<Said>> {
    let deadline = Instant::now() + timeout.unwrap_or(EVER);
    let mut program: Option<OwnedFd> = None;
    let mut early = Vec::new();
    let mut last = Said::Broken(libc::EPIPE);
    loop {
        use crate::sys::poll::readable;
        let [said, came] = readable([outside.as_fd(), signals.as_fd()], deadline)?;
        if !said && !came {
            return Ok(None);
        }
        while let Some(came) = signals.next() {
            match &program {
                // The program is in the terminal's foreground as we are, and has got it.
                Some(_) if came.from_terminal => {}
                Some(program) => process::send_signal(program.as_fd(), came.signal)?,
                None => early.push(came.signal),
            }
        }
        if !said {
            continue;
        }
        let Some(mut message) = outside.receive()? else { return Ok(Some(last)) };
        match Said::decode(&message.bytes) {
            Some(Said::Started) => {
                program = message.descriptors.pop();
                if let Some(program) = &program {
                    early.drain(..).try_for_each(|signal| process::send_signal(program.as_fd(), signal))?;
                }
            }
            // Why there is no program is more than that it ended.
            Some(Said::Ended(_)) if matches!(last, Said::Unprepared(_) | Said::Unstarted(_)) => {}
            Some(said) => last = said,
            None => last = Said::Broken(libc::EBADMSG),
        }
    }
}

fn outcome(machine: &Machine, what: &str, heard: Option<Said>) -> Result<io::Result<ExitStatus>> {
    let os = io::Error::from_raw_os_error;
    match heard {
        None => Err(Error::timeout(what, format!("timed out after {}", human(machine.timeout.unwrap_or(EVER))))),
        Some(Said::Ended(Status::Exited(code))) => Ok(Ok(ExitStatus::from_raw(code << 8))),
        Some(Said::Ended(Status::Killed(signal))) => Ok(Ok(ExitStatus::from_raw(signal))),
        Some(Said::Denied(denied)) => Err(refusal::error(what, denied)),
        Some(Said::Unprepared(text)) => Err(Error::unexpected(what, text)),
        Some(Said::Unstarted(errno)) => Ok(Err(os(errno))),
        Some(Said::Broken(errno)) => Err(Error::new(what, os(errno)).fact("the machine's first process came to a sudden end")),
        Some(Said::Started) => Err(Error::unexpected(what, "the machine's first process was killed")),
    }
}

impl Said {
    fn encode(&self) -> Vec<u8> {
        let numbers = |kind: u8, number: i32, step: u8| [&[kind, step][..], &number.to_ne_bytes()].concat();
        match self {
            Self::Denied(denied) => numbers(b'd', denied.errno, denied.step as u8),
            Self::Unprepared(text) => [b"p ", text.as_bytes()].concat(),
            Self::Unstarted(errno) => numbers(b'u', *errno, 0),
            Self::Started => numbers(b's', 0, 0),
            Self::Ended(Status::Exited(code)) => numbers(b'e', *code, 0),
            Self::Ended(Status::Killed(signal)) => numbers(b'k', *signal, 0),
            Self::Broken(errno) => numbers(b'b', *errno, 0),
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[kind, step], rest) = bytes.split_first_chunk()?;
        if kind == b'p' {
            return Some(Self::Unprepared(String::from_utf8_lossy(rest).into_owned()));
        }
        let number = i32::from_ne_bytes(rest.try_into().ok()?);
        Some(match kind {
            b'd' => Self::Denied(Denied { step: *Step::ALL.get(usize::from(step))?, errno: number }),
            b'u' => Self::Unstarted(number),
            b's' => Self::Started,
            b'e' => Self::Ended(Status::Exited(number)),
            b'k' => Self::Ended(Status::Killed(number)),
            b'b' => Self::Broken(number),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_arrives() {
        let denied = Said::Denied(Denied { step: Step::Mounts, errno: libc::EPERM });
        let ends = [Said::Ended(Status::Exited(3)), Said::Ended(Status::Killed(9)), Said::Broken(5), Said::Unstarted(2)];
        for said in [denied, Said::Unprepared("no".to_owned()), Said::Started].into_iter().chain(ends) {
            assert_eq!(Said::decode(&said.encode()), Some(said));
        }
    }
}
