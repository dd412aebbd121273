//! A probe that has its answer is healthy.

use netlab::{Netns, Result, VethPair};

#[netlab::test]
fn a_probe_that_has_its_answer_has_no_finding() -> Result<()> {
    let (client, server) = (Netns::new("client")?, Netns::new("server")?);
    let _cable = VethPair::connect(client.iface("eth0").addr("10.0.0.1/24"), server.iface("eth0").addr("10.0.0.2/24"))?;
    let echo = server.udp_echo("10.0.0.2:7000")?;
    let explanation = client.explain(&echo)?;
    assert!(explanation.is_healthy() && explanation.finding().is_none(), "{explanation}");
    Ok(())
}
