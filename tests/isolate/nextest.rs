//! The same tests, each in a process of its own.

use crate::child::program;

/// Outcome and name of each test, sorted.
fn run(filter: &str) -> Option<(Vec<String>, String)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    if !program(&cargo, &["nextest", "--version"]).output().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "cargo-nextest is not installed, so nobody sees whether netlab works with it");
        eprintln!("NOT TESTED: cargo-nextest is not installed");
        return None;
    }
    let options = ["--workspace", "--offline", "--test", "isolate", "--run-ignored", "all", "--no-fail-fast", "--color", "never"];
    let mut command = program(&cargo, &[&["nextest", "run"], &options[..], &["-E", filter]].concat());
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (live, _) = text.split_once("Summary [").unwrap_or_else(|| panic!("{text}"));
    // `    PASS [   0.010s] (1/2) netlab-tests::isolate victims::passes`
    let outcome = |line: &str| {
        let (word, rest) = line.trim_start().split_once(" [")?;
        let name = rest.split_once("netlab-tests::isolate victims::")?.1;
        ["PASS", "FAIL"].contains(&word).then(|| format!("{name} {word}"))
    };
    let mut outcomes: Vec<_> = live.lines().filter_map(outcome).collect();
    outcomes.sort();
    Some((outcomes, text))
}

#[test]
fn nextest_runs_isolated_tests() {
    let filter = "test(=victims::passes) + test(=victims::twin::passes) + test(=victims::panics) + test(=victims::aborts) + test(=victims::returns_an_error) + test(=victims::panics_as_expected) \
                  + test(=victims::leaves_processes_behind) + test(=victims::children_print) + test(/^victims::composed::cases_below/) + test(=victims::is_async)";
    let Some((outcomes, text)) = run(filter) else { return };
    let expected = [
        "aborts FAIL",
        "children_print PASS",
        "composed::cases_below::case_1 PASS",
        "composed::cases_below::case_2_host_route PASS",
        "is_async PASS",
        "leaves_processes_behind PASS",
        "panics FAIL",
        "panics_as_expected PASS",
        "passes PASS",
        "returns_an_error FAIL",
        "twin::passes PASS",
    ];
    assert_eq!(outcomes, expected, "{text}");
    for shown in ["the panic's message", "killed by SIGABRT (abort)", "Error: \"the error's text\""] {
        assert_eq!(text.matches(shown).count(), 1, "{shown} in\n{text}");
    }
}
