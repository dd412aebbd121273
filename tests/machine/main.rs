//! A machine for a program that is no test: what comes back, and what is left.

use std::process::Command;
use std::time::{Duration, Instant};

fn run(case: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_machine-program")).arg(case).env("RUST_BACKTRACE", "0").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_function_runs_in_a_fresh_machine_and_its_bytes_come_back() {
    assert_eq!(run("value"), "lab true far\n");
}

#[test]
fn machines_come_one_after_the_other_and_nothing_is_printed_twice() {
    assert_eq!(run("twice"), "printed once 1048576 1\n");
}

#[test]
fn an_error_of_the_function_comes_back_as_its_text() {
    let text = run("error");
    assert!(text.starts_with("timeout=false unexpected=true errno=None\n"), "{text}");
    assert!(text.contains("cannot find interface `host/nothing0`: No such device"), "{text}");
    assert!(text.contains("machine/program.rs:"), "{text}");
}

#[test]
fn a_function_that_does_not_return_is_named_as_what_it_is() {
    for (case, words) in [
        ("panic", "its process left with exit code 101 before it returned"),
        ("exit", "its process left with exit code 0 before it returned"),
        ("abort", "its process was killed by SIGABRT"),
    ] {
        let text = run(case);
        assert!(text.starts_with("timeout=false unexpected=true") && text.contains(words), "{case}: {text}");
    }
}

#[test]
fn a_function_that_hangs_is_ended() {
    let started = Instant::now();
    let text = run("hang");
    assert!(text.starts_with("timeout=true") && text.contains("timed out after 200ms"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_the_function_started_ends_with_the_machine() {
    let started = Instant::now();
    assert_eq!(run("daemon"), "left\n");
    // The daemon has our pipe: its end of file says that it is gone.
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_process_with_threads_is_not_copied() {
    let text = run("threads");
    assert!(text.contains("this process has 2 threads, and only a process with one can be copied safely"), "{text}");
}

#[test]
fn a_host_that_forbids_user_namespaces_is_told_with_its_cure() {
    let script = format!("echo 0 > /proc/sys/user/max_user_namespaces && exec {} value", env!("CARGO_BIN_EXE_machine-program"));
    let output = Command::new("unshare").args(["-Ur", "sh", "-c", &script]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("timeout=false unexpected=false errno=Some(28)\n"), "{text}");
    assert!(text.contains("cause: /proc/sys/user/max_user_namespaces is 0\n  help: sudo sysctl -w"), "{text}");
}
