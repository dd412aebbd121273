//! A network namespace: one machine of the lab.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{Location, resume_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use netlink_packet_core::{NetlinkDeserializable, NetlinkSerializable};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use once_cell::sync::OnceCell;

use crate::error::{At, Doing, Error, Result};
use crate::nft::owned::Owned;
use crate::sys::mounts::Mounts;
use crate::sys::netlink::{Request, Socket};
use crate::sys::{Refusal, namespace, plate};
use crate::teardown;

const RTM_UP: netlink_packet_route::link::LinkFlags = netlink_packet_route::link::LinkFlags::Up;

/// A network namespace: a machine of the lab with its own links, addresses, routes, rules, sysctls and sockets.
///
/// A `Netns` is a handle; clones are the same namespace. Fixtures that live in it (a [`VethPair`](crate::VethPair), a
/// [`Bridge`](crate::Bridge), …) hold it, so the order in which a test declares and drops them never matters. The namespace goes when the
/// last handle and fixture and the last process in it have gone; no name for it is left anywhere on disk.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> netlab::Result<()> {
/// let laptop = netlab::Netns::new("laptop")?;
/// let hostname = laptop.run(|| std::fs::read_to_string("/proc/sys/kernel/hostname"))?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Netns(Arc<Inner>);

struct Inner {
    name: String,
    namespace: OwnedFd,
    route: Mutex<Socket>,
    /// Opened by the first who asks for rules.
    netfilter: OnceCell<Mutex<Socket>>,
    /// What netlab made there of tables and chains.
    owned: Mutex<Owned>,
    /// Whether netlab made this namespace: then its interface indexes are ours to choose, and its dead links can wait for its end.
    ours: bool,
    next_index: AtomicU32,
    graveyard: Mutex<Vec<u32>>,
    mounts: OnceCell<Mounts>,
}

thread_local! {
    static ENTERED: std::cell::RefCell<Option<Netns>> = const { std::cell::RefCell::new(None) };
}

static NAMES: Mutex<Option<HashMap<String, Weak<Inner>>>> = Mutex::new(None);
static USES: AtomicU64 = AtomicU64::new(0);

