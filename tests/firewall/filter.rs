//! Packets pass or not, as rules say, while these live.

use netlab::nft::Family;
use netlab::{Bridge, FilterRule, FilterRuleBuilder, IcmpKind, Netns, Probe, Reason, Result, RuleChain, VethPair};

use crate::lab::{Lab, listing, silence};

#[netlab::test]
fn a_dropped_packet_is_silence_and_a_rejected_one_an_icmp_error_while_the_rule_lives() -> Result<()> {
    let lab = Lab::routed()?;
    for (ipv6, echo, router, far) in [(false, lab.echo()?, "10.0.0.1", "203.0.113.9"), (true, lab.echo6()?, "fd00::1", "fd09::9")] {
        let of_family = |builder: FilterRuleBuilder| if ipv6 { builder.ipv6() } else { builder };
        lab.client.probe(&echo)?;
        let drop_it = of_family(FilterRule::drop(&lab.router).forward().on("lan0").udp(7000)).install()?;
        silence(&lab.client, &echo)?;
        assert!(drop_it.expect_hits(1)?.bytes > 28);
        drop_it.close()?;
        lab.client.probe(&echo)?;

        let reject = of_family(FilterRule::reject(&lab.router).forward().on("lan0").udp(7000)).install()?;
        lab.client.expect_unreachable(&echo)?.by(IcmpKind::PortUnreachable.sent_by(router))?;
        lab.client.probe(Probe::ping(far))?;
        reject.close()?;
        lab.client.probe(&echo)?;
        let code = if ipv6 { 1 } else { 13 };
        let prohibit = of_family(FilterRule::reject(&lab.router).forward().udp(7000).with_code(code)).install()?;
        lab.client.expect_unreachable(&echo)?.by(IcmpKind::Prohibited.sent_by(router))?;
        let accept = of_family(FilterRule::accept(&lab.router).forward().on("lan0").out("wan0")).first().install()?;
        lab.client.probe(&echo)?;
        drop(accept);
        lab.client.expect_unreachable(&echo)?.by(IcmpKind::Prohibited.sent_by(router))?;
        drop(prohibit);
        lab.client.probe(&echo)?;
    }
    assert_eq!(listing(&lab.router)?, "");
    Ok(())
}

#[netlab::test]
fn a_reset_looks_like_a_closed_port() -> Result<()> {
    let lab = Lab::routed()?;
    let web = lab.server.http_server("203.0.113.9:80")?;
    lab.client.probe(&web)?;
    let reset = FilterRule::reject(&lab.router).forward().tcp(80).with_tcp_reset().install()?;
    lab.client.expect_unreachable(&web)?.by(Reason::Refused)?;
    drop(reset);
    lab.client.probe(&web)?;
    Ok(())
}

#[netlab::test]
fn input_and_output_are_about_the_machine_itself() -> Result<()> {
    let lab = Lab::routed()?;
    let (here, far) = (lab.router.udp_echo("0.0.0.0:7000")?, lab.echo()?);
    let (to_router, to_server) = (here.via("10.0.0.1"), Probe::from(&far));
    let reaches = |netns: &Netns, probe: &Probe| netns.probe(probe).map(drop);
    reaches(&lab.client, &to_router)?;
    reaches(&lab.router, &to_server)?;
    let input = FilterRule::drop(&lab.router).input().on("lan0").udp(7000).install()?;
    silence(&lab.client, &to_router)?;
    reaches(&lab.client, &to_server)?;
    reaches(&lab.server, &here.via("203.0.113.1"))?;
    drop(input);
    let output = FilterRule::drop(&lab.router).output().out("wan0").udp(7000).install()?;
    lab.router.expect_unreachable(&to_server)?.by(libc::EPERM)?;
    reaches(&lab.client, &to_server)?;
    drop(output);
    reaches(&lab.router, &to_server)
}

