//! Policies hold while they live, and count.

use netlab::nft::Family;
use netlab::{FilterRule, Policy, Result, RuleChain};

use crate::lab::{Lab, listing, nft, run, silence};

#[netlab::test]
fn a_policy_holds_while_it_lives_and_counts_what_it_decides() -> Result<()> {
    let lab = Lab::routed()?;
    let echo = lab.echo()?;
    lab.client.probe(&echo)?;
    let policy = Policy::drop(&lab.router).forward().install()?;
    silence(&lab.client, &echo)?;
    assert_eq!(policy.hits()?.packets, 1);
    let accept = FilterRule::accept(&lab.router).forward().on("lan0").out("wan0").install()?;
    let back = FilterRule::accept(&lab.router).forward().state("established,related").install()?;
    lab.client.probe(&echo)?;
    accept.expect_hits_at_least(1)?;
    back.expect_hits_at_least(1)?;
    drop(back);
    silence(&lab.client, &echo)?;
    drop(accept);
    assert_eq!(policy.zero()?.packets, 2);
    assert_eq!(policy.hits()?.packets, 0);
    silence(&lab.client, &echo)?;
    assert_eq!(policy.hits()?.packets, 1);
    drop(policy);
    lab.client.probe(&echo)?;
    assert_eq!(listing(&lab.router)?, "");
    Ok(())
}

#[netlab::test]
fn each_hook_and_family_has_a_policy_of_its_own() -> Result<()> {
    let lab = Lab::routed()?;
    let (echo, echo6) = (lab.echo()?, lab.echo6()?);
    let forward = Policy::drop(&lab.router).forward().ipv6().install()?;
    silence(&lab.client, &echo6)?;
    lab.client.probe(&echo)?;
    drop(forward);
    lab.client.probe(&echo6)?;
    let output = Policy::drop(&lab.router).output().install()?;
    lab.router.expect_unreachable(&echo)?.by(libc::EPERM)?;
    lab.router.probe(&echo6)?;
    drop(output);
    let input = Policy::drop(&lab.router).input().family(Family::Inet).install()?;
    silence(&lab.router, &echo)?;
    silence(&lab.router, &echo6)?;
    lab.client.probe(&echo)?;
    drop(input);
    lab.router.probe(&echo)?;
    Ok(())
}

#[netlab::test]
fn policies_of_one_chain_may_go_in_any_order() -> Result<()> {
    let lab = Lab::routed()?;
    let now =
        || Ok::<_, netlab::Error>(lab.router.ruleset()?.table(Family::Ip, "filter").and_then(|table| table.chain("FORWARD")?.policy()));
    let drop_it = || Policy::drop(&lab.router).forward().install();
    let accept = || Policy::accept(&lab.router).forward().install();
    let (one, two, three) = (drop_it()?, accept()?, drop_it()?);
    assert_eq!(now()?, Some("drop"));
    drop(two);
    assert_eq!(now()?, Some("drop"));
    drop(three);
    assert_eq!(now()?, Some("drop"), "what was there before the second one: the first");
    drop(one);
    assert_eq!(now()?, None);
    let (one, two) = (drop_it()?, accept()?);
    drop(one);
    assert_eq!(now()?, Some("accept"));
    drop(two);
    assert_eq!(now()?, None);
    let (one, two) = (drop_it()?, drop_it()?);
    two.keep();
    one.close()?;
    assert_eq!(now()?, Some("drop"));
    Ok(())
}

#[netlab::test]
fn a_policy_that_was_there_comes_back_and_one_that_others_set_stays() -> Result<()> {
    let lab = Lab::routed()?;
    run(&lab.router, "iptables -P FORWARD DROP");
    let before = listing(&lab.router)?;
    let accept = Policy::accept(&lab.router).forward().install()?;
    assert!(run(&lab.router, "iptables -S FORWARD").starts_with("-P FORWARD ACCEPT"));
    accept.close()?;
    assert_eq!(listing(&lab.router)?, before);
    let accept = Policy::accept(&lab.router).forward().install()?;
    run(&lab.router, "iptables -P FORWARD DROP");
    run(&lab.router, "iptables -P FORWARD ACCEPT");
    run(&lab.router, "iptables -P FORWARD DROP");
    drop(accept);
    assert_eq!(listing(&lab.router)?, before);
    let gone = Policy::accept(&lab.router).forward().install()?;
    nft(&lab.router, "flush ruleset");
    assert!(gone.hits().unwrap_err().is_not_found());
    run(&lab.router, "iptables -P FORWARD ACCEPT");
    let foreign = listing(&lab.router)?;
    drop(gone);
    assert_eq!(listing(&lab.router)?, foreign);
    Ok(())
}

#[netlab::test]
fn only_a_base_chain_has_a_policy() -> Result<()> {
    let lab = Lab::routed()?;
    let _own = RuleChain::new(&lab.router, "filter", "OWN")?;
    let before = listing(&lab.router)?;
    for (policy, why) in [
        (Policy::drop(&lab.router).chain("OWN"), "only a base chain has a policy"),
        (Policy::drop(&lab.router).chain("NOWHERE"), "there is no such chain"),
        (Policy::drop(&lab.router), "it does not say of which chain"),
    ] {
        let e = policy.install().unwrap_err();
        assert!(e.to_string().contains(why) && e.is_invalid_input(), "{e}");
    }
    assert_eq!(listing(&lab.router)?, before);
    Ok(())
}
