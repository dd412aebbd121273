//! What a tutorial leaves: links, addresses, routes, neighbours and rules of its machines; and the tables of its variants.

use std::fmt::Write;

use netlab::snapshot::RouteQuery;
use scenarios::{Outcome, Result, Way, World};

/// What `ip` and `nft` print of each machine, under headings, without what differs from run to run.
fn state(world: &World, machines: &[&str]) -> Result<String> {
    let mut text = String::new();
    for name in machines {
        let machine = if *name == "host" { world.host() } else { world.machine(name)? };
        let mut part = |title: &str, content: String| write!(text, "# {name}: {title}\n{content}\n");
        part("ip link", machine.links()?.normalised().to_string()).expect("memory");
        part("ip address", machine.addresses()?.normalised().to_string()).expect("memory");
        part("ip -4 route", machine.routes_of(RouteQuery::main().ipv4())?.to_string()).expect("memory");
        part("ip neigh", machine.neighbours()?.normalised().to_string()).expect("memory");
        part("nft -s list ruleset", machine.ruleset()?.stateless().to_string()).expect("memory");
    }
    Ok(text)
}

/// The tables that a stage saw, each after its sentence.
fn tables(id: &str) -> String {
    let (document, stage) = scenarios::find_stage(id).expect("a stage");
    let played = scenarios::play(document, stage, Way::AsWritten);
    assert_eq!(played.outcome, Outcome::AsRecorded);
    let tables = played.checks.iter().filter(|check| check.seen.contains("ttl 64") && check.seen.contains('\n'));
    tables.map(|check| format!("{}\n\n{}\n", check.check, check.seen)).collect()
}

#[netlab::test]
fn document_000_ends_with_two_namespaces_on_a_bridge_with_the_internet() -> Result<()> {
    let world = scenarios::world_after("000.33")?;
    // Whoever has been talked to is a neighbour.
    for (from, to) in [("netns_dustin", "10.0.0.21"), ("netns_leah", "8.8.8.8"), ("netns_dustin", "8.8.8.8")] {
        world.machine(from)?.expect_ping(to)?;
    }
    insta::assert_snapshot!(state(&world, &["host", "netns_dustin", "netns_leah", "router"])?);
    Ok(())
}

#[netlab::test]
fn document_000_leaves_a_rule_and_forwarding_after_its_clean_up() -> Result<()> {
    let world = scenarios::world_after("000.35")?;
    insta::assert_snapshot!(state(&world, &["host", "netns_dustin", "netns_leah"])?);
    Ok(())
}

#[netlab::test]
fn ambiguous_routes_are_cured_for_all_by_routes_and_proxy_arp() {
    insta::assert_snapshot!(tables("000.26"));
}

#[netlab::test]
fn bridged_pings_fail_in_one_of_four_cells() {
    insta::assert_snapshot!(tables("000.30"));
}
