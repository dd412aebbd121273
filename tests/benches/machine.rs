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

/// Modules of a hundred tests each.
const ISOLATED: [&str; 5] = ["alpha::n0::", "alpha::n1::", "alpha::n2::", "alpha::n3::", "alpha::n4::"];
const PLAIN: [&str; 2] = ["gamma::", "delta::"];

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let floor = compile::c("machine_floor.c", folder.path())?;
    let tests = netlab_tests::test_binary("two_thousand", &["--release"])?;
    let mut table = Table::new(["a test of", "floor in C", "#[netlab::test]", "re-exec in C", "faster than 1 thread"]);
    let mut alone = Duration::ZERO;
    for (modules, threads, rounds) in [(2, 1, 15), (5, 1, 7), (5, 2, 7), (5, 4, 7)] {
        let count = modules as u32 * 100;
        let times = medians(
            rounds,
            [
                &mut || floor_round(Command::new(&floor), count, threads),
                &mut || {
                    let isolated = run(&tests, threads, &ISOLATED[..modules], count)?;
                    Ok([isolated.saturating_sub(run(&tests, threads, &PLAIN, 200)?) / count])
                },
                &mut || {
                    let mut command = Command::new(&floor);
                    command.arg(&tests).args(["--exact", "plain::gamma::n0::n0"]);
                    floor_round(command, count, threads)
                },
            ],
        )?;
        let [[c], [ours], [again]] = times;
        if threads == 1 {
            alone = ours;
        }
        table.row([
            format!("{count}, threads: {threads}"),
            ratio(c, c),
            ratio(ours, c),
            ratio(again, c),
            format!("×{:.2}", alone.as_secs_f64() / ours.as_secs_f64()),
        ]);
    }
    print!("{table}");
    Ok(())
}

/// The time of one machine, with as many processes making them side by side as there are threads.
fn floor_round(mut command: Command, count: u32, threads: u32) -> Result<[Duration; 1]> {
    let start = Instant::now();
    command.env("ROUNDS", (count / threads).to_string()).stdout(Stdio::null());
    let children: Vec<_> = (0..threads).map(|_| command.spawn()).collect();
    for child in children {
        if !child?.wait()?.success() {
            return Err("the floor failed: does this machine allow user namespaces?".into());
        }
    }
    Ok([start.elapsed() / count])
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
