//! Mapping x filtering, as asked for and as measured.

use netlab::nat_behaviour::{Filtering, Hairpinning, Mapping};
use netlab::{NatBehaviour, NatGateway, Netns, Result, Route};

use crate::lab::Lab;

const MAPPINGS: [Mapping; 3] = [Mapping::EndpointIndependent, Mapping::AddressDependent, Mapping::AddressAndPortDependent];
const FILTERINGS: [Filtering; 3] = [Filtering::EndpointIndependent, Filtering::AddressDependent, Filtering::AddressAndPortDependent];

/// Measures every pair of mapping and filtering, and demands that each is what was asked for.
fn grid(hairpinning: bool, port_preservation: bool) -> Result<String> {
    let lab = Lab::new()?;
    let mut lines = Vec::new();
    for mapping in MAPPINGS {
        for filtering in FILTERINGS {
            let nat = NatGateway::on(&lab.router).out("wan0").mapping(mapping).filtering(filtering);
            // None of which the kernel gives to a client's socket.
            let nat = nat.hairpinning(hairpinning).port_preservation(port_preservation).ports(1024..=9999).install()?;
            let measured = NatBehaviour::measure(&lab.client, &lab.stun)?;
            assert_eq!((measured.mapping, measured.filtering), (Some(mapping), filtering), "{nat}");
            assert_eq!(measured.ports_preserved, port_preservation, "{nat}");
            assert!(hairpinning || measured.hairpinning == Hairpinning::None, "{nat}");
            lines.push(measured.to_string());
            nat.close()?;
        }
    }
    Ok(lines.join("\n"))
}

#[netlab::test]
fn each_pair_is_measured_as_it_was_asked_for() -> Result<()> {
    insta::assert_snapshot!(grid(false, true)?, @"
    endpoint-independent mapping, endpoint-independent filtering, no hairpinning, ports preserved
    endpoint-independent mapping, address-dependent filtering, no hairpinning, ports preserved
    endpoint-independent mapping, address-and-port-dependent filtering, no hairpinning, ports preserved
    address-dependent mapping, endpoint-independent filtering, no hairpinning, ports preserved
    address-dependent mapping, address-dependent filtering, no hairpinning, ports preserved
    address-dependent mapping, address-and-port-dependent filtering, no hairpinning, ports preserved
    address-and-port-dependent mapping, endpoint-independent filtering, no hairpinning, ports preserved
    address-and-port-dependent mapping, address-dependent filtering, no hairpinning, ports preserved
    address-and-port-dependent mapping, address-and-port-dependent filtering, no hairpinning, ports preserved
    ");
    Ok(())
}

#[netlab::test]
fn each_pair_is_measured_with_hairpinning_and_without_port_preservation() -> Result<()> {
    // Where both depend on addresses, two clients cannot meet at the ports that a server saw: those let in the server alone.
    insta::assert_snapshot!(grid(true, false)?, @"
    endpoint-independent mapping, endpoint-independent filtering, hairpinning, ports not preserved
    endpoint-independent mapping, address-dependent filtering, hairpinning, ports not preserved
    endpoint-independent mapping, address-and-port-dependent filtering, hairpinning, ports not preserved
    address-dependent mapping, endpoint-independent filtering, hairpinning, ports not preserved
    address-dependent mapping, address-dependent filtering, no hairpinning, ports not preserved
    address-dependent mapping, address-and-port-dependent filtering, no hairpinning, ports not preserved
    address-and-port-dependent mapping, endpoint-independent filtering, hairpinning, ports not preserved
    address-and-port-dependent mapping, address-dependent filtering, no hairpinning, ports not preserved
    address-and-port-dependent mapping, address-and-port-dependent filtering, no hairpinning, ports not preserved
    ");
    Ok(())
}

#[netlab::test]
fn the_old_names_are_what_is_measured() -> Result<()> {
    let lab = Lab::new()?;
    for (name, nat) in [
        ("full cone", NatGateway::full_cone as fn(&Netns) -> _),
        ("restricted cone", NatGateway::restricted_cone),
        ("port restricted cone", NatGateway::port_restricted_cone),
        ("symmetric", NatGateway::symmetric),
    ] {
        let _nat = nat(&lab.router).out("wan0").install()?;
        let measured = NatBehaviour::measure(&lab.client, &lab.stun)?;
        assert_eq!(measured.cone(), Some(name), "{measured}");
    }
    Ok(())
}

#[netlab::test]
fn without_a_nat_nothing_comes_back_or_there_is_none() -> Result<()> {
    let lab = Lab::new()?;
    let e = NatBehaviour::measure(&lab.client, &lab.stun).unwrap_err();
    assert!(e.is_timeout() && e.to_string().contains("nothing comes back from 203.0.113.9:3478"), "{e}");
    let nat = NatGateway::full_cone(&lab.router).out("wan0").install()?;
    NatBehaviour::measure(&lab.client, &lab.stun)?;
    drop(nat);
    assert!(NatBehaviour::measure(&lab.client, &lab.stun).is_err_and(|e| e.is_timeout()), "the NAT is gone");

    let _back = Route::to("10.0.0.0/24").via("203.0.113.1").install(&lab.server)?;
    let measured = NatBehaviour::measure(&lab.client, &lab.stun)?;
    assert_eq!(measured.to_string(), "no NAT, endpoint-independent filtering");
    assert_eq!((measured.mapping, measured.cone()), (None, None));
    Ok(())
}
