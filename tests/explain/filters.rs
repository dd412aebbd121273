//! Rules and policies of every family.

use netlab::explain::Cause;
use netlab::nft::Family;
use netlab::{FilterRule, Policy, Probe, Result, RuleChain};

use crate::lab::{dies, healthy, routed, switched};

fn filtered(cause: &Cause) -> bool {
    matches!(cause, Cause::Filtered { rule: Some(_), pulled_in: false, .. })
}

fn by_policy(cause: &Cause) -> bool {
    matches!(cause, Cause::Filtered { rule: None, pulled_in: false, .. })
}

#[netlab::test]
fn a_rule_is_named_by_its_text_and_handle() -> Result<()> {
    let lab = routed()?;
    let _innocent = FilterRule::iptables(&lab.router, "-A FORWARD -p tcp --dport 22 -j DROP")?;
    healthy(&lab.client, &lab.echo)?;
    let rule = FilterRule::iptables(&lab.router, "-A FORWARD -p udp --dport 7000 -j DROP")?;
    insta::assert_snapshot!("rule_of_a_router", dies(&lab.client, &lab.echo, "router", filtered)?);
    rule.close()?;
    let rule = FilterRule::iptables(&lab.server, "-A INPUT -p udp -j DROP")?;
    insta::assert_snapshot!("rule_of_the_server", dies(&lab.client, &lab.echo, "server", filtered)?);
    rule.close()?;
    let rule = FilterRule::iptables(&lab.client, "-A OUTPUT -p udp -j DROP")?;
    insta::assert_snapshot!("rule_of_the_asker", dies(&lab.client, &lab.echo, "client", filtered)?);
    rule.close()?;
    let rule = FilterRule::iptables(&lab.server, "-A OUTPUT -p udp -j DROP")?;
    insta::assert_snapshot!("rule_that_drops_the_answer", dies(&lab.client, &lab.echo, "server", filtered)?);
    rule.close()?;
    let rule = FilterRule::iptables(&lab.router, "-A FORWARD -i wan0 -j DROP")?;
    insta::assert_snapshot!("rule_that_drops_the_answer_on_its_way", dies(&lab.client, &lab.echo, "router", filtered)?);
    rule.close()?;
    let _rule = FilterRule::iptables(&lab.client, "-A INPUT -p udp -j DROP")?;
    insta::assert_snapshot!("rule_of_the_asker_that_drops_the_answer", dies(&lab.client, &lab.echo, "client", filtered)?);
    Ok(())
}

#[netlab::test]
fn a_rule_that_rejects_is_named() -> Result<()> {
    let lab = routed()?;
    let web = lab.server.http_server("10.0.2.2:80")?;
    healthy(&lab.client, &web)?;
    let rule = FilterRule::iptables(&lab.router, "-A FORWARD -p tcp -j REJECT --reject-with tcp-reset")?;
    insta::assert_snapshot!("rejected_by_a_reset", dies(&lab.client, &web, "router", filtered)?);
    rule.close()?;
    let _rule = FilterRule::iptables(&lab.router, "-A FORWARD -p tcp -j REJECT")?;
    insta::assert_snapshot!("rejected_by_icmp", dies(&lab.client, &web, "router", filtered)?);
    Ok(())
}

#[netlab::test]
fn a_chain_that_is_jumped_to_is_named_with_its_hook() -> Result<()> {
    let lab = routed()?;
    let _mine = RuleChain::new(&lab.router, "filter", "MINE")?;
    let _jump = FilterRule::iptables(&lab.router, "-A FORWARD -j MINE")?;
    healthy(&lab.client, &lab.echo)?;
    let _rule = FilterRule::iptables(&lab.router, "-A MINE -p udp -j DROP")?;
    insta::assert_snapshot!(dies(&lab.client, &lab.echo, "router", filtered)?);
    Ok(())
}

#[netlab::test]
fn a_policy_is_named() -> Result<()> {
    let lab = routed()?;
    let policy = Policy::drop(&lab.router).forward().install()?;
    insta::assert_snapshot!("policy_drop", dies(&lab.client, &lab.echo, "router", by_policy)?);
    let accept = FilterRule::iptables(&lab.router, "-A FORWARD -p udp -j ACCEPT")?;
    healthy(&lab.client, &lab.echo)?;
    accept.close()?;
    policy.close()?;
    let _policy = Policy::drop(&lab.server).input().family(Family::Inet).install()?;
    insta::assert_snapshot!("policy_drop_of_inet", dies(&lab.client, &lab.echo, "server", by_policy)?);
    Ok(())
}

#[netlab::test]
fn rules_of_the_families_bridge_and_netdev_are_named() -> Result<()> {
    let lab = switched()?;
    let closed = RuleChain::base(&lab.switch, Family::Bridge, "mine", "forward").hook("forward").policy_drop().install()?;
    insta::assert_snapshot!("policy_of_the_family_bridge", dies(&lab.client, &lab.echo, "switch", by_policy)?);
    closed.close()?;
    healthy(&lab.client, &lab.echo)?;
    lab.client.link("eth0")?.flush_neighbours()?;
    let closed = RuleChain::base(&lab.switch, Family::Bridge, "mine", "forward").hook("forward").policy_drop().install()?;
    let of_arp = |cause: &Cause| matches!(cause, Cause::Filtered { of: Some(of), .. } if of == "ARP");
    insta::assert_snapshot!("policy_of_the_family_bridge_drops_arp", dies(&lab.client, &lab.echo, "switch", of_arp)?);
    closed.close()?;
    healthy(&lab.client, &lab.echo)?;
    let early = RuleChain::base(&lab.server, Family::Netdev, "early", "early").hook("ingress").device("eth0").install()?;
    healthy(&lab.client, &lab.echo)?;
    early.close()?;
    let _early = RuleChain::base(&lab.server, Family::Netdev, "early", "early").hook("ingress").device("eth0").policy_drop().install()?;
    insta::assert_snapshot!("policy_of_the_family_netdev", dies(&lab.client, &lab.echo, "server", by_policy)?);
    Ok(())
}

#[netlab::test]
fn a_bridged_frame_that_is_pulled_into_the_hooks_of_ip_is_named() -> Result<()> {
    let lab = switched()?;
    let _policy = Policy::drop(&lab.switch).forward().install()?;
    healthy(&lab.client, &lab.echo)?;
    let _pull = lab.switch.set_sysctl("net.bridge.bridge-nf-call-iptables", 1)?;
    insta::assert_snapshot!(dies(&lab.client, &lab.echo, "switch", |cause| matches!(cause, Cause::Filtered { pulled_in: true, .. }))?);
    Ok(())
}

#[netlab::test]
fn a_ping_that_is_dropped_is_named() -> Result<()> {
    let lab = routed()?;
    let _rule = FilterRule::iptables(&lab.server, "-A INPUT -p icmp -j DROP")?;
    insta::assert_snapshot!(dies(&lab.client, Probe::ping("10.0.2.2"), "server", filtered)?);
    healthy(&lab.client, &lab.echo)
}
