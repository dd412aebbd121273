//! Verdict maps: one look-up for all services, elements that come and go.

use netlab::nft::Family;
use netlab::{FilterRule, IcmpKind, NatRule, PacketRule, Probe, Result, RuleChain, Rules, VerdictMap};

use crate::lab::{Lab, listing, run};

const TABLE: &str = "kube-proxy";

/// The router's chain at prerouting, and one for each of two services.
fn chains(lab: &Lab) -> Result<[RuleChain; 3]> {
    let chain = |name| RuleChain::of(&lab.router, Family::Ip, TABLE, name);
    let base = RuleChain::base(&lab.router, Family::Ip, TABLE, "services").kind("nat").hook("prerouting").priority("dstnat");
    Ok([base.install()?, chain("web/tcp/80")?, chain("api/tcp/80")?])
}

fn server(lab: &Lab, url: &str) -> Result<String> {
    Ok(lab.client.probe(Probe::http(url))?.server().unwrap_or_default().to_owned())
}

#[netlab::test]
fn a_map_leads_each_service_to_its_chain_and_elements_come_and_go() -> Result<()> {
    let lab = Lab::routed()?;
    let (_a, _b) = (lab.server.serve("a").http("203.0.113.9:8001")?, lab.server.serve("b").http("203.0.113.9:8002")?);
    let [services, web, api] = chains(&lab)?;
    let mut map = VerdictMap::new(&lab.router, Family::Ip, TABLE, "service-ips")?;
    assert_eq!((map.name(), map.netns().name()), ("service-ips", "router"));
    let _rules = Rules::install([
        NatRule::dnat(&lab.router).in_chain(&web).protocol("tcp").to("203.0.113.9:8001"),
        NatRule::dnat(&lab.router).in_chain(&api).protocol("tcp").to("203.0.113.9:8002"),
    ])?;
    let asked = FilterRule::vmap(&lab.router, "service-ips").in_chain(&services).install()?;
    lab.client.expect_unreachable(Probe::http("10.96.0.1"))?;
    map.goto("10.96.0.1", "tcp", 80, web.name())?;
    map.goto("10.96.0.2", "tcp", 80, api.name())?;
    let text = listing(&lab.router)?;
    assert!(text.contains("\t\ttype ipv4_addr . inet_proto . inet_service : verdict\n"), "{text}");
    assert!(text.contains("elements = { 10.96.0.1 . tcp . 80 : goto web/tcp/80,\n"), "{text}");
    assert!(text.contains("ip daddr . meta l4proto . th dport vmap @service-ips\n"), "{text}");
    assert_eq!(asked.as_nft(), "add rule ip kube-proxy services counter ip daddr . meta l4proto . th dport vmap @service-ips");
    assert_eq!((server(&lab, "10.96.0.1")?, server(&lab, "10.96.0.2")?), ("a".to_owned(), "b".to_owned()));
    for other in [Probe::tcp("10.96.0.1:81"), Probe::tcp("10.96.0.3:80"), Probe::udp("10.96.0.1:80")] {
        lab.client.expect_unreachable(other)?;
    }
    map.remove("10.96.0.1", "tcp", 80)?;
    lab.client.expect_unreachable(Probe::http("10.96.0.1"))?;
    assert_eq!(server(&lab, "10.96.0.2")?, "b");
    map.goto("10.96.0.1", "tcp", 80, api.name())?;
    assert_eq!(server(&lab, "10.96.0.1")?, "b");
    Ok(())
}

#[netlab::test]
fn a_map_by_ipv6_has_its_addresses() -> Result<()> {
    let lab = Lab::routed()?;
    let services = RuleChain::base(&lab.router, Family::Ip6, TABLE, "services").hook("forward").install()?;
    let closed = RuleChain::of(&lab.router, Family::Ip6, TABLE, "closed")?;
    let _drop = FilterRule::reject(&lab.router).in_chain(&closed).install()?;
    let mut map = VerdictMap::new(&lab.router, Family::Ip6, TABLE, "service-ips")?;
    let _asked = FilterRule::vmap(&lab.router, "service-ips").in_chain(&services).install()?;
    let echo = lab.echo6()?;
    lab.client.probe(&echo)?;
    map.goto("fd09::9", "udp", 7000, "closed")?;
    listing(&lab.router)?;
    lab.client.expect_unreachable(&echo)?.by(IcmpKind::PortUnreachable)?;
    Ok(())
}

