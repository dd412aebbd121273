//! The test that README shows, run; and README, which shows it.

use netlab::{Netns, Result, VethPair};

#[netlab::test]
fn a_router_forwards_only_when_told_to() -> Result<()> {
    let laptop = Netns::new("laptop")?;
    let router = Netns::new("router")?;
    let server = Netns::new("server")?;
    let _lan = VethPair::connect(laptop.iface("eth0").addr("10.0.0.2/24").gateway("10.0.0.1"), router.iface("lan0").addr("10.0.0.1/24"))?;
    let _wan =
        VethPair::connect(router.iface("wan0").addr("203.0.113.1/24"), server.iface("eth0").addr("203.0.113.9/24").gateway("203.0.113.1"))?;
    let echo = server.udp_echo("203.0.113.9:7000")?;

    laptop.expect_unreachable(&echo)?; // both cables carry traffic, but a router starts with ip_forward=0
    router.forward_ipv4()?;
    laptop.probe(&echo)?.expect_source("10.0.0.2")?; // the server saw the laptop's own address: no NAT on the way
    Ok(())
}

#[test]
fn readme_shows_the_test_above() {
    let this = include_str!("readme.rs");
    let start = this.find("use netlab::").unwrap_or_default();
    let end = this.find("\n#[test]\n").unwrap_or_default();
    let shown = &this[start..end];
    assert!(shown.contains("forward_ipv4"));
    assert!(bare(include_str!("../README.md")).contains(&bare(shown)), "README.md does not contain:\n{shown}");
}

/// Without what rustfmt decides: README has shorter lines than this repository.
fn bare(text: &str) -> String {
    text.split_whitespace().collect::<String>().replace(",)", ")")
}
