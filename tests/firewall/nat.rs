//! Addresses are translated while the rule lives.

use std::net::SocketAddr;

use netlab::{NatRule, Probe, Reason, Result};

use crate::lab::{Lab, listing, silence};

#[netlab::test]
fn a_masquerade_is_gone_with_its_fixture() -> Result<()> {
    let lab = Lab::without_way_back()?;
    for (echo, net, seen) in [(lab.echo()?, "10.0.0.0/24", "203.0.113.1"), (lab.echo6()?, "fd00::/64", "fd09::1")] {
        silence(&lab.client, &echo)?;
        let nat = NatRule::masquerade(&lab.router).from(net).not_out("lan0").install()?;
        lab.client.probe(&echo)?.expect_source(seen)?;
        nat.expect_hits_at_least(1)?;
        nat.close()?;
        silence(&lab.client, &echo)?;
        assert_eq!(listing(&lab.router)?, "");
    }
    Ok(())
}

#[netlab::test]
fn a_masquerade_for_another_net_or_interface_changes_nothing() -> Result<()> {
    let lab = Lab::without_way_back()?;
    let echo = lab.echo()?;
    let other = NatRule::masquerade(&lab.router).from("10.0.1.0/24").install()?;
    let lan = NatRule::masquerade(&lab.router).not_out("wan0").install()?;
    silence(&lab.client, &echo)?;
    let right = NatRule::masquerade(&lab.router).out("wan*").install()?;
    lab.client.probe(&echo)?.expect_source("203.0.113.1")?;
    right.expect_hits_at_least(1)?;
    other.expect_no_hits()?;
    lan.expect_no_hits()
}

#[netlab::test]
fn snat_gives_packets_the_source_that_it_says() -> Result<()> {
    let lab = Lab::without_way_back()?;
    let _alias = lab.router.link("wan0")?.add_address("203.0.113.77/24")?;
    let echo = lab.echo()?;
    silence(&lab.client, &echo)?;
    let snat = NatRule::snat(&lab.router).out("wan0").udp("7000-7001").to("203.0.113.77:40000-40009").install()?;
    let seen = lab.client.probe(&echo)?.source().expect("the echo tells");
    assert!(seen.ip().to_string() == "203.0.113.77" && (40000..=40009).contains(&seen.port()), "{seen}");
    drop(snat);
    silence(&lab.client, &echo)?;
    Ok(())
}

#[netlab::test]
fn dnat_leads_to_another_address_and_port_and_keeps_the_source() -> Result<()> {
    let lab = Lab::routed()?;
    for (web, to, asked, source) in [
        ("203.0.113.9:8000", "203.0.113.9:8000", "http://10.0.0.1:8081", "10.0.0.2"),
        ("[fd09::9]:8000", "[fd09::9]:8000", "http://[fd00::1]:8081", "fd00::2"),
    ] {
        let web = lab.server.http_server(web)?;
        lab.client.probe(&web)?;
        lab.client.expect_unreachable(Probe::http(asked))?.by(Reason::Refused)?;
        let dnat = NatRule::dnat(&lab.router).tcp(8081).to(to).install()?;
        lab.client.probe(Probe::http(asked))?.expect_source(source)?;
        lab.router.expect_unreachable(Probe::http(asked))?.by(Reason::Refused)?;
        drop(dnat);
        lab.client.expect_unreachable(Probe::http(asked))?.by(Reason::Refused)?;
    }
    assert_eq!(listing(&lab.router)?, "");
    Ok(())
}

#[netlab::test]
fn also_local_translates_what_the_machine_itself_sends_to_its_own_addresses() -> Result<()> {
    let lab = Lab::routed()?;
    let _web = lab.server.http_server("203.0.113.9:8000")?;
    let (own, loopback, far) = ("http://203.0.113.1:8081", "http://127.0.0.1:8081", "http://203.0.113.9:8081");
    let dnat = NatRule::dnat(&lab.router).tcp(8081).to("203.0.113.9:8000").also_local().install()?;
    assert_eq!(dnat.as_nft().lines().count(), 2);
    lab.client.probe(Probe::http("http://10.0.0.1:8081"))?.expect_source("10.0.0.2")?;
    lab.router.probe(Probe::http(own))?.expect_source("203.0.113.1")?;
    // Only the machine's own addresses: its connections to others are left alone.
    lab.router.expect_unreachable(Probe::http(far))?.by(Reason::Refused)?;
    // Localhost is translated too, and needs a sysctl and another source to get out: neither is there.
    silence(&lab.router, Probe::http(loopback))?;
    let _localnet = lab.router.set_sysctl("net.ipv4.conf.wan0.route_localnet", "1")?;
    silence(&lab.router, Probe::http(loopback))?;
    let masquerade = NatRule::masquerade(&lab.router).from("127.0.0.0/8").out("wan0").install()?;
    lab.router.probe(Probe::http(loopback))?.expect_source("203.0.113.1")?;
    drop(masquerade);
    drop(dnat);
    for asked in [own, loopback] {
        lab.router.expect_unreachable(Probe::http(asked))?.by(Reason::Refused)?;
    }
    assert_eq!(listing(&lab.router)?, "");
    Ok(())
}

