//! `cargo netlab clean`: takes away what netlab leaves, and looks whether anything is left.
//!
//! It leaves little: evidence of tests, because somebody asked for it by failing, and the file by which a pause is ended, if the test was
//! killed meanwhile. Machines end with the process that made them.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use netlab::live::{self, Live};

use crate::evidence;
use crate::list::title;

/// What is in a folder of evidence, all of it written by netlab.
const FILES: [&str; 8] =
    [evidence::STATE, evidence::PAUSED, "explanation.txt", "packets.pcapng", "repro.sh", "sequence.mmd", "topology.mmd", "topology.svg"];
const LOGS: &str = "logs";
/// What `cargo netlab report` writes there.
const PAGE: &str = "report.html";

/// What shall be done.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) folder: Option<PathBuf>,
    /// Machines that are alive are ended.
    pub(crate) machines: bool,
    /// Only say what there is.
    pub(crate) dry: bool,
}

/// What there is of netlab.
#[derive(Debug, Default)]
struct Found {
    machines: Vec<Live>,
    folders: Vec<PathBuf>,
    /// Of pauses that nobody waits in any more, and pages of reports.
    files: Vec<PathBuf>,
}

impl Found {
    fn look(base: &Path) -> Result<Self, String> {
        let machines = live::machines().map_err(|e| e.to_string())?;
        let folders = evidence::folders(base).map_err(|e| format!("cannot look into {}: {e}", base.display()))?;
        let is_waited_for =
            |file: &Path| machines.iter().any(|machine| machine.paused.as_ref().is_some_and(|paused| same(Path::new(paused), file)));
        // The folder of a test that is paused is in use.
        let folders = folders.into_iter().filter(|folder| !is_waited_for(&folder.join(evidence::PAUSED))).collect();
        let temporary = fs::read_dir(env::temp_dir()).into_iter().flatten().flatten();
        let pauses = temporary.filter(|entry| entry.file_name().to_string_lossy().starts_with("netlab-paused-")).map(|entry| entry.path());
        let files = pauses.filter(|file| !is_waited_for(file) && is_mine(file)).chain(Some(base.join(PAGE)).filter(|page| page.is_file()));
        Ok(Self { files: files.collect(), folders, machines })
    }

    fn is_nothing(&self) -> bool {
        self.machines.is_empty() && self.folders.is_empty() && self.files.is_empty()
    }

    fn tell(&self, verb: &str) {
        self.folders.iter().for_each(|folder| println!("{verb} {}/", folder.display()));
        self.files.iter().for_each(|file| println!("{verb} {}", file.display()));
    }
}

fn same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn is_mine(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let mine = fs::metadata("/proc/self").map(|process| process.uid());
    matches!((fs::symlink_metadata(file), mine), (Ok(file), Ok(mine)) if file.uid() == mine && file.is_file())
}

pub(crate) fn main(wish: &Wish) -> ExitCode {
    match run(wish) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("cargo-netlab: {e}");
            ExitCode::FAILURE
        }
    }
}

/// False if something is left.
fn run(wish: &Wish) -> Result<bool, String> {
    let base = wish.folder.clone().map_or_else(evidence::base, Ok)?;
    let found = Found::look(&base)?;
    if wish.dry {
        found.tell("would remove");
        let verb = if wish.machines { "would end" } else { "alive:" };
        found.machines.iter().for_each(|machine| println!("{verb} process {}: {}", machine.pid, title(machine)));
        return Ok(found.is_nothing());
    }
    for file in &found.files {
        fs::remove_file(file).map_err(|e| format!("cannot remove {}: {e}", file.display()))?;
    }
    for folder in &found.folders {
        remove(folder, &base).map_err(|e| format!("cannot remove {}: {e}", folder.display()))?;
    }
    found.tell("removed");
    if wish.machines {
        found.machines.iter().try_for_each(|machine| end(machine).map_err(|e| format!("cannot end process {}: {e}", machine.pid)))?;
    }
    let left = Found::look(&base)?;
    left.tell("left:");
    for machine in &left.machines {
        println!("alive: process {}: {} (`cargo netlab clean --machines` ends it)", machine.pid, title(machine));
    }
    if left.is_nothing() {
        println!("Nothing of netlab is left: no machine is alive, no evidence in {}, no file of a pause.", base.display());
    }
    Ok(left.is_nothing())
}

/// Removes what netlab wrote, and then the folders that are empty; what somebody else put there stays.
fn remove(folder: &Path, base: &Path) -> io::Result<()> {
    for name in FILES {
        match fs::remove_file(folder.join(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    match fs::remove_dir_all(folder.join(LOGS)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    folder.ancestors().take_while(|folder| folder.starts_with(base) && fs::remove_dir(folder).is_ok()).for_each(drop);
    Ok(())
}

/// With its first process all of a machine ends; this waits until that has been seen.
#[cfg(target_os = "linux")]
fn end(machine: &Live) -> io::Result<()> {
    use nix::errno::Errno;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use std::time::{Duration, Instant};

    let pid = Pid::from_raw(machine.first.unwrap_or(machine.pid).cast_signed());
    match kill(pid, Signal::SIGKILL) {
        Ok(()) => println!("ended process {}: {}", machine.pid, title(machine)),
        Err(Errno::ESRCH) => return Ok(()),
        Err(e) => return Err(e.into()),
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    let is_alive = || live::machines().is_ok_and(|machines| machines.iter().any(|other| other.pid == machine.pid));
    while is_alive() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn end(_: &Live) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
