//! Sysctl files of the network namespace that the calling thread is in.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The path below `/proc/sys`. `net.ipv4.ip_forward` and `net/ipv4/conf/eth0.5/rp_filter` alike: with a slash in it, a dot belongs to a name
/// (sysctl(8)).
pub(crate) fn canonical(key: &str) -> io::Result<String> {
    let key = key.trim();
    let relative = if key.contains('/') { key.to_owned() } else { key.replace('.', "/") };
    let sound = !relative.is_empty() && relative.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if !sound {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    Ok(relative)
}

fn path(key: &str) -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/sys").join(canonical(key)?))
}

/// The names in a directory of sysctls.
pub(crate) fn list(directory: &str) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(path(directory)?)?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The value, without its newline; a tab between several values is kept.
pub(crate) fn read(key: &str) -> io::Result<String> {
    Ok(fs::read_to_string(path(key)?)?.trim_end_matches('\n').to_owned())
}

/// Writes the value in one `write(2)`, as the kernel demands.
pub(crate) fn write(key: &str, value: &str) -> io::Result<()> {
    use std::io::Write;
    // Not fs::write: it would create the file in a directory that allows it; procfs answers EACCES then, which misleads.
    fs::OpenOptions::new().write(true).open(path(key)?)?.write_all(value.as_bytes())
}

/// Every sysctl below a directory that can be read and written, with its value, sorted.
pub(crate) fn all(directory: &str) -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    gather(&path(directory)?, &mut found)?;
    found.sort();
    Ok(found)
}

fn gather(directory: &Path, found: &mut Vec<(String, String)>) -> io::Result<()> {
    const READ_AND_WRITE: u32 = 0o600;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // An interface may go in between.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            gather(&entry.path(), found)?;
        } else if metadata.permissions().mode() & READ_AND_WRITE == READ_AND_WRITE
            && let Ok(value) = fs::read_to_string(entry.path())
            && let Ok(key) = entry.path().strip_prefix("/proc/sys")
        {
            found.push((key.to_string_lossy().into_owned(), value.trim_end_matches('\n').to_owned()));
        }
    }
    Ok(())
}
