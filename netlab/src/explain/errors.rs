//! What an explanation adds to the error of a probe that failed in a test.

use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::Explanation;
use crate::netns::{Netns, lock};
use crate::probe::Probe;

/// How many failures of a test are explained: one that asks again and again has heard enough.
const MOST: u32 = 3;
/// How long the probe may take this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// The explanation of the last error, for whoever keeps evidence of it.
static SAID: Mutex<Option<Explanation>> = Mutex::new(None);

/// Why the probe fails, in a machine that netlab made; nothing with `NETLAB_EXPLAIN=0`, or where it was said often enough.
pub(crate) fn for_error(netns: &Netns, probe: &Probe) -> Option<String> {
    static EXPLAINED: AtomicU32 = AtomicU32::new(0);
    // What was said of an earlier error is not true of this one.
    *lock(&SAID) = None;
    let unwanted = env::var_os("NETLAB_EXPLAIN").is_some_and(|wanted| wanted == "0");
    if unwanted || !crate::sys::machine_is_ours() || EXPLAINED.fetch_add(1, Ordering::Relaxed) >= MOST {
        return None;
    }
    // An error that cannot be explained is still an error.
    let explanation = super::explain(netns, &probe.hurried(PATIENCE)).ok()?;
    let text = explanation.for_error();
    *lock(&SAID) = Some(explanation);
    Some(text)
}

/// What the error of this probe has said, if it is the last that was explained.
pub(crate) fn said_of(netns: &str, probe: &Probe) -> Option<Explanation> {
    let same = |said: &&Explanation| said.asker == netns && said.probe == probe.hurried(PATIENCE).to_string();
    SAID.try_lock().ok()?.as_ref().filter(same).cloned()
}
