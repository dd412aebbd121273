//! Plays a stage in the machine that the calling code runs in.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::stage::{Cause, Document, Stage, Verdict};
use crate::story::{Check, Role, Story};
use crate::world::World;

/// How a stage is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As it stands in the text.
    AsWritten,
    /// With its cause taken away, so that its checks must fail.
    WithoutCause,
}

/// A stage that has been played.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Played {
    /// Its checks, in order.
    pub checks: Vec<Check>,
    /// How it went.
    pub outcome: Outcome,
}

/// How a stage went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Every check held.
    AsRecorded,
    /// Something else happened than what is recorded.
    Differs {
        /// Where in the stage.
        during: Phase,
        /// What happened.
        why: String,
    },
    /// This machine cannot play it.
    Unsupported(String),
    /// This kernel lacks what the stage says that not every kernel has: why it refused.
    Lacks(String),
    /// This machine lacks what the stage says that not every machine has, or netlab has no fixture for it: what it is, and what helps.
    NotHere(String),
}

/// A phase of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The state of the stages before it is built.
    Build,
    /// The state before the change is looked at.
    Before,
    /// The change is made.
    Change,
    /// The claim is checked.
    Check,
    /// The checks are held against what a stage of its verdict has to show.
    Form,
}

impl Outcome {
    /// The words of the JSON output.
    pub const fn words(&self) -> &'static str {
        match self {
            Self::AsRecorded => "as recorded",
            Self::Differs { .. } => "differs",
            Self::Unsupported(_) => "unsupported",
            Self::Lacks(_) => "this kernel cannot",
            Self::NotHere(_) => "not played here",
        }
    }
}

/// Plays a stage in this machine, whose network is taken to be untouched.
pub fn play(document: &Document, stage: &Stage, way: Way) -> Played {
    let mut story = Story::default();
    let outcome = outcome(stage, run(document, stage, way, &mut story));
    Played { checks: story.into_checks(), outcome }
}

/// Whether the stage's change can be made in this machine, whose network is taken to be untouched. Nothing is checked.
///
/// A stage without its cause does not come to what a kernel may lack: whoever plays it so asks this before, in a machine of its own.
pub fn rehearse(document: &Document, stage: &Stage) -> Outcome {
    let built = build(document, stage, None).map_err(|e| (Phase::Build, e));
    outcome(stage, built.and_then(|mut world| (stage.change)(&mut world).map_err(|e| (Phase::Change, e))))
}

fn outcome(stage: &Stage, played: Result<(), Failed>) -> Outcome {
    match played {
        Ok(()) => Outcome::AsRecorded,
        Err((_, e)) if e.is_unsupported() && !stage.kernel.is_empty() => Outcome::Lacks(e.to_string()),
        Err((_, e)) if e.is_unsupported() => Outcome::Unsupported(e.to_string()),
        Err((_, e @ Error::NoFixture(_))) => Outcome::NotHere(e.to_string()),
        Err((_, e)) if e.is_for_want_of(stage.machine) && !must_be_here(&e) => Outcome::NotHere(e.to_string()),
        Err((during, e)) => Outcome::Differs { during, why: e.to_string() },
    }
}

/// Where CI is set, whoever set the machine up has installed the programs: otherwise nobody would see whether the stage is right.
fn must_be_here(e: &Error) -> bool {
    matches!(e, Error::Missing { .. }) && std::env::var_os("CI").is_some_and(|ci| !ci.is_empty())
}

/// Plays a stage in this machine, as its test does. That the kernel or the machine lacks what not every one has is printed, and is no failure.
///
/// # Errors
///
/// What happened instead of what is recorded, after the checks that held.
pub fn test(id: &str) -> Result<()> {
    let (document, stage) = crate::find_stage(id).ok_or_else(|| Error::World(format!("there is no stage {id}")))?;
    let Played { checks, outcome } = play(document, stage, Way::AsWritten);
    for check in checks {
        let mark = if check.holds { "ok  " } else { "FAIL" };
        println!("{mark} {}: {}", check.check, check.seen);
    }
    match outcome {
        Outcome::AsRecorded => Ok(()),
        Outcome::Lacks(ref why) | Outcome::NotHere(ref why) => {
            println!("{}: {why}", outcome.words());
            Ok(())
        }
        Outcome::Differs { why, .. } | Outcome::Unsupported(why) => Err(Error::World(why)),
    }
}

/// The world as it is after a stage: its change and those of the stages before it are made, nothing is checked.
///
/// # Errors
///
/// If there is no such stage, or a change cannot be made.
pub fn world_after(id: &str) -> Result<World> {
    let (document, stage) = crate::find_stage(id).ok_or_else(|| Error::World(format!("there is no stage {id}")))?;
    let mut world = build(document, stage, None)?;
    (stage.change)(&mut world)?;
    Ok(world)
}

