//! The one thread that serves all responders of a process; it ends with the last of them.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};

use crate::netns::lock;
use crate::sys::poll::Poller;
use crate::sys::traffic::Interest;

/// A socket and what is done when it is ready. It never blocks.
pub(super) trait Source: Send {
    /// The socket on which it waits for that; one that carries from one to another has two.
    fn fd(&self, interest: Interest) -> BorrowedFd<'_>;

    /// What it waits for at first.
    fn interest(&self) -> Interest {
        Interest::Read
    }

    /// Does what can be done now.
    fn ready(&mut self) -> Next;

    /// Its responder goes: the socket is about to be closed.
    fn abort(&self) {}
}

/// What becomes of a source.
pub(super) enum Next {
    /// It waits for this.
    Wait(Interest),
    /// It waits to read, and has made these, of the same responder.
    Spawn(Vec<Box<dyn Source>>),
    Close,
}

pub(super) struct Reactor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    poller: Poller,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    stopped: bool,
    next: u64,
    entries: HashMap<u64, Entry>,
}

struct Entry {
    owner: u64,
    interest: Interest,
    source: Box<dyn Source>,
}

static CURRENT: Mutex<Weak<Reactor>> = Mutex::new(Weak::new());

impl Reactor {
    /// The running one, or a new one.
    pub(super) fn current() -> io::Result<Arc<Self>> {
        let mut current = lock(&CURRENT);
        if let Some(running) = current.upgrade() {
            return Ok(running);
        }
        let shared = Arc::new(Shared { poller: Poller::new()?, table: Mutex::default() });
        let of_thread = shared.clone();
        let thread = thread::Builder::new().name("netlab responders".to_owned()).spawn(move || of_thread.run())?;
        let reactor = Arc::new(Self { shared, thread: Some(thread) });
        *current = Arc::downgrade(&reactor);
        Ok(reactor)
    }

    /// Serves a source, and what comes of it, until [`remove`](Self::remove) with the number that this gives.
    pub(super) fn add(&self, source: Box<dyn Source>) -> io::Result<u64> {
        let mut table = lock(&self.shared.table);
        let owner = table.next;
        self.shared.insert(&mut table, owner, source)?;
        Ok(owner)
    }

    /// Closes every socket of the responder before it returns.
    pub(super) fn remove(&self, owner: u64) {
        lock(&self.shared.table).entries.retain(|_, entry| {
            if entry.owner == owner {
                entry.source.abort();
                self.shared.forget(entry);
            }
            entry.owner != owner
        });
    }
}

impl Shared {
    fn run(&self) {
        while let Ok(ready) = self.poller.wait() {
            let mut table = lock(&self.table);
            if table.stopped {
                return;
            }
            for token in ready {
                self.serve(&mut table, token);
            }
        }
    }

    fn serve(&self, table: &mut Table, token: u64) {
        // It may have been removed since it was reported.
        let Some(entry) = table.entries.get_mut(&token) else { return };
        let owner = entry.owner;
        match entry.source.ready() {
            Next::Wait(interest) if interest == entry.interest => {}
            Next::Wait(interest) => {
                if self.turn_to(token, entry, interest).is_err() {
                    self.close(table, token);
                }
            }
            Next::Spawn(sources) => {
                for source in sources {
                    // One that cannot be watched is closed: its client sees the end of the connection.
                    let _closed = self.insert(table, owner, source);
                }
            }
            Next::Close => self.close(table, token),
        }
    }

    fn insert(&self, table: &mut Table, owner: u64, source: Box<dyn Source>) -> io::Result<()> {
        let (token, interest) = (table.next, source.interest());
        table.next += 1;
        self.poller.add(source.fd(interest), token, interest)?;
        table.entries.insert(token, Entry { owner, interest, source });
        Ok(())
    }

    fn turn_to(&self, token: u64, entry: &mut Entry, interest: Interest) -> io::Result<()> {
        let (old, new) = (entry.source.fd(entry.interest), entry.source.fd(interest));
        if old.as_raw_fd() == new.as_raw_fd() {
            self.poller.modify(new, token, interest)?;
        } else {
            self.poller.add(new, token, interest)?;
            self.forget(entry);
        }
        entry.interest = interest;
        Ok(())
    }

    fn close(&self, table: &mut Table, token: u64) {
        if let Some(entry) = table.entries.remove(&token) {
            self.forget(&entry);
        }
    }

    /// No more events of it. To close its socket is not enough: there may be copies, of the other direction, or for a moment of a child that
    /// another thread is starting.
    fn forget(&self, entry: &Entry) {
        self.poller.remove(entry.source.fd(entry.interest)).unwrap_or_default();
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        lock(&self.shared.table).stopped = true;
        let woken = self.shared.poller.wake();
        if let (Ok(()), Some(thread)) = (woken, self.thread.take()) {
            // It cannot have panicked: sources do not.
            thread.join().unwrap_or_default();
        }
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").finish_non_exhaustive()
    }
}
