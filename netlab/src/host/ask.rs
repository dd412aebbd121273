//! The questions, in the namespaces that a test would get.

use std::fs;
use std::io;

use super::{Check, Finding, Part, Report, State, surroundings};
use crate::feature::FEATURES;
use crate::isolate::refusal::{self, Facts, Switch};
use crate::isolate::{Machine, needs};
use crate::sys::machine::{self, Denied, KINDS, Maker, Step};
use crate::sys::namespace;
use crate::sys::process::{self, Lone};

const HOSTNAME: &str = "netlab";

pub(super) fn report() -> io::Result<Report> {
    let lone = Lone::check()?;
    let facts = Facts::collect();
    let mut checks = namespaces(&lone, &facts)?;
    let maker = Maker::current();
    let denied = machine::attempt(&lone, machine::namespaces(), || machine::furnish(maker, HOSTNAME))?.err();
    let inside = if denied.is_none() { Some(Inside::look()?) } else { None };
    checks.extend(steps(denied, &facts));
    checks.push(fresh_proc(inside.as_ref()));
    checks.extend(Switch::ALL.iter().map(|switch| switched(switch, denied, &facts)));
    checks.extend(limits(&facts));
    checks.extend(features(inside));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    Ok(Report { kernel, user: process::user(), surroundings: surroundings::recognised(), isolated_tests: denied.is_none(), checks })
}

impl Check {
    fn new(part: Part, name: &str, state: State, found: impl Into<String>) -> Self {
        Self { part, name: name.to_owned(), state, found: found.into(), findings: Vec::new() }
    }

    fn because(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }

    fn denied(part: Part, name: &str, denied: Denied, facts: &Facts) -> Self {
        let found = io::Error::from_raw_os_error(denied.errno).to_string();
        Self::new(part, name, State::Red, found).because(refusal::findings(denied, facts))
    }
}

/// Each kind in a user namespace of its own, as without one only root may make it.
fn namespaces(lone: &Lone, facts: &Facts) -> io::Result<Vec<Check>> {
    let user = KINDS[0].1;
    let mut checks: Vec<Check> = Vec::new();
    for (kind, flag) in KINDS {
        let check = match checks.first() {
            Some(user) if user.state == State::Red => Check::new(Part::Namespaces, kind, State::Grey, "needs a user namespace"),
            _ => match machine::attempt(lone, user | flag, || Ok(()))? {
                Ok(()) => Check::new(Part::Namespaces, kind, State::Green, ""),
                Err(denied) => Check::denied(Part::Namespaces, kind, denied, facts),
            },
        };
        checks.push(check);
    }
    Ok(checks)
}

/// A machine is made step by step, and what comes after a refusal is not known.
fn steps(denied: Option<Denied>, facts: &Facts) -> Vec<Check> {
    let order = [
        (Step::Namespaces, "all six at once"),
        (Step::Identity, "uid and gid maps"),
        (Step::Mounts, "mounts"),
        (Step::Process, "first process"),
        (Step::Loopback, "loopback"),
    ];
    let reached = order.iter().position(|(step, _)| denied.is_some_and(|denied| denied.step == *step)).unwrap_or(order.len());
    let check = |(place, (step, name)): (usize, &(Step, &str))| match denied {
        Some(denied) if place == reached => Check::denied(Part::Machine, name, denied, facts),
        _ if place > reached => Check::new(Part::Machine, name, State::Grey, "comes later"),
        _ => Check::new(Part::Machine, name, State::Green, done(*step)),
    };
    order.iter().enumerate().map(check).collect()
}

fn done(step: Step) -> String {
    match step {
        Step::Identity => format!("user {} is root inside", process::user()),
        Step::Mounts => "/run is its own".to_owned(),
        Step::Namespaces | Step::Process | Step::Loopback => String::new(),
    }
}

/// What only shows in a machine.
struct Inside {
    fresh_proc: bool,
    /// Why a feature is missing.
    missing: Vec<Option<Finding>>,
}

const FRESH: &str = "fresh";
const BETWEEN_FEATURES: char = '\u{1e}';
const BETWEEN_WORDS: char = '\u{1f}';

