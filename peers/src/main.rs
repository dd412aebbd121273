//! Two hosts on a switch, one datagram, gone: by netlab, by raw netlink in C, by `ip -batch` and by netlab's neighbours.
//!
//! `cargo run --release` here runs each as a process in one fresh machine, turn by turn, and prints medians of the times that the processes
//! themselves measure, as ratios to netlab's. Needs `cc` and `ip`; and for Mininet its Python package, `mnexec`, `ifconfig` and `brctl`, which
//! may lie below a folder that `MININET` names (`dpkg -x mininet_*.deb FOLDER`, and so for bridge-utils and net-tools).

// The table of all benchmarks.
#[path = "../../tests/benches/turns/mod.rs"]
mod turns;
mod variants;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use turns::{Result, Table, medians, ratio};

const ROUNDS: usize = 21;
const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Each with what it does otherwise than all.
const VARIANTS: [(&str, &str); 9] = [
    ("netlab", ""),
    ("floor in C", "sets no sysctl"),
    ("ip -batch", "sends no datagram; leaves the ports to settle"),
    ("nlink", "sets no sysctl; leaves the ports to settle"),
    ("netlab, a cable", "one cable, no switch"),
    ("gateflow", "one cable, no switch"),
    ("netsim-embed", "a router of its own in user space on tun, no switch"),
    ("patchbay", "a router and an exchange point, no switch"),
    ("Mininet", "a bridge by brctl; leaves the ports to settle"),
];

fn main() -> Result<()> {
    if let Some(name) = env::args().nth(1) {
        println!("{}", variants::run(&name)?.as_nanos());
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let floor = folder.path().join("floor");
    let source = Path::new(HERE).join("../tests/benches/lab/floor.c");
    if !Command::new("cc").args(["-O2", "-o"]).arg(&floor).arg(source).status()?.success() {
        return Err("cc could not compile the floor".into());
    }
    let report = netlab::Machine::new("peers").timeout(Duration::from_secs(1800)).run(move || {
        let report = compare(&floor).unwrap_or_else(|e| format!("the comparison failed: {e}\n"));
        Ok(report.into_bytes())
    })?;
    print!("{}", String::from_utf8(report)?);
    Ok(())
}

fn compare(floor: &Path) -> Result<String> {
    let own = |name: &'static str| move || process(Command::new(env::current_exe()?).arg(name));
    let times = medians(
        ROUNDS,
        [
            &mut own("netlab"),
            &mut || process(Command::new(floor).args(["2", "50"])),
            &mut own("ip"),
            &mut own("nlink"),
            &mut own("netlab-cable"),
            &mut own("gateflow"),
            &mut own("netsim-embed"),
            &mut own("patchbay"),
            &mut mininet,
        ],
    )?;
    let mut table = Table::new(["two hosts on a switch, a datagram, gone", "", "does otherwise"]);
    for ((name, otherwise), [time]) in VARIANTS.into_iter().zip(times) {
        let time = if time.is_zero() { "not here".to_owned() } else { ratio(time, times[0][0]) };
        table.row([name.to_owned(), time, otherwise.to_owned()]);
    }
    Ok(table.to_string())
}

/// The sum of the last line's nanoseconds.
fn process(command: &mut Command) -> Result<[Duration; 1]> {
    let output = command.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{command:?}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    let last = text.lines().last().unwrap_or_default();
    let times = last.split_whitespace().map(str::parse).collect::<std::result::Result<Vec<u64>, _>>();
    let times = times.map_err(|_| format!("{command:?} does not end with times: {text}"))?;
    Ok([Duration::from_nanos(times.iter().sum())])
}

fn mininet() -> Result<[Duration; 1]> {
    let root = PathBuf::from(env::var_os("MININET").unwrap_or_else(|| "/".into()));
    if !root.join("usr/bin/mnexec").exists() {
        return Ok([Duration::ZERO]);
    }
    let mut path = OsString::new();
    for folder in ["usr/bin", "sbin", "usr/sbin"] {
        path.push(root.join(folder));
        path.push(":");
    }
    path.push(env::var_os("PATH").unwrap_or_default());
    let script = Path::new(HERE).join("by_mininet.py");
    process(Command::new("python3").arg(script).env("PATH", path).env("PYTHONPATH", root.join("usr/lib/python3/dist-packages")))
}
