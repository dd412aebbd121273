//! Responders: who they are and whom they see, where they are bound, and that nothing of them stays.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use netlab::{Netns, Probe, Reason, Responder, Result, Speaks, VethPair};

const SHORT: Duration = Duration::from_millis(200);

fn pair() -> Result<(Netns, Netns, VethPair)> {
    let (client, server) = (Netns::new("client")?, Netns::new("server")?);
    let cable = VethPair::connect(
        client.iface("eth0").addr("10.0.0.1/24").addr("fd00::1/64"),
        server.iface("eth0").addr("10.0.0.2/24").addr("10.0.0.3/24").addr("fd00::2/64"),
    )?;
    Ok((client, server, cable))
}

/// The threads of this process that serve responders.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
    names.filter(|name| name.starts_with("netlab responde")).count()
}

#[netlab::test]
fn every_responder_tells_its_name_and_the_client_it_sees() -> Result<()> {
    let (client, server, _cable) = pair()?;
    for (host, seen) in [("10.0.0.2", "10.0.0.1"), ("[fd00::2]", "fd00::1")] {
        let responders: [Responder; 3] = [
            server.serve("udp1").udp_echo(format!("{host}:80"))?,
            server.serve("tcp1").tcp(format!("{host}:80"))?,
            server.serve("web1").http(format!("{host}:81"))?,
        ];
        for responder in &responders {
            assert_eq!((responder.hits(), responder.last_client()), (0, None));
            let answer = client.probe(responder)?.expect_source(seen)?.expect_server(responder.name())?;
            assert_eq!(answer.source(), answer.local(), "nobody translates");
            assert_eq!(responder.last_client(), answer.local());
            responder.expect_hits(1)?;
        }
        assert_eq!(responders[2].speaks(), Speaks::Http);
        assert!(responders[2].expect_hits(0).is_err_and(|e| e.is_unexpected()));
    }
    let echo = server.udp_echo("10.0.0.2:7000")?;
    let answer = client.probe(echo.via("10.0.0.2").size(10))?;
    assert_eq!(answer.body(), format!("name=server client={}\nnnnnnnnnnn", answer.local().unwrap()));
    Ok(())
}

#[netlab::test]
fn a_wildcard_serves_both_families_unless_it_is_v6_only() -> Result<()> {
    let (client, server, _cable) = pair()?;
    let dual = server.serve("dual").http("[::]:80")?;
    client.probe(dual.via("10.0.0.2"))?.expect_server("dual")?.expect_source("10.0.0.1")?;
    client.probe(dual.via("fd00::2"))?.expect_source("fd00::1")?;
    assert!(server.bind_tcp("0.0.0.0:80").is_err_and(|e| e.is_exists()));
    let echo = server.serve("dual").udp_echo("[::]:7000")?;
    client.probe(echo.via("10.0.0.3"))?.expect_source("10.0.0.1")?;
    client.probe(echo.via("fd00::2"))?.expect_source("fd00::1")?;

    let v6 = server.serve("v6").v6_only().http("[::]:81")?;
    client.probe(v6.via("fd00::2"))?;
    client.expect_unreachable(v6.via("10.0.0.2"))?.by(Reason::Refused)?;
    let v4 = server.serve("v4").http("0.0.0.0:81")?;
    client.probe(v4.via("10.0.0.2"))?.expect_server("v4")?;
    client.probe(v6.via("fd00::2"))?.expect_server("v6")?;
    assert!(client.observe(&v4).is_err_and(|e| e.is_invalid_input() && e.to_string().contains(".via(")), "0.0.0.0 is nobody's address");
    Ok(())
}

#[netlab::test]
fn loopback_is_each_namespace_s_own() -> Result<()> {
    let (client, server, _cable) = pair()?;
    for (host, outside) in [("127.0.0.1", "10.0.0.2"), ("[::1]", "[fd00::2]")] {
        let web = server.http_server(format!("{host}:80"))?;
        server.probe(&web)?.expect_source(host.trim_matches(['[', ']']))?;
        client.expect_unreachable(&web)?.by(Reason::Refused)?;
        client.expect_unreachable(web.via(format!("{outside}:80")))?.by(Reason::Refused)?;
        let own = client.serve("other").http(format!("{host}:80"))?;
        client.probe(&own)?.expect_server("other")?;
        server.probe(&web)?.expect_server("server")?;
    }
    Ok(())
}

#[netlab::test]
fn udp_answers_come_from_the_address_that_was_asked() -> Result<()> {
    let (client, server, _cable) = pair()?;
    let everywhere = server.udp_echo("0.0.0.0:7000")?;
    for asked in ["10.0.0.2", "10.0.0.3"] {
        // The probe's socket is connected: an answer from another address would be silence.
        client.probe(everywhere.via(asked).within(SHORT))?;
    }
    Ok(())
}

