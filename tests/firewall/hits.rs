//! Counters: read, zeroed, waited for.

use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use netlab::nft::Hits;
use netlab::{FilterRule, NatRule, Netns, Probe, Result};

use crate::lab::Lab;

fn send(netns: &Netns, times: usize) -> Result<()> {
    netns.run(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        (0..times).for_each(|_| assert_eq!(socket.send_to(b"four", "127.0.0.1:9").unwrap(), 4));
    })
}

#[netlab::test]
fn a_rule_counts_packets_and_bytes_until_it_is_zeroed() -> Result<()> {
    let host = Netns::new("machine")?;
    let rule = FilterRule::count(&host).output().udp(9).install()?;
    assert_eq!(rule.hits()?, Hits::default());
    rule.expect_no_hits()?;
    send(&host, 3)?;
    let three = Hits { packets: 3, bytes: 96 };
    assert_eq!((rule.hits()?, rule.expect_hits(3)?, rule.expect_hits_at_least(2)?), (three, three, three));
    assert_eq!(rule.zero()?, three);
    rule.expect_hits(0)?;
    send(&host, 1)?;
    rule.expect_hits(1)?;
    Ok(())
}

#[netlab::test]
fn packets_that_come_later_are_waited_for() -> Result<()> {
    let host = Netns::new("machine")?;
    let rule = FilterRule::count(&host).output().udp(9).install()?;
    thread::scope(|scope| {
        let waiting = scope.spawn(|| rule.expect_hits(5));
        thread::sleep(Duration::from_millis(30));
        send(&host, 5)?;
        waiting.join().unwrap()
    })?;
    Ok(())
}

#[netlab::test]
fn a_wrong_count_names_the_rule_and_what_it_counted() -> Result<()> {
    let host = Netns::new("machine")?;
    let rule = FilterRule::count(&host).output().udp(9).install()?;
    send(&host, 2)?;
    let more = rule.expect_hits(1).unwrap_err();
    assert!(more.is_unexpected());
    let text = "cannot see 1 packets meet the rule `udp dport 9 counter` of `machine`: it has counted 2 packets (64 bytes)";
    assert!(more.to_string().starts_with(text), "{more}");
    assert!(more.location().is_some_and(|place| place.file().ends_with("hits.rs")));
    let none = rule.expect_no_hits().unwrap_err();
    assert!(none.is_unexpected() && none.to_string().contains("counted 2 packets"), "{none}");
    let fewer = rule.expect_hits(3).unwrap_err();
    assert!(fewer.is_timeout() && fewer.to_string().contains("counted 2 packets"), "{fewer}");
    let fewer = rule.expect_hits_at_least(3).unwrap_err();
    assert!(fewer.is_timeout() && fewer.to_string().contains("3 packets or more"), "{fewer}");
    Ok(())
}

#[netlab::test]
fn a_nat_rule_counts_connections_in_both_its_chains() -> Result<()> {
    let lab = Lab::routed()?;
    let _web = lab.server.http_server("203.0.113.9:8000")?;
    let nat = NatRule::dnat(&lab.router).tcp(8081).to("203.0.113.9:8000").also_local().install()?;
    assert!(matches!(lab.client.observe(Probe::http("http://10.0.0.1:8081"))?, netlab::Outcome::Answer(_)));
    nat.expect_hits(1)?;
    assert!(matches!(lab.router.observe(Probe::http("http://203.0.113.1:8081"))?, netlab::Outcome::Answer(_)));
    nat.expect_hits(2)?;
    assert_eq!(nat.zero()?.packets, 2);
    nat.expect_no_hits()
}
