//! The folder: when it is written, where, and what is in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::child::{command, files, run, run_with};

/// What only the lab as it was can have.
fn holds_the_lab(state: &str) {
    for told in [
        "======== host\n",
        "======== laptop\n",
        "======== server\n",
        "inet 10.0.0.2/24 scope global",
        "default via 10.0.0.1 dev eth0",
        "mtu 1400",
        "counter packets",
        "drop # handle",
        "net/ipv4/ip_forward = 1 (was 0)",
    ] {
        assert!(state.contains(told), "`{told}` is missing in\n{state}");
    }
}

#[test]
fn a_panic_leaves_the_lab_as_it_was_before_its_fixtures_went() {
    let left = run("panics").failed();
    let state = left.state();
    holds_the_lab(&state);
    assert!(state.starts_with("evidence::victims::panics failed at tests/evidence/victims.rs:"), "{state}");
    assert!(state.contains("somebody else") && state.contains("`victims::panics` had panicked, before"), "{state}");
    let log = left.read("logs/1-sh-server.log");
    assert!(log.starts_with("sh in server, process ") && log.contains("it runs\n"), "{log}");
    assert!(log.contains("--- standard output\nto the log\n") && log.contains("--- standard error\nan error\n"), "{log}");
    assert!(state.contains("---- listening\ntcp 10.0.0.1:80  server\n"), "{state}");
    let (svg, mermaid) = (left.read("topology.svg"), left.read("topology.mmd"));
    assert!(
        svg.starts_with("<svg ") && ["laptop", "server", "10.0.0.2"].iter().all(|word| svg.contains(word) && mermaid.contains(word)),
        "{mermaid}"
    );
    // After the message, once.
    let (_, after) = left.output.split_once("somebody else").unwrap();
    let line = format!("\nnetlab: evidence is in {}\n", left.folder().display());
    assert_eq!(after.matches(&line).count(), 1, "{}", left.output);
}

#[test]
fn an_error_that_leaves_the_test_does_so_too() {
    for (victim, told) in [("returns_an_error", "cannot get an answer in `laptop`"), ("returns_an_error_in_a_box", "cannot find link")] {
        let left = run(victim).failed();
        let state = left.state();
        holds_the_lab(&state);
        assert!(state.contains("an error was on its way out of the test"), "{state}");
        let head = state.split("The state below").next().unwrap();
        assert!(head.contains(told) || head.contains("eth7"), "{state}");
        assert!(left.read("logs/1-sh-server.log").contains("it runs\n"));
    }
}

#[test]
fn a_probe_that_failed_is_explained_with_its_packets() {
    let left = run("returns_an_error").failed();
    let explanation = left.read("explanation.txt");
    assert!(explanation.starts_with("`laptop` asked udp 10.0.0.1:9 once more.\n"), "{explanation}");
    assert!(explanation.contains("INPUT") && explanation.contains("drop"), "{explanation}");
    let sequence = left.read("sequence.mmd");
    assert!(sequence.starts_with("sequenceDiagram") && sequence.contains("laptop"), "{sequence}");
    let packets = fs::read(left.folder().join("packets.pcapng")).unwrap();
    assert!(packets.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) && packets.len() > 300, "{packets:?}");
    // The place is marked in the picture.
    assert!(left.read("topology.svg").contains("✕"), "{}", left.read("topology.svg"));
    // The state is from before: the probe was sent, and once more for its error's text.
    assert!(left.state_of("server").contains("counter packets 2 bytes"), "{}", left.state());
    // What fails for another reason has no explanation.
    let left = run("panics").failed();
    let names = files(&left.folder());
    assert!(!names.iter().any(|path| path.ends_with("explanation.txt")), "{names:?}");
}

#[test]
fn the_folder_explains_as_the_error_does_and_does_not_ask_again() {
    let left = run("returns_an_error_of_what_was_mended_since").failed();
    let explanation = left.read("explanation.txt");
    let cause = explanation.lines().find(|line| line.starts_with("cause: ")).expect("a cause");
    assert!(cause.contains("eth0 is down") && left.output.contains(cause), "{cause}\n{}", left.output);
}

#[test]
fn a_fixture_that_could_not_be_made_leaves_what_there_was() {
    let left = run("cannot_build").failed();
    let state = left.state();
    assert!(state.contains("cannot plug a cable from `laptop/eth1` to `laptop/eth2`"), "{state}");
    assert!(left.state_of("laptop").contains("eth1@eth0"), "{state}");
}

