//! Processes that we started: their end as an event, their group, and what escaped from it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::poll;
use super::traffic::Interest;

/// A descriptor that is readable once the process has ended.
pub(crate) fn watch(id: u32) -> io::Result<OwnedFd> {
    super::process::handle(Pid::from_raw(id as i32))
}

/// How the process ended, if it has; it stays to be reaped, so that its id is not given to another.
pub(crate) fn ended(id: u32) -> io::Result<Option<ExitStatus>> {
    look(id, WaitPidFlag::WNOWAIT)
}

/// How the process ended, if it has; it is reaped, and its id may be another's from now on.
pub(crate) fn reap(id: u32) -> io::Result<Option<ExitStatus>> {
    look(id, WaitPidFlag::empty())
}

fn look(id: u32, how: WaitPidFlag) -> io::Result<Option<ExitStatus>> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | how;
    Ok(match waitid(Id::Pid(Pid::from_raw(id as i32)), flags)? {
        WaitStatus::Exited(_, code) => Some(ExitStatus::from_raw((code & 0xff) << 8)),
        WaitStatus::Signaled(_, signal, core) => Some(ExitStatus::from_raw(signal as i32 | if core { 0x80 } else { 0 })),
        _ => None,
    })
}

/// Sends a signal to a process that is not reaped yet.
pub(crate) fn signal(id: u32, signal: i32) -> io::Result<()> {
    let signal = Signal::try_from(signal)?;
    Ok(nix::sys::signal::kill(Pid::from_raw(id as i32), signal)?)
}

/// Kills the process group that a process leads which is not reaped yet.
pub(crate) fn kill_group(leader: u32) -> io::Result<()> {
    match killpg(Pid::from_raw(leader as i32), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Kills every process that has `NAME=VALUE` in the environment that it was started with, until there is none.
pub(crate) fn kill_marked(mark: &str, deadline: Instant) -> io::Result<()> {
    loop {
        let marked = find_marked(mark)?;
        if marked.is_empty() {
            return Ok(());
        }
        for process in &marked {
            super::process::send_signal(process.as_fd(), libc::SIGKILL)?;
        }
        for process in &marked {
            if !poll::wait(process.as_fd(), Interest::Read, deadline)? {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            }
        }
    }
}

fn find_marked(mark: &str) -> io::Result<Vec<OwnedFd>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // The descriptor comes first: then what is read is of the process that will be signalled, or of one that has ended.
        let Ok(process) = watch(id) else { continue };
        let Ok(environment) = fs::read(format!("/proc/{id}/environ")) else { continue };
        let alive = matches!(poll::wait(process.as_fd(), Interest::Read, Instant::now()), Ok(false));
        if alive && environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
            found.push(process);
        }
    }
    Ok(found)
}

/// Ends a wait of another thread.
#[derive(Debug)]
pub(crate) struct Bell(EventFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?))
    }

    pub(crate) fn ring(&self) -> io::Result<()> {
        self.0.write(1)?;
        Ok(())
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits, without end, until one of the descriptors is readable or closed at its far end; tells which are.
pub(crate) fn wait_any(descriptors: &[BorrowedFd<'_>]) -> io::Result<Vec<bool>> {
    let mut fds: Vec<_> = descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    loop {
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
            Ok(_) => return Ok(fds.iter().map(|fd| fd.any().unwrap_or(true)).collect()),
        }
    }
}

/// Makes reads from the descriptor return `WouldBlock` instead of waiting.
pub(crate) fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
