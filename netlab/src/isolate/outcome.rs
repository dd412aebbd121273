//! From the end of a test's process to what libtest makes of it.

use std::io::Write;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::time::Duration;

use super::Case;
use super::harness::Trouble;
use super::refusal;
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
        Ok(Verdict::Unsupported(why)) => unsupported(case, &why),
        Err(Trouble::Broken(why)) => fail(case, &why),
        Err(Trouble::Denied(denied)) => unsupported(case, &refusal::explain(denied)),
    }
}

/// What a host cannot do fails the test, unless somebody at a laptop asked for a pass; in CI nobody can.
fn unsupported(case: &Case, why: &str) -> ExitCode {
    let asked = std::env::var("NETLAB_ON_UNSUPPORTED").unwrap_or_default();
    let in_ci = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty());
    match asked.as_str() {
        "skip" if !in_ci => skip(case, why),
        "skip" => fail(case, &format!("{why}\n  NETLAB_ON_UNSUPPORTED=skip has no effect where CI is set")),
        "" | "fail" if in_ci => fail(case, why),
        "" | "fail" => fail(case, &format!("{why}\n  or: NETLAB_ON_UNSUPPORTED=skip lets such tests pass on this host")),
        other => fail(case, &format!("{why}\n  NETLAB_ON_UNSUPPORTED is `{other}`; it takes `skip` and `fail`")),
    }
}

fn skip(case: &Case, why: &str) -> ExitCode {
    // Not by eprintln!, which libtest captures: a test that did not run is not passed over in silence.
    let loud = format!("netlab: SKIPPED {}: {why}\n", case.name());
    std::io::stderr().write_all(loud.as_bytes()).unwrap_or_default();
    match case.should_panic {
        Some(expected) => resume_unwind(Box::new(expected.to_owned())),
        None => ExitCode::SUCCESS,
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