#[netlab::test]
fn packets_go_to_several_chains_in_turn_or_by_chance() -> Result<()> {
    let lab = Lab::routed()?;
    let (_a, _b) = (lab.server.serve("a").http("203.0.113.9:8001")?, lab.server.serve("b").http("203.0.113.9:8002")?);
    let [services, first, second] = chains(&lab)?;
    let _rules = Rules::install([
        NatRule::dnat(&lab.router).in_chain(&first).protocol("tcp").to("203.0.113.9:8001"),
        NatRule::dnat(&lab.router).in_chain(&second).protocol("tcp").to("203.0.113.9:8002"),
    ])?;
    let each = FilterRule::goto_each(&lab.router, [first.name(), second.name()]).in_chain(&services).addressed_to("10.96.0.1").install()?;
    assert_eq!(
        each.as_nft(),
        "add rule ip kube-proxy services ip daddr 10.96.0.1 counter numgen inc mod 2 vmap { 0 : goto web/tcp/80, 1 : goto api/tcp/80 }"
    );
    assert!(listing(&lab.router)?.contains("numgen inc mod 2 vmap { 0 : goto web/tcp/80, 1 : goto api/tcp/80 }\n"));
    let six = (0..6).map(|_| server(&lab, "10.96.0.1")).collect::<Result<Vec<_>>>()?;
    assert_eq!(six.concat(), "ababab");
    drop(each);
    let any = FilterRule::goto_any(&lab.router, ["web/tcp/80", "api/tcp/80"]).in_chain(&services).addressed_to("10.96.0.1").install()?;
    assert!(any.as_nft().contains("numgen random mod 2 vmap {"), "{}", any.as_nft());
    // Forty connections meet only one of the two once in a million million runs.
    let forty = (0..40).map(|_| server(&lab, "10.96.0.1")).collect::<Result<Vec<_>>>()?.concat();
    assert!(forty.contains('a') && forty.contains('b'), "{forty}");
    assert!(any.as_iptables().is_err());
    Ok(())
}

#[netlab::test]
fn a_map_its_chains_and_its_table_go_with_the_last_that_needs_them() -> Result<()> {
    let lab = Lab::routed()?;
    let [services, web, api] = chains(&lab)?;
    let mut map = VerdictMap::new(&lab.router, Family::Ip, TABLE, "service-ips")?;
    map.goto("10.96.0.1", "tcp", 80, web.name())?;
    map.goto("10.96.0.2", "tcp", 80, api.name())?;
    let asked = FilterRule::vmap(&lab.router, "service-ips").in_chain(&services).install()?;
    drop((services, web, api));
    assert!(listing(&lab.router)?.contains("chain web/tcp/80"), "the map leads there");
    map.remove("10.96.0.1", "tcp", 80)?;
    assert!(!listing(&lab.router)?.contains("chain web/tcp/80"), "nobody leads there");
    drop(map);
    assert!(listing(&lab.router)?.contains("goto api/tcp/80"), "a rule asks the map");
    drop(asked);
    assert_eq!(listing(&lab.router)?, "");

    let [services, web, _api] = chains(&lab)?;
    let mut map = VerdictMap::new(&lab.router, Family::Ip, TABLE, "service-ips")?;
    map.goto("10.96.0.1", "tcp", 80, web.name())?;
    map.keep();
    drop((services, web));
    let left = listing(&lab.router)?;
    assert!(left.contains("10.96.0.1 . tcp . 80 : goto web/tcp/80") && !left.contains("chain services"), "{left}");
    Ok(())
}

#[netlab::test]
fn what_makes_no_sense_is_an_error_and_leaves_nothing() -> Result<()> {
    let lab = Lab::routed()?;
    let inet = VerdictMap::new(&lab.router, Family::Inet, TABLE, "service-ips").unwrap_err();
    assert!(inet.is_invalid_input() && inet.to_string().contains("is of the family ip or ip6, not inet"), "{inet}");
    assert_eq!(listing(&lab.router)?, "");
    let mut map = VerdictMap::new(&lab.router, Family::Ip, TABLE, "service-ips")?;
    assert!(VerdictMap::new(&lab.router, Family::Ip, TABLE, "service-ips").unwrap_err().is_exists());
    for (address, protocol) in [("10.96.0.x", "tcp"), ("fd00::1", "tcp"), ("10.96.0.1", "tpc")] {
        let e = map.goto(address, protocol, 80, "web").unwrap_err();
        assert!(e.is_invalid_input(), "{e}");
    }
    let e = map.goto("10.96.0.1", "tcp", 80, "web").unwrap_err();
    assert!(e.is_not_found() && e.to_string().contains("make chain `ip kube-proxy web` first"), "{e}");
    assert!(map.remove("10.96.0.1", "tcp", 80).unwrap_err().is_not_found());
    let [services, web, api] = chains(&lab)?;
    map.goto("10.96.0.1", "tcp", 80, web.name())?;
    map.goto("10.96.0.1", "tcp", 80, api.name()).unwrap_err();
    let before = listing(&lab.router)?;
    let install = |rule: netlab::FilterRuleBuilder| rule.in_chain(&services).install().map(PacketRule::keep).unwrap_err();
    let e = install(FilterRule::vmap(&lab.router, "other"));
    assert!(e.is_not_found() && e.to_string().contains("make map `other` first, with `VerdictMap::new`"), "{e}");
    let e = install(FilterRule::goto_each(&lab.router, ["web/tcp/80", "other"]));
    assert!(e.to_string().contains("make chain `ip kube-proxy web/tcp/80`, `ip kube-proxy other` first"), "{e}");
    assert!(install(FilterRule::goto_any(&lab.router, [""; 0])).is_invalid_input());
    assert_eq!(listing(&lab.router)?, before);
    run(&lab.router, "nft delete table ip kube-proxy"); // by somebody else
    map.close()
}