/// Each word stops the ping it names and lets another pass; its contrary does the opposite.
#[netlab::test]
fn words_and_their_contraries_choose_packets() -> Result<()> {
    let lab = Lab::routed()?;
    let (_echo, _other) = (lab.echo()?, lab.server.udp_echo("203.0.113.9:7001")?);
    let udp = |port: u16| Probe::udp(format!("203.0.113.9:{port}")).source("10.0.0.2:5000").within(std::time::Duration::from_millis(150));
    let drop_it = || FilterRule::drop(&lab.router).forward().on("lan0").protocol("udp");
    let passes = |port: u16| Ok::<_, netlab::Error>(matches!(lab.client.observe(udp(port))?, netlab::Outcome::Answer(_)));
    lab.client.probe(Probe::udp("203.0.113.9:7000"))?;
    lab.client.probe(Probe::udp("203.0.113.9:7001"))?;
    for (rule, first, second) in [
        (drop_it().udp(7000), false, true),
        (drop_it().not_udp(7000), true, false),
        (drop_it().udp("7001-7009"), true, false),
        (drop_it().udp("53,7000,7010-7020"), false, true),
        (drop_it().from_udp(5000), false, false),
        (drop_it().not_from_udp("5000-5001"), true, true),
        (drop_it().from("10.0.0.0/24"), false, false),
        (drop_it().not_from("10.0.0.0/24"), true, true),
        (drop_it().from("10.0.0.1-10.0.0.3,192.0.2.1"), false, false),
        (drop_it().addressed_to("203.0.113.9"), false, false),
        (drop_it().not_addressed_to("203.0.113.9"), true, true),
        (drop_it().addressed_to_local(), true, true),
        (drop_it().not_addressed_to_local(), false, false),
        (drop_it().out("wan0"), false, false),
        (drop_it().not_out("wan0"), true, true),
        (drop_it().on("lan+"), false, false),
        (drop_it().not_on("wan*"), false, false),
        (drop_it().state("invalid"), true, true),
        (drop_it().not_state("invalid"), false, false),
        (drop_it().mark(7), true, true),
        (drop_it().not_mark("0x7/0xf"), false, false),
        (drop_it().connmark(0), false, false),
        (drop_it().udp(7001).limit("1/hour", 1), true, false),
        (drop_it().share(0, 1), true, true),
        (drop_it().share(1, 1), false, false),
        (drop_it().nth(2, 1), true, false),
        (drop_it().nth(2, 0), false, true),
        (drop_it().icmp_type("echo-request").comment("never: it is udp"), true, true),
    ] {
        let text = format!("{rule:?}");
        let rule = match rule.install() {
            Ok(rule) => rule,
            Err(e) if text.contains("Icmp") => {
                assert!(e.to_string().contains("already demands protocol 17"), "{e}");
                continue;
            }
            Err(e) => return Err(e),
        };
        assert_eq!((passes(7000)?, passes(7001)?), (first, second), "{rule}");
        drop(rule);
        assert!(passes(7000)? && passes(7001)?);
    }
    Ok(())
}

#[netlab::test]
fn icmp_is_that_of_the_rules_family() -> Result<()> {
    let lab = Lab::routed()?;
    for (far, rule) in [
        ("203.0.113.9", FilterRule::drop(&lab.router).forward().icmp()),
        ("203.0.113.9", FilterRule::drop(&lab.router).forward().icmp_type("echo-reply")),
        ("fd09::9", FilterRule::drop(&lab.router).forward().icmp_type("echo-request").ipv6()),
        ("fd09::9", FilterRule::drop(&lab.router).forward().icmp_type(129).from("fd09::/64")),
    ] {
        lab.client.expect_ping(far)?;
        let rule = rule.install()?;
        silence(&lab.client, Probe::ping(far))?;
        rule.expect_hits_at_least(1)?;
        drop(rule);
        lab.client.expect_ping(far)?;
    }
    Ok(())
}

#[netlab::test]
fn a_mark_set_in_mangle_is_seen_by_a_later_chain() -> Result<()> {
    let lab = Lab::routed()?;
    let echo = lab.echo()?;
    let marked = FilterRule::reject(&lab.router).forward().mark("0x4000/0x4000").install()?;
    lab.client.probe(&echo)?;
    marked.expect_no_hits()?;
    let mark = FilterRule::mark(&lab.router, "0x4000/0x4000").table("mangle").prerouting().on("lan0").install()?;
    lab.client.expect_unreachable(&echo)?.by(IcmpKind::PortUnreachable)?;
    marked.expect_hits(1)?;
    mark.expect_hits(1)?;
    drop(mark);
    lab.client.probe(&echo)?;
    Ok(())
}

