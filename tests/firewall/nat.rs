//! Addresses are translated while the rule lives.

use netlab::{NatRule, Netns, Result, VethPair};

use crate::lab::Lab;

#[netlab::test]
fn masquerade_rewrites_the_source_address() -> Result<()> {
    let laptop = Netns::new("laptop")?;
    let router = Netns::new("router")?;
    let server = Netns::new("server")?;
    let _lan = VethPair::connect(laptop.iface("eth0").addr("10.0.0.2/24").gateway("10.0.0.1"), router.iface("lan0").addr("10.0.0.1/24"))?;
    let _wan = VethPair::connect(router.iface("wan0").addr("203.0.113.1/24"), server.iface("eth0").addr("203.0.113.9/24"))?;
    router.forward_ipv4()?;
    let echo = server.udp_echo("203.0.113.9:7000")?;

    router.probe(&echo)?;
    laptop.expect_unreachable(&echo)?;
    let _nat = NatRule::masquerade(&router).out("wan0").install()?;
    laptop.probe(&echo)?.expect_source("203.0.113.1")?;
    Ok(())
}

#[netlab::test]
fn a_masquerade_is_gone_with_its_fixture() -> Result<()> {
    let lab = Lab::without_way_back()?;
    let echo = lab.echo()?;
    let before = lab.router.ruleset()?.to_string();
    let nat = NatRule::masquerade(&lab.router).from("10.0.0.0/24").out("wan0").install()?;
    lab.client.probe(&echo)?.expect_source("203.0.113.1")?;
    assert!(nat.expect_hits(1)?.packets >= 1);
    println!("{}\n{}", nat.as_nft(), lab.router.ruleset()?);
    nat.close()?;
    lab.client.expect_unreachable(&echo)?;
    assert_eq!(lab.router.ruleset()?.to_string(), before);
    Ok(())
}

#[netlab::test]
fn a_dnat_leads_to_another_address_and_port() -> Result<()> {
    let lab = Lab::routed()?;
    let web = lab.server.http_server("203.0.113.9:8000")?;
    lab.client.probe(&web)?;
    lab.client.expect_unreachable(netlab::Probe::http("10.0.0.1:8081"))?;
    lab.router.expect_unreachable(netlab::Probe::http("203.0.113.1:8081"))?;
    let dnat = NatRule::dnat(&lab.router).tcp(8081).to("203.0.113.9:8000").also_local().install()?;
    println!("{}\n{}", dnat.as_nft(), lab.router.ruleset()?);
    lab.client.probe(netlab::Probe::http("10.0.0.1:8081"))?.expect_source("10.0.0.2")?;
    lab.router.probe(netlab::Probe::http("203.0.113.1:8081"))?;
    drop(dnat);
    lab.client.expect_unreachable(netlab::Probe::http("10.0.0.1:8081"))?;
    assert_eq!(lab.router.ruleset()?.to_string(), "");
    Ok(())
}
