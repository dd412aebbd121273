//! The listing, beside that of conntrack(8).

use netlab::conntrack::{Connections, End, Part};
use netlab::{Flow, Netns, Probe, Result};

use crate::lab::{Lab, TRACK, bind, conntrack, nft};

/// Compares our listing with conntrack's. Time changes both, so that they are compared when ours was the same before and after.
#[track_caller]
fn same(netns: &Netns) -> String {
    for _ in 0..200 {
        let (before, theirs, after) = (netns.connections(), conntrack(netns, "-L"), netns.connections());
        let (before, after) = (before.unwrap().to_string(), after.unwrap().to_string());
        if before == after {
            assert_eq!(after, theirs);
            assert!(!theirs.is_empty(), "conntrack prints nothing: nothing was compared");
            return theirs;
        }
    }
    panic!("our listing was never the same twice");
}

#[netlab::test]
fn a_namespace_that_tracks_nothing_has_no_connections() -> Result<()> {
    let host = Netns::new("untracked")?;
    let _seen = bind(&host, "127.0.0.1:5000").send_to(b"x", "127.0.0.1:6000");
    assert!(host.connections()?.is_empty());
    assert_eq!(host.connections()?.to_string(), conntrack(&host, "-L"));
    assert_eq!(host.count_connections()?, 0);

    nft(&host, TRACK);
    let _seen = bind(&host, "127.0.0.1:5000").send_to(b"x", "127.0.0.1:6000");
    assert_eq!(host.connections()?.len(), 1, "with a rule that needs it, the same datagram is remembered");
    Ok(())
}

#[netlab::test]
fn every_protocol_reads_as_conntrack_prints_it() -> Result<()> {
    let host = Netns::new("zoo")?;
    nft(&host, TRACK);
    let _web = host.http_server("127.0.0.1:80")?;
    host.http_get("127.0.0.1:80/")?;
    host.expect_ping("127.0.0.1")?;
    host.expect_ping("::1")?;
    bind(&host, "[::1]:5000").send_to(b"x", "[::1]:6000").unwrap();
    let open = host.tcp_server("127.0.0.1:81")?;
    let _open = host.run(|| std::net::TcpStream::connect("127.0.0.1:81")).unwrap().unwrap();
    // GRE, ESP and a protocol that nobody knows; SCTP's INIT.
    for (protocol, packet) in [(47, "00000800"), (50, "0000000100000001"), (253, "00"), (132, SCTP_INIT)] {
        send_raw(&host, protocol, packet);
    }
    drop(open);
    let text = same(&host);
    for word in
        ["tcp      6 ", "udp      17 ", "icmp     1 ", "icmpv6   58 ", "gre      47 ", "unknown  50 ", "unknown  253 ", "sctp     132 "]
    {
        assert!(text.contains(word), "{word} is in\n{text}");
    }
    Ok(())
}

const SCTP_INIT: &str = "1000200000000000000000000100001400000001000100000001000100000001";

/// Sends what no socket of the standard library can.
fn send_raw(netns: &Netns, protocol: i32, hexadecimal: &str) {
    let script = format!(
        "import socket; raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, {protocol}); \
         raw.sendto(bytes.fromhex('{hexadecimal}'), ('127.0.0.1', 0))"
    );
    let status = netns.command("python3").unwrap().args(["-c", &script]).status().expect("`python3` starts");
    assert!(status.success(), "protocol {protocol} is sent");
}

