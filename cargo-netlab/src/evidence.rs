//! The folders of evidence that tests have left: where they are, and what is in them.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// In each of them.
pub(crate) const STATE: &str = "state.txt";
/// In one whose test is paused, or was when it was killed.
pub(crate) const PAUSED: &str = "paused";
/// What cargo puts into every target directory.
const TAG: &str = "CACHEDIR.TAG";

/// Where tests that are started from here leave evidence: `target/netlab` of the workspace, or where `NETLAB_EVIDENCE` says.
pub(crate) fn base() -> Result<PathBuf, String> {
    if let Some(asked) = env::var_os("NETLAB_EVIDENCE").filter(|asked| asked != "0") {
        return Ok(asked.into());
    }
    let asked = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let here = env::current_dir().map_err(|e| format!("the working directory is gone: {e}"))?;
    let above = || here.ancestors().map(|folder| folder.join("target")).find(|target| target.join(TAG).is_file());
    match asked.or_else(above) {
        Some(target) => Ok(target.join("netlab")),
        None => Err(format!("no target directory of cargo's is in {} or above; name the folder of the evidence", here.display())),
    }
}

/// The folders of tests in and below this one, by their names.
pub(crate) fn folders(base: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    match base.try_exists() {
        Ok(true) => collect(base, &mut found)?,
        Ok(false) => {}
        Err(e) => return Err(e),
    }
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut is_evidence = false;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => collect(&entry.path(), found)?,
            kind => is_evidence |= kind.is_file() && [STATE, PAUSED].map(Into::into).contains(&entry.file_name()),
        }
    }
    if is_evidence {
        found.push(folder.to_owned());
    }
    Ok(())
}

/// The first lines of `state.txt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The path of the test, with its crate.
    pub(crate) test: String,
    pub(crate) failed: bool,
    /// A file and a line.
    pub(crate) place: String,
    /// Empty if it passed.
    pub(crate) error: String,
    /// Of which moment the state is, and what is missing.
    pub(crate) notes: String,
}

impl Head {
    /// `None` if netlab did not write it.
    pub(crate) fn read(state: &str) -> Option<Self> {
        let (head, _) = state.split_once("\n\n")?;
        let (first, rest) = head.split_once('\n')?;
        let (words, place) = first.split_once(" at ")?;
        let (test, outcome) = words.rsplit_once(' ')?;
        let is_error = |line: &&str| line.starts_with("    ");
        let error = rest.lines().take_while(is_error).map(|line| line[4..].to_owned()).collect::<Vec<_>>().join("\n");
        let notes = rest.lines().skip_while(is_error).collect::<Vec<_>>().join("\n");
        ["failed", "passed"].contains(&outcome).then(|| Self {
            test: test.to_owned(),
            failed: outcome == "failed",
            place: place.to_owned(),
            error,
            notes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_of_a_state_are_read() {
        let text = "nat::one failed at tests/nat.rs:7\n    cannot reach it\n      at tests/nat.rs:9:3\nThe state below is old.\nnote: a is \
                    missing\n\n======== host\n\n    x\n";
        let head = Head::read(text).expect("a head");
        assert_eq!((&*head.test, head.failed, &*head.place), ("nat::one", true, "tests/nat.rs:7"));
        assert_eq!(head.error, "cannot reach it\n  at tests/nat.rs:9:3");
        assert_eq!(head.notes, "The state below is old.\nnote: a is missing");
        assert!(!Head::read("nat::one passed at tests/nat.rs:7\nThe state below is old.\n\n").expect("a head").failed);
        assert_eq!(Head::read("words\n\nand more"), None);
    }
}
