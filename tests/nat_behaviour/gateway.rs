//! What else the NAT does, and what it leaves alone.

use netlab::nat_behaviour::{Filtering, Mapping};
use netlab::{Flow, NatBehaviour, NatGateway, NatRule, Probe, Result};

use crate::lab::{Lab, bind, is_silent, receive, seen};

#[netlab::test]
fn two_clients_with_the_same_port_never_share_an_outside_port() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (lab.server.udp_echo("203.0.113.9:7000")?, lab.server.udp_echo("203.0.113.10:7000")?);
    for mapping in [Mapping::EndpointIndependent, Mapping::AddressDependent, Mapping::AddressAndPortDependent] {
        let _nat = NatGateway::on(&lab.router).out("wan0").mapping(mapping).install()?;
        let first = seen(&lab.client, "10.0.0.2:5000", &one)?;
        let second = seen(&lab.neighbour, "10.0.0.3:5000", &two)?;
        assert_eq!(first.to_string(), "203.0.113.1:5000", "{mapping}");
        assert_ne!(first, second, "{mapping}");
        assert_eq!(seen(&lab.client, "10.0.0.2:5000", &one)?, first, "{mapping}");
    }

    let linux = NatRule::masquerade(&lab.router).out("wan0").install()?;
    let first = seen(&lab.client, "10.0.0.2:5000", &one)?;
    assert_eq!(first, seen(&lab.neighbour, "10.0.0.3:5000", &two)?, "Linux's own NAT lets both have it");
    linux.close()
}

#[netlab::test]
fn assigned_ports_are_the_same_from_run_to_run_and_within_their_range() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (lab.server.udp_echo("203.0.113.9:7000")?, lab.server.udp_echo("203.0.113.10:7000")?);
    let run = |range| {
        let _nat = NatGateway::symmetric(&lab.router).out("wan0").ports(range).install()?;
        Ok([seen(&lab.client, "10.0.0.2:5000", &one)?.port(), seen(&lab.client, "10.0.0.2:5000", &two)?.port()])
    };
    let first: Result<_> = run(20_000..=20_999);
    let first = first?;
    assert!(first.iter().all(|port| (20_000..=20_999).contains(port)) && first[0] != first[1], "{first:?}");
    let again: Result<_> = run(20_000..=20_999);
    assert_eq!(again?, first);
    let other: Result<_> = run(30_000..=30_999);
    assert!(other?.iter().all(|port| (30_000..=30_999).contains(port)));
    Ok(())
}

#[netlab::test]
fn what_finds_no_free_port_is_dropped() -> Result<()> {
    let lab = Lab::new()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let _nat = NatGateway::on(&lab.router).out("wan0").port_preservation(false).ports(20_000..=20_000).install()?;
    assert_eq!(seen(&lab.client, "10.0.0.2:5000", &echo)?.port(), 20_000);
    lab.client.expect_unreachable(echo.via("203.0.113.9").source("10.0.0.2:5001"))?;
    assert_eq!(seen(&lab.client, "10.0.0.2:5000", &echo)?.port(), 20_000, "the first has it still");
    assert_eq!(echo.hits(), 2);
    Ok(())
}

#[netlab::test]
fn a_stranger_that_is_filtered_leaves_no_trace_that_would_change_a_mapping() -> Result<()> {
    let lab = Lab::new()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let _nat = NatGateway::port_restricted_cone(&lab.router).out("wan0").install()?;
    let client = bind(&lab.client, "10.0.0.2:5000")?;
    client.send_to(b"hello", echo.address()).unwrap();
    assert!(receive(&client).0.contains("client=203.0.113.1:5000"));

    // The far peer of a hole that is being punched sends first.
    let peer = bind(&lab.server, "203.0.113.10:9000")?;
    peer.send_to(b"too early", "203.0.113.1:5000").unwrap();
    assert!(is_silent(&client));
    assert!(lab.router.connections()?.of(Flow::udp().from("203.0.113.10"))?.is_empty());
    client.send_to(b"open", "203.0.113.10:9000").unwrap();
    assert_eq!(receive(&peer).1, "203.0.113.1:5000");
    peer.send_to(b"now", "203.0.113.1:5000").unwrap();
    assert_eq!(receive(&client).0, "now");
    Ok(())
}