/// Builds the world of a stage in this machine, and tells after each change which stage's it was: those it builds on, then its own.
///
/// # Errors
///
/// If a change cannot be made, or what `tell` says.
pub fn walk(document: &Document, stage: &'static Stage, mut tell: impl FnMut(&'static Stage) -> Result<()>) -> Result<()> {
    let mut world = (document.start)()?;
    for earlier in document.before(stage) {
        (earlier.change)(&mut world)?;
        tell(earlier)?;
    }
    (stage.scene)(&mut world)?;
    (stage.change)(&mut world)?;
    tell(stage)
}

type Failed = (Phase, Error);

fn run(document: &Document, stage: &Stage, way: Way, story: &mut Story) -> Result<(), Failed> {
    let during = |phase| move |e| (phase, e);
    let mutation = match way {
        Way::AsWritten => None,
        Way::WithoutCause => Some(&stage.cause),
    };
    let mut world = build(document, stage, mutation).map_err(during(Phase::Build))?;
    if mutation.is_none() {
        story.before();
        (stage.before)(&mut world, story).map_err(during(Phase::Before))?;
    }
    if !matches!(mutation, Some(Cause::Own)) {
        (stage.change)(&mut world).map_err(during(Phase::Change))?;
    }
    if let Some(Cause::Lack { supply, .. }) = mutation {
        supply(&mut world).map_err(during(Phase::Change))?;
    }
    story.claim();
    (stage.check)(&mut world, story).map_err(during(Phase::Check))?;
    if mutation.is_none() { form(stage, story.checks()).map_err(during(Phase::Form)) } else { Ok(()) }
}

/// The world after the stages before this one: their changes, not their checks.
fn build(document: &Document, stage: &Stage, mutation: Option<&Cause>) -> Result<World> {
    let mut world = (document.start)()?;
    for earlier in document.before(stage) {
        if !matches!(mutation, Some(Cause::Change(id)) if *id == earlier.id) {
            (earlier.change)(&mut world)?;
        }
    }
    (stage.scene)(&mut world)?;
    Ok(world)
}

/// A stage that checks nothing, or not what its verdict says, is a mistake in the stage.
fn form(stage: &Stage, checks: &[Check]) -> Result<()> {
    let shows = |wanted: fn(&Role) -> bool| checks.iter().any(|check| wanted(&check.role));
    let missing = if !shows(|role| !role.is_negative()) {
        "a check of its claim"
    } else if !shows(Role::is_negative) {
        "a check that fails where its cause is missing"
    } else {
        match stage.verdict {
            Verdict::Precondition if !shows(|role| matches!(role, Role::With(_))) => "its claim with the precondition",
            Verdict::Precondition if !shows(|role| matches!(role, Role::Without(_))) => "its claim without the precondition",
            Verdict::False if !shows(|role| *role == Role::Wrong) => "where the text is wrong",
            Verdict::Unstated if !shows(|role| *role == Role::Unstated) => "the fact that the text leaves out",
            _ => return Ok(()),
        }
    };
    Err(Error::World(format!("stage {} ({}) does not show {missing}", stage.id, stage.verdict)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(role: Role) -> Check {
        Check { role, check: "x".to_owned(), seen: "y".to_owned(), holds: true }
    }

    #[test]
    fn a_stage_without_a_check_is_refused() {
        assert!(form(&Stage::STILL, &[]).unwrap_err().to_string().ends_with("does not show a check of its claim"));
    }

    #[test]
    fn a_stage_without_a_negative_check_is_refused() {
        let e = form(&Stage::STILL, &[check(Role::Claim)]).unwrap_err();
        assert!(e.to_string().ends_with("a check that fails where its cause is missing"), "{e}");
        form(&Stage::STILL, &[check(Role::Claim), check(Role::Before)]).unwrap();
    }

    #[test]
    fn a_stage_shows_what_its_verdict_says() {
        let stage = |verdict| Stage { verdict, ..Stage::STILL };
        let plain = [check(Role::Before), check(Role::Claim)];
        for verdict in [Verdict::Precondition, Verdict::False, Verdict::Unstated] {
            form(&stage(verdict), &plain).unwrap_err();
        }
        let condition = || "lo UP".to_owned();
        form(&stage(Verdict::Precondition), &[check(Role::Without(condition())), check(Role::With(condition()))]).unwrap();
        form(&stage(Verdict::False), &[check(Role::Before), check(Role::Wrong)]).unwrap();
        form(&stage(Verdict::Unstated), &[check(Role::Before), check(Role::Unstated)]).unwrap();
    }
}
