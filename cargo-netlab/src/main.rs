//! `cargo netlab`: what this machine gives to isolated network tests, and machines for programs that are no tests.

mod arguments;
mod clean;
mod doctor;
mod evidence;
mod exec;
mod graph;
mod list;
mod per_test;
mod report;
mod verdicts;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    // cargo starts `cargo-netlab netlab …` for `cargo netlab …`.
    if arguments.get(1).is_some_and(|word| word == "netlab") {
        arguments.remove(1);
    }
    let matches = command().get_matches_from(arguments);
    match matches.subcommand() {
        Some(("doctor", matches)) => doctor::main(matches.get_flag("json")),
        Some(("exec", matches)) => {
            let plan = plan(matches);
            let apart = matches.get_flag("per-test").then(|| per_test::main(&plan)).flatten();
            apart.unwrap_or_else(|| exec::main(&plan))
        }
        Some(("list", matches)) => list::main(matches.get_flag("json")),
        Some(("clean", matches)) => clean::main(&clean::Wish {
            folder: path(matches, "folder"),
            machines: matches.get_flag("machines"),
            dry: matches.get_flag("dry-run"),
        }),
        Some(("report", matches)) => report::main(path(matches, "folder").as_deref(), path(matches, "output").as_deref()),
        Some(("graph", matches)) => {
            let plan = plan(matches);
            let scene = match matches.get_one::<String>("of") {
                Some(name) => graph::Scene::Of(name.clone()),
                None if plan.program.is_empty() => graph::Scene::Here,
                None => graph::Scene::After(plan),
            };
            graph::main(&scene, &canvas(matches))
        }
        Some((graph::INSIDE, matches)) => graph::inside(&words(matches, "program"), &canvas(matches)),
        Some((per_test::INSIDE, matches)) => per_test::inside(&plan(matches)),
        Some(("shell", matches)) => {
            let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into());
            exec::main(&exec::Plan { program: vec![shell], ..plan(matches) })
        }
        _ => ExitCode::FAILURE, // clap demands one of them
    }
}

fn plan(matches: &ArgMatches) -> exec::Plan {
    let names = matches.get_many::<String>("net").into_iter().flatten().cloned().collect();
    exec::Plan { networks: names, link: matches.get_one::<String>("link").cloned(), program: words(matches, "program") }
}

/// None where a command has no such argument.
fn words(matches: &ArgMatches, name: &str) -> Vec<OsString> {
    matches.try_get_many(name).ok().flatten().into_iter().flatten().cloned().collect()
}

fn path(matches: &ArgMatches, name: &str) -> Option<PathBuf> {
    matches.get_one(name).cloned()
}

fn canvas(matches: &ArgMatches) -> graph::Canvas {
    let format = matches.get_one::<String>("format").and_then(|word| graph::Format::from_word(word));
    graph::Canvas { format, file: path(matches, "output") }
}

