//! What a test binary that ran one test says of it.

/// How a test came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ok,
    Ignored,
    Failed,
}

/// What is to be read from the output of a test binary that ran one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// What libtest puts between `test ` and the verdict: the name, and what is special about it.
    pub(crate) title: String,
    /// The verdict in libtest's words: `ok`, `FAILED`, `ignored, too slow`.
    pub(crate) words: String,
    /// What the test printed.
    pub(crate) printed: String,
}

/// Reads the output of `PROGRAM NAME --exact`.
pub(crate) fn read(name: &str, stdout: &str) -> Option<Outcome> {
    let (start, line) = result_line(name, stdout)?;
    let (title, words) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let verdict = match words {
        _ if words.starts_with("ignored") => Verdict::Ignored,
        _ if words.starts_with("ok") => Verdict::Ok,
        _ => Verdict::Failed,
    };
    let before = stdout[..start].trim_start_matches('\n').trim_start_matches("running 1 test\n");
    let after = captured(name, &stdout[start + line.len()..]);
    Some(Outcome { verdict, title: title.to_owned(), words: words.to_owned(), printed: before.to_owned() + after })
}

/// Where libtest says how the test came out. What a test prints without a line's end comes before it on the line.
pub(crate) fn result_line<'a>(name: &str, text: &'a str) -> Option<(usize, &'a str)> {
    let prefix = format!("test {name}");
    text.match_indices(&prefix).find_map(|(start, _)| {
        let line = text[start..].lines().next()?;
        let special = line[prefix.len()..].split_once(" ... ")?.0;
        (special.is_empty() || special.starts_with(" - ")).then_some((start, line))
    })
}

/// The section `---- NAME stdout ----`, up to the list of names that follows it.
fn captured<'a>(name: &str, text: &'a str) -> &'a str {
    let head = format!("---- {name} stdout ----\n");
    let Some(start) = text.find(&head).map(|start| start + head.len()) else { return "" };
    let end = ["failures", "successes"].iter().filter_map(|list| text[start..].rfind(&format!("\n\n{list}:\n    {name}\n"))).max();
    end.map_or(&text[start..], |end| &text[start..start + end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_fails_is_read_with_what_it_printed() {
        let text = "\nrunning 1 test\ntest a::b ... FAILED\n\nfailures:\n\n---- a::b stdout ----\nsome words\n\nfailures:\n    x\n\n\nfailures:\n    \
                    a::b\n\ntest result: FAILED. 0 passed; 1 failed\n";
        let outcome = read("a::b", text).expect("an outcome");
        assert_eq!((outcome.verdict, &*outcome.printed), (Verdict::Failed, "some words\n\nfailures:\n    x\n"));
    }

    #[test]
    fn one_that_passes_and_one_that_is_ignored_are_told_apart() {
        let outcome = read("b", "\nrunning 1 test\ntest b - should panic ... ok\n\ntest result: ok. 1 passed\n").expect("an outcome");
        assert_eq!((outcome.verdict, &*outcome.title, &*outcome.printed), (Verdict::Ok, "b - should panic", ""));
        let outcome = read("b", "\nrunning 1 test\ntest b ... ignored, too slow\n").expect("an outcome");
        assert_eq!((outcome.verdict, &*outcome.words), (Verdict::Ignored, "ignored, too slow"));
    }

    #[test]
    fn another_test_with_a_longer_name_is_not_taken_for_it() {
        assert_eq!(read("b", "test bee ... ok\n"), None);
        assert_eq!(read("b", "\nrunning 1 test\nkilled in the mid"), None);
    }
}
