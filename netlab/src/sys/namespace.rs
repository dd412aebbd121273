//! Network namespaces, held by descriptors and entered on threads of our own.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use super::proc::{self, Proc};
use super::sysctl;

/// The calling thread's network namespace.
pub(crate) fn current() -> io::Result<OwnedFd> {
    // Not /proc/self: that is the main thread's, which may be elsewhere.
    File::open("/proc/thread-self/ns/net").map(OwnedFd::from)
}

/// Takes the calling thread, which must be one that we made, to the namespace of the process's first thread.
pub(crate) fn follow_main_thread() -> io::Result<()> {
    Ok(setns(File::open("/proc/self/ns/net")?, CloneFlags::CLONE_NEWNET)?)
}

/// Device and inode: the identity of a namespace.
pub(crate) fn identity(namespace: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let stat = nix::sys::stat::fstat(namespace)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Makes a network namespace and runs `setup` in it, on a thread that ends with the call.
pub(crate) fn create<T: Send>(setup: impl FnOnce() -> io::Result<T> + Send) -> io::Result<(OwnedFd, T)> {
    on_thread("netlab", || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        Ok((current()?, setup()?))
    })
    .unwrap_or_else(|_| Err(io::Error::other("the set-up of a namespace panicked")))
}

/// Makes a file that leads to a namespace and keeps it alive, and its directory if that is missing.
pub(crate) fn pin(namespace: BorrowedFd<'_>, file: &Path) -> io::Result<()> {
    use nix::mount::{MsFlags, mount};
    use std::os::fd::AsRawFd;
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)?;
    }
    File::create_new(file)?;
    let source = format!("/proc/self/fd/{}", namespace.as_raw_fd());
    let pinned = mount(Some(source.as_str()), file, None::<&str>, MsFlags::MS_BIND, None::<&str>);
    if pinned.is_err() {
        std::fs::remove_file(file)?;
    }
    Ok(pinned?)
}

/// Opens the network namespace that a file leads to and runs `setup` in it, on a thread that ends with the call.
pub(crate) fn open<T: Send>(file: &Path, setup: impl FnOnce() -> io::Result<T> + Send) -> io::Result<(OwnedFd, T)> {
    let namespace = OwnedFd::from(File::open(file)?);
    let set_up = enter("netlab", namespace.as_fd(), None, setup)?;
    Ok((namespace, set_up.unwrap_or_else(|_| Err(io::Error::other("the set-up of a namespace panicked")))?))
}

/// Runs `f` on a thread of its own in the namespace; the outer error says that it could not be entered, the inner one is the panic of `f`.
///
/// With `mounts`, the thread sees that mount namespace too, and keeps the caller's working directory.
pub(crate) fn enter<T: Send>(
    thread_name: &str,
    network: BorrowedFd<'_>,
    mounts: Option<BorrowedFd<'_>>,
    f: impl FnOnce() -> T + Send,
) -> io::Result<thread::Result<T>> {
    let entered = on_thread(thread_name, || {
        switch(network, mounts)?;
        Ok(std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)))
    });
    entered.unwrap_or_else(|panic| Ok(Err(panic)))
}

/// Runs `f` on a thread of its own in the namespace, beside the caller.
#[cfg(feature = "tokio")]
pub(crate) fn spawn(
    thread_name: &str,
    network: OwnedFd,
    mounts: Option<OwnedFd>,
    f: impl FnOnce() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    let (tell, entered) = std::sync::mpsc::sync_channel(1);
    let thread = named(thread_name).spawn(move || {
        let switched = switch(network.as_fd(), mounts.as_ref().map(AsFd::as_fd));
        let ok = switched.is_ok();
        if tell.send(switched).is_ok() && ok {
            f();
        }
    })?;
    entered.recv().map_err(io::Error::other)??;
    Ok(thread)
}

/// Makes a command start in the namespaces.
///
/// The descriptors live as long as the command does.
pub(crate) fn start_in(command: &mut Command, network: OwnedFd, mounts: Option<OwnedFd>) {
    let enter = move || switch(network.as_fd(), mounts.as_ref().map(AsFd::as_fd));
    // SAFETY: between fork and exec the closure makes only system calls (setns, unshare, getcwd, chdir) and allocates nothing.
    unsafe { command.pre_exec(enter) };
}

