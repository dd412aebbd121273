//! The STUN server alone.

use netlab::{NatBehaviour, Netns, Result, VethPair};

fn pair() -> Result<(Netns, Netns, VethPair)> {
    let (client, server) = (Netns::new("client")?, Netns::new("server")?);
    let cable = VethPair::connect(
        client.iface("eth0").addr("192.0.2.2/24").addr("2001:db8::2/64"),
        server.iface("eth0").addr("192.0.2.9/24").addr("192.0.2.10/24").addr("2001:db8::9/64").addr("2001:db8::10/64"),
    )?;
    Ok((client, server, cable))
}

#[netlab::test]
fn it_serves_both_families_and_shows_that_there_is_no_nat() -> Result<()> {
    let (client, server, _cable) = pair()?;
    for (own, addresses) in [("192.0.2.2", ["192.0.2.9", "192.0.2.10"]), ("2001:db8::2", ["2001:db8::9", "2001:db8::10"])] {
        let stun = server.stun_server(addresses)?;
        let measured = NatBehaviour::measure(&client, &stun)?;
        assert_eq!(measured.to_string(), "no NAT, endpoint-independent filtering");
        assert_eq!(measured.mapped[0].ip().to_string(), own);
        let at: Vec<_> = stun.addresses().iter().map(ToString::to_string).collect();
        assert!(at[0].ends_with(":3478") && at[3].ends_with(":3479"), "{at:?}");
        stun.close()?;
    }
    Ok(())
}

#[netlab::test]
fn its_ports_are_free_when_it_has_gone() -> Result<()> {
    let (client, server, _cable) = pair()?;
    let stun = server.stun_server(["192.0.2.9", "192.0.2.10"])?;
    assert!(server.udp_echo("192.0.2.10:3479").is_err_and(|e| e.is_exists()));
    let e = server.stun_server(["192.0.2.10", "192.0.2.9"]).unwrap_err();
    assert!(e.is_exists() && e.to_string().contains("stun.rs"), "{e}");
    drop(stun);
    let echo = server.udp_echo("192.0.2.10:3479")?;
    client.probe(&echo)?;
    assert!(server.stun_server(["192.0.2.9", "192.0.2.10"]).is_err_and(|e| e.is_exists()), "one of four is taken");
    server.bind_udp("192.0.2.9:3478").map(drop)
}

#[netlab::test]
fn two_addresses_of_one_family_are_demanded() -> Result<()> {
    let (_client, server, _cable) = pair()?;
    for nonsense in [["192.0.2.9", "192.0.2.9"], ["192.0.2.9", "2001:db8::9"], ["192.0.2.9", "eth0"], ["192.0.2.9:3478", "192.0.2.10"]] {
        assert!(server.stun_server(nonsense).is_err_and(|e| e.is_invalid_input()), "{nonsense:?}");
    }
    assert!(server.stun_server(["192.0.2.9", "192.0.2.11"]).is_err_and(|e| e.is_not_found()));
    Ok(())
}