#[netlab::test]
fn a_rule_of_the_bridge_family_decides_about_frames() -> Result<()> {
    let (host, a, b) = (Netns::new("host")?, Netns::new("a")?, Netns::new("b")?);
    let bridge = Bridge::new(host.iface("br0"))?;
    let _a = bridge.plug(a.iface("eth0").addr("10.0.0.1/24").mac("02:00:00:00:00:01"))?;
    let _b = bridge.plug(b.iface("eth0").addr("10.0.0.2/24"))?;
    let echo = b.udp_echo("10.0.0.2:7000")?;
    a.probe(&echo)?;
    // A rule of the family ip does not see what is bridged.
    let ip = FilterRule::drop(&host).forward().udp(7000).install()?;
    a.probe(&echo)?;
    ip.expect_no_hits()?;
    for rule in [
        FilterRule::drop(&host).family(Family::Bridge).forward().udp(7000),
        FilterRule::drop(&host).family(Family::Bridge).forward().from("10.0.0.1").protocol("udp"),
        FilterRule::drop(&host).family(Family::Bridge).forward().from_mac("02:00:00:00:00:01").protocol("udp"),
        FilterRule::drop(&host).family(Family::Bridge).forward().to_mac("02:00:00:00:00:01").protocol("udp"),
    ] {
        let rule = rule.install()?;
        silence(&a, &echo)?;
        rule.expect_hits(1)?;
        a.expect_ping("10.0.0.2")?;
        drop(rule);
        a.probe(&echo)?;
    }
    drop(ip);
    assert_eq!(listing(&host)?, "");
    Ok(())
}

#[netlab::test]
fn a_rule_at_the_ingress_of_a_device_is_for_that_device() -> Result<()> {
    let (left, right) = (Netns::new("left")?, Netns::new("right")?);
    let _one = VethPair::connect(left.iface("eth0").addr("10.0.0.1/24"), right.iface("eth0").addr("10.0.0.2/24"))?;
    let _two = VethPair::connect(left.iface("eth1").addr("10.0.1.1/24"), right.iface("eth1").addr("10.0.1.2/24"))?;
    let echo = right.udp_echo("0.0.0.0:7000")?;
    let (by_one, by_two) = (echo.via("10.0.0.2"), echo.via("10.0.1.2"));
    left.probe(&by_one)?;
    let early =
        RuleChain::base(&right, Family::Netdev, "filter", "early").hook("ingress").device("eth0").priority("filter - 10").install()?;
    left.probe(&by_one)?;
    let deaf = FilterRule::drop(&right).in_chain(&early).udp(7000).install()?;
    silence(&left, &by_one)?;
    left.probe(&by_two)?;
    deaf.expect_hits(1)?;
    assert!(listing(&right)?.contains("type filter hook ingress device \"eth0\" priority filter - 10; policy accept;"));
    drop(early);
    silence(&left, &by_one)?; // the chain stays with its rule
    drop(deaf);
    left.probe(&by_one)?;
    assert_eq!(listing(&right)?, "");
    Ok(())
}

#[netlab::test]
fn one_rule_of_the_family_inet_is_for_both() -> Result<()> {
    let lab = Lab::routed()?;
    let (echo, echo6) = (lab.echo()?, lab.echo6()?);
    let reject = FilterRule::reject(&lab.router).family(Family::Inet).forward().udp(7000).install()?;
    lab.client.expect_unreachable(&echo)?.by(IcmpKind::PortUnreachable.sent_by("10.0.0.1"))?;
    lab.client.expect_unreachable(&echo6)?.by(IcmpKind::PortUnreachable.sent_by("fd00::1"))?;
    drop(reject);
    lab.client.probe(&echo)?;
    lab.client.probe(&echo6)?;
    Ok(())
}
