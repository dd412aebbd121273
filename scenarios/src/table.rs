//! Tables of what comes of one question under several conditions.

use std::fmt;
use std::thread;
use std::time::Duration;

use netlab::{Netns, Outcome, Probe};

use crate::ask::{SILENCE, answer_to};
use crate::error::Result;
use crate::story::Story;

/// How long a question of a table may take. Those that fail otherwise than by silence do so within a tenth of it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The word for a neighbour that is not there.
const NO_ARP: &str = "no ARP";

/// Rows of words, each column as wide as its widest.
#[derive(Debug)]
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    /// A table with its headings.
    pub(crate) fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self(vec![headings.map(str::to_owned).into()])
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    fn lines(&self) -> Vec<String> {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| self.0.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            cells.join("  ").trim_end().to_owned()
        };
        self.0.iter().map(line).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl Story {
    /// The table has these lines: the headings, then a line for each row.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`](crate::Error::Differs) if one is otherwise.
    pub(crate) fn table(&mut self, check: impl Into<String>, table: &Table, expected: &[&str]) -> Result<()> {
        self.equals(check, table.to_string(), expected.join("\n"))
    }

    /// Plays a table, whose first row has the headings: of each further row, the first cells are conditions and the others what is expected.
    /// `play` makes the conditions true and gives back what it saw.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`](crate::Error::Differs) if it saw something else in one of the rows; the first error of `play`.
    pub(crate) fn plays<const N: usize>(
        &mut self,
        check: impl Into<String>,
        table: &[[&str; N]],
        mut play: impl FnMut(&[&str; N]) -> Result<Vec<String>>,
    ) -> Result<()> {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let mut seen = Table(table.iter().take(1).map(|headings| row(headings)).collect());
        for expected in table.iter().skip(1) {
            let cells = play(expected)?;
            let conditions = row(&expected[..N.saturating_sub(cells.len())]);
            seen.row(conditions.into_iter().chain(cells));
        }
        let expected = Table(table.iter().map(|cells| row(cells)).collect());
        self.equals(check, seen.to_string(), expected.to_string())
    }
}

/// What comes of pings that are sent at the same time, each in a word or two: `ttl 64`, `silent`, `no ARP` where nobody answers ARP, or the
/// errno. With each goes the word that is expected of it: nobody waits longer than necessary where that is `silent`.
pub(crate) fn expected_pings(pings: &[(&Netns, &str, &str)]) -> Result<Vec<String>> {
    side_by_side(pings, Probe::ping)
}

/// Whose pages come of requests that are sent at the same time, each with the word that is expected of it: the name of a server, or as of
/// [`expected_pings`], or `refused` or `reset`.
pub(crate) fn expected_servers(pages: &[(&Netns, &str, &str)]) -> Result<Vec<String>> {
    side_by_side(pages, Probe::http)
}

fn side_by_side(asked: &[(&Netns, &str, &str)], probe: impl Fn(String) -> Probe + Sync) -> Result<Vec<String>> {
    let ask = |(from, to, expected): (&Netns, &str, &str)| {
        let probe = probe(to.to_owned()).within(if expected == "silent" { SILENCE } else { PATIENCE });
        if expected == NO_ARP { Ok(from.observe(probe)?) } else { answer_to(from, probe) }
    };
    let ask = &ask;
    let outcomes = thread::scope(|scope| {
        let running: Vec<_> = asked.iter().map(|asked| scope.spawn(move || ask(*asked))).collect();
        running.into_iter().map(|outcome| outcome.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect::<Vec<_>>()
    });
    outcomes.into_iter().map(|outcome| Ok(word(&outcome?))).collect()
}

/// The name of the server that answers, or why none does, in a word or two as of [`expected_pings`].
pub(crate) fn server(from: &Netns, url: &str) -> Result<String> {
    Ok(word(&answer_to(from, Probe::http(url).within(PATIENCE))?))
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answer(answer) if answer.server().is_some() => answer.server().unwrap_or_default().to_owned(),
        Outcome::Refused => "refused".to_owned(),
        Outcome::Reset => "reset".to_owned(),
        Outcome::Answer(answer) => answer.ttl().map_or_else(|| "reply".to_owned(), |ttl| format!("ttl {ttl}")),
        Outcome::Silence { .. } => "silent".to_owned(),
        Outcome::LocalError(libc::EHOSTUNREACH) => NO_ARP.to_owned(),
        Outcome::LocalError(_) => outcome.to_string().split(' ').next().unwrap_or_default().to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["policy", "→"]);
        table.row(["DROP", "silence"].map(str::to_owned));
        table.row(["ACCEPT", "ttl 64"].map(str::to_owned));
        assert_eq!(table.lines(), ["policy  →", "DROP    silence", "ACCEPT  ttl 64"]);
    }

    #[test]
    fn a_table_is_played_row_by_row() -> Result<()> {
        let table = &[["a", "b", "a+b"], ["1", "2", "3"], ["2", "3", "5"]];
        let sum = |row: &[&str; 3]| Ok(vec![row[..2].iter().filter_map(|cell| cell.parse::<u32>().ok()).sum::<u32>().to_string()]);
        Story::default().plays("sums", table, sum)?;
        let e = Story::default().plays("nothing", table, |_| Ok(vec!["0".to_owned()])).unwrap_err();
        assert!(e.to_string().contains("1  2  0\n2  3  0, expected a  b  a+b\n1  2  3\n2  3  5"), "{e}");
        Ok(())
    }

    #[netlab::test]
    fn a_word_for_each_ping() -> Result<()> {
        let host = Netns::current()?;
        let bare = Netns::bare("bare")?;
        let words = ["ttl 64", "ENETUNREACH", "ENETUNREACH"];
        let pings = [(&host, "127.0.0.1", words[0]), (&bare, "10.0.0.1", words[1]), (&host, "10.0.0.1", words[2])];
        assert_eq!(expected_pings(&pings)?, words);
        Ok(())
    }

    #[netlab::test]
    fn a_name_or_a_word_for_each_page() -> Result<()> {
        let host = Netns::current()?;
        let _web = host.http_server("127.0.0.1:80")?;
        let asked = [(&host, "127.0.0.1", "host"), (&host, "127.0.0.1:81", "silent"), (&host, "10.0.0.1", "")];
        assert_eq!(expected_servers(&asked)?, ["host", "refused", "ENETUNREACH"]);
        Ok(())
    }
}
