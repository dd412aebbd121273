//! What other systems than Linux get: the same functions, each refusing.

use std::io;

fn refuse<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "netlab needs Linux: this system has no network namespaces"))
}

pub(crate) mod namespace {
    use super::refuse;
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::path::Path;
    use std::process::Command;
    use std::thread;

    pub(crate) fn current() -> io::Result<OwnedFd> {
        refuse()
    }

    pub(crate) fn follow_main_thread() -> io::Result<()> {
        refuse()
    }

    pub(crate) fn identity(_namespace: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
        refuse()
    }

    pub(crate) fn create<T: Send>(_setup: impl FnOnce() -> io::Result<T> + Send) -> io::Result<(OwnedFd, T)> {
        refuse()
    }

    pub(crate) fn pin(_namespace: BorrowedFd<'_>, _file: &Path) -> io::Result<()> {
        refuse()
    }

    pub(crate) fn open<T: Send>(_file: &Path, _setup: impl FnOnce() -> io::Result<T> + Send) -> io::Result<(OwnedFd, T)> {
        refuse()
    }

    pub(crate) fn enter<T: Send>(
        _thread_name: &str,
        _network: BorrowedFd<'_>,
        _mounts: Option<BorrowedFd<'_>>,
        _f: impl FnOnce() -> T + Send,
    ) -> io::Result<thread::Result<T>> {
        refuse()
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn spawn(
        _thread_name: &str,
        _network: OwnedFd,
        _mounts: Option<OwnedFd>,
        _f: impl FnOnce() + Send + 'static,
    ) -> io::Result<thread::JoinHandle<()>> {
        refuse()
    }

    pub(crate) fn start_in(_command: &mut Command, _network: OwnedFd, _mounts: Option<OwnedFd>) {}

    pub(crate) fn set_lab_defaults() {}

    pub(crate) fn set_lab_defaults_of_many() {}

    pub(crate) fn lab_sysctls() -> impl Iterator<Item = &'static str> {
        std::iter::empty()
    }
}

pub(crate) mod netlink {
    use super::refuse;
    use crate::sys::Refusal;
    use std::io;

    #[derive(Debug)]
    pub(crate) struct Socket(());

    #[derive(Debug)]
    pub(crate) struct Request<M>(std::marker::PhantomData<M>);

    impl<M> Request<M> {
        pub(crate) fn new(_message: M, _flags: u16) -> Self {
            Self(std::marker::PhantomData)
        }
    }

    impl Socket {
        pub(crate) fn route() -> io::Result<Self> {
            refuse()
        }

        pub(crate) fn netfilter() -> io::Result<Self> {
            refuse()
        }

        pub(crate) fn diagnostics() -> io::Result<Self> {
            refuse()
        }

        pub(crate) fn transaction<M>(&mut self, _begin: M, _requests: Vec<Request<M>>, _end: M) -> Result<Vec<Vec<M>>, Refusal> {
            Ok(refuse()?)
        }

        pub(crate) fn batch<M>(&mut self, _requests: Vec<Request<M>>) -> Result<Vec<Vec<M>>, Refusal> {
            Ok(refuse()?)
        }

        pub(crate) fn request<M>(&mut self, _message: M, _flags: u16) -> Result<Vec<M>, Refusal> {
            Ok(refuse()?)
        }

        pub(crate) fn dump<M>(&mut self, _message: M) -> Result<Vec<M>, Refusal> {
            Ok(refuse()?)
        }
    }

    #[derive(Debug)]
    pub(crate) struct Listener(());

    impl Listener {
        pub(crate) fn netfilter(_group: u32) -> io::Result<Self> {
            refuse()
        }

        pub(crate) fn take<M>(&self) -> Result<Vec<M>, Refusal> {
            Ok(refuse()?)
        }
    }
}

pub(crate) mod backlog {
    use super::refuse;
    use std::io;

    #[derive(Debug)]
    pub(crate) struct Flusher(());

    impl Flusher {
        pub(crate) fn new() -> io::Result<Self> {
            refuse()
        }

        pub(crate) fn flush(&mut self) -> io::Result<()> {
            refuse()
        }
    }
}

pub(crate) mod packet {
    use super::refuse;
    use std::convert::Infallible;
    use std::io;
    use std::ops::Range;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::time::Duration;

    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Layout {
        pub(crate) block_bytes: usize,
        pub(crate) blocks: usize,
        pub(crate) retire: Duration,
        pub(crate) snap: u32,
    }

    #[derive(Debug)]
    pub(crate) struct Tap(Infallible);

