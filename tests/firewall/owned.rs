//! What a fixture leaves behind: its neighbours, what others made, and nothing of its own.

use std::thread;

use netlab::nft::Family;
use netlab::{FilterRule, NatRule, Netns, Policy, Result, RuleChain};

use crate::lab::{listing, nft, order, run};

fn mark(netns: &Netns, mark: u32) -> Result<FilterRule> {
    FilterRule::count(netns).forward().mark(mark).install()
}

fn marks(netns: &Netns) -> Result<Vec<u32>> {
    let texts = order(netns, Family::Ip, "filter", "FORWARD")?;
    Ok(texts.iter().filter_map(|text| u32::from_str_radix(text.split("0x").nth(1)?.get(..8)?, 16).ok()).collect())
}

#[netlab::test]
fn a_rule_goes_where_it_is_put_and_leaves_its_neighbours_in_their_order() -> Result<()> {
    let host = Netns::new("machine")?;
    let two = mark(&host, 2)?;
    let five = mark(&host, 5)?;
    let one = FilterRule::count(&host).forward().mark(1).first().install()?;
    let four = FilterRule::count(&host).forward().mark(4).before(&five).install()?;
    let three = FilterRule::count(&host).forward().mark(3).after(&two).install()?;
    assert_eq!(marks(&host)?, [1, 2, 3, 4, 5]);
    run(&host, "iptables -I FORWARD 3 -m mark --mark 99");
    drop(two);
    assert_eq!(marks(&host)?, [1, 99, 3, 4, 5]);
    run(&host, "iptables -D FORWARD -m mark --mark 99");
    let mut three = three;
    three.replace_with(FilterRule::count(&host).forward().mark(33))?;
    assert_eq!(marks(&host)?, [1, 33, 4, 5]);
    let rest = [five, one, four];
    drop(three);
    assert_eq!(marks(&host)?, [1, 4, 5]);
    drop(rest);
    assert_eq!(listing(&host)?, "");
    Ok(())
}

#[netlab::test]
fn each_rule_leaves_exactly_what_was_there_before_it() -> Result<()> {
    let host = Netns::new("machine")?;
    let mut states = vec![(listing(&host)?, None)];
    run(&host, "iptables -t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE");
    run(&host, "ip6tables -A INPUT -j ACCEPT");
    states.push((listing(&host)?, None));
    for rule in [
        NatRule::masquerade(&host).out("wan0"),
        NatRule::masquerade(&host).out("wan1").first(),
        NatRule::dnat(&host).tcp(80).to("10.0.0.2:8080").also_local(),
        NatRule::dnat(&host).tcp("81,90-99").to_each(["10.0.0.2:8080", "10.0.0.3:8080"]),
        NatRule::snat(&host).ipv6().out("wan0").to("fd09::1"),
        NatRule::redirect(&host).output().udp(53).to_port(5353),
    ] {
        let rule = rule.install()?;
        states.push((listing(&host)?, Some(rule)));
    }
    while let Some((text, rule)) = states.pop() {
        assert_eq!(listing(&host)?, text);
        if let Some(rule) = rule {
            drop(rule);
        } else {
            break;
        }
    }
    assert!(listing(&host)?.contains("192.0.2.0/24"));
    Ok(())
}

#[netlab::test]
fn tables_and_chains_that_others_made_stay() -> Result<()> {
    let host = Netns::new("machine")?;
    nft(&host, "add table ip nat");
    let table = listing(&host)?;
    drop(NatRule::masquerade(&host).install()?);
    assert_eq!(listing(&host)?, table, "the chain was netlab's, the table was not");
    nft(&host, "add chain ip nat POSTROUTING { type nat hook postrouting priority srcnat - 5; policy accept; }");
    let chain = listing(&host)?;
    let rule = NatRule::masquerade(&host).install()?;
    assert!(listing(&host)?.contains("priority srcnat - 5"), "the chain is used as it is");
    drop(rule);
    assert_eq!(listing(&host)?, chain);
    Ok(())
}

#[netlab::test]
fn a_chain_of_netlab_stays_while_others_use_it() -> Result<()> {
    let host = Netns::new("machine")?;
    let rule = mark(&host, 1)?;
    run(&host, "iptables -A FORWARD -s 192.0.2.1 -j DROP");
    drop(rule);
    assert_eq!(run(&host, "iptables -S FORWARD"), "-P FORWARD ACCEPT\n-A FORWARD -s 192.0.2.1/32 -j DROP\n");
    let rule = mark(&host, 1)?;
    run(&host, "iptables -D FORWARD -s 192.0.2.1 -j DROP");
    drop(rule);
    assert_eq!(listing(&host)?, "", "and goes with the next that finds it unused");

    let rule = mark(&host, 1)?;
    run(&host, "iptables -P FORWARD DROP");
    drop(rule);
    assert_eq!(run(&host, "iptables -S FORWARD"), "-P FORWARD DROP\n");
    run(&host, "iptables -P FORWARD ACCEPT");
    drop(mark(&host, 1)?);
    assert_eq!(listing(&host)?, "");

    let rule = mark(&host, 1)?;
    run(&host, "iptables -N MINE");
    drop(rule);
    assert_eq!(listing(&host)?, "table ip filter {\n\tchain MINE {\n\t}\n}\n");
    Ok(())
}

