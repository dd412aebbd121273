//! What went wrong, where, why, and what to do about it.

use std::cell::{Cell, RefCell};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::Refusal;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says what could not be done, where in the test, why, and what helps.
///
/// `Display` and `Debug` print the same text, because libtest shows a failed test's error by `Debug`:
///
/// ```text
/// cannot give `lan/eth0` the address `10.0.0.300/24`: expected an address and a prefix length, such as `10.0.0.2/24`
///   at tests/nat.rs:30:14
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    what: String,
    cause: Cause,
    place: Option<&'static Location<'static>>,
    facts: Vec<String>,
    help: Option<String>,
    counted: bool,
}

/// How many errors were made and how many of them are gone, so that whoever undoes a fixture can see whether one is on its way out of the
/// test.
static MADE: AtomicU64 = AtomicU64::new(0);
static GONE: AtomicU64 = AtomicU64::new(0);

/// How many errors were made so far; none if none of them is left.
pub(crate) fn on_their_way() -> Option<u64> {
    // In this order: one that is made in between is not taken for one that has gone.
    let gone = GONE.load(Ordering::Relaxed);
    let made = MADE.load(Ordering::Relaxed);
    (made != gone).then_some(made)
}

/// How many errors were made so far.
pub(crate) fn made() -> u64 {
    MADE.load(Ordering::Relaxed)
}

/// An error that somebody is done with: its text and its place.
#[derive(Debug, Clone)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "for the evidence of a test's failure"))]
pub(crate) struct Last {
    pub(crate) text: String,
    pub(crate) place: Option<&'static Location<'static>>,
}

thread_local! {
    static ASIDE: Cell<u32> = const { Cell::new(0) };
    static LAST: RefCell<Option<Option<Last>>> = const { RefCell::new(None) };
}

/// From now on errors that this thread makes are not on their way out of the test, until [`count_again`] is called as often.
pub(crate) fn count_no_more() {
    ASIDE.set(ASIDE.get() + 1);
}

/// Ends what [`count_no_more`] began.
pub(crate) fn count_again() {
    ASIDE.set(ASIDE.get().saturating_sub(1));
}

/// The last error that `f` used up, if it did.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "for the evidence of a test's failure"))]
pub(crate) fn used_up_by<T>(f: impl FnOnce() -> T) -> (T, Option<Last>) {
    LAST.set(Some(None));
    let value = f();
    (value, LAST.take().flatten())
}

/// Why it could not be done: the kernel's word, or our own.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The kernel refused a netlink request.
    Refusal(Refusal),
    /// A system call failed.
    Io(io::Error),
    /// The caller's value makes no sense.
    Invalid(String),
    /// A state that was waited for did not come.
    Timeout(String),
    /// Something else was seen than what was asked for.
    Unexpected(String),
    /// This kernel, platform or mode cannot do it.
    #[cfg_attr(target_os = "linux", allow(dead_code, reason = "said where there is no Linux"))]
    Unsupported(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refusal(refusal) => refusal.fmt(f),
            Self::Io(e) => e.fmt(f),
            Self::Invalid(s) | Self::Timeout(s) | Self::Unexpected(s) | Self::Unsupported(s) => f.write_str(s),
        }
    }
}

impl From<Refusal> for Cause {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<io::Error> for Cause {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl Error {
    /// `what` completes the sentence "cannot …".
    pub(crate) fn new(what: impl Into<String>, cause: impl Into<Cause>) -> Self {
        let counted = ASIDE.get() == 0;
        MADE.fetch_add(u64::from(counted), Ordering::Relaxed);
        Self(Box::new(Inner { what: what.into(), cause: cause.into(), place: None, facts: Vec::new(), help: None, counted }))
    }

    pub(crate) fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(what, Cause::Invalid(why.into()))
    }

    pub(crate) fn timeout(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(what, Cause::Timeout(why.into()))
    }

    pub(crate) fn unexpected(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(what, Cause::Unexpected(why.into()))
    }

    #[cfg_attr(target_os = "linux", allow(dead_code, reason = "said where there is no Linux"))]
    pub(crate) fn unsupported(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(what, Cause::Unsupported(why.into()))
    }

    /// The place in the user's code; the innermost public call wins.
    pub(crate) fn at(mut self, place: &'static Location<'static>) -> Self {
        self.0.place.get_or_insert(place);
        self
    }

    /// One more line that was true when it failed.
    pub(crate) fn fact(mut self, fact: impl Into<String>) -> Self {
        self.0.facts.push(fact.into());
        self
    }

