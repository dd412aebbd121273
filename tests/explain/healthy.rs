//! A probe that has its answer is healthy, whatever it passes.

use netlab::{Bridge, NatRule, Netns, Probe, Result, VethPair};

use crate::lab::{healthy, normalised, routed, switched};

#[netlab::test]
fn a_probe_that_has_its_answer_has_no_finding() -> Result<()> {
    let lab = routed()?;
    let explanation = lab.client.explain(&lab.echo)?;
    assert!(explanation.is_healthy() && explanation.finding().is_none());
    insta::assert_snapshot!(normalised(&explanation));
    healthy(&lab.client, Probe::ping("10.0.2.2"))?;
    let web = lab.server.http_server("10.0.2.2:80")?;
    healthy(&lab.client, &web)
}

#[netlab::test]
fn a_bridge_that_works_is_not_accused() -> Result<()> {
    let lab = switched()?;
    let explanation = lab.client.explain(&lab.echo)?;
    insta::assert_snapshot!(normalised(&explanation));
    Ok(())
}

#[netlab::test]
fn translations_that_work_are_followed() -> Result<()> {
    let lab = routed()?;
    let _out = NatRule::masquerade(&lab.router).out("wan0").install()?;
    let _in = NatRule::iptables(&lab.router, "-t nat -A PREROUTING -p udp --dport 53 -j DNAT --to-destination 10.0.2.2:7000")?;
    let explanation = lab.client.explain(Probe::udp("10.0.1.1:53"))?;
    assert!(explanation.is_healthy(), "{explanation}");
    insta::assert_snapshot!(normalised(&explanation));
    Ok(())
}

#[netlab::test]
fn a_machine_that_asks_itself_is_healthy() -> Result<()> {
    let host = Netns::current()?;
    let echo = host.udp_echo("127.0.0.1:7000")?;
    healthy(&host, &echo)
}

#[netlab::test]
fn containers_behind_the_hosts_bridge_are_healthy() -> Result<()> {
    let host = Netns::current()?;
    let bridge = Bridge::new(host.iface("br0").addr("172.17.0.1/16"))?;
    let (one, two) = (Netns::new("one")?, Netns::new("two")?);
    let _one = bridge.plug(one.iface("eth0").addr("172.17.0.2/16").gateway("172.17.0.1"))?;
    let far = Netns::new("far")?;
    let _two = bridge.plug(two.iface("eth0").addr("172.17.0.3/16").gateway("172.17.0.1"))?;
    let _far = VethPair::connect(host.iface("eth0").addr("10.0.0.1/24"), far.iface("eth0").addr("10.0.0.9/24"))?;
    host.forward_ipv4()?;
    let _nat = NatRule::masquerade(&host).out("eth0").install()?;
    healthy(&one, &two.udp_echo("172.17.0.3:7000")?)?;
    healthy(&one, &far.udp_echo("10.0.0.9:7000")?)?;
    healthy(&host, Probe::ping("172.17.0.3"))?;
    healthy(&one, Probe::ping("172.17.0.1"))
}
