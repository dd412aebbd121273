//! The tour: every stage narrated.

use std::io;
use std::ops::ControlFlow;
use std::time::Instant;

use anstyle::Style;
use scenarios::{Check, DOCUMENTS, Document, Outcome, Played, Role, Selection, Stage, Way, select};

use crate::cli::{End, tally};
use crate::page::{Page, Row};
use crate::palette::{self, paint};
use crate::{code, fresh, summary};

/// Lists what there is.
pub(crate) fn list(page: &mut Page) -> io::Result<End> {
    for document in DOCUMENTS {
        let stages = select(document.id).unwrap_or_default();
        title(page, document)?;
        for (_, stage) in &stages {
            let (mark, style) = palette::verdict(stage.verdict);
            page.line(format!("  {}  {} {}", stage.id, paint(style, mark), stage.title))?;
        }
        page.line(format!("\n  {}\n", paint(palette::FAINT, format!("{} stages: {}", stages.len(), tally(&stages)))))?;
    }
    Ok(End::AsRecorded)
}

/// Explains stages without playing them.
pub(crate) fn show(page: &mut Page, selection: &Selection) -> io::Result<End> {
    for (document, stage) in selection {
        heading(page, stage)?;
        page.paragraph("claim", Style::new(), stage.claim)?;
        page.commands("do", stage.commands)?;
        if let Some(code) = code::of(document, stage) {
            page.code("fixtures", &code)?;
        }
        conclusion(page, stage)?;
        page.line("")?;
    }
    Ok(End::AsRecorded)
}

/// Plays stages and tells how each went.
pub(crate) fn run(page: &mut Page, selection: &Selection) -> io::Result<End> {
    let started = Instant::now();
    let mut outcomes = Vec::new();
    let mut current = "";
    progress(page, selection, 0)?;
    fresh::each(selection, Way::AsWritten, |i, played| {
        let (document, stage) = selection[i];
        if document.id != current {
            title(page, document)?;
            page.line("")?;
            current = document.id;
        }
        tell(page, document, stage, &played)?;
        let refused = matches!(&played.outcome, Outcome::Unsupported(_)) && played.checks.is_empty();
        outcomes.push(played.outcome);
        if refused {
            // The next stage would be refused as well.
            return Ok(ControlFlow::Break(()));
        }
        progress(page, selection, i + 1)?;
        Ok(ControlFlow::Continue(()))
    })?;
    summary::tell(page, selection, &outcomes, started.elapsed())?;
    Ok(outcomes.iter().map(fresh::end).max().unwrap_or(End::AsRecorded))
}

/// Says which stage is told next.
pub(crate) fn progress(page: &mut Page, selection: &Selection, next: usize) -> io::Result<()> {
    let Some((_, stage)) = selection.get(next) else { return Ok(()) };
    page.progress(&format!("{:>3} of {}  {}  {}", next + 1, selection.len(), stage.id, stage.title))
}

fn title(page: &mut Page, document: &Document) -> io::Result<()> {
    page.line(format!("{}  {}", paint(palette::STRONG, document.id), paint(palette::STRONG, document.title)))
}

fn heading(page: &mut Page, stage: &Stage) -> io::Result<()> {
    let (mark, style) = palette::verdict(stage.verdict);
    page.heading((style, stage.id), stage.title, (style, &format!("{mark} {}", stage.verdict)))
}

/// The heading of a stage that cannot be played here: its verdict was not seen.
fn heading_beyond(page: &mut Page, stage: &Stage, outcome: &Outcome) -> io::Result<()> {
    let (mark, style) = palette::LACKS;
    page.heading((style, stage.id), stage.title, (style, &format!("{mark} {}", outcome.words())))
}

fn tell(page: &mut Page, document: &Document, stage: &Stage, played: &Played) -> io::Result<()> {
    match played.outcome {
        Outcome::Lacks(_) | Outcome::NotHere(_) => heading_beyond(page, stage, &played.outcome)?,
        _ => heading(page, stage)?,
    }
    if stage.afresh && !document.is_collection() {
        page.paragraph("afresh", Style::new(), "nothing of the stages before is left")?;
    }
    page.paragraph("claim", Style::new(), stage.claim)?;
    let (before, after): (Vec<_>, Vec<_>) = played.checks.iter().partition(|check| check.role == Role::Before);
    groups(page, &before)?;
    page.commands("do", stage.commands)?;
    groups(page, &after)?;
    match &played.outcome {
        Outcome::AsRecorded => conclusion(page, stage)?,
        Outcome::Differs { why, .. } => failure(page, "DIFFERS", why)?,
        Outcome::Unsupported(why) => failure(page, "UNSUPPORTED", why)?,
        Outcome::Lacks(why) | Outcome::NotHere(why) => {
            page.paragraph("not here", palette::FAINT, why)?;
            conclusion(page, stage)?;
        }
    }
    page.line("")
}

/// Checks of one role after the other, each group under its label.
fn groups(page: &mut Page, checks: &[&Check]) -> io::Result<()> {
    for group in checks.chunk_by(|a, b| a.role == b.role) {
        let label = match &group[0].role {
            Role::Before => "before",
            Role::Claim => "seen",
            Role::Wrong => "not so",
            Role::Unstated => "untold",
            Role::With(condition) => condition_line(page, "with", condition)?,
            Role::Without(condition) => condition_line(page, "without", condition)?,
        };
        page.rows(label, &group.iter().map(|check| row(check)).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn condition_line(page: &mut Page, label: &'static str, condition: &str) -> io::Result<&'static str> {
    page.paragraph(label, palette::STRONG, condition)?;
    Ok("")
}

fn row(check: &Check) -> Row {
    let mark = if check.holds { paint(palette::GOOD, "✓") } else { paint(palette::BAD, "✗") };
    Row { mark, text: check.check.clone(), seen: check.seen.clone() }
}

fn conclusion(page: &mut Page, stage: &Stage) -> io::Result<()> {
    page.paragraph("truth", Style::new(), stage.truth)?;
    if !stage.needs.is_empty() {
        page.paragraph("needs", Style::new(), &stage.needs.join("; "))?;
    }
    if stage.aside {
        page.paragraph("aside", Style::new(), "the next stages go on without it")?;
    }
    Ok(())
}

fn failure(page: &mut Page, word: &str, why: &str) -> io::Result<()> {
    page.line(paint(palette::ALARM, format!(" {word} ")))?;
    for line in why.lines() {
        page.line(format!("  {line}"))?;
    }
    Ok(())
}
