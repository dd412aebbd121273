//! What a stage of a tutorial is: data that explains it and three functions that play it.

use std::fmt;

use crate::error::Result;
use crate::story::Story;
use crate::world::World;

/// One tutorial: the world it starts in and its stages, in the order in which each builds on those before it.
#[derive(Debug)]
pub struct Document {
    /// Three digits, such as `000`.
    pub id: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// The machines that are there before the first stage.
    pub start: fn() -> Result<World>,
    /// The stages; a document's files hold a part each.
    pub parts: &'static [&'static [Stage]],
}

/// One stage: what the text says, what a real kernel does, the state change, and the checks that hold one against the other.
///
/// Checks may leave the world in any state: a later stage is built from the *changes* of the stages before it, never from their checks.
#[derive(Debug)]
pub struct Stage {
    /// Document and number, such as `000.14`; or document and name, such as `systems.vxlan-overlay`, where stages start afresh.
    pub id: &'static str,
    /// The stage in a few words.
    pub title: &'static str,
    /// How the text fares on a real kernel.
    pub verdict: Verdict,
    /// What the text says.
    pub claim: &'static str,
    /// What a real kernel does.
    pub truth: &'static str,
    /// What must be so for the truth to hold.
    pub needs: &'static [&'static str],
    /// What is there besides the changes of the stages before: the machines of a stage that starts afresh.
    pub scene: fn(&mut World) -> Result<()>,
    /// The state change as one types it, by iproute2 and its like.
    pub commands: &'static [&'static str],
    /// The state change as fixtures.
    pub change: fn(&mut World) -> Result<()>,
    /// What is seen before the change: the claim does not hold yet, for the stated reason.
    pub before: fn(&mut World, &mut Story) -> Result<()>,
    /// The claim, held against the kernel.
    pub check: fn(&mut World, &mut Story) -> Result<()>,
    /// What makes the claim hold: without it the checks must fail.
    pub cause: Cause,
    /// Whether the text tries this and goes back: later stages are built without it.
    pub aside: bool,
    /// Whether the text starts again from the beginning here, as after a reboot: this stage and later ones are built without those before.
    pub afresh: bool,
    /// What not every kernel has and the stage cannot be played without, such as `ipvlan`. A kernel that lacks it is told so, which is no
    /// failure.
    pub kernel: &'static [&'static str],
    /// What not every machine has, or lets everybody have, and the stage cannot be played without: a program, such as `bird`, or a device. A
    /// machine without it is told so, which is no failure; but in CI, programs are there.
    pub machine: &'static [&'static str],
}

impl Stage {
    /// A stage that changes nothing, for `..Stage::STILL` in those that only look.
    pub const STILL: Self = Self {
        id: "",
        title: "",
        verdict: Verdict::True,
        claim: "",
        truth: "",
        needs: &[],
        scene: |_| Ok(()),
        commands: &[],
        change: |_| Ok(()),
        before: |_, _| Ok(()),
        check: |_, _| Ok(()),
        cause: Cause::Own,
        aside: false,
        afresh: false,
        kernel: &[],
        machine: &[],
    };

    /// The document it belongs to, such as `000`.
    pub fn document(&self) -> &'static str {
        self.id.split('.').next().unwrap_or_default()
    }

    /// The name of its test, such as `stage_14_four_pings`; of a stage without a number, its name, such as `vxlan_overlay`.
    pub fn test_name(&self) -> String {
        let words = self.title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let number = self.id.split('.').nth(1).unwrap_or_default();
        if !number.starts_with(|c: char| c.is_ascii_digit()) {
            return number.replace('-', "_");
        }
        words.fold(format!("stage_{number}"), |name, word| name + "_" + &word.to_ascii_lowercase())
    }
}

/// How a tutorial's text fares on a real kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// True as written.
    True,
    /// True only with a precondition that the text does not state.
    Precondition,
    /// False as written.
    False,
    /// A fact that the text does not state and the scenario needs.
    Unstated,
}

impl Verdict {
    /// All of them, in the order of the summary.
    pub const ALL: [Self; 4] = [Self::True, Self::Precondition, Self::False, Self::Unstated];

    /// The letter that stands for it in listings and JSON.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::True => "T",
            Self::Precondition => "P",
            Self::False => "F",
            Self::Unstated => "U",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::True => "true",
            Self::Precondition => "true with a precondition",
            Self::False => "false as written",
            Self::Unstated => "unstated",
        })
    }
}

/// What makes a stage's claim hold. The proof takes it away and demands that the stage's checks fail.
#[derive(Debug)]
pub enum Cause {
    /// The stage's own change.
    Own,
    /// The change of an earlier stage, by its id.
    Change(&'static str),
    /// Something is missing yet; supplying it must make the claim fail.
    Lack {
        /// What is missing, as one types it.
        of: &'static str,
        /// Supplies it.
        supply: fn(&mut World) -> Result<()>,
    },
}
