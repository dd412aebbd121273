//! Where evidence lies, and how it gets there.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::collect::Snapshot;

/// Of all files of a folder together.
const FOLDER_BYTES: usize = 16 * 1024 * 1024;
/// What cargo puts into every target directory, to tell backup programs that it is one.
const TAG: &str = "CACHEDIR.TAG";

/// Puts the files in the place of those of the same test's last failure, and says where.
pub(super) fn write(test: &str, asked: Option<&OsStr>, head: &str, snapshot: &Snapshot) -> Result<PathBuf, String> {
    let folder = of(test, asked)?;
    put(&folder, head, snapshot).map_err(|e| format!("cannot write to {}: {e}", folder.display()))?;
    Ok(folder)
}

/// The folder of a test: its path with a folder for each module.
pub(super) fn of(test: &str, asked: Option<&OsStr>) -> Result<PathBuf, String> {
    let base = match asked {
        Some(asked) => env::current_dir().map_err(|e| format!("the working directory is gone: {e}"))?.join(asked),
        None => {
            target().ok_or("no target directory of cargo's is above this program; NETLAB_EVIDENCE=DIR names another place")?.join("netlab")
        }
    };
    Ok(base.join(test.replace("::", "/")))
}

/// The target directory that this program lies in, else that of the package whose test it is.
fn target() -> Option<PathBuf> {
    let above = |path: PathBuf| path.ancestors().find(|path| path.join(TAG).is_file()).map(Path::to_owned);
    let asked = || env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).filter(|path| path.join(TAG).is_file());
    let of_package = || {
        let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
        package.ancestors().map(|path| path.join("target")).find(|path| path.join(TAG).is_file())
    };
    env::current_exe().ok().and_then(above).or_else(asked).or_else(of_package)
}

fn put(folder: &Path, head: &str, snapshot: &Snapshot) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clear(folder)?;
    let mut left = FOLDER_BYTES;
    let mut dropped = Vec::new();
    for (name, bytes) in &snapshot.files {
        if bytes.len() > left {
            dropped.push(name.as_str());
            continue;
        }
        left -= bytes.len();
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)?;
    }
    let state = folder.join("state.txt");
    let cut = if dropped.is_empty() { String::new() } else { format!("note: left out, for their size: {}\n", dropped.join(", ")) };
    let text = if state.is_file() { fs::read_to_string(&state)? } else { String::new() };
    fs::write(state, format!("{head}{cut}\n{text}"))
}

/// Takes the last failure's files away, and leaves the folders of tests in a module of the same name.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        } else if entry.file_name() == "logs" {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
