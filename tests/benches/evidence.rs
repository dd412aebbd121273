//! What the keeping of evidence costs a test that passes: the same tests with it and without it (`NETLAB_EVIDENCE=0`), turn by turn.
//!
//! `cargo bench -p netlab-tests --bench evidence` prints medians of a trivial test and the ratio, and then, for a lab of ten machines, how
//! long a failure takes until its folder is written.

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const TESTS: u32 = 200;
const ROUNDS: usize = 25;

fn main() -> Result<()> {
    let tests = netlab_tests::test_binary("two_thousand", &["--release"])?;
    let folder = tempfile::tempdir()?;
    println!("threads   without       with         ratio");
    for threads in [1, 2] {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            without.push(passing(&tests, threads, "0".as_ref())?);
            with.push(passing(&tests, threads, folder.path())?);
        }
        let (without, with) = (median(without), median(with));
        println!("{threads:<9} {without:>8.1?}   {with:>8.1?}   {:>8.3}", with.as_secs_f64() / without.as_secs_f64());
    }
    if folder.path().read_dir()?.next().is_some() {
        return Err("a test that passes has written something".into());
    }
    let victims = netlab_tests::test_binary("evidence", &["--release"])?;
    for victim in ["panics_with_ten_machines", "asks_in_vain_among_ten_machines"] {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            without.push(failing(&victims, victim, "0".as_ref())?);
            with.push(failing(&victims, victim, folder.path())?);
        }
        println!("{victim}: {:.1?} more until the folder is written", median(with).saturating_sub(median(without)));
    }
    Ok(())
}

/// The time of one test.
fn passing(tests: &Path, threads: u32, evidence: &Path) -> Result<Duration> {
    let start = Instant::now();
    let mut command = Command::new(tests);
    command.args(["alpha::n0::", "alpha::n1::"]).arg(format!("--test-threads={threads}")).env("NETLAB_EVIDENCE", evidence);
    let output = command.stdin(Stdio::null()).output()?;
    let time = start.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || !text.contains(&format!("{TESTS} passed")) {
        return Err(format!("expected {TESTS} tests to pass:\n{text}").into());
    }
    Ok(time / TESTS)
}

fn failing(victims: &Path, victim: &str, evidence: &Path) -> Result<Duration> {
    let start = Instant::now();
    let mut command = Command::new(victims);
    command.args(["--ignored", "--exact", &format!("victims::{victim}")]).env("NETLAB_EVIDENCE", evidence);
    let output = command.stdin(Stdio::null()).output()?;
    let time = start.elapsed();
    if output.status.code() != Some(101) {
        return Err(format!("expected {victim} to fail:\n{}", String::from_utf8_lossy(&output.stdout)).into());
    }
    Ok(time)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
