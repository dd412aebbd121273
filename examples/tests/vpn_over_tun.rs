//! A user-space VPN: a program reads packets from a tun device and sends them in UDP to its twin, which writes them to its own.
//!
//! ```text
//! home tun0 10.8.0.1        10.8.0.2 tun0 office eth1 ── 192.168.7.0/24 ── printer
//!      eth0 198.51.100.2 ─ internet ─ 203.0.113.2 eth0
//! ```
//!
//! Write `#[netlab::test(needs(tun))]` where it shall fail that the user may not open `/dev/net/tun`; that names the cure. Here it is no
//! failure: an example is tried on any machine.

use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use netlab::capture::{Packet, Transport, any, icmp, udp};
use netlab::{Capture, IcmpKind, Netns, Probe, Reason, Route, Tun, VethPair};

type Outcome = Result<(), Box<dyn Error>>;

/// 1500 bytes of the underlay without the outer IP (20) and UDP (8) headers.
const MTU: u32 = 1472;

/// The program under test: one end of the VPN. A packet is a read and a datagram; a datagram is a write.
fn carry(tun: File, socket: UdpSocket) -> io::Result<()> {
    let (mut reader, mut writer, sender) = (tun.try_clone()?, tun, socket.try_clone()?);
    thread::spawn(move || {
        let mut packet = [0; 1 << 16];
        while let Ok(length) = reader.read(&mut packet) {
            sender.send(&packet[..length]).unwrap_or_default(); // a network may lose packets
        }
    }); // it ends with the tun
    thread::spawn(move || -> io::Result<()> {
        let mut packet = [0; 1 << 16];
        loop {
            match socket.recv(&mut packet) {
                Ok(length) => writer.write_all(&packet[..length])?,
                Err(e) if e.kind() == ErrorKind::ConnectionRefused => {} // the twin does not run: it may come back
                Err(e) => return Err(e),
            }
        }
    });
    Ok(())
}

fn tun_is_missing() -> bool {
    netlab::needs("tun").inspect_err(|why| eprintln!("not tried: {why}")).is_err()
}

struct Lab {
    home: Netns,
    office: Netns,
    printer: Netns,
    wire: VethPair,
    _cables: [VethPair; 2],
}

/// The internet knows the way to home and office, and nothing of what is behind them.
fn lab() -> netlab::Result<Lab> {
    let (home, internet) = (Netns::new("home")?, Netns::new("internet")?);
    let (office, printer) = (Netns::new("office")?, Netns::new("printer")?);
    let wire = VethPair::connect(
        home.iface("eth0").addr("198.51.100.2/24").gateway("198.51.100.1"),
        internet.iface("eth0").addr("198.51.100.1/24"),
    )?;
    let far = VethPair::connect(
        office.iface("eth0").addr("203.0.113.2/24").gateway("203.0.113.1"),
        internet.iface("eth1").addr("203.0.113.1/24"),
    )?;
    let lan = VethPair::connect(
        office.iface("eth1").addr("192.168.7.1/24"),
        printer.iface("eth0").addr("192.168.7.9/24").gateway("192.168.7.1"),
    )?;
    internet.forward_ipv4()?;
    office.forward_ipv4()?;
    Ok(Lab { home, office, printer, wire, _cables: [far, lan] })
}

/// Starts one end on a machine. The socket stays in the machine where it was opened, and so does the tun.
fn start(on: &Netns, inside: &str, mtu: u32, socket: UdpSocket) -> Result<Tun, Box<dyn Error>> {
    let tun = Tun::new(on.iface("tun0").addr(inside).mtu(mtu))?;
    carry(tun.file().try_clone()?, socket)?;
    Ok(tun)
}

