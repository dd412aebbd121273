//! What `#[netlab::test]` calls: a fresh machine for each test, and the outcome brought back to the test harness.
//!
//! ```text
//! test harness (libtest, threads)                     the user's `cargo test`
//!   └ zygote: the same binary, started again          one, at the first isolated test
//!       └ worker                                      as many as tests run at once, and some ahead
//!           └ machine: first process of its           made ahead of its test; makes, supervises, kills
//!             └ body: the test function               one process a test
//! ```
//!
//! The harness has threads, so it is never forked: it starts its own binary once more, which comes to the same test function in its own
//! libtest ([`zygote`]) and from there serves copies of itself. A machine runs one body ([`supervise`], [`body`]), reports, and is gone.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

use std::process::{ExitCode, Termination};

use crate::{error, evidence};

#[cfg(target_os = "linux")]
mod body;
#[cfg(target_os = "linux")]
mod exec;
#[cfg(target_os = "linux")]
mod harness;
mod machine;
#[cfg(target_os = "linux")]
pub(crate) mod needs;
#[cfg(target_os = "linux")]
mod outcome;
#[cfg(target_os = "linux")]
pub(crate) mod refusal;
#[cfg(target_os = "linux")]
mod supervise;
#[cfg(target_os = "linux")]
mod visit;
#[cfg(target_os = "linux")]
mod wire;
#[cfg(target_os = "linux")]
mod zygote;

pub use machine::Machine;
#[cfg(target_os = "linux")]
pub use needs::needs;

/// Demands that the kernel has a feature: of a kernel that is no Linux, in vain.
///
/// # Errors
///
/// Always.
#[cfg(not(target_os = "linux"))]
#[track_caller]
pub fn needs(feature: &str) -> error::Result<()> {
    Err(error::Error::unsupported(format!("have `{feature}` of this kernel"), "netlab needs Linux").at(std::panic::Location::caller()))
}

/// One test, as the attribute wrote it down.
#[doc(hidden)]
#[derive(Debug)]
pub struct Case {
    /// The path of the test function, with its crate.
    pub path: &'static str,
    /// The source file of the test.
    pub file: &'static str,
    /// The line of the test's name.
    pub line: u32,
    /// How long the body may take.
    pub timeout_ms: u64,
    /// The kernel features that the body needs.
    pub needs: &'static [&'static str],
    /// Runs in the caller's namespaces.
    pub host: bool,
    /// `Some` for `#[should_panic]`, with the text that is expected.
    pub should_panic: Option<&'static str>,
    /// The user's function.
    pub body: fn() -> Exit,
}

/// What the body's return value comes to, as `main`'s would: zero for success.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

/// Turns the body's return value into an exit code, printing the line `Error: …` where `main` would.
#[doc(hidden)]
pub fn exit(value: impl Termination) -> Exit {
    let (code, error) = error::used_up_by(|| value.report());
    evidence::returned(error);
    // An exit code cannot be read, only compared.
    Exit((0..=u8::MAX).find(|n| ExitCode::from(*n) == code).unwrap_or(1))
}

impl Case {
    /// The name by which libtest knows the test: the path without the crate.
    fn name(&self) -> &'static str {
        self.path.split_once("::").map_or(self.path, |(_, name)| name)
    }
}

/// Runs the test in a machine of its own and brings its outcome back: panics as the body did, or returns its exit code.
#[doc(hidden)]
pub fn run(case: &'static Case) -> ExitCode {
    #[cfg(target_os = "linux")]
    return harness::run(case);
    #[cfg(not(target_os = "linux"))]
    panic!("{}: netlab needs Linux", case.name());
}

/// The same for a function without a return value.
#[doc(hidden)]
pub fn run_unit(case: &'static Case) {
    let _: ExitCode = run(case);
}

/// Runs an async body on a runtime of its own, on the test's thread, so that all of it is in the machine.
#[cfg(feature = "tokio")]
#[doc(hidden)]
pub fn block_on<F: Future>(body: impl FnOnce() -> F) -> F::Output {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(async { body().await }),
        // Inside the body's process, where a panic is the test's failure.
        Err(e) => panic!("cannot start the runtime of an async test: {e}"),
    }
}
