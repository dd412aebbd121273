//! What Linux's own NAT is, in the words of RFC 4787.

use netlab::nat_behaviour::{Filtering, Hairpinning, Mapping};
use netlab::{NatBehaviour, NatRule, Result};

use crate::lab::{Lab, seen};

#[netlab::test]
fn masquerade_maps_by_endpoint_as_long_as_ports_are_free_and_filters_by_connection() -> Result<()> {
    let lab = Lab::new()?;
    let masquerade = || NatRule::masquerade(&lab.router).out("wan0");
    let mut lines = Vec::new();
    for (name, rule) in [
        ("masquerade", masquerade()),
        ("masquerade random", masquerade().random()),
        ("masquerade fully-random", masquerade().fully_random()),
        ("snat", NatRule::snat(&lab.router).out("wan0").to("203.0.113.1")),
    ] {
        let _rule = rule.install()?;
        let measured = NatBehaviour::measure(&lab.client, &lab.stun)?;
        assert_eq!(measured.hairpinning, Hairpinning::None);
        // A port that is taken by chance may be the client's own.
        assert!(measured.ports_preserved || name.contains("random"));
        lines.push(format!("{name}: {}, {}", measured.mapping.unwrap(), measured.filtering));
    }
    insta::assert_snapshot!(lines.join("\n"), @"
    masquerade: endpoint-independent mapping, address-and-port-dependent filtering
    masquerade random: address-and-port-dependent mapping, address-and-port-dependent filtering
    masquerade fully-random: address-and-port-dependent mapping, address-and-port-dependent filtering
    snat: endpoint-independent mapping, address-and-port-dependent filtering
    ");
    Ok(())
}

/// A client that talks to a server from a port with which another already talks there gets another outside port for that server alone.
#[netlab::test]
fn masquerade_maps_by_connection_where_clients_collide() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (lab.server.udp_echo("203.0.113.9:7000")?, lab.server.udp_echo("203.0.113.10:7000")?);
    let _rule = NatRule::masquerade(&lab.router).out("wan0").install()?;
    let first = seen(&lab.client, "10.0.0.2:5000", &one)?;
    let free = seen(&lab.neighbour, "10.0.0.3:5000", &two)?;
    let collided = seen(&lab.neighbour, "10.0.0.3:5000", &one)?;
    assert_eq!((first.port(), free.port()), (5000, 5000), "both have it, towards different servers");
    assert_ne!(collided.port(), 5000);

    // The other way round, the second client keeps what it once got.
    lab.router.flush_connections()?;
    assert_eq!(seen(&lab.client, "10.0.0.2:5000", &one)?.port(), 5000);
    let collided = seen(&lab.neighbour, "10.0.0.3:5000", &one)?;
    assert_eq!(seen(&lab.neighbour, "10.0.0.3:5000", &two)?, collided);
    Ok(())
}

#[netlab::test]
fn a_stateful_filter_changes_nothing_that_shows() -> Result<()> {
    let lab = Lab::new()?;
    let _rule = NatRule::masquerade(&lab.router).out("wan0").install()?;
    let _established = netlab::FilterRule::accept(&lab.router).forward().on("wan0").state("established,related").install()?;
    let _drop = netlab::FilterRule::drop(&lab.router).forward().on("wan0").install()?;
    let measured = NatBehaviour::measure(&lab.client, &lab.stun)?;
    assert_eq!((measured.mapping, measured.filtering), (Some(Mapping::EndpointIndependent), Filtering::AddressAndPortDependent));
    Ok(())
}
