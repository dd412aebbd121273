//! The attribute beside those of rstest and serial_test.

use crate::child::{Ran, run, victims};

fn run_composed(filter: &str) -> Ran {
    run(victims(&["--ignored", "--show-output", filter]))
}

#[test]
fn each_rstest_case_is_a_test_in_a_machine_of_its_own() {
    let ran = run_composed("victims::composed::cases_below");
    let names = ["victims::composed::cases_below::case_1", "victims::composed::cases_below::case_2_host_route"];
    assert_eq!(ran.outcomes(), names.map(|name| (name, "ok")), "{ran:?}");
    assert_eq!(
        names.map(|name| ran.printed_by(name)),
        ["10.0.0.1/24 on router, first process 1", "10.0.0.2/32 on router, first process 1"]
    );
}

#[test]
fn one_case_runs_by_its_name() {
    let name = "victims::composed::cases_below::case_2_host_route";
    let ran = run(victims(&["--ignored", "--exact", "--show-output", name]));
    assert_eq!((ran.outcomes(), ran.printed_by(name)), (vec![(name, "ok")], "10.0.0.2/32 on router, first process 1"));
}

#[test]
fn the_attribute_may_stand_above_rstest() {
    let ran = run_composed("victims::composed::cases_above");
    assert_eq!(
        ran.outcomes(),
        [("victims::composed::cases_above::case_1", "ok"), ("victims::composed::cases_above::case_2", "FAILED")],
        "{ran:?}"
    );
    assert_eq!(ran.printed_by("victims::composed::cases_above::case_1"), "first process 1");
    assert_eq!(ran.printed_by("victims::composed::cases_above::case_2"), "first process 1\nError: \"the second case\"");
}

#[test]
fn each_combination_of_rstest_values_is_a_test() {
    let ran = run_composed("victims::composed::values");
    let printed: Vec<_> = ran.outcomes().iter().map(|(name, outcome)| (ran.printed_by(name).to_owned(), *outcome)).collect();
    let expected = ["udp4", "udp6", "tcp4", "tcp6"].map(|what| (format!("{what}, first process 1"), "ok"));
    assert_eq!(printed, expected, "{ran:?}");
}

#[test]
fn a_case_has_the_timeout_of_the_attribute() {
    let ran = run_composed("victims::composed::case_with_timeout");
    assert_eq!((ran.outcomes(), ran.code), (vec![("victims::composed::case_with_timeout::case_1", "FAILED")], Some(101)));
    let printed = ran.printed_by("victims::composed::case_with_timeout::case_1");
    assert!(printed.contains("timed out after 200ms"), "{printed}");
}

#[test]
fn a_case_can_be_expected_to_panic() {
    let ran = run_composed("victims::composed::cases_that_panic");
    let outcomes = [
        ("victims::composed::cases_that_panic::case_1_wanted - should panic", "ok"),
        ("victims::composed::cases_that_panic::case_2_other - should panic", "FAILED"),
    ];
    assert_eq!(ran.outcomes(), outcomes, "{ran:?}");
    assert!(ran.stdout.contains("panic message: \"other\"\n expected substring: \"wanted\""), "{ran:?}");
}

#[test]
fn a_case_can_be_async() {
    let ran = run_composed("victims::composed::async_case");
    assert_eq!(ran.outcomes(), [("victims::composed::async_case::case_1", "ok")], "{ran:?}");
    assert_eq!(ran.printed_by("victims::composed::async_case::case_1"), "listens on 127.0.0.1:80, first process 1");
}

#[test]
fn serial_tests_do_not_run_at_once_and_others_do() {
    for (module, met) in [("serial_tests", "met: false"), ("parallel_tests", "met: true"), ("plain_tests", "met: true")] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = victims(&["--ignored", "--show-output", "--test-threads=2", &format!("victims::composed::{module}")]);
        command.env("VICTIMS_FOLDER", folder.path());
        let ran = run(command);
        let names = [format!("victims::composed::{module}::left"), format!("victims::composed::{module}::right")];
        assert_eq!(ran.outcomes(), names.each_ref().map(|name| (name.as_str(), "ok")), "{ran:?}");
        assert_eq!(names.each_ref().map(|name| ran.printed_by(name)), [met, met], "{module}");
    }
}
