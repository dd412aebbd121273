//! `cargo netlab exec`: a program in a machine, from its start to its end.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};

use netlab::{Machine, Netns, Result, VethPair};

/// As env(1) and docker-run(1) have it.
pub(crate) const NO_MACHINE: u8 = 125;
const NOT_RUN: u8 = 126;
const NO_PROGRAM: u8 = 127;

const ENOENT: i32 = 2;

const HOSTNAME: &str = "netlab";

/// What shall run, and what the machine has when it does.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) networks: Vec<String>,
    pub(crate) link: Option<String>,
    /// With its arguments.
    pub(crate) program: Vec<OsString>,
}

pub(crate) fn main(plan: &Plan) -> ExitCode {
    let Some((program, arguments)) = plan.program.split_first() else { return ExitCode::from(NO_PROGRAM) };
    let mut command = Command::new(program);
    command.args(arguments);
    match Machine::new(HOSTNAME).exec(&mut command, || plan.prepare()) {
        Ok(Ok(status)) => leave_as(status),
        Ok(Err(e)) if e.kind() == ErrorKind::NotFound || is_nowhere(program) => {
            eprintln!("cargo-netlab: cannot run `{}`: {}", program.display(), std::io::Error::from_raw_os_error(ENOENT));
            ExitCode::from(NO_PROGRAM)
        }
        Ok(Err(e)) => {
            eprintln!("cargo-netlab: cannot run `{}`: {e}", program.display());
            ExitCode::from(NOT_RUN)
        }
        Err(e) => {
            eprintln!("cargo-netlab: {e}");
            ExitCode::from(NO_MACHINE)
        }
    }
}

/// A folder of `PATH` that the user may not look into makes execvp(3) say that permission was denied.
fn is_nowhere(program: &OsStr) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    !program.as_encoded_bytes().contains(&b'/') && !std::env::split_paths(&folders).any(|folder| folder.join(program).exists())
}

impl Plan {
    /// In the machine, before the program.
    fn prepare(&self) -> Result<()> {
        // The names in /run/netns hold the namespaces.
        self.networks.iter().try_for_each(|name| Netns::new(name)?.attach())?;
        self.link.as_deref().map_or(Ok(()), uplink)
    }
}

/// A link as most computers have one, for programs that rely on it: interface 2, with an address and a default route.
fn uplink(name: &str) -> Result<()> {
    let gateway = Netns::new("uplink")?;
    let here = Netns::current()?.iface(name).addr("192.0.2.2/24").gateway("192.0.2.1");
    let cable = VethPair::connect(here, gateway.iface("eth0").addr("192.0.2.1/24"))?;
    gateway.attach()?;
    // It is the machine's from now on, and ends with it.
    std::mem::forget(cable);
    Ok(())
}

/// Leaves as the program did: whoever started this process sees no difference.
fn leave_as(status: ExitStatus) -> ExitCode {
    match (status.code(), status.signal()) {
        (Some(code), _) => std::process::exit(code),
        (None, Some(signal)) => {
            end_by(signal);
            // It is one that we may ignore, as SIGPIPE: then as a shell would say it.
            std::process::exit(128 + signal)
        }
        (None, None) => ExitCode::FAILURE,
    }
}

#[cfg(target_os = "linux")]
fn end_by(signal: i32) {
    use nix::sys::resource::{Resource, setrlimit};
    use nix::sys::signal::{Signal, raise};
    // The core is the program's to leave, and it has.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).unwrap_or_default();
    if let Ok(signal) = Signal::try_from(signal) {
        // Rust's own handler of SIGSEGV and SIGBUS lets the first pass, and goes.
        raise(signal).and_then(|()| raise(signal)).unwrap_or_default();
    }
}

#[cfg(not(target_os = "linux"))]
fn end_by(_: i32) {}
