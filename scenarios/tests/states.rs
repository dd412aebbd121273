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

/// The world after a stage; the programs in its containers are the tour's own binary.
fn world_after(id: &str) -> Result<World> {
    scenarios::toolbox::use_program(env!("CARGO_BIN_EXE_scenarios"));
    scenarios::world_after(id)
}

/// The tables that a stage saw whose headings begin with that word, each after its sentence.
fn tables(id: &str, heading: &str) -> String {
    scenarios::toolbox::use_program(env!("CARGO_BIN_EXE_scenarios"));
    let (document, stage) = scenarios::find_stage(id).expect("a stage");
    let played = scenarios::play(document, stage, Way::AsWritten);
    assert_eq!(played.outcome, Outcome::AsRecorded);
    let tables = played.checks.iter().filter(|check| check.seen.starts_with(heading) && check.seen.contains('\n'));
    tables.map(|check| format!("{}\n\n{}\n", check.check, check.seen)).collect()
}

#[netlab::test]
fn document_000_ends_with_two_namespaces_on_a_bridge_with_the_internet() -> Result<()> {
    let world = world_after("000.33")?;
    // Whoever has been talked to is a neighbour.
    for (from, to) in [("netns_dustin", "10.0.0.21"), ("netns_leah", "8.8.8.8"), ("netns_dustin", "8.8.8.8")] {
        world.machine(from)?.expect_ping(to)?;
    }
    insta::assert_snapshot!(state(&world, &["host", "netns_dustin", "netns_leah", "router"])?);
    Ok(())
}

#[netlab::test]
fn document_000_leaves_a_rule_and_forwarding_after_its_clean_up() -> Result<()> {
    let world = world_after("000.35")?;
    insta::assert_snapshot!(state(&world, &["host", "netns_dustin", "netns_leah"])?);
    Ok(())
}

#[netlab::test]
fn ambiguous_routes_are_cured_for_all_by_routes_and_proxy_arp() {
    insta::assert_snapshot!(tables("000.26", "route"));
}

#[netlab::test]
fn bridged_pings_fail_in_one_of_four_cells() {
    insta::assert_snapshot!(tables("000.30", "policy"));
}

#[netlab::test]
fn document_002_ends_with_a_hand_made_network_beside_those_of_docker() -> Result<()> {
    let world = world_after("002.21")?;
    for (from, to) in [("con1", "172.17.0.3"), ("con3", "172.18.0.1"), ("host", "10.1.1.2"), ("host", "10.1.1.3")] {
        let from = if from == "host" { world.host() } else { world.machine(from)? };
        from.expect_ping(to)?;
    }
    insta::assert_snapshot!(state(&world, &["host", "con1", "con2", "con3", "sample", "sample2", "router"])?);
    Ok(())
}

#[netlab::test]
fn docker_s_networks_are_apart_by_rules_or_for_want_of_forwarding() {
    insta::assert_snapshot!(tables("002.07", "isolation"));
}

#[netlab::test]
fn a_rule_without_its_bridge_masquerades_bridged_packets_in_one_of_two_cells() {
    insta::assert_snapshot!(tables("002.20", "MASQUERADE"));
}

#[netlab::test]
fn the_text_s_cure_of_docker_s_drop_costs_the_isolation() {
    insta::assert_snapshot!(tables("002.21", "cure"));
}

#[netlab::test]
fn document_003_ends_with_published_ports_and_a_service() -> Result<()> {
    let world = world_after("003.14")?;
    for (from, to) in [("con1", "172.18.0.3"), ("laptop", "192.168.0.100"), ("con2", "192.168.0.1")] {
        world.machine(from)?.expect_ping(to)?;
    }
    insta::assert_snapshot!(state(&world, &["host", "con1", "con2", "laptop"])?);
    Ok(())
}

#[netlab::test]
fn a_published_port_is_another_container_s_where_bridged_packets_pass_through_iptables() {
    insta::assert_snapshot!(tables("003.04", "nf-call"));
}

#[netlab::test]
fn a_container_answers_to_its_own_localhost_by_two_sysctls_only() {
    insta::assert_snapshot!(tables("003.05", "route_localnet"));
}

#[netlab::test]
fn a_container_is_its_own_client_by_masquerade_and_hairpin() {
    insta::assert_snapshot!(tables("003.13", "nf-call"));
}

#[netlab::test]
fn document_001_ends_its_part_on_bridges_with_two_nodes_that_reach_each_other() -> Result<()> {
    let world = world_after("001.17")?;
    for (from, to) in [("con1", "172.19.36.2"), ("con3", "172.19.35.2"), ("con1", "172.19.35.3"), ("con1", "8.8.8.8"), ("con3", "8.8.8.8")]
    {
        world.machine(from)?.expect_ping(to)?;
    }
    insta::assert_snapshot!(state(&world, &["node001", "con1", "con2", "node002", "con3", "head"])?);
    Ok(())
}

#[netlab::test]
fn document_001_ends_with_containers_that_share_no_network() -> Result<()> {
    let world = world_after("001.30")?;
    for (from, to) in [("con1", "172.19.36.2"), ("con3", "172.19.35.2"), ("con1", "172.19.35.3"), ("con1", "8.8.8.8")] {
        world.machine(from)?.expect_ping(to)?;
    }
    insta::assert_snapshot!(state(&world, &["node001", "con1", "con2", "node002", "con3", "head"])?);
    Ok(())
}

#[netlab::test]
fn two_of_six_sysctls_and_two_routes_make_calico_s_network() {
    insta::assert_snapshot!(tables("001.24", "on the node "));
}

#[netlab::test]
fn document_004_ends_with_routed_pods_on_two_nodes() -> Result<()> {
    scenarios::toolbox::use_program(env!("CARGO_BIN_EXE_scenarios"));
    let world = scenarios::world_after("004.12")?;
    for (from, to) in [("pod1", "10.0.2.2"), ("node2", "10.0.2.2")] {
        world.machine(from)?.expect_ping(to)?;
    }
    insta::assert_snapshot!(state(&world, &["router", "node1", "node2", "pod1", "pod2"])?);
    Ok(())
}
