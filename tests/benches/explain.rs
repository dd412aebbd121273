//! How often an explanation is right: random networks with one fault each, and as many without.
//!
//! `cargo bench -p netlab-tests --bench explain`
//!
//! `NETLAB_CASES` (1000) is how many of each, `NETLAB_SEED` (0) the number of the first. `NETLAB_CASE=17` plays the faulty case 17 alone and
//! `NETLAB_CASE=h17` the healthy one, with all that was said. `NETLAB_FAULT=LinkDown` gives that fault to all of them.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::time::Duration;

use netlab::{Machine, Result};
use serde_json::{Value, json};

#[path = "../explain/random/mod.rs"]
mod random;

use random::{Case, FAULTS, Said, Verdict};

const TIMEOUT: Duration = Duration::from_secs(30);

fn main() {
    let (cases, first) = (number("NETLAB_CASES", 1000), number("NETLAB_SEED", 0));
    let only = env::var("NETLAB_FAULT").ok();
    if let Ok(text) = env::var("NETLAB_CASE") {
        return alone(&text, only.as_deref());
    }
    let mut table = Table::default();
    for seed in first..first + cases {
        let case = faulty(seed, only.as_deref());
        table.add(case, play(case));
        if only.is_none() {
            let case = Case::healthy(seed);
            table.add(case, play(case));
        }
    }
    print!("{}", table.text());
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
}

fn faulty(seed: u64, only: Option<&str>) -> Case {
    let named = |name| {
        let found = FAULTS.into_iter().find(|fault| format!("{fault:?}") == name);
        Case { seed, fault: Some(found.unwrap_or_else(|| panic!("`{name}` is none of {FAULTS:?}"))) }
    };
    only.map_or_else(|| Case::faulty(seed), named)
}

fn alone(text: &str, only: Option<&str>) {
    let seed = |digits: &str| digits.parse().unwrap_or_else(|_| panic!("NETLAB_CASE is `17` or `h17`, not `{text}`"));
    let case = text.strip_prefix('h').map_or_else(|| faulty(seed(text), only), |digits| Case::healthy(seed(digits)));
    println!("{case:?}\n{:#?}", play(case));
}

/// In a machine of its own.
fn play(case: Case) -> Verdict {
    let played: Result<Vec<u8>> = Machine::new("case").timeout(TIMEOUT).run(|| Ok(pack(&case.run()).to_string().into_bytes()));
    played.map_or_else(|error| Verdict::ThrownAway(error.to_string()), |bytes| unpack(&bytes))
}

fn pack(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::ThrownAway(why) => json!({ "why": why }),
        Verdict::Said(Said { cause, right, took, text }) => {
            json!({ "cause": cause, "right": right, "took": took.as_micros(), "text": text })
        }
    }
}

fn unpack(bytes: &[u8]) -> Verdict {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    if let Some(why) = value["why"].as_str() {
        return Verdict::ThrownAway(why.to_owned());
    }
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    Verdict::Said(Said {
        cause: text("cause"),
        right: [0, 1, 2].map(|n| value["right"][n].as_bool().unwrap_or(false)),
        took: Duration::from_micros(value["took"].as_u64().unwrap_or(0)),
        text: text("text").unwrap_or_default(),
    })
}

/// What was said of one fault.
#[derive(Debug, Default)]
struct Row {
    thrown_away: BTreeMap<String, Vec<u64>>,
    cases: u32,
    right: [u32; 3],
    said: BTreeMap<String, u32>,
    wrong: Vec<u64>,
    took: Vec<Duration>,
}

#[derive(Debug, Default)]
struct Table(BTreeMap<String, Row>);

const HEALTHY: &str = "(healthy)";

impl Table {
    fn add(&mut self, case: Case, verdict: Verdict) {
        let row = self.0.entry(case.fault.map_or_else(|| HEALTHY.to_owned(), |fault| format!("{fault:?}"))).or_default();
        match verdict {
            Verdict::ThrownAway(why) => {
                row.thrown_away.entry(why.lines().next().unwrap_or_default().to_owned()).or_default().push(case.seed);
            }
            Verdict::Said(said) => {
                row.cases += 1;
                for (sum, right) in row.right.iter_mut().zip(said.right) {
                    *sum += u32::from(right);
                }
                *row.said.entry(said.cause.unwrap_or_else(|| "nothing".to_owned())).or_default() += 1;
                if !said.right[0] {
                    row.wrong.push(case.seed);
                }
                row.took.push(said.took);
            }
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{:22} {:>5} {:>6} {:>6} {:>8}  what was said\n", "fault", "cases", "right", "cause", "machine");
        let (mut cases, mut right) = (0, [0; 3]);
        for (fault, row) in &self.0 {
            let share = |n: usize| percent(row.right[n], row.cases);
            let mut said: Vec<_> = row.said.iter().collect();
            said.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let said: Vec<_> = said.into_iter().map(|(cause, count)| format!("{cause} {count}")).collect();
            let _ = writeln!(text, "{fault:22} {:5} {:>6} {:>6} {:>8}  {}", row.cases, share(0), share(1), share(2), said.join(", "));
            if fault != HEALTHY {
                cases += row.cases;
                (0..3).for_each(|n| right[n] += row.right[n]);
            }
        }
        let share = |n: usize| percent(right[n], cases);
        let _ = writeln!(text, "{:22} {cases:5} {:>6} {:>6} {:>8}", "all faults", share(0), share(1), share(2));
        text += &self.times();
        for (fault, row) in &self.0 {
            if !row.wrong.is_empty() {
                let _ = writeln!(text, "wrong, {fault}: {:?}", row.wrong);
            }
            for (why, seeds) in &row.thrown_away {
                let _ = writeln!(text, "thrown away, {fault}: {} × {why}, such as {:?}", seeds.len(), &seeds[..seeds.len().min(3)]);
            }
        }
        text
    }

    fn times(&self) -> String {
        let of = |healthy: bool| {
            let mut took: Vec<_> =
                self.0.iter().filter(|(fault, _)| (*fault == HEALTHY) == healthy).flat_map(|(_, row)| &row.took).collect();
            took.sort();
            let at =
                |share: usize| took.get((took.len() * share / 100).min(took.len().saturating_sub(1))).map_or(Duration::ZERO, |took| **took);
            format!("median {:.0?}, 95 of 100 under {:.0?}", at(50), at(95))
        };
        format!("an explanation took, of a fault: {}; of the healthy: {}\n", of(false), of(true))
    }
}

fn percent(part: u32, of: u32) -> String {
    if of == 0 { "-".to_owned() } else { format!("{:.0} %", 100.0 * f64::from(part) / f64::from(of)) }
}
