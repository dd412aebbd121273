//! The TCP proxy: what is said on one connection is said on the other, its ends and breaks too; and the client is hidden.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use netlab::{Netns, Probe, Reason, Result, Route, Speaks, VethPair};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(5);

/// client — proxy — server, and no way round.
fn lab() -> Result<(Netns, Netns, Netns, [VethPair; 2])> {
    let (client, proxy, server) = (Netns::new("client")?, Netns::new("proxy")?, Netns::new("server")?);
    let front = VethPair::connect(
        client.iface("eth0").addr("10.0.0.1/24").addr("fd00::1/64"),
        proxy.iface("front").addr("10.0.0.2/24").addr("fd00::2/64"),
    )?;
    let back = VethPair::connect(proxy.iface("back").addr("10.1.0.1/24"), server.iface("eth0").addr("10.1.0.2/24"))?;
    Ok((client, proxy, server, [front, back]))
}

fn connect(from: &Netns, to: &str) -> Result<TcpStream> {
    let stream = from.run(|| TcpStream::connect(to))?.unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    Ok(stream)
}

/// Accepts one connection, by whatever server of one's own.
fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

fn assert_reset(stream: &mut TcpStream) {
    let outcome = stream.read(&mut [0]);
    assert!(matches!(&outcome, Err(e) if e.kind() == ErrorKind::ConnectionReset), "{outcome:?}");
}

#[netlab::test]
fn a_server_behind_a_proxy_sees_the_proxy_and_the_proxy_sees_the_client() -> Result<()> {
    let (client, proxy, server, _cables) = lab()?;
    let web = server.http_server("10.1.0.2:8000")?;
    client.expect_unreachable(&web)?.by(libc::ENETUNREACH)?;
    client.expect_unreachable(Probe::http("10.0.0.2:80"))?.by(Reason::Refused)?;
    let relay = proxy.serve("relay").tcp_proxy("[::]:80", "10.1.0.2:8000")?;
    for (asked, seen) in [("10.0.0.2:80", "10.0.0.1"), ("[fd00::2]:80", "fd00::1")] {
        let page = client.http_get(asked)?.expect_server("server")?.expect_source("10.1.0.1")?;
        assert_eq!(relay.last_client(), page.local(), "{seen}");
    }
    client.probe(relay.via("10.0.0.2"))?;
    assert_eq!((relay.speaks(), relay.to_string().as_str()), (Speaks::TcpProxy, "TCP proxy `relay` at [::]:80 in `proxy`"));
    relay.expect_hits(3)?;
    web.expect_hits(2)?;
    drop(relay);
    client.expect_unreachable(Probe::http("10.0.0.2:80"))?.by(Reason::Refused)?;
    drop(proxy.bind_tcp("[::]:80")?);
    Ok(())
}

#[netlab::test]
fn every_byte_passes_both_ways_however_slow_the_reader_and_so_does_the_end() -> Result<()> {
    let (client, proxy, server, _cables) = lab()?;
    let echo = server.tcp_server("10.1.0.2:7")?;
    let _relay = proxy.serve("relay").tcp_proxy("10.0.0.2:7", "10.1.0.2:7")?;
    let sent: Vec<u8> = (0..8_000_000u32).map(|n| (n >> 3) as u8).collect();
    let mut stream = connect(&client, "10.0.0.2:7")?;
    let mut writer = stream.try_clone().unwrap();
    let received = thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        received
    });
    let greeting = received.len() - sent.len();
    assert!(received.starts_with(b"name=server client=10.1.0.1:") && received[greeting..] == sent[..]);
    echo.expect_hits(1)
}

#[netlab::test]
fn a_side_that_has_ended_still_hears_the_other() -> Result<()> {
    let (client, proxy, server, _cables) = lab()?;
    let listener = server.run(|| TcpListener::bind("10.1.0.2:80"))?.unwrap();
    let _relay = proxy.serve("relay").tcp_proxy("10.0.0.2:80", "10.1.0.2:80")?;
    let mut asking = connect(&client, "10.0.0.2:80")?;
    let mut answering = accept(&listener);
    let mut heard = String::new();
    asking.write_all(b"question").unwrap();
    asking.shutdown(Shutdown::Write).unwrap();
    answering.read_to_string(&mut heard).unwrap();
    answering.write_all(b"answer").unwrap();
    drop(answering);
    asking.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "questionanswer");
    Ok(())
}

