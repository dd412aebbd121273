//! What GitHub Actions shows of a failure: an annotation at the failing line, and the pictures in the job's summary.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::collect::Snapshot;

/// GitHub shows no more than 1 MiB of a step's summary, and nothing of a larger one.
const SUMMARY_BYTES: u64 = 1024 * 1024;
const SECTION_BYTES: usize = 64 * 1024;
const ERROR_LINES: usize = 40;

/// Tells of a test that failed there, if this is a job of GitHub's.
pub(super) fn tell(test: &str, place: (&str, u32), text: &str, snapshot: &Snapshot, folder: Option<&Path>) {
    if env::var_os("GITHUB_ACTIONS").is_some_and(|is| is == "true") {
        // A command of the runner, which reads what the step prints; a line of its own.
        eprintln!("{}", annotation(test, &in_repository(place.0), place.1, text));
    }
    if let Some(summary) = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
        let section = section(test, place, text, snapshot, folder);
        if let Err(e) = append(Path::new(&summary), &section) {
            eprintln!("netlab: nothing is added to the job's summary: {e}");
        }
    }
}

fn annotation(test: &str, file: &str, line: u32, text: &str) -> String {
    let title = format!("{test} failed");
    let message = if text.is_empty() { "the test failed" } else { text };
    format!("::error file={},line={line},title={}::{}", property(file), property(&title), data(message))
}

/// As the runner unescapes them (actions/toolkit, packages/core/src/command.ts).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The compiler names a file as seen from the workspace; the runner wants it as seen from the repository.
fn in_repository(file: &str) -> String {
    let here = env::current_dir().unwrap_or_default();
    let found: Option<PathBuf> = here.ancestors().map(|folder| folder.join(file)).find(|path| path.is_file());
    let workspace = env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
    let inside = found.as_ref().zip(workspace.as_ref()).and_then(|(path, workspace)| path.strip_prefix(workspace).ok());
    inside.map_or_else(|| file.to_owned(), |path| path.display().to_string())
}

fn section(test: &str, (file, line): (&str, u32), text: &str, snapshot: &Snapshot, folder: Option<&Path>) -> String {
    let mut section = format!("### ❌ `{test}`\n\n`{file}:{line}`\n\n");
    let read = |name: &str| snapshot.files.iter().find(|(known, _)| known == name).map(|(_, bytes)| String::from_utf8_lossy(bytes));
    let lines: Vec<&str> = text.lines().take(ERROR_LINES).collect();
    let mut add = |title: &str, language: &str, body: &str| {
        let block = format!("{title}\n\n{fence}{language}\n{}\n{fence}\n\n", body.trim_end(), fence = fence(body));
        if section.len() + block.len() <= SECTION_BYTES {
            section.push_str(&block);
        } else {
            section.push_str(&format!("{title}\n\n(too long for a summary)\n\n"));
        }
    };
    if !lines.is_empty() {
        add("", "text", &lines.join("\n"));
    }
    for (name, title, language) in
        [("explanation.txt", "**Why**", "text"), ("topology.mmd", "**The lab**", "mermaid"), ("sequence.mmd", "**Its packets**", "mermaid")]
    {
        if let Some(body) = read(name) {
            add(title, language, &body);
        }
    }
    if let Some(folder) = folder {
        section.push_str(&format!("Evidence: `{}`\n\n", folder.display()));
    }
    section
}

/// More backticks in a row than the text has.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    "`".repeat((longest + 1).max(3))
}

/// In one piece: other tests add theirs at the same time.
fn append(summary: &Path, section: &str) -> io::Result<()> {
    let there = fs::metadata(summary).map_or(0, |metadata| metadata.len());
    if there + section.len() as u64 > SUMMARY_BYTES {
        return Err(io::Error::other("it is full"));
    }
    OpenOptions::new().append(true).create(true).open(summary)?.write_all(section.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_one_line_that_the_runner_reads_back() {
        let line = annotation("nat::works", "tests/a,b.rs", 7, "100 % lost\nat: eth0");
        assert_eq!(line, "::error file=tests/a%2Cb.rs,line=7,title=nat%3A%3Aworks failed::100 %25 lost%0Aat: eth0");
    }

    #[test]
    fn a_block_ends_where_its_text_does() {
        assert_eq!((fence("plain"), fence("```"), fence("`")), ("```".to_owned(), "````".to_owned(), "```".to_owned()));
    }
}
