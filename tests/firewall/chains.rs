//! Chains of one's own: jumped to, hooked, gone.

use netlab::nft::Family;
use netlab::{FilterRule, NatRule, Probe, Result, RuleChain};

use crate::lab::{Lab, listing, run, silence};

#[netlab::test]
fn packets_go_through_a_chain_and_back() -> Result<()> {
    let lab = Lab::routed()?;
    let echo = lab.echo()?;
    let chain = RuleChain::new(&lab.router, "filter", "DOCKER-USER")?;
    assert_eq!((chain.family(), chain.table(), chain.name()), (Family::Ip, "filter", "DOCKER-USER"));
    let jump = FilterRule::jump(&lab.router, "DOCKER-USER").forward().install()?;
    lab.client.probe(&echo)?;
    let returns = FilterRule::return_(&lab.router).in_chain(&chain).on("lan0").install()?;
    let dropped = FilterRule::drop(&lab.router).in_chain(&chain).install()?;
    silence(&lab.client, &echo)?; // the answer comes by wan0
    returns.expect_hits_at_least(1)?;
    dropped.expect_hits(1)?;
    let back = FilterRule::return_(&lab.router).chain("DOCKER-USER").on("wan0").before(&dropped).install()?;
    lab.client.probe(&echo)?;
    let goto = FilterRule::goto(&lab.router, "DOCKER-USER").forward().first().install()?;
    let behind = FilterRule::drop(&lab.router).forward().after(&goto).install()?;
    lab.client.probe(&echo)?; // goto does not come back to the rule behind it
    behind.expect_no_hits()?;
    drop(goto);
    silence(&lab.client, &echo)?;
    drop((behind, back, dropped, returns, jump, chain));
    lab.client.probe(&echo)?;
    assert_eq!(listing(&lab.router)?, "");
    Ok(())
}

#[netlab::test]
fn a_chain_goes_with_the_last_rule_that_needs_it() -> Result<()> {
    let lab = Lab::routed()?;
    let chain = RuleChain::new(&lab.router, "nat", "KUBE-SVC-X")?;
    let jump = NatRule::jump(&lab.router, "KUBE-SVC-X").prerouting().install()?;
    let inside = NatRule::dnat(&lab.router).in_chain(&chain).tcp(80).to("203.0.113.9:8000").install()?;
    drop(chain);
    assert!(listing(&lab.router)?.contains("chain KUBE-SVC-X {\n\t\ttcp dport 80"));
    drop(inside);
    assert!(listing(&lab.router)?.contains("counter jump KUBE-SVC-X"));
    drop(jump);
    assert_eq!(listing(&lab.router)?, "");

    let chain = RuleChain::new(&lab.router, "nat", "KUBE-SVC-X")?;
    run(&lab.router, "iptables -t nat -A OUTPUT -j KUBE-SVC-X");
    chain.close()?;
    assert!(run(&lab.router, "iptables -t nat -S").contains("-N KUBE-SVC-X\n"), "somebody's rule leads to it");
    run(&lab.router, "iptables -t nat -D OUTPUT -j KUBE-SVC-X");
    run(&lab.router, "iptables -t nat -X KUBE-SVC-X");
    Ok(())
}

#[netlab::test]
fn a_service_is_balanced_over_its_chains() -> Result<()> {
    let lab = Lab::routed()?;
    let (_a, _b) = (lab.server.serve("a").http("203.0.113.9:8001")?, lab.server.serve("b").http("203.0.113.9:8002")?);
    let asked = || Probe::http("http://10.96.0.1");
    lab.client.expect_unreachable(asked())?;
    let service = RuleChain::new(&lab.router, "nat", "KUBE-SVC-WEB")?;
    let ends = ["KUBE-SEP-A", "KUBE-SEP-B"].map(|name| RuleChain::new(&lab.router, "nat", name));
    let [first, second] = ends;
    let (first, second) = (first?, second?);
    let _rules = netlab::Rules::install([
        NatRule::jump(&lab.router, "KUBE-SVC-WEB").prerouting().addressed_to("10.96.0.1").tcp(80),
        NatRule::jump(&lab.router, "KUBE-SEP-A").in_chain(&service).nth(2, 0),
        NatRule::jump(&lab.router, "KUBE-SEP-B").in_chain(&service),
        NatRule::dnat(&lab.router).in_chain(&first).tcp(80).to("203.0.113.9:8001"),
        NatRule::dnat(&lab.router).in_chain(&second).tcp(80).to("203.0.113.9:8002"),
    ])?;
    let ask = |_| Ok(lab.client.probe(asked())?.server().unwrap_or_default().to_owned());
    assert_eq!((0..6).map(ask).collect::<Result<Vec<_>>>()?.concat(), "ababab");
    Ok(())
}

#[netlab::test]
fn a_base_chain_is_hooked_where_it_says() -> Result<()> {
    let lab = Lab::routed()?;
    let echo = lab.echo()?;
    for (family, priority, shown) in [
        (Family::Ip, "filter - 10", "priority filter - 10; policy drop;"),
        (Family::Inet, "security+1", "priority security + 1; policy drop;"),
        (Family::Ip, "-150", "priority mangle; policy drop;"),
    ] {
        let closed = RuleChain::base(&lab.router, family, "mine", "closed").hook("forward").priority(priority).policy_drop().install()?;
        silence(&lab.client, &echo)?;
        assert!(listing(&lab.router)?.contains(&format!("type filter hook forward {shown}")), "{}", listing(&lab.router)?);
        let open = FilterRule::accept(&lab.router).in_chain(&closed).udp(7000).install()?;
        let back = FilterRule::accept(&lab.router).in_chain(&closed).from_udp(7000).install()?;
        lab.client.probe(&echo)?;
        drop((open, back, closed));
        lab.client.probe(&echo)?;
        assert_eq!(listing(&lab.router)?, "");
    }
    Ok(())
}

#[netlab::test]
fn a_chain_that_makes_no_sense_is_refused_and_leaves_nothing() -> Result<()> {
    let lab = Lab::routed()?;
    let base = || RuleChain::base(&lab.router, Family::Ip, "t", "c");
    for (chain, why) in [
        (base(), "it does not say at which hook"),
        (base().hook("ingress").priority(0), "needs a device"),
        (base().hook("forward").device("lan0"), "is of no device"),
        (base().hook("egress"), "the family ip has no hook `egress`"),
        (base().hook("forward").kind("magic"), "`magic` is no type of chain"),
        (base().hook("forward").priority("early"), "`early` is no priority of the family ip"),
        (base().hook("forward").priority("filter - x"), "`filter - x` is no priority"),
    ] {
        let e = chain.install().unwrap_err();
        assert!(e.to_string().contains(why) && e.is_invalid_input(), "{e}");
    }
    let e = base().hook("forward").kind("nat").install().unwrap_err();
    assert!(e.is_unsupported() || e.is_not_found(), "the kernel's own refusal: {e}");
    assert_eq!(listing(&lab.router)?, "");
    let _chain = RuleChain::new(&lab.router, "t", "c")?;
    assert!(RuleChain::new(&lab.router, "t", "c").unwrap_err().is_exists());
    assert!(base().hook("forward").install().unwrap_err().is_exists());
    assert!(RuleChain::of(&lab.router, Family::Ip6, "t", "c").is_ok());
    Ok(())
}
