//! What a machine costs: 200 trivial `#[netlab::test]` less 200 trivial `#[test]`, beside the same namespaces made by clone(2) in C.
//!
//! `cargo bench -p netlab-tests --bench machine` runs them turn by turn on one thread and on two, and prints medians as ratios to the floor:
//! absolute times say more about the machine than about netlab. Needs `cc`.

mod compile;

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const TESTS: u32 = 200;
const ROUNDS: usize = 15;

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let floor = compile::c("machine_floor", folder.path())?;
    let tests = netlab_tests::test_binary("two_thousand", &["--release"])?;
    println!("threads   floor (C), a machine   #[netlab::test]");
    for threads in [1, 2] {
        let (mut c, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            c.push(floor_round(&floor, threads)?);
            // Two modules of a hundred tests each.
            let isolated = run(&tests, threads, &["alpha::n0::", "alpha::n1::"])?;
            let plain = run(&tests, threads, &["gamma::", "delta::"])?;
            ours.push(isolated.saturating_sub(plain) / TESTS);
        }
        let (c, ours) = (median(c), median(ours));
        println!("{threads:<9} {c:>12.1?}  1.00   {ours:>10.1?}  {:.2}", ours.as_secs_f64() / c.as_secs_f64());
    }
    Ok(())
}

/// The time of one machine, with as many processes making them side by side as there are threads.
fn floor_round(floor: &Path, threads: u32) -> Result<Duration> {
    let start = Instant::now();
    let rounds = (TESTS / threads).to_string();
    let children: Vec<_> = (0..threads).map(|_| Command::new(floor).arg(&rounds).stdout(Stdio::null()).spawn()).collect();
    for child in children {
        if !child?.wait()?.success() {
            return Err("the floor failed: does this machine allow user namespaces?".into());
        }
    }
    Ok(start.elapsed() / TESTS)
}

fn run(tests: &Path, threads: u32, filters: &[&str]) -> Result<Duration> {
    let start = Instant::now();
    let output = Command::new(tests).args(filters).arg(format!("--test-threads={threads}")).stdin(Stdio::null()).output()?;
    let time = start.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || !text.contains(&format!("{TESTS} passed")) {
        return Err(format!("expected {TESTS} tests to pass:\n{text}").into());
    }
    Ok(time)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
