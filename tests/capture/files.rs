//! Capture files, read by tshark and tcpdump.

use std::collections::BTreeSet;
use std::time::UNIX_EPOCH;

use netlab::capture::{Direction, Packet, any, icmp};
use netlab::{Capture, Netns, Probe, Result};

use crate::lab::{Routed, tool};

struct Recorded {
    packets: netlab::capture::Packets,
    path: String,
    reader: Netns,
    _folder: tempfile::TempDir,
}

/// A bit of everything, over a router.
fn recorded() -> Result<Recorded> {
    let lab = Routed::new()?;
    let web = lab.right.http_server("10.0.2.2:80")?;
    let echo = lab.right.udp_echo("10.0.2.2:7")?;
    let capture = Capture::on_all([&lab.left, &lab.router, &lab.right])?;
    lab.left.expect_ping("10.0.2.2")?;
    lab.left.probe(&echo)?;
    lab.left.probe(&web)?;
    lab.left.observe(Probe::ping("10.0.2.2").ttl(1))?;
    lab.left.observe(Probe::udp("10.0.2.2:9"))?;
    lab.left.observe(Probe::ping("10.0.2.77"))?;
    lab.router.observe(Probe::tcp("10.0.1.2:81"))?;
    let mut packets = capture.stop()?;
    packets.comment(icmp().time_exceeded(), "this is where it died")?;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("packets.pcapng");
    packets.write_pcapng(&path)?;
    Ok(Recorded { packets, path: path.to_string_lossy().into_owned(), reader: lab.left.clone(), _folder: folder })
}

#[netlab::test]
fn tshark_reads_the_same_packets_interfaces_times_and_directions() -> Result<()> {
    let Recorded { packets, path, reader, _folder } = recorded()?;
    let fields = ["frame.interface_name", "frame.time_epoch", "frame.len", "frame.cap_len", "frame.packet_flags_direction"];
    let mut arguments = vec!["-n", "-r", &path, "-T", "fields"];
    fields.iter().for_each(|field| arguments.extend(["-e", field]));
    let theirs = tool(&reader, "tshark", &arguments)?;
    let ours = |packet: &Packet| {
        let time = packet.time().duration_since(UNIX_EPOCH).expect("after the epoch");
        let direction = match packet.direction() {
            Direction::In => 1,
            Direction::Out => 2,
        };
        let (name, length) = (format!("{}/{}", packet.netns(), packet.device()), packet.length());
        format!("{name}\t{}.{:09}\t{length}\t{}\t0x{direction:08x}", time.as_secs(), time.subsec_nanos(), packet.bytes().len())
    };
    let ours: Vec<_> = packets.iter().map(ours).collect();
    assert_eq!(theirs.lines().collect::<Vec<_>>(), ours);
    let names: BTreeSet<_> = packets.iter().map(|packet| format!("{}/{}", packet.netns(), packet.device())).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["left/eth0", "right/eth0", "router/lan0", "router/wan0"]);
    Ok(())
}

#[netlab::test]
fn tshark_shows_the_comments() -> Result<()> {
    let Recorded { packets, path, reader, _folder } = recorded()?;
    let found = tool(&reader, "tshark", &["-n", "-r", &path, "-Y", "frame.comment contains \"died\"", "-T", "fields", "-e", "icmp.type"])?;
    assert_eq!(found.lines().count(), packets.count(icmp().time_exceeded())?);
    assert!(found.lines().all(|line| line.starts_with("11")) && !found.is_empty(), "{found}");
    Ok(())
}

#[netlab::test]
fn our_lines_are_those_of_tcpdump() -> Result<()> {
    let Recorded { packets, path, reader, _folder } = recorded()?;
    // As root it would give up its privileges, for which one mapped user is not enough: in a user namespace without any it is not root.
    let theirs = tool(&reader, "unshare", &["--user", "tcpdump", "-n", "-t", "-S", "-K", "-r", &path])?;
    let theirs: Vec<_> = theirs.lines().filter(|line| !line.starts_with([' ', '\t'])).collect();
    let mut compared = BTreeSet::new();
    assert_eq!(theirs.len(), packets.len());
    for (theirs, packet) in theirs.iter().zip(&packets) {
        let line = packet.to_string();
        let ours = line.split_once(&format!(" {:<3} ", packet.direction())).map_or("", |(_, content)| content);
        if packet.ip().is_some_and(|ip| ip.source.is_ipv6()) {
            continue; // what a kernel says by itself at a start: multicast listeners, router solicitations
        }
        assert_eq!(ours, comparable(theirs), "tcpdump writes {theirs}");
        compared.insert(kind(ours));
    }
    let kinds = ["ARP, Reply", "ARP, Request", "Flags", "ICMP echo", "ICMP host", "ICMP time", "ICMP udp", "UDP, length"];
    assert_eq!(compared.into_iter().collect::<Vec<_>>(), kinds);
    packets.at_least(1, any())
}

/// Without TCP options and without the protocols above UDP and TCP, which tcpdump guesses by their ports.
fn comparable(line: &str) -> String {
    let line = match (line.find(", options ["), line.find("], length ")) {
        (Some(start), Some(end)) => format!("{}{}", &line[..start], &line[end + 1..]),
        _ => line.to_owned(),
    };
    match line.find(": HTTP") {
        Some(end) => line[..end].to_owned(),
        None => line,
    }
}

fn kind(line: &str) -> &'static str {
    let kinds = ["ARP, Reply", "ARP, Request", "Flags", "ICMP echo", "ICMP host", "ICMP time", "UDP, length"];
    kinds.into_iter().find(|kind| line.contains(kind)).unwrap_or(if line.contains("udp port") { "ICMP udp" } else { "another" })
}
