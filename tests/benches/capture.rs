//! The highest rate of frames that one sender gets through a veth here, and what a capture keeps of them.
//!
//! `cargo bench -p netlab-tests --bench capture`

mod turns;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use netlab::{Capture, Machine, Netns, VethPair};
use turns::{Result, Table, medians, ratio};

/// Of each flood.
const TIME: Duration = Duration::from_secs(3);

fn main() -> Result<()> {
    let report = Machine::new("bench").timeout(Duration::from_secs(600)).run(|| {
        let report = compare().unwrap_or_else(|e| format!("the benchmark failed: {e}\n"));
        Ok(report.into_bytes())
    })?;
    print!("{}", String::from_utf8_lossy(&report));
    Ok(())
}

fn compare() -> Result<String> {
    let (left, right) = (Netns::new("left")?, Netns::new("right")?);
    let cable = VethPair::connect(left.iface("eth0").addr("10.0.0.1/24").mtu(65_535), right.iface("eth0").addr("10.0.0.2/24").mtu(65_535))?;
    let socket = right.run(|| UdpSocket::bind("10.0.0.2:9"))?;
    let idle = idle(&cable)?;
    let mut table = Table::new(["payload, senders, buffer", "a frame", "with a capture", "frames/s", "kept", "lost", "stop"]);
    for (payload, senders) in [(18, 1), (18, 2), (1400, 1), (60_000, 1), (60_000, 2)] {
        let (free, time) = flood(&left, payload, senders)?;
        let free = time.div_f64(free as f64);
        for buffer in [1 << 20, 8 << 20, 64 << 20] {
            let capture = Capture::plan().on(cable.left()).buffer(buffer).start()?;
            let (sent, time) = flood(&left, payload, senders)?;
            let stop = Instant::now();
            let packets = capture.stop_with_losses()?;
            table.row([
                format!("{payload} bytes, {senders}, {} MiB", buffer >> 20),
                ratio(free, free),
                ratio(time.div_f64(sent as f64), free),
                format!("{:.0}", sent as f64 / time.as_secs_f64()),
                packets.len().to_string(),
                packets.losses().dropped.to_string(),
                format!("{:.1?}", stop.elapsed()),
            ]);
        }
    }
    drop(socket);
    Ok(format!("{table}\n{idle}"))
}

/// What a capture of nothing costs.
fn idle(cable: &VethPair) -> Result<String> {
    let [times] = medians(
        31,
        [&mut || {
            let start = Instant::now();
            let capture = Capture::on(cable.left())?;
            let started = start.elapsed();
            drop(capture.packets()?);
            let read = start.elapsed();
            drop(capture);
            Ok([started, read - started, start.elapsed() - read])
        }],
    )?;
    let mut table = Table::new(["a capture of nothing", "start", "packets", "drop"]);
    let [start, packets, drop] = times.map(|time| format!("{time:.1?}"));
    table.row(["on one link".to_owned(), start, packets, drop]);
    Ok(table.to_string())
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
