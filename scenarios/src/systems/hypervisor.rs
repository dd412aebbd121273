//! The program between a virtual machine and its network card, as far as frames are concerned.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use netlab::{Macvtap, Tun};

use crate::error::{Error, Result};

/// As large as a frame can be.
const LARGEST: usize = 65_550;

/// Copies frames between the guest's interface and its card on the host; dropped, it ends, and both are as if nobody had started it.
#[derive(Debug)]
pub(super) struct Hypervisor {
    bell: UnixStream,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Hypervisor {
    /// Starts it.
    pub(super) fn start(guest: &Tun, card: &Macvtap) -> Result<Self> {
        let start = || -> io::Result<_> {
            let (bell, ringing) = UnixStream::pair()?;
            let (inside, outside) = (guest.file().try_clone()?, card.file().try_clone()?);
            let thread = thread::Builder::new().name("hypervisor".to_owned()).spawn(move || copy(&inside, &outside, &ringing))?;
            Ok((bell, thread))
        };
        let (bell, thread) = start().map_err(|e| Error::World(format!("cannot start a hypervisor: {e}")))?;
        Ok(Self { bell, thread: Some(thread) })
    }
}

impl Drop for Hypervisor {
    fn drop(&mut self) {
        if self.bell.shutdown(Shutdown::Both).is_ok() {
            self.thread.take().map(JoinHandle::join);
        }
    }
}

/// Until the bell rings, what comes from one of the two goes to the other.
fn copy(mut inside: &File, mut outside: &File, bell: &UnixStream) -> io::Result<()> {
    let mut frame = vec![0; LARGEST];
    loop {
        let [from_guest, from_card, rung] = readable([&inside.as_fd(), &outside.as_fd(), &bell.as_fd()])?;
        if rung {
            return Ok(());
        }
        // A frame that is refused is lost, as on any cable: a guest whose interface is down, say.
        if from_guest {
            let length = inside.read(&mut frame)?;
            let _lost = outside.write(&frame[..length]);
        }
        if from_card {
            let length = outside.read(&mut frame)?;
            let _lost = inside.write(&frame[..length]);
        }
    }
}

/// Waits until one of them has something to be read, or is at its end; tells which.
#[cfg(target_os = "linux")]
fn readable<const N: usize>(of: [&std::os::fd::BorrowedFd<'_>; N]) -> io::Result<[bool; N]> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut wanted = of.map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
    poll(&mut wanted, PollTimeout::NONE)?;
    Ok(wanted.map(|fd| fd.any().unwrap_or(true)))
}

#[cfg(not(target_os = "linux"))]
fn readable<const N: usize>(_: [&std::os::fd::BorrowedFd<'_>; N]) -> io::Result<[bool; N]> {
    Err(io::ErrorKind::Unsupported.into())
}
