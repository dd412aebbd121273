//! The kinds of namespaces, roots in them, and capabilities.

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

/// A capability by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capability(pub(crate) u8);

// In the order of their numbers in include/uapi/linux/capability.h.
#[rustfmt::skip]
const CAPABILITIES: [&str; 41] = [
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
    "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
    "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
    "PERFMON", "BPF", "CHECKPOINT_RESTORE",
];

impl Capability {
    /// The one of that name, such as `NET_RAW` or `cap_net_raw`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase();
        let name = name.strip_prefix("CAP_").unwrap_or(&name);
        let place = CAPABILITIES.iter().position(|known| *known == name)?;
        u8::try_from(place).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::Capability;

    #[test]
    fn a_capability_is_known_by_its_name_with_or_without_its_prefix() {
        assert_eq!(
            ["NET_RAW", "cap_net_raw", "CAP_NET_ADMIN", "chown"].map(Capability::named),
            [13, 13, 12, 0].map(|n| Some(Capability(n)))
        );
        assert_eq!(Capability::named("checkpoint_restore"), Some(Capability(40)));
        assert_eq!(["", "CAP_", "NET"].map(Capability::named), [None; 3]);
    }
}