fn command() -> Command {
    let net = Arg::new("net")
        .long("net")
        .value_name("NAME")
        .action(ArgAction::Append)
        .value_delimiter(',')
        .help("Make a network namespace of that name in the machine, for `ip netns exec NAME`; may be repeated");
    let link = Arg::new("link").long("link").value_name("NAME").help(
        "Make a link of that name, as most computers have one: up, 192.0.2.2/24, with a default route by 192.0.2.1, which answers; it is \
         interface 2, and leads into the namespace `uplink`",
    );
    let furniture = [net, link];
    let program = Arg::new("program")
        .value_name("PROGRAM")
        .help("The program and its arguments")
        .required(true)
        .num_args(1..)
        .trailing_var_arg(true)
        .allow_hyphen_values(true)
        .value_parser(ValueParser::os_string());
    let per_test = Arg::new("per-test")
        .long("per-test")
        .action(ArgAction::SetTrue)
        .help("If PROGRAM is a Rust test binary, give each of its tests a machine of its own");
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print it as JSON");
    let of = Arg::new("of")
        .long("of")
        .value_name("MACHINE")
        .conflicts_with("program")
        .help("The machine of that process, or the one whose name in `cargo netlab list` has this part");
    let canvas = [
        Arg::new("format")
            .long("format")
            .value_parser(graph::Format::WORDS)
            .help("How it is written; by default as FILE's ending says, else as mermaid"),
        Arg::new("output")
            .short('o')
            .long("output")
            .value_name("FILE")
            .value_parser(ValueParser::path_buf())
            .help("The file it is written to; by default standard output, and PROGRAM's own goes to standard error"),
    ];
    let folder = Arg::new("folder")
        .value_name("FOLDER")
        .value_parser(ValueParser::path_buf())
        .help("Where the evidence lies; by default `netlab` in cargo's target directory, or what NETLAB_EVIDENCE says");
    let page = Arg::new("output").short('o').long("output").value_name("FILE").value_parser(ValueParser::path_buf());
    let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    Command::new("cargo-netlab")
        .bin_name("cargo netlab")
        .about("Real Linux networks without root: what this machine gives, and machines for programs")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("doctor")
                .about("Tell whether isolated tests can run on this machine, as this user; if not, why, and what helps")
                .after_help("Leaves with 0 if they can, else with 1.")
                .arg(json.clone()),
        )
        .subcommand(
            Command::new("exec")
                .about("Run a program as root of a fresh machine: user, network, mount, PID, UTS and IPC namespaces")
                .after_help(
                    "Leaves as the program does: with its exit code, or by its signal. 125: there is no machine, 126: the program cannot be \
                     run, 127: there is none of that name.\n\nAs a cargo runner it lets test suites that need root run without:\n  \
                     CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=\"cargo-netlab exec --\" cargo test",
                )
                .args(&furniture)
                .args([per_test, program.clone()]),
        )
        .subcommand(
            Command::new("list")
                .about("List the machines that are alive, of running and paused tests, exec and shell, with the command that enters each namespace")
                .arg(json),
        )
        .subcommand(
            Command::new("graph")
                .about("Draw the network of a machine, as the kernel has it: namespaces, links, addresses, routes, rules, who listens")
                .after_help(
                    "With PROGRAM, what it leaves in a fresh machine, in namespaces that have a name or a process; with --of, a machine that \
                     is alive; else the one in which this runs.\n\n  cargo netlab graph -o lab.svg -- ./setup.sh\n  \
                     cargo netlab graph --of nat::masquerade -o lab.svg     # a test that is paused by NETLAB_PAUSE=fail",
                )
                .args(&canvas)
                .arg(of)
                .args(furniture.clone().map(|option| option.conflicts_with("of")))
                .arg(program.clone().required(false).last(true).trailing_var_arg(false)),
        )
        .subcommand(
            Command::new("report")
                .about("Collect what failing tests have left into one HTML page: errors, explanations, pictures, packets, states")
                .after_help("The page needs no other file and runs no script. Artifacts of CI: `cargo netlab report FOLDER -o report.html`.")
                .args([page.help("The page; by default report.html in FOLDER"), folder.clone()]),
        )
        .subcommand(
            Command::new("clean")
                .about("Remove the evidence of tests and the files of pauses that were killed, and look whether anything is left")
                .after_help("Leaves with 0 if nothing of netlab is left, else with 1.")
                .args([
                    flag("machines").help("Also end the machines that are alive, with the tests and programs in them"),
                    flag("dry-run").short('n').help("Only say what there is"),
                    folder,
                ]),
        )
        .subcommand(Command::new(graph::INSIDE).hide(true).args(&canvas).arg(program.clone()))
        .subcommand(Command::new(per_test::INSIDE).hide(true).args(&furniture).arg(program))
        .subcommand(Command::new("shell").about("Open a shell ($SHELL) as root of a fresh machine").args(furniture))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_arguments_are_well_formed() {
        super::command().debug_assert();
    }
}