fn switch(network: BorrowedFd<'_>, mounts: Option<BorrowedFd<'_>>) -> io::Result<()> {
    setns(network, CloneFlags::CLONE_NEWNET)?;
    if let Some(mounts) = mounts {
        // A mount namespace can only be entered by a thread that shares its working directory with no other, and entering moves it to /.
        let here = nix::fcntl::open(".", nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())?;
        unshare(CloneFlags::CLONE_FS)?;
        setns(mounts, CloneFlags::CLONE_NEWNS)?;
        nix::unistd::fchdir(here)?;
    }
    Ok(())
}

/// The outer error is the panic of `f`.
pub(super) fn on_thread<T: Send>(name: &str, f: impl FnOnce() -> io::Result<T> + Send) -> thread::Result<io::Result<T>> {
    thread::scope(|scope| match named(name).spawn_scoped(scope, f) {
        Ok(handle) => handle.join(),
        Err(e) => Ok(Err(e)),
    })
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.chars().filter(|c| *c != '\0').collect())
}

/// What a lab depends on; the kernel takes the IPv4 values from the initial namespace's present ones, or from its own defaults.
const LAB_DEFAULTS: &[(&str, &[&str])] = &[
    // Every ICMP error is sent: one a second and peer is the kernel's own limit, which makes the others silence.
    ("net/ipv4/icmp_ratelimit", &["0"]),
    ("net/ipv6/icmp/ratelimit", &["0"]),
    // Nobody else is on a lab's cables: an address can be used at once.
    ("net/ipv6/conf/all/accept_dad", &["0"]),
    ("net/ipv6/conf/default/accept_dad", &["0"]),
    // A bridge says at some moment of its first second that it snoops (224.0.0.106): captures and counters would have it or not.
    ("net/ipv4/igmp_link_local_mcast_reports", &["0"]),
    ("net/ipv4/ip_forward", &["0"]),
    ("net/ipv4/conf/all/rp_filter", &["0"]),
    ("net/ipv4/conf/default/rp_filter", &["0"]),
    // Bridged frames are nobody's business but the bridge's, until a test asks otherwise (br_netfilter).
    ("net/bridge/bridge-nf-call-iptables", &["0"]),
    ("net/bridge/bridge-nf-call-ip6tables", &["0"]),
    ("net/bridge/bridge-nf-call-arptables", &["0"]),
    // Unprivileged ICMP sockets for every group; where only one id is mapped, for that one.
    ("net/ipv4/ping_group_range", &["0 2147483647", "0 0"]),
];

/// The sysctls that [`set_lab_defaults`] sets.
pub(crate) fn lab_sysctls() -> impl Iterator<Item = &'static str> {
    LAB_DEFAULTS.iter().map(|(key, _)| *key)
}

/// Gives the calling thread's network namespace, a fresh one, the values that a lab depends on.
pub(crate) fn set_lab_defaults() {
    set_lab_defaults_in(|| None);
}

/// The same for one of many namespaces of a process. Not for the first process of a machine: it shares the memory of others, but not their
/// descriptors, which the mounts are.
pub(crate) fn set_lab_defaults_of_many() {
    set_lab_defaults_in(proc::quick);
}

fn set_lab_defaults_in(proc: impl FnOnce() -> Option<Arc<Proc>>) {
    static DIFFERENT: OnceLock<Vec<(&str, &str)>> = OnceLock::new();
    // A file costs three system calls: the first namespace finds out which of them are worth it for all that follow.
    let mut first = false;
    let different = DIFFERENT.get_or_init(|| {
        first = true;
        LAB_DEFAULTS.iter().filter_map(|(key, values)| set_first(key, values)).collect()
    });
    if !first {
        let proc = proc();
        let place = proc.as_ref().map_or_else(|| PathBuf::from("/proc"), |proc| proc.path());
        for (key, value) in different {
            // Written before, so that it can be written again.
            sysctl::write_in(&place, key, value).unwrap_or_default();
        }
    }
}

/// Writes the first value that the kernel takes, and returns it; nothing if it is there already or the kernel has no such file.
fn set_first<'a>(key: &'a str, values: &[&'a str]) -> Option<(&'a str, &'a str)> {
    let present = sysctl::read(key).ok()?.replace('\t', " ");
    let value = values.iter().find(|value| present == **value || sysctl::write(key, value).is_ok())?;
    (present != *value).then_some((key, value))
}
