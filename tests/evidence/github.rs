//! What GitHub Actions is told of a failure.

use std::fs;
use std::path::Path;

use crate::child::{run, run_with};

/// The number of the line of `victims` with these words.
fn line_of(words: &str) -> usize {
    include_str!("victims.rs").lines().position(|line| line.contains(words)).unwrap() + 1
}

#[test]
fn a_failure_is_an_annotation_at_its_line_and_a_section_with_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary.md");
    fs::write(&summary, "# Before\n\n").unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().canonicalize().unwrap();
    for (victim, words, told) in [
        ("panics", "assert_eq!(lab.laptop.name(), \"somebody else\")", "assertion `left == right` failed%0A"),
        ("cannot_build", "let _two =", "cannot plug a cable from `laptop/eth1` to `laptop/eth2`: "),
    ] {
        let left = run_with(victim, |command| {
            command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary).env("GITHUB_WORKSPACE", &repository);
        });
        let left = left.failed();
        let line = line_of(words);
        let begin =
            format!("\n::error file=tests/evidence/victims.rs,line={line},title=evidence%3A%3Avictims%3A%3A{victim} failed::{told}");
        assert_eq!(left.output.matches(&begin).count(), 1, "{begin}\n{}", left.output);
        let text = fs::read_to_string(&summary).unwrap();
        let (before, section) =
            text.split_once(&format!("### ❌ `evidence::victims::{victim}`\n\n`tests/evidence/victims.rs:{line}`\n")).unwrap();
        assert!(before.starts_with("# Before\n"), "{before}");
        assert!(section.contains("```mermaid\n") && section.contains(left.read("topology.mmd").trim_end()), "{section}");
        assert!(section.contains(&format!("Evidence: `{}`", left.folder().display())), "{section}");
        assert!(section.contains("somebody else") || section.contains("cannot plug a cable"), "{section}");
    }
}

#[test]
fn a_summary_that_cannot_be_written_is_a_note() {
    let left = run_with("panics", |command| {
        command.env("GITHUB_STEP_SUMMARY", "/nowhere/summary.md");
    });
    let left = left.failed();
    assert!(left.output.contains("netlab: nothing is added to the job's summary: "), "{}", left.output);
    assert!(!left.output.contains("::error"), "{}", left.output);
}

#[test]
fn elsewhere_nothing_is_said_to_github() {
    let left = run("panics").failed();
    assert!(!left.output.contains("::error") && !left.output.contains("summary"), "{}", left.output);
}
