//! Forgetting connections: what goes, what stays, and what it changes for the packets.

use std::net::UdpSocket;
use std::time::Duration;

use netlab::{Flow, Result, Route};

use crate::lab::{Lab, MASQUERADE, TRACK, bind, conntrack, nft};

/// The client that the server sees when the socket asks it; none if nothing comes back.
fn seen(socket: &UdpSocket, server: &str) -> Option<String> {
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket.send_to(b"who am I?", server).unwrap();
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer[..length]).into_owned();
    Some(text.lines().next()?.split_once("client=")?.1.to_owned())
}

#[netlab::test]
fn a_flow_keeps_its_translation_after_the_rule_until_it_is_forgotten() -> Result<()> {
    let lab = Lab::masqueraded()?;
    // There is a way back to the laptop, so that it also gets answers to its own address.
    let _back = Route::to("10.0.0.0/24").via("203.0.113.1").install(&lab.server)?;
    nft(&lab.router, TRACK);
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let socket = bind(&lab.laptop, "10.0.0.2:5000");
    assert_eq!(seen(&socket, "203.0.113.9:7000").as_deref(), Some("203.0.113.1:5000"));

    nft(&lab.router, "flush table inet nat");
    assert_eq!(seen(&socket, "203.0.113.9:7000").as_deref(), Some("203.0.113.1:5000"), "the rule is gone, and the flow goes on with it");
    assert_eq!(seen(&bind(&lab.laptop, "10.0.0.2:5001"), "203.0.113.9:7000").as_deref(), Some("10.0.0.2:5001"), "a new flow does not");

    lab.router.flush_connections()?;
    assert!(lab.router.connections()?.is_empty());
    assert_eq!(seen(&socket, "203.0.113.9:7000").as_deref(), Some("10.0.0.2:5000"));

    // And the other way round.
    nft(&lab.router, MASQUERADE);
    assert_eq!(seen(&socket, "203.0.113.9:7000").as_deref(), Some("10.0.0.2:5000"), "the rule came after the flow");
    lab.router.flush_connections()?;
    assert_eq!(seen(&socket, "203.0.113.9:7000").as_deref(), Some("203.0.113.1:5000"));
    assert_eq!(echo.hits(), 6);
    Ok(())
}

#[netlab::test]
fn a_forgotten_flow_is_cut_where_only_the_old_translation_led_back() -> Result<()> {
    let lab = Lab::masqueraded()?;
    nft(&lab.router, TRACK);
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let socket = bind(&lab.laptop, "10.0.0.2:5000");
    assert!(seen(&socket, "203.0.113.9:7000").is_some());
    nft(&lab.router, "flush table inet nat");
    assert!(seen(&socket, "203.0.113.9:7000").is_some());
    lab.router.flush_connections()?;
    assert_eq!(seen(&socket, "203.0.113.9:7000"), None);
    assert_eq!(echo.hits(), 3, "the question gets there, and its answer nowhere");
    Ok(())
}

#[netlab::test]
fn nothing_is_translated_by_memory_once_no_rule_needs_tracking() -> Result<()> {
    let lab = Lab::masqueraded()?;
    let _back = Route::to("10.0.0.0/24").via("203.0.113.1").install(&lab.server)?;
    let _echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let socket = bind(&lab.laptop, "10.0.0.2:5000");
    assert_eq!(seen(&socket, "203.0.113.9:7000").as_deref(), Some("203.0.113.1:5000"));
    nft(&lab.router, "flush table inet nat");
    assert_eq!(lab.router.connections()?.of(Flow::udp().translated())?.len(), 1, "it is remembered");
    assert_eq!(seen(&socket, "203.0.113.9:7000").as_deref(), Some("10.0.0.2:5000"), "and looked at by nobody");
    Ok(())
}

