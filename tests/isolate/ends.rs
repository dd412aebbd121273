//! However a test ends, the harness says how, and the run goes on.

use crate::child::{fails, fails_as, passes, passes_as, run, victims};

const HINT: &str = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";

#[test]
fn a_panic_is_shown_once_with_its_place_and_after_what_was_printed() {
    fails(
        "panics",
        &format!(
            "one\ntwo\nthree\n\nthread 'victims::panics' panicked at <panic!(\"the {{}} message\", \"panic's\");>:\nthe panic's message\n{HINT}"
        ),
    );
}

#[test]
fn a_panic_without_a_text_fails_the_test() {
    fails(
        "panics_without_text",
        &format!("\nthread 'victims::panics_without_text' panicked at <std::panic::panic_any(7);>:\nBox<dyn Any>\n{HINT}"),
    );
}

#[test]
fn a_panic_in_another_thread_is_shown_and_is_the_tests_own_affair() {
    let place = "<panic!(\"in the thread\")).unwrap();>";
    passes("panics_in_a_thread", &format!("\nthread 'second' panicked at {place}:\nin the thread\n{HINT}joined"));
}

#[test]
fn the_expected_panic_passes() {
    for (name, panic, message) in
        [("panics_as_expected", "panic!(\"what was wanted\");", "what was wanted"), ("panics_as_any", "panic!(\"whatever\");", "whatever")]
    {
        let printed = format!("\nthread 'victims::{name}' panicked at <{panic}>:\n{message}\n{}", HINT.trim_end());
        passes_as(name, " - should panic", &printed);
    }
}

#[test]
fn another_panic_than_the_expected_one_fails() {
    fails_as(
        "panics_otherwise",
        " - should panic",
        &format!(
            "\nthread 'victims::panics_otherwise' panicked at <panic!(\"something else\");>:\nsomething else\n{HINT}\
             note: panic did not contain expected string\n      panic message: \"something else\"\n expected substring: \"wanted\""
        ),
    );
}

#[test]
fn a_test_that_should_panic_and_does_not_fails() {
    let note = |name| format!("note: test did not panic as expected at <{name}() {{}}>");
    fails_as("should_panic_and_does_not", " - should panic", &note("should_panic_and_does_not"));
}

#[test]
fn an_exit_is_no_panic() {
    fails_as(
        "should_panic_and_exits",
        " - should panic",
        "test `victims::should_panic_and_exits` at <fn should_panic_and_exits() {>: the test process called exit(3) before the test ended\n\
         note: test did not panic as expected at <should_panic_and_exits() {>",
    );
}

#[test]
fn a_result_is_the_tests_outcome() {
    passes("returns_ok", "");
    fails("returns_an_error", "before\nError: \"the error's text\"\n");
    fails("returns_an_exit_code", "");
}

#[test]
fn an_async_body_runs_on_a_runtime_in_the_machine() {
    passes("is_async", "port 80, and the timer: Err(Elapsed(()))");
    fails(
        "is_async_and_panics",
        &format!("\nthread 'victims::is_async_and_panics' panicked at <panic!(\"after an await\");>:\nafter an await\n{HINT}"),
    );
}

#[test]
fn an_exit_fails_the_test_even_with_code_zero() {
    fails("exits", "before\ntest `victims::exits` at <fn exits() {>: the test process called exit(3) before the test ended\n");
    fails(
        "exits_with_zero",
        "test `victims::exits_with_zero` at <fn exits_with_zero() {>: the test process called exit(0) before the test ended\n",
    );
}

#[test]
fn a_signal_that_ends_the_test_is_named() {
    fails("aborts", "before\ntest `victims::aborts` at <fn aborts() {>: the test process was killed by SIGABRT (abort)\n");
    fails("segfaults", "test `victims::segfaults` at <fn segfaults() {>: the test process was killed by SIGSEGV (segmentation fault)\n");
    fails("is_killed", "test `victims::is_killed` at <fn is_killed() {>: the test process was killed by SIGKILL\n");
}

#[test]
fn a_stack_overflow_is_called_by_its_name() {
    fails(
        "overflows_its_stack",
        "\nthread 'victims::overflows_its_stack' has overflowed its stack\nfatal runtime error: stack overflow, aborting\n\
         test `victims::overflows_its_stack` at <fn overflows_its_stack() {>: the test process was killed by SIGABRT (abort)\n",
    );
}

#[test]
fn a_test_that_takes_too_long_is_ended_and_says_so() {
    let ran = run(victims(&["--ignored", "--exact", "victims::hangs"]));
    let printed = ran.printed_by("victims::hangs");
    assert!(printed.starts_with("before\nthread `victims::hangs` is here:\n"), "{printed}");
    assert!(printed.contains("\ntest `victims::hangs` at <fn hangs() {>: timed out after 300ms\n"), "{printed}");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(101), ""));
}

#[test]
fn a_test_that_fails_fails_the_run_and_nothing_else() {
    for threads in ["--test-threads=1", "--test-threads=3"] {
        let ran = run(victims(&["--ignored", "one_of_three_fails::", threads]));
        let outcomes = [
            ("victims::one_of_three_fails::first", "ok"),
            ("victims::one_of_three_fails::second", "FAILED"),
            ("victims::one_of_three_fails::third", "ok"),
        ];
        assert_eq!((ran.code, ran.outcomes()), (Some(101), outcomes.to_vec()), "{ran:?}");
        assert!(ran.stdout.ends_with("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured\n\n"), "{ran:?}");
    }
}

#[test]
fn tests_go_on_after_those_that_died() {
    let names = ["aborts", "exits", "is_killed", "overflows_its_stack", "passes", "segfaults", "twin::passes"]
        .map(|name| format!("victims::{name}"));
    let names = names.each_ref().map(String::as_str);
    let ran = run(victims(&[&["--ignored", "--exact", "--test-threads=1"], &names[..]].concat()));
    let expected: Vec<_> = names.iter().map(|name| (*name, if name.ends_with("passes") { "ok" } else { "FAILED" })).collect();
    assert_eq!((ran.code, ran.outcomes()), (Some(101), expected), "{ran:?}");
}
