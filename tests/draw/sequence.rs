//! Sequence diagrams of what packets did.

use std::time::Duration;

use netlab::capture::{Capture, tcp, udp};
use netlab::draw::sequence;
use netlab::{Bridge, FilterRule, NatRule, Netns, Probe, Result, VethPair};

use crate::labs::Kept;

/// What IPv6 says of itself at any time is not drawn.
fn without_ipv6(machines: &[&Netns]) -> Result<()> {
    let off = |machine: &&Netns| {
        ["all", "default"]
            .iter()
            .try_for_each(|of| machine.set_sysctl(&format!("net.ipv6.conf.{of}.disable_ipv6"), 1).map(netlab::Sysctl::keep))
    };
    machines.iter().try_for_each(off)
}

/// A laptop behind a router that translates, and a server.
struct Nat {
    laptop: Netns,
    router: Netns,
    server: Netns,
    _kept: Kept,
}

fn nat() -> Result<Nat> {
    let (laptop, router, server) = (Netns::new("laptop")?, Netns::new("router")?, Netns::new("server")?);
    without_ipv6(&[&laptop, &router, &server])?;
    let lan = VethPair::connect(laptop.iface("eth0").addr("10.0.0.2/24").gateway("10.0.0.1"), router.iface("lan0").addr("10.0.0.1/24"))?;
    let wan = VethPair::connect(router.iface("wan0").addr("203.0.113.1/24"), server.iface("eth0").addr("203.0.113.9/24"))?;
    router.forward_ipv4()?;
    let rule = NatRule::masquerade(&router).out("wan0").install()?;
    Ok(Nat { laptop, router, server, _kept: vec![Box::new(lan), Box::new(wan), Box::new(rule)] })
}

impl Nat {
    fn capture(&self) -> Result<Capture> {
        Capture::on_all([&self.laptop, &self.router, &self.server])
    }
}

#[netlab::test]
fn a_translated_datagram_goes_hop_by_hop_with_a_note_where_it_is_rewritten() -> Result<()> {
    let lab = nat()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let capture = lab.capture()?;
    lab.laptop.probe(&echo)?.expect_source("203.0.113.1")?;
    insta::assert_snapshot!(sequence(&capture.stop()?));
    Ok(())
}

#[netlab::test]
fn a_bridge_shows_who_was_asked_and_who_answered() -> Result<()> {
    let host = Netns::current()?;
    let (left, right, other) = (Netns::new("left")?, Netns::new("right")?, Netns::new("other")?);
    without_ipv6(&[&host, &left, &right, &other])?;
    let lan = Bridge::new(host.iface("br0").addr("10.0.0.254/24"))?;
    let mut cables = Vec::new();
    for (machine, number) in [(&left, 1), (&right, 2), (&other, 3)] {
        cables.push(lan.plug(machine.iface("eth0").addr(format!("10.0.0.{number}/24")))?);
    }
    let capture = Capture::on_all([&host, &left, &right, &other])?;
    left.expect_ping("10.0.0.2")?;
    let packets = capture.stop()?;
    let text = sequence(&packets);
    // A question to all reaches all; the answer and what follows only those whom it is for.
    let count = |text: &str, words: &str| text.lines().filter(|line| line.contains(words)).count();
    assert_eq!(count(&text, "who-has 10.0.0.2"), 3, "{text}");
    assert_eq!((count(&text, "is-at"), count(&text, "echo request"), count(&text, "echo reply")), (2, 2, 2), "{text}");
    assert_eq!((count(&text, "--x"), count(&text, "elsewhere")), (0, 0), "{text}");

    // What the bridge's own machine sends leaves by a port, once.
    let capture = Capture::on_all([&host, &left, &right, &other])?;
    host.expect_ping("10.0.0.3")?;
    let text = sequence(&capture.stop()?);
    assert_eq!((count(&text, "echo request"), count(&text, "echo reply")), (1, 1), "{text}");
    assert_eq!((count(&text, "--x"), count(&text, "elsewhere")), (0, 0), "{text}");
    Ok(())
}

#[netlab::test]
fn what_is_sent_again_is_one_line_with_its_number() -> Result<()> {
    let lab = nat()?;
    let web = lab.server.http_server("203.0.113.9:80")?;
    let capture = lab.capture()?;
    {
        let _wall = FilterRule::drop(&lab.server).input().tcp(80).install()?;
        lab.laptop.expect_unreachable(Probe::from(&web).within(Duration::from_millis(1500)))?;
    }
    let packets = capture.stop()?.filter(tcp())?;
    let syns = packets.count(tcp().syn().on("laptop/eth0"))?;
    let text = sequence(&packets);
    let lines = text.lines().filter(|line| line.contains("Flags [S]")).count();
    assert!(syns >= 1 && lines == 2, "{syns} SYNs in {text}");
    assert_eq!(text.contains(&format!(" ×{syns}\n")), syns > 1, "{text}");
    Ok(())
}

#[netlab::test]
fn what_nobody_saw_come_in_ends_in_a_cross_and_what_nobody_saw_leave_is_from_elsewhere() -> Result<()> {
    let lab = nat()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let capture = Capture::on(&lab.router.link("wan0")?)?;
    lab.laptop.probe(&echo)?;
    let text = sequence(&capture.stop()?.filter(udp())?);
    assert!(text.contains("as elsewhere"), "{text}");
    assert!(text.contains("p0--xp1: IP 203.0.113.1.PORT1 > 203.0.113.9.7000"), "{text}");
    assert!(text.contains("p1->>p0: IP 203.0.113.9.7000 > 203.0.113.1.PORT1"), "{text}");
    Ok(())
}

#[netlab::test]
fn very_many_packets_are_not_all_drawn() -> Result<()> {
    let lab = nat()?;
    let sink = lab.server.serve("sink").udp_sink("203.0.113.9:9")?;
    // What waits for a neighbour may be dropped.
    lab.laptop.expect_ping("203.0.113.9")?;
    let capture = lab.capture()?;
    let send = || {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
        (0..200u8).try_for_each(|number| socket.send_to(&[number], "203.0.113.9:9").map(drop))
    };
    lab.laptop.run(send)?.expect("datagrams");
    sink.expect_hits(200)?;
    let packets = capture.stop()?;
    let text = sequence(&packets);
    assert!(packets.len() > 700 && text.lines().count() < 120, "{text}");
    assert!(text.contains("more lines"), "{text}");
    Ok(())
}

#[netlab::test]
fn no_packets_are_a_diagram_too() -> Result<()> {
    let lab = nat()?;
    assert!(sequence(&lab.capture()?.stop()?.filter(tcp())?).contains("no packets"));
    Ok(())
}
