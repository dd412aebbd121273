//! Translations.

use netlab::explain::Cause;
use netlab::{NatRule, Netns, Probe, Result};

use crate::lab::{dies, healthy, routed, switched};

#[netlab::test]
fn a_translation_that_leads_nowhere_is_named() -> Result<()> {
    let lab = routed()?;
    let to =
        |target: &str| NatRule::iptables(&lab.router, &format!("-t nat -A PREROUTING -p udp --dport 53 -j DNAT --to-destination {target}"));
    let right = to("10.0.2.2:7000")?;
    healthy(&lab.client, Probe::udp("10.0.1.1:53"))?;
    right.close()?;
    let silence = |cause: &Cause| matches!(cause, Cause::TranslatedToSilence { .. });
    let wrong = to("10.0.2.77:7000")?;
    insta::assert_snapshot!("dnat_to_nobody", dies(&lab.client, Probe::udp("10.0.1.1:53"), "router", silence)?);
    wrong.close()?;
    let _wrong = to("10.0.2.2:7001")?;
    insta::assert_snapshot!("dnat_to_a_closed_port", dies(&lab.client, Probe::udp("10.0.1.1:53"), "router", silence)?);
    Ok(())
}

#[netlab::test]
fn an_answer_that_goes_past_the_nat_is_named() -> Result<()> {
    let lab = switched()?;
    let gateway = Netns::new("gateway")?;
    let _cable = lab.bridge.plug(gateway.iface("eth0").addr("10.0.0.254/24"))?;
    gateway.forward_ipv4()?;
    let _dnat = NatRule::iptables(&gateway, "-t nat -A PREROUTING -p udp --dport 53 -j DNAT --to-destination 10.0.0.2:7000")?;
    let past = |cause: &Cause| matches!(cause, Cause::AnswerNotTranslated { .. });
    insta::assert_snapshot!(dies(&lab.client, Probe::udp("10.0.0.254:53"), "gateway", past)?);
    let _hairpin = NatRule::iptables(&gateway, "-t nat -A POSTROUTING -s 10.0.0.0/24 -d 10.0.0.2 -j MASQUERADE")?;
    healthy(&lab.client, Probe::udp("10.0.0.254:53"))
}

#[netlab::test]
fn a_connection_that_is_older_than_the_rule_is_named() -> Result<()> {
    let lab = routed()?;
    let _track = NatRule::masquerade(&lab.router).out("none0").install()?;
    let asked = Probe::udp("10.0.1.1:53").source("10.0.1.2:5353");
    assert!(!lab.client.explain(&asked)?.is_healthy());
    // nft, unlike netlab, lets the router go on with what it remembers.
    let rule = "add table ip late; add chain ip late pre { type nat hook prerouting priority dstnat; }; add rule ip late pre udp dport 53 dnat to 10.0.2.2:7000";
    let done = lab.router.command("nft")?.arg(rule).status();
    assert!(done.is_ok_and(|done| done.success()));
    let stale = |cause: &Cause| matches!(cause, Cause::StaleConnection { .. });
    insta::assert_snapshot!(dies(&lab.client, &asked, "router", stale)?);
    lab.router.flush_connections()?;
    healthy(&lab.client, &asked)
}
