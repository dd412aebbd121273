//! libtest's own options mean what they mean for other tests.

use crate::child::{run, victims};

#[test]
fn the_list_names_each_test_once_and_runs_none() {
    let ran = run(victims(&["--list"]));
    let names: Vec<_> = ran.stdout.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    for name in ["victims::passes", "victims::twin::passes", "victims::composed::cases_below::case_2_host_route", "victims::crowd::e::n9"] {
        assert_eq!(names.iter().filter(|listed| **listed == name).count(), 1, "{name} in {names:?}");
    }
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.ends_with(&format!("\n{} tests, 0 benchmarks\n", names.len())), "{ran:?}");
}

#[test]
fn ignored_tests_run_when_they_are_asked_for() {
    let outcomes = |options: &[&str]| {
        let ran = run(victims(&[&["--exact", "victims::passes", "victims::twin::passes"], options].concat()));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.outcomes().iter().map(|(name, outcome)| format!("{name} {outcome}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(outcomes(&[]), "victims::passes ignored, run as a child, victims::twin::passes ignored, run as a child");
    assert_eq!(outcomes(&["--ignored"]), "victims::passes ok, victims::twin::passes ok");
    assert_eq!(outcomes(&["--include-ignored"]), "victims::passes ok, victims::twin::passes ok");
}

#[test]
fn a_name_in_two_modules_is_two_tests() {
    let ran = run(victims(&["--ignored", "--exact", "victims::twin::passes", "--show-output"]));
    assert_eq!((ran.outcomes(), ran.printed_by("victims::twin::passes")), (vec![("victims::twin::passes", "ok")], "the twin's body"));
    // A filter that is not exact takes both, whichever of them starts the machines.
    for threads in ["--test-threads=1", "--test-threads=2"] {
        let ran = run(victims(&["--ignored", "passes", "--show-output", threads]));
        assert_eq!(ran.outcomes(), [("victims::passes", "ok"), ("victims::twin::passes", "ok")]);
        assert_eq!(ran.printed_by("victims::twin::passes"), "the twin's body");
        assert!(!ran.stdout.contains("---- victims::passes stdout"), "{ran:?}");
    }
}

#[test]
fn filters_and_skips_choose_tests() {
    let ran = run(victims(&["--ignored", "passes", "--skip", "twin"]));
    assert_eq!((ran.outcomes(), ran.code), (vec![("victims::passes", "ok")], Some(0)));
}

#[test]
fn binaries_that_run_at_once_do_not_meet() {
    let start = || {
        let mut command = victims(&["--ignored", "--test-threads=4", "passes", "one_of_three_fails", "children_print", "is_async"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..6).map(|_| start()).collect();
    let ran: Vec<_> = children.into_iter().map(|child| crate::child::Ran::new(&child.wait_with_output().unwrap())).collect();
    for one in &ran {
        // Each listens on port 80, and each is root.
        assert_eq!((one.outcomes(), one.outcomes().len(), one.code), (ran[0].outcomes(), 8, Some(101)), "{one:?}");
        assert_eq!(one.outcomes().iter().filter(|(_, outcome)| *outcome == "ok").count(), 6, "{one:?}");
    }
}
