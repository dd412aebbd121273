//! The highest rate of frames that one sender gets through a veth here, and what a capture keeps of them.
//!
//! `cargo bench -p netlab-tests --bench capture`

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use netlab::{Capture, Machine, Netns, Result, VethPair};

/// Of each flood.
const TIME: Duration = Duration::from_secs(3);

fn main() -> Result<()> {
    let report = Machine::new("bench").timeout(Duration::from_secs(600)).run(|| compare().map(String::into_bytes))?;
    print!("{}", String::from_utf8_lossy(&report));
    Ok(())
}

fn compare() -> Result<String> {
    let mut report = String::new();
    let (left, right) = (Netns::new("left")?, Netns::new("right")?);
    let cable = VethPair::connect(left.iface("eth0").addr("10.0.0.1/24").mtu(65_535), right.iface("eth0").addr("10.0.0.2/24").mtu(65_535))?;
    let socket = right.run(|| UdpSocket::bind("10.0.0.2:9"))?;
    report += &idle(&cable)?;
    report += "payload buffer    sent/s     with taps/s  kept       lost       start     stop\n";
    for (payload, senders) in [(18, 1), (18, 2), (1400, 1), (60_000, 1), (60_000, 2)] {
        let (free, time) = flood(&left, payload, senders)?;
        let free = free as f64 / time.as_secs_f64();
        for buffer in [1 << 20, 8 << 20, 64 << 20] {
            let start = Instant::now();
            let capture = Capture::plan().on(cable.left()).buffer(buffer).start()?;
            let started = start.elapsed();
            let (sent, time) = flood(&left, payload, senders)?;
            let stop = Instant::now();
            let packets = capture.stop_with_losses()?;
            let stopped = stop.elapsed();
            report += &format!(
                "{payload:>6} x{senders} {:>3} MiB {free:>10.0} {:>12.0} {:>10} {:>10}  {started:>8.1?} {stopped:>8.1?}\n",
                buffer >> 20,
                sent as f64 / time.as_secs_f64(),
                packets.len(),
                packets.losses().dropped,
            );
        }
    }
    drop(socket);
    Ok(report)
}

/// What a capture of nothing costs.
fn idle(cable: &VethPair) -> Result<String> {
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..30 {
        let start = Instant::now();
        let capture = Capture::on(cable.left())?;
        times[0].push(start.elapsed());
        let start = Instant::now();
        drop(capture.packets()?);
        times[1].push(start.elapsed());
        let start = Instant::now();
        drop(capture);
        times[2].push(start.elapsed());
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let [start, packets, drop] = times.map(|times| (times[0], times[15]));
    Ok(format!("least and median: start {start:.1?}, packets() {packets:.1?}, drop {drop:.1?}\n"))
}

fn flood(left: &Netns, payload: usize, senders: u16) -> Result<(u64, Duration)> {
    let start = Instant::now();
    // A burst of as much as a few seconds may bring, or 2 GiB: what was kept has to fit into memory.
    let most = (2 << 30) / payload as u64;
    let send = |port: u16| {
        let Ok(socket) = UdpSocket::bind(("10.0.0.1", port)) else { return 0 };
        let bytes = vec![0; payload];
        let mut sent = 0;
        while start.elapsed() < TIME && sent < most {
            sent += (0..64).filter(|_| socket.send_to(&bytes, "10.0.0.2:9").is_ok()).count() as u64;
        }
        sent
    };
    let sent = left.run(|| {
        std::thread::scope(|scope| {
            let senders: Vec<_> = (0..senders).map(|number| scope.spawn(move || send(5001 + number))).collect();
            senders.into_iter().filter_map(|sender| sender.join().ok()).sum()
        })
    })?;
    Ok((sent, start.elapsed()))
}
