//! Cables, bridges, and who is on them.

use std::time::{Duration, Instant};

use netlab::explain::Cause;
use netlab::{Bridge, Neigh, Netns, Probe, Result, VethPair};

use crate::lab::{dies, healthy, routed, switched};

fn link_down(cause: &Cause) -> bool {
    matches!(cause, Cause::LinkDown { .. })
}

#[netlab::test]
fn a_link_that_is_down_is_named() -> Result<()> {
    let lab = routed()?;
    for (machine, link) in [("router", lab.wan.left()), ("server", lab.wan.right()), ("router", lab.lan.right())] {
        link.down()?;
        insta::assert_snapshot!(
            format!("link_down_{machine}_{link}").replace(['/', '`'], "_"),
            dies(&lab.client, &lab.echo, machine, link_down)?
        );
        link.up()?;
    }
    Ok(())
}

#[netlab::test]
fn a_link_behind_a_bridge_that_is_down_is_named() -> Result<()> {
    let lab = switched()?;
    lab.client.link("eth0")?.flush_neighbours()?;
    for (machine, link) in [("server", lab.cables[1].left()), ("switch", lab.cables[1].right()), ("switch", lab.bridge.link())] {
        link.down()?;
        let text = dies(&lab.client, &lab.echo, machine, link_down)?;
        insta::assert_snapshot!(format!("behind_a_bridge_{machine}_{}", link.name()), text);
        link.up()?;
        healthy(&lab.client, &lab.echo)?;
    }
    Ok(())
}

#[netlab::test]
fn a_cable_that_is_plugged_into_nothing_is_named() -> Result<()> {
    let lab = switched()?;
    lab.cables[0].right().set_nomaster()?;
    let text = dies(&lab.client, &lab.echo, "switch", |cause| matches!(cause, Cause::NotABridgePort { .. }))?;
    insta::assert_snapshot!("not_a_bridge_port", text);
    lab.cables[0].right().set_master(&lab.bridge)?;
    healthy(&lab.client, &lab.echo)
}

#[netlab::test]
fn the_servers_cable_that_is_plugged_into_nothing_is_named() -> Result<()> {
    let lab = switched()?;
    lab.client.link("eth0")?.flush_neighbours()?;
    lab.cables[1].right().set_nomaster()?;
    let text = dies(&lab.client, &lab.echo, "switch", |cause| matches!(cause, Cause::NotABridgePort { .. }))?;
    insta::assert_snapshot!(text);
    Ok(())
}

#[netlab::test]
fn isolated_ports_are_named() -> Result<()> {
    let lab = switched()?;
    lab.cables[0].right().set_isolated(true)?;
    healthy(&lab.client, &lab.echo)?;
    lab.cables[1].right().set_isolated(true)?;
    let text = dies(&lab.client, &lab.echo, "switch", |cause| matches!(cause, Cause::PortIsolated { .. }))?;
    insta::assert_snapshot!(text);
    Ok(())
}

#[netlab::test]
fn a_port_that_does_not_forward_is_named() -> Result<()> {
    let lab = switched()?;
    let done = lab.switch.command("bridge")?.args(["link", "set", "dev", "server", "state", "0"]).status();
    assert!(done.is_ok_and(|done| done.success()));
    let text = dies(&lab.client, &lab.echo, "switch", |cause| matches!(cause, Cause::PortNotForwarding { .. }))?;
    insta::assert_snapshot!(text);
    Ok(())
}

