//! One JSON object a line, for programs.

use std::io::{self, Write};
use std::ops::ControlFlow;

use scenarios::{Check, DOCUMENTS, Outcome, Selection, Stage, Way, select};
use serde::Serialize;

use crate::cli::End;
use crate::{code, fresh};

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    title: &'a str,
    verdict: &'a str,
    outcome: &'a str,
    observed: &'a [Check],
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    title: &'a str,
    verdict: &'a str,
    claim: &'a str,
    truth: &'a str,
    needs: &'a [&'a str],
    commands: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    fixtures: Option<String>,
}

#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    title: &'a str,
    verdict: &'a str,
}

/// Plays the stages and prints how each went.
pub(crate) fn run(selection: &Selection) -> io::Result<End> {
    let mut end = End::AsRecorded;
    fresh::each(selection, Way::AsWritten, |i, played| {
        let (_, stage) = selection[i];
        let why = match &played.outcome {
            Outcome::AsRecorded => None,
            Outcome::Differs { why, .. } | Outcome::Unsupported(why) | Outcome::Lacks(why) | Outcome::NotHere(why) => Some(why.as_str()),
        };
        let Stage { id, title, verdict, .. } = stage;
        print(&Line { id, title, verdict: verdict.letter(), outcome: played.outcome.words(), observed: &played.checks, why })?;
        end = end.max(fresh::end(&played.outcome));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(end)
}

/// Prints what there is.
pub(crate) fn list() -> io::Result<End> {
    for (_, stage) in DOCUMENTS.iter().filter_map(|document| select(document.id)).flatten() {
        print(&Listed { id: stage.id, title: stage.title, verdict: stage.verdict.letter() })?;
    }
    Ok(End::AsRecorded)
}

/// Prints what the stages are about.
pub(crate) fn show(selection: &Selection) -> io::Result<End> {
    for (document, stage) in selection {
        let Stage { id, title, verdict, claim, truth, needs, commands, .. } = stage;
        let fixtures = code::of(document, stage);
        print(&Shown { id, title, verdict: verdict.letter(), claim, truth, needs, commands, fixtures })?;
    }
    Ok(End::AsRecorded)
}

pub(crate) fn print(line: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    writeln!(out)
}
