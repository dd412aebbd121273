//! Programs that start in namespaces of their own or of others, with a root of their own.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use super::kind::{Capability, Namespace, Root};
use super::{namespace, process};

/// A namespace by its file, such as `/proc/PID/ns/mnt`.
pub(crate) fn open_namespace(path: &Path) -> io::Result<OwnedFd> {
    Ok(File::open(path)?.into())
}

/// A directory that can become a root.
pub(crate) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    process::directory(path)
}

/// Starts the command in the namespaces that are joined, then in fresh ones, then with the root, and last without the capabilities.
pub(crate) fn start(
    mut command: Command,
    fresh: &[Namespace],
    joined: Vec<(Namespace, OwnedFd)>,
    root: Option<Root>,
    dropped: Vec<Capability>,
) -> io::Result<Child> {
    if fresh.is_empty() && joined.is_empty() && root.is_none() && dropped.is_empty() {
        return command.spawn();
    }
    let (pids, others): (Vec<_>, Vec<_>) = joined.into_iter().partition(|(kind, _)| *kind == Namespace::Pid);
    let flags = fresh.iter().map(|kind| flag(*kind)).collect::<CloneFlags>();
    let enter = move || {
        others.iter().try_for_each(|(kind, descriptor)| setns(descriptor, flag(*kind)))?;
        unshare(flags - CloneFlags::CLONE_NEWPID)?;
        if flags.contains(CloneFlags::CLONE_NEWNS) {
            const NOTHING: Option<&str> = None;
            mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
        }
        match &root {
            Some(Root::Path(path)) => nix::unistd::chdir(path.as_c_str())?,
            Some(Root::Open(directory)) => nix::unistd::fchdir(directory)?,
            None => {}
        }
        if root.is_some() {
            nix::unistd::chroot(c".")?;
        }
        dropped.iter().try_for_each(|capability| drop_from_bounds(*capability))
    };
    // SAFETY: between fork and exec the closure makes only system calls (setns, unshare, mount, chdir, fchdir, chroot, prctl) and allocates
    // nothing: what it holds was made before.
    unsafe { command.pre_exec(enter) };
    // A pid namespace is that of a thread's children, not of the one who enters it: a thread of ours starts the program.
    let started = namespace::on_thread("netlab", || {
        pids.iter().try_for_each(|(_, descriptor)| setns(descriptor.as_fd(), CloneFlags::CLONE_NEWPID))?;
        unshare(flags & CloneFlags::CLONE_NEWPID)?;
        command.spawn()
    });
    started.unwrap_or_else(|_| Err(io::Error::other("the start of a program panicked")))
}

/// Root gets all capabilities of the bounding set by exec(2), and no other (capabilities(7)).
fn drop_from_bounds(Capability(number): Capability) -> io::Result<()> {
    // SAFETY: the call takes numbers only.
    let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) };
    if dropped == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn flag(kind: Namespace) -> CloneFlags {
    match kind {
        Namespace::Cgroup => CloneFlags::CLONE_NEWCGROUP,
        Namespace::Ipc => CloneFlags::CLONE_NEWIPC,
        Namespace::Mount => CloneFlags::CLONE_NEWNS,
        Namespace::Net => CloneFlags::CLONE_NEWNET,
        Namespace::Pid => CloneFlags::CLONE_NEWPID,
        Namespace::User => CloneFlags::CLONE_NEWUSER,
        Namespace::Uts => CloneFlags::CLONE_NEWUTS,
    }
}
