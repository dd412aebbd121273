//! `cargo netlab list`: the machines that are alive, and the ways into them.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use netlab::live::{self, Kind, Live};

/// So much of a program's arguments.
const WIDTH: usize = 100;

pub(crate) fn main(json: bool) -> ExitCode {
    let machines = match live::machines() {
        Ok(machines) => machines,
        Err(e) => {
            eprintln!("cargo-netlab: {e}");
            return ExitCode::FAILURE;
        }
    };
    let text = match json {
        true => serde_json::to_string_pretty(&machines).map(|text| text + "\n").map_err(io::Error::from),
        false => Ok(text(&machines)),
    };
    match text.and_then(|text| anstream::stdout().write_all(text.as_bytes())) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            eprintln!("cargo-netlab: cannot write the list: {e}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn text(machines: &[Live]) -> String {
    if machines.is_empty() {
        return "No machine is alive.\n".to_owned();
    }
    machines.iter().map(entry).collect::<Vec<_>>().join("\n")
}

fn entry(machine: &Live) -> String {
    let (bold, paused) = (Style::new().bold(), AnsiColor::Yellow.on_default());
    let mut text = format!("{bold}{}{bold:#}\n  process {} of user {}", title(machine), machine.pid, machine.user);
    if let Some(file) = &machine.paused {
        text += &format!(", {paused}paused{paused:#} until: rm {}", file);
    }
    text.push('\n');
    let width = machine.doors.iter().map(|door| door.name.chars().count()).max().unwrap_or_default();
    machine.doors.iter().for_each(|door| text += &format!("  {:width$}  {}\n", door.name, door.command));
    text
}

/// What a machine is for, in one line.
pub(crate) fn title(machine: &Live) -> String {
    let what = match machine.kind {
        Kind::Test => "test ",
        Kind::Function => "machine ",
        _ => "",
    };
    let mut subject: String = machine.subject.chars().take(WIDTH).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if subject.len() < machine.subject.len() {
        subject.push('…');
    }
    format!("{what}{subject}")
}