#[netlab::test]
fn also_local_leaves_the_loopback_alone_where_the_rule_says_so() -> Result<()> {
    let lab = Lab::routed()?;
    let _web = lab.server.http_server("203.0.113.9:8000")?;
    let proxy = lab.router.http_server("127.0.0.1:8081")?;
    let rule = || NatRule::dnat(&lab.router).tcp(8081).to("203.0.113.9:8000").also_local();
    let all = rule().install()?;
    silence(&lab.router, &proxy)?;
    drop(all);
    let _docker = rule().not_addressed_to("127.0.0.0/8").install()?;
    lab.router.probe(&proxy)?.expect_source("127.0.0.1")?;
    lab.router.probe(Probe::http("http://203.0.113.1:8081"))?.expect_source("203.0.113.1")?;
    Ok(())
}

#[netlab::test]
fn also_local_reaches_a_virtual_address_that_no_interface_has() -> Result<()> {
    let lab = Lab::routed()?;
    let _web = lab.server.http_server("203.0.113.9:8000")?;
    let _route = netlab::Route::to("10.96.0.0/16").via("203.0.113.9").install(&lab.router)?;
    let service = || NatRule::dnat(&lab.router).addressed_to("10.96.0.1").tcp(80).to("203.0.113.9:8000");
    let forwarded = service().install()?;
    lab.client.probe(Probe::http("http://10.96.0.1"))?.expect_source("10.0.0.2")?;
    lab.router.expect_unreachable(Probe::http("http://10.96.0.1"))?;
    drop(forwarded);
    let _both = service().also_local().install()?;
    lab.router.probe(Probe::http("http://10.96.0.1"))?.expect_source("203.0.113.1")?;
    lab.client.probe(Probe::http("http://10.96.0.1"))?.expect_source("10.0.0.2")?;
    Ok(())
}

#[netlab::test]
fn redirect_sends_packets_to_the_machine_itself() -> Result<()> {
    let lab = Lab::routed()?;
    let far = lab.server.http_server("203.0.113.9:80")?;
    let _proxy = lab.router.http_server("0.0.0.0:8080")?;
    lab.client.probe(&far)?.expect_server("server")?;
    let redirect = NatRule::redirect(&lab.router).on("lan0").tcp(80).to_port(8080).install()?;
    lab.client.probe(&far)?.expect_server("router")?;
    redirect.close()?;
    lab.client.probe(&far)?.expect_server("server")?;
    Ok(())
}

#[netlab::test]
fn several_destinations_are_taken_in_turn() -> Result<()> {
    let lab = Lab::routed()?;
    let (_a, _b) = (lab.server.serve("a").http("203.0.113.9:8001")?, lab.server.serve("b").http("203.0.113.9:8002")?);
    let asked = || Probe::http("http://10.0.0.1");
    lab.client.expect_unreachable(asked())?;
    let rule = || NatRule::dnat(&lab.router).tcp(80);
    let _turn = rule().to_each(["203.0.113.9:8001", "203.0.113.9:8002"]).install()?;
    let ask = |_| Ok(lab.client.probe(asked())?.server().unwrap_or_default().to_owned());
    assert_eq!((0..6).map(ask).collect::<Result<Vec<_>>>()?.concat(), "ababab");
    Ok(())
}

#[netlab::test]
fn a_nat_rule_is_for_connections_that_are_there_too_unless_they_are_kept() -> Result<()> {
    let lab = Lab::routed()?;
    let server = lab.server.run(|| std::net::UdpSocket::bind("203.0.113.9:7000"))?.unwrap();
    let client = lab.client.run(|| std::net::UdpSocket::bind("10.0.0.2:5000"))?.unwrap();
    server.set_read_timeout(Some(std::time::Duration::from_secs(3))).unwrap();
    let seen = || -> SocketAddr {
        client.send_to(b"x", "203.0.113.9:7000").unwrap();
        server.recv_from(&mut [0; 8]).unwrap().1
    };
    // The rules of nat are asked about a first packet only if there are any when it comes.
    let _asks = NatRule::masquerade(&lab.router).from("192.0.2.0/24").install()?;
    assert_eq!(seen().to_string(), "10.0.0.2:5000");
    let kept = NatRule::masquerade(&lab.router).out("wan0").keep_connections().install()?;
    assert_eq!(seen().to_string(), "10.0.0.2:5000");
    drop(kept);
    assert_eq!(seen().to_string(), "10.0.0.2:5000");
    let nat = NatRule::masquerade(&lab.router).out("wan0").install()?;
    assert_eq!(seen().to_string(), "203.0.113.1:5000");
    nat.close()?;
    assert_eq!(seen().to_string(), "10.0.0.2:5000");
    let kept = NatRule::masquerade(&lab.router).out("wan0").install()?;
    assert_eq!(seen().to_string(), "203.0.113.1:5000");
    let mut kept = kept;
    kept.replace_with(NatRule::masquerade(&lab.router).out("lan0"))?;
    assert_eq!(seen().to_string(), "10.0.0.2:5000");
    Ok(())
}
