//! A connection between two processes that carries whole messages and descriptors.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Instant;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair};

use super::poll;
use super::traffic::Interest;

/// The longest message; what does not fit travels in a file.
pub(crate) const MESSAGE_BYTES: usize = 32 * 1024;
const MAX_DESCRIPTORS: usize = 8;

/// One end of a connection. The other end sees its closing, whatever the reason, as the end of messages.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// What came through a channel.
#[derive(Debug, Default)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Channel {
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (here, there) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Self(here), Self(there)))
    }

    pub(crate) fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control = if raw.is_empty() { &rights[..0] } else { &rights[..] };
        sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)?;
        Ok(())
    }

    /// The next message; `None` when the other end is gone.
    pub(crate) fn receive(&self) -> io::Result<Option<Message>> {
        let mut bytes = vec![0; MESSAGE_BYTES];
        let mut control = nix::cmsg_space!([RawFd; MAX_DESCRIPTORS]);
        let (length, descriptors) = loop {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            match recvmsg::<()>(self.0.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC) {
                Ok(got) => break (got.bytes, owned(got.cmsgs()?)),
                Err(nix::Error::EINTR) => {}
                Err(nix::Error::ECONNRESET) => return Ok(None),
                Err(e) => return Err(e.into()),
            }
        };
        bytes.truncate(length);
        Ok((length > 0).then_some(Message { bytes, descriptors }))
    }

    /// Whether a message, or the end, came before the deadline.
    pub(crate) fn wait(&self, deadline: Instant) -> io::Result<bool> {
        poll::wait(self.as_fd(), Interest::Read, deadline)
    }

    pub(crate) fn from_descriptor(fd: OwnedFd) -> Self {
        Self(fd)
    }

    pub(crate) fn into_descriptor(self) -> OwnedFd {
        self.0
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn owned<'a>(messages: impl Iterator<Item = ControlMessageOwned> + 'a) -> Vec<OwnedFd> {
    messages
        .flat_map(|message| if let ControlMessageOwned::ScmRights(raw) = message { raw } else { Vec::new() })
        // SAFETY: the kernel has just made these descriptors for us, and nobody else knows them.
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
        .collect()
}

/// A file without a name, which lives as long as its descriptors.
pub(crate) fn anonymous_file(name: &str) -> io::Result<File> {
    Ok(File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?))
}
