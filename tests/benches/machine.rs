//! What a machine costs: trivial `#[netlab::test]` less as many trivial `#[test]`, beside the same namespaces made by clone(2) in C, and beside
//! tests that C starts in such namespaces as processes of their own (`--exact`), as a harness does that isolates by re-executing itself.
//!
//! `cargo bench -p netlab-tests --bench machine` runs them turn by turn and prints medians a test, as ratios to the floor: absolute times say
//! more about the machine than about netlab. Needs `cc`.

mod compile;
mod turns;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use turns::{Result, Table, medians, ratio};

const ROUNDS: usize = 9;
/// Modules of a hundred tests each.
const ISOLATED: [&str; 5] = ["alpha::n0::", "alpha::n1::", "alpha::n2::", "alpha::n3::", "alpha::n4::"];
const COUNT: u32 = 500;
const PLAIN: [&str; 2] = ["gamma::", "delta::"];

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let floor = compile::c("machine_floor.c", folder.path())?;
    let tests = netlab_tests::test_binary("two_thousand", &["--release"])?;
    let c = |threads| {
        let floor = &floor;
        move || floor_round(&mut Command::new(floor), threads)
    };
    let ours = |threads| {
        let tests = &tests;
        move || {
            let isolated = run(tests, threads, &ISOLATED, COUNT)?;
            Ok([isolated.saturating_sub(run(tests, threads, &PLAIN, 200)?) / COUNT])
        }
    };
    let again = |threads| {
        let (floor, tests) = (&floor, &tests);
        move || floor_round(Command::new(floor).arg(tests).args(["--exact", "plain::gamma::n0::n0"]), threads)
    };
    let [c1, c2, c4, ours1, ours2, ours4, again1, again2, again4] = medians(
        ROUNDS,
        [&mut c(1), &mut c(2), &mut c(4), &mut ours(1), &mut ours(2), &mut ours(4), &mut again(1), &mut again(2), &mut again(4)],
    )?;
    let mut table = Table::new(["a test of 500", "floor in C", "#[netlab::test]", "re-exec in C", "to 1 thread"]);
    for (threads, [c], [ours], [again]) in [(1, c1, ours1, again1), (2, c2, ours2, again2), (4, c4, ours4, again4)] {
        let alone = format!("×{:.2}", ours.as_secs_f64() / ours1[0].as_secs_f64());
        table.row([format!("threads: {threads}"), ratio(c, c), ratio(ours, c), ratio(again, c), alone]);
    }
    print!("{table}");
    Ok(())
}

/// The time of one machine, with as many processes making them side by side as there are threads.
fn floor_round(command: &mut Command, threads: u32) -> Result<[Duration; 1]> {
    let start = Instant::now();
    command.env("ROUNDS", (COUNT / threads).to_string()).stdout(Stdio::null());
    let children: Vec<_> = (0..threads).map(|_| command.spawn()).collect();
    for child in children {
        if !child?.wait()?.success() {
            return Err("the floor failed: does this machine allow user namespaces?".into());
        }
    }
    Ok([start.elapsed() / COUNT])
}

fn run(tests: &Path, threads: u32, filters: &[&str], count: u32) -> Result<Duration> {
    let start = Instant::now();
    let output = Command::new(tests).args(filters).arg(format!("--test-threads={threads}")).stdin(Stdio::null()).output()?;
    let time = start.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || !text.contains(&format!("{count} passed")) {
        return Err(format!("expected {count} tests to pass:\n{text}").into());
    }
    Ok(time)
}
