// ANCHOR: lab
use netlab::{FilterRule, NatRule, Netns, Policy, Result, VethPair};

/// A laptop behind a router, and a server in front of it that knows no way to the laptop.
struct Home {
    laptop: Netns,
    router: Netns,
    server: Netns,
    _cables: [VethPair; 2],
}

fn home() -> Result<Home> {
    let (laptop, router) = (Netns::new("laptop")?, Netns::new("router")?);
    let server = Netns::new("server")?;
    let lan = VethPair::connect(
        laptop.iface("eth0").addr("10.0.0.2/24").gateway("10.0.0.1"),
        router.iface("lan0").addr("10.0.0.1/24"),
    )?;
    let wan = VethPair::connect(
        router.iface("wan0").addr("203.0.113.1/24"),
        server.iface("eth0").addr("203.0.113.9/24"),
    )?;
    router.forward_ipv4()?;
    Ok(Home { laptop, router, server, _cables: [lan, wan] })
}
// ANCHOR_END: lab

// ANCHOR: masquerade
#[netlab::test]
fn the_laptop_leaves_as_the_router() -> Result<()> {
    let Home { laptop, router, server, .. } = &home()?;
    let echo = server.udp_echo("203.0.113.9:7000")?;
    laptop.expect_unreachable(&echo)?;

    let _nat = NatRule::masquerade(router).out("wan0").install()?;
    laptop.probe(&echo)?.expect_source("203.0.113.1")?;
    Ok(())
}
// ANCHOR_END: masquerade

// ANCHOR: dnat
#[netlab::test]
fn a_forwarded_port_leads_to_the_laptop() -> Result<()> {
    let Home { laptop, router, server, .. } = &home()?;
    let web = laptop.http_server("10.0.0.2:80")?;

    let forward = NatRule::dnat(router).addressed_to("203.0.113.1").tcp(8080);
    let _forward = forward.to("10.0.0.2:80").install()?;
    let answer = server.probe(netlab::Probe::http("http://203.0.113.1:8080/"))?;
    answer.expect_server(web.name())?.expect_source("203.0.113.9")?;
    Ok(())
}
// ANCHOR_END: dnat

// ANCHOR: firewall
#[netlab::test]
fn only_answers_come_in() -> Result<()> {
    let Home { laptop, router, server, .. } = &home()?;
    let _nat = NatRule::masquerade(router).out("wan0").install()?;
    let outside = server.tcp_server("203.0.113.9:443")?;
    laptop.probe(&outside)?;

    let policy = Policy::drop(router).forward().install()?;
    laptop.expect_unreachable(&outside)?;
    assert!(policy.hits()?.packets > 0);

    let _out = FilterRule::accept(router).forward().on("lan0").install()?;
    let line = "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT";
    let _back = FilterRule::iptables(router, line)?; // what an admin would type will do
    laptop.probe(&outside)?;
    Ok(())
}
// ANCHOR_END: firewall

// ANCHOR: symmetric
use netlab::{NatGateway, Responder};

#[netlab::test]
fn a_symmetric_nat_shows_each_server_another_port() -> Result<()> {
    let Home { laptop, router, server, .. } = &home()?;
    let (one, two) = (server.udp_echo("203.0.113.9:1")?, server.udp_echo("203.0.113.9:2")?);
    let seen = |echo: &Responder| -> Result<_> {
        let from_one_port = echo.via("203.0.113.9").source("10.0.0.2:4000");
        Ok(laptop.probe(from_one_port)?.source())
    };

    let cone = NatGateway::full_cone(router).out("wan0").install()?;
    assert_eq!(seen(&one)?, seen(&two)?);
    cone.close()?;

    let _nat = NatGateway::symmetric(router).out("wan0").install()?;
    assert_ne!(seen(&one)?, seen(&two)?);
    Ok(())
}
// ANCHOR_END: symmetric

// ANCHOR: capture
use netlab::capture::{Capture, tcp};

#[netlab::test]
fn the_private_address_stays_inside() -> Result<()> {
    let Home { laptop, router, server, .. } = &home()?;
    let _nat = NatRule::masquerade(router).out("wan0").install()?;
    let web = server.http_server("203.0.113.9:80")?;

    let capture = Capture::on_all([router, server])?;
    laptop.probe(&web)?;
    let packets = capture.stop()?;
    packets.at_least(1, tcp().syn().from("10.0.0.2").on("router/lan0"))?;
    packets.at_least(1, tcp().syn().from("203.0.113.1").on("server/eth0"))?;
    packets.absent(tcp().from("10.0.0.2").within("server"))?;
    Ok(())
}
// ANCHOR_END: capture