impl Inside {
    fn look() -> io::Result<Self> {
        let bytes = Machine::new(HOSTNAME).run(|| Ok(Self::text().into_bytes())).map_err(|e| io::Error::other(e.to_string()))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut parts = text.split(BETWEEN_FEATURES);
        let fresh_proc = parts.next() == Some(FRESH);
        let finding = |text: &str| {
            let (cause, cure) = text.split_once(BETWEEN_WORDS)?;
            Some(Finding { cause: cause.to_owned(), cure: cure.to_owned() })
        };
        Ok(Self { fresh_proc, missing: parts.map(finding).collect() })
    }

    /// Asks, in the machine.
    fn text() -> String {
        // An old /proc knows nobody here, or us by another number.
        let fresh = fs::read_link("/proc/self").is_ok_and(|id| id.as_os_str() == std::process::id().to_string().as_str());
        let mut text = if fresh { FRESH } else { "" }.to_owned();
        // Each in a network namespace that only the question sees.
        for feature in FEATURES {
            let lack = match namespace::create(|| Ok(needs::lack(feature))) {
                Ok((_, lack)) => lack,
                Err(e) => Some(Finding { cause: format!("it cannot be asked for: {e}"), cure: feature.help(0) }),
            };
            text.push(BETWEEN_FEATURES);
            if let Some(Finding { cause, cure }) = lack {
                text.extend([cause.as_str(), BETWEEN_WORDS.encode_utf8(&mut [0; 4]), cure.as_str()]);
            }
        }
        text
    }
}

fn fresh_proc(inside: Option<&Inside>) -> Check {
    let (state, found) = match inside {
        Some(Inside { fresh_proc: true, .. }) => (State::Green, ""),
        Some(_) => (State::Grey, "the kernel refuses one, as parts of the present one are masked; netlab does without"),
        None => (State::Grey, "comes later"),
    };
    Check::new(Part::Machine, "fresh /proc", state, found)
}

fn switched(switch: &Switch, denied: Option<Denied>, facts: &Facts) -> Check {
    let check = |state, found| Check::new(Part::Switches, switch.name, state, found);
    match denied {
        _ if !switch.is_on(facts) => check(State::Green, "forbids nothing"),
        Some(denied) if switch.explains(denied, facts) => check(State::Red, "forbids it").because(vec![switch.finding()]),
        _ => check(State::Grey, "is on, and does not forbid it to this process"),
    }
}

fn limits(facts: &Facts) -> Vec<Check> {
    let sysctl = |(kind, limit): &(&str, u64)| {
        let name = format!("user.max_{kind}_namespaces");
        match limit {
            0 => Check::new(Part::Limits, &name, State::Red, "0").because(vec![refusal::zero_limit(kind)]),
            _ => Check::new(Part::Limits, &name, State::Green, limit.to_string()),
        }
    };
    let table = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let resource = |(name, field): (&str, &str)| {
        let values = table.lines().find_map(|line| line.strip_prefix(field))?.split_whitespace().take(2).collect::<Vec<_>>();
        let [soft, hard] = values[..] else { return None };
        let found = if soft == hard { soft.to_owned() } else { format!("{soft}, at most {hard}") };
        Some(Check::new(Part::Limits, name, State::Green, found))
    };
    let resources = [("RLIMIT_NPROC", "Max processes"), ("RLIMIT_NOFILE", "Max open files")];
    facts.limits.iter().map(sysctl).chain(resources.into_iter().filter_map(resource)).collect()
}

fn features(inside: Option<Inside>) -> Vec<Check> {
    let grey = |name| Check::new(Part::Features, name, State::Grey, "can only be asked in a machine");
    let Some(inside) = inside else { return FEATURES.iter().map(|feature| grey(feature.name)).collect() };
    let check = |(feature, missing): (&crate::feature::Feature, Option<Finding>)| match missing {
        None => Check::new(Part::Features, feature.name, State::Green, ""),
        Some(finding) => Check::new(Part::Features, feature.name, State::Red, "missing").because(vec![finding]),
    };
    FEATURES.iter().zip(inside.missing).map(check).collect()
}
