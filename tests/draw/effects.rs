//! A drawing is of what the kernel has: it changes when that does, and back again.

use netlab::draw::{LinkState, Topology};
use netlab::{Bridge, FilterRule, NatRule, Netns, Policy, Result, Route, Tun, VethPair};

/// A client and a server on a cable, and what is drawn of them.
struct Lab {
    client: Netns,
    server: Netns,
    _cable: VethPair,
}

fn lab() -> Result<Lab> {
    let (client, server) = (Netns::new("client")?, Netns::new("server")?);
    let cable = VethPair::connect(client.iface("eth0").addr("10.0.0.1/24"), server.iface("eth0").addr("10.0.0.2/24"))?;
    Ok(Lab { client, server, _cable: cable })
}

/// Demands that `word` is in every drawing with the fixture, and in none without.
fn shown<T>(word: &str, make: impl FnOnce() -> Result<T>) -> Result<()> {
    let drawings = || Topology::current().map(|topology| [topology.mermaid(), topology.svg()]);
    let before = drawings()?;
    let fixture = make()?;
    let with = drawings()?;
    drop(fixture);
    let after = drawings()?;
    assert!(before.iter().all(|text| !text.contains(word)), "{before:?}");
    assert!(with.iter().all(|text| text.contains(word)), "{with:?}");
    assert_eq!(before, after);
    Ok(())
}

#[netlab::test]
fn a_listener_is_drawn_while_it_listens() -> Result<()> {
    let lab = lab()?;
    shown("tcp 10.0.0.2:80 web", || lab.server.serve("web").http("10.0.0.2:80"))?;
    shown("udp 10.0.0.2:53 server", || lab.server.udp_echo("10.0.0.2:53"))
}

#[netlab::test]
fn a_program_that_listens_is_drawn_with_its_name() -> Result<()> {
    let lab = lab()?;
    let python = "import socket,time; s=socket.create_server(('10.0.0.2', 90)); time.sleep(60)";
    shown("tcp 10.0.0.2:90 python3", || lab.server.process("python3").arg("-c").arg(python).listens_tcp(90).start())
}

#[netlab::test]
fn a_socket_of_the_test_itself_is_drawn_without_a_name() -> Result<()> {
    let lab = lab()?;
    let listen = || lab.server.run(|| std::net::TcpListener::bind("10.0.0.2:91")).map(|listener| listener.expect("a listener"));
    shown("tcp 10.0.0.2:91", listen)
}

#[netlab::test]
fn rules_and_policies_are_drawn_as_badges() -> Result<()> {
    let lab = lab()?;
    shown("nat 1", || NatRule::masquerade(&lab.client).out("eth0").install())?;
    shown("filter 1", || FilterRule::drop(&lab.client).input().tcp(80).install())?;
    shown("forward: drop", || Policy::drop(&lab.client).forward().install())
}

#[netlab::test]
fn a_route_that_was_set_is_drawn() -> Result<()> {
    let lab = lab()?;
    shown("default via 10.0.0.2", || Route::default_via("10.0.0.2").install(&lab.client))?;
    shown("blackhole 10.9.0.0/16", || Route::blackhole("10.9.0.0/16").install(&lab.client))
}

#[netlab::test]
fn an_address_and_a_machine_and_forwarding_are_drawn() -> Result<()> {
    let lab = lab()?;
    shown("10.0.0.77/24", || lab.client.link("eth0")?.add_address("10.0.0.77/24"))?;
    shown("another", || Netns::new("another"))?;
    shown("forwards", || lab.client.set_sysctl("net.ipv4.ip_forward", 1))
}

#[netlab::test]
fn a_link_that_ends_in_a_program_is_drawn_in_its_machine() -> Result<()> {
    let lab = lab()?;
    let tun = || Tun::new(lab.client.iface("tun0").addr("10.8.0.1/24"));
    match tun() {
        // Not everybody may open the device; what is said then has its test among the fixtures.
        Err(e) if e.is_permission() => Ok(()),
        made => made.map(drop).and_then(|()| shown("tun0", tun)),
    }
}

#[netlab::test]
fn a_link_that_is_down_is_drawn_in_red_until_it_is_up() -> Result<()> {
    let lab = lab()?;
    let states = || {
        let topology = Topology::current()?;
        let state = |name: &str| topology.machine(name).and_then(|machine| machine.interface("eth0")).map(|interface| interface.state);
        let dead = topology.svg().matches("wire dead").count();
        Ok::<_, netlab::Error>((state("client"), state("server"), dead, topology.mermaid().contains("linkStyle 0 stroke:#dc2626")))
    };
    let (up, down, lost) = (Some(LinkState::Up), Some(LinkState::Down), Some(LinkState::NoCarrier));
    assert_eq!(states()?, (up, up, 0, false));
    lab.server.link("eth0")?.down()?;
    assert_eq!(states()?, (lost, down, 1, true));
    lab.server.link("eth0")?.up()?;
    assert_eq!(states()?, (up, up, 0, false));
    Ok(())
}

#[netlab::test]
fn a_port_is_on_its_bridge_until_it_is_taken_off() -> Result<()> {
    let host = Netns::current()?;
    let lan = Bridge::new(host.iface("br0"))?;
    let _cables = [lan.plug(Netns::new("left")?.iface("eth0"))?, lan.plug(Netns::new("right")?.iface("eth0"))?];
    let right_of_bridge = || Topology::current().map(|topology| topology.mermaid().contains("w0 ---|\"right — eth0\"|"));
    assert!(right_of_bridge()?);
    host.link("right")?.set_nomaster()?;
    assert!(!right_of_bridge()?);
    host.link("right")?.set_master(&lan)?;
    assert!(right_of_bridge()?);
    Ok(())
}

#[netlab::test]
fn a_place_that_is_marked_is_red() -> Result<()> {
    let _lab = lab()?;
    let topology = Topology::current()?;
    let marked = topology
        .clone()
        .mark("server/eth0", "chain input, policy drop")
        .mark("moon/eth0", "far away")
        .mark("moon", "chain input, policy drop");
    assert!(!topology.svg().contains("class=\"mark\"") && !topology.mermaid().contains("✕"));
    assert!(marked.svg().contains("machine marked") && marked.svg().contains("✕ eth0: chain input, policy drop"));
    assert!(marked.mermaid().contains("✕ eth0: chain input, policy drop\"]:::dead"));
    // What cannot be placed is not lost.
    assert!(marked.svg().contains("✕ moon/eth0: far away") && marked.mermaid().contains("✕ moon/eth0: far away"));
    assert!(marked.svg().contains("✕ moon: chain input, policy drop"));
    Ok(())
}

#[netlab::test]
fn the_far_end_of_a_cable_is_drawn_where_nobody_holds_the_namespace() -> Result<()> {
    let lab = lab()?;
    let alone = Topology::of([&lab.client])?;
    assert!(alone.machines.iter().any(|machine| machine.foreign), "{alone:?}");
    assert!(alone.mermaid().contains("another namespace"));
    let both = Topology::of([&lab.client, &lab.server])?;
    assert!(!both.machines.iter().any(|machine| machine.foreign), "{both:?}");
    Ok(())
}
