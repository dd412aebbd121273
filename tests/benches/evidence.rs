//! What the keeping of evidence costs a test that passes: the same tests with it and without it (`NETLAB_EVIDENCE=0`), turn by turn.
//!
//! `cargo bench -p netlab-tests --bench evidence` prints medians of a trivial test, and of two tests that fail in a lab of ten
//! machines, until their folders are written.

mod turns;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use turns::{Result, Table, medians, ratio};

const TESTS: u32 = 200;
const ROUNDS: usize = 25;

fn main() -> Result<()> {
    let tests = netlab_tests::test_binary("two_thousand", &["--release"])?;
    let folder = tempfile::tempdir()?;
    let mut table = Table::new(["a test", "without evidence", "with"]);
    for threads in [1, 2] {
        let [[without], [with]] =
            medians(ROUNDS, [&mut || passing(&tests, threads, "0".as_ref()), &mut || passing(&tests, threads, folder.path())])?;
        table.row([format!("that passes, threads: {threads}"), ratio(without, without), ratio(with, without)]);
    }
    if folder.path().read_dir()?.next().is_some() {
        return Err("a test that passes has written something".into());
    }
    let victims = netlab_tests::test_binary("evidence", &["--release"])?;
    for victim in ["panics_with_ten_machines", "asks_in_vain_among_ten_machines"] {
        let [[without], [with]] =
            medians(5, [&mut || failing(&victims, victim, "0".as_ref()), &mut || failing(&victims, victim, folder.path())])?;
        table.row([victim.to_owned(), ratio(without, without), ratio(with, without)]);
    }
    print!("{table}");
    Ok(())
}

/// The time of one test.
fn passing(tests: &Path, threads: u32, evidence: &Path) -> Result<[Duration; 1]> {
    let start = Instant::now();
    let mut command = Command::new(tests);
    command.args(["alpha::n0::", "alpha::n1::"]).arg(format!("--test-threads={threads}")).env("NETLAB_EVIDENCE", evidence);
    let output = command.stdin(Stdio::null()).output()?;
    let time = start.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || !text.contains(&format!("{TESTS} passed")) {
        return Err(format!("expected {TESTS} tests to pass:\n{text}").into());
    }
    Ok([time / TESTS])
}

fn failing(victims: &Path, victim: &str, evidence: &Path) -> Result<[Duration; 1]> {
    let start = Instant::now();
    let mut command = Command::new(victims);
    command.args(["--ignored", "--exact", &format!("victims::{victim}")]).env("NETLAB_EVIDENCE", evidence);
    let output = command.stdin(Stdio::null()).output()?;
    let time = start.elapsed();
    if output.status.code() != Some(101) {
        return Err(format!("expected {victim} to fail:\n{}", String::from_utf8_lossy(&output.stdout)).into());
    }
    Ok([time])
}
