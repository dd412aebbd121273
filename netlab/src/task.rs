//! Async code in a namespace (feature `tokio`).

use std::io;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::error::{At, Doing, Error, Result};
use crate::netns::Netns;
use crate::teardown;

/// Async code that runs in a namespace, on a thread and a single-threaded tokio runtime of its own; it ends when this is dropped.
///
/// Await it for its value, or [`join`](Self::join) it from code that is not async. Its panic goes on in whoever waits for it. Dropping it
/// cancels the code at its next `.await` and waits until its thread has ended, so that no socket of it is left; tasks that it started with
/// `tokio::spawn` end with it.
#[derive(Debug)]
#[must_use = "the task ends as soon as it is dropped: bind it, as in `let server = ns.spawn(…)?;`, and await or `join()` it"]
pub struct Task<T> {
    netns: Netns,
    place: &'static Location<'static>,
    outcome: tokio::task::JoinHandle<T>,
    abort: AbortHandle,
    thread: Option<thread::JoinHandle<()>>,
}

impl Netns {
    /// Runs a future in this namespace, beside the caller. Call it from async code or not; no runtime of the caller's is used.
    ///
    /// Sockets that the future opens are in this namespace, wherever they are used later.
    ///
    /// # Errors
    ///
    /// If no thread or descriptor is left.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Result<Task<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let place = Location::caller();
        self.start(future, place).doing(|| format!("run async code in namespace `{self}`")).at(place)
    }

    fn start<F>(&self, future: F, place: &'static Location<'static>) -> io::Result<Task<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let runtime = self.enter_io(|| tokio::runtime::Builder::new_current_thread().enable_all().build())?;
        // The runtime's thread drives it until this end of the channel goes, with the future: at its end, its panic or its abortion.
        let (alive, ended) = oneshot::channel::<()>();
        let outcome = runtime.spawn(async move {
            let _alive = alive;
            future.await
        });
        let abort = outcome.abort_handle();
        let thread = self.thread(move || {
            let _ended = runtime.block_on(ended);
        })?;
        Ok(Task { netns: self.clone(), place, outcome, abort, thread: Some(thread) })
    }

    /// A handle of the crate rtnetlink whose requests go to this namespace, for what netlab has no verb for.
    ///
    /// Call it in async code: its connection runs on the caller's runtime, until the last clone of the handle goes.
    ///
    /// # Errors
    ///
    /// If the caller is on no tokio runtime, or no descriptor is left.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub fn rtnetlink(&self) -> Result<rtnetlink::Handle> {
        let here = Location::caller();
        let what = || format!("open a netlink connection to namespace `{self}`");
        let runtime = tokio::runtime::Handle::try_current().map_err(|e| Error::invalid(what(), e.to_string()).at(here))?;
        let connect = || {
            let _entered = runtime.enter();
            rtnetlink::new_connection()
        };
        let (connection, handle, _) = self.enter_io(connect).doing(what).at(here)?;
        drop(runtime.spawn(connection)); // detached: it ends with its last handle
        Ok(handle)
    }
}

impl<T> Task<T> {
    /// Waits for the end of the code and gives its value, from code that is not async; a panic of the code goes on in the caller.
    ///
    /// # Errors
    ///
    /// If the code was [aborted](Self::abort).
    #[track_caller]
    pub fn join(mut self) -> Result<T> {
        let here = Location::caller();
        self.wait_for_thread();
        // The thread has ended, and the outcome is there.
        let outcome = Pin::new(&mut self.outcome).poll(&mut Context::from_waker(std::task::Waker::noop()));
        match outcome {
            Poll::Ready(outcome) => self.settle(outcome).at(here),
            Poll::Pending => Err(Error::unexpected(self.what(), "its thread ended before it").at(here)),
        }
    }

    /// Cancels the code at its next `.await`; whoever waits for it gets an error.
    pub fn abort(&self) {
        self.abort.abort();
    }

    /// Whether the code has come to its end, a panic or an abortion.
    pub fn is_finished(&self) -> bool {
        self.outcome.is_finished()
    }

    fn settle(&self, outcome: Result<T, tokio::task::JoinError>) -> Result<T> {
        match outcome.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(value) => Ok(value),
            Err(Ok(panic)) => resume_unwind(panic),
            Err(Err(_)) => Err(Error::unexpected(self.what(), "it was aborted").at(self.place)),
        }
    }

    fn what(&self) -> String {
        format!("finish async code in namespace `{}`", self.netns)
    }

    fn wait_for_thread(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It only drives the runtime, which catches the panics of its tasks.
            thread.join().unwrap_or_default();
        }
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.outcome).poll(context) {
            Poll::Ready(outcome) => Poll::Ready(self.settle(outcome)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        self.abort.abort();
        self.wait_for_thread();
    }
}