/// Starts both. The ports come first: a machine that gets a tun says something there by itself (IPv6), and nobody shall refuse it.
fn start_both(lab: &Lab, mtu: u32) -> Result<[Tun; 2], Box<dyn Error>> {
    let (at_home, at_office) = ("198.51.100.2:1194", "203.0.113.2:1194");
    let (home, office) = (lab.home.run(|| UdpSocket::bind(at_home))??, lab.office.run(|| UdpSocket::bind(at_office))??);
    home.connect(at_office)?;
    office.connect(at_home)?;
    Ok([start(&lab.home, "10.8.0.1/24", mtu, home)?, start(&lab.office, "10.8.0.2/24", mtu, office)?])
}

#[netlab::test]
fn what_goes_through_the_tunnel_is_udp_on_the_wire() -> Outcome {
    if tun_is_missing() {
        return Ok(());
    }
    let lab = lab()?;
    lab.home.expect_no_ping("10.8.0.2")?.by(IcmpKind::NetUnreachable.sent_by("198.51.100.1"))?; // nobody has it
    let _ends = start_both(&lab, MTU)?;
    let capture = Capture::on(lab.wire.left())?;
    lab.home.expect_ping("10.8.0.2")?.expect_ttl(64)?; // for what is inside, the tunnel is one hop
    let packets = capture.stop()?;
    packets.at_least(2, udp().port(1194))?;
    packets.absent(icmp())?; // nobody on the way sees the ping
    Ok(())
}

#[netlab::test]
fn the_office_s_network_is_reached_by_a_route_into_the_tunnel() -> Outcome {
    if tun_is_missing() {
        return Ok(());
    }
    let lab = lab()?;
    let _ends = start_both(&lab, MTU)?;
    let web = lab.printer.http_server("192.168.7.9:80")?;
    lab.home.expect_unreachable(&web)?.by(IcmpKind::NetUnreachable.sent_by("198.51.100.1"))?; // the internet knows no private nets
    let route = Route::to("192.168.7.0/24").dev("tun0").install(&lab.home)?;
    lab.home.probe(&web)?.expect_source("10.8.0.1")?;
    drop(route);
    lab.home.expect_unreachable(&web)?;
    Ok(())
}

#[netlab::test]
fn what_fills_the_tunnel_fits_the_wire_unless_its_mtu_leaves_no_room_for_the_headers() -> Outcome {
    if tun_is_missing() {
        return Ok(());
    }
    assert_eq!(cut_on_the_wire(MTU)?, 0);
    assert_ne!(cut_on_the_wire(1500)?, 0);
    Ok(())
}

/// Sends the largest packet that passes a tunnel of that MTU, and tells how many datagrams were cut for it on the wire.
fn cut_on_the_wire(mtu: u32) -> Result<usize, Box<dyn Error>> {
    let lab = lab()?;
    let _ends = start_both(&lab, mtu)?;
    let capture = Capture::on(lab.wire.left())?;
    let fills = mtu as usize - 28; // without the inner IP and ICMP headers
    lab.home.probe(Probe::ping("10.8.0.2").size(fills).dont_fragment())?;
    lab.home.expect_unreachable(Probe::ping("10.8.0.2").size(fills + 1).dont_fragment())?.by(libc::EMSGSIZE)?;
    let is_rest = |packet: &Packet| matches!(packet.ip().map(|ip| &ip.transport), Some(Transport::Fragment(_)));
    Ok(capture.stop()?.count(any().when("the rest of one that was cut", is_rest))?)
}

#[netlab::test]
fn without_the_twin_nothing_comes_back() -> Outcome {
    if tun_is_missing() {
        return Ok(());
    }
    let lab = lab()?;
    let [_home, office] = start_both(&lab, MTU)?;
    lab.home.expect_ping("10.8.0.2")?;
    office.close()?;
    lab.home.expect_unreachable(Probe::ping("10.8.0.2").within(Duration::from_millis(200)))?.by(Reason::Silence)?;
    lab.home.expect_ping("203.0.113.2")?; // the way between them is as it was
    Ok(())
}
