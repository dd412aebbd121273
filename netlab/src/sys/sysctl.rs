//! Sysctl files of the network namespace that the calling thread is in.

use std::fs;
use std::io::{self, Read};
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
    write_in(Path::new("/proc"), key, value)
}

/// As [`write`], by another mount of /proc.
pub(crate) fn write_in(proc: &Path, key: &str, value: &str) -> io::Result<()> {
    use std::io::Write;
    // Not fs::write: it would create the file in a directory that allows it; procfs answers EACCES then, which misleads.
    fs::OpenOptions::new().write(true).open(proc.join("sys").join(canonical(key)?))?.write_all(value.as_bytes())
}

/// Every sysctl below a directory that can be read, with its value.
pub(crate) fn all(directory: &str) -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    gather(&path(directory)?, &mut found)?;
    Ok(found)
}

/// Hundreds of files in each namespace: as few system calls as they take.
fn gather(directory: &Path, found: &mut Vec<(String, String)>) -> io::Result<()> {
    // The kernel gives a value in one piece.
    let mut buffer = [0; 4096];
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            gather(&entry.path(), found)?;
        } else if let Ok(length) = fs::File::open(entry.path()).and_then(|mut file| file.read(&mut buffer))
            && let Ok(key) = entry.path().strip_prefix("/proc/sys")
        {
            let value = String::from_utf8_lossy(&buffer[..length]);
            found.push((key.to_string_lossy().into_owned(), value.trim_end_matches('\n').to_owned()));
        }
    }
    Ok(())
}

/// Whether there is such a sysctl and it is one to be set.
pub(crate) fn is_writable(key: &str) -> bool {
    const OWNER_WRITES: u32 = 0o200;
    path(key).and_then(fs::metadata).is_ok_and(|metadata| metadata.permissions().mode() & OWNER_WRITES != 0)
}