#[netlab::test]
fn a_target_that_cannot_be_had_breaks_the_client_s_connection_off() -> Result<()> {
    let (client, proxy, server, _cables) = lab()?;
    let _relay = proxy.serve("relay").tcp_proxy("10.0.0.2:80", "10.1.0.2:80")?;
    let _nowhere = proxy.serve("nowhere").tcp_proxy("10.0.0.2:81", "192.0.2.1:80")?;
    for port in [80, 81] {
        for _ in 0..20 {
            assert_reset(&mut connect(&client, &format!("10.0.0.2:{port}"))?);
        }
        client.expect_unreachable(Probe::http(format!("10.0.0.2:{port}")))?.by(Reason::Reset)?;
    }
    let web = server.http_server("10.1.0.2:80")?;
    client.http_get("10.0.0.2:80")?.expect_server("server")?;
    drop(web);
    let _silent = Route::blackhole("10.1.0.1").install(&server)?;
    client.expect_unreachable(Probe::http("10.0.0.2:80").within(SHORT))?.by(Reason::Silence)?;
    Ok(())
}

#[netlab::test]
fn a_break_passes_from_either_side_to_the_other() -> Result<()> {
    let (client, proxy, server, _cables) = lab()?;
    let listener = server.run(|| TcpListener::bind("10.1.0.2:80"))?.unwrap();
    let relay = proxy.serve("relay").tcp_proxy("10.0.0.2:80", "10.1.0.2:80")?;
    let pair = || -> Result<(TcpStream, TcpStream)> {
        let (mut near, mut far) = (connect(&client, "10.0.0.2:80")?, accept(&listener));
        near.write_all(b"a").unwrap();
        far.read_exact(&mut [0]).unwrap();
        far.write_all(b"b").unwrap();
        near.read_exact(&mut [0]).unwrap();
        Ok((near, far))
    };
    // A socket that is closed with unread bytes resets its connection.
    for _ in 0..20 {
        let (mut near, far) = pair()?;
        near.write_all(b"unread").unwrap();
        far.peek(&mut [0]).unwrap();
        drop(far);
        assert_reset(&mut near);
        let (near, mut far) = pair()?;
        far.write_all(b"unread").unwrap();
        near.peek(&mut [0]).unwrap();
        drop(near);
        assert_reset(&mut far);
    }
    let (mut near, mut far) = pair()?;
    drop(relay);
    assert_reset(&mut near);
    assert_reset(&mut far);
    Ok(())
}

#[netlab::test]
fn connections_that_are_half_or_wholly_over_cost_no_time() -> Result<()> {
    let (client, proxy, server, _cables) = lab()?;
    let listener = server.run(|| TcpListener::bind("10.1.0.2:80"))?.unwrap();
    let _relay = proxy.serve("relay").tcp_proxy("10.0.0.2:80", "10.1.0.2:80")?;
    let mut open = Vec::new();
    for _ in 0..10 {
        let (near, mut far) = (connect(&client, "10.0.0.2:80")?, accept(&listener));
        near.shutdown(Shutdown::Write).unwrap();
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
        open.push((near, far));
    }
    open.truncate(5);
    let before = ticks();
    thread::sleep(Duration::from_millis(300)); // to see what the thread does when nobody asks it for anything
    let spent = ticks() - before;
    assert!(spent < 10, "{spent} hundredths of a second");
    Ok(())
}

/// The CPU time of the responders' thread, in hundredths of a second.
fn ticks() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path().join("stat"));
    let lines = tasks.filter_map(|stat| fs::read_to_string(stat).ok());
    let line = lines.into_iter().find(|line| line.contains("(netlab responde")).unwrap();
    let fields: Vec<_> = line.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum()
}

#[netlab::test]
fn a_target_is_an_address_and_a_port() -> Result<()> {
    let proxy = Netns::new("proxy")?;
    for nonsense in ["10.1.0.2", "server:80", ""] {
        let error = proxy.serve("relay").tcp_proxy("127.0.0.1:80", nonsense).unwrap_err();
        assert!(error.is_invalid_input() && error.to_string().starts_with("cannot start TCP proxy `relay` in `proxy` to `"), "{error}");
    }
    drop(proxy.bind_tcp("127.0.0.1:80")?);
    Ok(())
}