    #[derive(Debug, Default, Clone, Copy)]
    pub(crate) struct Statistics {
        pub(crate) accepted: u64,
        pub(crate) dropped: u64,
    }

    #[derive(Debug, Clone)]
    pub(crate) struct Frame {
        pub(crate) bytes: Range<usize>,
        pub(crate) length: usize,
        pub(crate) time: Duration,
        pub(crate) index: u32,
        pub(crate) hardware: u16,
        pub(crate) packet_type: u8,
        pub(crate) vlan: Option<(u16, u16)>,
        pub(crate) gso: Option<(u8, u16)>,
        pub(crate) partial_checksum: bool,
    }

    impl Tap {
        pub(crate) fn open(_index: u32, _layout: Layout) -> io::Result<(Self, Ring)> {
            refuse()
        }

        pub(crate) fn statistics(&self) -> io::Result<Statistics> {
            refuse()
        }

        pub(crate) fn take_error(&self) -> Option<io::Error> {
            None
        }

        pub(crate) fn device_name(&self, _index: u32) -> io::Result<String> {
            refuse()
        }
    }

    impl AsFd for Tap {
        fn as_fd(&self) -> BorrowedFd<'_> {
            match self.0 {}
        }
    }

    #[derive(Debug)]
    pub(crate) struct Ring(());

    impl Ring {
        pub(crate) fn drain(&mut self, _each: impl FnMut(&[u8], Vec<Frame>)) {}
    }
}

pub(crate) mod sysctl {
    use super::refuse;
    use std::io;

    pub(crate) fn canonical(_key: &str) -> io::Result<String> {
        refuse()
    }

    pub(crate) fn list(_directory: &str) -> io::Result<Vec<String>> {
        refuse()
    }

    pub(crate) fn read(_key: &str) -> io::Result<String> {
        refuse()
    }

    pub(crate) fn write(_key: &str, _value: &str) -> io::Result<()> {
        refuse()
    }

    pub(crate) fn is_writable(_key: &str) -> bool {
        false
    }

    pub(crate) fn all(_directory: &str) -> io::Result<Vec<(String, String)>> {
        refuse()
    }
}

pub(crate) mod tun {
    use super::refuse;
    use std::fs::File;
    use std::io;

    pub(crate) fn create(_name: &str, _index: Option<u32>, _ethernet: bool) -> io::Result<File> {
        refuse()
    }

    pub(crate) fn open_macvtap(_index: u32) -> io::Result<(File, [u8; 6])> {
        refuse()
    }

    pub(crate) fn node(index: u32) -> String {
        format!("/dev/tap{index}")
    }
}

pub(crate) mod poll {
    use super::refuse;
    use crate::sys::traffic::Interest;
    use std::io;
    use std::os::fd::BorrowedFd;

    #[derive(Debug)]
    pub(crate) struct Poller(());

    impl Poller {
        pub(crate) fn new() -> io::Result<Self> {
            refuse()
        }

        pub(crate) fn add(&self, _fd: BorrowedFd<'_>, _token: u64, _interest: Interest) -> io::Result<()> {
            refuse()
        }

        pub(crate) fn modify(&self, _fd: BorrowedFd<'_>, _token: u64, _interest: Interest) -> io::Result<()> {
            refuse()
        }

        pub(crate) fn remove(&self, _fd: BorrowedFd<'_>) -> io::Result<()> {
            refuse()
        }

        pub(crate) fn wait(&self) -> io::Result<Vec<u64>> {
            refuse()
        }

        pub(crate) fn wake(&self) -> io::Result<()> {
            refuse()
        }
    }
}

pub(crate) mod socket {
    use super::refuse;
    use crate::sys::traffic::{Arrival, Binding, Failure, Options, Protocol};
    use std::convert::Infallible;
    use std::io;
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::time::Instant;

    #[derive(Debug)]
    pub(crate) struct Client(Infallible);

    impl Client {
        pub(crate) fn open(_protocol: Protocol, _v6: bool, _options: &Options) -> io::Result<Self> {
            refuse()
        }

        pub(crate) fn is_raw(&self) -> bool {
            match self.0 {}
        }

        pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
            match self.0 {}
        }

        pub(crate) fn connect(&self, _to: SocketAddr) -> Result<(), Failure> {
            match self.0 {}
        }

        pub(crate) fn connected(&self, _deadline: Instant) -> io::Result<Option<Result<(), Failure>>> {
            match self.0 {}
        }

        pub(crate) fn into_stream(self) -> io::Result<TcpStream> {
            match self.0 {}
        }

        pub(crate) fn send(&self, _bytes: &[u8]) -> Result<(), Failure> {
            match self.0 {}
        }

