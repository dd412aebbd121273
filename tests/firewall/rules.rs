//! Several rules in one transaction.

use netlab::nft::Family;
use netlab::{FilterRule, NatRule, Netns, Probe, Result, Rules};

use crate::lab::{Lab, listing, nft, order, silence};

#[netlab::test]
fn rules_come_together_in_their_order_and_go_together() -> Result<()> {
    let lab = Lab::without_way_back()?;
    let echo = lab.echo()?;
    let rules = Rules::new()
        .add(NatRule::masquerade(&lab.router).out("wan0"))
        .add(FilterRule::accept(&lab.router).forward().udp(7000))
        .add(FilterRule::accept(&lab.router).forward().state("established"))
        .add(FilterRule::drop(&lab.router).forward())
        .add(NatRule::dnat(&lab.router).udp(9000).to("203.0.113.9:7000").also_local())
        .install()?;
    assert_eq!((rules.len(), rules.iter().count(), rules.is_empty()), (5, 5, false));
    lab.client.probe(&echo)?.expect_source("203.0.113.1")?;
    silence(&lab.client, Probe::ping("203.0.113.9"))?;
    rules[0].expect_hits_at_least(1)?;
    rules[3].expect_hits_at_least(1)?;
    lab.router.probe(Probe::udp("203.0.113.1:9000"))?;
    rules[4].expect_hits_at_least(1)?;
    assert_eq!(order(&lab.router, Family::Ip, "filter", "FORWARD")?.len(), 3);
    assert!(rules.to_string().starts_with("oifname \"wan0\" counter masquerade\nudp dport 7000 counter accept\n"));
    rules.close()?;
    assert_eq!(listing(&lab.router)?, "");
    silence(&lab.client, &echo)?;
    Ok(())
}

#[netlab::test]
fn one_bad_rule_among_several_is_named_and_none_is_installed() -> Result<()> {
    let (host, other) = (Netns::new("machine")?, Netns::new("other")?);
    let good = || NatRule::masquerade(&host).out("wan0");
    for (bad, why) in [
        (NatRule::masquerade(&host).from("nonsense"), "`nonsense` is no address"),
        (NatRule::masquerade(&host).chain("PREROUTING"), "masquerade works in POSTROUTING"),
        (NatRule::jump(&host, "NOWHERE").output(), "make chain `ip nat NOWHERE` first"),
        (NatRule::accept(&host).chain("NOWHERE"), "there is no such chain"),
        (NatRule::masquerade(&other), "the rules before it are for `machine`"),
    ] {
        let e = Rules::install([good(), NatRule::dnat(&host).tcp(80).to("10.0.0.1").also_local(), bad, good()]).unwrap_err();
        assert!(e.to_string().contains(why) && e.to_string().contains("it is rule 3 of 4, and none of them"), "{e}");
        assert_eq!(listing(&host)?, "");
        assert_eq!(listing(&other)?, "");
    }
    assert!(Rules::install(Vec::<netlab::NatRuleBuilder>::new())?.is_empty());
    Ok(())
}

#[netlab::test]
fn many_rules_go_also_when_others_have_removed_some() -> Result<()> {
    let host = Netns::new("machine")?;
    let many = |count: u32| Rules::install((0..count).map(|mark| FilterRule::accept(&host).forward().mark(mark).comment("one of many")));
    for count in [1, 200, 500] {
        let rules = many(count)?;
        assert_eq!(order(&host, Family::Ip, "filter", "FORWARD")?.len(), count as usize);
        assert!(rules.iter().all(|rule| rule.hits().is_ok()));
        drop(rules);
        assert_eq!(listing(&host)?, "");
    }
    let rules = many(200)?;
    let handles: Vec<_> =
        host.ruleset()?.table(Family::Ip, "filter").unwrap().chain("FORWARD").unwrap().rules().iter().map(|rule| rule.handle()).collect();
    let some =
        handles.iter().step_by(2).map(|handle| format!("delete rule ip filter FORWARD handle {handle}")).collect::<Vec<_>>().join("; ");
    nft(&host, &some);
    assert_eq!(order(&host, Family::Ip, "filter", "FORWARD")?.len(), 100);
    drop(rules);
    assert_eq!(listing(&host)?, "");
    many(3)?.keep();
    assert_eq!(order(&host, Family::Ip, "filter", "FORWARD")?.len(), 3);
    Ok(())
}
