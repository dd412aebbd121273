//! Lines as fixtures: where they go, what they leave, how they are refused and printed.

use netlab::{FilterRule, NatRule, Netns, Policy, Result, RuleChain};

fn listed(netns: &Netns, arguments: &str) -> Vec<String> {
    let output = netns.command("iptables-nft").unwrap().args(arguments.split(' ')).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[netlab::test]
fn a_line_is_installed_and_gone_with_its_fixture() -> Result<()> {
    let host = Netns::new("host")?;
    let before = host.ruleset()?.to_string();
    let line = "-t nat -A POSTROUTING -s 172.18.0.0/24 ! -o cont-br0 -j MASQUERADE";
    let nat = NatRule::iptables(&host, line)?;
    assert_eq!(nat.as_iptables()?, line);
    assert_eq!(nat.as_nft(), "add rule ip nat POSTROUTING oifname != \"cont-br0\" ip saddr 172.18.0.0/24 counter masquerade");
    drop(nat);
    assert_eq!(host.ruleset()?.to_string(), before);
    Ok(())
}

#[netlab::test]
fn a_line_is_inserted_at_its_place() -> Result<()> {
    let host = Netns::new("host")?;
    let _rules: Vec<_> = [
        "-A FORWARD -i a -j ACCEPT",
        "-A FORWARD -i c -j ACCEPT",
        "-I FORWARD 2 -i b -j ACCEPT",
        "-I FORWARD -i first -j ACCEPT",
        "-I FORWARD 5 -i last -j ACCEPT",
    ]
    .iter()
    .map(|line| FilterRule::iptables(&host, line))
    .collect::<Result<_>>()?;
    let order: Vec<_> = listed(&host, "-S FORWARD").iter().skip(1).map(|line| line.split(' ').nth(3).unwrap().to_owned()).collect();
    assert_eq!(order, ["first", "a", "b", "c", "last"]);
    let error = FilterRule::iptables(&host, "-I FORWARD 7 -j DROP").unwrap_err();
    assert!(error.is_invalid_input() && error.to_string().contains("FORWARD has 5 rules, so that there is no place 7"), "{error}");
    Ok(())
}

#[netlab::test]
fn an_error_shows_the_line_and_points_at_the_word() -> Result<()> {
    let host = Netns::new("host")?;
    let error = NatRule::iptables(&host, "-t nat -A PREROUTING -p tcp --dprot 80 -j DNAT --to-destination 10.0.0.2").unwrap_err();
    let location = error.location().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot understand a line of iptables: `--dprot` is no option here
  at {}:{}:{}
  -t nat -A PREROUTING -p tcp --dprot 80 -j DNAT --to-destination 10.0.0.2
                              ^^^^^^^
  help: did you mean `--dport`? `-p tcp` knows --sport, --dport, --tcp-flags, --syn",
            location.file(),
            location.line(),
            location.column()
        )
    );
    assert!(error.is_invalid_input() && location.file().ends_with("lines.rs"));
    assert_eq!(host.ruleset()?.to_string(), "");
    Ok(())
}

#[netlab::test]
fn a_line_for_another_fixture_is_refused_with_its_name() -> Result<()> {
    let host = Netns::new("host")?;
    let refused = [
        (NatRule::iptables(&host, "-A FORWARD -j DROP").map(drop), "FilterRule::iptables"),
        (FilterRule::iptables(&host, "-t nat -A POSTROUTING -j MASQUERADE").map(drop), "NatRule::iptables"),
        (FilterRule::iptables(&host, "-N MINE").map(drop), "RuleChain::iptables"),
        (NatRule::iptables(&host, "-P FORWARD DROP").map(drop), "Policy::iptables"),
        (RuleChain::iptables(&host, "-P FORWARD DROP").map(drop), "Policy::iptables"),
        (Policy::iptables(&host, "-N MINE").map(drop), "RuleChain::iptables"),
        (FilterRule::iptables(&host, "-D FORWARD -j DROP").map(drop), "drop the fixture"),
    ];
    for (result, fixture) in refused {
        let error = result.unwrap_err();
        assert!(error.is_invalid_input() && error.to_string().contains(fixture), "{error}");
    }
    Ok(())
}

