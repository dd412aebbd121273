//! Where a process is when its time is up: what each thread waits for, and its backtrace.
//!
//! The supervisor asks with a signal, thread by thread; a handler in the asked process answers. It does more than a handler may
//! (signal-safety(7)): a thread that was interrupted amid an allocation may never answer, so the supervisor waits only so long.

use std::backtrace::Backtrace;
use std::fs;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, IntoRawFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

use nix::errno::Errno;

use super::poll;
use super::process::Pid;
use super::traffic::Interest;

/// The pipe through which the handler says that it has answered.
static ANSWERED: AtomicI32 = AtomicI32::new(-1);

/// The last real-time signal: nobody else's by any convention.
fn question() -> i32 {
    libc::SIGRTMAX()
}

/// Both ends of the way from the handler to the supervisor.
#[derive(Debug)]
pub(crate) struct Answers {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Answers {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self { reader, writer })
    }

    /// Makes the calling process answer from now on.
    pub(crate) fn install(self) -> io::Result<()> {
        ANSWERED.store(self.writer.into_raw_fd(), Ordering::Relaxed);
        // SAFETY: a zeroed sigaction is a valid one; the handler is a function that lives as long as the program.
        Errno::result(unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = answer as extern "C" fn(i32) as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(question(), &action, std::ptr::null_mut())
        })?;
        Ok(())
    }

    /// Makes each thread of the process print its backtrace, and tells what each waits for.
    pub(crate) fn collect(self, process: Pid, deadline: Instant) -> String {
        drop(self.writer);
        // In a container that refuses a fresh /proc, the old one has other numbers.
        if fs::read_link("/proc/self").ok().as_deref() != Some(Path::new(&Pid::this().to_string())) {
            return String::new();
        }
        let threads = threads(process);
        let told: Vec<String> = threads.iter().map(|thread| describe(process, *thread)).collect();
        for thread in threads {
            // SAFETY: tgkill takes three integers.
            unsafe { libc::syscall(libc::SYS_tgkill, process.as_raw(), thread, question()) };
            let answered = poll::wait(self.reader.as_fd(), Interest::Read, deadline);
            if !matches!(answered, Ok(true)) || !matches!(io::Read::read(&mut &self.reader, &mut [0]), Ok(1)) {
                break;
            }
        }
        told.join("\n")
    }
}

fn threads(process: Pid) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let mut threads: Vec<i32> = tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect();
    threads.sort_unstable();
    // The main thread only waits for the test's.
    threads.retain(|thread| *thread != process.as_raw());
    if threads.is_empty() { vec![process.as_raw()] } else { threads }
}

/// Such as ``thread `x` waits in accept (kernel: inet_csk_accept)``.
fn describe(process: Pid, thread: i32) -> String {
    let read = |file: &str| fs::read_to_string(format!("/proc/{process}/task/{thread}/{file}")).unwrap_or_default();
    let (name, call, place) = (read("comm"), read("syscall"), read("wchan"));
    let number = call.split(' ').next().and_then(|number| number.parse::<libc::c_long>().ok());
    let doing = match number {
        Some(number) => format!("waits in {}", syscall_name(number)),
        None if call.starts_with("running") => "is running".to_owned(),
        None => "waits".to_owned(),
    };
    let kernel = if place.is_empty() || place == "0" { String::new() } else { format!(" (kernel: {place})") };
    format!("thread `{}` {doing}{kernel}", name.trim_end())
}

/// The calls in which tests hang.
fn syscall_name(number: libc::c_long) -> String {
    const NAMES: &[(libc::c_long, &str)] = &[
        (libc::SYS_accept, "accept"),
        (libc::SYS_accept4, "accept"),
        (libc::SYS_clock_nanosleep, "clock_nanosleep"),
        (libc::SYS_connect, "connect"),
        (libc::SYS_epoll_pwait, "epoll_wait"),
        (libc::SYS_fcntl, "fcntl"),
        (libc::SYS_flock, "flock"),
        (libc::SYS_futex, "futex"),
        (libc::SYS_io_uring_enter, "io_uring_enter"),
        (libc::SYS_nanosleep, "nanosleep"),
        (libc::SYS_ppoll, "poll"),
        (libc::SYS_pselect6, "select"),
        (libc::SYS_read, "read"),
        (libc::SYS_recvfrom, "recvfrom"),
        (libc::SYS_recvmmsg, "recvmmsg"),
        (libc::SYS_recvmsg, "recvmsg"),
        (libc::SYS_rt_sigtimedwait, "sigtimedwait"),
        (libc::SYS_sendmsg, "sendmsg"),
        (libc::SYS_sendto, "sendto"),
        (libc::SYS_wait4, "wait4"),
        (libc::SYS_waitid, "waitid"),
        (libc::SYS_write, "write"),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_epoll_wait, "epoll_wait"),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_pause, "pause"),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_poll, "poll"),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_select, "select"),
    ];
    let name = NAMES.iter().find(|(known, _)| *known == number).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("system call {number}"))
}

extern "C" fn answer(_: i32) {
    let thread = std::thread::current();
    let frames = user_frames(&Backtrace::force_capture().to_string());
    let text = format!("thread `{}` is here:\n{frames}", thread.name().unwrap_or("unnamed"));
    write_all(2, text.as_bytes());
    write_all(ANSWERED.load(Ordering::Relaxed), b"!");
}

fn write_all(fd: RawFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are those of a live slice.
        match usize::try_from(unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) }) {
            Ok(written) if written > 0 => bytes = &bytes[written..],
            _ => return,
        }
    }
}

/// The handler's own frames are among the first of a backtrace.
const HANDLER_FRAMES: usize = 12;

/// What lies between the handler, at the top, and what started the thread.
fn user_frames(backtrace: &str) -> String {
    let mut frames: Vec<String> = Vec::new();
    for line in backtrace.lines() {
        match frames.last_mut() {
            // The second line of a frame: its place.
            Some(frame) if line.trim_start().starts_with("at ") => frame.push_str(&format!("\n{line}")),
            _ => frames.push(line.to_owned()),
        }
    }
    // Without full debug information a frame has its file, and not its path; the kernel's way into the handler may have no name.
    let is_handler =
        |frame: &String| ["sys::hang::answer", "sys/hang.rs", "restore_rt", "<unknown>"].iter().any(|name| frame.contains(name));
    let first = frames.iter().take(HANDLER_FRAMES).rposition(is_handler).map_or(0, |place| place + 1);
    let is_start = |frame: &String| frame.contains("::CASE::") || frame.contains("__rust_begin_short_backtrace");
    let last = frames.iter().position(is_start).unwrap_or(frames.len()).max(first);
    frames[first..last].iter().map(|frame| format!("{frame}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::user_frames;

    #[test]
    fn a_backtrace_is_cut_to_what_the_user_wrote() {
        let whole = "   0: std::backtrace::Backtrace::create\n   1: netlab::sys::hang::answer\n             at ./hang.rs:1:1\n   \
                     2: __restore_rt\n   3: nat::waits\n             at ./tests/nat.rs:3:9\n   4: nat::waits::CASE::{{closure}}\n   5: start";
        assert_eq!(user_frames(whole), "   3: nat::waits\n             at ./tests/nat.rs:3:9\n");
        let short = "   0: answer\n             at ./netlab/src/sys/hang.rs:1:1\n   1: <unknown>\n   2: accept\n   3: nat::waits";
        assert_eq!(user_frames(short), "   2: accept\n   3: nat::waits\n");
        assert_eq!(user_frames("   0: a\n   1: b"), "   0: a\n   1: b\n");
    }
}
