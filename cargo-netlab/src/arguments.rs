//! The arguments of a test binary, as libtest reads them: which of them choose tests, and which say how to run one.

use std::ffi::OsString;

/// What a test binary was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Filters and options that choose tests, for `--list`.
    pub(crate) choice: Vec<OsString>,
    /// Options for the run of each test.
    pub(crate) each: Vec<OsString>,
    pub(crate) threads: Option<usize>,
    pub(crate) quiet: bool,
    pub(crate) nocapture: bool,
}

/// Whether tests are to be run at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    Run(Arguments),
    /// A list, a help text: the binary answers itself.
    Answer,
    /// What cannot be had of tests that run apart.
    Refused(String),
}

pub(crate) fn read(words: &[OsString]) -> Wish {
    let mut read = Arguments::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let (option, joined) = match text.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(OsString::from(value))),
            _ => (&*text, None),
        };
        let mut value = || joined.clone().or_else(|| words.next().cloned()).unwrap_or_default();
        match option {
            "--list" | "--help" | "-h" | "--bench" => return Wish::Answer,
            "--logfile" | "--shuffle" | "--shuffle-seed" => return refused(option),
            "--format" => match value().to_str() {
                Some("pretty") => {}
                Some("terse") => read.quiet = true,
                _ => return refused("--format"),
            },
            "--color" => drop(value()),
            "--test-threads" => match value().to_str().and_then(|text| text.parse().ok()).filter(|number| *number > 0) {
                Some(number) => read.threads = Some(number),
                None => return Wish::Refused("--test-threads takes a number greater than 0".to_owned()),
            },
            "--quiet" | "-q" => read.quiet = true,
            "--nocapture" | "--no-capture" => {
                read.nocapture = true;
                read.each.push(word.clone());
            }
            "--skip" => read.choice.extend([OsString::from("--skip"), value()]),
            "-Z" => {
                let both = [OsString::from("-Z"), value()];
                read.choice.extend(both.clone());
                read.each.extend(both);
            }
            "--exact" => read.choice.push(word.clone()),
            "--ignored" | "--include-ignored" => {
                read.choice.push(word.clone());
                read.each.push(word.clone());
            }
            "--test" => {}
            _ if option.starts_with('-') => read.each.push(word.clone()),
            _ => read.choice.push(word.clone()),
        }
    }
    Wish::Run(read)
}

fn refused(option: &str) -> Wish {
    Wish::Refused(format!("`{option}` of a test binary cannot be had with --per-test, which reads and prints libtest's own format"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn what_chooses_tests_is_told_from_what_runs_them() {
        let Wish::Run(read) = read(&words("link --skip slow --exact --test-threads=3 --nocapture --include-ignored addr -q")) else {
            panic!("it is a wish to run tests");
        };
        assert_eq!(read.choice, words("link --skip slow --exact --include-ignored addr"));
        assert_eq!(read.each, words("--nocapture --include-ignored"));
        assert_eq!((read.threads, read.quiet, read.nocapture), (Some(3), true, true));
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        for text in ["--format json", "--format=junit", "--logfile x", "--test-threads 0"] {
            assert!(matches!(read(&words(text)), Wish::Refused(_)), "{text}");
        }
        assert_eq!(read(&words("link --list")), Wish::Answer);
    }
}
