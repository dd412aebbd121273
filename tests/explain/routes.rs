//! Routes, policy rules, forwarding, and what a router checks.

use netlab::explain::Cause;
use netlab::{Address, Netns, Probe, Result, Route, RpFilter, Rule, VethPair};

use crate::lab::{dies, healthy, routed};

#[netlab::test]
fn no_route_is_named() -> Result<()> {
    let lab = routed()?;
    let probe = Probe::ping("192.0.2.1");
    let text = dies(&lab.client, &probe, "router", |cause| matches!(cause, Cause::NoRoute { .. }))?;
    insta::assert_snapshot!("no_route_on_a_router", text);
    let text = dies(&lab.router, &probe, "router", |cause| matches!(cause, Cause::NoRoute { .. }))?;
    insta::assert_snapshot!("no_route_of_its_own", text);
    Ok(())
}

#[netlab::test]
fn a_route_that_refuses_is_named() -> Result<()> {
    let lab = routed()?;
    for machine in [&lab.client, &lab.router] {
        for route in [Route::blackhole("10.0.2.2/32"), Route::unreachable("10.0.2.2/32"), Route::prohibit("10.0.2.2/32")] {
            let route = route.install(machine)?;
            let text = dies(&lab.client, &lab.echo, machine.name(), |cause| matches!(cause, Cause::RouteRefuses { .. }))?;
            let kind = text.split("of kind ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("").to_owned();
            insta::assert_snapshot!(format!("{kind}_on_{}", machine.name()), text);
            route.close()?;
            healthy(&lab.client, &lab.echo)?;
        }
    }
    Ok(())
}

#[netlab::test]
fn a_policy_rule_that_refuses_is_named() -> Result<()> {
    let lab = routed()?;
    let rule = Rule::prohibit().to("10.0.2.2").install(&lab.router)?;
    let text = dies(&lab.client, &lab.echo, "router", |cause| matches!(cause, Cause::PolicyRule { .. }))?;
    insta::assert_snapshot!("policy_rule_that_refuses", text);
    rule.close()?;
    healthy(&lab.client, &lab.echo)?;
    let _route = Route::blackhole("10.0.2.0/24").table(100).install(&lab.router)?;
    healthy(&lab.client, &lab.echo)?;
    let _rule = Rule::lookup(100).from("10.0.1.0/24").install(&lab.router)?;
    let text = dies(&lab.client, &lab.echo, "router", |cause| matches!(cause, Cause::PolicyRule { .. }))?;
    insta::assert_snapshot!("policy_rule_to_a_table_that_refuses", text);
    Ok(())
}

#[netlab::test]
fn a_policy_rule_that_sends_elsewhere_is_named() -> Result<()> {
    let lab = routed()?;
    let decoy = Netns::new("decoy")?;
    let _cable = VethPair::connect(lab.router.iface("dmz0").addr("10.0.3.1/24"), decoy.iface("eth0").addr("10.0.3.2/24"))?;
    let _route = Route::default_via("10.0.3.2").table(100).install(&lab.router)?;
    let _innocent = Rule::lookup(100).from("10.9.0.0/16").install(&lab.router)?;
    healthy(&lab.client, &lab.echo)?;
    let _rule = Rule::lookup(100).from("10.0.1.0/24").install(&lab.router)?;
    let text = dies(&lab.client, &lab.echo, "router", |cause| matches!(cause, Cause::PolicyRule { .. }))?;
    insta::assert_snapshot!(text);
    Ok(())
}

#[netlab::test]
fn forwarding_that_is_off_is_named() -> Result<()> {
    let lab = routed()?;
    let off = lab.router.set_sysctl("net.ipv4.ip_forward", 0)?;
    let text = dies(&lab.client, &lab.echo, "router", |cause| matches!(cause, Cause::ForwardingOff { .. }))?;
    insta::assert_snapshot!("ip_forward_off", text);
    off.close()?;
    healthy(&lab.client, &lab.echo)?;
    let _off = lab.lan.right().set_ipv4_conf("forwarding", 0)?;
    let text = dies(&lab.client, &lab.echo, "router", |cause| matches!(cause, Cause::ForwardingOff { .. }))?;
    insta::assert_snapshot!("forwarding_of_a_device_off", text);
    Ok(())
}

#[netlab::test]
fn rp_filter_is_named() -> Result<()> {
    let lab = routed()?;
    lab.router.set_rp_filter(RpFilter::Strict)?;
    healthy(&lab.client, &lab.echo)?;
    // The way back to the client leads elsewhere.
    let other = Netns::new("other")?;
    let _cable = VethPair::connect(lab.router.iface("dmz0").addr("10.0.3.1/24"), other.iface("eth0").addr("10.0.3.2/24"))?;
    let _route = Route::to("10.0.1.2/32").via("10.0.3.2").install(&lab.router)?;
    let text = dies(&lab.client, &lab.echo, "router", |cause| matches!(cause, Cause::ReversePathFilter { strict: true, .. }))?;
    insta::assert_snapshot!(text);
    Ok(())
}

#[netlab::test]
fn martians_are_named() -> Result<()> {
    let lab = routed()?;
    // The client believes that the server has a loopback address of the router's.
    let _route = Route::to("127.5.0.0/16").via("10.0.1.1").install(&lab.client)?;
    let _on = lab.lan.left().set_ipv4_conf("route_localnet", 1)?;
    let text = dies(&lab.client, Probe::ping("127.5.0.1").source("10.0.1.2"), "router", |cause| {
        matches!(cause, Cause::MartianDestination { .. })
    })?;
    insta::assert_snapshot!("martian_destination", text);
    let _same = Address::of("10.0.2.2/32").install(&lab.router.link("lo")?)?;
    Ok(())
}

#[netlab::test]
fn a_source_that_is_the_receivers_own_is_named() -> Result<()> {
    let lab = routed()?;
    let _same = lab.client.link("lo")?.add_address("10.0.2.2/32")?;
    let _twin = lab.server.udp_echo("0.0.0.0:7001")?;
    let _route = Route::to("10.0.2.9/32").via("10.0.1.1").install(&lab.client)?;
    let _ninth = lab.server.link("eth0")?.add_address("10.0.2.9/24")?;
    healthy(&lab.client, Probe::udp("10.0.2.9:7001").source("10.0.1.2"))?;
    let text =
        dies(&lab.client, Probe::udp("10.0.2.9:7001").source("10.0.2.2"), "server", |cause| matches!(cause, Cause::MartianSource { .. }))?;
    insta::assert_snapshot!(text);
    Ok(())
}

#[netlab::test]
fn a_ttl_that_is_used_up_is_named() -> Result<()> {
    let lab = routed()?;
    healthy(&lab.client, Probe::ping("10.0.2.2").ttl(2))?;
    let text =
        dies(&lab.client, Probe::ping("10.0.2.2").ttl(1), "router", |cause| matches!(cause, Cause::TtlExpired { sent_with: Some(1) }))?;
    insta::assert_snapshot!(text);
    Ok(())
}

#[netlab::test]
fn routers_that_send_a_packet_to_each_other_are_named() -> Result<()> {
    let lab = routed()?;
    lab.server.forward_ipv4()?;
    let (ninth, default) = (lab.server.link("lo")?.add_address("10.0.9.9/32")?, Route::default_via("10.0.2.2").install(&lab.router)?);
    healthy(&lab.client, Probe::ping("10.0.9.9"))?;
    drop(ninth);
    let text = dies(&lab.client, Probe::ping("10.0.9.9"), "server", |cause| matches!(cause, Cause::RoutingLoop { .. }))?;
    insta::assert_snapshot!(text);
    drop(default);
    Ok(())
}

#[netlab::test]
fn a_packet_that_is_too_big_is_named() -> Result<()> {
    let lab = routed()?;
    let probe = Probe::ping("10.0.2.2").size(1400).dont_fragment();
    healthy(&lab.client, &probe)?;
    lab.wan.left().set_mtu(1300)?;
    let text = dies(&lab.client, &probe, "router", |cause| matches!(cause, Cause::TooBig { mtu: 1300, sender_heard: true, .. }))?;
    insta::assert_snapshot!("too_big_for_a_router", text);
    healthy(&lab.client, Probe::ping("10.0.2.2").size(1200).dont_fragment())?;
    // Now the sender knows.
    let text = dies(&lab.client, &probe, "router", |cause| matches!(cause, Cause::TooBig { mtu: 1300, .. }))?;
    insta::assert_snapshot!("too_big_as_the_sender_knows", text);
    Ok(())
}

#[netlab::test]
fn an_icmp_error_that_does_not_come_is_named() -> Result<()> {
    let lab = routed()?;
    let probe = Probe::udp("10.0.2.2:7000").size(1400).dont_fragment();
    healthy(&lab.client, &probe)?;
    lab.wan.left().set_mtu(1300)?;
    let _rule = netlab::FilterRule::iptables(&lab.router, "-A OUTPUT -p icmp -j DROP")?;
    let text = dies(&lab.client, &probe, "router", |cause| matches!(cause, Cause::TooBig { mtu: 1300, sender_heard: false, .. }))?;
    insta::assert_snapshot!(text);
    Ok(())
}

#[netlab::test]
fn a_cable_whose_far_side_takes_less_is_named() -> Result<()> {
    let lab = routed()?;
    let probe = Probe::ping("10.0.2.2").size(1400).dont_fragment();
    healthy(&lab.client, &probe)?;
    lab.wan.right().set_mtu(1300)?;
    let text = dies(&lab.client, &probe, "server", |cause| matches!(cause, Cause::TooBig { mtu: 1300, .. }))?;
    insta::assert_snapshot!(text);
    Ok(())
}

#[netlab::test]
fn no_way_back_is_named() -> Result<()> {
    let lab = routed()?;
    lab.server.delete_route("default")?;
    let text = dies(&lab.client, &lab.echo, "server", |cause| matches!(cause, Cause::NoWayBack { .. }))?;
    insta::assert_snapshot!("no_way_back", text);
    let _nat = netlab::NatRule::masquerade(&lab.router).out("wan0").install()?;
    healthy(&lab.client, &lab.echo)
}
