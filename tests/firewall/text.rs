//! A rule prints itself as nft does, and iptables sees it as one of its own.

use netlab::nft::Family;
use netlab::{FilterRule, NatRule, Netns, Result};

use crate::lab::{listing, nft, order, run};

#[netlab::test]
fn the_lines_of_a_rule_make_the_same_rule_in_nft() -> Result<()> {
    let (host, other) = (Netns::new("machine")?, Netns::new("other")?);
    for rule in [
        NatRule::masquerade(&host).from("10.1.1.0/24").not_out("br0").fully_random(),
        NatRule::dnat(&host).tcp("80,8080-8090").to("10.0.0.2:8000").also_local(),
        NatRule::snat(&host).ipv6().out("wan*").to("fd09::1-fd09::4").persistent(),
        NatRule::redirect(&host).udp(53).mark("0x1/0xff").to_port("5353-5360").comment("resolver"),
        NatRule::masquerade(&host).tcp(80).state("new").to_port("1024-2048"),
    ] {
        let rule = rule.install()?;
        let chain = listing(&host)?;
        nft(&other, &empty(&chain));
        nft(&other, &rule.as_nft());
        assert_eq!(listing(&other)?, chain);
        assert_eq!(rule.as_nft().lines().count(), rule.to_string().split("; ").count());
        nft(&other, "flush ruleset");
    }
    Ok(())
}

/// The listing without its rules.
fn empty(listing: &str) -> String {
    listing.lines().filter(|line| !line.starts_with("\t\t") || line.starts_with("\t\ttype ")).collect::<Vec<_>>().join("\n")
}

/// iptables-nft lists what it could have written itself; of a table with nft's own translations it says that it cannot, and works on.
#[netlab::test]
fn iptables_sees_the_rules_among_its_own_and_can_remove_them() -> Result<()> {
    let host = Netns::new("machine")?;
    let accept = FilterRule::accept(&host).forward().on("lan0").out("wan+").install()?;
    let _drop = FilterRule::drop(&host).input().udp("53-54").from("192.0.2.1").install()?;
    let _return = FilterRule::return_(&host).output().not_addressed_to("10.0.0.0/8").install()?;
    assert_eq!(
        run(&host, "iptables -S"),
        "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n\
         -A INPUT -s 192.0.2.1/32 -p udp -m udp --dport 53:54 -j DROP\n-A FORWARD -i lan0 -o wan+ -j ACCEPT\n\
         -A OUTPUT ! -d 10.0.0.0/8 -j RETURN\n"
    );
    run(&host, "iptables -D FORWARD -i lan0 -o wan+ -j ACCEPT");
    accept.close()?;

    let before = listing(&host)?;
    let ours = NatRule::masquerade(&host).from("10.1.1.0/24").not_out("br0").install()?;
    run(&host, "iptables -t nat -I POSTROUTING -s 192.0.2.0/24 -j ACCEPT");
    run(&host, "iptables -t nat -A POSTROUTING -s 192.0.2.0/24 -j RETURN");
    let rules = order(&host, Family::Ip, "nat", "POSTROUTING")?;
    assert_eq!(rules[1], ours.to_string());
    run(&host, "iptables -t nat -D POSTROUTING -s 192.0.2.0/24 -j RETURN");
    run(&host, "iptables -t nat -D POSTROUTING 1");
    ours.close()?;
    assert_eq!(listing(&host)?, before);
    Ok(())
}
