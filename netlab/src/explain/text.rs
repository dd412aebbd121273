//! An explanation as text: what was expected and seen, the way, the cause, the cure.

use std::fmt;

use super::finding::Way;
use super::{Explanation, Step};

/// Lines of the way that are shown from its start and from its end; what is between is counted.
const HEAD: usize = 12;
const TAIL: usize = 14;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "expected: an answer in `{}` to {}", self.asker, self.probe)?;
        write!(f, "seen: {}", self.outcome)?;
        self.write_rest(f)
    }
}

impl Explanation {
    /// For an error, which has said already what was expected.
    pub(super) fn for_error(&self) -> String {
        if self.is_healthy() {
            return format!("asked once more, it came: {}", self.outcome);
        }
        format!("asked once more: {}{}", self.outcome, fmt::from_fn(|f| self.write_rest(f)))
    }

    fn write_rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_path(f)?;
        if let Some(finding) = &self.finding {
            write!(f, "\ncause: {finding}")?;
            if finding.direction == Way::Answer {
                f.write_str(" (it is the answer that is lost)")?;
            }
            if let Some(cure) = &finding.cure {
                write!(f, "\ncure: in `{}`: {cure}", finding.machine)?;
            }
        }
        for line in &self.known {
            write!(f, "\nknown: {line}")?;
        }
        if self.finding.is_none() && !self.is_healthy() {
            f.write_str("\nnot known: why")?;
        }
        Ok(())
    }

    fn write_path(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = lines(&self.path);
        let width = lines.iter().map(|(place, _)| place.len()).max().unwrap_or(0);
        for (number, (place, event)) in lines.iter().enumerate() {
            let hidden = lines.len().saturating_sub(HEAD + TAIL);
            match number {
                HEAD if hidden > 0 => write!(f, "\n  … {hidden} more …")?,
                _ if (HEAD..HEAD + hidden).contains(&number) => {}
                _ => write!(f, "\n  {place:<width$}  {event}")?,
            }
        }
        if let Some(last) = self.path.last().filter(|_| !self.is_healthy()) {
            let device = last.device.as_ref().map(|device| format!("/{device}")).unwrap_or_default();
            write!(f, "\n  last seen: the {} at {}{device}", last.direction, last.machine)?;
        }
        Ok(())
    }
}

/// Each place and what happened there; the way's direction where it begins.
fn lines(path: &[Step]) -> Vec<(String, String)> {
    let line = |(number, step): (usize, &Step)| {
        let turned = number == 0 || path[number - 1].direction != step.direction;
        let place = step.device.as_ref().map_or_else(|| step.machine.clone(), |device| format!("{}/{device}", step.machine));
        let way = if turned { format!("{}: ", step.direction) } else { String::new() };
        (place, format!("{way}{}", step.event))
    };
    path.iter().enumerate().map(line).collect()
}