#[netlab::test]
fn zones_marks_counters_ages_and_helpers_read_as_conntrack_prints_them() -> Result<()> {
    let host = Netns::new("zoo")?;
    host.set_sysctl("net.netfilter.nf_conntrack_acct", "1")?.keep();
    host.set_sysctl("net.netfilter.nf_conntrack_timestamp", "1")?.keep();
    nft(
        &host,
        "table inet zoo {
            ct helper ftp { type \"ftp\" protocol tcp; }
            chain first {
                type filter hook output priority raw;
                udp dport 6001 ct original zone set 5
                udp dport 6002 ct reply zone set 6
                udp dport 6003 ct zone set 7
            }
            chain then {
                type filter hook output priority filter;
                udp dport 6003 ct mark set 9
                tcp dport 21 ct helper set \"ftp\"
                ct state new counter
            }
        }",
    );
    let sender = bind(&host, "127.0.0.1:5000");
    for port in 6001..=6003 {
        let _seen = sender.send_to(b"x", ("127.0.0.1", port));
    }
    let _ftp = host.tcp_server("127.0.0.1:21")?;
    let _open = host.run(|| std::net::TcpStream::connect("127.0.0.1:21")).unwrap().unwrap();
    let text = same(&host);
    for word in ["zone-orig=5", "zone-reply=6", "zone=7", "mark=9", "packets=1 bytes=29", "delta-time=", "helper=ftp"] {
        assert!(text.contains(word), "{word} is in\n{text}");
    }
    for (zone, port) in [(5, 6001), (6, 6002), (7, 6003), (0, 21)] {
        let found = host.connections()?.of(Flow::any().zone(zone))?;
        assert_eq!(found.len(), 1, "zone {zone}");
        assert_eq!(found[0].destination().port, Some(port));
    }
    let counted = host.connections()?.of(Flow::udp().to(":6003").mark(9))?;
    assert_eq!(counted[0].original.counters.map(|hits| (hits.packets, hits.bytes)), Some((1, 29)));
    Ok(())
}

#[netlab::test]
fn translations_read_as_conntrack_prints_them_and_in_words() -> Result<()> {
    let lab = Lab::masqueraded()?;
    nft(
        &lab.router,
        "table inet nat {
            chain prerouting { type nat hook prerouting priority dstnat; iifname lan0 tcp dport 8080 dnat ip to 203.0.113.9:80; }
        }",
    );
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let _web = lab.server.http_server("203.0.113.9:80")?;
    lab.laptop.probe(echo.via("203.0.113.9").source("10.0.0.2:5000"))?.expect_source("203.0.113.1:5000")?;
    lab.laptop.http_get("10.0.0.1:8080/")?;
    let text = same(&lab.router);
    assert!(text.contains("dst=203.0.113.1 sport=7000 dport=5000"), "{text}");

    let one = |flow: Flow| Ok(lab.router.connections()?.of(flow)?[0].clone());
    let udp = one(Flow::udp())?;
    assert_eq!(udp.rewriting(), "source 10.0.0.2:5000 -> 203.0.113.1:5000");
    assert_eq!(udp.status.to_string(), "SEEN_REPLY,CONFIRMED,SRC_NAT,SRC_NAT_DONE,DST_NAT_DONE");
    assert_eq!((udp.protocol_name(), udp.is_translated()), ("udp", true));
    assert_eq!(udp.original.part, Part::Ports { sport: 5000, dport: 7000 });
    assert_eq!(udp.seen_source(), End { ip: "203.0.113.1".parse().unwrap(), port: Some(5000) });
    let tcp = one(Flow::tcp())?;
    let port = tcp.source().port.unwrap();
    assert_eq!(tcp.rewriting(), format!("source 10.0.0.2:{port} -> 203.0.113.1:{port}, destination 10.0.0.1:8080 -> 203.0.113.9:80"));
    tcp.expect_source("203.0.113.1")?.expect_destination("203.0.113.9:80")?;

    let server = &lab.server;
    nft(server, TRACK);
    lab.laptop.probe(&echo)?;
    let direct = server.connections()?.of(Flow::udp())?[0].clone();
    assert_eq!((direct.rewriting().as_str(), direct.is_translated()), ("nothing is rewritten", false));
    Ok(())
}

