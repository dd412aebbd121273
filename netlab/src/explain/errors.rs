//! What an explanation adds to the error of a probe that failed in a test.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::Explanation;
use crate::netns::Netns;
use crate::probe::Probe;

/// How many failures of a test are explained: one that asks again and again has heard enough.
const MOST: u32 = 3;
/// How long the probe may take this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why the probe fails, in a machine that netlab made; nothing with `NETLAB_EXPLAIN=0`, or where it was said often enough.
pub(crate) fn for_error(netns: &Netns, probe: &Probe) -> Option<String> {
    static EXPLAINED: AtomicU32 = AtomicU32::new(0);
    let unwanted = env::var_os("NETLAB_EXPLAIN").is_some_and(|wanted| wanted == "0");
    if unwanted || !crate::sys::machine_is_ours() || EXPLAINED.fetch_add(1, Ordering::Relaxed) >= MOST {
        return None;
    }
    // An error that cannot be explained is still an error.
    super::explain(netns, &probe.hurried(PATIENCE)).ok().as_ref().map(Explanation::for_error)
}
