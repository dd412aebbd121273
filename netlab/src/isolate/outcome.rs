//! From the end of a test's process to what libtest makes of it.

use std::panic::resume_unwind;
use std::process::ExitCode;
use std::time::Duration;

use super::Case;
use super::harness::Trouble;
use super::wire::{Ended, Report, human};
use crate::sys::process::{Status, signal_name};

/// What became of a test.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The function returned this exit code.
    Returned(u8),
    /// The function panicked, and its message has been printed.
    Panicked(Option<String>),
    /// The test came to no end of its own, for this reason.
    Failed(String),
    /// The kernel lacks what the test needs.
    Unsupported(String),
}

impl Verdict {
    pub(super) fn new(case: &Case, report: Option<Report>, ended: Ended) -> Self {
        if let Some(place) = &ended.hung {
            let timeout = human(Duration::from_millis(case.timeout_ms));
            return Self::Failed(format!("timed out after {timeout}{}{place}", if place.is_empty() { "" } else { "\n" }));
        }
        match (report, ended.status) {
            (Some(Report::Panicked(message)), _) => Self::Panicked(message),
            (Some(Report::Unsupported(why)), _) => Self::Unsupported(why),
            (Some(Report::Unstarted(why)), _) => Self::Failed(why),
            (Some(Report::Leftovers(what)), _) => {
                Self::Failed(format!("the body passed, but not all of its fixtures could be undone:\n{what}"))
            }
            (_, Status::Killed(signal)) => Self::Failed(format!("the test process was killed by {}", signal_name(signal))),
            (Some(Report::Returned(code)), _) => Self::Returned(code),
            (None, Status::Exited(code)) => Self::Failed(format!("the test process called exit({code}) before the test ended")),
        }
    }
}

/// Tells libtest.
pub(super) fn settle(case: &Case, came: Result<Verdict, Trouble>) -> ExitCode {
    match came {
        Ok(Verdict::Returned(code)) => ExitCode::from(code),
        // Printed by the test's own panic hook: only the payload is wanted.
        Ok(Verdict::Panicked(Some(message))) => resume_unwind(Box::new(message)),
        Ok(Verdict::Panicked(None)) => resume_unwind(Box::new(())),
        Ok(Verdict::Failed(why)) => fail(case, &why),
        Ok(Verdict::Unsupported(why)) => fail(case, &why),
        Err(Trouble::Broken(why)) => fail(case, &why),
        Err(Trouble::Denied(denied)) => fail(case, &format!("{denied:?}")),
    }
}

fn fail(case: &Case, why: &str) -> ExitCode {
    let text = format!("test `{}` at {}:{}: {why}", case.name(), case.file, case.line);
    eprintln!("{text}");
    match case.should_panic {
        // It did not panic as it should: libtest says so when it returns.
        Some(_) => ExitCode::FAILURE,
        None => resume_unwind(Box::new(text)),
    }
}