impl Netns {
    /// A new machine: an empty network namespace with `lo` up, known as `name` in every message.
    ///
    /// Equals `ip netns add NAME; ip -n NAME link set lo up`, but needs no root and leaves no file under `/run/netns`. Other than the
    /// kernel's defaults are: no duplicate address detection, 30 ms between two tries to resolve a neighbour,
    /// `bridge-nf-call-iptables=0`, `rp_filter=0`, `ip_forward=0` and unprivileged ICMP sockets.
    ///
    /// # Errors
    ///
    /// If a namespace of that name is alive in this test, if the name is empty, or if the kernel refuses
    /// ([`is_permission`](Error::is_permission) outside of a `#[netlab::test]` without root).
    #[track_caller]
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let here = Location::caller();
        Self::create(name.into(), true).at(here)
    }

    /// A new machine with `lo` still down and without an address, as `ip netns add NAME` leaves it; otherwise as [`new`](Self::new).
    ///
    /// Nothing reaches even its own localhost before `netns.link("lo")?.up()?`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn bare(name: impl Into<String>) -> Result<Self> {
        let here = Location::caller();
        Self::create(name.into(), false).at(here)
    }

    /// The network namespace that a file leads to: `/run/netns/NAME`, or `/proc/PID/ns/net` of a process, such as one of a container that
    /// somebody else started. It is known as `name` in every message, and nothing in it is changed.
    ///
    /// Equals `ip netns attach NAME PID`, but leaves no file under `/run/netns`.
    ///
    /// ```no_run
    /// # fn main() -> netlab::Result<()> {
    /// # let pid = 1;
    /// let container = netlab::Netns::open("web", format!("/proc/{pid}/ns/net"))?;
    /// println!("{}{}", container.links()?, container.routes()?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// If a namespace of that name is alive in this test, if the name is empty, if there is no such file
    /// ([`is_not_found`](Error::is_not_found)) or it leads to something else, or if the kernel does not let the caller in
    /// ([`is_permission`](Error::is_permission)).
    #[track_caller]
    pub fn open(name: impl Into<String>, file: impl AsRef<Path>) -> Result<Self> {
        let (here, name, file) = (Location::caller(), name.into(), file.as_ref());
        let what = format!("open `{}` as namespace `{name}`", file.display());
        Self::register(name, &what, false, || namespace::open(file, Socket::route)).at(here)
    }

    fn create(name: String, with_loopback: bool) -> Result<Self> {
        let what = format!("create namespace `{name}`");
        let create = || {
            namespace::create(|| {
                namespace::set_lab_defaults_of_many();
                let mut route = Socket::route()?;
                if with_loopback {
                    loopback_up(&mut route)?;
                }
                Ok(route)
            })
        };
        Self::register(name, &what, true, create).map_err(explain_creation)
    }

    /// A handle under a name that nobody has.
    fn register(name: String, what: &str, ours: bool, get: impl FnOnce() -> io::Result<(OwnedFd, Socket)>) -> Result<Self> {
        if name.is_empty() || name.contains(['/', '\0', '\n']) {
            return Err(Error::invalid(what, "a name has at least one character, and no `/`, NUL or line feed"));
        }
        let mut names = lock(&NAMES);
        let names = names.get_or_insert_default();
        if names.get(&name).is_some_and(|alive| alive.strong_count() > 0) {
            return Err(Error::invalid(what, "a namespace of that name is alive").help("drop the first one, or clone its handle"));
        }
        let (namespace, route) = get().map_err(|e| Error::new(what, e))?;
        let netns = Self::wrap(name.clone(), namespace, route, ours);
        if let Ok((_, inode)) = netns.identity() {
            plate::note(&format!("netns {inode} {name}"));
        }
        names.insert(name, Arc::downgrade(&netns.0));
        Ok(netns)
    }

    fn wrap(name: String, namespace: OwnedFd, route: Socket, ours: bool) -> Self {
        Self(Arc::new(Inner {
            name,
            namespace,
            route: Mutex::new(route),
            netfilter: OnceCell::new(),
            owned: Mutex::default(),
            ours,
            next_index: AtomicU32::new(2),
            graveyard: Mutex::default(),
            mounts: OnceCell::new(),
        }))
    }

    /// The namespace that the calling code is in: the test's own machine, or the one whose [`run`](Self::run) this is called from.
    ///
    /// In a `#[netlab::test]` body it is "the host" of the tutorials, and its name is `host`.
    ///
    /// # Errors
    ///
    /// If `/proc` or netlink cannot be had.
    #[track_caller]
    pub fn current() -> Result<Self> {
        let here = Location::caller();
        if let Some(entered) = ENTERED.with_borrow(Clone::clone) {
            return Ok(entered);
        }
        Self::host().doing(|| "open the current namespace".to_owned()).at(here)
    }

    /// The machine itself; to be called in it, for the first time at least.
    fn host() -> io::Result<Self> {
        static HOST: OnceCell<Netns> = OnceCell::new();
        let host = HOST.get_or_try_init(|| {
            if ENTERED.with_borrow(Option::is_some) {
                return Err(io::Error::from(io::ErrorKind::NotFound));
            }
            let ours = crate::sys::machine_is_ours();
            Ok(Self::wrap("host".to_owned(), namespace::current()?, Socket::route()?, ours))
        });
        host.cloned()
    }

    /// Every namespace of the test that is alive: the host first, then those that the test made, by their names.
    ///
    /// The host is missing for code in another namespace that nobody outside of one has asked for it.
    pub(crate) fn live() -> io::Result<Vec<Self>> {
        let host = match Self::host() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            host => Some(host?),
        };
        let names = lock(&NAMES);
        let mut made: Vec<_> = names.iter().flatten().filter_map(|(_, netns)| netns.upgrade().map(Self)).collect();
        // The lock is not held when the last handle of one goes.
        drop(names);
        made.sort_by_cached_key(|netns| natural(netns.name()));
        Ok(host.into_iter().chain(made).collect())
    }

    /// Another handle to the same namespace, with sockets and locks of its own: it works while the first one's are held by a thread that
    /// does not go on.
    pub(crate) fn twin(&self) -> io::Result<Self> {
        let opened = namespace::enter(self.name(), self.0.namespace.as_fd(), None, Socket::route)?;
        let route = opened.unwrap_or_else(|panic| resume_unwind(panic))?;
        let twin = Self::wrap(self.0.name.clone(), self.0.namespace.try_clone()?, route, self.0.ours);
        // What is retired is nobody's to see.
        if let Ok(mut graveyard) = self.0.graveyard.try_lock() {
            std::mem::swap(&mut *graveyard, &mut *lock(&twin.0.graveyard));
        }
        twin.bury();
        Ok(twin)
    }

    /// How often anybody has asked a namespace for anything.
    pub(crate) fn uses() -> u64 {
        USES.load(Ordering::Relaxed)
    }

    /// The name that every message calls this machine by.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Runs `f` in this namespace, on a thread of its own, and gives back its value; a panic of `f` goes on in the caller.
    ///
    /// Sockets that `f` opens stay in this namespace wherever they are used later. Threads that `f` starts are in it too.
    ///
    /// # Errors
    ///
    /// If the namespace cannot be entered (no thread or descriptor is left).
    #[track_caller]
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T> {
        let here = Location::caller();
        let entered = self.clone();
        let outcome = self
            .enter(move || {
                ENTERED.set(Some(entered));
                f()
            })
            .doing(|| format!("run code in namespace `{}`", self.name()))
            .at(here)?;
        Ok(outcome.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// A command that will start in this namespace, with the caller's environment and working directory.
    ///
    /// Equals `ip netns exec NAME PROGRAM`. The namespace lives at least as long as the command's process; when the handles and fixtures
    /// have gone before it, the process keeps a namespace whose links are down, until it ends or the test does. For a process that ends
    /// with its fixture, see [`Netns::process`](crate::Process).
    ///
    /// # Errors
    ///
    /// If no descriptor is left.
    #[track_caller]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
        let here = Location::caller();
        self.bury();
        let mut command = Command::new(program);
        let (network, mounts) = self.hold().doing(|| format!("prepare a command in namespace `{}`", self.name())).at(here)?;
        namespace::start_in(&mut command, network, mounts);
        Ok(command)
    }

    /// Whether two handles are the same network namespace.
    pub fn is_same(&self, other: &Netns) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || matches!((self.identity(), other.identity()), (Ok(a), Ok(b)) if a == b)
    }

    /// The inode of the namespace, as `readlink /proc/PID/ns/net` shows it.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell it.
    #[track_caller]
    pub fn inode(&self) -> Result<u64> {
        let here = Location::caller();
        let identity = self.identity().doing(|| format!("identify namespace `{}`", self.name())).at(here)?;
        Ok(identity.1)
    }

    /// Device and inode: what makes two handles the same namespace.
    pub(crate) fn identity(&self) -> io::Result<(u64, u64)> {
        namespace::identity(self.0.namespace.as_fd())
    }

    /// Descriptors of what a thread or process in this namespace enters, for one that outlives the call.
    fn hold(&self) -> io::Result<(OwnedFd, Option<OwnedFd>)> {
        let mounts = self.0.mounts.get().map(|mounts| mounts.as_fd().try_clone_to_owned()).transpose()?;
        Ok((self.0.namespace.try_clone()?, mounts))
    }

    /// Runs `f` in the namespace, on a thread of its own beside the caller.
    #[cfg(feature = "tokio")]
    pub(crate) fn thread(&self, f: impl FnOnce() + Send + 'static) -> io::Result<std::thread::JoinHandle<()>> {
        let (network, mounts) = self.hold()?;
        let entered = self.clone();
        namespace::spawn(self.name(), network, mounts, move || {
            ENTERED.set(Some(entered));
            f();
        })
    }

    /// Runs `f` in the namespace; the inner error is its panic.
    pub(crate) fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> io::Result<std::thread::Result<T>> {
        self.bury();
        namespace::enter(self.name(), self.0.namespace.as_fd(), self.0.mounts.get().map(AsFd::as_fd), f)
    }

    /// Runs a fallible system-call helper in the namespace.
    pub(crate) fn enter_io<T: Send>(&self, f: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        self.enter(f)?.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The cell that holds the namespace's own mount namespace once something (a private file) needs one.
    pub(crate) fn mounts(&self) -> &OnceCell<Mounts> {
        &self.0.mounts
    }

    pub(crate) fn ours(&self) -> bool {
        self.0.ours
    }

    /// Sends requests to the namespace's kernel in one datagram.
    pub(crate) fn batch(&self, requests: Vec<Request<RouteNetlinkMessage>>) -> Result<Vec<Vec<RouteNetlinkMessage>>, Refusal> {
        self.bury();
        lock(&self.0.route).batch(requests)
    }

    pub(crate) fn request<M>(&self, message: M, flags: u16) -> Result<Vec<M>, Refusal>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        self.bury();
        lock(&self.0.route).request(message, flags)
    }

    pub(crate) fn dump<M>(&self, message: M) -> Result<Vec<M>, Refusal>
    where
        M: NetlinkSerializable + NetlinkDeserializable + Clone,
    {
        self.bury();
        lock(&self.0.route).dump(message)
    }

    /// The names of the interfaces that are there, by their indexes.
    pub(crate) fn interface_names(&self) -> Result<BTreeMap<u32, String>, Refusal> {
        let links = self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        let name = |message| {
            let RouteNetlinkMessage::NewLink(link) = message else { return None };
            let name = link.attributes.into_iter().find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => Some(name),
                _ => None,
            });
            Some((link.header.index, name?))
        };
        Ok(links.into_iter().filter_map(name).collect())
    }

    /// The namespace's netfilter socket.
    pub(crate) fn netfilter(&self) -> io::Result<MutexGuard<'_, Socket>> {
        self.0.netfilter.get_or_try_init(|| self.enter_io(Socket::netfilter).map(Mutex::new)).map(lock)
    }

    /// What netlab made of the namespace's tables and chains. Whoever changes these holds the lock until the change is made, and takes it
    /// before the socket's.
    pub(crate) fn owned(&self) -> MutexGuard<'_, Owned> {
        lock(&self.0.owned)
    }

    /// Makes a link ineffective at once and leaves its deletion, which takes the kernel 20 ms and more, to whoever next looks at or changes
    /// this namespace; or to the end of the namespace, which costs nobody anything.
    ///
    /// Tells whether the link was there.
    pub(crate) fn retire(&self, down: LinkMessage) -> Result<bool, Refusal> {
        let index = down.header.index;
        match lock(&self.0.route).request(RouteNetlinkMessage::SetLink(down), 0) {
            Err(refusal) if refusal.is(libc::ENODEV) => Ok(false),
            Err(refusal) => Err(refusal),
            Ok(_) => {
                lock(&self.0.graveyard).push(index);
                Ok(true)
            }
        }
    }

    /// Deletes the retired links: nobody who looks at the namespace sees one.
    pub(crate) fn bury(&self) {
        USES.fetch_add(1, Ordering::Relaxed);
        for index in std::mem::take(&mut *lock(&self.0.graveyard)) {
            let mut message = LinkMessage::default();
            message.header.index = index;
            match lock(&self.0.route).request(RouteNetlinkMessage::DelLink(message), 0) {
                Err(refusal) if !refusal.is(libc::ENODEV) => {
                    teardown::failed(Error::new(format!("delete link {index} of `{}`", self.name()), refusal));
                }
                _ => {}
            }
        }
    }

    /// An interface index that nothing uses, in a namespace of ours: the same from run to run. Elsewhere the kernel chooses.
    pub(crate) fn choose_index(&self) -> Option<u32> {
        self.0.ours.then(|| self.0.next_index.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes later choices avoid an index that is in use.
    pub(crate) fn avoid_index(&self, used: u32) {
        self.0.next_index.fetch_max(used.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.namespace.as_fd()
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) == 1 {
            let _undoing = teardown::begins();
        }
    }
}

impl AsFd for Netns {
    /// The namespace's descriptor, for `setns(2)` or `IFLA_NET_NS_FD`.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.namespace.as_fd()
    }
}

