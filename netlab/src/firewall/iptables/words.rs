//! The words of a command line, and errors that point at one of them.

use std::ops::Range;

/// A word, and the bytes of the line where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) at: Range<usize>,
}

impl Word {
    pub(super) fn wrong(&self, why: impl Into<String>) -> Wrong {
        Wrong::new(self.at.clone(), why)
    }
}

/// What is wrong with a line, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    at: Range<usize>,
    pub(crate) why: String,
    pub(crate) help: Option<String>,
}

impl Wrong {
    pub(super) fn new(at: Range<usize>, why: impl Into<String>) -> Self {
        Self { at, why: why.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same in a line that has so many bytes more at its beginning.
    pub(super) fn later(self, bytes: usize) -> Self {
        Self { at: self.at.start + bytes..self.at.end + bytes, ..self }
    }

    /// The line, and below it carets under what is meant.
    pub(crate) fn shown_in(&self, line: &str) -> String {
        let columns = |range: Range<usize>| line.char_indices().filter(|(at, _)| range.contains(at)).count();
        let flat = line.replace(char::is_control, " ");
        let (before, marked) = (columns(0..self.at.start), columns(self.at.clone()).max(1));
        format!("{}\n{}{}", flat.trim_end(), " ".repeat(before), "^".repeat(marked))
    }
}

/// Splits a line as a shell does, or as iptables-restore: words, quotes and backslashes. What a shell would replace is an error.
pub(super) fn split(line: &str) -> Result<Vec<Word>, Wrong> {
    let mut words = Vec::new();
    let mut rest = line.char_indices().peekable();
    while let Some(&(start, c)) = rest.peek() {
        if c == '#' {
            break;
        }
        if c.is_whitespace() {
            rest.next();
            continue;
        }
        if line[start..].starts_with("\\\n") {
            rest.nth(1);
            continue;
        }
        let text = word(line, &mut rest)?;
        let end = rest.peek().map_or(line.len(), |(at, _)| *at);
        words.push(Word { text, at: start..end });
    }
    Ok(words)
}

type Rest<'a> = std::iter::Peekable<std::str::CharIndices<'a>>;

fn word(line: &str, rest: &mut Rest<'_>) -> Result<String, Wrong> {
    let mut text = String::new();
    while let Some((at, c)) = rest.next_if(|(_, c)| !c.is_whitespace()) {
        match c {
            '\'' | '"' => quoted(c, at, rest, &mut text)?,
            '\\' => text.extend(rest.next().map(|(_, c)| c).filter(|c| *c != '\n')),
            '$' | '`' | '|' | '&' | ';' | '<' | '>' | '(' | ')' => {
                let name = line[at + 1..].find(|c: char| !c.is_alphanumeric()).map_or(line.len(), |length| at + 1 + length);
                let end = if c == '$' { name } else { at + 1 };
                let why = format!("a shell would act upon `{c}`, and netlab is none");
                return Err(Wrong::new(at..end, why).help("write out what it stands for, or put it in quotes"));
            }
            _ => text.push(c),
        }
    }
    Ok(text)
}

fn quoted(quote: char, start: usize, rest: &mut Rest<'_>, text: &mut String) -> Result<(), Wrong> {
    while let Some((_, c)) = rest.next() {
        match c {
            _ if c == quote => return Ok(()),
            // A shell leaves the backslash of `\'` in place; iptables-save writes it and iptables-restore takes it away.
            '\\' if quote == '"' => match rest.next_if(|(_, c)| matches!(c, '"' | '\\' | '$' | '`' | '\'')) {
                Some((_, escaped)) => text.push(escaped),
                None => text.push('\\'),
            },
            _ => text.push(c),
        }
    }
    Err(Wrong::new(start..start + 1, format!("the quotation that this `{quote}` begins does not end")))
}

/// A word in quotes if it needs them, as iptables-save writes it.
pub(super) fn quote(text: &str) -> String {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        return text.to_owned();
    }
    let escaped: String = text.chars().flat_map(|c| matches!(c, '"' | '\\' | '\'').then_some('\\').into_iter().chain([c])).collect();
    format!("\"{escaped}\"")
}

/// The word that was meant, if one is near.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = 1 + word.chars().count() / 3;
    let near = known.into_iter().map(|known| (distance(word, known), known)).filter(|(steps, _)| *steps <= far);
    near.min_by_key(|(steps, _)| *steps).map(|(_, known)| known)
}

/// How many letters are to be added, taken away or replaced.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        split(line).unwrap().into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_those_of_a_shell() {
        let lines = [
            r#"-A X -m comment --comment "two words" -j Y"#,
            r#"'single $quoted' "double \"quoted\"" mi"x"ed'e'd \! a\ b"#,
            "one \\\n  two\\\nthree   # and no more",
            r#""" '' a#b "a \$b \z""#,
        ];
        for line in lines {
            let output = std::process::Command::new("sh").args(["-c", &format!("printf '%s\\n' {line}")]).output().unwrap();
            let shell = String::from_utf8(output.stdout).unwrap();
            assert_eq!(texts(line), shell.lines().collect::<Vec<_>>(), "{line}");
        }
    }

    #[test]
    fn quoting_a_word_and_splitting_it_gives_it_back() {
        for word in ["plain", "two words", "\"", "it's", "a\\b", "", "ns1/svc:p80", "ü"] {
            assert_eq!(texts(&quote(word)), [word]);
        }
    }

    #[test]
    fn what_a_shell_would_replace_is_pointed_at() {
        let line = "-s ü $HOST -j ACCEPT";
        let wrong = split(line).unwrap_err();
        assert_eq!(wrong.shown_in(line), "-s ü $HOST -j ACCEPT\n     ^^^^^");
        assert!(split("-m comment --comment \"open").unwrap_err().why.contains("does not end"));
    }

    #[test]
    fn a_word_that_is_nearly_right_is_recognised() {
        assert_eq!(nearest("--dprot", ["--sport", "--dport", "--syn"]), Some("--dport"));
        assert_eq!(nearest("MASQURADE", ["ACCEPT", "MASQUERADE"]), Some("MASQUERADE"));
        assert_eq!(nearest("--nothing", ["--dport"]), None);
    }
}