/// RFC 4787, section 5: a filtering rule is one of the mapping. Linux's own NAT, which knows connections alone, does the same.
#[netlab::test]
fn a_port_lets_in_only_those_to_whom_something_was_sent_from_that_port() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (bind(&lab.server, "203.0.113.9:9000")?, bind(&lab.server, "203.0.113.10:9000")?);
    let hears_two_at_both_ports = |client: &str| -> Result<bool> {
        let client = bind(&lab.client, client)?;
        let [port_for_one, port_for_two] = [&one, &two].map(|server| {
            client.send_to(b"open", server.local_addr().unwrap()).unwrap();
            receive(server).1
        });
        two.send_to(b"answer", &port_for_two).unwrap();
        assert_eq!(receive(&client), ("answer".to_owned(), "203.0.113.10:9000".to_owned()));
        two.send_to(b"by the port for one", &port_for_one).unwrap();
        Ok(!is_silent(&client))
    };
    for filtering in [Filtering::AddressDependent, Filtering::AddressAndPortDependent] {
        let on = || NatGateway::on(&lab.router).out("wan0").filtering(filtering);
        let nat = on().mapping(Mapping::EndpointIndependent).install()?;
        assert!(hears_two_at_both_ports("10.0.0.2:5000")?, "{nat}: they are the same port");
        nat.close()?;
        for mapping in [Mapping::AddressDependent, Mapping::AddressAndPortDependent] {
            let nat = on().mapping(mapping).install()?;
            assert!(!hears_two_at_both_ports("10.0.0.2:5000")?, "{nat}");
            nat.close()?;
        }
    }
    let nat = NatGateway::on(&lab.router).out("wan0").mapping(Mapping::AddressDependent).filtering(Filtering::EndpointIndependent);
    let nat = nat.install()?;
    assert!(hears_two_at_both_ports("10.0.0.2:5000")?, "{nat}: it lets in everybody");
    nat.close()?;
    let linux = NatRule::masquerade(&lab.router).out("wan0").fully_random().install()?;
    assert!(!hears_two_at_both_ports("10.0.0.2:5000")?);
    linux.close()
}

#[netlab::test]
fn neighbours_reach_each_other_by_hairpinning_alone_and_see_outside_addresses() -> Result<()> {
    let lab = Lab::new()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    for hairpinning in [true, false] {
        let _nat = NatGateway::full_cone(&lab.router).out("wan0").hairpinning(hairpinning).install()?;
        let (client, neighbour) = (bind(&lab.client, "10.0.0.2:5000")?, bind(&lab.neighbour, "10.0.0.3:6000")?);
        client.send_to(b"hello", echo.address()).unwrap();
        receive(&client);
        neighbour.send_to(b"by the outside", "203.0.113.1:5000").unwrap();
        if !hairpinning {
            assert!(is_silent(&client));
        } else {
            assert_eq!(receive(&client), ("by the outside".to_owned(), "203.0.113.1:6000".to_owned()));
            client.send_to(b"and back", "203.0.113.1:6000").unwrap();
            assert_eq!(receive(&neighbour).1, "203.0.113.1:5000");
        }
    }
    Ok(())
}

#[netlab::test]
fn filtering_holds_for_hairpins_too() -> Result<()> {
    let lab = Lab::new()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let _nat = NatGateway::port_restricted_cone(&lab.router).out("wan0").hairpinning(true).install()?;
    let (client, neighbour) = (bind(&lab.client, "10.0.0.2:5000")?, bind(&lab.neighbour, "10.0.0.3:6000")?);
    client.send_to(b"hello", echo.address()).unwrap();
    receive(&client);
    neighbour.send_to(b"uninvited", "203.0.113.1:5000").unwrap();
    assert!(is_silent(&client));
    client.send_to(b"invited", "203.0.113.1:6000").unwrap();
    assert_eq!(receive(&neighbour).0, "invited");
    neighbour.send_to(b"welcome", "203.0.113.1:5000").unwrap();
    assert_eq!(receive(&client).0, "welcome");
    Ok(())
}

