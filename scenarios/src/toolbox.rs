//! The program in a tutorial's image: one binary that is its shell, its `ps`, its `ip`, as busybox is.
//!
//! It is the tour's own binary, started under another name.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;
use std::{fs, thread};

use netlab::Netns;

/// The names under which it can be started.
pub(crate) const NAMES: &[&str] =
    &["ash", "cat", "httpd", "ip", "kill", "mount", "pause", "ping", "ps", "reboot", "runc", "socket", "ss", "top", "unshare", "wget"];
/// What the shell prints when it is there.
pub(crate) const PROMPT: &str = "/ #";

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Says which file is the tour's binary, where this program is another: a test.
pub fn use_program(path: impl AsRef<Path>) {
    // The first word counts; all are the same.
    PROGRAM.get_or_init(|| path.as_ref().to_owned());
}

/// The file of the binary.
pub(crate) fn program() -> io::Result<PathBuf> {
    PROGRAM.get().map_or_else(std::env::current_exe, |program| Ok(program.clone()))
}

/// Does what a tool of the image does, if this program was started as one.
pub fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let first = arguments.next()?;
    let name = Path::new(&first).file_name().and_then(OsStr::to_str).filter(|name| NAMES.contains(name))?;
    let arguments: Vec<_> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match tool(name, &arguments) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(e) => {
            let text = e.to_string();
            eprintln!("{name}: {}", text.split(" (os error").next().unwrap_or(&text));
            Some(ExitCode::FAILURE)
        }
    }
}

fn tool(name: &str, arguments: &[&str]) -> io::Result<()> {
    match (name, arguments) {
        ("ash", ["-c", program]) => Command::new(format!("/bin/{program}")).status().map(drop),
        ("ash", []) => {
            print!("{PROMPT} ");
            idle()
        }
        ("top", []) => {
            println!("top");
            idle()
        }
        ("pause", []) => {
            println!("pause");
            idle()
        }
        ("unshare", ["-n", program, arguments @ ..]) => {
            kernel::unshare_network()?;
            Err(Command::new(format!("/bin/{program}")).args(arguments).exec())
        }
        // What a container's runtime does in the new namespaces, before the program takes its place.
        ("runc", ["init", program, arguments @ ..]) => {
            kernel::mount("proc", "/proc")?;
            Err(Command::new(format!("/bin/{program}")).args(arguments).exec())
        }
        ("httpd", [name, address]) => {
            let _server = Netns::current().and_then(|here| here.serve(*name).http(address)).map_err(io::Error::other)?;
            println!("httpd: {name} at {address}");
            idle()
        }
        ("wget", ["-qO-", url]) => {
            let page = Netns::current().and_then(|here| here.http_get(url)).map_err(io::Error::other)?;
            print!("{}", page.body());
            io::stdout().flush()
        }
        ("ping", ["-v", address]) => {
            println!("socktype: {}", kernel::ping_socket()?);
            let reply = Netns::current().and_then(|here| here.expect_ping(address)).map_err(io::Error::other)?;
            println!("reply from {}", reply.from().ip());
            Ok(())
        }
        ("socket", [kind]) => {
            kernel::icmp_socket(kind)?;
            println!("{kind}");
            Ok(())
        }
        ("ss", ["-ltn"]) => {
            let here = Netns::current().map_err(io::Error::other)?;
            crate::ask::listening(&here).map_err(io::Error::other)?.iter().for_each(|port| println!("LISTEN *:{port}"));
            Ok(())
        }
        ("cat", files) => files.iter().try_for_each(|file| io::stdout().write_all(&fs::read(file)?)),
        ("ps", []) => ps(),
        ("ip", ["link"]) => ip_link(),
        ("ip", ["link", "set", device, "down"]) => Netns::current().and_then(|here| here.link(device)?.down()).map_err(io::Error::other),
        ("kill", [signal, process]) => kernel::kill(number(process)?, number(signal.trim_start_matches('-'))?),
        ("mount", ["-t", kind, _, place]) => kernel::mount(kind, place),
        ("reboot", []) => kernel::reboot(),
        _ => Err(io::Error::other(format!("cannot do {}", arguments.join(" ")))),
    }
}

/// Waits to be killed, as a shell that nobody types into.
fn idle() -> io::Result<()> {
    io::stdout().flush()?;
    loop {
        thread::park();
    }
}

fn number(text: &str) -> io::Result<i32> {
    text.parse().map_err(|_| io::Error::other(format!("{text} is no number")))
}

/// The processes that `/proc` shows: number and name.
fn ps() -> io::Result<()> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(number) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        // One that has ended since has no name any more.
        if let Ok(name) = fs::read_to_string(format!("/proc/{number}/comm")) {
            processes.push((number, name));
        }
    }
    processes.sort();
    println!("PID COMMAND");
    processes.iter().for_each(|(number, name)| println!("{number} {}", name.trim_end()));
    Ok(())
}

fn ip_link() -> io::Result<()> {
    let links = Netns::current().and_then(|here| here.links()).map_err(io::Error::other)?;
    print!("{links}");
    Ok(())
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::io;
    use std::os::unix::fs::MetadataExt;

    use nix::mount::MsFlags;
    use nix::sys::reboot::RebootMode;
    use nix::sys::signal::Signal;
    use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType};
    use nix::unistd::Pid;

    /// The inode of the pid namespace of a whole machine (`PROC_PID_INIT_INO` in include/linux/proc_ns.h).
    const WHOLE_MACHINE: u64 = 0xeffffffc;
    const DATAGRAM: &str = "SOCK_DGRAM";
    const RAW: &str = "SOCK_RAW";

    pub(super) fn kill(process: i32, signal: i32) -> io::Result<()> {
        let signal = if signal == 0 { None } else { Some(Signal::try_from(signal)?) };
        Ok(nix::sys::signal::kill(Pid::from_raw(process), signal)?)
    }

    pub(super) fn mount(kind: &str, place: &str) -> io::Result<()> {
        const NOTHING: Option<&str> = None;
        let inert = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        Ok(nix::mount::mount(Some(kind), place, Some(kind), inert, NOTHING)?)
    }

    pub(super) fn unshare_network() -> io::Result<()> {
        Ok(nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?)
    }

    /// The socket by which one can ping here, as iputils' ping looks for it: a datagram one for whose group it is allowed, else a raw one.
    pub(super) fn ping_socket() -> io::Result<&'static str> {
        match icmp_socket(DATAGRAM) {
            Err(e) if e.raw_os_error() == Some(libc::EACCES) => icmp_socket(RAW).map(|()| RAW),
            other => other.map(|()| DATAGRAM),
        }
    }

    /// Opens a socket for ICMP, and closes it.
    pub(super) fn icmp_socket(kind: &str) -> io::Result<()> {
        let kind = if kind == RAW { SockType::Raw } else { SockType::Datagram };
        Ok(nix::sys::socket::socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp).map(drop)?)
    }

    /// In a pid namespace this ends its first process (pid_namespaces(7)); elsewhere it would not be a joke.
    pub(super) fn reboot() -> io::Result<()> {
        if std::fs::metadata("/proc/self/ns/pid")?.ino() == WHOLE_MACHINE {
            return Err(io::Error::other("this is no container"));
        }
        nix::sys::reboot::reboot(RebootMode::RB_AUTOBOOT)?;
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::io;

    pub(super) fn kill(_: i32, _: i32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn mount(_: &str, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn reboot() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn unshare_network() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn ping_socket() -> io::Result<&'static str> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn icmp_socket(_: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