    /// What the reader can do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// The errno behind this error, if the kernel named one, such as `libc::EEXIST`.
    pub fn errno(&self) -> Option<i32> {
        match &self.0.cause {
            Cause::Refusal(refusal) => Some(refusal.errno),
            Cause::Io(e) => e.raw_os_error(),
            _ => None,
        }
    }

    /// The kernel's own sentence about a refused request (netlink extended ack), such as `Nexthop has invalid gateway`.
    pub fn extended_ack(&self) -> Option<&str> {
        match &self.0.cause {
            Cause::Refusal(refusal) => refusal.message.as_deref(),
            _ => None,
        }
    }

    /// The line of the caller's code at which it failed, if it is known.
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.0.place
    }

    /// The machine or the user's rights forbid it (`EPERM`, `EACCES`).
    pub fn is_permission(&self) -> bool {
        matches!(self.errno(), Some(libc::EPERM | libc::EACCES))
    }

    /// The thing is there already (`EEXIST`, `EADDRINUSE`).
    pub fn is_exists(&self) -> bool {
        matches!(self.errno(), Some(libc::EEXIST | libc::EADDRINUSE))
    }

    /// The thing named is not there (`ENOENT`, `ENODEV`, `ESRCH`, `EADDRNOTAVAIL`).
    pub fn is_not_found(&self) -> bool {
        matches!(self.errno(), Some(libc::ENOENT | libc::ENODEV | libc::ESRCH | libc::EADDRNOTAVAIL))
    }

    /// There is no way to the place (`ENETUNREACH`, `EHOSTUNREACH`).
    pub fn is_unreachable(&self) -> bool {
        matches!(self.errno(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH))
    }

    /// A value given by the caller makes no sense; nothing was asked of the kernel.
    pub fn is_invalid_input(&self) -> bool {
        matches!(self.0.cause, Cause::Invalid(_))
    }

    /// A state that was waited for did not come before its deadline.
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.cause, Cause::Timeout(_))
    }

    /// An `expect_*` saw something else than was demanded.
    pub fn is_unexpected(&self) -> bool {
        matches!(self.0.cause, Cause::Unexpected(_))
    }

    /// This kernel, platform or mode cannot do it.
    pub fn is_unsupported(&self) -> bool {
        matches!(self.0.cause, Cause::Unsupported(_)) || self.errno() == Some(libc::EOPNOTSUPP)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { what, cause, place, facts, help, .. } = self;
        write!(f, "cannot {what}: {cause}")?;
        if let Some(place) = place {
            write!(f, "\n  at {}:{}:{}", place.file(), place.line(), place.column())?;
        }
        for fact in facts {
            for line in fact.lines() {
                write!(f, "\n  {line}")?;
            }
        }
        if let Some(help) = help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        GONE.fetch_add(u64::from(self.counted), Ordering::Relaxed);
        // Not on a thread that is ending.
        let _: Result<(), _> = LAST.try_with(|last| {
            if let Ok(mut last) = last.try_borrow_mut()
                && let Some(last) = &mut *last
            {
                *last = Some(Last { text: self.to_string(), place: self.place });
            }
        });
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.cause {
            Cause::Io(e) => Some(e),
            _ => None,
        }
    }
}

/// Names what was being done when a lower layer failed.
pub(crate) trait Doing<T> {
    /// `what` completes the sentence "cannot …".
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Cause>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::new(what(), e))
    }
}

/// Gives an error the place of the public call that it came out of.
pub(crate) trait At<T> {
    fn at(self, place: &'static Location<'static>) -> Result<T>;
}

impl<T> At<T> for Result<T> {
    fn at(self, place: &'static Location<'static>) -> Result<T> {
        self.map_err(|e| e.at(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_sentence_place_facts_and_help() {
        let e = Error::new("create namespace `laptop`", io::Error::from_raw_os_error(libc::EPERM))
            .fact("kernel.apparmor_restrict_unprivileged_userns=1")
            .help("sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
        assert_eq!(
            e.to_string(),
            "cannot create namespace `laptop`: Operation not permitted (os error 1)\n  \
             kernel.apparmor_restrict_unprivileged_userns=1\n  \
             help: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        );
        assert_eq!(format!("{e:?}"), e.to_string());
        assert!(e.is_permission() && !e.is_exists());
    }

    #[test]
    fn the_innermost_place_wins() {
        let here = Location::caller();
        let e = Error::invalid("x", "y").at(here).at(Location::caller());
        assert_eq!(e.location().map(|l| l.line()), Some(here.line()));
    }
}
