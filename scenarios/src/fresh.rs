//! Plays a stage in a fresh machine, exactly as its test does.

use std::time::Duration;

use netlab::Machine;
use scenarios::{Document, Outcome, Phase, Played, Stage, Way};

use crate::cli::End;

/// A stage that hangs is over by then.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn play(document: &'static Document, stage: &'static Stage, way: Way) -> Played {
    let machine = Machine::new("host").timeout(TIMEOUT);
    let played = machine.run(|| Ok(serde_json::to_vec(&scenarios::play(document, stage, way)).unwrap_or_default()));
    let nothing = |outcome| Played { checks: Vec::new(), outcome };
    match played {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|e| nothing(broken(&e))),
        Err(e) if e.is_timeout() || e.is_unexpected() => nothing(broken(&e)),
        Err(e) => nothing(Outcome::Unsupported(e.to_string())),
    }
}

fn broken(e: &dyn std::error::Error) -> Outcome {
    Outcome::Differs { during: Phase::Build, why: e.to_string() }
}

/// The exit code that an outcome asks for.
pub(crate) const fn end(outcome: &Outcome) -> End {
    match outcome {
        Outcome::AsRecorded | Outcome::Lacks(_) => End::AsRecorded,
        Outcome::Differs { .. } => End::Differs,
        Outcome::Unsupported(_) => End::Unsupported,
    }
}
