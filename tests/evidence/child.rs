//! Runs this binary again, with a test of `victims`, and holds what it leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A run of one victim, and the folder that its evidence goes to.
pub(crate) struct Left {
    pub(crate) output: String,
    base: TempDir,
    victim: String,
}

/// This very file, and nothing that says that it is inside another test run.
pub(crate) fn command(victim: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    for (name, _) in std::env::vars_os() {
        let word = name.to_string_lossy();
        if word == "CI" || ["RUST_", "NEXTEST", "NETLAB", "GITHUB"].iter().any(|prefix| word.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.args(["--ignored", "--exact", "--show-output", &format!("victims::{victim}")]).stdin(Stdio::null());
    command
}

pub(crate) fn run(victim: &str) -> Left {
    run_with(victim, |_| {})
}

pub(crate) fn run_with(victim: &str, change: impl FnOnce(&mut Command)) -> Left {
    let base = tempfile::tempdir().unwrap();
    let mut command = command(victim);
    command.env("NETLAB_EVIDENCE", base.path());
    change(&mut command);
    let output = command.output().unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Left { output, base, victim: victim.to_owned() }
}

impl Left {
    pub(crate) fn folder(&self) -> PathBuf {
        self.base.path().join("evidence/victims").join(&self.victim)
    }

    pub(crate) fn failed(self) -> Self {
        assert!(self.output.contains("0 passed; 1 failed"), "{}", self.output);
        self
    }

    pub(crate) fn passed(self) -> Self {
        assert!(self.output.contains("1 passed; 0 failed"), "{}", self.output);
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.folder().join(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}\n{}", path.display(), self.output))
    }

    pub(crate) fn state(&self) -> String {
        self.read("state.txt")
    }

    /// The part of `state.txt` on one namespace.
    pub(crate) fn state_of(&self, netns: &str) -> String {
        let state = self.state();
        let part = state.split("======== ").find(|part| part.starts_with(&format!("{netns}\n")));
        part.unwrap_or_else(|| panic!("nothing on {netns} in\n{state}")).to_owned()
    }

    /// What lies in the folder that the evidence of all tests goes to.
    pub(crate) fn is_empty(&self) -> bool {
        files(self.base.path()).is_empty()
    }
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
