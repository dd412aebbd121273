// ANCHOR: bridge
use netlab::{Bridge, Netns, Result};

#[netlab::test]
fn three_machines_on_a_switch() -> Result<()> {
    let switch = Netns::new("switch")?;
    let bridge = Bridge::new(switch.iface("br0"))?;

    let (ada, ben, cleo) = (Netns::new("ada")?, Netns::new("ben")?, Netns::new("cleo")?);
    let _ada = bridge.plug(ada.iface("eth0").addr("10.0.0.1/24"))?;
    let _ben = bridge.plug(ben.iface("eth0").addr("10.0.0.2/24"))?;
    let cable = bridge.plug(cleo.iface("eth0").addr("10.0.0.3/24"))?;

    ada.expect_ping("10.0.0.3")?;
    drop(cable);
    ada.expect_no_ping("10.0.0.3")?;
    ada.expect_ping("10.0.0.2")?;
    Ok(())
}
// ANCHOR_END: bridge

// ANCHOR: drop
use netlab::{Route, VethPair};

#[netlab::test]
fn a_route_is_there_as_long_as_its_fixture() -> Result<()> {
    let (host, router) = (Netns::new("host")?, Netns::new("router")?);
    let _cable = VethPair::connect(
        host.iface("eth0").addr("10.0.0.2/24"),
        router.iface("lan0").addr("10.0.0.1/24").addr("192.0.2.1/32"),
    )?;

    let route = Route::to("192.0.2.0/24").via("10.0.0.1").install(&host)?;
    host.expect_ping("192.0.2.1")?;
    route.close()?; // as drop would, but with the error, if there is one
    host.expect_no_ping("192.0.2.1")?;

    Route::to("192.0.2.0/24").via("10.0.0.1").install(&host)?.keep(); // nobody undoes this one
    host.expect_ping("192.0.2.1")?;
    Ok(())
}
// ANCHOR_END: drop

// ANCHOR: sysctl
#[netlab::test]
fn a_router_forwards_only_if_it_is_told_to() -> Result<()> {
    let (left, router) = (Netns::new("left")?, Netns::new("router")?);
    let right = Netns::new("right")?;
    let _left = VethPair::connect(
        left.iface("eth0").addr("10.0.1.2/24").gateway("10.0.1.1"),
        router.iface("eth0").addr("10.0.1.1/24"),
    )?;
    let _right = VethPair::connect(
        right.iface("eth0").addr("10.0.2.2/24").gateway("10.0.2.1"),
        router.iface("eth1").addr("10.0.2.1/24"),
    )?;

    left.expect_no_ping("10.0.2.2")?;
    let forwarding = router.set_sysctl("net.ipv4.ip_forward", 1)?;
    left.expect_ping("10.0.2.2")?;
    drop(forwarding);
    assert_eq!(router.sysctl("net.ipv4.ip_forward")?, "0"); // as it was
    Ok(())
}
// ANCHOR_END: sysctl
