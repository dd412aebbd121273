//! Processes made by clone and fork, their death, and what they inherit.
//!
//! # Safety
//!
//! A process that has other threads must not be forked: the child would get locks whose holders it does not have. So every fork here asks
//! for a [`Lone`], which only a process without such threads can get.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
pub(crate) use nix::unistd::Pid;
use nix::unistd::{ForkResult, fork};

use super::traffic::Interest;

/// Enough for supervision, and for what runs at the exit of a test process.
const STACK_BYTES: usize = 1024 * 1024;

/// Proof that no other thread of this process holds, or will take, a lock.
#[derive(Debug)]
pub(crate) struct Lone(());

impl Lone {
    /// A program that has one thread.
    pub(crate) fn check() -> io::Result<Self> {
        Self::with_at_most(1)
    }

    /// A test binary that was started with `--test-threads=1`: beside the test's thread there is the main thread, which waits for it.
    pub(crate) fn under_libtest() -> io::Result<Self> {
        Self::with_at_most(2)
    }

    fn with_at_most(most: usize) -> io::Result<Self> {
        match std::fs::read_dir("/proc/self/task")?.count() {
            count if count <= most => Ok(Self(())),
            count => Err(io::Error::other(format!("this process has {count} threads, and only a process with one can be copied safely"))),
        }
    }
}

/// A stack for [`spawn_in_namespaces`].
pub(crate) struct Stack(Box<[u8]>);

impl Stack {
    pub(crate) fn new() -> Self {
        // Zeroed memory of this size is mapped, not written: it costs what is used of it.
        Self(vec![0; STACK_BYTES].into_boxed_slice())
    }
}

/// Runs `f` as the first process of fresh namespaces and returns when it has exited, which it must do by returning an exit code.
///
/// The new process works in this one's memory while this one stands still (`CLONE_VM | CLONE_VFORK`): no page table is copied, and what `f`
/// learns can be left in variables.
pub(crate) fn run_in_namespaces(_: &Lone, stack: &mut Stack, flags: CloneFlags, f: impl FnOnce() -> i32) -> io::Result<Pid> {
    // SAFETY: the caller stands still until the child is gone, so the child alone uses this memory, and its stack is large and unused.
    unsafe { clone(stack, flags | CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK, f) }
}

/// Copies this process into fresh namespaces, of which the copy is the first process; it runs `f` while this one goes on.
pub(crate) fn spawn_in_namespaces(_: &Lone, stack: &mut Stack, flags: CloneFlags, f: impl FnOnce() -> i32) -> io::Result<Pid> {
    // SAFETY: the copy has memory of its own, and `Lone` says that no other thread holds a lock that it would wait for.
    unsafe { clone(stack, flags, f) }
}

/// # Safety
///
/// Nobody else may use the stack while the child does.
unsafe fn clone(stack: &mut Stack, flags: CloneFlags, f: impl FnOnce() -> i32) -> io::Result<Pid> {
    let mut f = Some(f);
    let child = Box::new(|| {
        let code = f.take().map_or(101, |f| catch_unwind(AssertUnwindSafe(f)).unwrap_or(101));
        leave_at_once(code)
    });
    // SAFETY: as the caller promises; the child never returns into the caller's frames: panics are caught and it leaves by _exit.
    Ok(unsafe { nix::sched::clone(child, &mut stack.0, flags, Some(libc::SIGCHLD)) }?)
}

/// Copies this process; the copy runs `f` and leaves by `exit`, so that what runs at exit (a coverage profile is written) does.
pub(crate) fn spawn(_: &Lone, f: impl FnOnce() -> i32) -> io::Result<Pid> {
    // SAFETY: `Lone` says that no other thread holds a lock that the child would wait for.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let code = catch_unwind(AssertUnwindSafe(f)).unwrap_or(101);
            std::process::exit(code)
        }
    }
}

/// Leaves without running anything that was registered for the exit.
pub(crate) fn leave_at_once(code: i32) -> ! {
    // SAFETY: _exit takes no pointer and does not return.
    unsafe { libc::_exit(code) }
}

