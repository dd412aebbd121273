//! What it costs to install and remove rules, and the same by `nft -f` and `iptables-restore` in the same namespace.
//!
//! `cargo bench -p netlab-tests --bench rules`

use std::fmt;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use netlab::{FilterRule, FilterRuleBuilder, Machine, NatRule, Netns, Result, Rules};

const ROUNDS: usize = 41;

fn main() -> Result<()> {
    let report = Machine::new("bench").timeout(Duration::from_secs(600)).run(|| compare().map(String::into_bytes))?;
    print!("{}", String::from_utf8_lossy(&report));
    Ok(())
}

fn compare() -> Result<String> {
    let host = Netns::new("machine")?;
    let mut report = "least and median of interleaved rounds; each makes its tables and chains and leaves nothing\n".to_owned();
    report += &one(&host)?;
    report += &beside_others(&host)?;
    for count in [1, 20, 200] {
        report += &many(&host, count)?;
    }
    Ok(report)
}

fn one(host: &Netns) -> Result<String> {
    let (mut install, mut remove) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let rule = NatRule::masquerade(host).from("10.1.1.0/24").not_out("br0").install()?;
        install.push(start.elapsed());
        let start = Instant::now();
        drop(rule);
        remove.push(start.elapsed());
    }
    Ok(format!("one nat rule with its table and chain: install {}, remove {}\n", Times::of(install), Times::of(remove)))
}

/// The chain is there, and long.
fn beside_others(host: &Netns) -> Result<String> {
    let _others = Rules::install((0..500).map(|n| rule(host, n)))?;
    let (mut install, mut hits, mut remove) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..ROUNDS {
        let start = Instant::now();
        let rule = rule(host, n).install()?;
        install.push(start.elapsed());
        let start = Instant::now();
        rule.hits()?;
        hits.push(start.elapsed());
        let start = Instant::now();
        drop(rule);
        remove.push(start.elapsed());
    }
    let (install, hits, remove) = (Times::of(install), Times::of(hits), Times::of(remove));
    Ok(format!("one filter rule beside 500: install {install}, hits {hits}, remove {remove}\n"))
}

fn rule(host: &Netns, n: usize) -> FilterRuleBuilder {
    FilterRule::accept(host).forward().from(format!("10.{}.{}.0/24", n / 256, n % 256)).tcp(80).out("wan0")
}

/// The same rules for one program: the chain, and a rule a line.
fn nft(count: usize) -> String {
    let rule =
        |n| format!("add rule ip filter FORWARD ip saddr 10.{}.{}.0/24 tcp dport 80 oifname \"wan0\" counter accept\n", n / 256, n % 256);
    let chain = "add table ip filter\nadd chain ip filter FORWARD { type filter hook forward priority 0; }\n";
    chain.to_owned() + &(0..count).map(rule).collect::<String>()
}

fn iptables(count: usize) -> String {
    let rule = |n| format!("-A FORWARD -s 10.{}.{}.0/24 -p tcp --dport 80 -o wan0 -j ACCEPT\n", n / 256, n % 256);
    format!("*filter\n:FORWARD ACCEPT\n{}COMMIT\n", (0..count).map(rule).collect::<String>())
}

fn many(host: &Netns, count: usize) -> Result<String> {
    let (nft, iptables) = (nft(count), iptables(count));
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let rules = Rules::install((0..count).map(|n| rule(host, n)))?;
        times[0].push(start.elapsed());
        let start = Instant::now();
        drop(rules);
        times[1].push(start.elapsed());
        times[2].push(feed(host, &["nft", "-f", "-"], &nft)?);
        feed(host, &["nft", "-f", "-"], "flush ruleset")?;
        times[3].push(feed(host, &["iptables-restore"], &iptables)?);
        feed(host, &["nft", "-f", "-"], "flush ruleset")?;
    }
    let [install, remove, nft, restore] = times.map(Times::of);
    Ok(format!(
        "{count:>3} rules in one transaction: install {install}, remove {remove}; nft -f {nft} ({}), iptables-restore {restore} ({})\n",
        nft.over(&install),
        restore.over(&install),
    ))
}

/// How long the program takes to start, to read its input and to end.
fn feed(host: &Netns, words: &[&str], input: &str) -> Result<Duration> {
    let mut command = host.command(words[0])?;
    command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().expect("the program starts: are nftables and iptables installed?");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("input is taken");
    assert!(child.wait().expect("an end").success(), "{words:?}");
    Ok(start.elapsed())
}

struct Times {
    least: Duration,
    median: Duration,
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { least: times[0], median: times[times.len() / 2] }
    }

    fn over(&self, other: &Self) -> String {
        let ratio = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64();
        format!("x{:.1} x{:.1}", ratio(self.least, other.least), ratio(self.median, other.median))
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0?} {:.0?}", self.least, self.median)
    }
}
