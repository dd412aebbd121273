//! What is seen where, and which way.

use netlab::capture::{any, arp, icmp, icmp6, tcp, udp};
use netlab::{Capture, Netns, Probe, Result, VethPair};

use crate::lab::{Cable, LEFT, RIGHT, Routed, Switch, bound, tool};

#[netlab::test]
fn a_first_ping_over_a_bridge_is_arp_and_then_icmp_in_order() -> Result<()> {
    let lab = Switch::new()?;
    let capture = Capture::on(&lab.switch)?;
    lab.left.expect_ping(RIGHT)?;
    let packets = capture.stop()?;
    packets.ordered((
        arp().who_has(RIGHT).from(LEFT).on("switch/left").incoming().ether_to("ff:ff:ff:ff:ff:ff"),
        arp().who_has(RIGHT).from(LEFT).on("switch/right").outgoing(),
        arp().is_at(RIGHT).to(LEFT).on("right").incoming(),
        arp().is_at(RIGHT).to(LEFT).on("left").outgoing(),
        icmp().echo_request().from(LEFT).to(RIGHT).on("left").incoming(),
        icmp().echo_request().from(LEFT).to(RIGHT).on("right").outgoing(),
        icmp().echo_reply().from(RIGHT).to(LEFT).on("right").incoming(),
        icmp().echo_reply().from(RIGHT).to(LEFT).on("left").outgoing(),
    ))?;
    let wrong = packets.ordered((icmp().echo_reply(), arp().who_has(RIGHT))).expect_err("the order is the other one");
    assert!(wrong.is_unexpected() && wrong.to_string().contains("find packet 2 of the order, ARP who-has to 10.0.0.2"), "{wrong}");
    assert!(wrong.to_string().contains("switch/right Out IP 10.0.0.1 > 10.0.0.2: ICMP echo request"), "{wrong}");
    // The bridge's own interface gets the flooded question, and not the answer, which was for a port.
    packets.exactly(1, arp().who_has(RIGHT).on("br0").incoming())?;
    packets.absent(arp().is_at(RIGHT).on("br0"))?;
    Ok(())
}

#[netlab::test]
fn a_tap_on_one_link_sees_that_link_alone() -> Result<()> {
    let lab = Switch::new()?;
    let (one, all) = (Capture::on(&lab.bridge)?, Capture::on(&lab.switch)?);
    lab.left.expect_ping(RIGHT)?;
    let (one, all) = (one.stop()?, all.stop()?);
    all.at_least(1, icmp().echo_request().on("left"))?;
    one.exactly(1, arp().who_has(RIGHT))?;
    assert!(one.iter().all(|packet| packet.device() == "br0"), "{one}");
    Ok(())
}

#[netlab::test]
fn both_ends_of_a_cable_see_a_packet_in_opposite_directions_and_in_the_order_of_time() -> Result<()> {
    let lab = Cable::new()?;
    let capture = Capture::on_all([&lab.left, &lab.right])?;
    lab.left.expect_ping(RIGHT)?;
    let packets = capture.stop()?;
    let echo = packets.filter(icmp())?;
    echo.exact((
        icmp().echo_request().on("left/eth0").outgoing(),
        icmp().echo_request().on("right/eth0").incoming(),
        icmp().echo_reply().on("right/eth0").outgoing(),
        icmp().echo_reply().on("left/eth0").incoming(),
    ))?;
    let times: Vec<_> = echo.iter().map(netlab::capture::Packet::time).collect();
    assert!(times.is_sorted() && times[0] < times[3], "{times:?}");
    let age = times[0].elapsed().expect("in the past");
    assert!(age.as_secs() < 60, "{age:?}");
    Ok(())
}

#[netlab::test]
fn a_router_decrements_the_ttl_once() -> Result<()> {
    let lab = Routed::new()?;
    let capture = Capture::on(&lab.router)?;
    lab.left.expect_ping("10.0.2.2")?;
    let packets = capture.stop()?;
    packets.ordered((
        icmp().echo_request().ttl(64).on("lan0").incoming(),
        icmp().echo_request().ttl(63).on("wan0").outgoing(),
        icmp().echo_reply().ttl(64).on("wan0").incoming(),
        icmp().echo_reply().ttl(63).on("lan0").outgoing(),
    ))?;
    packets.absent(icmp().ttl(63).incoming())?;
    Ok(())
}

#[netlab::test]
fn a_router_reports_a_packet_without_time_to_live_and_quotes_it() -> Result<()> {
    let lab = Routed::new()?;
    let capture = Capture::on_all([&lab.left, &lab.right])?;
    lab.left.observe(Probe::ping("10.0.2.2").ttl(1))?;
    let seen = capture.expect(icmp().time_exceeded().code(0).from("10.0.1.1").about("10.0.2.2").within("left").incoming())?;
    let inner = seen.icmp().and_then(|icmp| icmp.inner()).expect("quoted");
    assert_eq!((inner.source.to_string(), inner.ttl), ("10.0.1.2".to_owned(), 1));
    let packets = capture.stop()?;
    packets.exactly(1, icmp().echo_request().on("left/eth0").outgoing())?; // it left,
    packets.absent(icmp().on("right/eth0"))?; // and did not arrive
    Ok(())
}

