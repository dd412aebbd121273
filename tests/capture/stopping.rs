//! Everything that was sent before `stop()` is in it.

use std::process::Command;

use netlab::capture::{any, icmp, udp};
use netlab::{Capture, Netns, Result};

use crate::lab::{Cable, LEFT, RIGHT, Routed, Switch};

#[netlab::test(timeout = "10m")]
fn all_that_was_sent_before_a_stop_is_in_it_two_hundred_times() -> Result<()> {
    let lab = Cable::new()?;
    let (from, _to) = lab.sockets()?;
    lab.left.expect_ping(RIGHT)?;
    for round in 0..200_u32 {
        let count = 1 + round % 40;
        let capture = Capture::plan().on(lab.pair.right()).buffer(1 << 20).start()?;
        for number in 0..count {
            from.send(&number.to_be_bytes()).expect("send");
        }
        let packets = capture.stop()?.filter(udp().from(LEFT).to_port(9))?;
        let numbers: Vec<_> = packets.iter().filter_map(|packet| packet.bytes().last_chunk().copied().map(u32::from_be_bytes)).collect();
        assert_eq!(numbers, (0..count).collect::<Vec<_>>(), "round {round}");
    }
    Ok(())
}

/// The soft interrupts are left to `ksoftirqd` then, and frames wait in the backlogs.
#[netlab::test]
fn all_that_was_sent_is_there_while_others_flood_the_backlogs() -> Result<()> {
    let lab = Routed::new()?;
    let to = crate::lab::bound(&lab.right, "10.0.2.2:9")?;
    let from = crate::lab::bound(&lab.left, "10.0.1.2:5000")?;
    lab.left.expect_ping("10.0.2.2")?;
    let mut flood = flood()?;
    for round in 0..100 {
        let capture = Capture::plan().on(&lab.right).buffer(1 << 20).start()?;
        for number in 0..50_u32 {
            from.send_to(&number.to_be_bytes(), "10.0.2.2:9").expect("send");
        }
        let packets = capture.stop()?;
        let seen = packets.count(udp().to_port(9))?;
        // A full backlog drops frames before anybody sees them: then the receiver has not got them either.
        let received = received(&to);
        assert!(seen >= received, "round {round}: {seen} seen, {received} received");
        assert!(received > 0, "round {round}: nothing came through");
    }
    flood.kill().expect("kill");
    flood.wait().expect("wait");
    Ok(())
}

fn received(socket: &std::net::UdpSocket) -> usize {
    socket.set_nonblocking(true).expect("nonblocking");
    std::iter::from_fn(|| socket.recv(&mut [0; 8]).ok()).count()
}

/// A machine that floods itself over its loopback.
fn flood() -> Result<std::process::Child> {
    let script = "import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\nwhile True: s.sendto(b'x'*60000,('127.0.0.1',9))";
    let machine = Netns::new("flooder")?;
    let mut command: Command = machine.command("python3")?;
    Ok(command.args(["-c", script]).spawn().expect("python3"))
}

#[netlab::test]
fn packets_are_given_while_the_capture_goes_on() -> Result<()> {
    let lab = Cable::new()?;
    let capture = Capture::on(&lab.left)?;
    assert_eq!(capture.packets()?.count(any().outgoing().to(RIGHT))?, 0);
    lab.left.expect_ping(RIGHT)?;
    capture.packets()?.exactly(1, icmp().echo_reply())?;
    lab.left.expect_ping(RIGHT)?;
    capture.packets()?.exactly(2, icmp().echo_reply())?;
    capture.stop()?.exactly(2, icmp().echo_reply())
}

#[netlab::test]
fn an_expectation_is_met_by_a_packet_that_comes_later_and_says_what_came_instead() -> Result<()> {
    let lab = Cable::new()?;
    let capture = Capture::on(&lab.right)?;
    std::thread::scope(|scope| -> Result<()> {
        let pinging = scope.spawn(|| lab.left.expect_ping(RIGHT));
        let seen = capture.expect(icmp().echo_request().from(LEFT).incoming())?;
        assert_eq!(seen.destination().map(|ip| ip.to_string()), Some(RIGHT.to_owned()));
        pinging.join().expect("no panic")?;
        Ok(())
    })?;
    capture.expect_count(1, icmp().echo_reply())?;
    let none = capture.expect_within(std::time::Duration::from_millis(50), udp().port(53).to(RIGHT)).expect_err("nobody asked");
    assert!(none.is_timeout(), "{none}");
    let text = none.to_string();
    assert!(
        text.starts_with("cannot see UDP port 53 to 10.0.0.2 on `right`: none came within 50ms\n  at tests/capture/stopping.rs:"),
        "{text}"
    );
    assert!(text.contains("right/eth0 In  IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id "), "{text}");
    let bad = capture.expect(udp().to("10.0.0.300")).expect_err("no address");
    assert!(bad.is_invalid_input() && bad.to_string().contains("`to 10.0.0.300`: expected an address"), "{bad}");
    let bad = capture.stop()?.absent(udp().ether_to("nonsense")).expect_err("no MAC address");
    assert!(bad.is_invalid_input(), "{bad}");
    Ok(())
}

#[netlab::test]
fn a_flooded_frame_is_seen_on_every_port_by_the_time_of_the_stop() -> Result<()> {
    let lab = Switch::new()?;
    let from = crate::lab::bound(&lab.left, "10.0.0.1:5000")?;
    from.set_broadcast(true).expect("broadcast");
    for _ in 0..100 {
        let capture = Capture::plan().on(&lab.switch).buffer(1 << 20).start()?;
        from.send_to(b"all", "255.255.255.255:9").unwrap_or_else(|_| from.send_to(b"all", "10.0.0.255:9").expect("send"));
        capture.stop()?.exactly(1, udp().to_port(9).on("right").outgoing())?;
    }
    Ok(())
}

#[netlab::test]
fn a_link_that_goes_down_or_away_ends_nothing_but_its_traffic() -> Result<()> {
    let lab = Cable::new()?;
    let capture = Capture::on(lab.pair.left())?;
    lab.left.expect_ping(RIGHT)?;
    lab.pair.left().down()?;
    lab.left.expect_no_ping(RIGHT)?;
    lab.pair.left().up()?;
    lab.left.expect_ping(RIGHT)?;
    let Cable { pair, .. } = lab;
    pair.close()?;
    capture.stop()?.exactly(2, icmp().echo_reply())
}

#[netlab::test]
fn a_dropped_capture_leaves_no_thread() -> Result<()> {
    let threads = || {
        std::fs::read_dir("/proc/self/task")
            .expect("/proc")
            .flatten()
            .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("netlab capture")))
            .count()
    };
    let lab = Cable::new()?;
    let before = threads();
    let capture = Capture::on(&lab.left)?;
    lab.left.expect_ping(RIGHT)?;
    capture.expect(icmp().echo_reply())?; // it runs, and has its name
    assert_eq!(threads(), before + 1);
    drop(capture);
    assert_eq!(threads(), before);
    Ok(())
}