#[netlab::test]
fn a_ping_of_ipv6_is_translated_with_its_identifier() -> Result<()> {
    let lab = Lab::masqueraded()?;
    lab.laptop.expect_ping("2001:db8::9")?;
    same(&lab.router);
    let ping = lab.router.connections()?.of(Flow::icmpv6().translated())?[0].clone();
    let (id, words) = (ping.source().port.unwrap(), ping.rewriting());
    assert_eq!(words, format!("source [fd00:a::2]:{id} -> [2001:db8::1]:{id}"));
    assert_eq!(ping.seen_destination().to_string(), "2001:db8::9");
    Ok(())
}

#[netlab::test]
fn each_word_of_a_flow_finds_what_it_says_and_nothing_else() -> Result<()> {
    let lab = Lab::masqueraded()?;
    nft(&lab.router, "table inet m { chain f { type filter hook forward priority 0; meta l4proto tcp ct mark set 0x17; }; }");
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let web = lab.server.http_server("203.0.113.9:80")?;
    lab.laptop.probe(echo.via("203.0.113.9").source("10.0.0.2:5000"))?;
    lab.laptop.probe(&web)?;
    lab.laptop.expect_ping("2001:db8::9")?;
    lab.router.probe(&echo)?; // not translated
    lab.laptop.expect_unreachable(Probe::udp("203.0.113.77:9"))?; // not answered
    let all = lab.router.connections()?;
    assert_eq!(all.len(), 5, "{all}");

    let count = |flow: Flow| all.clone().of(flow).unwrap().len();
    assert_eq!([count(Flow::any()), count(Flow::tcp()), count(Flow::udp()), count(Flow::icmpv6()), count(Flow::icmp())], [5, 1, 3, 1, 0]);
    assert_eq!([count(Flow::protocol("tcp")), count(Flow::protocol(17)), count(Flow::protocol("sctp"))], [1, 3, 0]);
    assert_eq!([count(Flow::any().ipv4()), count(Flow::any().ipv6())], [4, 1]);
    assert_eq!(
        [count(Flow::any().from("10.0.0.2")), count(Flow::any().from("10.0.0.0/24")), count(Flow::any().from("10.0.1.0/24"))],
        [3, 3, 0]
    );
    assert_eq!([count(Flow::any().from("10.0.0.2:5000")), count(Flow::any().from(":5000")), count(Flow::any().from(":5001"))], [1, 1, 0]);
    assert_eq!([count(Flow::any().to("203.0.113.9")), count(Flow::any().to(":80")), count(Flow::any().to("[2001:db8::9]:80"))], [3, 1, 0]);
    assert_eq!([count(Flow::udp().reply_to("203.0.113.1")), count(Flow::udp().reply_to("10.0.0.2"))], [3, 0]);
    assert_eq!([count(Flow::any().reply_from(":7000")), count(Flow::any().reply_from("203.0.113.77"))], [2, 1]);
    assert_eq!([count(Flow::any().translated()), count(Flow::any().untranslated())], [4, 1]);
    assert_eq!([count(Flow::any().src_nat()), count(Flow::any().dst_nat())], [4, 0]);
    assert_eq!([count(Flow::any().replied()), count(Flow::any().unreplied())], [4, 1]);
    assert_eq!([count(Flow::any().status("CONFIRMED")), count(Flow::any().status("ASSURED"))], [5, 1]);
    assert_eq!([count(Flow::any().mark(0x17)), count(Flow::any().mark(0x16)), count(Flow::any().mark_masked(7, 7))], [1, 0, 1]);
    assert_eq!([count(Flow::any().when("long-lived", |one| one.timeout > Some(60)))], [1]);
    let open = |state: &str| count(Flow::tcp().state(state));
    assert_eq!(["ESTABLISHED", "TIME_WAIT", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "CLOSE"].map(open).iter().sum::<usize>(), 1);
    Ok(())
}

