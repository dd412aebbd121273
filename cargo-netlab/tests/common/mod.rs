//! Who runs `cargo-netlab` in the tests, and what comes of it.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;

pub(crate) type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// Nobody's name: the kernel's overflow ids.
const NOBODY: u32 = 65534;

/// Whose rights a program has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    Myself,
    /// One without privileges, which only root can become.
    Nobody,
}

impl User {
    /// All who can be had: root can be nobody as well.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [Self::Myself].into_iter().chain(nix::unistd::geteuid().is_root().then_some(Self::Nobody))
    }

    pub(crate) fn ordinary() -> Option<Self> {
        Self::all().last()
    }

    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Result<Command> {
        let mut command = Command::new(program);
        if self == Self::Nobody {
            command.uid(NOBODY).gid(NOBODY).current_dir("/tmp");
        }
        Ok(command)
    }
}

/// `cargo-netlab` where the user can get at it: the target folder may lie where only its owner looks.
pub(crate) fn program(user: User) -> Result<PathBuf> {
    static PUBLIC: OnceLock<tempfile::TempDir> = OnceLock::new();
    if user == User::Myself {
        return Ok(env!("CARGO_BIN_EXE_cargo-netlab").into());
    }
    let folder = PUBLIC.get_or_init(|| published_copy(Path::new(env!("CARGO_BIN_EXE_cargo-netlab"))).expect("a folder for everybody"));
    Ok(folder.path().join("program"))
}

/// A folder for everybody with a copy of the program, called `program`.
pub(crate) fn published_copy(program: &Path) -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir_in("/tmp")?;
    // By another process: a child of another test, between its fork and its exec, would hold our open file, and nobody can run that (ETXTBSY).
    let copied = Command::new("cp").arg(program).arg(folder.path().join("program")).status()?;
    if copied.success() { Ok(folder) } else { Err("cp failed".into()) }
}

pub(crate) fn netlab(user: User) -> Result<Command> {
    user.command(program(user)?)
}

pub(crate) fn exec(user: User) -> Result<Command> {
    let mut command = netlab(user)?;
    command.arg("exec");
    Ok(command)
}

/// How a program ended, and both its outputs.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) text: String,
}

pub(crate) fn run(command: &mut Command) -> Result<Ended> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    Ok(Ended { status: output.status, text })
}