#[netlab::test]
fn pings_the_router_itself_and_forwarded_ports_work_beside_it() -> Result<()> {
    let lab = Lab::new()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let web = lab.client.http_server("10.0.0.2:80")?;
    lab.client.expect_no_ping("203.0.113.9")?;
    let _nat = NatGateway::symmetric(&lab.router).out("wan0").install()?;
    let ping = lab.client.expect_ping("203.0.113.9")?;
    lab.router.connection_of(&ping)?.expect_source("203.0.113.1")?;
    lab.router.probe(&echo)?.expect_source("203.0.113.1")?;

    let local = lab.router.udp_echo("203.0.113.1:9000")?;
    lab.server.probe(&local)?.expect_source("203.0.113.9")?;
    lab.server.expect_unreachable(web.via("203.0.113.1:8080"))?;
    let _forwarded = NatRule::dnat(&lab.router).on("wan0").tcp(8080).to("10.0.0.2:80").install()?;
    lab.server.probe(web.via("203.0.113.1:8080"))?.expect_server("client")?;
    Ok(())
}

#[netlab::test]
fn another_address_than_the_interfaces_own_can_be_the_outside_one() -> Result<()> {
    let lab = Lab::new()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let _way = netlab::Route::to("198.51.100.7/32").via("203.0.113.1").install(&lab.server)?;
    let nat = NatGateway::full_cone(&lab.router).out("wan0").to("198.51.100.7").install()?;
    assert_eq!((nat.address().to_string(), nat.out()), ("198.51.100.7".to_owned(), "wan0"));
    assert_eq!(seen(&lab.client, "10.0.0.2:5000", &echo)?.to_string(), "198.51.100.7:5000");
    assert_eq!(NatBehaviour::measure(&lab.client, &lab.stun)?.cone(), Some("full cone"));
    Ok(())
}

#[netlab::test]
fn it_goes_with_all_that_it_made_and_nothing_else() -> Result<()> {
    let lab = Lab::new()?;
    let rule = NatRule::masquerade(&lab.router).out("nowhere").install()?;
    let before = lab.router.ruleset()?.to_string();
    let nat = NatGateway::symmetric(&lab.router).out("wan0").install()?;
    assert!(lab.router.ruleset()?.to_string().contains("table ip netlab_nat_wan0"));
    let e = NatGateway::full_cone(&lab.router).out("wan0").install().unwrap_err();
    assert!(e.is_exists(), "{e}");
    NatBehaviour::measure(&lab.client, &lab.stun)?;
    nat.close()?;
    assert_eq!(lab.router.ruleset()?.to_string(), before);
    assert!(lab.router.connections()?.is_empty(), "nothing is remembered that it translated");
    rule.close()
}

#[netlab::test]
fn what_makes_no_sense_is_an_error_and_leaves_nothing() -> Result<()> {
    let lab = Lab::new()?;
    let on = || NatGateway::on(&lab.router);
    for nonsense in [
        on(),
        on().out("no such name"),
        on().out("absent0"),
        on().out("wan0").to("203.0.113"),
        on().out("wan0").to("2001:db8::1"),
        on().out("wan0").ports(0..=10),
        #[allow(clippy::reversed_empty_ranges)]
        on().out("wan0").ports(10..=9),
    ] {
        let e = nonsense.install().unwrap_err();
        assert!(e.is_invalid_input() && e.to_string().contains("gateway.rs"), "{e}");
    }
    assert_eq!(lab.router.ruleset()?.to_string(), "");
    // Before the interface is there, the address has to be said.
    let nat = on().out("absent0").to("203.0.113.1").filtering(Filtering::AddressDependent).install()?;
    assert_eq!(nat.to_string(), "NAT of `absent0` in `router` to 203.0.113.1: endpoint-independent mapping, address-dependent filtering");
    lab.client.expect_unreachable(Probe::ping("203.0.113.9"))?;
    Ok(())
}
