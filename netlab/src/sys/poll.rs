//! Waiting for descriptors: one with a deadline, or many for the responders' thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::traffic::Interest;

/// Waits until the descriptor is ready, or in error; false: the deadline passed before.
pub(crate) fn wait(fd: BorrowedFd<'_>, interest: Interest, deadline: Instant) -> io::Result<bool> {
    let flags = match interest {
        Interest::Read => PollFlags::POLLIN,
        Interest::Write => PollFlags::POLLOUT,
    };
    let mut fds = [PollFd::new(fd, flags)];
    loop {
        match poll(&mut fds, timeout_until(deadline)) {
            Ok(0) if Instant::now() >= deadline => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Waits until one of the descriptors can be read, or has ended, and says which; none: the deadline passed before.
pub(crate) fn readable<const N: usize>(descriptors: [BorrowedFd<'_>; N], deadline: Instant) -> io::Result<[bool; N]> {
    let mut fds = descriptors.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    loop {
        match poll(&mut fds, timeout_until(deadline)) {
            Ok(0) if Instant::now() < deadline => {}
            Err(Errno::EINTR) => {}
            Ok(_) => return Ok(fds.map(|fd| fd.any().unwrap_or(true))),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Rounded up, so that a wait never spins through the last millisecond.
fn timeout_until(deadline: Instant) -> PollTimeout {
    let millis = deadline.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}

const WAKE: u64 = u64::MAX;

/// Many descriptors, each known by a token.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: Epoll,
    wake: EventFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        Ok(Self { epoll, wake })
    }

    pub(crate) fn add(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.add(fd, event(token, interest))?)
    }

    pub(crate) fn modify(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.modify(fd, &mut event(token, interest))?)
    }

    /// Takes a descriptor back, which may have duplicates that live on.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self.epoll.delete(fd)?)
    }

    /// Waits, without end, until something is ready, and gives its tokens; none: it was woken.
    pub(crate) fn wait(&self) -> io::Result<Vec<u64>> {
        let mut events = [EpollEvent::empty(); 64];
        let count = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(e) => return Err(e.into()),
        };
        Ok(events[..count].iter().map(EpollEvent::data).filter(|token| *token != WAKE).collect())
    }

    /// Ends a [`wait`](Self::wait), and every later one.
    pub(crate) fn wake(&self) -> io::Result<()> {
        self.wake.write(1)?;
        Ok(())
    }
}

fn event(token: u64, interest: Interest) -> EpollEvent {
    let flags = match interest {
        Interest::Read => EpollFlags::EPOLLIN,
        Interest::Write => EpollFlags::EPOLLOUT,
    };
    EpollEvent::new(flags, token)
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}