        pub(crate) fn send_to(&self, _bytes: &[u8], _to: SocketAddr) -> Result<(), Failure> {
            match self.0 {}
        }

        pub(crate) fn receive(&self, _deadline: Instant) -> io::Result<Option<Arrival>> {
            match self.0 {}
        }
    }

    pub(crate) fn listen(_address: SocketAddr, _binding: Binding) -> io::Result<TcpListener> {
        refuse()
    }

    pub(crate) fn dial(_to: SocketAddr) -> io::Result<TcpStream> {
        refuse()
    }

    pub(crate) fn reset_on_close(_stream: &TcpStream) -> io::Result<()> {
        refuse()
    }

    #[derive(Debug)]
    pub(crate) struct UdpServer(Infallible);

    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Path {
        pub(crate) client: SocketAddr,
    }

    impl UdpServer {
        pub(crate) fn bind(_address: SocketAddr, _binding: Binding) -> io::Result<Self> {
            refuse()
        }

        pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
            match self.0 {}
        }

        pub(crate) fn receive(&self, _buffer: &mut [u8]) -> io::Result<(usize, Path)> {
            match self.0 {}
        }

        pub(crate) fn answer(&self, _bytes: &[u8], _path: &Path) -> io::Result<()> {
            match self.0 {}
        }

        pub(crate) fn send(&self, _bytes: &[u8], _to: SocketAddr) -> io::Result<()> {
            match self.0 {}
        }
    }

    impl From<UdpServer> for OwnedFd {
        fn from(server: UdpServer) -> Self {
            match server.0 {}
        }
    }

    impl AsFd for UdpServer {
        fn as_fd(&self) -> BorrowedFd<'_> {
            match self.0 {}
        }
    }

    pub(crate) fn errno_name(errno: i32) -> String {
        format!("errno {errno}")
    }
}

pub(crate) mod around {
    use super::refuse;
    use crate::sys::{Capability, Namespace, Root};
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;
    use std::process::{Child, Command};

    pub(crate) fn open_namespace(_path: &Path) -> io::Result<OwnedFd> {
        refuse()
    }

    pub(crate) fn open_directory(_path: &Path) -> io::Result<OwnedFd> {
        refuse()
    }

    pub(crate) fn start(
        _command: Command,
        _fresh: &[Namespace],
        _joined: Vec<(Namespace, OwnedFd)>,
        _root: Option<Root>,
        _dropped: Vec<Capability>,
    ) -> io::Result<Child> {
        refuse()
    }
}

pub(crate) mod child {
    use super::refuse;
    use std::convert::Infallible;
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::process::ExitStatus;
    use std::time::Instant;

    pub(crate) fn watch(_id: u32) -> io::Result<OwnedFd> {
        refuse()
    }

    pub(crate) fn ended(_id: u32) -> io::Result<Option<ExitStatus>> {
        refuse()
    }

    pub(crate) fn reap(_id: u32) -> io::Result<Option<ExitStatus>> {
        refuse()
    }

    pub(crate) fn signal(_id: u32, _signal: i32) -> io::Result<()> {
        refuse()
    }

    pub(crate) fn kill_group(_leader: u32) -> io::Result<()> {
        refuse()
    }

    pub(crate) fn kill_marked(_mark: &str, _deadline: Instant) -> io::Result<()> {
        refuse()
    }

    #[derive(Debug)]
    pub(crate) struct Bell(Infallible);

    impl Bell {
        pub(crate) fn new() -> io::Result<Self> {
            refuse()
        }

        pub(crate) fn ring(&self) -> io::Result<()> {
            match self.0 {}
        }
    }

    impl AsFd for Bell {
        fn as_fd(&self) -> BorrowedFd<'_> {
            match self.0 {}
        }
    }

    pub(crate) fn wait_any(_descriptors: &[BorrowedFd<'_>]) -> io::Result<Vec<bool>> {
        refuse()
    }

    pub(crate) fn set_nonblocking(_fd: impl AsFd) -> io::Result<()> {
        refuse()
    }
}

pub(crate) mod mounts {
    use super::refuse;
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::path::Path;

    #[derive(Debug)]
    pub(crate) struct Mounts(OwnedFd);

    impl Mounts {
        pub(crate) fn create(_network: BorrowedFd<'_>) -> io::Result<Self> {
            refuse()
        }

        pub(crate) fn write(&self, _path: &Path, _content: &[u8]) -> io::Result<()> {
            refuse()
        }
    }

    impl AsFd for Mounts {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

pub(crate) mod plate {
    pub(crate) fn note(_line: &str) {}
}
