//! Whether this host gives machines to the calling user, and what else its kernel has: asked, not read.

#[cfg(target_os = "linux")]
mod ask;
mod surroundings;

use serde::Serialize;

use crate::error::Result;

/// What a host gives, to the user who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    /// The user id of the calling process.
    pub user: u32,
    /// What the process runs in, as far as that can be told: `GitHub Actions`, `Docker`, `WSL`, …
    pub surroundings: Vec<String>,
    /// Whether isolated tests run here.
    pub isolated_tests: bool,
    /// All that was asked, in the order in which a machine needs it.
    pub checks: Vec<Check>,
}

/// One thing that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What it is about.
    pub part: Part,
    /// The thing, in a word or two.
    pub name: String,
    /// The answer.
    pub state: State,
    /// The answer in words; may be empty where `state` says it all.
    pub found: String,
    /// Why a bad answer is bad, and what helps.
    pub findings: Vec<Finding>,
}

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Part {
    /// The kinds of namespace, each by itself.
    Namespaces,
    /// The steps in which namespaces become a machine.
    Machine,
    /// What an administrator or a container may have forbidden.
    Switches,
    /// How many of something there may be.
    Limits,
    /// What a test may need beside its machine; without it only such tests fail.
    Features,
}

/// The answer to a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is as it should be.
    Green,
    /// It is missing, or in the way; the findings say why and what helps.
    Red,
    /// It could not be asked, or it makes no difference here.
    Grey,
}

/// A cause and its cure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Why it is so, and where that is written.
    pub cause: String,
    /// The command that lifts it.
    pub cure: String,
}

/// Asks the kernel for all that an isolated test gets, as the calling user, and for the features that tests use. Leaves nothing behind.
///
/// It takes some 50 ms.
///
/// # Errors
///
/// If the calling process has other threads, or if something that should work did not. That the host refuses is no error but the answer.
#[track_caller]
pub fn report() -> Result<Report> {
    #[cfg(target_os = "linux")]
    {
        use crate::error::{At, Doing};
        let here = std::panic::Location::caller();
        ask::report().doing(|| "ask what this host gives".to_owned()).at(here)
    }
    #[cfg(not(target_os = "linux"))]
    Err(crate::error::Error::unsupported("ask what this host gives", "netlab needs Linux"))
}