/// Runs `f` when this process exits in an orderly way.
pub(crate) fn at_exit(f: extern "C" fn()) {
    // SAFETY: `f` is a function without arguments that lives as long as the program.
    unsafe { libc::atexit(f) };
}

/// A handle to a process, which can be read as soon as the process is dead.
pub(crate) fn handle(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// A handle to this process, by which a child can see its parent's death.
pub(crate) fn own_handle() -> io::Result<OwnedFd> {
    handle(Pid::this())
}

/// Makes the kernel kill this process when its parent, of which `parent` is a handle, dies.
pub(crate) fn die_with(parent: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes an integer.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    // It may have died before the kernel was told.
    if super::poll::wait(parent, Interest::Read, Instant::now())? {
        leave_at_once(101);
    }
    Ok(())
}

/// Makes this process the parent of every descendant whose own parent has gone.
pub(crate) fn adopt_descendants() -> io::Result<()> {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes an integer.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) })?;
    Ok(())
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Exited(i32),
    Killed(i32),
}

/// One child that ended, if there is one; with `block`, the next that ends. An error (`ECHILD`) when there is no child.
pub(crate) fn reap(block: bool) -> io::Result<Option<(Pid, Status)>> {
    let mut status = 0;
    loop {
        // SAFETY: the pointer is to a live integer.
        let pid = unsafe { libc::waitpid(-1, &mut status, if block { 0 } else { libc::WNOHANG }) };
        return match Errno::result(pid) {
            Ok(0) => Ok(None),
            Ok(pid) if libc::WIFEXITED(status) => Ok(Some((Pid::from_raw(pid), Status::Exited(libc::WEXITSTATUS(status))))),
            Ok(pid) => Ok(Some((Pid::from_raw(pid), Status::Killed(libc::WTERMSIG(status))))),
            Err(Errno::EINTR) => continue,
            Err(e) => Err(e.into()),
        };
    }
}

/// Tells of changes of this process's children by a descriptor that can be read then.
#[derive(Debug)]
pub(crate) struct ChildSignals(SignalFd);

impl ChildSignals {
    /// Holds SIGCHLD back from now on; [`release_signals`] undoes that in a child.
    pub(crate) fn hold() -> io::Result<Self> {
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&child_signal()), None)?;
        Ok(Self(SignalFd::with_flags(&child_signal(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// Forgets what was told so far.
    pub(crate) fn clear(&self) {
        while let Ok(Some(_)) = self.0.read_signal() {}
    }
}

impl AsFd for ChildSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

pub(crate) fn release_signals() -> io::Result<()> {
    Ok(sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&child_signal()), None)?)
}

fn child_signal() -> SigSet {
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    set
}

/// The signals that people and programs send to end another program, or to tell it something.
const PASSED_ON: [Signal; 6] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

/// Takes the signals that are meant for a program which this process runs; the signals do what they did before when it is dropped.
#[derive(Debug)]
pub(crate) struct Signals {
    taken: SignalFd,
    mask: Mask,
}

/// Which signals a process holds back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask(SigSet);

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) signal: i32,
    /// By a key, as Ctrl-C: every process of the terminal's foreground has got it.
    pub(crate) from_terminal: bool,
}

impl Signals {
    pub(crate) fn take() -> io::Result<Self> {
        let set: SigSet = PASSED_ON.into_iter().collect();
        let taken = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))?;
        Ok(Self { taken, mask: Mask(before) })
    }

    pub(crate) fn next(&self) -> Option<Came> {
        let info = self.taken.read_signal().ok()??;
        Some(Came { signal: info.ssi_signo as i32, from_terminal: info.ssi_code > 0 })
    }

    /// What was held back before.
    pub(crate) fn mask(&self) -> Mask {
        self.mask
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.taken.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.mask.set().unwrap_or_default();
    }
}

impl Mask {
    pub(crate) fn set(self) -> io::Result<()> {
        Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.0), None)?)
    }
}

/// Sends a signal to the process behind a handle; one that has ended is past caring.
pub(crate) fn send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: the call reads nothing behind its null pointer; the descriptor is open.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, std::ptr::null::<u8>(), 0) };
    match Errno::result(sent) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// A session of its own: no terminal's Ctrl-C reaches it, and its process group is nobody else's.