impl fmt::Debug for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Netns").field(&self.0.name).finish()
    }
}

impl fmt::Display for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name)
    }
}

/// Sorts `pod2` before `pod10`: the runs of letters, and the numbers between them.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let (word, tail) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        let (number, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len()));
        parts.push((word.to_owned(), number.parse().unwrap_or(0)));
        rest = tail;
    }
    parts
}

/// A lock that a panicking test thread does not spoil: what it guards is consistent after every statement.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn loopback_up(route: &mut Socket) -> io::Result<()> {
    let mut lo = LinkMessage::default();
    lo.header.index = 1;
    lo.header.flags = RTM_UP;
    lo.header.change_mask = RTM_UP;
    route.request(RouteNetlinkMessage::SetLink(lo), 0).map(drop).map_err(|refusal| io::Error::from_raw_os_error(refusal.errno))
}

fn explain_creation(e: Error) -> Error {
    match e.errno() {
        Some(libc::EPERM) => {
            e.help("only root may create one outside of a test: run the code in a `#[netlab::test]` or a `netlab::Machine`")
        }
        Some(libc::EMFILE) => e.help("the process has no file descriptor left (`ulimit -n`); a namespace takes two"),
        Some(libc::ENOSPC) => e.help("the limit of namespaces is reached: `sysctl user.max_net_namespaces`"),
        _ => e,
    }
}