#[netlab::test]
fn a_taken_port_names_who_has_it() -> Result<()> {
    let (_client, server, _cable) = pair()?;
    let web1 = server.serve("web1").http("0.0.0.0:80")?;
    for refused in [server.serve("web2").http("10.0.0.2:80").map(drop), server.bind_tcp("10.0.0.2:80").map(drop)] {
        let error = refused.unwrap_err();
        assert_eq!(error.errno(), Some(libc::EADDRINUSE));
        assert!(error.to_string().contains("HTTP server `web1`, started at tests/serve.rs:"), "{error}");
        assert!(error.to_string().contains("is bound to 0.0.0.0:80"), "{error}");
    }
    drop(server.bind_udp("10.0.0.2:80")?);
    drop(web1);
    drop(server.bind_tcp("10.0.0.2:80")?);

    let foreign = server.run(|| UdpSocket::bind("10.0.0.2:7000"))?.unwrap();
    let error = server.udp_echo("10.0.0.2:7000").unwrap_err();
    assert!(error.is_exists() && error.to_string().contains("no responder of this test"), "{error}");
    drop(foreign);
    server.udp_echo("10.0.0.2:7000")?.close()?;

    let held = server.bind_tcp("10.0.0.2:80")?;
    assert_eq!(held.address().to_string(), "10.0.0.2:80");
    assert!(server.http_server("10.0.0.2:80").is_err_and(|e| e.is_exists()));
    Ok(())
}

#[netlab::test]
fn two_responders_share_a_port_if_both_say_so() -> Result<()> {
    let (client, server, _cable) = pair()?;
    let one = server.serve("one").reuse_port().http("10.0.0.2:80")?;
    assert!(server.serve("two").http("10.0.0.2:80").is_err_and(|e| e.is_exists()));
    let two = server.serve("two").reuse_port().http("10.0.0.2:80")?;
    for _ in 0..40 {
        client.probe(Probe::http("10.0.0.2"))?;
    }
    assert!(one.hits() > 0 && two.hits() > 0 && one.hits() + two.hits() == 40, "{} {}", one.hits(), two.hits());
    Ok(())
}

#[netlab::test]
fn an_address_of_somebody_else_is_refused_with_those_that_are_there() -> Result<()> {
    let (_client, server, _cable) = pair()?;
    for refused in [server.http_server("10.0.0.9:80").map(drop), server.bind_udp("10.0.0.9:80").map(drop)] {
        let error = refused.unwrap_err();
        assert_eq!(error.errno(), Some(libc::EADDRNOTAVAIL));
        assert!(error.is_not_found() && error.to_string().contains("10.0.0.2/24 on eth0, 10.0.0.3/24 on eth0"), "{error}");
    }
    for nonsense in ["10.0.0.2", "80", "fd00::2:80", "server:80", "10.0.0.2:http", ""] {
        assert!(server.http_server(nonsense).is_err_and(|e| e.is_invalid_input()), "{nonsense}");
    }
    assert!(server.serve("my web").http("10.0.0.2:80").is_err_and(|e| e.is_invalid_input()));
    Ok(())
}

#[netlab::test]
fn a_low_port_needs_privilege() -> Result<()> {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let (_client, server, _cable) = pair()?;
    drop(server.bind_tcp("10.0.0.2:80")?);
    std::thread::scope(|scope| {
        let unprivileged = scope.spawn(|| {
            let mut mine = capabilities(None).unwrap();
            mine.effective.remove(CapabilitySet::NET_BIND_SERVICE);
            set_capabilities(None, mine).unwrap();
            (server.bind_tcp("10.0.0.2:80").map(drop), server.bind_tcp("10.0.0.2:1024").map(drop))
        });
        let (low, high) = unprivileged.join().unwrap();
        assert_eq!(low.unwrap_err().errno(), Some(libc::EACCES));
        high.unwrap();
    });
    drop(server.bind_tcp("10.0.0.2:80")?);
    Ok(())
}

#[netlab::test]
fn a_dropped_responder_frees_its_port_at_once_and_resets_its_connections() -> Result<()> {
    let (client, server, _cable) = pair()?;
    for _ in 0..50 {
        let web = server.http_server("10.0.0.2:80")?;
        let mut held = client.run(|| TcpStream::connect("10.0.0.2:80"))?.unwrap();
        held.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert!(page(&mut held, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 200"));
        drop(web);
        assert!(matches!(held.read(&mut [0]), Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset));
        client.expect_unreachable(Probe::http("10.0.0.2"))?.by(Reason::Refused)?;
        let echo = server.udp_echo("10.0.0.2:7000")?;
        client.probe(&echo)?;
    }
    Ok(())
}

/// Sends a request and reads its answer by the length that it tells.
fn page(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut answer = String::new();
    while !answer.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut answer).unwrap(), 0, "{answer}");
    }
    let length = answer.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; if request.starts_with("HEAD") { 0 } else { length }];
    reader.read_exact(&mut body).unwrap();
    answer + str::from_utf8(&body).unwrap()
}