pub(crate) fn leave_session() {
    nix::unistd::setsid().unwrap_or(Pid::this());
}

/// Raises the soft limit of open files to the hard one.
pub(crate) fn raise_file_limit() -> io::Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(())
}

/// Makes `fd` the standard stream `number` (0, 1 or 2).
pub(crate) fn become_stdio(number: i32, fd: BorrowedFd<'_>) -> io::Result<()> {
    match number {
        0 => nix::unistd::dup2_stdin(fd)?,
        1 => nix::unistd::dup2_stdout(fd)?,
        _ => nix::unistd::dup2_stderr(fd)?,
    }
    Ok(())
}

pub(crate) fn enter_directory(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(nix::unistd::fchdir(fd)?)
}

/// A handle to a directory that needs no right to read it.
pub(crate) fn directory(path: &Path) -> io::Result<OwnedFd> {
    use nix::fcntl::{OFlag, open};
    Ok(open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())?)
}

/// Replaces the environment of this process.
pub(crate) fn replace_environment(_: &Lone, variables: &[(OsString, OsString)]) {
    let old: Vec<OsString> = std::env::vars_os().map(|(name, _)| name).collect();
    // SAFETY: `Lone` says that no other thread reads the environment meanwhile.
    unsafe {
        old.iter().for_each(|name| std::env::remove_var(name));
        variables.iter().for_each(|(name, value)| std::env::set_var(name, value));
    }
}

/// Takes a variable out of the environment.
pub(crate) fn take_variable(_: &Lone, name: &str) {
    // SAFETY: `Lone` says that no other thread reads the environment meanwhile.
    unsafe { std::env::remove_var(name) };
}

/// The connection that a parent left as this process's standard input, which becomes /dev/null.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    let taken = io::stdin().as_fd().try_clone_to_owned()?;
    let null = std::fs::File::open("/dev/null")?;
    become_stdio(0, null.as_fd())?;
    Ok(taken)
}

/// The address of a value that lives as long as the program, relative to another such value of the same binary.
pub(crate) fn distance<T>(from: &'static T, to: &'static T) -> isize {
    (to as *const T as isize).wrapping_sub(from as *const T as isize)
}

/// The value at the `distance` that another process of the same binary measured.
pub(crate) fn at_distance<T>(from: &'static T, distance: isize) -> &'static T {
    let address = (from as *const T as isize).wrapping_add(distance) as *const T;
    // SAFETY: the other process runs the same file (/proc/self/exe), whose parts lie at the same distances in each process, and it
    // measured between two values of this type that live as long as the program.
    unsafe { &*address }
}

/// Kills every process that this one can see and may signal, except itself. Only for the first process of a PID namespace.
pub(crate) fn kill_everybody_else() {
    // SAFETY: kill takes two integers.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

pub(crate) fn kill(pid: i32) {
    // SAFETY: kill takes two integers.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// The children of this process, as its /proc numbers them.
pub(crate) fn children() -> Vec<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// The user whose rights this process has.
pub(crate) fn user() -> u32 {
    nix::unistd::Uid::effective().as_raw()
}

/// Whether the calling thread may change the network of the namespace that it is in: CAP_NET_ADMIN is effective.
pub(crate) fn is_network_admin() -> bool {
    const CAP_NET_ADMIN: u64 = 12;
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set >> CAP_NET_ADMIN & 1 == 1)
}

/// The signal's name and what it means, as a shell would say it.
pub(crate) fn signal_name(number: i32) -> String {
    let Ok(signal) = Signal::try_from(number) else { return format!("signal {number}") };
    let meaning = match signal {
        Signal::SIGABRT => " (abort)",
        Signal::SIGBUS => " (bus error)",
        Signal::SIGFPE => " (arithmetic error)",
        Signal::SIGILL => " (illegal instruction)",
        Signal::SIGSEGV => " (segmentation fault)",
        Signal::SIGSYS => " (system call forbidden by seccomp)",
        Signal::SIGTRAP => " (trap)",
        _ => "",
    };
    format!("{signal}{meaning}")
}
