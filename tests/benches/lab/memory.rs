//! What memory of the kernel and how many descriptors a standing host takes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::PORTS;
use crate::turns::{Result, Table, medians};
use crate::variants::{Lab, settle};

const HOSTS: u64 = 200;
const ROUNDS: usize = 5;

/// Bytes of the kernel, descriptors.
type Held = [u64; 2];

pub(crate) fn table(floor: &Path) -> Result<String> {
    let [c, ours] = medians(ROUNDS, [&mut || of_floor(floor), &mut of_netlab])?;
    let mut table = Table::new(["a host of 200 takes", "floor in C", "netlab"]);
    let kernel = |held: Held| format!("{:.1} kB ×{:.2}", held[0] as f64 / 1000.0 / HOSTS as f64, held[0] as f64 / c[0] as f64);
    table.row(["memory of the kernel".to_owned(), kernel(c), kernel(ours)]);
    let descriptors = |held: Held| format!("{:.2}", held[1] as f64 / HOSTS as f64);
    table.row(["descriptors".to_owned(), descriptors(c), descriptors(ours)]);
    Ok(table.to_string())
}

fn of_floor(floor: &Path) -> Result<Held> {
    quiet()?;
    let mut command = Command::new(floor);
    command.args([HOSTS, PORTS as u64].map(|number| number.to_string())).stdin(Stdio::piped()).stdout(Stdio::piped());
    let before = kernel()?;
    let mut child = command.spawn()?;
    let mut line = String::new();
    let output = child.stdout.take().ok_or("no output")?;
    BufReader::new(output).read_line(&mut line)?;
    let pid = child.id().to_string();
    let held = [kernel()?.saturating_sub(before), descriptors(&pid)?];
    drop(child.stdin.take());
    child.wait()?;
    if line == "built\n" { Ok(held) } else { Err("the floor built nothing".into()) }
}

fn of_netlab() -> Result<Held> {
    quiet()?;
    let before = [kernel()?, descriptors("self")?];
    let lab = Lab::new(HOSTS as usize)?;
    let after = [kernel()?, descriptors("self")?];
    drop(lab);
    Ok([0, 1].map(|number| after[number].saturating_sub(before[number])))
}

/// Returns when the kernel holds no less from one look to the next: it frees what namespaces had a while after their end.
fn quiet() -> Result<()> {
    settle()?;
    let start = Instant::now();
    let mut held = kernel()?;
    loop {
        sleep(Duration::from_millis(300));
        let now = kernel()?;
        if now + (1 << 18) >= held || start.elapsed() > Duration::from_secs(20) {
            return Ok(());
        }
        held = now;
    }
}

/// What the kernel holds for itself; not its caches, which grow and shrink with all that the machine does.
fn kernel() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let ours = fields.filter(|(name, _)| ["SUnreclaim", "Percpu", "VmallocUsed", "KernelStack"].contains(name));
    Ok(ours.filter_map(|(_, value)| value.trim().strip_suffix(" kB")?.parse::<u64>().ok()).sum::<u64>() * 1024)
}

fn descriptors(pid: &str) -> Result<u64> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64)
}
