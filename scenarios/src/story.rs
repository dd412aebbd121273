//! What a stage saw: its checks, in order, each with the sentence that it holds against the kernel.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Records the checks of a stage while it plays; the first one that does not hold ends it.
#[derive(Debug, Default)]
pub struct Story {
    checks: Vec<Check>,
    role: Role,
}

/// One sentence about the network, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What part it plays in the stage.
    pub role: Role,
    /// A sentence that is true when the check holds.
    pub check: String,
    /// What was seen.
    pub seen: String,
    /// Whether it holds.
    pub holds: bool,
}

/// What part a check plays in its stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It shows that the claim does not hold before the change.
    Before,
    /// It shows that the claim holds.
    #[default]
    Claim,
    /// It shows the claim with the named precondition met.
    With(String),
    /// It shows the claim fail without the named precondition.
    Without(String),
    /// It shows that the text is wrong.
    Wrong,
    /// It shows a fact that the text leaves out.
    Unstated,
}

impl Role {
    /// Whether it shows the claim fail where its cause is missing.
    pub fn is_negative(&self) -> bool {
        matches!(self, Self::Before | Self::Without(_))
    }
}

impl Story {
    /// A sentence that must hold, and what was seen.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it does not.
    pub fn holds(&mut self, check: impl Into<String>, seen: impl Display, holds: bool) -> Result<()> {
        let check = Check { role: self.role.clone(), check: check.into(), seen: seen.to_string(), holds };
        let verdict = if holds { Ok(()) } else { Err(Error::Differs { check: check.check.clone(), seen: check.seen.clone() }) };
        self.checks.push(check);
        verdict
    }

    /// A sentence that holds if `seen` is what was `expected`.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] if it is not.
    pub fn equals<T: Display + PartialEq<U>, U: Display>(&mut self, check: impl Into<String>, seen: T, expected: U) -> Result<()> {
        let holds = seen == expected;
        let seen = if holds { seen.to_string() } else { format!("{seen}, expected {expected}") };
        self.holds(check, seen, holds)
    }

    /// The checks that follow show the state before the change.
    pub fn before(&mut self) {
        self.role = Role::Before;
    }

    /// The checks that follow show the claim.
    pub fn claim(&mut self) {
        self.role = Role::Claim;
    }

    /// The checks that follow show what becomes of the claim without a precondition, such as `lo UP`.
    pub fn without(&mut self, precondition: impl Into<String>) {
        self.role = Role::Without(precondition.into());
    }

    /// The checks that follow show the claim with the precondition.
    pub fn with(&mut self, precondition: impl Into<String>) {
        self.role = Role::With(precondition.into());
    }

    /// The checks that follow show where the text is wrong.
    pub fn wrong(&mut self) {
        self.role = Role::Wrong;
    }

    /// The checks that follow show what the text leaves out.
    pub fn unstated(&mut self) {
        self.role = Role::Unstated;
    }

    /// What was checked so far.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    pub(crate) fn into_checks(self) -> Vec<Check> {
        self.checks
    }
}