#[netlab::test]
fn a_closed_port_is_reported_with_the_datagram_that_asked_for_it() -> Result<()> {
    let lab = Cable::new()?;
    let capture = Capture::on(lab.pair.left())?;
    let from = bound(&lab.left, "10.0.0.1:5000")?;
    from.send_to(b"hello", "10.0.0.2:7").expect("send");
    let error = capture.expect(icmp().unreachable().code(3).from(RIGHT))?;
    assert_eq!(error.icmp().and_then(|icmp| icmp.inner()).and_then(|inner| inner.ports()), Some((5000, 7)));
    capture.stop()?.exactly(1, udp().to_port(7).length(5).outgoing())
}

#[netlab::test]
fn a_refused_connection_is_a_syn_and_a_reset_and_an_accepted_one_is_not() -> Result<()> {
    let lab = Cable::new()?;
    let server = lab.right.tcp_server("10.0.0.2:80")?;
    let capture = Capture::on(lab.pair.left())?;
    lab.left.expect_unreachable(Probe::tcp("10.0.0.2:81"))?;
    lab.left.probe(&server)?;
    let packets = capture.stop()?;
    packets.filter(tcp().port(81))?.exact((tcp().syn().outgoing(), tcp().rst().from_port(81).incoming()))?;
    packets.ordered((tcp().syn().to_port(80), tcp().syn_ack().from_port(80), tcp().data().from_port(80)))?;
    packets.absent(tcp().syn_ack().port(81))
}

#[netlab::test]
fn neighbour_discovery_is_seen() -> Result<()> {
    let (left, right) = (Netns::new("left")?, Netns::new("right")?);
    let _cable = VethPair::connect(left.iface("eth0").addr("fd00::1/64"), right.iface("eth0").addr("fd00::2/64"))?;
    let capture = Capture::on(&left)?;
    left.expect_ping("fd00::2")?;
    let target = "fd00::2".parse().expect("an address");
    capture.stop()?.ordered([
        icmp6().neighbour_solicitation(target).from("fd00::1").outgoing(),
        icmp6().neighbour_advertisement(target).to("fd00::1").incoming(),
        icmp6().echo_request().to("fd00::2").outgoing(),
        icmp6().echo_reply().from("fd00::2").incoming(),
    ])?;
    Ok(())
}

#[netlab::test]
fn a_link_that_comes_later_is_tapped_too() -> Result<()> {
    let (left, right) = (Netns::new("left")?, Netns::new("right")?);
    let capture = Capture::on(&left)?;
    let _cable = VethPair::connect(left.iface("late0").addr("10.0.0.1/24"), right.iface("eth0").addr("10.0.0.2/24"))?;
    left.expect_ping(RIGHT)?;
    capture.stop()?.ordered([icmp().echo_request().on("left/late0"), icmp().echo_reply().on("left/late0")])?;
    Ok(())
}

#[netlab::test]
fn a_loopback_shows_each_packet_once() -> Result<()> {
    let alone = Netns::new("alone")?;
    let capture = Capture::on(&alone)?;
    alone.expect_ping("127.0.0.1")?;
    capture.stop()?.exact([icmp().echo_request().on("alone/lo").incoming(), icmp().echo_reply().on("alone/lo").incoming()])
}

#[netlab::test]
fn nothing_sent_after_the_constructor_is_missed() -> Result<()> {
    let lab = Cable::new()?;
    let (from, _to) = lab.sockets()?;
    lab.left.expect_ping(RIGHT)?;
    for round in 0..200_u32 {
        let capture = Capture::plan().on(lab.pair.right()).buffer(1 << 20).start()?;
        from.send(&round.to_be_bytes()).expect("send");
        let packets = capture.stop()?;
        let last = packets.ordered([udp().to_port(9)])?;
        assert!(last[0].bytes().ends_with(&round.to_be_bytes()), "round {round}: {packets}");
    }
    Ok(())
}

#[netlab::test]
fn a_vlan_tag_is_in_its_place() -> Result<()> {
    let lab = Cable::new()?;
    let capture = Capture::on_all([&lab.left, &lab.right])?;
    // A question of ARP for 10.0.0.2, tagged with VLAN 7. On its way in the kernel takes the tag out of the frame and keeps it beside.
    let frame = "ffffffffffff 020000000001 81000007 0806 0001080006040001 020000000001 0a000001 000000000000 0a000002";
    let script = format!(
        "import socket\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\ns.bind(('eth0', 0))\ns.send(bytes.fromhex('{frame}'))"
    );
    tool(&lab.left, "python3", &["-c", &script])?;
    let packets = capture.stop()?;
    let who_has = || arp().who_has(RIGHT).from(LEFT);
    packets.ordered([who_has().vlan(7).within("left").outgoing(), who_has().vlan(7).within("right").incoming()])?;
    let [out, into] = [any().within("left"), any().within("right")].map(|matcher| packets.filter(matcher.vlan(7)));
    let (out, into) = (out?, into?);
    let bytes = |packets: &netlab::capture::Packets| packets.iter().next().expect("one").bytes().to_vec();
    assert_eq!(bytes(&out), bytes(&into));
    assert!(into.normalised().starts_with("right/eth0 In  vlan 7, ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28"), "{into}");
    packets.absent(arp().is_at(RIGHT)) // the right side has no VLAN
}
