//! Probes: every outcome, made by a real network, with its positive beside it.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType};

use netlab::{IcmpKind, Netns, Outcome, Probe, Reason, Result, VethPair};

/// laptop 10.0.0.2 -- 10.0.0.1 router 203.0.113.1 -- 203.0.113.9 server, and the same with IPv6; everybody knows the way back.
struct Lab {
    laptop: Netns,
    router: Netns,
    server: Netns,
    _lan: VethPair,
    wan: VethPair,
}

impl Lab {
    fn new() -> Result<Self> {
        let (laptop, router, server) = (Netns::new("laptop")?, Netns::new("router")?, Netns::new("server")?);
        let lan = VethPair::connect(
            laptop.iface("eth0").addr("10.0.0.2/24").addr("fd00::2/64").gateway("10.0.0.1").gateway("fd00::1"),
            router.iface("lan0").addr("10.0.0.1/24").addr("fd00::1/64"),
        )?;
        let wan = VethPair::connect(
            router.iface("wan0").addr("203.0.113.1/24").addr("fd01::1/64"),
            server.iface("eth0").addr("203.0.113.9/24").addr("fd01::9/64").gateway("203.0.113.1").gateway("fd01::1"),
        )?;
        set(&router, "net/ipv4/ip_forward", "1");
        set(&router, "net/ipv6/conf/all/forwarding", "1");
        Ok(Self { laptop, router, server, _lan: lan, wan })
    }
}

fn set(netns: &Netns, key: &str, value: &str) {
    netns.run(|| std::fs::write(format!("/proc/sys/{key}"), value)).unwrap().unwrap();
}

