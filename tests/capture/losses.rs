//! Large frames are whole, and what is lost is told.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use netlab::capture::{tcp, udp};
use netlab::{Capture, Netns, Result, VethPair};

use crate::lab::{Cable, RIGHT};

#[netlab::test]
fn frames_of_a_bulk_transfer_are_seen_whole_and_uncut() -> Result<()> {
    let lab = Cable::new()?;
    // Room for all of it, whether or not the machine lets anybody read meanwhile.
    let capture = Capture::plan().on(&lab.left).on(&lab.right).buffer(16 << 20).start()?;
    transfer(&lab, BYTES)?;
    let packets = capture.stop()?;
    for netns in ["left", "right"] {
        let data = packets.filter(tcp().data().to_port(80).within(netns))?;
        let bytes: usize = data.iter().filter_map(|packet| packet.tcp()).map(|tcp| tcp.length).sum();
        assert!(bytes >= BYTES, "{netns}: {bytes}");
        let longest = data.iter().map(|packet| packet.bytes().len()).max().unwrap_or(0);
        assert!(longest > 60_000, "{netns}: {longest}");
        let large = data.iter().filter(|packet| packet.bytes().len() > 1514);
        assert!(large.clone().all(|packet| packet.segmentation().is_some_and(|cut| cut.segment_bytes == 1448)));
        assert!(large.clone().all(|packet| packet.has_partial_checksum()));
        assert!(data.iter().all(|packet| !packet.is_truncated()));
    }
    Ok(())
}

#[netlab::test]
fn a_bulk_transfer_fits_into_a_small_buffer_when_only_its_headers_are_kept() -> Result<()> {
    let lab = Cable::new()?;
    let capture = Capture::plan().on(&lab.left).buffer(8 << 20).snap(96).start()?;
    transfer(&lab, LARGE)?;
    let packets = capture.stop()?;
    let data = packets.filter(tcp().data().outgoing().to_port(80))?;
    assert!(data.iter().filter_map(|packet| packet.tcp()).map(|tcp| tcp.length).sum::<usize>() >= LARGE);
    let cut = data.iter().filter(|packet| packet.length() > 96);
    assert!(cut.clone().count() > 10 && cut.clone().all(|packet| packet.bytes().len() == 96 && packet.is_truncated()));
    assert!(packets.losses().is_none());
    Ok(())
}

const BYTES: usize = 6 << 20;
const LARGE: usize = 24 << 20;

fn transfer(lab: &Cable, bytes: usize) -> Result<()> {
    let listener = lab.right.run(|| TcpListener::bind("10.0.0.2:80"))?.expect("bind");
    let sink = std::thread::spawn(move || {
        let mut received = Vec::new();
        listener.accept().and_then(|(mut stream, _)| stream.read_to_end(&mut received)).expect("receive");
        received.len()
    });
    let mut stream = lab.left.run(|| TcpStream::connect("10.0.0.2:80"))?.expect("connect");
    stream.write_all(&vec![7; bytes]).expect("send");
    drop(stream);
    assert_eq!(sink.join().expect("no panic"), bytes);
    Ok(())
}

#[netlab::test]
fn an_overwhelmed_capture_says_what_it_lost_and_counts_every_frame() -> Result<()> {
    let (left, right) = (Netns::new("left")?, Netns::new("right")?);
    for netns in [&left, &right] {
        // Or the kernel says something by itself, whenever it likes.
        netns.run(|| std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"))?.expect("no IPv6");
    }
    let cable = VethPair::connect(left.iface("eth0").addr("10.0.0.1/24").mtu(65_535), right.iface("eth0").addr("10.0.0.2/24").mtu(65_535))?;
    left.expect_ping(RIGHT)?;

    let _receiver = right.run(|| UdpSocket::bind("10.0.0.2:9"))?.expect("bind");
    let before = passed(&left)?;
    let capture = Capture::plan().on(cable.left()).buffer(1).start()?;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut sent = 0;
    let error = loop {
        sent += flood(&left)?;
        match capture.packets() {
            Err(error) => break error,
            Ok(all) => all.exactly(sent, udp().to_port(9).outgoing())?,
        }
        assert!(Instant::now() < deadline, "nothing was lost of {sent} frames");
    };
    assert!(error.is_unexpected() && error.to_string().contains("packets were lost for want of buffer"), "{error}");
    let packets = capture.stop_with_losses()?;
    assert!(packets.losses().dropped > 0);
    let all = passed(&left)? - before;
    assert_eq!(packets.len() as u64 + packets.losses().dropped, all, "each frame is kept or counted");
    assert!(all >= sent as u64);

    let capture = Capture::plan().on(cable.left()).buffer(1).start()?;
    while capture.packets().is_ok() {
        flood(&left)?;
        assert!(Instant::now() < deadline, "nothing was lost");
    }
    let error = capture.stop().expect_err("packets were lost");
    assert!(error.to_string().contains("help: ask for a larger buffer"), "{error}");

    // And with the buffer that it should have had, nothing is.
    let capture = Capture::plan().on(cable.left()).buffer(512 << 20).start()?;
    let sent = flood(&left)?;
    capture.stop()?.exactly(sent, udp().to_port(9).outgoing())
}

/// The frames that `eth0` has sent and received, as the kernel counts them.
fn passed(netns: &Netns) -> Result<u64> {
    let table = netns.run(|| std::fs::read_to_string("/proc/thread-self/net/dev"))?.expect("a table");
    let line = table.lines().find_map(|line| line.trim().strip_prefix("eth0:")).expect("eth0").to_owned();
    let column = |place| line.split_whitespace().nth(place).and_then(|text| text.parse::<u64>().ok()).expect("a number");
    Ok(column(1) + column(9))
}

/// Two senders of large datagrams, as fast as they can; gives how many they sent.
fn flood(left: &Netns) -> Result<usize> {
    const EACH: usize = 1500;
    let send = |port: u16| {
        let socket = UdpSocket::bind(("10.0.0.1", port)).expect("bind");
        socket.connect("10.0.0.2:9").expect("connect");
        (0..EACH).filter(|_| socket.send(&[0; 60_000]).is_ok()).count()
    };
    left.run(|| {
        std::thread::scope(|scope| [5001, 5002].map(|port| scope.spawn(move || send(port))).map(|sender| sender.join().expect("no panic")))
    })
    .map(|sent| sent.into_iter().sum())
}
