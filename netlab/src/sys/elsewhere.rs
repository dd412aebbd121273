//! What other systems than Linux get: the same functions, each refusing.

use std::io;

fn refuse<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "netlab needs Linux: this system has no network namespaces"))
}

pub(crate) mod namespace {
    use super::refuse;
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::process::Command;
    use std::thread;

    pub(crate) fn current() -> io::Result<OwnedFd> {
        refuse()
    }

    pub(crate) fn identity(_namespace: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
        refuse()
    }

    pub(crate) fn create<T: Send>(_setup: impl FnOnce() -> io::Result<T> + Send) -> io::Result<(OwnedFd, T)> {
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

    pub(crate) fn start_in(_command: &mut Command, _network: OwnedFd, _mounts: Option<OwnedFd>) {}

    pub(crate) fn set_lab_defaults() {}
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
}

pub(crate) mod sysctl {
    use super::refuse;
    use std::io;

    pub(crate) fn read(_key: &str) -> io::Result<String> {
        refuse()
    }

    pub(crate) fn write(_key: &str, _value: &str) -> io::Result<()> {
        refuse()
    }
}
