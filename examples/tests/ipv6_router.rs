//! A router of IPv6 without DHCP: its advertisements give hosts their addresses and their way out (RFC 4861, RFC 4862).
//!
//! ```text
//! laptop ── lan0 router lan1 ── phone
//!   2001:db8:1::/64   2001:db8:2::/64
//! ```

use std::error::Error;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::thread;
use std::time::{Duration, Instant};

use netlab::{Netns, Probe, Reason, VethPair};
use socket2::{Domain, Protocol, Socket, Type};

type Outcome = Result<(), Box<dyn Error>>;

/// The program under test: tells all hosts of a link the prefix to make addresses of, and who the router is.
fn advertise(interface: u32, prefix: Ipv6Addr) -> io::Result<()> {
    const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.set_multicast_if_v6(interface)?;
    socket.set_multicast_hops_v6(255)?; // hosts ignore one that may have come through a router

    let mut packet = vec![134, 0, 0, 0]; // router advertisement; the kernel fills in the checksum
    packet.extend([64, 0, 0x07, 0x08]); // hop limit 64, no DHCP, router for 1800 s
    packet.extend([0; 8]); // reachable time and retransmission: the host's own
    packet.extend([3, 4, 64, 0xc0]); // prefix, 4 × 8 bytes long, /64: it is on this link, and for addresses
    packet.extend(3600_u32.to_be_bytes()); // valid
    packet.extend(1800_u32.to_be_bytes()); // preferred
    packet.extend([0; 4]);
    packet.extend(prefix.octets());
    socket.send_to(&packet, &SocketAddrV6::new(ALL_NODES, 0, 0, interface).into())?;
    Ok(())
}

struct Lab {
    laptop: Netns,
    router: Netns,
    phone: Netns,
    lan0: VethPair,
    lan1: VethPair,
}

/// No host has an address but the link-local one that every interface makes for itself.
fn lab() -> netlab::Result<Lab> {
    let (laptop, router, phone) = (Netns::new("laptop")?, Netns::new("router")?, Netns::new("phone")?);
    let lan0 = VethPair::connect(laptop.iface("eth0"), router.iface("lan0").addr("2001:db8:1::1/64"))?;
    let lan1 = VethPair::connect(phone.iface("eth0"), router.iface("lan1").addr("2001:db8:2::1/64"))?;
    Ok(Lab { laptop, router, phone, lan0, lan1 })
}

impl Lab {
    fn advertise(&self) -> io::Result<()> {
        for (cable, prefix) in [(&self.lan0, "2001:db8:1::"), (&self.lan1, "2001:db8:2::")] {
            let (index, prefix) = (cable.right().index(), prefix.parse().expect("an address"));
            self.router.run(|| advertise(index, prefix)).map_err(io::Error::other)??;
        }
        Ok(())
    }
}

/// The address that a host has made for itself, as soon as it has.
fn own_address(host: &Netns) -> Result<String, Box<dyn Error>> {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        let addresses = host.addresses()?;
        if let Some(own) = addresses.of("eth0").find(|address| address.scope == "global" && !address.has_flag("tentative")) {
            return Ok(own.net.addr().to_string());
        }
        thread::yield_now();
    }
    Err(format!("`{}` has made no address:\n{}", host.name(), host.addresses()?).into())
}

#[netlab::test]
fn hosts_make_addresses_of_the_prefix_and_reach_each_other_through_the_router() -> Outcome {
    let lab = lab()?;
    lab.router.forward_ipv6()?;
    lab.advertise()?;
    let (laptop, phone) = (own_address(&lab.laptop)?, own_address(&lab.phone)?);
    assert!(laptop.starts_with("2001:db8:1:") && phone.starts_with("2001:db8:2:"), "{laptop} {phone}");

    let echo = lab.phone.udp_echo(format!("[{phone}]:7000"))?;
    lab.laptop.probe(&echo)?.expect_source(&laptop)?;
    lab.laptop.expect_ping(&phone)?.expect_ttl(63)?; // one router on the way
    Ok(())
}

#[netlab::test]
fn without_an_advertisement_a_host_has_no_way_out() -> Outcome {
    let lab = lab()?;
    lab.router.forward_ipv6()?;
    lab.laptop.expect_no_ping("2001:db8:2::1")?.by(libc::ENETUNREACH)?;
    lab.advertise()?;
    own_address(&lab.laptop)?;
    lab.laptop.expect_ping("2001:db8:2::1")?;
    Ok(())
}

/// Whoever is asked for its MAC address tells whether it is a router. Hosts give up one that says no (RFC 4861, section 7.3.3).
#[netlab::test]
fn a_router_that_does_not_forward_is_given_up() -> Outcome {
    let lab = lab()?;
    lab.advertise()?;
    own_address(&lab.laptop)?;
    let phone = own_address(&lab.phone)?;
    let ping = || Probe::ping(&phone).within(Duration::from_millis(200));
    lab.laptop.expect_unreachable(ping())?.by(Reason::Silence)?; // sent after the router's answer, and not forwarded
    lab.laptop.expect_unreachable(ping())?.by(libc::ENETUNREACH)?;
    lab.laptop.expect_ping("2001:db8:1::1")?; // the router itself is there

    lab.router.forward_ipv6()?; // only this was missing
    lab.advertise()?;
    lab.laptop.expect_ping(&phone)?;
    Ok(())
}