/// Such a bridge loses its carrier, and then does not even send out of itself.
#[netlab::test]
fn the_port_is_named_where_none_of_the_bridge_forwards() -> Result<()> {
    let lab = switched()?;
    let _own = lab.bridge.link().add_address("10.0.0.3/24")?;
    healthy(&lab.switch, Probe::ping("10.0.0.2"))?;
    for port in ["client", "server"] {
        let done = lab.switch.command("bridge")?.args(["link", "set", "dev", port, "state", "0"]).status();
        assert!(done.is_ok_and(|done| done.success()));
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while lab.switch.links()?.named("br0").is_some_and(|bridge| bridge.has_carrier()) {
        assert!(Instant::now() < deadline, "the bridge keeps its carrier");
    }
    let is_port = |cause: &Cause| matches!(cause, Cause::PortNotForwarding { port, .. } if port == "server");
    dies(&lab.switch, Probe::ping("10.0.0.2"), "switch", is_port)?;
    Ok(())
}

#[netlab::test]
fn an_address_that_nobody_has_is_named() -> Result<()> {
    let lab = switched()?;
    let nobody = |cause: &Cause| matches!(cause, Cause::NeighbourUnresolved { holder: None, .. });
    insta::assert_snapshot!("nobody_has_the_address", dies(&lab.client, Probe::ping("10.0.0.77"), "client", nobody)?);
    Ok(())
}

#[netlab::test]
fn an_address_that_is_elsewhere_is_named() -> Result<()> {
    let lab = routed()?;
    // On the server's side of the router, in the client's network.
    let _far = lab.server.link("eth0")?.add_address("10.0.1.99/32")?;
    let elsewhere = |cause: &Cause| matches!(cause, Cause::NeighbourUnresolved { holder: Some(_), .. });
    insta::assert_snapshot!("the_address_is_elsewhere", dies(&lab.client, Probe::ping("10.0.1.99"), "client", elsewhere)?);
    let _route = netlab::Route::to("10.0.1.99/32").via("10.0.2.2").install(&lab.router)?;
    let proxy = |cause: &Cause| matches!(cause, Cause::ProxyArpOff { .. });
    insta::assert_snapshot!("proxy_arp_off", dies(&lab.client, Probe::ping("10.0.1.99"), "router", proxy)?);
    lab.lan.right().set_proxy_arp(true)?;
    healthy(&lab.client, Probe::ping("10.0.1.99"))
}

#[netlab::test]
fn a_duplicate_address_is_named() -> Result<()> {
    let lab = switched()?;
    lab.client.link("eth0")?.flush_neighbours()?;
    let twin = Netns::new("twin")?;
    let _cable = lab.bridge.plug(twin.iface("eth0").addr("10.0.0.2/24"))?;
    // Whoever answers first wins; here it is the twin.
    let twins = twin.links()?.named("eth0").and_then(|link| link.mac.clone()).unwrap_or_default();
    lab.client.link("eth0")?.flush_neighbours()?;
    let _neigh = Neigh::permanent("10.0.0.2", twins).dev("eth0").install(&lab.client)?;
    let text = dies(&lab.client, &lab.echo, "twin", |cause| matches!(cause, Cause::DuplicateAddress { .. }))?;
    insta::assert_snapshot!(text);
    Ok(())
}

#[netlab::test]
fn a_wrong_static_neighbour_is_named() -> Result<()> {
    let lab = switched()?;
    let wrong = |cause: &Cause| matches!(cause, Cause::WrongNeighbour { .. });
    lab.client.link("eth0")?.flush_neighbours()?;
    let neigh = Neigh::permanent("10.0.0.2", "02:00:00:00:00:99").dev("eth0").install(&lab.client)?;
    insta::assert_snapshot!("wrong_neighbour_that_nobody_is", dies(&lab.client, &lab.echo, "client", wrong)?);
    neigh.close()?;
    healthy(&lab.client, &lab.echo)?;
    let other = Netns::new("other")?;
    let _cable = lab.bridge.plug(other.iface("eth0").addr("10.0.0.3/24"))?;
    let mac = other.links()?.named("eth0").and_then(|link| link.mac.clone()).unwrap_or_default();
    lab.client.link("eth0")?.flush_neighbours()?;
    let _neigh = Neigh::permanent("10.0.0.2", mac).dev("eth0").install(&lab.client)?;
    insta::assert_snapshot!("wrong_neighbour_that_is_another", dies(&lab.client, &lab.echo, "client", wrong)?);
    Ok(())
}

#[netlab::test]
fn a_wrong_fdb_entry_is_named() -> Result<()> {
    let lab = switched()?;
    let other = Netns::new("other")?;
    let _cable = lab.bridge.plug(other.iface("eth0").addr("10.0.0.3/24"))?;
    let mac = lab.server.links()?.named("eth0").and_then(|link| link.mac.clone()).unwrap_or_default();
    let entry = |port: &str| {
        let mut bridge = lab.switch.command("bridge")?;
        let done = bridge.args(["fdb", "replace", &mac, "dev", port, "master", "static", "sticky"]).status();
        assert!(done.is_ok_and(|done| done.success()));
        Ok(())
    };
    entry("server")?;
    healthy(&lab.client, &lab.echo)?;
    entry("other")?;
    let text = dies(&lab.client, &lab.echo, "switch", |cause| matches!(cause, Cause::WrongFdbEntry { .. }))?;
    insta::assert_snapshot!(text);
    Ok(())
}

#[netlab::test]
fn hairpin_that_is_off_is_named() -> Result<()> {
    let (switch, box_) = (Netns::new("switch")?, Netns::new("box")?);
    let bridge = Bridge::new(switch.iface("br0"))?;
    let cable = VethPair::connect(box_.iface("eth0"), switch.iface("port1").master(&bridge))?;
    let (one, two) = (Netns::new("one")?, Netns::new("two")?);
    let vepa = |machine: &Netns, address: &str| {
        let name = machine.name().to_owned();
        netlab::Macvlan::vepa(machine.iface("eth0").addr(address), cable.left()).map(|link| (name, link))
    };
    let _links = [vepa(&one, "10.0.0.1/24")?, vepa(&two, "10.0.0.2/24")?];
    let echo = two.udp_echo("10.0.0.2:7000")?;
    cable.right().set_hairpin(true)?;
    healthy(&one, &echo)?;
    cable.right().set_hairpin(false)?;
    let text = dies(&one, &echo, "switch", |cause| matches!(cause, Cause::HairpinOff { .. }))?;
    insta::assert_snapshot!(text);
    Ok(())
}
