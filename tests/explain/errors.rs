//! What an explanation adds to the error of a probe that fails.

use std::time::Duration;

use netlab::{Probe, Reason, Result};

use crate::lab::routed;

#[netlab::test]
fn the_error_of_a_probe_says_where_its_packet_died() -> Result<()> {
    let lab = routed()?;
    let _off = lab.router.set_sysctl("net.ipv4.ip_forward", 0)?;
    let error = lab.client.probe(Probe::ping("10.0.2.2").within(Duration::from_millis(300))).expect_err("the router does not forward");
    let text = error.to_string();
    assert!(text.contains("cause: router: it does not forward: net.ipv4.ip_forward=0"), "{text}");
    assert!(text.contains("last seen: the question at router/lan0") && text.lines().count() <= 40, "{text}");
    Ok(())
}

#[netlab::test]
fn another_reason_than_the_one_demanded_is_explained() -> Result<()> {
    let lab = routed()?;
    lab.router.set_sysctl("net.ipv4.ip_forward", 0)?.keep();
    let probe = Probe::ping("10.0.2.2").within(Duration::from_millis(300));
    let unreachable = lab.client.expect_unreachable(&probe)?;
    let error = unreachable.by(Reason::Refused).expect_err("it is silence");
    assert!(error.to_string().contains("cause: router: it does not forward"), "{error}");
    Ok(())
}

#[netlab::test]
fn a_test_that_fails_again_and_again_is_explained_three_times() -> Result<()> {
    let lab = routed()?;
    let nobody = Probe::tcp("10.0.2.2:81").within(Duration::from_millis(50));
    let explained = (0..5).filter(|_| lab.client.probe(&nobody).expect_err("nobody listens").to_string().contains("cause: server")).count();
    assert_eq!(explained, 3);
    Ok(())
}
