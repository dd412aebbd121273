//! Runs this binary again, with tests of `victims`, and reads what it prints.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

/// This very file, whatever has become of its path.
pub(crate) const EXECUTABLE: &str = "/proc/self/exe";

/// This binary, not yet started, and in no way told that it is inside another test run.
pub(crate) fn victims(arguments: &[&str]) -> Command {
    program(EXECUTABLE.as_ref(), arguments)
}

pub(crate) fn program(path: &OsStr, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        let word = name.to_string_lossy();
        if word == "CI" || ["RUST_", "NEXTEST", "NETLAB", "GITHUB"].iter().any(|prefix| word.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    // What these tests hold against the output is the harness's own; `tests/evidence` sees to the rest.
    command.env("NETLAB_EVIDENCE", "0");
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What a run came to, without what differs from run to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn run(mut command: Command) -> Ran {
    Ran::new(&command.output().unwrap())
}

impl Ran {
    pub(crate) fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| normal(&String::from_utf8_lossy(bytes));
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// What libtest shows of one test's output, with `--show-output` or because it failed.
    pub(crate) fn printed_by(&self, name: &str) -> &str {
        let head = format!("---- {name} stdout ----\n");
        let (_, rest) = self.stdout.split_once(&head).unwrap_or_else(|| panic!("nothing by {name} in\n{}", self.stdout));
        rest.split_once("\n\n").map_or(rest, |(printed, _)| printed)
    }

    /// Name and outcome of each test, sorted by name.
    pub(crate) fn outcomes(&self) -> Vec<(&str, &str)> {
        let lines = self.stdout.lines().filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
        let mut outcomes: Vec<_> = lines.collect();
        outcomes.sort_unstable();
        outcomes
    }
}

/// The test runs alone and passes, and printed this.
pub(crate) fn passes(name: &str, printed: &str) {
    passes_as(name, "", printed);
}

/// The same for a test that libtest describes further, as ` - should panic`.
pub(crate) fn passes_as(name: &str, description: &str, printed: &str) {
    let name = &format!("victims::{name}");
    let ran = run(victims(&["--ignored", "--exact", name, "--show-output"]));
    let shown = if printed.is_empty() { String::new() } else { format!("---- {name} stdout ----\n{printed}\n\n\n") };
    let expected = format!(
        "\nrunning 1 test\ntest {name}{description} ... ok\n\nsuccesses:\n\n{shown}successes:\n    {name}\n\n\
         test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n\n"
    );
    assert_eq!(ran, Ran { code: Some(0), stdout: expected, stderr: String::new() }, "{}", ran.stdout);
}

/// The test runs alone and fails, and printed this.
pub(crate) fn fails(name: &str, printed: &str) {
    fails_as(name, "", printed);
}

/// The same for a test that libtest describes further, as ` - should panic`.
pub(crate) fn fails_as(name: &str, description: &str, printed: &str) {
    let name = &format!("victims::{name}");
    let ran = run(victims(&["--ignored", "--exact", name]));
    let shown = if printed.is_empty() { String::new() } else { format!("---- {name} stdout ----\n{printed}\n\n") };
    let expected = format!(
        "\nrunning 1 test\ntest {name}{description} ... FAILED\n\nfailures:\n\n{shown}failures:\n    {name}\n\n\
         test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured\n\n"
    );
    assert_eq!(ran, Ran { code: Some(101), stdout: expected, stderr: String::new() }, "{}", ran.stdout);
}

/// Without thread ids, durations and counts of other tests, and with the text of a line in place of its number.
pub(crate) fn normal(text: &str) -> String {
    text.split_inclusive('\n').map(normal_line).collect()
}

fn normal_line(line: &str) -> String {
    let line = match line.find("; finished in ") {
        Some(end) => {
            let count = line[..end].rfind("; ").unwrap_or(end);
            return format!("{}\n", &line[..count]);
        }
        None => line.to_owned(),
    };
    let line = without_thread_id(&line).unwrap_or(line);
    with_source(&line).unwrap_or(line)
}

/// `thread 'name' (123) panicked` without the number.
fn without_thread_id(line: &str) -> Option<String> {
    let (head, rest) = line.strip_prefix("thread '")?.split_once("' (")?;
    let (id, tail) = rest.split_once(") ")?;
    id.parse::<u64>().ok()?;
    Some(format!("thread '{head}' {tail}"))
}

/// `…/isolate/victims.rs:12:5` becomes what stands there.
fn with_source(line: &str) -> Option<String> {
    let (head, rest) = line.split_once("victims.rs:")?;
    let (row, rest) = number(rest)?;
    let (column, rest) = rest.strip_prefix(':').and_then(number).unwrap_or((1, rest));
    let source = include_str!("victims.rs").lines().nth(row - 1)?.get(column - 1..)?;
    let head = &head[..head.rfind(' ').map_or(0, |space| space + 1)];
    Some(format!("{head}<{}>{rest}", source.trim()))
}

fn number(text: &str) -> Option<(usize, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..end].parse().ok()?, &text[end..]))
}
