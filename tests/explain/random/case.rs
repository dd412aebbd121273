//! One case: a network proven healthy, then faulty, and what is said of it.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use netlab::explain::Explanation;
use netlab::{Outcome, Result};

use super::dice::Dice;
use super::faults::{FAULTS, Fault, Truth};
use super::lab::{Lab, Twist, WITHIN};
use super::plan::Plan;

/// A network and perhaps a fault in it, by the number from which they follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) seed: u64,
    /// The fault; nothing in a network that stays healthy.
    pub(crate) fault: Option<Fault>,
}

/// What came of a case.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// The network or the fault was not what it should be; why.
    ThrownAway(String),
    /// An explanation was given.
    Said(Said),
}

#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// The cause that was named, by its name in JSON.
    pub(crate) cause: Option<String>,
    /// Whether it is right: all together, the cause alone, the machine alone. Where there is no fault, right is to name none.
    pub(crate) right: [bool; 3],
    pub(crate) took: Duration,
    /// What is right and what was said, to read.
    pub(crate) text: String,
}

const TRIES: usize = 2000;

impl Case {
    /// The case of that number: faults take turns.
    pub(crate) fn faulty(seed: u64) -> Self {
        Self { seed, fault: Some(FAULTS[(seed % FAULTS.len() as u64) as usize]) }
    }

    pub(crate) fn healthy(seed: u64) -> Self {
        Self { seed, fault: None }
    }

    /// Builds it, breaks it, and asks for an explanation. To be called in a machine of its own.
    pub(crate) fn run(self) -> Verdict {
        self.play().unwrap_or_else(|error| Verdict::ThrownAway(format!("it could not be built: {error}")))
    }

    fn play(self) -> Result<Verdict> {
        // Faulty and healthy networks of one number are different ones.
        let mut dice = Dice::new(self.seed ^ if self.fault.is_some() { 0 } else { 1 << 40 });
        let fits = |plan: &Plan| self.fault.is_none_or(|fault| fault.fits(plan));
        let Some(plan) = (0..TRIES).map(|_| Plan::random(&mut dice)).find(fits) else {
            return Ok(Verdict::ThrownAway("no network fits".to_owned()));
        };
        let mut lab = Lab::build(&plan, Twist::None)?;
        if let Err(error) = lab.client().probe(&lab.probe) {
            return Ok(Verdict::ThrownAway(format!("it is not healthy: {error}\n{plan:?}")));
        }
        let Some(fault) = self.fault else {
            let (explanation, took) = explain(&lab)?;
            return Ok(Verdict::Said(judge(&plan, None, &explanation, took)));
        };
        let twist = fault.twist(&plan);
        if twist != Twist::None {
            drop(lab);
            lab = Lab::build(&plan, twist)?;
        }
        let injected = fault.inject(&mut lab, &mut dice)?;
        if answers(&lab)? {
            return Ok(Verdict::ThrownAway(format!("the fault does no harm\n{}\n{plan:?}", injected.truth)));
        }
        let (explanation, took) = explain(&lab)?;
        // Linux leaves an IPv6 gateway that does not answer for another route after a while.
        if explanation.is_healthy() && answers(&lab)? {
            return Ok(Verdict::ThrownAway(format!("the fault goes by itself\n{plan:?}")));
        }
        let verdict = judge(&plan, Some(&injected.truth), &explanation, took);
        if let Some(undo) = injected.undo {
            undo(&mut lab)?;
            if let Err(error) = lab.client().probe(&lab.probe) {
                return Ok(Verdict::ThrownAway(format!("it does not heal: {error}\n{}", verdict.text)));
            }
        }
        Ok(Verdict::Said(verdict))
    }
}

fn answers(lab: &Lab) -> Result<bool> {
    Ok(matches!(lab.client().observe(lab.probe.clone().within(WITHIN))?, Outcome::Answer(_)))
}

fn explain(lab: &Lab) -> Result<(Explanation, Duration)> {
    let start = Instant::now();
    let explanation = lab.client().explain(lab.probe.clone().within(WITHIN))?;
    Ok((explanation, start.elapsed()))
}

fn judge(plan: &Plan, truth: Option<&Truth>, explanation: &Explanation, took: Duration) -> Said {
    let finding = explanation.finding();
    let cause = finding.map(|finding| kind(&finding.cause));
    let right = match (truth, finding) {
        (None, finding) => [finding.is_none(); 3],
        (Some(Truth(answers)), None) => [answers.is_empty(); 3],
        (Some(Truth(answers)), Some(finding)) => {
            let fits = |(machine, kind): &(String, &str)| (*machine == finding.machine, cause.as_deref() == Some(*kind));
            let fits: Vec<_> = answers.iter().map(fits).collect();
            [fits.contains(&(true, true)), fits.iter().any(|(_, cause)| *cause), fits.iter().any(|(machine, _)| *machine)]
        }
    };
    let truth = truth.map_or_else(|| "nothing".to_owned(), Truth::to_string);
    let text = format!("right would be: {truth}\n{explanation}\n{plan:?}");
    Said { cause, right, took, text }
}

fn kind(cause: &netlab::explain::Cause) -> String {
    let json = serde_json::to_value(cause).unwrap_or_default();
    json["kind"].as_str().unwrap_or("?").to_owned()
}

impl Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        let answers: Vec<_> = self.0.iter().map(|(machine, cause)| format!("{machine}: {cause}")).collect();
        f.write_str(&answers.join(" or "))
    }
}