#[netlab::test]
fn a_target_that_is_no_chain_is_refused_with_what_was_meant() -> Result<()> {
    let host = Netns::new("host")?;
    let error = FilterRule::iptables(&host, "-A FORWARD -j accept").unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("did you mean the target `ACCEPT`?"), "{error}");
    let error = FilterRule::iptables(&host, "-A FORWARD -j DOCKER-USER").unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("make chain `ip filter DOCKER-USER` first"), "{error}");
    let error = FilterRule::iptables(&host, "-A DOCKER-USER -j ACCEPT").unwrap_err();
    assert!(error.is_invalid_input() && error.to_string().contains("there is no such chain"), "{error}");
    assert_eq!(host.ruleset()?.to_string(), "");
    Ok(())
}

#[netlab::test]
fn a_list_of_addresses_lives_as_long_as_a_rule_that_names_it() -> Result<()> {
    let host = Netns::new("host")?;
    let before = host.ruleset()?.to_string();
    let set = |host: &Netns| host.ruleset().unwrap().to_string().contains("set SSH {");
    let see = FilterRule::iptables(&host, "-A INPUT -p tcp --dport 22 -m recent --name SSH --set -j ACCEPT")?;
    assert!(set(&host) && !host.ruleset()?.to_string().contains("timeout 1m\n"));
    // The rule that says when to forget may come later.
    let check = FilterRule::iptables(&host, "-I INPUT -p tcp --dport 22 -m recent --name SSH --rcheck --seconds 60 -j DROP")?;
    assert!(host.ruleset()?.to_string().contains("timeout 1m\n"), "{}", host.ruleset()?);
    let error = FilterRule::iptables(&host, "-A INPUT -m recent --name SSH --update --seconds 30 -j DROP").unwrap_err();
    assert!(error.to_string().contains("forgets after 60 seconds, and would after 30 seconds"), "{error}");
    drop(see);
    assert!(set(&host));
    drop(check);
    assert_eq!(host.ruleset()?.to_string(), before);
    Ok(())
}

#[netlab::test]
fn a_rule_of_words_reads_as_a_line_and_comes_back() -> Result<()> {
    let host = Netns::new("host")?;
    let _chain = RuleChain::iptables(&host, "-N DOCKER-USER")?;
    let rules = [
        FilterRule::accept(&host).forward().on("lan0").out("wan0").state("established,related").install()?,
        FilterRule::reject(&host).input().tcp("22,80,8000-8010").from("10.0.0.1-10.0.0.9").with_tcp_reset().install()?,
        FilterRule::jump(&host, "DOCKER-USER").forward().not_out("veth*").nth(2, 1).comment("every second").install()?,
        FilterRule::mark(&host, "0x4000/0x4000").table("mangle").prerouting().addressed_to_local().install()?,
        FilterRule::drop(&host).ipv6().input().icmp_type("echo-request").install()?,
        FilterRule::log(&host, 5).output().share(1, 3).install()?,
    ];
    let lines: Vec<_> = rules.iter().map(FilterRule::as_iptables).collect::<Result<_>>()?;
    assert_eq!(
        lines,
        [
            "-A FORWARD -i lan0 -o wan0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A INPUT -p tcp -m multiport --dports 22,80,8000:8010 -m iprange --src-range 10.0.0.1-10.0.0.9 -j REJECT --reject-with tcp-reset",
            "-A FORWARD ! -o veth+ -m statistic --mode nth --every 2 --packet 1 -m comment --comment \"every second\" -j DOCKER-USER",
            "-t mangle -A PREROUTING -m addrtype --dst-type LOCAL -j MARK --set-xmark 0x4000/0x4000",
            "ip6tables -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j DROP",
            "-A OUTPUT -m statistic --mode random --probability 0.33333333349 -j NFLOG --nflog-group 5",
        ]
    );
    for line in &lines {
        assert_eq!(FilterRule::iptables(&host, line)?.as_iptables()?, *line);
        let line =
            if line.starts_with("ip6tables ") { line.replace("ip6tables ", "ip6tables-nft ") } else { format!("iptables-nft {line}") };
        let output = host.command("sh")?.args(["-c", &line]).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let spread = NatRule::dnat(&host).tcp(80).to_each(["10.0.0.2:80", "10.0.0.3:80"]).install()?;
    let error = spread.as_iptables().unwrap_err();
    assert!(error.to_string().contains("iptables spreads connections over several destinations by several rules"), "{error}");
    Ok(())
}