#[netlab::test]
fn http_keeps_a_connection_alive_until_one_side_says_close() -> Result<()> {
    let (client, server, _cable) = pair()?;
    let web = server.http_server("10.0.0.2:80")?;
    client
        .run(|| {
            let mut stream = TcpStream::connect("10.0.0.2:80").unwrap();
            let line = format!("name=server client={}\n", stream.local_addr().unwrap());
            for _ in 0..3 {
                assert!(page(&mut stream, "GET /any HTTP/1.1\r\nHost: a\r\n\r\n").ends_with(&line));
            }
            assert!(page(&mut stream, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").ends_with("\r\n\r\n"));
            let posted = page(&mut stream, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
            assert!(posted.starts_with("HTTP/1.1 405"), "{posted}");
            assert!(page(&mut stream, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n").ends_with(&line));
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        })
        .unwrap();
    web.expect_hits(6)
}

#[netlab::test]
fn curl_and_python_understand_the_page() -> Result<()> {
    let (client, server, _cable) = pair()?;
    let web = server.http_server("[fd00::2]:8080")?;
    let output = client.command("curl")?.args(["-sS", "--max-time", "5", "http://[fd00::2]:8080/a", "http://[fd00::2]:8080/b"]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("name=server client=[fd00::1]:"), "{text}");
    assert_eq!(lines[0], lines[1], "one connection");
    web.expect_hits(2)
}

#[netlab::test]
fn tcp_sends_back_every_byte_to_a_slow_reader() -> Result<()> {
    let (client, server, _cable) = pair()?;
    let tcp = server.tcp_server("10.0.0.2:7")?;
    let sent: Vec<u8> = (0..8_000_000u32).map(|n| n as u8).collect();
    let received = client.run(|| {
        let mut stream = TcpStream::connect("10.0.0.2:7").unwrap();
        let mut writer = stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&sent).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            received
        })
    })?;
    let greeting = received.len() - sent.len();
    assert!(received.starts_with(b"name=server client=10.0.0.1:"));
    assert!(received[greeting..] == sent[..]);
    tcp.expect_hits(1)
}

#[netlab::test]
fn a_sink_takes_everything_and_says_nothing() -> Result<()> {
    let (client, server, _cable) = pair()?;
    let (udp, tcp) = (server.serve("hole").udp_sink("10.0.0.2:7000")?, server.serve("hole").tcp_sink("10.0.0.2:80")?);
    client.expect_unreachable(udp.via("10.0.0.2").within(SHORT))?.by(Reason::Silence)?;
    client.expect_unreachable(tcp.via("10.0.0.2").within(SHORT))?.by(Reason::Silence)?;
    client.expect_unreachable(Probe::http("10.0.0.2").within(SHORT))?.by(Reason::Silence)?;
    client.probe(Probe::tcp("10.0.0.2:80"))?; // the handshake is an answer
    udp.expect_hits(1)?;
    tcp.expect_hits(3)
}

#[netlab::test]
fn a_thousand_responders_are_one_thread_which_ends_with_the_last() -> Result<()> {
    let (client, server, _cable) = pair()?;
    assert_eq!(threads(), 0);
    let mut all = Vec::new();
    for port in 1000..1500 {
        all.push(server.udp_echo(format!("10.0.0.2:{port}"))?);
        all.push(server.http_server(format!("10.0.0.2:{port}"))?);
    }
    assert_eq!(threads(), 1);
    for responder in all.iter().step_by(97) {
        client.probe(responder)?;
    }
    let last = all.pop();
    drop(all);
    assert_eq!(threads(), 1);
    client.probe(last.as_ref().unwrap())?;
    drop(last);
    assert_eq!(threads(), 0);
    client.probe(&server.udp_echo("10.0.0.2:1000")?)?;
    Ok(())
}

#[netlab::test]
fn a_panic_and_another_thread_stop_a_responder_as_well() -> Result<()> {
    let (client, server, _cable) = pair()?;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _web = server.http_server("10.0.0.2:80").unwrap();
        client.probe(Probe::http("10.0.0.2")).unwrap();
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    client.expect_unreachable(Probe::http("10.0.0.2"))?.by(Reason::Refused)?;
    let web = server.http_server("10.0.0.2:80")?;
    client.probe(&web)?;
    std::thread::spawn(move || drop(web)).join().unwrap();
    client.expect_unreachable(Probe::http("10.0.0.2"))?.by(Reason::Refused)?;
    Ok(())
}

#[netlab::test]
fn a_responder_outlives_every_other_handle_of_its_namespace() -> Result<()> {
    let (client, server, cable) = pair()?;
    let echo = server.udp_echo("10.0.0.2:7000")?;
    drop(server);
    client.probe(&echo)?;
    assert_eq!(echo.netns().name(), "server");
    drop(cable);
    client.expect_unreachable(&echo)?.by(libc::ENETUNREACH)?;
    Ok(())
}
