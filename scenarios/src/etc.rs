//! An `/etc` of the machine's own: a layer over that of the computer, in memory, which goes with the machine.

use std::path::Path;
use std::{fs, io};

use crate::error::{Error, Result};

/// The layer. A machine has `/run` afresh.
const LAYER: &str = "/run/etc";

/// Writes a file below `/etc`, and the directories that lead to it.
///
/// # Errors
///
/// If it cannot be written, or no layer can be had (an overlay in a user namespace takes Linux 5.11).
pub(crate) fn write(path: &str, text: &str) -> Result<()> {
    replace(Path::new(path), text).map_err(|e| Error::World(format!("cannot write {path}: {e}")))
}

/// Removes a directory below `/etc`, with all that is in it.
///
/// # Errors
///
/// If it is not there.
pub(crate) fn remove(directory: &str) -> Result<()> {
    fs::remove_dir_all(directory).map_err(|e| Error::World(format!("cannot remove {directory}: {e}")))
}

/// Configures the resolver: `/etc/resolv.conf`, which glibc and musl read anew for the next look-up.
///
/// # Errors
///
/// As [`write`].
pub(crate) fn configure_resolver(text: &str) -> Result<()> {
    write("/etc/resolv.conf", text)
}

/// The old file may belong to a user who has no name here, or be a link out of `/etc`: it gives way to a new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if !Path::new(LAYER).exists() {
        fs::create_dir_all(LAYER)?;
        fs::create_dir_all("/run/etc.work")?;
        cover()?;
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let new = path.with_added_extension("new");
    fs::write(&new, text)?;
    fs::rename(new, path)
}

#[cfg(target_os = "linux")]
fn cover() -> io::Result<()> {
    use nix::mount::{MsFlags, mount};
    let options = format!("lowerdir=/etc,upperdir={LAYER},workdir=/run/etc.work");
    Ok(mount(Some("etc"), "/etc", Some("overlay"), MsFlags::empty(), Some(options.as_str()))?)
}

#[cfg(not(target_os = "linux"))]
fn cover() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[netlab::test]
    fn what_is_written_is_private_to_the_machine() -> io::Result<()> {
        let others = fs::read_dir("/etc")?.count();
        for text in ["nameserver 192.0.2.53\n", "nameserver 192.0.2.54\n"] {
            configure_resolver(text).map_err(io::Error::other)?;
            assert_eq!(fs::read_to_string("/etc/resolv.conf")?, text);
        }
        write("/etc/netns/blue/resolv.conf", "nameserver 192.0.2.55\n").map_err(io::Error::other)?;
        assert_eq!(fs::read_to_string("/etc/netns/blue/resolv.conf")?, "nameserver 192.0.2.55\n");
        assert!(fs::read_dir("/etc")?.count() > others);
        Ok(())
    }

    #[netlab::test]
    fn and_nothing_of_it_stays() {
        assert!(!Path::new("/etc/netns/blue").exists());
    }
}
