//! What only IPv6 has.

use netlab::explain::Cause;
use netlab::{Netns, Probe, Result, VethPair};

use crate::lab::{dies, healthy};

#[netlab::test]
fn a_machine_that_waits_for_a_router_is_named() -> Result<()> {
    let (client, router) = (Netns::new("client")?, Netns::new("router")?);
    let cable = VethPair::connect(client.iface("eth0"), router.iface("eth0").addr("fd00::1/64"))?;
    let waits = |cause: &Cause| matches!(cause, Cause::NoRouterAdvertisement { .. });
    insta::assert_snapshot!("no_router_advertisement", dies(&client, Probe::ping("fd00::1"), "client", waits)?);
    let _address = cable.left().add_address("fd00::2/64")?;
    healthy(&client, Probe::ping("fd00::1"))
}

#[netlab::test]
fn no_route_and_no_forwarding_are_named_for_ipv6_too() -> Result<()> {
    let (client, router, server) = (Netns::new("client")?, Netns::new("router")?, Netns::new("server")?);
    let _lan = VethPair::connect(client.iface("eth0").addr("fd01::2/64").gateway("fd01::1"), router.iface("lan0").addr("fd01::1/64"))?;
    let _wan = VethPair::connect(router.iface("wan0").addr("fd02::1/64"), server.iface("eth0").addr("fd02::2/64").gateway("fd02::1"))?;
    let off = |cause: &Cause| matches!(cause, Cause::ForwardingOff { .. });
    insta::assert_snapshot!("ipv6_forwarding_off", dies(&client, Probe::ping("fd02::2"), "router", off)?);
    router.forward_ipv6()?;
    healthy(&client, Probe::ping("fd02::2"))?;
    let none = |cause: &Cause| matches!(cause, Cause::NoRoute { .. });
    insta::assert_snapshot!("ipv6_no_route", dies(&client, Probe::ping("fd03::2"), "router", none)?);
    Ok(())
}
