//! Text, VXLAN, and snapshots.

use netlab::capture::{Mac, any, arp, icmp, udp, vxlan};
use netlab::{Capture, Netns, Result, VethPair};

use crate::lab::{Cable, RIGHT, tool};

fn vxlan_lab() -> Result<Cable> {
    let lab = Cable::new()?;
    for (netns, local, remote, inner, mac) in [
        (&lab.left, "10.0.0.1", "10.0.0.2", "192.168.7.1/24", "02:00:00:00:07:01"),
        (&lab.right, "10.0.0.2", "10.0.0.1", "192.168.7.2/24", "02:00:00:00:07:02"),
    ] {
        let add = ["link", "add", "vx0", "address", mac, "type", "vxlan", "id", "42", "local", local, "remote", remote, "dstport", "4789"];
        tool(netns, "ip", &add)?;
        tool(netns, "ip", &["address", "add", inner, "dev", "vx0"])?;
        tool(netns, "ip", &["link", "set", "vx0", "up"])?;
    }
    Ok(lab)
}

#[netlab::test]
fn the_frame_inside_a_vxlan_datagram_is_decoded() -> Result<()> {
    let lab = vxlan_lab()?;
    let capture = Capture::on(lab.pair.left())?;
    lab.left.expect_ping("192.168.7.2")?;
    let packets = capture.stop()?;
    packets.ordered((
        vxlan().vni(42).inner(arp().who_has("192.168.7.2").ether_from("02:00:00:00:07:01")).outgoing(),
        vxlan().vni(42).inner(arp().is_at("192.168.7.2")).incoming(),
        vxlan().vni(42).inner(icmp().echo_request().to("192.168.7.2")).from("10.0.0.1").to("10.0.0.2").outgoing(),
        vxlan().vni(42).inner(icmp().echo_reply().from("192.168.7.2")).incoming(),
    ))?;
    // On the wire it is UDP, and no ICMP.
    packets.absent(icmp())?;
    packets.absent(vxlan().vni(43))?;
    packets.at_least(4, udp().to_port(4789))?;
    let echo = packets.filter(vxlan().inner(icmp().echo_request()))?;
    let inner = &echo.iter().next().and_then(|packet| packet.vxlan()).expect("there").inner;
    assert_eq!(inner.ethernet.as_ref().map(|header| header.source), Some(Mac([2, 0, 0, 0, 7, 1])));
    assert!(echo.normalised().contains("VXLAN, flags [I] (0x08), vni 42: IP 192.168.7.1 > 192.168.7.2: ICMP echo request, id ID1, seq "));
    Ok(())
}

#[netlab::test]
fn a_normalised_trace_is_the_same_every_time() -> Result<()> {
    let trace = || -> Result<String> {
        let lab = Cable::new()?;
        let echo = lab.right.udp_echo("10.0.0.2:7")?;
        let capture = Capture::on_all([&lab.left, &lab.right])?;
        lab.left.expect_ping(RIGHT)?;
        lab.left.probe(&echo)?;
        let packets = capture.stop()?;
        let ipv4 = packets.filter(any().when("IPv4 or ARP", |packet| packet.source().is_some_and(|ip| ip.is_ipv4())))?;
        Ok(ipv4.normalised())
    };
    let first = trace()?;
    assert_eq!(first, trace()?);
    let lines: Vec<_> = first.lines().map(|line| line.split(", length").next().unwrap_or("")).collect();
    assert_eq!(
        lines[..8],
        [
            "left/eth0 Out ARP, Request who-has 10.0.0.2 tell 10.0.0.1",
            "right/eth0 In  ARP, Request who-has 10.0.0.2 tell 10.0.0.1",
            &format!("right/eth0 Out ARP, Reply 10.0.0.2 is-at {}", mac_of("right")?),
            &format!("left/eth0 In  ARP, Reply 10.0.0.2 is-at {}", mac_of("right")?),
            "left/eth0 Out IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id ID1, seq 1",
            "right/eth0 In  IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id ID1, seq 1",
            "right/eth0 Out IP 10.0.0.2 > 10.0.0.1: ICMP echo reply, id ID1, seq 1",
            "left/eth0 In  IP 10.0.0.2 > 10.0.0.1: ICMP echo reply, id ID1, seq 1",
        ]
    );
    assert!(first.contains("IP 10.0.0.1.PORT1 > 10.0.0.2.7: UDP"), "{first}");
    Ok(())
}

/// MAC addresses follow from the names.
fn mac_of(netns: &str) -> Result<String> {
    let lab = Cable::new()?;
    let netns: &Netns = if netns == "right" { &lab.right } else { &lab.left };
    let output = tool(netns, "ip", &["-brief", "link", "show", "eth0"])?;
    Ok(output.split_whitespace().nth(2).unwrap_or_default().to_owned())
}

#[netlab::test]
fn nothing_is_absent_where_nobody_looked() -> Result<()> {
    let lab = Cable::new()?;
    let capture = Capture::on(&lab.left)?;
    lab.left.expect_ping(RIGHT)?;
    let packets = capture.stop()?;
    packets.absent(icmp().on("left/lo"))?;
    packets.absent(icmp().within("left").unreachable())?;
    for (matcher, place) in [(icmp().on("eht0"), "`eht0`"), (icmp().on("right/eth0"), "`right/eth0`"), (icmp().within("lfet"), "`lfet`")] {
        let error = packets.absent(matcher).expect_err("there was no tap");
        let text = error.to_string();
        assert!(error.is_invalid_input() && text.contains(&format!("there was no tap on {place}")), "{text}");
        assert!(text.contains("taps: `left/eth0`, `left/lo`"), "{text}");
    }
    Ok(())
}

#[netlab::test]
fn an_interface_that_came_or_went_while_the_capture_ran_was_tapped() -> Result<()> {
    let lab = Cable::new()?;
    let going = VethPair::connect(lab.left.iface("going"), lab.right.iface("gone"))?;
    let capture = Capture::on(&lab.left)?;
    going.close()?;
    let _coming = VethPair::connect(lab.left.iface("coming"), lab.right.iface("come"))?;
    let packets = capture.stop()?;
    packets.absent(icmp().on("going"))?;
    packets.absent(icmp().on("coming"))
}
