//! What the kernel says when it refuses a netlink request.

use std::fmt;
use std::io;

/// A netlink request that the kernel refused, with its own sentence about it where it gives one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The errno, such as `libc::EEXIST`.
    pub(crate) errno: i32,
    /// The extended ack's message, such as `Nexthop has invalid gateway`.
    pub(crate) message: Option<String>,
    /// Where in the request the offending attribute is, in bytes from its netlink header.
    pub(crate) offset: Option<usize>,
    /// Which request of a batch it was, counted from 0.
    pub(crate) request: usize,
}

impl Refusal {
    /// What the kernel would say about a thing that is not there; `message` says which.
    pub(crate) fn gone(message: &str) -> Self {
        Self { errno: libc::ENOENT, message: Some(message.to_owned()), offset: None, request: 0 }
    }

    pub(crate) fn is(&self, errno: i32) -> bool {
        self.errno == errno
    }
}

impl From<io::Error> for Refusal {
    fn from(e: io::Error) -> Self {
        match e.raw_os_error() {
            Some(errno) => Self { errno, message: None, offset: None, request: 0 },
            None => Self { errno: libc::EIO, message: Some(e.to_string()), offset: None, request: 0 },
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = io::Error::from_raw_os_error(self.errno);
        match &self.message {
            Some(message) => write!(f, "{message}: {errno}"),
            None => errno.fmt(f),
        }
    }
}
