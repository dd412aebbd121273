//! Any line is understood or refused, and never more.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::command::{Command, parse};
use super::super::print::print;
use super::super::words::split;
use super::{corpus, plan};
use crate::nft::Family;

/// All that happens to a line.
fn digest(line: &str, family: Option<Family>) -> bool {
    match parse(line, family) {
        Ok(command) => {
            if let Some(plan) = plan(command) {
                let printed = print(&plan).unwrap_or_else(|why| panic!("{line}: {why}"));
                drop(plan.as_nft());
                assert_eq!(parse(&printed, Some(plan.family)), Ok(Command::Append(plan)), "{line}\n{printed}");
            }
            true
        }
        Err(wrong) => {
            assert!(!wrong.shown_in(line).is_empty() && !wrong.why.is_empty());
            false
        }
    }
}

/// Words of real lines, in any order.
fn words() -> Vec<String> {
    let mut words: Vec<String> = corpus().flat_map(|(_, line)| split(line).unwrap()).map(|word| word.text).collect();
    words.extend(
        ["!", "0", "-1", "99999999999", "0x", "a,b", ",", ":", "-", "--", "/", "[", "]", "[::1]:", "::1/129", "1.2.3.4-", "é"]
            .map(str::to_owned),
    );
    words.sort();
    words.dedup();
    words
}

fn family() -> impl Strategy<Value = Option<Family>> {
    prop_oneof![Just(None), Just(Some(Family::Ip)), Just(Some(Family::Ip6))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_taken_or_refused(line in ".*", family in family()) {
        digest(&line, family);
    }

    #[test]
    fn any_words_in_any_order_are_taken_or_refused(
        picks in proptest::collection::vec(any::<proptest::sample::Index>(), 0..14), family in family()
    ) {
        thread_local!(static WORDS: Vec<String> = words());
        let line = WORDS.with(|words| picks.iter().map(|pick| super::super::words::quote(pick.get::<String>(words))).collect::<Vec<_>>().join(" "));
        digest(&line, family);
    }

    #[test]
    fn a_real_line_with_other_words_in_it_is_taken_or_refused(
        line in any::<proptest::sample::Index>(), changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<proptest::sample::Index>(), 0_u8..3), 0..4)
    ) {
        thread_local!(static LINES: (Vec<Vec<String>>, Vec<String>) = (
            corpus().map(|(_, line)| split(line).unwrap().into_iter().map(|word| word.text).collect()).collect(), words(),
        ));
        let line = LINES.with(|(lines, words)| {
            let mut line = line.get::<Vec<String>>(lines).clone();
            for (place, word, change) in changes {
                let place = place.index(line.len() + 1);
                match change {
                    0 => line.insert(place, word.get::<String>(words).clone()),
                    1 if place < line.len() => drop(line.remove(place)),
                    _ if place < line.len() => line[place] = word.get::<String>(words).clone(),
                    _ => {}
                }
            }
            line.iter().map(|word| super::super::words::quote(word)).collect::<Vec<_>>().join(" ")
        });
        digest(&line, None);
    }
}

/// How many lines a second, for the notes: `cargo test -p netlab --lib -- --ignored lines_a_second --nocapture`.
#[test]
#[ignore = "a measurement"]
fn lines_a_second() {
    let (start, mut lines) = (Instant::now(), 0_u32);
    while start.elapsed() < Duration::from_secs(2) {
        lines += corpus().map(|(_, line)| drop(parse(line, None))).fold(0, |count, ()| count + 1);
    }
    println!("{:.0} lines a second", f64::from(lines) / start.elapsed().as_secs_f64());
}
