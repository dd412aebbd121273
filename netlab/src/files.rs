//! Private files of a namespace: its own /etc/resolv.conf, its own /etc/hosts.

use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::Location;
use std::path::{Path, PathBuf};

use crate::cidr;
use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::sys::mounts::Mounts;
use crate::sys::plate;

/// A path as one namespace sees it; from the first [`write`](Self::write) on, it has a content there that nobody else sees.
///
/// What is private lasts as long as the namespace, in memory: nothing is left on disk.
#[derive(Debug, Clone)]
#[must_use = "this only names the file: `write`, `append` or `read` it"]
pub struct PrivateFile {
    netns: Netns,
    path: PathBuf,
}

impl Netns {
    /// A file that can have a private content in this namespace, such as `/etc/resolv.conf`.
    ///
    /// Programs started by [`command`](Self::command) and code in [`run`](Self::run) see it; other namespaces and the machine itself do not,
    /// nor do programs that were started before the namespace's first private file. Equals `/etc/netns/NAME/resolv.conf` of ip-netns(8),
    /// for any path. `/sys` is the namespace's own then, too.
    pub fn file(&self, path: impl Into<PathBuf>) -> PrivateFile {
        PrivateFile { netns: self.clone(), path: path.into() }
    }

    /// Adds a line to this namespace's own `/etc/hosts`, which begins with a copy of the machine's.
    ///
    /// # Errors
    ///
    /// If it is no address, or the name is not one word.
    #[track_caller]
    pub fn add_host(&self, address: impl Display, name: &str) -> Result<()> {
        let here = Location::caller();
        let what = || format!("make `{name}` known in `{self}` as `{address}`");
        let ip = cidr::parse_ip(&address.to_string()).map_err(|why| Error::invalid(what(), why).at(here))?;
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '#') {
            return Err(Error::invalid(what(), "a name is one word").at(here));
        }
        self.file("/etc/hosts").append(format!("{ip}\t{name}\n")).at(here)
    }

    /// Gives this namespace its own `/etc/resolv.conf`, with this one name server, asked once and for a second.
    ///
    /// # Errors
    ///
    /// If it is no address.
    #[track_caller]
    pub fn set_nameserver(&self, address: impl Display) -> Result<()> {
        let here = Location::caller();
        let what = || format!("set the name server of `{self}` to `{address}`");
        let ip = cidr::parse_ip(&address.to_string()).map_err(|why| Error::invalid(what(), why).at(here))?;
        self.file("/etc/resolv.conf").write(format!("nameserver {ip}\noptions timeout:1 attempts:1\n")).at(here)
    }

    fn private_mounts(&self) -> io::Result<&Mounts> {
        self.mounts().get_or_try_init(|| {
            let mounts = Mounts::create(self.descriptor())?;
            let (_, inode) = self.identity()?;
            plate::note(&format!("mounts {inode} {}", mounts.as_fd().as_raw_fd()));
            Ok(mounts)
        })
    }
}

impl PrivateFile {
    /// Gives the file this content, in its namespace only. Its directory must be there; the file itself need not.
    ///
    /// # Errors
    ///
    /// If the path is not absolute, is a directory, or its directory is not there; if the file is new and the kernel does not allow an
    /// overlay in a user namespace (before Linux 5.11).
    #[track_caller]
    pub fn write(&self, content: impl AsRef<[u8]>) -> Result<()> {
        let here = Location::caller();
        self.check().at(here)?;
        self.put(content.as_ref()).doing(|| self.what("give", "a private content")).at(here)
    }

    /// Adds to the content, of which the namespace has its own copy from then on.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    #[track_caller]
    pub fn append(&self, content: impl AsRef<[u8]>) -> Result<()> {
        let here = Location::caller();
        self.check().at(here)?;
        let whole = self.get().and_then(|mut whole| {
            if whole.last().is_some_and(|last| *last != b'\n') {
                whole.push(b'\n');
            }
            whole.extend_from_slice(content.as_ref());
            self.put(&whole)
        });
        whole.doing(|| self.what("add", "to its content")).at(here)
    }

    /// The content as the namespace sees it.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if there is no such file.
    #[track_caller]
    pub fn read(&self) -> Result<String> {
        let here = Location::caller();
        self.netns.enter_io(|| std::fs::read_to_string(&self.path)).doing(|| self.what("read", "")).at(here)
    }

    fn check(&self) -> Result<()> {
        if self.path.is_absolute() {
            return Ok(());
        }
        Err(Error::invalid(self.what("give", "a private content"), "the path is not absolute"))
    }

    fn get(&self) -> io::Result<Vec<u8>> {
        match self.netns.enter_io(|| std::fs::read(&self.path)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }

    fn put(&self, content: &[u8]) -> io::Result<()> {
        let mounts = self.netns.private_mounts()?;
        self.netns.enter_io(|| mounts.write(&self.path, content))
    }

    fn what(&self, verb: &str, rest: &str) -> String {
        format!("{verb} `{}` of `{}` {rest}", self.path.display(), self.netns).trim_end().to_owned()
    }
}

impl AsRef<Path> for PrivateFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}
