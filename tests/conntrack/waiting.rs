//! Waiting for a connection to come, to change, to go.

use std::io::{BufRead, BufReader, Read};
use std::net::{Shutdown, TcpStream};

use netlab::{Flow, Netns, Result};

use crate::lab::{TRACK, bind, nft};

#[netlab::test]
fn a_state_is_waited_for() -> Result<()> {
    let host = Netns::new("host")?;
    nft(&host, TRACK);
    let server = host.tcp_server("127.0.0.1:80")?;
    let client = host.run(|| TcpStream::connect("127.0.0.1:80"))?.unwrap();
    host.expect_connection(Flow::tcp().to(":80").state("ESTABLISHED").status("ASSURED"))?;
    // With its greeting read, and the end of both directions awaited: else it ends with a reset, and in CLOSE.
    let mut lines = BufReader::new(client);
    lines.read_line(&mut String::new()).unwrap();
    lines.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(lines.read_to_end(&mut Vec::new()).unwrap(), 0);
    host.expect_connection(Flow::tcp().to(":80").state("TIME_WAIT"))?;
    host.expect_no_connection(Flow::tcp().state("ESTABLISHED"))?;
    drop(server);
    Ok(())
}

#[netlab::test]
fn one_that_comes_later_is_waited_for() -> Result<()> {
    let host = Netns::new("host")?;
    nft(&host, TRACK);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| host.expect_connection(Flow::udp().to(":6000")));
        let sender = bind(&host, "127.0.0.1:5000");
        // What is waited for comes after the wait began, or at once: either way it is found.
        let _seen = sender.send_to(b"x", "127.0.0.1:6000");
        assert_eq!(waiting.join().unwrap()?.source().to_string(), "127.0.0.1:5000");
        Ok(())
    })
}

#[netlab::test]
fn one_that_goes_is_waited_for() -> Result<()> {
    let host = Netns::new("host")?;
    host.set_sysctl("net.netfilter.nf_conntrack_udp_timeout", "1")?.keep();
    nft(&host, TRACK);
    let _seen = bind(&host, "127.0.0.1:5000").send_to(b"x", "127.0.0.1:6000");
    host.expect_connection(Flow::udp())?;
    host.expect_no_connection(Flow::udp())
}

#[netlab::test]
fn what_does_not_come_is_an_error_that_shows_what_there_is() -> Result<()> {
    let host = Netns::new("host")?;
    nft(&host, TRACK);
    let _seen = bind(&host, "127.0.0.1:5000").send_to(b"x", "127.0.0.1:6000");
    let e = host.expect_connection(Flow::tcp().from("127.0.0.1")).unwrap_err();
    assert!(e.is_timeout(), "{e}");
    let lines: Vec<_> = e.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "cannot see a connection `tcp from 127.0.0.1` in `host`: after 2s `host` remembers 1 connections, 0 of them such");
    assert!(lines[1].contains("waiting.rs") && lines[2].contains("udp      17 "), "{e}");
    assert!(host.expect_no_connection(Flow::udp()).is_err_and(|e| e.is_timeout()));
    Ok(())
}