#[test]
fn a_test_whose_time_is_up_leaves_it_too() {
    let left = run("hangs").failed();
    let state = left.state();
    holds_the_lab(&state);
    assert!(state.contains("timed out after 300ms") && state.contains("its time was up"), "{state}");
    assert!(left.output.contains("thread `victims::hangs` is here:"), "{}", left.output);
}

#[test]
fn a_panic_on_another_thread_is_looked_at_where_it_happens() {
    let left = run("panics_elsewhere").failed();
    let state = left.state();
    holds_the_lab(&state);
    assert!(state.contains("`server` had panicked") && state.contains("in the server"), "{state}");
}

#[test]
fn an_error_that_is_not_netlabs_is_looked_at_too_late_and_says_so() {
    let left = run("returns_a_strange_error").failed();
    let state = left.state();
    assert!(state.contains("what its fixtures had made was gone") && !state.contains("======== laptop"), "{state}");
}

#[test]
fn a_test_that_passes_leaves_nothing() {
    for victim in ["passes", "deals_with_its_errors", "panics_as_it_should"] {
        let left = run(victim).passed();
        assert!(left.is_empty(), "{victim}: {}", left.output);
        assert!(!left.output.contains("evidence is"), "{}", left.output);
    }
}

#[test]
fn a_panic_that_is_not_the_expected_one_leaves_evidence() {
    let left = run("panics_otherwise").failed();
    holds_the_lab(&left.state());
}

#[test]
fn on_demand_a_test_that_passes_leaves_the_lab_before_its_last_drops() {
    let left = run_with("passes", |command| {
        command.env("NETLAB_KEEP", "always");
    });
    let left = left.passed();
    let state = left.state();
    holds_the_lab(&state);
    assert!(state.starts_with("evidence::victims::passes passed at ") && state.contains("a fixture was about to be dropped"), "{state}");
}

#[test]
fn evidence_can_be_turned_off() {
    let left = run_with("panics", |command| {
        command.env("NETLAB_EVIDENCE", "0");
    });
    let left = left.failed();
    assert!(left.is_empty() && !left.output.contains("evidence is"), "{}", left.output);
}

#[test]
fn the_last_failures_files_are_replaced_and_nothing_else() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("evidence/victims/panics");
    fs::create_dir_all(folder.join("logs")).unwrap();
    fs::create_dir_all(folder.join("a_module")).unwrap();
    for old in ["old.txt", "logs/9-old-old.log", "a_module/state.txt"] {
        fs::write(folder.join(old), "old").unwrap();
    }
    let output = command("panics").env("NETLAB_EVIDENCE", base.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(101));
    let names: Vec<_> = files(&folder).iter().map(|path| path.strip_prefix(&folder).unwrap().display().to_string()).collect();
    assert!(names.contains(&"state.txt".to_owned()) && names.contains(&"logs/1-sh-server.log".to_owned()), "{names:?}");
    assert!(names.contains(&"a_module/state.txt".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("old")), "{names:?}");
}

#[test]
fn a_folder_that_cannot_be_written_is_a_note_and_no_failure_of_its_own() {
    let base = tempfile::tempdir().unwrap();
    // A file in the place of the folder stops root, too.
    fs::write(base.path().join("evidence"), "in the way").unwrap();
    let output = command("panics").env("NETLAB_EVIDENCE", base.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("netlab: no evidence is kept: cannot write to ") && text.contains("0 passed; 1 failed"), "{text}");
    assert!(text.contains("somebody else") && !text.contains("Os {"), "{text}");
}

#[test]
fn without_a_word_it_goes_to_the_target_directory_of_the_running_binary() {
    // A target directory as cargo makes one, with this binary in it.
    let target = tempfile::tempdir().unwrap();
    let deps = target.path().join("debug/deps");
    fs::create_dir_all(&deps).unwrap();
    fs::set_permissions(target.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(target.path().join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55").unwrap();
    let copy = deps.join("evidence-1");
    fs::copy("/proc/self/exe", &copy).unwrap();
    let mut there = std::process::Command::new(&copy);
    for (name, value) in std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "LD_LIBRARY_PATH") {
        there.env(name, value);
    }
    there.args(["--ignored", "--exact", "victims::panics"]).env_remove("NETLAB_EVIDENCE").env_remove("CARGO_TARGET_DIR").current_dir("/");
    let text = String::from_utf8(there.output().unwrap().stdout).unwrap();
    assert!(target.path().join("netlab/evidence/victims/panics/state.txt").is_file(), "{text}");
}
