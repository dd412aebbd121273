//! The proof that a stage's checks can fail: its cause is taken away, and they must notice.

use std::io;
use std::ops::ControlFlow;

use anstyle::Style;
use scenarios::{Cause, Outcome, Phase, Selection, Stage, Way};
use serde::Serialize;

use crate::cli::End;
use crate::page::Page;
use crate::palette::{self, paint};
use crate::{fresh, json, tour};

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    title: &'a str,
    cause: &'a str,
    outcome: &'a str,
    observed: &'a str,
}

/// What became of a stage without its cause.
enum Proof {
    /// Its checks failed, and why.
    Noticed(String),
    /// They held nevertheless, or something else failed first.
    Missed(String),
    /// This machine cannot play it.
    Unsupported(String),
    /// This kernel or this machine lacks what the stage needs: which of them, and what.
    Lacks(&'static str, String),
}

impl Proof {
    fn words(&self) -> (&'static str, &str, End) {
        match self {
            Self::Noticed(why) => ("noticed", why, End::AsRecorded),
            Self::Missed(why) => ("missed", why, End::Differs),
            Self::Unsupported(why) => ("unsupported", why, End::Unsupported),
            Self::Lacks(words, why) => (words, why, End::AsRecorded),
        }
    }
}

fn proof(outcome: Outcome) -> Proof {
    let words = outcome.words();
    match outcome {
        Outcome::Differs { during: Phase::Check, why } => Proof::Noticed(why),
        Outcome::Differs { during, why } => Proof::Missed(format!("its checks were not reached ({during:?}): {why}")),
        Outcome::AsRecorded => Proof::Missed("its checks hold without it".to_owned()),
        Outcome::Unsupported(why) => Proof::Unsupported(why),
        Outcome::Lacks(why) | Outcome::NotHere(why) => Proof::Lacks(words, why),
    }
}

/// Proves stages and prints a JSON object for each.
pub(crate) fn json(selection: &Selection) -> io::Result<End> {
    let mut end = End::AsRecorded;
    fresh::each(selection, Way::WithoutCause, |i, played| {
        let (_, stage) = selection[i];
        let proof = proof(played.outcome);
        let (outcome, observed, this) = proof.words();
        json::print(&Line { id: stage.id, title: stage.title, cause: &missing(stage), outcome, observed })?;
        end = end.max(this);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(end)
}

/// Proves stages and tells what each noticed.
pub(crate) fn tell(page: &mut Page, selection: &Selection) -> io::Result<End> {
    let mut end = End::AsRecorded;
    tour::progress(page, selection, 0)?;
    fresh::each(selection, Way::WithoutCause, |i, played| {
        let (_, stage) = selection[i];
        let proof = proof(played.outcome);
        let (word, why, this) = proof.words();
        let (mark, style) = match (&proof, this) {
            (Proof::Lacks(..), _) => palette::LACKS,
            (_, End::AsRecorded) => ("✓", palette::GOOD),
            _ => ("✗", palette::BAD),
        };
        page.line(format!("{}  {}  {}", stage.id, paint(palette::STRONG, stage.title), paint(style, format!("{mark} {word}"))))?;
        page.paragraph("but", Style::new(), &missing(stage))?;
        page.paragraph("then", palette::FAINT, why.lines().next().unwrap_or_default())?;
        page.line("")?;
        end = end.max(this);
        tour::progress(page, selection, i + 1)?;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(end)
}

/// What the proof does to the stage, in words.
fn missing(stage: &Stage) -> String {
    match stage.cause {
        Cause::Own => format!("without its own change: {}", stage.commands.join("; ")),
        Cause::Change(id) => match scenarios::find_stage(id) {
            Some((_, cause)) => format!("without the change of {id}: {}", cause.commands.join("; ")),
            None => format!("without the change of {id}"),
        },
        Cause::Lack { of, .. } => format!("after {of}"),
    }
}
