use std::time::Duration;

use netlab::{NatRule, Netns, Result, VethPair};

// ANCHOR: explain
use netlab::FilterRule;
use netlab::explain::Cause;

#[netlab::test]
fn the_explanation_names_the_rule() -> Result<()> {
    let (laptop, server) = (Netns::new("laptop")?, Netns::new("server")?);
    let _cable = VethPair::connect(
        laptop.iface("eth0").addr("10.0.0.1/24"),
        server.iface("eth0").addr("10.0.0.2/24"),
    )?;
    let web = server.http_server("10.0.0.2:8080")?;
    assert!(laptop.explain(&web)?.is_healthy());

    let line = "-A INPUT -p tcp --dport 8000:8999 -j DROP";
    let _policy = FilterRule::iptables(&server, line)?;
    let explanation = laptop.explain(&web)?;
    let finding = explanation.finding().expect("a cause");
    assert_eq!(finding.machine, "server");
    assert!(matches!(finding.cause, Cause::Filtered { .. }), "{explanation}");
    Ok(())
}
// ANCHOR_END: explain

/// The test that the chapter shows failing: with the rule it fails as shown, and without it passes.
fn office(with_policy: bool) -> Result<()> {
    let laptop = Netns::new("laptop")?;
    let router = Netns::new("router")?;
    let server = Netns::new("server")?;
    let _lan = VethPair::connect(
        laptop.iface("eth0").addr("10.0.0.2/24").gateway("10.0.0.1"),
        router.iface("lan0").addr("10.0.0.1/24"),
    )?;
    let _wan = VethPair::connect(
        router.iface("wan0").addr("203.0.113.1/24"),
        server.iface("eth0").addr("203.0.113.9/24"),
    )?;
    router.forward_ipv4()?;
    let _nat = NatRule::masquerade(&router).out("wan0").install()?;
    let rule = || FilterRule::iptables(&router, "-A FORWARD -p tcp --dport 8000:8999 -j DROP");
    let _policy = with_policy.then(rule).transpose()?;

    let web = server.http_server("203.0.113.9:8080")?;
    let probe = netlab::Probe::from(&web).within(Duration::from_millis(100));
    laptop.probe(probe)?.expect_source("203.0.113.1")?;
    Ok(())
}

#[netlab::test]
fn the_failure_that_readme_and_guide_show_is_the_one_that_users_see() {
    office(false).expect("it passes without the rule");
    let error = office(true).expect_err("the rule drops the request").to_string();
    for shown in [include_str!("../../README.md"), include_str!("../../docs/guide/failures.md")] {
        // What stays the same: times, ports and places in files do not.
        let mut lines = error.lines().filter(|line| {
            let changes = ["  at ", "  tried ", "silence for", "question: sent"];
            !changes.iter().any(|word| line.contains(word))
        });
        assert!(lines.all(|line| shown.contains(line)), "not shown:\n{error}");
    }
}
