//! What a test prints and what it inherits.

use std::io::Read;
use std::process::Stdio;

use crate::child::{Ran, normal, passes, run, victims};

#[test]
fn prints_of_children_and_grandchildren_are_captured_in_order() {
    passes("children_print", "the body\na child\na grandchild\na child's error\nthe body again");
}

#[test]
fn much_text_in_small_pieces_comes_whole() {
    let lines: Vec<String> = (0..20_000).map(|n| format!("line {n}")).collect();
    passes("prints_pieces_and_much", &format!("größer als 10 €\nnot text: \u{fffd}\n{}", lines.join("\n")));
}

#[test]
fn nothing_is_shown_of_a_test_that_passes() {
    let ran = run(victims(&["--ignored", "--exact", "victims::children_print"]));
    let expected =
        "\nrunning 1 test\ntest victims::children_print ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n\n";
    assert_eq!(ran, Ran { code: Some(0), stdout: expected.to_owned(), stderr: String::new() });
}

#[test]
fn nocapture_prints_directly_and_in_order() {
    let told = |command: &mut std::process::Command| {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(101));
        normal(&text)
    };
    let panic = "\nthread 'victims::panics' panicked at <panic!(\"the {} message\", \"panic's\");>:\nthe panic's message\n\
                 note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
    let expected = format!(
        "\nrunning 1 test\none\ntwo\nthree\n{panic}test victims::panics ... FAILED\n\nfailures:\n\nfailures:\n    victims::panics\n\n\
         test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured\n\n"
    );
    assert_eq!(told(&mut victims(&["--ignored", "--exact", "victims::panics", "--nocapture"])), expected);
    assert_eq!(told(victims(&["--ignored", "--exact", "victims::panics"]).env("RUST_TEST_NOCAPTURE", "1")), expected);
}

#[test]
fn each_stream_goes_its_own_way_with_nocapture() {
    let ran = run(victims(&["--ignored", "--exact", "victims::panics", "--no-capture"]));
    assert!(ran.stdout.starts_with("\nrunning 1 test\none\nthree\ntest victims::panics ... FAILED\n"), "{ran:?}");
    assert!(ran.stderr.starts_with("two\n\nthread 'victims::panics' panicked at "), "{ran:?}");
}

#[test]
fn working_directory_and_environment_are_the_callers_and_nothing_else_is_inherited() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().canonicalize().unwrap();
    let mut command = victims(&["--ignored", "--exact", "victims::shows_what_it_inherits", "--show-output"]);
    // An input that a test must not read, and a variable that is no text.
    command.current_dir(&there).env_remove("NETLAB_EVIDENCE").env("VICTIMS_SAY", "a=b c\nd").stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"the caller's input").unwrap();
    let ran = Ran::new(&child.wait_with_output().unwrap());
    let expected = format!(
        "stdin: \"\" from /dev/null\ncwd: {}\nenv: Ok(\"a=b c\\nd\")\nvariables of netlab: 0\ndescriptors of a program: {}",
        there.display(),
        // Those that the caller left open for everybody, beside the three.
        descriptors_of_a_program()
    );
    assert_eq!((ran.printed_by("victims::shows_what_it_inherits"), ran.code), (expected.as_str(), Some(0)), "{ran:?}");
}

fn descriptors_of_a_program() -> String {
    let output = std::process::Command::new("ls").arg("/proc/self/fd").stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_test_runs_on_a_thread_of_its_name() {
    passes("shows_its_thread", "thread Some(\"victims::shows_its_thread\") of a process with 2 threads");
}
