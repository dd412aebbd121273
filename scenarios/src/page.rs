//! A page of output: labelled, wrapped paragraphs as wide as the reader's terminal, up to a readable measure.

use std::io::{self, IsTerminal, Write};

use anstyle::Style;
use textwrap::{Options, core::display_width, wrap};

use crate::palette::{self, paint};

/// The widest page; longer lines are hard to read.
const WIDEST: usize = 120;
const NARROWEST: usize = 40;
/// The width of the column of labels.
const LABELS: usize = 9;
/// The width of a mark and the space after it.
const MARK: usize = 2;
/// Between a sentence and what was seen; also how far the latter is indented where it stands below.
const GAP: usize = 2;

/// Where the text goes, and how wide it is.
pub(crate) struct Page {
    out: Box<dyn Write>,
    width: usize,
    /// Whether the line of progress can be shown, and shows something.
    progress: Option<bool>,
}

/// One row of the right-hand column: a sentence with its mark, and what was seen.
pub(crate) struct Row {
    pub(crate) mark: String,
    pub(crate) text: String,
    pub(crate) seen: String,
}

impl Page {
    /// The page on standard output.
    pub(crate) fn open() -> Self {
        let progress = (io::stdout().is_terminal() && io::stderr().is_terminal()).then_some(false);
        Self { out: Box::new(anstream::stdout()), width: width(), progress }
    }

    /// The page on standard error.
    pub(crate) fn errors() -> Self {
        Self { out: Box::new(anstream::stderr()), width: width(), progress: None }
    }

    pub(crate) fn write(&mut self, text: &str) -> io::Result<()> {
        self.clear_progress()?;
        self.out.write_all(text.as_bytes())
    }

    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        self.write(&format!("{}\n", text.as_ref().trim_end()))
    }

    /// A line with something at each end, over a rule.
    pub(crate) fn heading(&mut self, left: (Style, &str), middle: &str, right: (Style, &str)) -> io::Result<()> {
        let used = display_width(left.1) + 2 + display_width(middle) + display_width(right.1);
        let gap = " ".repeat(self.width.saturating_sub(used).max(2));
        let (id, title, verdict) = (paint(left.0, left.1), paint(palette::STRONG, middle), paint(right.0, right.1));
        self.line(format!("{id}  {title}{gap}{verdict}"))?;
        self.line(paint(palette::FAINT, "─".repeat(self.width)))
    }

    /// A wrapped paragraph beside its label.
    pub(crate) fn paragraph(&mut self, label: &str, style: Style, text: &str) -> io::Result<()> {
        let lines = wrap(text, plain(self.width - LABELS));
        for (i, line) in lines.iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            self.line(format!("{}{}", paint(palette::FAINT, format!("{label:LABELS$}")), paint(style, line)))?;
        }
        Ok(())
    }

    /// Commands as one types them, with a prompt; the long ones go on under themselves.
    pub(crate) fn commands(&mut self, label: &str, commands: &[&str]) -> io::Result<()> {
        for (i, command) in commands.iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            let options = plain(self.width - LABELS).initial_indent("$ ").subsequent_indent("    ");
            for (j, line) in wrap(command, options).iter().enumerate() {
                let label = if j == 0 { label } else { "" };
                self.line(paint(palette::FAINT, format!("{label:LABELS$}{line}")))?;
            }
        }
        Ok(())
    }

    /// Lines of code, each with its indentation.
    pub(crate) fn code(&mut self, label: &str, code: &str) -> io::Result<()> {
        for (i, line) in code.lines().enumerate() {
            let label = if i == 0 { label } else { "" };
            let indentation = &line[..line.len() - line.trim_start().len()];
            let further = format!("{indentation}    ");
            let options = plain(self.width - LABELS).initial_indent(indentation).subsequent_indent(&further);
            for (j, line) in wrap(line.trim_start(), options).iter().enumerate() {
                let label = if j == 0 { label } else { "" };
                self.line(paint(palette::FAINT, format!("{label:LABELS$}{line}")))?;
            }
        }
        Ok(())
    }

    /// Sentences with what was seen: beside them, in one column, where there is room; else under them.
    pub(crate) fn rows(&mut self, label: &str, rows: &[Row]) -> io::Result<()> {
        let column = column(rows, self.width - LABELS - MARK);
        for (i, row) in rows.iter().enumerate() {
            let label = paint(palette::FAINT, format!("{:LABELS$}", if i == 0 { label } else { "" }));
            if row.fits(column, self.width - LABELS - MARK) {
                let pad = " ".repeat(column - display_width(&row.text));
                self.line(format!("{label}{} {}{pad}{}", row.mark, row.text, paint(palette::FAINT, &row.seen)))?;
            } else {
                self.row_over_lines(&label, row)?;
            }
        }
        Ok(())
    }

    fn row_over_lines(&mut self, label: &str, row: &Row) -> io::Result<()> {
        let measure = self.width - LABELS - MARK;
        for (j, line) in wrap(&row.text, plain(measure)).iter().enumerate() {
            match j {
                0 => self.line(format!("{label}{} {line}", row.mark))?,
                _ => self.line(format!("{:1$}{line}", "", LABELS + MARK))?,
            }
        }
        for line in row.seen.lines().flat_map(|line| wrap(line, plain(measure - GAP).subsequent_indent("  "))) {
            self.line(format!("{:1$}{2}", "", LABELS + MARK + GAP, paint(palette::FAINT, line)))?;
        }
        Ok(())
    }

    /// Shows what is going on, on a terminal, until the next line is written.
    pub(crate) fn progress(&mut self, text: &str) -> io::Result<()> {
        if let Some(shown) = &mut self.progress {
            *shown = true;
            let mut terminal = anstream::stderr();
            write!(terminal, "\r{}\x1b[K", paint(palette::FAINT, text))?;
            terminal.flush()?;
        }
        Ok(())
    }

    fn clear_progress(&mut self) -> io::Result<()> {
        if let Some(shown) = self.progress.as_mut().filter(|shown| **shown) {
            *shown = false;
            write!(io::stderr(), "\r\x1b[K")?;
        }
        Ok(())
    }
}

impl Row {
    /// Whether it fits on one line of that measure, with what was seen from `column` on.
    fn fits(&self, column: usize, measure: usize) -> bool {
        display_width(&self.text) + GAP <= column && column + display_width(&self.seen) <= measure && !self.seen.contains('\n')
    }
}

/// The column of what was seen that suits the most rows; of several such columns, that of the first row.
fn column(rows: &[Row], measure: usize) -> usize {
    let fitting = |column| rows.iter().filter(|row| row.fits(column, measure)).count();
    let candidates = rows.iter().map(|row| display_width(&row.text) + GAP);
    candidates.rev().max_by_key(|column| fitting(*column)).unwrap_or(0)
}

/// Breaks at spaces only: a flag, an address or a path stays whole.
fn plain(measure: usize) -> Options<'static> {
    let whole = textwrap::WordSplitter::NoHyphenation;
    Options::new(measure).break_words(false).word_separator(textwrap::WordSeparator::AsciiSpace).word_splitter(whole)
}

fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width = if io::stdout().is_terminal() { textwrap::termwidth() } else { columns.unwrap_or(80) };
    width.clamp(NARROWEST, WIDEST)
}