#[netlab::test]
fn a_chain_stays_while_another_fixture_needs_it() -> Result<()> {
    let host = Netns::new("machine")?;
    let clone = host.clone();
    let (one, two) = (mark(&host, 1)?, mark(&clone, 2)?);
    let policy = Policy::accept(&host).forward().install()?;
    let with_all = listing(&host)?;
    drop(one);
    drop(two);
    assert_eq!(listing(&host)?.lines().count(), with_all.lines().count() - 2);
    drop(policy);
    assert_eq!(listing(&host)?, "");
    let output = FilterRule::accept(&host).output().install()?;
    let forward = FilterRule::accept(&host).forward().install()?;
    drop(output);
    assert!(listing(&host)?.contains("FORWARD") && !listing(&host)?.contains("OUTPUT"));
    drop(forward);
    assert_eq!(listing(&host)?, "");
    Ok(())
}

#[netlab::test]
fn what_others_removed_is_no_error_and_what_they_put_there_stays() -> Result<()> {
    let host = Netns::new("machine")?;
    let (one, two, three) = (mark(&host, 1)?, mark(&host, 2)?, mark(&host, 3)?);
    nft(&host, "flush chain ip filter FORWARD");
    assert!(one.hits().unwrap_err().is_not_found());
    one.close()?;
    // The same names and the same numbers, but not the same things.
    nft(&host, "flush ruleset");
    for n in 1..=4 {
        run(&host, &format!("iptables -A FORWARD -s 192.0.2.{n} -j ACCEPT"));
    }
    let foreign = listing(&host)?;
    assert!(two.hits().unwrap_err().is_not_found());
    let mut two = two;
    assert!(two.replace_with(FilterRule::drop(&host).forward()).unwrap_err().is_not_found());
    assert!(two.zero().unwrap_err().is_not_found());
    two.close()?;
    drop(three);
    assert_eq!(listing(&host)?, foreign);
    let mine = mark(&host, 1)?;
    nft(&host, "flush ruleset");
    drop(mine);
    assert_eq!(listing(&host)?, "");
    Ok(())
}

#[netlab::test]
fn a_kept_rule_stays_with_its_chain() -> Result<()> {
    let host = Netns::new("machine")?;
    mark(&host, 1)?.keep();
    let kept = listing(&host)?;
    drop(mark(&host, 2)?);
    assert_eq!(listing(&host)?, kept);
    run(&host, "iptables -F FORWARD");
    drop(mark(&host, 2)?);
    assert!(listing(&host)?.contains("FORWARD"), "a chain that was left for good is nobody's to remove");
    Ok(())
}

#[netlab::test]
fn threads_share_chains_and_leave_nothing() -> Result<()> {
    const THREADS: u32 = 8;
    const ROUNDS: u32 = 25;
    let host = Netns::new("machine")?;
    let stays = mark(&host, 77)?;
    let work = |thread: u32| -> Result<()> {
        let host = host.clone();
        for round in 0..ROUNDS {
            let chain = RuleChain::new(&host, "nat", &format!("OWN-{thread}"))?;
            let rules = (mark(&host, thread)?, NatRule::masquerade(&host).mark(thread).install()?);
            let jump = NatRule::jump(&host, chain.name()).postrouting().install()?;
            assert_eq!(rules.0.hits()?.packets, 0);
            if round % 2 == 0 { drop(chain) } else { drop((jump, chain)) }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    assert_eq!(marks(&host)?, [77]);
    drop(stays);
    assert_eq!(listing(&host)?, "");
    Ok(())
}

/// iptables-nft gives up, and says so, where a base chain goes between its look at it and its change. What it reports as done must stay.
fn add_with_iptables(host: &Netns, n: u32) {
    let line = format!("iptables -A FORWARD -s 192.0.2.{n} -j ACCEPT");
    let mut words = line.split(' ');
    let mut command = host.command(words.next().unwrap()).unwrap();
    command.args(words);
    loop {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.success() {
            true => return,
            false => assert!(said.contains("RULE_APPEND failed (No such file or directory)"), "{said}"),
        }
    }
}

#[netlab::test]
fn rules_that_iptables_adds_at_the_same_time_are_not_lost() -> Result<()> {
    const FOREIGN: u32 = 20;
    let host = Netns::new("machine")?;
    let rounds = thread::scope(|scope| {
        let foreign = scope.spawn(|| (0..FOREIGN).for_each(|n| add_with_iptables(&host, n)));
        let mut rounds = 0;
        while !foreign.is_finished() {
            drop(mark(&host, 1)?);
            rounds += 1;
        }
        Ok::<_, netlab::Error>(rounds)
    })?;
    assert!(rounds > 0);
    assert_eq!(order(&host, Family::Ip, "filter", "FORWARD")?.len(), FOREIGN as usize);
    Ok(())
}
