//! Mount namespaces in which a file is another one than elsewhere.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;

use super::namespace;

const NOTHING: Option<&str> = None;

/// A mount namespace with private files, which live in memory and go with it.
#[derive(Debug)]
pub(crate) struct Mounts {
    namespace: OwnedFd,
    /// A tmpfs of the namespace that no path leads to: /sys is mounted above it.
    store: OwnedFd,
}

impl Mounts {
    /// A copy of the process's own mount namespace, in which /sys shows the network namespace.
    pub(crate) fn create(network: BorrowedFd<'_>) -> io::Result<Self> {
        // The calling thread may be in the mount namespace of another machine: begin with that of the process.
        let process = File::open("/proc/self/ns/mnt")?;
        namespace::on_thread("netlab", || {
            setns(network, CloneFlags::CLONE_NEWNET)?;
            unshare(CloneFlags::CLONE_FS)?;
            setns(process.as_fd(), CloneFlags::CLONE_NEWNS)?;
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
            let inert = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            let sys = handle(Path::new("/sys"))?;
            mount(Some("netlab"), "/sys", Some("tmpfs"), inert, Some("mode=755"))?;
            let store = handle(Path::new("/sys"))?;
            // Not every container lets us mount a fresh one; the old one shows the links of another namespace.
            if mount(Some("sysfs"), "/sys", Some("sysfs"), inert, NOTHING).is_err() {
                mount(Some(&through(&sys)), "/sys", NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING)?;
            }
            Ok(Self { namespace: File::open("/proc/thread-self/ns/mnt")?.into(), store })
        })
        .unwrap_or_else(|_| Err(io::Error::other("the set-up of a mount namespace panicked")))
    }

    /// Gives the file its private content. The calling thread is in the namespace.
    pub(crate) fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        match fs::canonicalize(path) {
            Ok(path) => self.cover(&path, content),
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.create_file(path, content),
            Err(e) => Err(e),
        }
    }

    /// Mounts a file of the store over one that is there.
    fn cover(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let place = handle(path)?;
        if path.is_dir() {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        }
        if self.is_made(path) {
            return overwrite(path, content);
        }
        let ours = self.stored(path, "file");
        let covered = ours.exists();
        overwrite(&ours, content)?;
        if !covered {
            mount(Some(&ours), through(&place).as_path(), NOTHING, MsFlags::MS_BIND, NOTHING)?;
        }
        Ok(())
    }

    /// Makes a file where none is, in a layer over its directory. A link that leads nowhere gives way to it.
    fn create_file(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        };
        let directory = fs::canonicalize(directory)?;
        if !self.stored(&directory, "upper").exists() {
            let place = handle(&directory)?;
            let (upper, work) = (self.stored(&directory, "upper"), self.stored(&directory, "work"));
            fs::create_dir(&upper)?;
            fs::create_dir(&work)?;
            let options = format!("lowerdir={},upperdir={},workdir={}", through(&place).display(), upper.display(), work.display());
            if let Err(e) = mount(Some("netlab"), through(&place).as_path(), Some("overlay"), MsFlags::empty(), Some(options.as_str())) {
                fs::remove_dir(&upper)?;
                fs::remove_dir_all(&work)?;
                return Err(e.into());
            }
        }
        let path = directory.join(name);
        if path.is_symlink() {
            fs::remove_file(&path)?;
        }
        overwrite(&path, content)
    }

    /// Whether the file is one that `create_file` has made. Others of a layer may belong to users who have no name here: we may not write them.
    fn is_made(&self, path: &Path) -> bool {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return false };
        self.stored(directory, "upper").join(name).exists()
    }

    /// Where in the store that belongs which has something to do with `path`.
    fn stored(&self, path: &Path, what: &str) -> PathBuf {
        let flat = path.to_string_lossy().replace('%', "%25").replace('/', "%2F").replace([',', ':', '\\'], "%");
        through(&self.store).join(format!("{flat}.{what}"))
    }
}

impl AsFd for Mounts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}

/// A descriptor that stands for the place, whatever is mounted over it later.
fn handle(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(AT_FDCWD, path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// A path that leads through a descriptor.
fn through(handle: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

/// Writes first and cuts then, so that no reader sees an empty file.
///
/// The time is set to the nanosecond: the kernel's own is that of its last tick, and the C library's resolver, which tells one `resolv.conf`
/// from another by inode, size and times, would take those of two namespaces for the same.
fn overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.write_all(content)?;
    file.set_len(content.len() as u64)?;
    file.set_modified(SystemTime::now())
}
