//! The end of the tour: every stage in one glance.

use std::io;
use std::time::Duration;

use scenarios::{Outcome, Selection, Verdict};
use textwrap::{Options, WordSeparator, WordSplitter};

use crate::page::Page;
use crate::palette::{self, paint};

/// The width of the grid's right-hand column: sixteen stages with numbers and marks.
const GRID: usize = 64;
/// Keeps a number and the place of its mark together; printed as a space.
const JOINED: &str = "\u{a0}";

/// Tells how the stages that were played went: a cell each, and a line for every verdict.
pub(crate) fn tell(page: &mut Page, selection: &Selection, outcomes: &[Outcome], took: Duration) -> io::Result<()> {
    grid(page, selection, outcomes)?;
    page.line("")?;
    for verdict in Verdict::ALL {
        let counts = |((_, stage), outcome): &(&(_, &scenarios::Stage), &Outcome)| stage.verdict == verdict && !lacks(outcome);
        let count = selection.iter().zip(outcomes).filter(counts).count();
        let (mark, style) = palette::verdict(verdict);
        page.line(format!("{count:>5}  {} {verdict}", paint(style, mark)))?;
    }
    let (mark, style) = palette::LACKS;
    for (words, lacking) in [("this kernel cannot", beyond_kernel(outcomes)), ("not played here", not_here(outcomes))] {
        if lacking > 0 {
            page.line(format!("{lacking:>5}  {} {words}", paint(style, mark)))?;
        }
    }
    page.line("")?;
    page.line(format!("  {}", sentence(selection.len(), outcomes, took)))
}

/// A line of cells for each tutorial: the numbers of its stages, with the mark of all that is not simply true.
fn grid(page: &mut Page, selection: &Selection, outcomes: &[Outcome]) -> io::Result<()> {
    let cells: Vec<_> = selection.iter().zip(outcomes).collect();
    for row in cells.chunk_by(|((a, _), _), ((b, _), _)| a.id == b.id) {
        let cells: Vec<_> = row.iter().map(|((_, stage), outcome)| cell(stage.id, stage.verdict, outcome)).collect();
        let options =
            Options::new(GRID).word_separator(WordSeparator::AsciiSpace).word_splitter(WordSplitter::NoHyphenation).break_words(false);
        let cells = cells.join(" ");
        for (i, line) in textwrap::wrap(&cells, options).iter().enumerate() {
            let name = if i == 0 { row[0].0.0.id } else { "" };
            page.line(format!("{name:>7}  {}", line.replace(JOINED, " ").trim_end()))?;
        }
    }
    Ok(())
}

fn cell(id: &str, verdict: Verdict, outcome: &Outcome) -> String {
    let number = id.split('.').nth(1).unwrap_or(id);
    let (mark, style) = match outcome {
        Outcome::AsRecorded => match palette::verdict(verdict) {
            (_, style) if verdict == Verdict::True => return paint(style, number) + JOINED,
            (mark, style) => (mark, style),
        },
        Outcome::Differs { .. } => ("!", palette::ALARM),
        Outcome::Unsupported(_) => ("?", palette::FAINT),
        Outcome::Lacks(_) | Outcome::NotHere(_) => (palette::LACKS.0, palette::FAINT),
    };
    paint(style, format!("{number}{mark}"))
}

fn lacks(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Lacks(_) | Outcome::NotHere(_))
}

fn beyond_kernel(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Lacks(_))).count()
}

fn not_here(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| matches!(outcome, Outcome::NotHere(_))).count()
}

fn sentence(asked: usize, outcomes: &[Outcome], took: Duration) -> String {
    let differ = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Differs { .. })).count();
    let recorded = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::AsRecorded)).count();
    let (lacking, missing) = (beyond_kernel(outcomes), not_here(outcomes));
    let rest = asked - differ - recorded - lacking - missing;
    let mut words = vec![paint(palette::GOOD, format!("{recorded} of {asked} as recorded"))];
    if differ > 0 {
        words.push(paint(palette::BAD, format!("{differ} differ")));
    }
    if lacking > 0 {
        words.push(paint(palette::FAINT, format!("{lacking} beyond this kernel")));
    }
    if missing > 0 {
        words.push(paint(palette::FAINT, format!("{missing} not played here")));
    }
    if rest > 0 {
        words.push(paint(palette::STRONG, format!("{rest} could not be played here")));
    }
    format!("{}{}", words.join(", "), paint(palette::FAINT, format!(", in {:.1} s", took.as_secs_f64())))
}
