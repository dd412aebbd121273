//! From an answer to the connection that brought it.

use netlab::{Probe, Result, Route};

use crate::lab::{Lab, TRACK, nft};

#[netlab::test]
fn an_answer_leads_to_its_connection_on_the_router() -> Result<()> {
    let lab = Lab::masqueraded()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let web = lab.server.http_server("[2001:db8::9]:80")?;
    for probe in [
        Probe::from(&echo),
        echo.via("203.0.113.9").source("10.0.0.2:5000"),
        Probe::from(&web),
        Probe::tcp("[2001:db8::9]:80"),
        Probe::ping("203.0.113.9"),
        Probe::ping("2001:db8::9"),
        Probe::ping("203.0.113.9").source("10.0.0.2"),
    ] {
        let answer = lab.laptop.probe(probe.clone())?;
        let connection = lab.router.connection_of(&answer)?;
        let outside = if answer.from().is_ipv6() { "2001:db8::1" } else { "203.0.113.1" };
        let connection = connection.expect_source(outside)?.expect_destination(answer.from().ip())?;
        if let Some(client) = answer.source() {
            assert_eq!(connection.seen_source().to_string(), client.to_string(), "{probe}: conntrack and the server agree");
        }
    }
    Ok(())
}

#[netlab::test]
fn the_same_probes_without_the_rule_are_not_rewritten() -> Result<()> {
    let lab = Lab::new()?;
    nft(&lab.router, "table inet track { chain f { type filter hook forward priority 0; ct state new counter; }; }");
    let _back = Route::to("10.0.0.0/24").via("203.0.113.1").install(&lab.server)?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let answer = lab.laptop.probe(&echo)?;
    let connection = lab.router.connection_of(&answer)?.expect_source("10.0.0.2")?;
    assert_eq!(connection.rewriting(), "nothing is rewritten");
    let e = connection.expect_source("203.0.113.1").unwrap_err();
    assert!(e.is_unexpected() && e.to_string().contains("it is 10.0.0.2:"), "{e}");
    Ok(())
}

#[netlab::test]
fn a_machine_that_did_not_see_the_question_says_so() -> Result<()> {
    let lab = Lab::masqueraded()?;
    nft(&lab.server, TRACK);
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let answer = lab.laptop.probe(&echo)?;
    lab.router.connection_of(&answer)?;
    // The server saw it after the router's translation: the source is another.
    assert!(lab.server.connection_of(&answer).is_err_and(|e| e.is_timeout()));
    Ok(())
}
