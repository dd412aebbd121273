//! What the user types, and what it comes to.

use std::io;
use std::process::ExitCode;

use anstream::ColorChoice;
use clap::{Arg, ArgAction, ArgMatches, Command};
use scenarios::{DOCUMENTS, Selection, Verdict, Way, markdown, near, select};

use crate::page::Page;
use crate::{book, fresh, json, palette, proof, tour};

/// What a run of the program came to; each has its exit code.
///
/// The later one of two weighs more: where one stage differs and another cannot be played, something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// Everything is as recorded.
    AsRecorded,
    /// The arguments make no sense.
    Usage,
    /// This machine cannot play a stage.
    Unsupported,
    /// Something differs from what is recorded.
    Differs,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        Self::from(match end {
            End::AsRecorded => 0,
            End::Differs => 1,
            End::Usage => 2,
            End::Unsupported => 3,
        })
    }
}

const HELP: &str = "\
Without a command: lists the tutorials and plays all of them.

Exit code: 0 as recorded, 1 something differs, 2 wrong usage, 3 this machine cannot play a stage.";

fn command() -> Command {
    let ids = || Arg::new("ids").value_name("ID").num_args(1..).help("A tutorial (000) or a stage of it (000.14)");
    let all = || Arg::new("all").long("all").action(ArgAction::SetTrue).conflicts_with("ids").help("Every stage of every tutorial");
    Command::new("scenarios")
        .about("Container-networking tutorials, played and checked on a real kernel network")
        .after_help(HELP)
        .arg(
            Arg::new("color")
                .long("color")
                .global(true)
                .value_name("WHEN")
                .value_parser(["auto", "always", "never"])
                .default_value("auto")
                .help("Colours the output; auto is on a terminal, unless NO_COLOR is set"),
        )
        .arg(Arg::new("json").long("json").global(true).action(ArgAction::SetTrue).help("Prints one JSON object a line"))
        .subcommand(Command::new("list").about("Lists the tutorials and their stages"))
        .subcommand(
            Command::new("run").about("Plays stages, each in a machine of its own").arg(ids().required_unless_present("all")).arg(all()),
        )
        .subcommand(Command::new("show").about("Explains stages without playing them").arg(ids().required(true)))
        .subcommand(
            Command::new("prove")
                .about("Plays stages with their cause taken away and demands that their checks notice")
                .arg(ids().required_unless_present("all"))
                .arg(all()),
        )
        .subcommand(
            Command::new(fresh::PERFORM)
                .hide(true)
                .about("Plays one stage and prints what came of it, for the program itself")
                .arg(ids().num_args(1).required(true))
                .arg(Arg::new("without-cause").long("without-cause").action(ArgAction::SetTrue)),
        )
        .subcommand(
            Command::new("book")
                .about("Writes the book: a page a tutorial, with drawings of what the kernel has after each stage")
                .arg(Arg::new("folder").value_name("FOLDER").required(true).help("Where the pages go, such as docs/tutorials")),
        )
        .subcommand(
            Command::new(book::STATE)
                .hide(true)
                .about("Builds the state after a stage and prints its topology, for the program itself")
                .arg(ids().num_args(1).required(true)),
        )
        .subcommand(
            Command::new("markdown").hide(true).about("Prints a tutorial as its module documentation has it").arg(ids().required(true)),
        )
}

pub(crate) fn run() -> io::Result<End> {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(e) => {
            e.print()?;
            return Ok(if e.use_stderr() { End::Usage } else { End::AsRecorded });
        }
    };
    match matches.get_one::<String>("color").map(String::as_str) {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
    .write_global();
    match matches.subcommand() {
        Some((name, matches)) => match chosen(matches) {
            Ok(selection) => dispatch(name, matches, &selection),
            Err(unknown) => complain(&unknown),
        },
        None if matches.get_flag("json") => json::run(&everything()),
        None => {
            let mut page = Page::open();
            tour::list(&mut page)?;
            tour::run(&mut page, &everything())
        }
    }
}

fn dispatch(name: &str, matches: &ArgMatches, selection: &Selection) -> io::Result<End> {
    let json = matches.get_flag("json");
    match name {
        fresh::PERFORM => match selection.first() {
            Some((document, stage)) if matches.get_flag("without-cause") => fresh::perform(document, stage, Way::WithoutCause),
            Some((document, stage)) => fresh::perform(document, stage, Way::AsWritten),
            None => Ok(End::Usage),
        },
        book::STATE => selection.first().map_or(Ok(End::Usage), |(document, stage)| book::state(document, stage)),
        "book" => match matches.get_one::<String>("folder") {
            Some(folder) => book::write(folder.as_ref(), selection),
            None => Ok(End::Usage),
        },
        "list" if json => json::list(),
        "list" => tour::list(&mut Page::open()),
        "run" if json => json::run(selection),
        "run" => tour::run(&mut Page::open(), selection),
        "show" if json => json::show(selection),
        "show" => tour::show(&mut Page::open(), selection),
        "prove" if json => proof::json(selection),
        "prove" => proof::tell(&mut Page::open(), selection),
        _ => print_markdown(selection),
    }
}

/// The stages that were asked for; the error is an id that names none.
fn chosen(matches: &ArgMatches) -> Result<Selection, String> {
    let ids = matches.try_get_many::<String>("ids").ok().flatten();
    let Some(ids) = ids else { return Ok(everything()) };
    let mut selection = Selection::new();
    for id in ids {
        selection.extend(select(id).ok_or_else(|| id.clone())?);
    }
    Ok(selection)
}

fn everything() -> Selection {
    DOCUMENTS.iter().filter_map(|document| select(document.id)).flatten().collect()
}

fn complain(id: &str) -> io::Result<End> {
    let mut page = Page::errors();
    let near: Vec<_> = near(id).iter().map(|id| palette::paint(palette::STRONG, id)).collect();
    page.line(format!("{}: there is no tutorial or stage `{id}`", palette::paint(palette::BAD, "error")))?;
    page.line(format!("  near to it: {}", near.join(", ")))?;
    page.line("  all of them: `scenarios list`")?;
    Ok(End::Usage)
}

fn print_markdown(selection: &Selection) -> io::Result<End> {
    let mut page = Page::open();
    for document in DOCUMENTS.iter().filter(|document| selection.iter().any(|(chosen, _)| chosen.id == document.id)) {
        page.write(&markdown(document))?;
    }
    Ok(End::AsRecorded)
}

/// `15 true, 3 true with a precondition, …`, where there are any.
pub(crate) fn tally(selection: &Selection) -> String {
    let count = |verdict| selection.iter().filter(|(_, stage)| stage.verdict == verdict).count();
    let counts = Verdict::ALL.map(|verdict| (count(verdict), verdict));
    let words: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, verdict)| format!("{n} {verdict}")).collect();
    words.join(", ")
}
