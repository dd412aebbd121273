//! What is around a program beside its network: namespaces of other kinds, its own or another's, a root directory, and what it may not do.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::{Process, ProcessPlan};
use crate::error::{At, Doing, Error, Result};
use crate::sys::{Capability, Namespace, Root, around};

/// What a program will have around it. Descriptors are opened when it is said whose they are.
#[derive(Debug, Default)]
pub(super) struct Around {
    fresh: Vec<Namespace>,
    joined: Vec<(Namespace, OwnedFd)>,
    root: Option<Root>,
    dropped: Vec<Capability>,
    words: Vec<String>,
    problem: Option<Error>,
}

impl ProcessPlan {
    /// Gives it fresh namespaces of these kinds. Equals `unshare --fork --pid --mount … PROGRAM`.
    ///
    /// In a fresh [`Pid`](Namespace::Pid) namespace it is process 1: it gets no signal that it does not handle, but SIGKILL, and when it ends,
    /// everybody in there does. What `/proc` shows is a matter of the mounts: until the program, or one that [joins](Self::join) it, mounts
    /// `proc` anew, that is the old processes. In a fresh [`Mount`](Namespace::Mount) namespace mounts are private, and begin as a copy.
    ///
    /// The network namespace is that of the [`Netns`](crate::Netns); users and capabilities stay what they are.
    pub fn unshare(mut self, kinds: impl IntoIterator<Item = Namespace>) -> Self {
        for kind in kinds {
            self.around.allow(kind, "unshare");
            self.around.words.push(format!("a fresh {} namespace", kind.file()));
            self.around.fresh.push(kind);
        }
        self
    }

    /// Starts it in these namespaces of a process that runs already. Equals `nsenter --target PID --pid --mount … PROGRAM`.
    ///
    /// As with nsenter(1), its root directory is that of the mount namespace, not that of a process which has [changed](Self::root) its own;
    /// [`root_of`](Self::root_of) gives it that one. Who joins another's pid namespace ends with that one's process 1.
    pub fn join(mut self, other: &Process, kinds: impl IntoIterator<Item = Namespace>) -> Self {
        for kind in kinds {
            self.around.allow(kind, "join");
            self.around.words.push(format!("the {} namespace of process {}", kind.file(), other.id()));
            match around::open_namespace(&other.file(&format!("ns/{}", kind.file()))) {
                Ok(descriptor) => self.around.joined.push((kind, descriptor)),
                Err(e) => self.around.wrong(Error::new(format!("join the {} namespace of `{}`", kind.file(), other.program), e)),
            }
        }
        self
    }

    /// Makes a directory its root, in which its path is looked up too. Equals `chroot DIRECTORY PROGRAM`; its working directory is `/` then.
    pub fn root(mut self, directory: impl AsRef<Path>) -> Self {
        let directory = directory.as_ref();
        self.around.words.push(format!("the root `{}`", directory.display()));
        match CString::new(directory.as_os_str().as_bytes()) {
            Ok(path) => self.around.root = Some(Root::Path(path)),
            Err(e) => self.around.wrong(Error::invalid(format!("use the root `{}`", directory.display()), e.to_string())),
        }
        self
    }

    /// Gives it the root directory of a process that runs already. Equals `nsenter --root`.
    pub fn root_of(mut self, other: &Process) -> Self {
        self.around.words.push(format!("the root of process {}", other.id()));
        match around::open_directory(&other.file("root")) {
            Ok(descriptor) => self.around.root = Some(Root::Open(descriptor)),
            Err(e) => self.around.wrong(Error::new(format!("use the root of `{}`", other.program), e)),
        }
        self
    }
}

impl ProcessPlan {
    /// Takes a capability away from it and all that it starts, by its name in capabilities(7), such as `NET_RAW`.
    ///
    /// Equals `docker run --cap-drop NET_RAW` and `setpriv --bounding-set -net_raw PROGRAM`. It may be said several times.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let host = netlab::Netns::new("host")?;
    /// let listener = host.process("tcpdump").cap_drop("NET_RAW").start()?;
    /// assert!(!listener.wait(std::time::Duration::from_secs(5))?.success());
    /// # Ok(()) }
    /// ```
    pub fn cap_drop(mut self, capability: &str) -> Self {
        self.around.words.push(format!("no capability {capability}"));
        match Capability::named(capability) {
            Some(known) => self.around.dropped.push(known),
            None => {
                let what = format!("drop the capability `{capability}`");
                self.around
                    .wrong(Error::invalid(what, "there is none of that name: they are called as in capabilities(7), such as `NET_RAW`"));
            }
        }
        self
    }
}

impl Process {
    /// The inode of the namespace of that kind in which it is, as `readlink /proc/PID/ns/…` shows it: whether two share one.
    ///
    /// # Errors
    ///
    /// If it has ended.
    #[track_caller]
    pub fn namespace(&self, kind: Namespace) -> Result<u64> {
        let here = Location::caller();
        let what = || format!("identify the {} namespace of `{}` in `{}`", kind.file(), self.program, self.netns);
        inode(&self.file(&format!("ns/{}", kind.file()))).doing(what).at(here)
    }

    /// What `/proc` of the calling code says of it.
    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.id()))
    }
}

impl Namespace {
    /// The inode of the namespace of that kind in which the calling code is.
    ///
    /// # Errors
    ///
    /// If there is no `/proc`.
    #[track_caller]
    pub fn inode(self) -> Result<u64> {
        let here = Location::caller();
        let what = || format!("identify the {} namespace", self.file());
        inode(Path::new(&format!("/proc/thread-self/ns/{}", self.file()))).doing(what).at(here)
    }
}

impl Around {
    /// What cannot be changed this way is a mistake.
    fn allow(&mut self, kind: Namespace, verb: &str) {
        let why = match kind {
            Namespace::Net => "the network namespace of a program is that of the `Netns` whose program it is",
            Namespace::User => "a program has the users and capabilities of its machine",
            _ => return,
        };
        self.wrong(Error::invalid(format!("{verb} a {} namespace", kind.file()), why));
    }

    /// The first mistake is told.
    fn wrong(&mut self, error: Error) {
        self.problem.get_or_insert(error);
    }

    /// The mistake that was made with it.
    pub(super) fn problem(&mut self) -> Result<()> {
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        // Where the mounts are another's, only the program finds out whether its root is there.
        if let Some(Root::Path(path)) = &self.root
            && !self.joins(Namespace::Mount)
        {
            let path = Path::new(OsStr::from_bytes(path.as_bytes()));
            around::open_directory(path).doing(|| format!("use the root `{}`", path.display()))?;
        }
        Ok(())
    }

    /// Whether the program becomes one of another's pid namespace.
    pub(super) fn joins_processes(&self) -> bool {
        self.joins(Namespace::Pid)
    }

    fn joins(&self, wanted: Namespace) -> bool {
        self.joined.iter().any(|(kind, _)| *kind == wanted)
    }

    /// What it is, for a message.
    pub(super) fn words(&self) -> Option<String> {
        (!self.words.is_empty()).then(|| format!("with {}", self.words.join(", ")))
    }

    /// Starts the command there.
    pub(super) fn start(self, command: Command) -> io::Result<Child> {
        around::start(command, &self.fresh, self.joined, self.root, self.dropped)
    }
}

fn inode(path: &Path) -> io::Result<u64> {
    Ok(fs::metadata(path)?.ino())
}
