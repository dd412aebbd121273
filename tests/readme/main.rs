//! The test that README shows, run; and README, which shows it.

use netlab::{NatRule, Netns, Result, VethPair};

#[netlab::test]
fn masquerade_rewrites_the_source_address() -> Result<()> {
    let laptop = Netns::new("laptop")?;
    let router = Netns::new("router")?;
    let server = Netns::new("server")?;
    let _lan = VethPair::connect(laptop.iface("eth0").addr("10.0.0.2/24").gateway("10.0.0.1"), router.iface("lan0").addr("10.0.0.1/24"))?;
    let _wan = VethPair::connect(router.iface("wan0").addr("203.0.113.1/24"), server.iface("eth0").addr("203.0.113.9/24"))?;
    router.forward_ipv4()?;
    let echo = server.udp_echo("203.0.113.9:7000")?;

    router.probe(&echo)?; // the far side works
    laptop.expect_unreachable(&echo)?; // but nothing leads back to a private host
    let _nat = NatRule::masquerade(&router).out("wan0").install()?;
    laptop.probe(&echo)?.expect_source("203.0.113.1")?;
    insta::assert_snapshot!(laptop.routes()?); // `ip route` text, stable from run to run
    Ok(())
}

#[test]
fn readme_shows_the_test_above() {
    let this = include_str!("main.rs");
    let start = this.find("use netlab::").unwrap_or_default();
    let end = this.find("\n#[test]\n").unwrap_or_default();
    let shown = &this[start..end];
    assert!(shown.contains("NatRule::masquerade"));
    assert!(bare(include_str!("../../README.md")).contains(&bare(shown)), "README.md does not contain:\n{shown}");
}

/// Without what rustfmt decides: README has shorter lines than this repository.
fn bare(text: &str) -> String {
    text.split_whitespace().collect::<String>().replace(",)", ")")
}
