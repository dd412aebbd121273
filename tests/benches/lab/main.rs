//! Two hosts on a bridge, one datagram, gone (W1), and the same with fifty hosts (W2): netlab beside raw netlink in C and beside `ip -batch`.
//!
//! `cargo bench -p netlab-tests --bench lab` runs all three in one fresh machine, turn by turn, and prints medians as ratios to the floor:
//! absolute times say more about the machine than about netlab. Needs `cc` and `ip`.

mod compile;

use std::error::Error;
use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use netlab::{Bridge, Machine, Netns};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let floor = compile::c("lab_floor", folder.path())?;
    let report = Machine::new("bench").timeout(Duration::from_secs(600)).run(move || {
        let report = compare(&floor).unwrap_or_else(|e| format!("the benchmark failed: {e}\n"));
        Ok(report.into_bytes())
    })?;
    print!("{}", String::from_utf8(report)?);
    Ok(())
}

fn compare(floor: &Path) -> Result<String> {
    let mut report = String::from("workload      floor (C)      netlab               ip -batch\n");
    for (workload, hosts, rounds) in [("W1, 2 hosts", 2, 60), ("W2, 50 hosts", 50, 10)] {
        let [mut c, mut ours, mut ip] = [(); 3].map(|()| Vec::with_capacity(rounds));
        for _ in 0..rounds {
            c.push(floor_round(floor, hosts)?);
            ours.push(netlab_round(hosts)?);
            ip.push(ip_round(hosts)?);
        }
        let [c, ours, ip] = [c, ours, ip].map(median);
        let ratio = |time: Duration| time.as_secs_f64() / c.as_secs_f64();
        writeln!(report, "{workload:<12} {c:>8.1?} 1.00   {ours:>8.1?} {:>5.2}   {ip:>9.1?} {:>6.2}", ratio(ours), ratio(ip))?;
    }
    Ok(report)
}

/// One round, as the process itself measures it.
fn floor_round(floor: &Path, hosts: usize) -> Result<Duration> {
    let output = Command::new(floor).args([&hosts.to_string(), "1"]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(Duration::from_nanos(String::from_utf8(output.stdout)?.trim().parse()?))
}

fn netlab_round(hosts: usize) -> Result<Duration> {
    let start = Instant::now();
    {
        let switch = Netns::new("switch")?;
        let bridge = Bridge::new(switch.iface("br0"))?;
        let mut plugged = Vec::with_capacity(hosts);
        for number in 0..hosts {
            let host = Netns::new(format!("h{number}"))?;
            let cable = bridge.plug(host.iface("eth0").addr(format!("10.0.0.{}/16", number + 1)))?;
            plugged.push((host, cable));
        }
        let to = plugged[1].0.run(|| UdpSocket::bind("10.0.0.2:9"))??;
        let from = plugged[0].0.run(|| UdpSocket::bind("10.0.0.1:0"))??;
        to.set_read_timeout(Some(Duration::from_secs(1)))?;
        from.send_to(b"x", "10.0.0.2:9")?;
        to.recv(&mut [0])?;
    }
    Ok(start.elapsed())
}

/// Without the datagram, in favour of `ip`.
fn ip_round(hosts: usize) -> Result<Duration> {
    let mut batch = String::from("netns add switch\n");
    let mut in_switch = String::from("link add br0 type bridge stp_state 0 forward_delay 0\nlink set br0 up\n");
    let mut in_hosts = Vec::new();
    for n in 0..hosts {
        writeln!(batch, "netns add h{n}\nlink add eth0 netns h{n} type veth peer name h{n} netns switch")?;
        writeln!(in_switch, "link set h{n} master br0 up")?;
        in_hosts.push(format!("link set lo up\nlink set eth0 up\naddress add 10.0.0.{}/16 dev eth0\n", n + 1));
    }
    let start = Instant::now();
    ip(&[], &batch)?;
    ip(&["-n", "switch"], &in_switch)?;
    for (n, commands) in in_hosts.iter().enumerate() {
        ip(&["-n", &format!("h{n}")], commands)?;
    }
    let gone: String = (0..hosts).map(|n| format!("netns del h{n}\n")).collect::<String>() + "netns del switch\n";
    ip(&[], &gone)?;
    Ok(start.elapsed())
}

fn ip(options: &[&str], batch: &str) -> Result<()> {
    use std::io::Write as _;
    let mut child = Command::new("ip").args(options).args(["-batch", "-"]).stdin(std::process::Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("no stdin")?.write_all(batch.as_bytes())?;
    if child.wait()?.success() { Ok(()) } else { Err(format!("ip -batch failed on:\n{batch}").into()) }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
