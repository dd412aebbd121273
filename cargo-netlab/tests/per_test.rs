//! `cargo netlab exec --per-test`: the tests of a binary that knows nothing of netlab, each in a machine of its own.
//!
//! That binary is this one: the tests that are run so are the ignored ones below.

mod common;

use std::process::{Command, Stdio};

use common::{Result, User, exec, run};

/// Makes a link of a name that only one can have, and leaves it.
fn takes_the_name() -> Result<()> {
    let output = run(Command::new("ip").args(["link", "add", "only-one", "type", "veth"]))?;
    if output.status.success() { Ok(()) } else { Err(output.text.into()) }
}

#[test]
#[ignore = "run as a child"]
fn victim_takes_a_name() -> Result<()> {
    takes_the_name()
}

#[test]
#[ignore = "run as a child"]
fn victim_takes_the_same_name() -> Result<()> {
    takes_the_name()
}

#[test]
#[ignore = "run as a child"]
fn victim_wrong_panics() {
    println!("said before");
    panic!("as it should");
}

#[test]
#[ignore = "run as a child"]
fn victim_wrong_aborts() {
    std::process::abort();
}

#[test]
#[ignore = "run as a child"]
#[should_panic(expected = "as it should")]
fn victim_right_panics() {
    panic!("as it should");
}

/// This binary as its own victim; without machines, or with one for all, or with one for each.
fn victims(user: User, machines: &[&str], arguments: &[&str]) -> Result<common::Ended> {
    let myself = common::published_copy(&std::env::current_exe()?)?;
    let mut command = match machines {
        [] => user.command(myself.path().join("program"))?,
        _ => exec(user)?,
    };
    if let [_, rest @ ..] = machines {
        command.args(rest).arg("--").arg(myself.path().join("program"));
    }
    run(command.args(arguments).env("RUST_BACKTRACE", "0").env_remove("RUST_TEST_THREADS").stdin(Stdio::null()))
}

const APART: [&str; 2] = ["exec", "--per-test"];

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_default()
}

#[test]
fn each_test_has_a_network_of_its_own() -> Result<()> {
    for user in User::all() {
        let apart = victims(user, &APART, &["victim_takes", "--ignored"])?;
        assert_eq!(apart.status.code(), Some(0), "{user:?}: {}", apart.text);
        assert!(apart.text.contains("\nrunning 2 tests\n"), "{}", apart.text);
        assert!(
            line(&apart.text, "test result").starts_with("test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; "),
            "{}",
            apart.text
        );
        // In one machine for both, one is in the other's way.
        let together = victims(user, &["exec"], &["victim_takes", "--ignored"])?;
        assert_eq!(together.status.code(), Some(101), "{user:?}: {}", together.text);
        assert!(line(&together.text, "test result").contains("1 passed; 1 failed"), "{}", together.text);
    }
    Ok(())
}

#[test]
fn without_a_machine_an_ordinary_users_tests_fail() -> Result<()> {
    if let Some(user) = User::ordinary() {
        let bare = victims(user, &[], &["victim_takes", "--ignored"])?;
        assert!(line(&bare.text, "test result").contains("0 passed; 2 failed"), "{}", bare.text);
    }
    Ok(())
}

/// Times and process ids differ from run to run.
fn steady(text: &str) -> String {
    let line = |line: &str| match line.split_once("; finished in ") {
        Some((line, _)) => line.to_owned(),
        None => match (line.find("' ("), line.find(") panicked")) {
            (Some(start), Some(end)) => line[..start + 1].to_owned() + &line[end + 1..],
            _ => line.to_owned(),
        },
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn it_prints_what_libtest_prints_and_leaves_with_its_code() -> Result<()> {
    for words in [
        &["victim_wrong_panics", "--ignored"][..],
        &["victim_right", "--ignored"],
        &["victim_right", "--ignored", "--nocapture"],
        &["victim_right"],
        &["victim_right", "-q", "--ignored"],
        &["victim_takes", "-q"],
        &["victim_wrong_panics", "victim_right", "--include-ignored", "--skip", "right"],
        &["no_test_has_such_a_name"],
        &["--list", "victim"],
    ] {
        let apart = victims(User::Myself, &APART, words)?;
        let together = victims(User::Myself, &["exec"], words)?;
        assert_eq!(steady(&apart.text), steady(&together.text), "{words:?}");
        assert_eq!(apart.status.code(), together.status.code(), "{words:?}");
    }
    Ok(())
}

#[test]
fn a_test_that_aborts_fails_alone() -> Result<()> {
    let output = victims(User::Myself, &APART, &["victim_wrong_aborts", "victim_right", "--ignored"])?;
    assert_eq!(output.status.code(), Some(101));
    assert!(line(&output.text, "test result").contains("1 passed; 1 failed"), "{}", output.text);
    assert!(output.text.contains("the test's process ended with signal: 6 (SIGABRT)"), "{}", output.text);
    Ok(())
}

#[test]
fn what_cannot_be_had_is_refused() -> Result<()> {
    let output = victims(User::Myself, &APART, &["--logfile", "x"])?;
    assert_eq!(output.status.code(), Some(125));
    assert!(output.text.contains("`--logfile` of a test binary cannot be had with --per-test"), "{}", output.text);
    Ok(())
}

#[test]
fn a_program_that_is_no_test_binary_runs_as_it_is() -> Result<()> {
    let output = run(exec(User::Myself)?.args(["--per-test", "--", "sh", "-c", "echo $0 $1; exit 4", "--list", "x"]))?;
    assert_eq!((output.text.as_str(), output.status.code()), ("--list x\n", Some(4)));
    Ok(())
}
