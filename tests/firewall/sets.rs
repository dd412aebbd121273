//! Sets of addresses: asked for, changed while the rules stay, gone.

use netlab::nft::Family;
use netlab::{AddressSet, FilterRule, NatRule, Netns, Result};

use crate::lab::{Lab, listing, nft, run, silence};

#[netlab::test]
fn who_is_in_the_set_passes_and_the_rule_stays_as_it_is() -> Result<()> {
    let lab = Lab::routed()?;
    let echo = lab.echo()?;
    let clients = AddressSet::new(&lab.router, "filter", "clients")?;
    assert_eq!((clients.family(), clients.table(), clients.name()), (Family::Ip, "filter", "clients"));
    let named = FilterRule::accept(&lab.router).forward().on("lan0").from_set(&clients).install()?;
    let rest = FilterRule::drop(&lab.router).forward().on("lan0").install()?;
    assert_eq!(named.as_nft(), "add rule ip filter FORWARD iifname \"lan0\" ip saddr @clients counter accept");
    silence(&lab.client, &echo)?;
    rest.expect_hits(1)?;
    clients.add("10.0.0.2")?;
    lab.client.probe(&echo)?;
    named.expect_hits_at_least(1)?;
    clients.add("10.0.0.2")?;
    clients.add("10.0.0.9")?;
    clients.remove("10.0.0.2")?;
    let passed = named.hits()?;
    silence(&lab.client, &echo)?;
    assert_eq!(named.hits()?, passed, "it has not been made anew, and nothing has met it");
    Ok(())
}

#[netlab::test]
fn a_set_says_who_is_not_meant_and_where_packets_go() -> Result<()> {
    let lab = Lab::routed()?;
    let (echo, echo6) = (lab.echo()?, lab.echo6()?);
    let set = AddressSet::new(&lab.router, "filter", "servers")?;
    let set6 = AddressSet::ipv6(&lab.router, "filter", "servers")?;
    let _others = FilterRule::drop(&lab.router).forward().on("lan0").not_addressed_to_set(&set).install()?;
    let _those = FilterRule::drop(&lab.router).forward().on("lan0").addressed_to_set(&set6).install()?;
    silence(&lab.client, &echo)?;
    lab.client.probe(&echo6)?;
    set.add("203.0.113.9")?;
    set6.add("fd09::9")?;
    lab.client.probe(&echo)?;
    silence(&lab.client, &echo6)?;
    let _strangers = FilterRule::drop(&lab.router).forward().on("lan0").not_from_set(&set).install()?;
    silence(&lab.client, &echo)?;
    set.add("10.0.0.2")?;
    lab.client.probe(&echo)?;
    Ok(())
}

#[netlab::test]
fn nft_lists_the_set_and_takes_what_it_is_given() -> Result<()> {
    let host = Netns::new("machine")?;
    let set = AddressSet::new(&host, "filter", "clients")?;
    for address in ["10.0.0.9", "10.0.0.2"] {
        set.add(address)?;
    }
    insta::assert_snapshot!(listing(&host)?, @r"
    table ip filter {
    	set clients {
    		type ipv4_addr
    		elements = { 10.0.0.2, 10.0.0.9 }
    	}
    }
    ");
    nft(&host, "add element ip filter clients { 10.0.0.5 }; delete element ip filter clients { 10.0.0.9 }");
    set.remove("10.0.0.5")?;
    assert!(run(&host, "nft list set ip filter clients").contains("{ 10.0.0.2 }"));
    Ok(())
}

#[netlab::test]
fn a_line_of_iptables_finds_the_set() -> Result<()> {
    let lab = Lab::routed()?;
    let echo = lab.echo()?;
    let clients = AddressSet::new(&lab.router, "filter", "clients")?;
    let _rule = FilterRule::iptables(&lab.router, "-A FORWARD -m set --match-set clients src -j DROP")?;
    lab.client.probe(&echo)?;
    clients.add("10.0.0.2")?;
    silence(&lab.client, &echo)
}

#[netlab::test]
fn a_set_goes_with_the_last_rule_that_asks_for_it() -> Result<()> {
    let host = Netns::new("machine")?;
    let set = AddressSet::new(&host, "nat", "clients")?;
    let rule = NatRule::masquerade(&host).from_set(&set).install()?;
    set.close()?;
    assert!(listing(&host)?.contains("set clients"));
    rule.close()?;
    assert_eq!(listing(&host)?, "");

    let set = AddressSet::new(&host, "filter", "clients")?;
    FilterRule::count(&host).forward().install()?.close()?;
    assert!(listing(&host)?.contains("set clients"), "another rule's end is not the set's");
    drop(set);
    assert_eq!(listing(&host)?, "");

    let set = AddressSet::new(&host, "filter", "clients")?;
    nft(&host, "add chain ip filter others; add rule ip filter others ip saddr @clients accept");
    drop(set);
    assert!(listing(&host)?.contains("set clients"), "somebody's rule asks for it");
    nft(&host, "delete table ip filter");

    let set = AddressSet::new(&host, "filter", "clients")?;
    nft(&host, "delete set ip filter clients; add set ip filter clients { type ipv4_addr; }");
    set.close()?;
    assert!(listing(&host)?.contains("set clients"), "it is somebody else's");
    nft(&host, "delete table ip filter");

    AddressSet::new(&host, "filter", "clients")?.keep();
    assert!(listing(&host)?.contains("set clients"));
    Ok(())
}

#[netlab::test]
fn what_makes_no_sense_is_told_and_changes_nothing() -> Result<()> {
    let (host, other) = (Netns::new("machine")?, Netns::new("other")?);
    let set = AddressSet::new(&host, "filter", "clients")?;
    let before = listing(&host)?;
    let e = AddressSet::new(&host, "filter", "clients").unwrap_err();
    assert!(e.is_exists() && e.to_string().starts_with("cannot make set `ip filter clients` of `machine`"), "{e}");
    for (address, family) in [("10.0.0.0/24", "IPv4"), ("fd00::1", "IPv4"), ("all", "IPv4")] {
        let e = set.add(address).unwrap_err();
        assert!(e.is_invalid_input() && e.to_string().contains(&format!("is no {family} address")), "{e}");
    }
    let e = set.remove("10.0.0.1").unwrap_err();
    assert!(e.is_not_found() && e.to_string().starts_with("cannot remove `10.0.0.1` from set `ip filter clients` of `machine`"), "{e}");
    let e = FilterRule::accept(&other).forward().from_set(&set).install().unwrap_err();
    assert!(e.is_invalid_input() && e.to_string().contains("it is of namespace `machine`"), "{e}");
    let e = FilterRule::accept(&host).forward().ipv6().from_set(&set).install().unwrap_err();
    assert!(e.is_invalid_input(), "{e}");
    let e = FilterRule::accept(&host).forward().addressed_to("fd00::1").from_set(&set).install().unwrap_err();
    assert!(e.is_invalid_input(), "{e}");
    let e = FilterRule::count(&host).table("mangle").forward().from_set(&set).install().unwrap_err();
    assert!(e.is_not_found() && e.to_string().contains("help: make set `ip mangle clients` first"), "{e}");
    let e = FilterRule::iptables(&host, "-A INPUT -m set --match-set nobody src -j DROP").unwrap_err();
    assert!(e.is_not_found() && e.to_string().contains("help: make set `ip filter nobody` first"), "{e}");
    assert_eq!(listing(&host)?, before);
    nft(&host, "delete set ip filter clients");
    assert!(set.add("10.0.0.1").unwrap_err().is_not_found());
    Ok(())
}
