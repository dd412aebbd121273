//! The namespaces of a machine, made from inside by its first process.

use std::fs;
use std::io;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use nix::unistd::{Gid, Uid};

use super::process::{Lone, Stack};
use super::{namespace, netlink, process};

/// Something that the kernel refused while a machine was being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) step: Step,
    pub(crate) errno: i32,
}

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    Namespaces,
    Identity,
    Mounts,
    Loopback,
    Process,
}

impl Step {
    pub(crate) const ALL: [Self; 5] = [Self::Namespaces, Self::Identity, Self::Mounts, Self::Loopback, Self::Process];

    /// Gives an error the name of this step.
    pub(crate) fn denied(self, e: &io::Error) -> Denied {
        Denied { step: self, errno: e.raw_os_error().unwrap_or(libc::EIO) }
    }
}

/// The kinds of namespace that a machine has, by their names in /proc/PID/ns.
pub(crate) const KINDS: [(&str, CloneFlags); 6] = [
    ("user", CloneFlags::CLONE_NEWUSER),
    ("net", CloneFlags::CLONE_NEWNET),
    ("mnt", CloneFlags::CLONE_NEWNS),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("ipc", CloneFlags::CLONE_NEWIPC),
];

/// What a machine does not share with its maker.
pub(crate) fn namespaces() -> CloneFlags {
    KINDS.iter().map(|(_, flag)| *flag).collect()
}

/// Makes namespaces, `f` in their first process, and waits until all that is gone; none of it stays.
pub(crate) fn attempt(lone: &Lone, flags: CloneFlags, f: impl FnOnce() -> Result<(), Denied>) -> io::Result<Result<(), Denied>> {
    let mut came = Ok(());
    let first = || {
        came = f(); // in our memory
        0
    };
    match process::run_in_namespaces(lone, &mut Stack::new(), flags, first) {
        Err(e) => Ok(Err(Step::Namespaces.denied(&e))),
        Ok(first) => {
            while !matches!(process::reap(true)?, Some((pid, _)) if pid == first) {}
            Ok(came)
        }
    }
}

/// Who made the machine, seen from outside of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maker {
    user: Uid,
    group: Gid,
}

impl Maker {
    pub(crate) fn current() -> Self {
        Self { user: Uid::effective(), group: Gid::effective() }
    }
}

/// Makes fresh namespaces, in which the caller is the first process, a machine: root's identity, its own /proc, /sys and /run, loopback up.
pub(crate) fn furnish(maker: Maker, hostname: &str) -> Result<(), Denied> {
    identity(maker).map_err(|e| Step::Identity.denied(&e))?;
    mounts().map_err(|e| Step::Mounts.denied(&e))?;
    nix::unistd::sethostname(hostname).map_err(|e| Step::Process.denied(&e.into()))?;
    process::raise_file_limit().map_err(|e| Step::Process.denied(&e))?;
    loopback().map_err(|e| Step::Loopback.denied(&e))?;
    namespace::set_lab_defaults();
    Ok(())
}

/// Only one id each can be mapped without privilege, and groups only where setgroups is given up (user_namespaces(7)).
fn identity(maker: Maker) -> io::Result<()> {
    match fs::write("/proc/self/setgroups", "deny") {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    fs::write("/proc/self/uid_map", format!("0 {} 1", maker.user))?;
    fs::write("/proc/self/gid_map", format!("0 {} 1", maker.group))
}

fn mounts() -> io::Result<()> {
    const NOTHING: Option<&str> = None;
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
    let inert = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    // Inside a container whose /proc or /sys is masked, the kernel refuses fresh ones. The old ones do: /proc/sys/net shows the reader's
    // network namespace, and nothing here relies on /sys.
    forgive(mount(Some("proc"), "/proc", Some("proc"), inert, NOTHING))?;
    forgive(mount(Some("sysfs"), "/sys", Some("sysfs"), inert, NOTHING))?;
    if Path::new("/run").is_dir() {
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("mode=755"))?;
    }
    Ok(())
}

fn forgive(mounted: nix::Result<()>) -> io::Result<()> {
    use nix::errno::Errno;
    match mounted {
        Err(Errno::EPERM | Errno::EACCES | Errno::EBUSY | Errno::ENOENT | Errno::ENODEV) => Ok(()),
        other => Ok(other?),
    }
}

fn loopback() -> io::Result<()> {
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::link::{LinkFlags, LinkMessage};
    let mut up = LinkMessage::default();
    up.header.index = 1; // in every network namespace
    up.header.flags = LinkFlags::Up;
    up.header.change_mask = LinkFlags::Up;
    let answered = netlink::Socket::route()?.request(RouteNetlinkMessage::NewLink(up), 0);
    answered.map(|_| ()).map_err(|refusal| io::Error::from_raw_os_error(refusal.errno))
}
