//! Others' words about the same NATs: those of a STUN client of 2004, which is no relative of ours, and of nft.

use netlab::nat_behaviour::{Filtering, Mapping};
use netlab::{NatGateway, Netns, Result};

use crate::lab::Lab;

/// What Vovida's `stun` says.
fn stun(client: &Netns) -> Result<String> {
    let output = client.command("stun")?.arg("203.0.113.9").output().expect("`stun` starts: is stun-client installed?");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("Primary: ")).unwrap_or_else(|| panic!("stun says {text}"));
    Ok(line.trim().to_owned())
}

#[netlab::test]
fn a_stun_client_of_others_measures_the_same() -> Result<()> {
    let lab = Lab::new()?;
    let mut lines = Vec::new();
    let on = || NatGateway::on(&lab.router).out("wan0");
    for nat in [
        on().filtering(Filtering::EndpointIndependent),
        on().filtering(Filtering::EndpointIndependent).hairpinning(true).port_preservation(false),
        on().filtering(Filtering::AddressDependent),
        on().filtering(Filtering::AddressAndPortDependent),
        on().mapping(Mapping::AddressDependent).port_preservation(false),
        on().mapping(Mapping::AddressAndPortDependent).port_preservation(false),
    ] {
        let nat = nat.install()?;
        lines.push(format!("{}: {}", nat.to_string().split_once(": ").unwrap().1, stun(&lab.client)?));
    }
    insta::assert_snapshot!(lines.join("\n"), @"
    endpoint-independent mapping, endpoint-independent filtering: Independent Mapping, Independent Filter, preserves ports, no hairpin
    endpoint-independent mapping, endpoint-independent filtering: Independent Mapping, Independent Filter, random port, will hairpin
    endpoint-independent mapping, address-dependent filtering: Independent Mapping, Address Dependent Filter, preserves ports, no hairpin
    endpoint-independent mapping, address-and-port-dependent filtering: Independent Mapping, Port Dependent Filter, preserves ports, no hairpin
    address-dependent mapping, address-and-port-dependent filtering: Dependent Mapping, random port, no hairpin
    address-and-port-dependent mapping, address-and-port-dependent filtering: Dependent Mapping, random port, no hairpin
    ");
    Ok(())
}

#[netlab::test]
fn the_rules_read_as_nft_prints_them() -> Result<()> {
    let router = Netns::new("router")?;
    for mapping in [Mapping::EndpointIndependent, Mapping::AddressAndPortDependent] {
        for filtering in [Filtering::EndpointIndependent, Filtering::AddressAndPortDependent] {
            let nat = NatGateway::on(&router).out("wan0").to("203.0.113.1").mapping(mapping).filtering(filtering).hairpinning(true);
            let _nat = nat.install()?;
            let output = router.command("nft")?.args(["list", "ruleset"]).output().expect("`nft` starts: is nftables installed?");
            assert!(output.status.success());
            assert_eq!(router.ruleset()?.to_string(), String::from_utf8(output.stdout).unwrap());
        }
    }
    Ok(())
}
