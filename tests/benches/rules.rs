//! What it costs to install and remove rules, and the same by `nft -f` and `iptables-restore` in the same namespace.
//!
//! `cargo bench -p netlab-tests --bench rules` runs them turn by turn and prints medians as ratios to `nft -f`, a program that starts, reads
//! its input and ends. Without root of the real machine, the programs can send no more than some hundred rules at once ("Message too long",
//! the limit of a socket's buffer): of 2,000 they get 200 a start, and so ten transactions instead of one. Each round makes its tables and chains and leaves nothing. Needs `nft` and `iptables-restore`.

mod turns;

use std::io::Write;
use std::ops::Range;
use std::process::Stdio;
use std::time::{Duration, Instant};

use netlab::{FilterRule, FilterRuleBuilder, Machine, NatRule, Netns, Rules};
use turns::{Result, Table, medians, ratio};

/// Rules that one start of a program can send.
const SENT_AT_ONCE: usize = 200;

fn main() -> Result<()> {
    let report = Machine::new("bench").timeout(Duration::from_secs(600)).run(|| {
        let report = compare().unwrap_or_else(|e| format!("the benchmark failed: {e}\n"));
        Ok(report.into_bytes())
    })?;
    print!("{}", String::from_utf8_lossy(&report));
    Ok(())
}

fn compare() -> Result<String> {
    let host = Netns::new("machine")?;
    let mut table = Table::new(["rules", "nft -f", "netlab", "iptables-restore"]);
    for (count, rounds) in [(1, 41), (20, 41), (200, 41), (2000, 15)] {
        let times = medians(
            rounds,
            [&mut || fed(&host, &["nft", "-f", "-"], count, nft), &mut || installed(&host, count), &mut || {
                fed(&host, &["iptables-restore", "--noflush"], count, iptables)
            }],
        )?;
        for (number, what) in ["installed", "removed"].into_iter().enumerate() {
            let [nft, ours, restore] = times.map(|times| times[number]);
            table.row([format!("{count}, {what}"), ratio(nft, nft), ratio(ours, nft), ratio(restore, nft)]);
        }
    }
    Ok(format!("{table}\n{}", alone(&host)?))
}

/// A rule that makes its table and chain, and one whose chain is there, and long.
fn alone(host: &Netns) -> Result<String> {
    let mut table = Table::new(["one rule", "install", "count hits", "remove"]);
    let [nat] = medians(
        41,
        [&mut || {
            let start = Instant::now();
            let rule = NatRule::masquerade(host).from("10.1.1.0/24").not_out("br0").install()?;
            let installed = start.elapsed();
            drop(rule);
            Ok([installed, start.elapsed() - installed])
        }],
    )?;
    table.row(["of nat, with its table and chain".to_owned(), format!("{:.1?}", nat[0]), "-".to_owned(), format!("{:.1?}", nat[1])]);
    let _others = Rules::install((0..500).map(|n| rule(host, n)))?;
    let [beside] = medians(
        41,
        [&mut || {
            let start = Instant::now();
            let rule = rule(host, 500).install()?;
            let installed = start.elapsed();
            rule.hits()?;
            let counted = start.elapsed();
            drop(rule);
            Ok([installed, counted - installed, start.elapsed() - counted])
        }],
    )?;
    let [install, count, remove] = beside.map(|time| format!("{time:.1?}"));
    table.row(["of a filter, beside 500".to_owned(), install, count, remove]);
    Ok(table.to_string())
}

fn rule(host: &Netns, n: usize) -> FilterRuleBuilder {
    FilterRule::accept(host).forward().from(format!("10.{}.{}.0/24", n / 256, n % 256)).tcp(80).out("wan0")
}

fn installed(host: &Netns, count: usize) -> Result<[Duration; 2]> {
    let start = Instant::now();
    let rules = Rules::install((0..count).map(|n| rule(host, n)))?;
    let installed = start.elapsed();
    drop(rules);
    Ok([installed, start.elapsed() - installed])
}

/// The same rules for one program: the chain, and a rule a line.
fn nft(numbers: Range<usize>) -> String {
    let rule =
        |n| format!("add rule ip filter FORWARD ip saddr 10.{}.{}.0/24 tcp dport 80 oifname \"wan0\" counter accept\n", n / 256, n % 256);
    let chain = "add table ip filter\nadd chain ip filter FORWARD { type filter hook forward priority 0; }\n";
    chain.to_owned() + &numbers.map(rule).collect::<String>()
}

fn iptables(numbers: Range<usize>) -> String {
    let rule = |n| format!("-A FORWARD -s 10.{}.{}.0/24 -p tcp --dport 80 -o wan0 -j ACCEPT\n", n / 256, n % 256);
    format!("*filter\n:FORWARD ACCEPT\n{}COMMIT\n", numbers.map(rule).collect::<String>())
}

fn fed(host: &Netns, words: &[&str], count: usize, text: fn(Range<usize>) -> String) -> Result<[Duration; 2]> {
    let mut installed = Duration::ZERO;
    for first in (0..count).step_by(SENT_AT_ONCE) {
        installed += feed(host, words, &text(first..count.min(first + SENT_AT_ONCE)))?;
    }
    Ok([installed, feed(host, &["nft", "-f", "-"], "flush ruleset")?])
}

/// How long the program takes to start, to read its input and to end.
fn feed(host: &Netns, words: &[&str], input: &str) -> Result<Duration> {
    let mut command = host.command(words[0])?;
    command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().map_err(|e| format!("{}: {e}", words[0]))?;
    child.stdin.take().ok_or("no stdin")?.write_all(input.as_bytes())?;
    if child.wait()?.success() { Ok(start.elapsed()) } else { Err(format!("{words:?} failed").into()) }
}
