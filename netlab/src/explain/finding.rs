//! Where a packet died, and what of.

use std::fmt::{self, Display};

use serde::Serialize;

use super::cause::Cause;

/// Which of the two packets it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From the asker to the one who is asked.
    Question,
    /// Back.
    Answer,
}

impl Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Question => "question",
            Self::Answer => "answer",
        })
    }
}

/// Where and why a probe failed: said only where the evidence suffices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The machine where it happened.
    pub machine: String,
    /// Where in it: a device, a chain, an address.
    pub place: Option<String>,
    /// Whether the question died or its answer.
    pub direction: Way,
    /// What it died of.
    pub cause: Cause,
    /// What would cure it, where that is certain; in the words of a shell.
    pub cure: Option<String>,
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.machine, self.cause)
    }
}
