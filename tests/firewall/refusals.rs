//! Words that make no sense, and what the kernel refuses: said with the reason, and nothing is left.

use netlab::nft::Family;
use netlab::{FilterRule, FilterRuleBuilder, NatRule, NatRuleBuilder, Netns, Result};

use crate::lab::{listing, nft};

#[netlab::test]
fn a_word_that_makes_no_sense_is_refused_with_the_reason_and_leaves_nothing() -> Result<()> {
    let host = Netns::new("machine")?;
    let nat: Vec<(NatRuleBuilder, &str)> = vec![
        (NatRule::masquerade(&host).from("10.0.0.300/24"), "cannot read `.from 10.0.0.300/24`: `10.0.0.300/24` is no net"),
        (NatRule::masquerade(&host).from(""), "`` is no address"),
        (NatRule::masquerade(&host).from("10.0.0.9-10.0.0.1"), "ends before it begins"),
        (NatRule::masquerade(&host).from("10.0.0.1,fd00::1"), "`10.0.0.1` and `fd00::1` are of different families"),
        (NatRule::masquerade(&host).from("10.0.0.1").addressed_to("fd00::1"), "are of different families"),
        (NatRule::masquerade(&host).from("10.0.0.1").ipv6(), "`10.0.0.1` is not of the rule's family, ip6"),
        (NatRule::masquerade(&host).ipv6().family(Family::Ip), "families ip6 and ip at once"),
        (NatRule::masquerade(&host).out("an-interface-name"), "`an-interface-name` is no interface name"),
        (NatRule::masquerade(&host).out(""), "`` is no interface name"),
        (NatRule::masquerade(&host).on("lan0"), "POSTROUTING does not know by which interface a packet came"),
        (NatRule::masquerade(&host).to("10.0.0.1"), "only snat and dnat lead to an address"),
        (NatRule::masquerade(&host).to_port(80), "only after a match for a protocol that has them"),
        (NatRule::masquerade(&host).also_local(), "only dnat and redirect work in OUTPUT"),
        (NatRule::snat(&host).out("wan0"), "it does not say where to"),
        (NatRule::dnat(&host).tcp(80), "it does not say where to"),
        (NatRule::dnat(&host).tcp(80).to("10.0.0.2:http"), "`http` is no port"),
        (NatRule::dnat(&host).tcp(80).to("nowhere"), "`nowhere` is no place"),
        (NatRule::dnat(&host).tcp(80).to("[fd00::2:80"), "`[fd00::2:80` is no place"),
        (NatRule::dnat(&host).from("10.0.0.1").tcp(80).to("[fd00::2]:80"), "are of different families"),
        (NatRule::dnat(&host).to("10.0.0.2:80"), "only after a match for a protocol that has them"),
        (NatRule::dnat(&host).protocol("gre").to("10.0.0.2:80"), "only after a match for a protocol that has them"),
        (NatRule::dnat(&host).tcp(80).out("wan0").to("10.0.0.2"), "a packet in PREROUTING has no output interface yet"),
        (NatRule::dnat(&host).tcp(80).on("lan0").to("10.0.0.2").also_local(), "where `also_local` puts the rule too"),
        (NatRule::dnat(&host).tcp(80).to_each(["10.0.0.1-10.0.0.2"]), "expected one address"),
        (NatRule::dnat(&host).tcp(80).to_each(["10.0.0.1", "10.0.0.2:80"]), "all have a port or none has"),
        (NatRule::dnat(&host).tcp(80).to_each(Vec::<String>::new()), "no destination is given"),
        (NatRule::redirect(&host).tcp(80).to("10.0.0.1"), "redirect has `to_port`"),
        (NatRule::redirect(&host).tcp(80).to_port("90-80"), "`90-80` ends before it begins"),
        (NatRule::redirect(&host).tcp(65536), "`65536` is no port"),
        (NatRule::redirect(&host).tcp(80).udp(53), "already demands protocol 6"),
        (NatRule::redirect(&host).protocol("nonsense"), "`nonsense` is no protocol"),
        (NatRule::accept(&host), "it does not say in which chain"),
        (NatRule::accept(&host).chain("FORWARD"), "there is no such chain"),
        (NatRule::accept(&host).prerouting().comment("x".repeat(129)), "at most 128 bytes"),
    ];
    let filter: Vec<(FilterRuleBuilder, &str)> = vec![
        (FilterRule::drop(&host), "say `.forward()`"),
        (FilterRule::drop(&host).forward().state("established,odd"), "`odd` is none of"),
        (FilterRule::drop(&host).forward().mark("0xx"), "`0xx` is no mark"),
        (FilterRule::drop(&host).forward().nth(2, 2), "none has number 2"),
        (FilterRule::drop(&host).forward().share(3, 2), "3 of 2 is no share"),
        (FilterRule::drop(&host).forward().limit("5/fortnight", 5), "`5/fortnight` is no rate"),
        (FilterRule::drop(&host).forward().icmp_type("echo"), "`echo` is no type of ICMP"),
        (FilterRule::drop(&host).forward().from_mac("02:00"), "six pairs"),
        (FilterRule::drop(&host).input().out("eth0"), "a packet in INPUT has no output interface yet"),
        (FilterRule::drop(&host).output().on("eth0"), "OUTPUT does not know by which interface"),
        (FilterRule::drop(&host).forward().with_tcp_reset(), "only a rule that rejects"),
        (FilterRule::drop(&host).chain("MINE"), "iptables knows INPUT, FORWARD, OUTPUT there"),
        (FilterRule::drop(&host).chain("MINE").table("mine"), "make it first, with `RuleChain::new`"),
        (FilterRule::mark(&host, "much").forward(), "`much` is no mark"),
    ];
    let check = |error: netlab::Error, why: &str| {
        let text = error.to_string();
        assert!(text.contains(why), "expected {why:?} in: {text}");
        assert!(error.is_invalid_input() && text.contains("machine"), "{text}");
        assert!(error.location().is_some_and(|place| place.file().ends_with("refusals.rs")), "{text}");
    };
    for (rule, why) in nat {
        check(rule.install().expect_err(why), why);
    }
    for (rule, why) in filter {
        check(rule.install().expect_err(why), why);
    }
    assert_eq!(listing(&host)?, "");
    Ok(())
}

