//! Why a stage did not go as recorded.

use std::fmt;

/// The result of a stage's change and of its checks.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a stage did not go as recorded: a check that saw something else, or a fixture that could not be had.
pub enum Error {
    /// A fixture or a probe of netlab failed.
    Netlab(netlab::Error),
    /// A check saw something else than what is recorded.
    Differs {
        /// What the check says.
        check: String,
        /// What was seen.
        seen: String,
    },
    /// A program that the stage is played with is not installed.
    Missing {
        /// Its name.
        program: &'static str,
        /// The command that installs it.
        install: &'static str,
    },
    /// The stage needs something that netlab has no fixture for yet, such as `WireGuard`.
    NoFixture(&'static str),
    /// The stage, the registry or the world is not as the code takes it to be.
    World(String),
}

impl Error {
    /// This kernel or platform cannot do what the stage needs.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Netlab(e) if e.is_unsupported())
    }

    /// This machine lacks one of these things, programs or devices, or does not let the user have it.
    pub fn is_for_want_of(&self, things: &[&str]) -> bool {
        let refused = |e: &netlab::Error| e.is_permission() || e.is_not_found();
        let is_such = matches!(self, Self::Missing { .. }) || matches!(self, Self::Netlab(e) if refused(e));
        is_such && things.iter().any(|thing| self.to_string().contains(thing))
    }
}

impl From<netlab::Error> for Error {
    fn from(e: netlab::Error) -> Self {
        Self::Netlab(e)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Netlab(e) => e.fmt(f),
            Self::Differs { check, seen } => write!(f, "{check}: not so, saw {seen}"),
            Self::Missing { program, install } => write!(f, "cannot start `{program}`: it is not installed\n  help: `{install}`"),
            Self::NoFixture(what) => {
                write!(f, "cannot set {what} up: this kernel has it, but netlab has no fixture for it\n  help: add one to netlab/src")
            }
            Self::World(why) => f.write_str(why),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
