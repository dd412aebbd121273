//! The machine's resolver configuration: a file, so that every network namespace of the machine sees the same.

use std::path::PathBuf;
use std::{fs, io};

use crate::error::{Error, Result};

const CONFIGURATION: &str = "/etc/resolv.conf";

/// Gives the machine a private `/etc/resolv.conf`, which glibc and musl read anew for the next look-up.
///
/// # Errors
///
/// If it cannot be written or mounted.
pub(crate) fn configure(text: &str) -> Result<()> {
    write(text).map_err(|e| Error::World(format!("cannot write {CONFIGURATION}: {e}")))
}

fn write(text: &str) -> io::Result<()> {
    // With systemd-resolved it is a link to a file in /run, which a machine has afresh and empty.
    let target = fs::read_link(CONFIGURATION).map_or_else(|_| CONFIGURATION.into(), |link| PathBuf::from("/etc").join(link));
    let target = lexically_normal(&target);
    if target.starts_with("/run") {
        fs::create_dir_all(target.parent().unwrap_or(&target))?;
        return fs::write(target, text);
    }
    fs::write("/run/resolv.conf", text)?;
    bind("/run/resolv.conf", CONFIGURATION)
}

/// `/etc/../run/x` is `/run/x`, whether it is there or not.
fn lexically_normal(path: &std::path::Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(target_os = "linux")]
fn bind(file: &str, over: &str) -> io::Result<()> {
    use nix::mount::{MsFlags, mount};
    const NOTHING: Option<&str> = None;
    Ok(mount(Some(file), over, NOTHING, MsFlags::MS_BIND, NOTHING)?)
}

#[cfg(not(target_os = "linux"))]
fn bind(_: &str, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_out_of_etc_is_followed_without_looking() {
        let normal = |text: &str| lexically_normal(std::path::Path::new(text)).display().to_string();
        assert_eq!(normal("/etc/../run/systemd/resolve/stub-resolv.conf"), "/run/systemd/resolve/stub-resolv.conf");
        assert_eq!(normal("/run/x"), "/run/x");
    }

    #[netlab::test]
    fn the_configuration_is_private_to_the_machine() -> io::Result<()> {
        configure("nameserver 192.0.2.53\n").map_err(io::Error::other)?;
        assert_eq!(fs::read_to_string(CONFIGURATION)?, "nameserver 192.0.2.53\n");
        configure("nameserver 192.0.2.54\n").map_err(io::Error::other)?;
        assert_eq!(fs::read_to_string(CONFIGURATION)?, "nameserver 192.0.2.54\n");
        Ok(())
    }
}
