//! Packets pass or not, as rules and policies say, while these live.

use netlab::{FilterRule, IcmpKind, Policy, Probe, Reason, Result};

use crate::lab::Lab;

#[netlab::test]
fn a_dropped_packet_is_silence_and_a_rejected_one_an_icmp_error_while_the_rule_lives() -> Result<()> {
    let lab = Lab::routed()?;
    for (ipv6, echo, router) in [(false, lab.echo()?, "10.0.0.1"), (true, lab.echo6()?, "fd00::1")] {
        let both = |builder: netlab::FilterRuleBuilder| if ipv6 { builder.ipv6() } else { builder };
        lab.client.probe(&echo)?;
        let drop = both(FilterRule::drop(&lab.router).forward().on("lan0").udp(7000)).install()?;
        lab.client.expect_unreachable(&echo)?.by(Reason::Silence)?;
        assert!(drop.expect_hits(1)?.bytes > 28);
        drop.close()?;
        lab.client.probe(&echo)?;

        let reject = both(FilterRule::reject(&lab.router).forward().on("lan0").udp(7000)).install()?;
        lab.client.expect_unreachable(&echo)?.by(IcmpKind::PortUnreachable.sent_by(router))?;
        lab.client.probe(Probe::ping(if ipv6 { "fd09::9" } else { "203.0.113.9" }))?;
        let accept = both(FilterRule::accept(&lab.router).forward().on("lan0").out("wan0")).first().install()?;
        lab.client.probe(&echo)?;
        drop_both(accept, reject);
        lab.client.probe(&echo)?;
    }
    assert_eq!(lab.router.ruleset()?.to_string(), "");
    Ok(())
}

fn drop_both(accept: FilterRule, reject: FilterRule) {
    drop(accept);
    drop(reject);
}

#[netlab::test]
fn a_policy_holds_while_it_lives_and_counts_what_it_decides() -> Result<()> {
    let lab = Lab::routed()?;
    let echo = lab.echo()?;
    lab.client.probe(&echo)?;
    let policy = Policy::drop(&lab.router).forward().install()?;
    lab.client.expect_unreachable(&echo)?.by(Reason::Silence)?;
    assert_eq!(policy.hits()?.packets, 1);
    let accept = FilterRule::accept(&lab.router).forward().on("lan0").out("wan0").install()?;
    let back = FilterRule::accept(&lab.router).forward().state("established,related").install()?;
    lab.client.probe(&echo)?;
    assert!(accept.expect_hits(1)?.packets >= 1 && back.expect_hits(1)?.packets >= 1);
    println!("{}", lab.router.ruleset()?);
    drop(accept);
    drop(back);
    assert_eq!(policy.zero()?.packets, 1);
    assert_eq!(policy.hits()?.packets, 0);
    lab.client.expect_unreachable(&echo)?.by(Reason::Silence)?;
    drop(policy);
    lab.client.probe(&echo)?;
    assert_eq!(lab.router.ruleset()?.to_string(), "");
    Ok(())
}
