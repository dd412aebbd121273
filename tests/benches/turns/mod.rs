//! What the benchmarks share: variants that take turns, and tables of their ratios.

use std::error::Error;
use std::fmt;
use std::time::Duration;

pub(crate) type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// The median of each of the `P` figures that each of the `N` variants gives.
///
/// The variants run turn by turn in one run, forwards and backwards: whatever else the machine does meets all of them, and each comes after
/// itself and after others, whose namespaces the kernel may still be ending.
pub(crate) fn medians<T: Copy + Default + Ord, const N: usize, const P: usize>(
    rounds: usize,
    variants: [&mut dyn FnMut() -> Result<[T; P]>; N],
) -> Result<[[T; P]; N]> {
    let mut times = [const { [const { Vec::new() }; P] }; N];
    for round in 0..rounds {
        for place in 0..N {
            let number = if round % 2 == 0 { place } else { N - 1 - place };
            let taken = variants[number]()?;
            times[number].iter_mut().zip(taken).for_each(|(times, time)| times.push(time));
        }
    }
    Ok(times.map(|times| times.map(median)))
}

fn median<T: Copy + Default + Ord>(mut times: Vec<T>) -> T {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A time, and what it is to the baseline of its run: only that says more about netlab than about the machine.
pub(crate) fn ratio(time: Duration, baseline: Duration) -> String {
    format!("{time:.1?} ×{:.2}", time.as_secs_f64() / baseline.as_secs_f64())
}

/// A table as Markdown has it, in columns that a terminal shows straight.
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self(vec![head.map(str::to_owned).to_vec()])
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.push(cells.to_vec());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0[0].len();
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = (0..columns).map(width).collect();
        for (number, row) in self.0.iter().enumerate() {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column == 0 { write!(f, "| {cell:<width$} |")? } else { write!(f, " {cell:>width$} |")? }
            }
            writeln!(f)?;
            if number == 0 {
                let rule = |(column, width): (usize, &usize)| format!("{:-<1$}{2}", "", width + 1, if column == 0 { "-" } else { ":" });
                writeln!(f, "|{}|", widths.iter().enumerate().map(rule).collect::<Vec<_>>().join("|"))?;
            }
        }
        Ok(())
    }
}
