//! `cargo netlab doctor`: the report on this machine, for people and for programs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use netlab::host::{self, Check, Part, Report, State};

const WIDTH: usize = 80;
/// Where the name of a check begins, after its mark.
const INDENT: usize = 5;
/// Where the answer begins.
const COLUMN: usize = 38;

const PARTS: [(Part, &str); 5] = [
    (Part::Namespaces, "Namespaces, each by itself"),
    (Part::Machine, "A machine, step by step"),
    (Part::Switches, "What may forbid it"),
    (Part::Limits, "Limits"),
    (Part::Features, "Features, for the tests that need them"),
];

pub(crate) fn main(json: bool) -> ExitCode {
    let report = match host::report() {
        Ok(report) => report,
        Err(e) => {
            eprintln!("cargo-netlab: {e}");
            return ExitCode::FAILURE;
        }
    };
    let text = match json {
        true => serde_json::to_string_pretty(&report).map(|text| text + "\n").map_err(io::Error::from),
        false => Ok(text(&report)),
    };
    let written = text.and_then(|text| anstream::stdout().write_all(text.as_bytes()));
    match written {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            eprintln!("cargo-netlab: cannot write the report: {e}");
            ExitCode::FAILURE
        }
        _ => ExitCode::from(u8::from(!report.isolated_tests)),
    }
}

fn text(report: &Report) -> String {
    let place = match &report.surroundings[..] {
        [] => String::new(),
        known => format!(", in {}", known.join(", ")),
    };
    let mut text = format!("Linux {}, user {}{place}\n", report.kernel, report.user);
    for (part, title) in PARTS {
        let checks: Vec<&Check> = report.checks.iter().filter(|check| check.part == part).collect();
        write!(text, "\n{}\n{}", painted(Style::new().bold(), title), lines(&checks)).unwrap_or_default();
    }
    text + "\n" + &verdict(report)
}

/// The checks of a part: neighbours of which the same is to be said share a line.
fn lines(checks: &[&Check]) -> String {
    let mut text = String::new();
    let mut rest = checks;
    while let Some(first) = rest.first() {
        let is_like_it = |check: &&&Check| check.state == first.state && check.found == first.found && check.findings == first.findings;
        let alike = &rest[..rest.iter().take_while(is_like_it).count().max(1)];
        let names = alike.iter().map(|check| check.name.as_str()).collect::<Vec<_>>().join(", ");
        let line = match &first.found[..] {
            "" => names,
            found if names.len() < COLUMN - INDENT => format!("{names:<width$}{found}", width = COLUMN - INDENT),
            found => format!("{names}: {found}"),
        };
        marked(&mut text, first.state, &line);
        for finding in &first.findings {
            wrapped(&mut text, &format!("cause: {}", finding.cause), "     ", "       ");
            wrapped(&mut text, &format!("cure:  {}", finding.cure), "     ", "       ");
        }
        rest = &rest[alike.len()..];
    }
    text
}

fn marked(text: &mut String, state: State, line: &str) {
    let (mark, style) = match state {
        State::Green => ("ok", AnsiColor::Green.on_default()),
        State::Red => ("NO", AnsiColor::Red.on_default().bold()),
        State::Grey => ("--", AnsiColor::BrightBlack.on_default()),
    };
    let mut lines = String::new();
    wrapped(&mut lines, line, "     ", "     ");
    text.push_str(&lines.replacen("     ", &format!("  {} ", painted(style, mark)), 1));
}

fn wrapped(text: &mut String, line: &str, first: &str, next: &str) {
    let options = textwrap::Options::new(WIDTH).initial_indent(first).subsequent_indent(next).break_words(false);
    // Words of a command are not cut at their hyphens.
    let options = options.word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::wrap(line, options).iter().for_each(|line| {
        text.push_str(line);
        text.push('\n');
    });
}

fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

fn verdict(report: &Report) -> String {
    let red = |check: &&Check| check.state == State::Red;
    let missing = report.checks.iter().filter(|check| check.part == Part::Features).filter(red).count();
    if report.isolated_tests {
        let mut text = painted(AnsiColor::Green.on_default().bold(), "Isolated tests run here.");
        match missing {
            0 => {}
            1 => text += " One feature is missing.",
            n => text += &format!(" {n} features are missing."),
        }
        return text + "\n";
    }
    let mut text = painted(AnsiColor::Red.on_default().bold(), "Isolated tests do not run here.") + " What helps:\n";
    let cures: BTreeSet<&str> =
        report.checks.iter().filter(red).flat_map(|check| &check.findings).map(|finding| finding.cure.as_str()).collect();
    cures.iter().for_each(|cure| wrapped(&mut text, cure, "  ", "    "));
    text
}
