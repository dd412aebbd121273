//! What `ip netns` does beside the namespace itself: its name in `/run/netns`, and its own files of `/etc/netns/NAME`.

use netlab::Netns;

use crate::error::{Error, Result};

/// Gives a namespace its name in `/run/netns`, as `ip netns add` does.
///
/// # Errors
///
/// If it has one already.
pub(crate) fn add_name(of: &Netns) -> Result<()> {
    system::add_name(of).map_err(|e| Error::World(format!("cannot name `{of}`: {e}")))
}

/// Gives the network namespace of a process a name, as `ln -s /proc/PID/ns/net /run/netns/NAME` does.
///
/// # Errors
///
/// If there is such a name already.
pub(crate) fn link_name(name: &str, process: u32) -> Result<()> {
    let link = || {
        std::fs::create_dir_all("/run/netns")?;
        std::os::unix::fs::symlink(format!("/proc/{process}/ns/net"), format!("/run/netns/{name}"))
    };
    link().map_err(|e| Error::World(format!("cannot name the namespace of process {process} `{name}`: {e}")))
}

/// What the name leads to.
pub(crate) fn open(name: &str) -> std::io::Result<std::fs::File> {
    std::fs::File::open(format!("/run/netns/{name}"))
}

/// Takes the name away, as `ip netns delete` does. Whoever is in the namespace stays in it.
///
/// # Errors
///
/// If there is no such name.
pub(crate) fn delete_name(name: &str) -> Result<()> {
    system::delete_name(name).map_err(|e| Error::World(format!("cannot delete the name `{name}`: {e}")))
}

/// The names, as `ip netns list` lists them, sorted.
pub(crate) fn names() -> Vec<String> {
    let files = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let mut names: Vec<_> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Runs code as `ip netns exec NAME` runs a program: in the namespace, with the files of `/etc/netns/NAME` in the place of those of `/etc`.
///
/// # Errors
///
/// If the namespace cannot be entered, or a file has no place to be mounted on.
pub(crate) fn exec<T: Send>(netns: &Netns, f: impl FnOnce() -> T + Send) -> Result<T> {
    system::exec(netns, true, f).map_err(|e| Error::World(format!("cannot enter `{netns}`: {e}")))
}

/// Runs code as `nsenter --net` runs a program: in the network namespace, and else where everybody is.
///
/// # Errors
///
/// If the namespace cannot be entered.
pub(crate) fn setns<T: Send>(netns: &Netns, f: impl FnOnce() -> T + Send) -> Result<T> {
    system::exec(netns, false, f).map_err(|e| Error::World(format!("cannot enter `{netns}`: {e}")))
}

/// Runs code in a network namespace that somebody makes who is in this one.
///
/// # Errors
///
/// If there can be no further namespace.
pub(crate) fn unshared<T: Send>(netns: &Netns, f: impl FnOnce() -> T + Send) -> Result<T> {
    setns(netns, || system::unshare_net().map(|()| f()))?.map_err(|e| Error::World(format!("cannot make a namespace in `{netns}`: {e}")))
}

#[cfg(target_os = "linux")]
mod system {
    use std::os::fd::{AsFd, AsRawFd};
    use std::path::{Path, PathBuf};
    use std::{fs, io, panic, thread};

    use netlab::Netns;
    use nix::mount::{MntFlags, MsFlags, mount, umount2};
    use nix::sched::{CloneFlags, setns, unshare};

    const NAMES: &str = "/run/netns";
    const NOTHING: Option<&str> = None;

    pub(super) fn add_name(of: &Netns) -> io::Result<()> {
        fs::create_dir_all(NAMES)?;
        let name = Path::new(NAMES).join(of.name());
        fs::File::create_new(&name)?;
        let namespace = PathBuf::from(format!("/proc/self/fd/{}", of.as_fd().as_raw_fd()));
        Ok(mount(Some(&namespace), &name, NOTHING, MsFlags::MS_BIND, NOTHING)?)
    }

    pub(super) fn delete_name(name: &str) -> io::Result<()> {
        let name = Path::new(NAMES).join(name);
        umount2(&name, MntFlags::MNT_DETACH)?;
        fs::remove_file(name)
    }

    pub(super) fn exec<T: Send>(netns: &Netns, with_files: bool, f: impl FnOnce() -> T + Send) -> io::Result<T> {
        let body = || {
            setns(netns.as_fd(), CloneFlags::CLONE_NEWNET)?;
            if with_files {
                unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
                mount(NOTHING, "/", NOTHING, MsFlags::MS_SLAVE | MsFlags::MS_REC, NOTHING)?;
                bind_files(netns.name())?;
            }
            Ok(f())
        };
        thread::scope(|scope| scope.spawn(body).join()).unwrap_or_else(|panic| panic::resume_unwind(panic))
    }

    pub(super) fn unshare_net() -> io::Result<()> {
        Ok(unshare(CloneFlags::CLONE_NEWNET)?)
    }

    fn bind_files(name: &str) -> io::Result<()> {
        let directory = Path::new("/etc/netns").join(name);
        let files = match fs::read_dir(&directory) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            files => files?,
        };
        for file in files {
            let file = file?;
            mount(Some(&file.path()), &Path::new("/etc").join(file.file_name()), NOTHING, MsFlags::MS_BIND, NOTHING)?;
        }
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;

    use netlab::Netns;

    pub(super) fn add_name(_: &Netns) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn delete_name(_: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn unshare_net() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn exec<T: Send>(_: &Netns, _: bool, _: impl FnOnce() -> T + Send) -> io::Result<T> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::etc;

    #[netlab::test]
    fn a_namespace_has_its_name_until_it_is_deleted() -> Result<()> {
        let blue = Netns::bare("blue")?;
        assert!(names().is_empty());
        add_name(&blue)?;
        assert_eq!(names(), ["blue"]);
        add_name(&blue).unwrap_err();
        let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata("/run/netns/blue").unwrap());
        assert_eq!(inode, blue.inode()?);
        delete_name("blue")?;
        assert!(names().is_empty());
        delete_name("blue").map(drop).unwrap_err();
        Ok(())
    }

    #[netlab::test]
    fn a_namespace_has_its_own_files_by_exec_alone() -> Result<()> {
        let (blue, green) = (Netns::bare("blue")?, Netns::bare("green")?);
        etc::configure_resolver("all\n")?;
        etc::write("/etc/netns/blue/resolv.conf", "blue\n")?;
        let read = || fs::read_to_string("/etc/resolv.conf").unwrap();
        assert_eq!((exec(&blue, read)?, exec(&green, read)?), ("blue\n".to_owned(), "all\n".to_owned()));
        assert_eq!((setns(&blue, read)?, read()), ("all\n".to_owned(), "all\n".to_owned()));
        Ok(())
    }
}
