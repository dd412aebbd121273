//! The same for TCP (RFC 5382).

use netlab::nat_behaviour::{Filtering, Mapping};
use netlab::{NatGateway, Probe, Result};

use crate::lab::{Lab, seen};

#[netlab::test]
fn the_mapping_of_tcp_is_as_asked_for() -> Result<()> {
    let lab = Lab::new()?;
    let servers = ["203.0.113.9:80", "203.0.113.9:81", "203.0.113.10:80", "203.0.113.10:81"].map(|at| lab.server.tcp_server(at));
    let servers = servers.into_iter().collect::<Result<Vec<_>>>()?;
    // Another port each time: the last connections of a port are not over at once.
    for (port, mapping) in (5000..).zip([Mapping::EndpointIndependent, Mapping::AddressDependent, Mapping::AddressAndPortDependent]) {
        let from = format!("10.0.0.2:{port}");
        let _nat = NatGateway::on(&lab.router).out("wan0").mapping(mapping).port_preservation(false).install()?;
        let ports = servers.iter().map(|server| Ok(seen(&lab.client, &from, server)?.port())).collect::<Result<Vec<_>>>()?;
        let same = |a: usize, b: usize| ports[a] == ports[b];
        let expected = match mapping {
            Mapping::EndpointIndependent => [true, true, true],
            Mapping::AddressDependent => [true, true, false],
            Mapping::AddressAndPortDependent => [false, false, false],
        };
        assert_eq!([same(0, 1), same(2, 3), same(0, 2)], expected, "{mapping}: {ports:?}");
    }
    Ok(())
}

#[netlab::test]
fn the_filtering_of_tcp_is_as_asked_for() -> Result<()> {
    let lab = Lab::new()?;
    let server = lab.server.tcp_server("203.0.113.9:80")?;
    // Another port each time: the last connection of a port is not over at once.
    for (port, filtering) in (8080..).zip([Filtering::EndpointIndependent, Filtering::AddressDependent, Filtering::AddressAndPortDependent])
    {
        let _nat = NatGateway::on(&lab.router).out("wan0").filtering(filtering).install()?;
        // From the port at which the client then listens, as who punches holes for TCP does.
        let outside = seen(&lab.client, &format!("10.0.0.2:{port}"), &server)?;
        assert_eq!(outside.to_string(), format!("203.0.113.1:{port}"));
        let inside = lab.client.http_server(format!("10.0.0.2:{port}"))?;
        let knock =
            |from: &str| lab.server.observe(inside.via(outside).source(from)).map(|outcome| matches!(outcome, netlab::Outcome::Answer(_)));
        let expected = match filtering {
            Filtering::EndpointIndependent => (true, true),
            Filtering::AddressDependent => (true, false),
            Filtering::AddressAndPortDependent => (false, false),
        };
        assert_eq!((knock("203.0.113.9:9000")?, knock("203.0.113.10:9000")?), expected, "{filtering}");
        lab.server.expect_unreachable(Probe::tcp("203.0.113.1:7999"))?;
    }
    Ok(())
}
