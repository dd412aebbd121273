// ANCHOR: cases
use netlab::{Netns, Result, VethPair};
use rstest::rstest;

#[rstest]
#[case::ipv4("10.0.0.1/24", "10.0.0.2/24", "10.0.0.2:80")]
#[case::ipv6("fd00::1/64", "fd00::2/64", "[fd00::2]:80")]
#[netlab::test]
fn the_server_answers(
    #[case] client_has: &str,
    #[case] server_has: &str,
    #[case] listens: &str,
) -> Result<()> {
    let (client, server) = (Netns::new("client")?, Netns::new("server")?);
    let _cable = VethPair::connect(
        client.iface("eth0").addr(client_has),
        server.iface("eth0").addr(server_has),
    )?;
    client.probe(&server.http_server(listens)?)?;
    Ok(())
}
// ANCHOR_END: cases

// ANCHOR: matrix
use netlab::{Outcome, Probe};

#[rstest]
#[netlab::test]
fn a_ping_of_that_size_arrives(
    #[values(1280, 1500, 9000)] mtu: u32,
    #[values(0, 1000, 8000)] size: usize,
) -> Result<()> {
    let (left, right) = (Netns::new("left")?, Netns::new("right")?);
    let _cable = VethPair::connect(
        left.iface("eth0").addr("10.0.0.1/24").mtu(mtu),
        right.iface("eth0").addr("10.0.0.2/24").mtu(mtu),
    )?;
    left.probe(Probe::ping("10.0.0.2").size(size))?;

    // Without fragments it does if it fits, with 20 bytes of IP and 8 of ICMP.
    let whole = left.observe(Probe::ping("10.0.0.2").size(size).dont_fragment())?;
    assert_eq!(matches!(whole, Outcome::Answer(_)), size + 28 <= mtu as usize, "{whole}");
    Ok(())
}
// ANCHOR_END: matrix

// ANCHOR: fixture
use netlab::Bridge;
use rstest::fixture;

struct Lan {
    hosts: Vec<Netns>,
    _bridge: Bridge,
    _cables: Vec<VethPair>,
}

#[fixture]
fn lan(#[default(2)] size: u8) -> Lan {
    let bridge = Bridge::new(Netns::new("switch").unwrap().iface("br0")).unwrap();
    let hosts: Vec<_> = (1..=size).map(|n| Netns::new(format!("host{n}")).unwrap()).collect();
    let addresses = (1..).map(|n| format!("10.0.0.{n}/24"));
    let plug = |(host, address): (&Netns, String)| bridge.plug(host.iface("eth0").addr(address));
    let cables = hosts.iter().zip(addresses).map(plug).collect::<Result<_>>().unwrap();
    Lan { hosts, _bridge: bridge, _cables: cables }
}

#[rstest]
#[netlab::test]
fn everybody_hears_everybody(#[with(4)] lan: Lan) -> Result<()> {
    for host in &lan.hosts {
        for n in 1..=4 {
            host.expect_ping(format!("10.0.0.{n}"))?;
        }
    }
    Ok(())
}
// ANCHOR_END: fixture
