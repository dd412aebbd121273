//! The same work three times. Each gives the times until the lab was built, used, ended, and that of all.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use netlab::{Bridge, Netns, VethPair};

use crate::PORTS;
use crate::turns::Result;

pub(crate) type Times = [Duration; 4];

/// As the process itself measures it.
pub(crate) fn floor(floor: &Path, hosts: usize) -> Result<Times> {
    settle()?;
    let output = Command::new(floor).args([hosts, PORTS].map(|number| number.to_string())).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let times = text.split_whitespace().skip(1).map(|word| Ok(Duration::from_nanos(word.parse()?))).collect::<Result<Vec<_>>>()?;
    let [built, used, ended] = times[..] else { return Err(format!("not three times: {text}").into()) };
    Ok([built, used, ended, built + used + ended])
}

pub(crate) fn netlab(hosts: usize) -> Result<Times> {
    settle()?;
    let start = Instant::now();
    let lab = Lab::new(hosts)?;
    let built = start.elapsed();
    lab.exchange()?;
    let used = start.elapsed();
    drop(lab);
    let all = start.elapsed();
    Ok([built, used - built, all - used, all])
}

/// Hosts that stand.
pub(crate) struct Lab {
    hosts: Vec<(Netns, VethPair)>,
    _bridges: Vec<Bridge>,
}

impl Lab {
    pub(crate) fn new(hosts: usize) -> Result<Self> {
        let switch = Netns::new("switch")?;
        let mut lab = Self { hosts: Vec::with_capacity(hosts), _bridges: Vec::new() };
        for first in (0..hosts).step_by(PORTS) {
            let bridge = Bridge::new(switch.iface(format!("br{}", first / PORTS)))?;
            for number in first..hosts.min(first + PORTS) {
                let host = Netns::new(format!("h{number}"))?;
                let cable = bridge.plug(host.iface("eth0").addr(format!("{}/16", address(number))))?;
                lab.hosts.push((host, cable));
            }
            lab._bridges.push(bridge);
        }
        Ok(lab)
    }

    fn exchange(&self) -> Result<()> {
        for first in (0..self.hosts.len()).step_by(4) {
            let (from, to) = (address(first), format!("{}:9", address(first + 1)));
            let server = self.hosts[first + 1].0.run(|| UdpSocket::bind(&to))??;
            let client = self.hosts[first].0.run(|| UdpSocket::bind((from.as_str(), 0)))??;
            server.set_read_timeout(Some(Duration::from_secs(1)))?;
            client.send_to(b"x", &to)?;
            server.recv(&mut [0])?;
        }
        Ok(())
    }
}

fn address(number: usize) -> String {
    format!("10.0.{}.{}", (number + 1) / 256, (number + 1) % 256)
}

/// Without the datagrams, in favour of `ip`.
pub(crate) fn ip_batch(hosts: usize) -> Result<Times> {
    settle()?;
    let mut batch = String::from("netns add switch\n");
    let mut in_switch = String::new();
    let mut in_hosts = Vec::new();
    for n in 0..hosts {
        let bridge = n / PORTS;
        if n % PORTS == 0 {
            writeln!(in_switch, "link add br{bridge} type bridge stp_state 0 forward_delay 0\nlink set br{bridge} up")?;
        }
        writeln!(batch, "netns add h{n}\nlink add eth0 netns h{n} type veth peer name h{n} netns switch")?;
        writeln!(in_switch, "link set h{n} master br{bridge} up")?;
        in_hosts.push(format!("link set lo up\nlink set eth0 up\naddress add {}/16 dev eth0\n", address(n)));
    }
    let start = Instant::now();
    ip(&[], &batch)?;
    ip(&["-n", "switch"], &in_switch)?;
    for (n, commands) in in_hosts.iter().enumerate() {
        ip(&["-n", &format!("h{n}")], commands)?;
    }
    let built = start.elapsed();
    let gone: String = (0..hosts).map(|n| format!("netns del h{n}\n")).collect::<String>() + "netns del switch\n";
    ip(&[], &gone)?;
    let all = start.elapsed();
    Ok([built, Duration::ZERO, all - built, all])
}

fn ip(options: &[&str], batch: &str) -> Result<()> {
    let mut child = Command::new("ip").args(options).args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("no stdin")?.write_all(batch.as_bytes())?;
    if child.wait()?.success() { Ok(()) } else { Err(format!("ip -batch failed on:\n{batch}").into()) }
}

/// Returns when the kernel has ended what it had to end: namespaces go in the order in which they die, and with the last one its cable.
pub(crate) fn settle() -> Result<()> {
    ip(&[], "netns add last\nlink add last type veth peer name eth0 netns last\nnetns del last\n")?;
    let start = Instant::now();
    while Path::new("/sys/class/net/last").exists() {
        if start.elapsed() > Duration::from_secs(60) {
            return Err("the kernel has not ended a namespace for a minute".into());
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}