#[netlab::test]
fn a_flow_that_makes_no_sense_is_an_error() -> Result<()> {
    let host = Netns::new("host")?;
    for nonsense in [Flow::any().from("10.0.0.300"), Flow::protocol("tpc"), Flow::any().status("ASSURE")] {
        assert!(host.connections()?.of(nonsense.clone()).is_err_and(|e| e.is_invalid_input()));
        assert!(host.flush_connections_of(nonsense.clone()).is_err_and(|e| e.is_invalid_input()));
        assert!(host.expect_connection(nonsense.clone()).is_err_and(|e| e.is_invalid_input()));
        assert!(host.expect_no_connection(nonsense).is_err_and(|e| e.is_invalid_input()));
    }
    let e = host.connections()?.of(Flow::udp().from("10.0.0.300")).unwrap_err();
    insta::assert_snapshot!(e.to_string().lines().next().unwrap_or_default(), @"cannot choose connections by `udp`: `from 10.0.0.300`: expected an address, a net, an address and a port, or a port, such as `10.0.0.2`, `10.0.0.0/24`, `10.0.0.2:80` or `:80`");
    Ok(())
}

#[netlab::test]
fn the_normalised_text_is_the_same_from_run_to_run() -> Result<()> {
    let lab = Lab::masqueraded()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let web = lab.server.http_server("203.0.113.9:80")?;
    lab.laptop.probe(&echo)?;
    lab.laptop.probe(&echo)?;
    lab.laptop.probe(&web)?;
    lab.laptop.probe(echo.via("203.0.113.9").source("10.0.0.2:5000"))?;
    lab.laptop.expect_ping("203.0.113.9")?;
    lab.laptop.expect_ping("2001:db8::9")?;
    lab.router.expect_connection(Flow::tcp().state("TIME_WAIT"))?;
    let connections = lab.router.connections()?.normalised();
    insta::assert_snapshot!(connections, @"
    icmp     1 src=10.0.0.2 dst=203.0.113.9 type=8 code=0 id=1 src=203.0.113.9 dst=203.0.113.1 type=0 code=0 id=1 mark=0
    tcp      6 TIME_WAIT src=10.0.0.2 dst=203.0.113.9 sport=32768 dport=80 src=203.0.113.9 dst=203.0.113.1 sport=80 dport=32768 [ASSURED] mark=0
    udp      17 src=10.0.0.2 dst=203.0.113.9 sport=32769 dport=7000 src=203.0.113.9 dst=203.0.113.1 sport=7000 dport=32769 mark=0
    udp      17 src=10.0.0.2 dst=203.0.113.9 sport=32770 dport=7000 src=203.0.113.9 dst=203.0.113.1 sport=7000 dport=32770 mark=0
    udp      17 src=10.0.0.2 dst=203.0.113.9 sport=5000 dport=7000 src=203.0.113.9 dst=203.0.113.1 sport=7000 dport=5000 mark=0
    icmpv6   58 src=fd00:a::2 dst=2001:db8::9 type=128 code=0 id=2 src=2001:db8::9 dst=2001:db8::1 type=129 code=0 id=2 mark=0
    ");
    assert_eq!(connections.clone().normalised(), connections);
    Ok(())
}

#[netlab::test]
fn a_listing_is_the_same_after_json() -> Result<()> {
    let lab = Lab::masqueraded()?;
    lab.router.set_sysctl("net.netfilter.nf_conntrack_acct", "1")?.keep();
    let web = lab.server.http_server("203.0.113.9:80")?;
    lab.laptop.probe(&web)?;
    lab.laptop.expect_ping("2001:db8::9")?;
    let connections = lab.router.connections()?;
    let json = serde_json::to_string(&connections).unwrap();
    assert!(json.contains("\"SEEN_REPLY,") && json.contains("\"packets\":"), "{json}");
    assert_eq!(serde_json::from_str::<Connections>(&json).unwrap(), connections);
    assert!(serde_json::from_str::<Connections>(&json.replace("SEEN_REPLY", "NONSENSE")).is_err());
    Ok(())
}
