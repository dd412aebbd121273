//! Plays stages in fresh machines, exactly as their tests do, several at the same time.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use netlab::Machine;
use scenarios::{Document, Outcome, Phase, Played, Selection, Stage, Way};

use crate::cli::End;

/// A stage that hangs is over by then.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Stages that are played at the same time, for each processor: they wait most of the time, for what must not come.
const PLAYED_AT_ONCE: usize = 3;

/// Plays stages, several at the same time, and gives each to `tell` in the order of the selection, until that is enough.
pub(crate) fn each(selection: &Selection, way: Way, tell: impl FnMut(usize, Played) -> io::Result<ControlFlow<()>>) -> io::Result<()> {
    each_by(selection, |stage| play(stage, way), tell)
}

/// As [`each`], but by whatever is to be done with a stage.
pub(crate) fn each_by<T: Send>(
    selection: &Selection,
    play: impl Fn(&Stage) -> T + Sync,
    mut tell: impl FnMut(usize, T) -> io::Result<ControlFlow<()>>,
) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let (done, plays) = mpsc::channel();
    let work = |done: mpsc::Sender<(usize, T)>| {
        while let Some((i, (_, stage))) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, selection.get(i)?))) {
            if done.send((i, play(stage))).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let workers = PLAYED_AT_ONCE * thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..workers.min(selection.len()) {
            let done = done.clone();
            thread::Builder::new().spawn_scoped(scope, move || work(done))?;
        }
        drop(done);
        let mut early = BTreeMap::new();
        let mut told = 0;
        for (i, played) in plays {
            early.insert(i, played);
            while let Some(played) = early.remove(&told) {
                let go_on = tell(told, played);
                told += 1;
                if !matches!(go_on, Ok(ControlFlow::Continue(()))) {
                    next.store(selection.len(), Ordering::Relaxed);
                    return go_on.map(drop);
                }
            }
        }
        Ok(())
    })
}

/// Plays a stage in a process of its own, which can copy itself as it has one thread only.
fn play(stage: &Stage, way: Way) -> Played {
    let without = (way == Way::WithoutCause).then_some(WITHOUT_CAUSE);
    let program = std::env::current_exe();
    let output =
        program.and_then(|program| Command::new(program).args([PERFORM, stage.id]).args(without).stderr(Stdio::inherit()).output());
    match output {
        Ok(output) => serde_json::from_slice(&output.stdout).unwrap_or_else(|e| nothing(broken(&e))),
        Err(e) => nothing(broken(&e)),
    }
}

/// The word by which this program asks itself to play a stage and to print what came of it.
pub(crate) const PERFORM: &str = "perform";
/// The word that takes the stage's cause away.
pub(crate) const WITHOUT_CAUSE: &str = "--without-cause";

/// Plays a stage in a machine, and prints what came of it for [`each`].
pub(crate) fn perform(document: &'static Document, stage: &'static Stage, way: Way) -> io::Result<End> {
    let asks = way == Way::WithoutCause && !stage.kernel.is_empty();
    let rehearsed = asks.then(|| in_a_machine(|| nothing(scenarios::rehearse(document, stage))));
    let cannot = rehearsed.filter(|rehearsed| rehearsed.outcome != Outcome::AsRecorded);
    let played = cannot.unwrap_or_else(|| in_a_machine(|| scenarios::play(document, stage, way)));
    io::stdout().write_all(&serde_json::to_vec(&played)?)?;
    Ok(End::AsRecorded)
}

fn in_a_machine(play: impl FnOnce() -> Played) -> Played {
    match Machine::new("host").timeout(TIMEOUT).run(|| Ok(serde_json::to_vec(&play()).unwrap_or_default())) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|e| nothing(broken(&e))),
        Err(e) if e.is_timeout() || e.is_unexpected() => nothing(broken(&e)),
        Err(e) => nothing(Outcome::Unsupported(e.to_string())),
    }
}

fn nothing(outcome: Outcome) -> Played {
    Played { checks: Vec::new(), outcome }
}

fn broken(e: &dyn std::error::Error) -> Outcome {
    Outcome::Differs { during: Phase::Build, why: e.to_string() }
}

/// The exit code that an outcome asks for.
pub(crate) const fn end(outcome: &Outcome) -> End {
    match outcome {
        Outcome::AsRecorded | Outcome::Lacks(_) | Outcome::NotHere(_) => End::AsRecorded,
        Outcome::Differs { .. } => End::Differs,
        Outcome::Unsupported(_) => End::Unsupported,
    }
}