#[netlab::test]
fn one_connection_is_forgotten_and_its_neighbours_stay() -> Result<()> {
    let lab = Lab::masqueraded()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    for port in 5000..5003 {
        lab.laptop.probe(echo.via("203.0.113.9").source(format!("10.0.0.2:{port}")))?;
    }
    let [one] = &lab.router.connections()?.of(Flow::udp().from(":5001"))?[..] else { panic!("there is one") };
    lab.router.delete_connection(one)?;
    let left: Vec<_> = lab.router.connections()?.normalised().iter().map(|one| one.source().port).collect();
    assert_eq!(left, [Some(5000), Some(5002)]);
    assert!(lab.router.delete_connection(one).is_err_and(|e| e.is_not_found()));
    Ok(())
}

#[netlab::test]
fn a_connection_of_every_kind_is_forgotten() -> Result<()> {
    let lab = Lab::masqueraded()?;
    nft(
        &lab.router,
        "table inet z { chain p { type filter hook prerouting priority raw; udp dport 7000 ct zone set 7; udp sport 7000 ct zone set 7; }; }",
    );
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let web = lab.server.http_server("[2001:db8::9]:80")?;
    lab.laptop.probe(&echo)?;
    lab.laptop.probe(&web)?;
    lab.laptop.expect_ping("203.0.113.9")?;
    lab.laptop.expect_ping("2001:db8::9")?;
    let all = lab.router.connections()?;
    assert_eq!(all.len(), 4, "{all}");
    assert_eq!(all.clone().of(Flow::udp().zone(7))?.len(), 1);
    for one in &all {
        lab.router.delete_connection(one)?;
    }
    assert!(lab.router.connections()?.is_empty());
    Ok(())
}

#[netlab::test]
fn those_of_a_family_or_a_mark_or_a_flow_are_forgotten_and_the_others_stay() -> Result<()> {
    let lab = Lab::masqueraded()?;
    nft(&lab.router, "table inet m { chain f { type filter hook forward priority 0; meta l4proto tcp ct mark set 0x17; }; }");
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let web = lab.server.http_server("203.0.113.9:80")?;
    let web6 = lab.server.http_server("[2001:db8::9]:80")?;
    let fill = || {
        lab.laptop.probe(&echo)?;
        lab.laptop.probe(&web)?;
        lab.laptop.probe(&web6)?;
        assert_eq!(lab.router.connections()?.len(), 3);
        Ok(())
    };
    let left = || {
        Ok(lab.router.connections()?.normalised().iter().map(|one| (one.protocol_name(), one.original.src.is_ipv6())).collect::<Vec<_>>())
    };
    let (udp, tcp, tcp6) = (("udp", false), ("tcp", false), ("tcp", true));
    for (flow, stay) in [
        (Flow::any().ipv6(), vec![tcp, udp]),
        (Flow::any().ipv4(), vec![tcp6]),
        (Flow::any().mark(0x17), vec![udp]),
        (Flow::any().ipv6().mark(0x17), vec![tcp, udp]),
        (Flow::any().mark_masked(0x10, 0xf0), vec![udp]),
        (Flow::any().mark(0x16), vec![tcp, udp, tcp6]),
        (Flow::udp(), vec![tcp, tcp6]),
        (Flow::tcp().from("10.0.0.0/24").to(":80").translated(), vec![udp, tcp6]),
        (Flow::any().untranslated(), vec![tcp, udp, tcp6]),
        (Flow::any(), vec![]),
    ] {
        lab.router.flush_connections()?;
        fill()?;
        lab.router.flush_connections_of(flow.clone())?;
        let left: Result<_> = left();
        assert_eq!(left?, stay, "after forgetting {flow}");
    }
    Ok(())
}

#[netlab::test]
fn the_connections_of_another_namespace_stay() -> Result<()> {
    let lab = Lab::masqueraded()?;
    nft(&lab.server, TRACK);
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    lab.laptop.probe(&echo)?;
    lab.router.flush_connections()?;
    assert_eq!((lab.router.count_connections()?, lab.server.count_connections()?), (0, 1));
    assert_eq!(conntrack(&lab.server, "-C").trim(), "1");
    Ok(())
}