#[netlab::test]
fn what_the_kernel_refuses_leaves_nothing_and_says_what_helps() -> Result<()> {
    let host = Netns::new("machine")?;
    let masquerade = |chain: &str| NatRule::masquerade(&host).chain(chain).install().unwrap_err();
    for e in [masquerade("PREROUTING"), NatRule::dnat(&host).chain("POSTROUTING").to("10.0.0.1").install().unwrap_err()] {
        assert!(e.is_unsupported() || e.errno() == Some(libc::EINVAL), "{e}");
        assert!(e.to_string().contains("of the table nat") && e.to_string().contains("cannot add rule"), "{e}");
    }
    let e = FilterRule::jump(&host, "NOWHERE").forward().install().unwrap_err();
    assert!(e.is_not_found() && e.to_string().contains("make chain `ip filter NOWHERE` first"), "{e}");
    let e = FilterRule::reject(&host).family(Family::Bridge).forward().install().unwrap_err();
    let built_without_it = e.is_not_found() && e.to_string().contains("this kernel has no `reject` for this family");
    assert!(built_without_it || e.to_string().contains("in the family bridge, in INPUT"), "{e}");
    assert_eq!(listing(&host)?, "");
    let one = FilterRule::accept(&host).forward().install()?;
    let there = listing(&host)?;
    let e = FilterRule::drop(&host).input().before(&one).install().unwrap_err();
    assert!(e.to_string().contains("its neighbour is in chain `ip filter FORWARD`"), "{e}");
    assert_eq!(listing(&host)?, there);
    nft(&host, "flush chain ip filter FORWARD");
    let e = FilterRule::drop(&host).forward().after(&one).install().unwrap_err();
    assert!(e.is_not_found(), "{e}");
    assert_eq!(listing(&host)?, there.replace("\t\tcounter accept\n", ""));
    Ok(())
}
