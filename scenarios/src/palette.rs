//! Colours and marks: the terminal's own foreground, and hues that read on dark and on light.

use anstyle::{AnsiColor, Style};
use scenarios::Verdict;

pub(crate) const STRONG: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const ALARM: Style = AnsiColor::Red.on_default().bold().invert();

/// The mark and the style of what a kernel lacks.
pub(crate) const LACKS: (&str, Style) = ("○", FAINT);

/// The text in a style, for a stream that drops styles where they are not wanted.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The mark and the style of a verdict.
pub(crate) fn verdict(verdict: Verdict) -> (&'static str, Style) {
    match verdict {
        Verdict::True => ("✓", AnsiColor::Green.on_default()),
        Verdict::Precondition => ("◐", AnsiColor::Cyan.on_default()),
        Verdict::False => ("✗", AnsiColor::Red.on_default()),
        Verdict::Unstated => ("+", AnsiColor::Magenta.on_default()),
    }
}
