//! Why a connection fails: where its packet was last seen, and what it died of.
//!
//! ```no_run
//! # fn main() -> netlab::Result<()> {
//! # let (laptop, server) = (netlab::Netns::new("laptop")?, netlab::Netns::new("server")?);
//! # let echo = server.udp_echo("203.0.113.9:7000")?;
//! let explanation = laptop.explain(&echo)?;
//! println!("{explanation}");
//! if let Some(finding) = explanation.finding() {
//!     println!("{} is to blame: {}", finding.machine, finding.cause);
//! }
//! # Ok(()) }
//! ```
//!
//! # How it knows
//!
//! It asks once more, with taps on every link of every machine and the trace of nf_tables on, and follows the packet from tap to tap. Where
//! it ends, the kernel is asked: what the routes answer, which rule said the last word, which neighbours did not answer, what was counted,
//! who listens. Nothing is guessed: where the evidence does not suffice, there is no [`Finding`], and the text says what is known.

mod case;
mod cause;
mod causes;
mod counters;
mod diagnose;
mod errors;
mod finding;
mod lab;
mod rewrites;
mod segment;
mod simulate;
mod text;
mod trace;
mod trail;
mod tunnel;
mod tuple;
mod walk;
mod words;

use std::panic::Location;

use serde::{Serialize, Serializer};

pub use cause::{Cause, FatalRule};
pub use finding::{Finding, Way};

pub(crate) use errors::{for_error, said_of};

use case::Case;
use diagnose::Diagnosis;

use crate::capture::Packets;
use crate::error::{At, Result};
use crate::netns::Netns;
use crate::probe::{Outcome, Probe};

/// Why a probe failed, or that it did not.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    asker: String,
    probe: String,
    #[serde(serialize_with = "as_text")]
    outcome: Outcome,
    path: Vec<Step>,
    finding: Option<Finding>,
    /// What is known where it does not suffice for a finding.
    known: Vec<String>,
    #[serde(skip)]
    packets: Packets,
}

/// One place that a packet passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Step {
    /// The machine.
    pub machine: String,
    /// The device, where the packet was seen on one.
    pub device: Option<String>,
    /// The packet's way.
    pub direction: Way,
    /// What happened there.
    pub event: String,
}

impl Explanation {
    /// What came of the probe when it was asked once more.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The places that the packet passed, and after them those of the answer.
    pub fn path(&self) -> &[Step] {
        &self.path
    }

    /// Where it failed and why, if the evidence suffices; nothing if the probe had its answer.
    pub fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }

    /// What passed every link of every machine meanwhile, as for [`draw::sequence`](crate::draw::sequence) or a pcapng file.
    pub fn packets(&self) -> &Packets {
        &self.packets
    }

    /// Whether the probe had its answer.
    pub fn is_healthy(&self) -> bool {
        matches!(self.outcome, Outcome::Answer(_))
    }
}

fn as_text<S: Serializer>(outcome: &Outcome, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(outcome)
}

impl Netns {
    /// Asks once more, and tells why no answer comes: on which machine, at which device, route, rule or socket.
    ///
    /// The packet is sent for real: whoever counts packets counts it. A probe that has its answer is healthy, and has no
    /// [`finding`](Explanation::finding).
    ///
    /// # Errors
    ///
    /// As [`observe`](Self::observe), or if the taps cannot be had.
    #[track_caller]
    pub fn explain(&self, probe: impl Into<Probe>) -> Result<Explanation> {
        let (here, probe) = (Location::caller(), probe.into());
        explain(self, &probe).at(here)
    }
}

fn explain(netns: &Netns, probe: &Probe) -> Result<Explanation> {
    let case = Case::watch(netns, probe)?;
    let Diagnosis { path, finding, known } = diagnose::diagnose(&case);
    let asker = netns.name().to_owned();
    Ok(Explanation { asker, probe: probe.to_string(), outcome: case.outcome, path, finding, known, packets: case.packets })
}