fn ip(netns: &Netns, arguments: &str) {
    let mut command: Command = netns.command("ip").unwrap();
    let output = command.args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

fn nft(netns: &Netns, rule: &str) {
    let status = netns.command("nft").unwrap().arg(rule).status().unwrap();
    assert!(status.success(), "nft {rule}");
}

#[netlab::test]
fn a_reply_tells_who_answered_after_how_many_hops() -> Result<()> {
    let lab = Lab::new()?;
    for (target, near) in [("203.0.113.9", "10.0.0.1"), ("fd01::9", "fd00::1")] {
        let reply = lab.laptop.expect_ping(target)?.expect_ttl(63)?;
        assert_eq!(reply.from().ip().to_string(), target);
        assert_eq!(reply.body().len(), 56);
        assert!(reply.time() < Duration::from_secs(1));
        lab.laptop.expect_ping(near)?.expect_ttl(64)?;
    }
    let wrong = lab.laptop.expect_ping("203.0.113.9")?.expect_ttl(64).unwrap_err();
    assert!(wrong.is_unexpected() && wrong.to_string().contains("it is 63"), "{wrong}");
    Ok(())
}

#[netlab::test]
fn a_host_pings_its_own_addresses() -> Result<()> {
    let lab = Lab::new()?;
    for own in ["127.0.0.1", "::1", "10.0.0.2", "fd00::2"] {
        lab.laptop.expect_ping(own)?.expect_ttl(64)?;
    }
    ip(&lab.laptop, "link set lo down");
    lab.laptop.expect_unreachable(Probe::ping("10.0.0.2").within(Duration::from_millis(200)))?;
    lab.laptop.expect_ping("10.0.0.1")?;
    Ok(())
}

#[netlab::test]
fn a_lost_way_back_is_silence() -> Result<()> {
    let lab = Lab::new()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let web = lab.server.http_server("203.0.113.9:80")?;
    let patient = Duration::from_millis(200);
    lab.laptop.probe(&echo)?;
    lab.laptop.probe(&web)?;
    ip(&lab.server, "route del default");
    ip(&lab.server, "route add blackhole 10.0.0.0/24");
    lab.router.probe(&echo)?;
    let began = Instant::now();
    lab.laptop.expect_unreachable(echo.via("203.0.113.9").within(patient))?.by(Reason::Silence)?;
    assert!(began.elapsed() >= patient);
    lab.laptop.expect_unreachable(web.via("203.0.113.9").within(patient))?.by(Reason::Silence)?;
    lab.laptop.expect_unreachable(Probe::ping("203.0.113.9").within(patient))?.by(Reason::Silence)?;
    echo.expect_hits(3)?; // it did arrive
    Ok(())
}

#[netlab::test]
fn a_far_link_that_is_down_is_silence_or_an_icmp_error_of_the_router() -> Result<()> {
    let lab = Lab::new()?;
    lab.laptop.expect_ping("203.0.113.9")?;
    lab.wan.right().down()?;
    // The router's own end has lost its carrier; its route stays, and its packets go nowhere.
    let outcome = lab.laptop.expect_no_ping("203.0.113.9")?;
    assert!(matches!(outcome.outcome(), Outcome::Silence { .. } | Outcome::IcmpError(_)), "{outcome:?}");
    lab.wan.right().up()?;
    ip(&lab.server, "route add default via 203.0.113.1");
    lab.laptop.expect_ping("203.0.113.9")?;
    Ok(())
}

#[netlab::test]
fn no_route_is_enetunreach_for_every_protocol() -> Result<()> {
    let lonely = Netns::new("lonely")?;
    for (host, bracketed) in [("203.0.113.9", "203.0.113.9"), ("fd01::9", "[fd01::9]")] {
        lonely.expect_no_ping(host)?.by(libc::ENETUNREACH)?;
        lonely.expect_unreachable(Probe::udp(format!("{bracketed}:7000")))?.by(libc::ENETUNREACH)?;
        lonely.expect_unreachable(Probe::tcp(format!("{bracketed}:80")))?.by(libc::ENETUNREACH)?;
        lonely.expect_unreachable(Probe::http(format!("http://{bracketed}/")))?.by(libc::ENETUNREACH)?;
    }
    lonely.expect_ping("127.0.0.1")?;
    Ok(())
}

#[netlab::test]
fn an_unanswered_neighbour_is_ehostunreach_for_every_protocol() -> Result<()> {
    let lab = Lab::new()?;
    for (nobody, bracketed, somebody) in [("10.0.0.77", "10.0.0.77", "10.0.0.1"), ("fd00::77", "[fd00::77]", "fd00::1")] {
        let began = Instant::now();
        lab.laptop.expect_no_ping(nobody)?.by(libc::EHOSTUNREACH)?;
        lab.laptop.expect_unreachable(Probe::udp(format!("{bracketed}:7000")))?.by(libc::EHOSTUNREACH)?;
        lab.laptop.expect_unreachable(Probe::tcp(format!("{bracketed}:80")))?.by(libc::EHOSTUNREACH)?;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        lab.laptop.expect_ping(somebody)?;
    }
    Ok(())
}

#[netlab::test]
fn route_types_are_their_errnos() -> Result<()> {
    let lab = Lab::new()?;
    lab.laptop.expect_ping("203.0.113.9")?;
    for (kind, errno) in [("blackhole", libc::EINVAL), ("prohibit", libc::EACCES), ("unreachable", libc::EHOSTUNREACH)] {
        for (prefix, host, bracketed) in [("203.0.113.0/24", "203.0.113.9", "203.0.113.9"), ("fd01::/64", "fd01::9", "[fd01::9]")] {
            ip(&lab.laptop, &format!("route add {kind} {prefix}"));
            lab.laptop.expect_no_ping(host)?.by(errno)?;
            lab.laptop.expect_unreachable(Probe::udp(format!("{bracketed}:7000")))?.by(errno)?;
            lab.laptop.expect_unreachable(Probe::tcp(format!("{bracketed}:80")))?.by(errno)?;
            ip(&lab.laptop, &format!("route del {kind} {prefix}"));
            lab.laptop.expect_ping(host)?;
        }
    }
    Ok(())
}

#[netlab::test]
fn a_router_without_a_route_says_so_by_icmp() -> Result<()> {
    let lab = Lab::new()?;
    for (nowhere, bracketed, router) in [("198.51.100.1", "198.51.100.1", "10.0.0.1"), ("fd99::1", "[fd99::1]", "fd00::1")] {
        let reason = || IcmpKind::NetUnreachable.sent_by(router);
        lab.laptop.expect_no_ping(nowhere)?.by(reason())?;
        lab.laptop.expect_unreachable(Probe::udp(format!("{bracketed}:7000")))?.by(reason())?;
        lab.laptop.expect_unreachable(Probe::tcp(format!("{bracketed}:80")))?.by(reason())?;
        let wrong = lab.laptop.expect_no_ping(nowhere)?.by(IcmpKind::NetUnreachable.sent_by("192.0.2.1")).unwrap_err();
        assert!(wrong.is_unexpected() && wrong.to_string().contains(&format!("from {router}")), "{wrong}");
        assert!(wrong.to_string().contains("ICMP network unreachable (type"), "the router says it, not this host: {wrong}");
    }
    Ok(())
}

#[netlab::test]
fn a_router_whose_neighbour_is_silent_says_so_by_icmp() -> Result<()> {
    let lab = Lab::new()?;
    for (nobody, router) in [("203.0.113.77", "10.0.0.1"), ("fd01::77", "fd00::1")] {
        lab.laptop.expect_no_ping(nobody)?.by(IcmpKind::HostUnreachable.sent_by(router))?;
    }
    lab.laptop.expect_ping("203.0.113.9")?;
    Ok(())
}

#[netlab::test]
fn a_hop_limit_that_runs_out_tells_the_hop() -> Result<()> {
    let lab = Lab::new()?;
    for (target, router) in [("203.0.113.9", "10.0.0.1"), ("fd01::9", "fd00::1")] {
        lab.laptop.expect_unreachable(Probe::ping(target).ttl(1))?.by(IcmpKind::TimeExceeded.sent_by(router))?;
        lab.laptop.probe(Probe::ping(target).ttl(2))?;
    }
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    lab.laptop.expect_unreachable(echo.via("203.0.113.9").ttl(1))?.by(IcmpKind::TimeExceeded.sent_by("10.0.0.1"))?;
    assert_eq!(echo.hits(), 0);
    Ok(())
}

#[netlab::test]
fn a_firewall_s_icmp_is_told_from_a_closed_port() -> Result<()> {
    let lab = Lab::new()?;
    let web = lab.server.tcp_server("203.0.113.9:80")?;
    lab.laptop.probe(&web)?;
    lab.laptop.expect_unreachable(Probe::tcp("203.0.113.9:81"))?.by(Reason::Refused)?;
    nft(
        &lab.router,
        "table ip f { chain c { type filter hook forward priority 0; tcp dport 80 reject with icmp admin-prohibited; tcp dport 81 reject with icmp port-unreachable; }; }",
    );
    lab.laptop.expect_unreachable(&web)?.by(IcmpKind::Prohibited.sent_by("10.0.0.1"))?;
    lab.laptop.expect_unreachable(Probe::tcp("203.0.113.9:81"))?.by(IcmpKind::PortUnreachable.sent_by("10.0.0.1"))?;
    lab.router.probe(&web)?;
    nft(&lab.router, "delete table ip f");
    lab.laptop.probe(&web)?;
    Ok(())
}

#[netlab::test]
fn an_output_rule_that_drops_is_eperm_on_this_host() -> Result<()> {
    let lab = Lab::new()?;
    lab.laptop.expect_ping("10.0.0.1")?;
    nft(&lab.laptop, "table ip f { chain c { type filter hook output priority 0; icmp type echo-request drop; }; }");
    lab.laptop.expect_no_ping("10.0.0.1")?.by(libc::EPERM)?;
    nft(&lab.laptop, "delete table ip f");
    lab.laptop.expect_ping("10.0.0.1")?;
    Ok(())
}

#[netlab::test]
fn a_closed_port_refuses() -> Result<()> {
    let lab = Lab::new()?;
    for host in ["203.0.113.9", "[fd01::9]"] {
        let (echo, web) = (lab.server.udp_echo(format!("{host}:7000"))?, lab.server.http_server(format!("{host}:80"))?);
        lab.laptop.probe(&echo)?;
        lab.laptop.probe(&web)?;
        let (ask_echo, ask_web) = (Probe::from(&echo), Probe::from(&web));
        drop((echo, web));
        lab.laptop.expect_unreachable(ask_echo)?.by(Reason::Refused)?;
        lab.laptop.expect_unreachable(ask_web)?.by(Reason::Refused)?;
    }
    Ok(())
}

#[netlab::test]
fn a_packet_that_must_not_be_fragmented_tells_the_mtu_of_the_way() -> Result<()> {
    let lab = Lab::new()?;
    let big = || Probe::ping("203.0.113.9").size(1472).dont_fragment();
    lab.laptop.probe(big())?;
    lab.laptop.expect_unreachable(Probe::ping("203.0.113.9").size(1473).dont_fragment())?.by(libc::EMSGSIZE)?;
    lab.wan.left().set_mtu(1400)?;
    lab.laptop.expect_unreachable(big())?.by(IcmpKind::FragmentationNeeded { mtu: 1400 }.sent_by("10.0.0.1"))?;
    lab.laptop.probe(Probe::ping("203.0.113.9").size(1372).dont_fragment())?;
    Ok(())
}

#[netlab::test]
fn a_probe_asks_from_the_address_it_is_told() -> Result<()> {
    let lab = Lab::new()?;
    ip(&lab.laptop, "address add 10.0.0.3/24 dev eth0");
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let web = lab.server.http_server("203.0.113.9:80")?;
    lab.laptop.probe(&echo)?.expect_source("10.0.0.2")?;
    lab.laptop.probe(echo.via("203.0.113.9").source("10.0.0.3"))?.expect_source("10.0.0.3")?;
    lab.laptop.probe(echo.via("203.0.113.9").source("10.0.0.3:5555"))?.expect_source("10.0.0.3:5555")?;
    lab.laptop.probe(web.via("203.0.113.9").source("10.0.0.3"))?.expect_source("10.0.0.3")?;
    lab.laptop.probe(Probe::ping("203.0.113.9").source("10.0.0.3"))?;
    let wrong = lab.laptop.probe(&echo)?.expect_source("10.0.0.3").unwrap_err();
    assert!(wrong.is_unexpected() && wrong.to_string().contains("it is 10.0.0.2:"), "{wrong}");
    let foreign = lab.laptop.observe(Probe::ping("203.0.113.9").source("10.0.0.4")).unwrap_err();
    assert_eq!(foreign.errno(), Some(libc::EADDRNOTAVAIL));
    assert!(foreign.to_string().contains("10.0.0.3/24 on eth0"), "{foreign}");
    Ok(())
}

#[netlab::test]
fn a_translated_source_is_seen_by_the_server() -> Result<()> {
    let lab = Lab::new()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    ip(&lab.server, "route del default");
    lab.router.probe(&echo)?;
    lab.laptop.expect_unreachable(&echo)?.by(Reason::Silence)?;
    nft(&lab.router, "table ip n { chain c { type nat hook postrouting priority 100; oifname wan0 masquerade; }; }");
    lab.laptop.probe(&echo)?.expect_source("203.0.113.1")?;
    nft(&lab.router, "table ip n { chain d { type nat hook prerouting priority -100; tcp dport 8080 dnat to 203.0.113.9:80; }; }");
    let web = lab.server.http_server("203.0.113.9:80")?;
    lab.laptop.probe(web.via("10.0.0.1:8080"))?.expect_server("server")?.expect_source("203.0.113.1")?;
    Ok(())
}

#[netlab::test]
fn a_probe_without_an_answer_tells_what_both_sides_saw() -> Result<()> {
    let lab = Lab::new()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    lab.laptop.probe(&echo)?;
    ip(&lab.server, "route del default");
    let error = lab.laptop.probe(echo.via("203.0.113.9").within(Duration::from_millis(300))).unwrap_err();
    let text = error.to_string();
    assert!(error.is_unexpected(), "{text}");
    for line in [
        "cannot get an answer in `laptop` to udp 203.0.113.9:7000: silence for ",
        "tests/probes.rs:",
        "`laptop` has ",
        "10.0.0.2/24 on eth0",
        "`laptop` goes to 203.0.113.9 via 10.0.0.1 dev eth0 src 10.0.0.2",
        "UDP echo `server` at 203.0.113.9:7000 in `server` has 3 hits, the last from 10.0.0.2:",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    Ok(())
}

#[netlab::test]
fn an_answer_where_none_is_wanted_is_an_error() -> Result<()> {
    let lab = Lab::new()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    let error = lab.laptop.expect_unreachable(&echo).unwrap_err();
    assert!(error.is_unexpected() && error.to_string().contains("server `server` saw client 10.0.0.2:"), "{error}");
    assert!(lab.laptop.expect_no_ping("203.0.113.9").is_err_and(|e| e.is_unexpected()));
    Ok(())
}

#[netlab::test]
fn a_probe_waits_for_a_network_that_comes_to_be() -> Result<()> {
    let lab = Lab::new()?;
    let echo = lab.server.udp_echo("203.0.113.9:7000")?;
    ip(&lab.laptop, "route del default");
    lab.laptop.expect_unreachable(&echo)?.by(libc::ENETUNREACH)?;
    let answer = std::thread::scope(|scope| {
        let asking = scope.spawn(|| lab.laptop.probe(&echo));
        ip(&lab.laptop, "route add default via 10.0.0.1");
        asking.join().unwrap()
    });
    answer?.expect_source("10.0.0.2")?;
    Ok(())
}

#[netlab::test]
fn nonsense_is_refused_with_an_example() -> Result<()> {
    let host = Netns::new("host1")?;
    for probe in [
        Probe::ping("10.0.0.1:80"),
        Probe::ping("example.org"),
        Probe::udp("10.0.0.1"),
        Probe::tcp("fd00::1"),
        Probe::tcp("10.0.0.1:65536"),
        Probe::http("https://10.0.0.1/"),
        Probe::ping("127.0.0.1").source("nobody"),
    ] {
        let error = host.observe(&probe).unwrap_err();
        assert!(error.is_invalid_input() && error.to_string().contains("such as"), "{error}");
    }
    assert!(host.observe(Probe::ping("127.0.0.1").ttl(0)).is_err_and(|e| e.is_invalid_input()));
    let zone = host.ping("fe80::1%eth7").unwrap_err();
    assert!(zone.to_string().contains("has no interface `eth7`"), "{zone}");
    Ok(())
}

#[netlab::test]
fn a_link_local_address_is_asked_by_its_zone() -> Result<()> {
    let (a, b) = (Netns::new("a")?, Netns::new("b")?);
    let _cable = VethPair::connect(a.iface("eth0").addr("fe80::a/64"), b.iface("eth0").addr("fe80::b/64"))?;
    a.expect_ping("fe80::b%eth0")?;
    a.expect_no_ping("fe80::c%eth0")?.by(libc::EHOSTUNREACH)?;
    let echo = b.udp_echo("[fe80::b%eth0]:7000")?;
    // The kernel has made a link-local address of its own at each end: which of the two it asks from is its choice.
    a.probe(echo.via("[fe80::b%eth0]:7000").source("fe80::a%eth0"))?.expect_source("fe80::a")?;
    Ok(())
}

#[netlab::test]
fn without_ping_sockets_a_raw_socket_pings() -> Result<()> {
    // Namespaces of netlab allow ping sockets, and an empty range cannot be written back where group 1 is not mapped: this one is fresh.
    std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let socket = nix::sys::socket::socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty(), SockProtocol::Icmp);
        assert_eq!(socket.unwrap_err(), nix::errno::Errno::EACCES);
        let (fresh, router) = (Netns::current()?, Netns::new("router")?);
        fresh.link("lo")?.up()?;
        let _lan = VethPair::connect(
            fresh.iface("eth0").addr("10.0.0.2/24").addr("fd00::2/64").gateway("10.0.0.1").gateway("fd00::1"),
            router.iface("lan0").addr("10.0.0.1/24").addr("fd00::1/64"),
        )?;
        set(&router, "net/ipv4/ip_forward", "1");
        set(&router, "net/ipv6/conf/all/forwarding", "1");
        for own in ["127.0.0.1", "::1", "10.0.0.1", "fd00::1"] {
            fresh.expect_ping(own)?.expect_ttl(64)?;
        }
        fresh.expect_no_ping("198.51.100.1")?.by(IcmpKind::NetUnreachable.sent_by("10.0.0.1"))?;
        fresh.expect_no_ping("fd99::1")?.by(IcmpKind::NetUnreachable.sent_by("fd00::1"))?;
        fresh.expect_no_ping("10.0.0.77")?.by(libc::EHOSTUNREACH)?;
        Ok(())
    })
    .join()
    .unwrap()
}
