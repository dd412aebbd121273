//! Hosts on bridges, a datagram from every fourth to the next, gone: netlab beside raw netlink in C and beside `ip -batch`; how that grows; and
//! what memory a host takes.
//!
//! `cargo bench -p netlab-tests --bench lab` runs all three in one fresh machine, turn by turn, and prints medians as ratios to the floor:
//! absolute times say more about the machine than about netlab. With `-- --chart` it draws the growth into `docs/benchmarks`. Needs `cc`
//! and `ip`.

mod chart;
#[path = "../compile/mod.rs"]
mod compile;
mod memory;
#[path = "../turns/mod.rs"]
mod turns;
mod variants;

use std::path::Path;
use std::time::Duration;

use netlab::Machine;
use turns::{Result, Table, medians, ratio};

/// How many ports a bridge has at most: every frame to everyone, such as the kernel's own for IPv6, goes to each of them.
const PORTS: usize = 50;

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let floor = compile::c("lab/floor.c", folder.path())?;
    let draw = std::env::args().any(|argument| argument == "--chart");
    let report = Machine::new("bench").timeout(Duration::from_secs(1800)).run(move || {
        let report = compare(&floor, draw).unwrap_or_else(|e| format!("the benchmark failed: {e}\n"));
        Ok(report.into_bytes())
    })?;
    print!("{}", String::from_utf8(report)?);
    Ok(())
}

fn compare(floor: &Path, draw: bool) -> Result<String> {
    // Before the kernel has memory at hand that large labs had.
    let memory = memory::table(floor)?;
    let mut times = Table::new(["hosts, until", "floor in C", "netlab", "ip -batch"]);
    let mut growth = Vec::new();
    for (hosts, rounds) in [(2, 41), (50, 9), (200, 5), (500, 3), (1000, 3)] {
        let medians =
            medians(rounds, [&mut || variants::floor(floor, hosts), &mut || variants::netlab(hosts), &mut || variants::ip_batch(hosts)])?;
        for (number, phase) in ["built", "used", "ended", "gone, in all"].into_iter().enumerate() {
            let [c, ours, ip] = medians.map(|times| times[number]);
            let ip = if ip.is_zero() { "-".to_owned() } else { ratio(ip, c) };
            times.row([format!("{hosts}, {phase}"), ratio(c, c), ratio(ours, c), ip]);
        }
        let all = medians.map(|[.., all]| all);
        let [c, ours, ip] = all.map(|all| format!("{:.1?}", all / hosts as u32));
        times.row([format!("{hosts}, a host"), c, ours, ip]);
        growth.push((hosts, all));
    }
    if draw {
        chart::draw(&growth)?;
    }
    Ok(format!("{times}\n{memory}"))
}
