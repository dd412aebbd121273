//! The kinds of namespaces, and roots in them.

use std::ffi::CString;
use std::os::fd::OwnedFd;

/// A kind of namespace that a process is in (namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Namespace {
    /// Control groups: which of them is the root of what `/proc/self/cgroup` shows.
    Cgroup,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Mounts: what is where in the file system.
    Mount,
    /// The network: links, addresses, routes, rules, sockets. The namespace of a [`Netns`](crate::Netns).
    Net,
    /// Process ids: who is seen, and who can be signalled.
    Pid,
    /// Users, groups and capabilities.
    User,
    /// The host name.
    Uts,
}

impl Namespace {
    /// Its name in `/proc/PID/ns`.
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Mount => "mnt",
            Self::Net => "net",
            Self::Pid => "pid",
            Self::User => "user",
            Self::Uts => "uts",
        }
    }
}

/// A directory that becomes the root of a program.
#[derive(Debug)]
pub(crate) enum Root {
    /// Looked up among the mounts that the program has: a directory that was opened before belongs to those of before.
    Path(CString),
    /// The root of another.
    Open(OwnedFd),
}
