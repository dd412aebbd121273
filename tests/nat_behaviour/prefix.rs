//! Whole nets translated to others, and NAT66.

use netlab::{NatRule, Netns, PrefixNat, Probe, Responder, Result, Route, VethPair};

/// A client, a router and a server in a row. The server knows the way to the outside nets, and none to the inside ones.
struct Row {
    client: Netns,
    router: Netns,
    server: Netns,
    _ways: Vec<Route>,
    _cables: [VethPair; 2],
}

impl Row {
    fn new() -> Result<Self> {
        let (client, router, server) = (Netns::new("client")?, Netns::new("router")?, Netns::new("server")?);
        let inside = client.iface("eth0").addr("10.0.0.2/24").addr("fd01:203:405:1::1234/64");
        let inside = inside.gateway("10.0.0.1").gateway("fd01:203:405:1::1");
        let cables = [
            VethPair::connect(inside, router.iface("lan0").addr("10.0.0.1/24").addr("fd01:203:405:1::1/64"))?,
            VethPair::connect(
                router.iface("wan0").addr("203.0.113.1/24").addr("2001:db8::1/64"),
                server.iface("eth0").addr("203.0.113.9/24").addr("2001:db8::9/64"),
            )?,
        ];
        router.forward_ipv4()?;
        router.forward_ipv6()?;
        let ways = vec![
            Route::to("198.51.100.0/24").via("203.0.113.1").install(&server)?,
            Route::to("2001:db8:1::/48").via("2001:db8::1").install(&server)?,
        ];
        Ok(Self { client, router, server, _ways: ways, _cables: cables })
    }

    /// The client is seen outside by that address, reached by it, and reached by a ping.
    fn expect_client_as(&self, outside: &str, echo: &Responder, inside: &Responder) -> Result<()> {
        self.client.probe(echo)?.expect_source(outside)?;
        self.server.probe(inside.via(outside))?.expect_server("client")?;
        self.server.expect_ping(outside)?;
        Ok(())
    }

    fn expect_no_way(&self, outside: &str, echo: &Responder, inside: &Responder) -> Result<()> {
        self.client.expect_unreachable(echo)?;
        self.server.expect_unreachable(inside.via(outside))?;
        Ok(())
    }
}

#[netlab::test]
fn a_net_is_mapped_to_another_address_by_address_in_both_directions() -> Result<()> {
    let row = Row::new()?;
    for (own, far, nets, outside) in [
        ("10.0.0.2:8080", "203.0.113.9:7000", ["10.0.0.0/24", "198.51.100.0/24"], "198.51.100.2"),
        ("[fd01:203:405:1::1234]:8080", "[2001:db8::9]:7000", ["fd01:203:405::/48", "2001:db8:1::/48"], "2001:db8:1:1::1234"),
    ] {
        let (inside, echo) = (row.client.http_server(own)?, row.server.udp_echo(far)?);
        row.expect_no_way(outside, &echo, &inside)?;
        let nat = PrefixNat::netmap(&row.router, "wan0", nets[0], nets[1])?;
        row.expect_client_as(outside, &echo, &inside)?;
        nat.outward().expect_hits_at_least(1)?;
        nat.inward().expect_hits_at_least(1)?;
        let answer = row.client.probe(&echo)?;
        row.router.connection_of(&answer)?.expect_source(outside)?;
        nat.close()?;
        row.expect_no_way(outside, &echo, &inside)?;
    }
    assert_eq!(row.router.ruleset()?.to_string(), "");
    Ok(())
}

/// The addresses are those of RFC 6296, section 3.1 and its checksum-neutral example.
#[netlab::test]
fn nptv6_translates_as_the_rfc_computes_and_remembers_nothing() -> Result<()> {
    let row = Row::new()?;
    let (inside, echo) = (row.client.http_server("[fd01:203:405:1::1234]:8080")?, row.server.udp_echo("[2001:db8::9]:7000")?);
    let outside = "2001:db8:1:d550::1234";
    row.expect_no_way(outside, &echo, &inside)?;
    let nat = PrefixNat::nptv6(&row.router, "wan0", "fd01:203:405::/48", "2001:db8:1::/48")?;
    row.expect_client_as(outside, &echo, &inside)?;
    let web = row.server.http_server("[2001:db8::9]:80")?;
    row.client.probe(&web)?.expect_source(outside)?;
    assert!(row.router.connections()?.is_empty(), "no connection is tracked");
    nat.outward().expect_hits_at_least(1)?;
    drop(nat);
    row.expect_no_way(outside, &echo, &inside)?;
    assert_eq!(row.router.ruleset()?.to_string(), "");
    Ok(())
}

#[netlab::test]
fn ip6tables_shows_the_rules_of_nptv6_and_nft_those_of_a_netmap() -> Result<()> {
    let row = Row::new()?;
    let print = |program: &str, arguments: &[&str]| {
        let output = row.router.command(program).unwrap().args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let npt = PrefixNat::nptv6(&row.router, "wan0", "fd01:203:405::/48", "2001:db8:1::/48")?;
    let shown = print("ip6tables-nft", &["-t", "mangle", "-S"]);
    for line in [
        "-A POSTROUTING -s fd01:203:405::/48 -o wan0 -j SNPT --src-pfx fd01:203:405::/48 --dst-pfx 2001:db8:1::/48",
        "-A PREROUTING -d 2001:db8:1::/48 -i wan0 -j DNPT --src-pfx 2001:db8:1::/48 --dst-pfx fd01:203:405::/48",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is in\n{shown}");
        let ours = format!("{}\n{}", npt.outward().as_iptables()?, npt.inward().as_iptables()?);
        assert!(ours.contains(line), "{line} is in\n{ours}");
    }
    drop(npt);
    let netmap = PrefixNat::netmap(&row.router, "wan0", "10.0.0.0/24", "198.51.100.0/24")?;
    assert_eq!(row.router.ruleset()?.to_string(), print("nft", &["list", "ruleset"]));
    let lines = [netmap.outward(), netmap.inward()].map(|rule| rule.as_iptables());
    let lines = lines.into_iter().collect::<Result<Vec<_>>>()?;
    assert!(lines[0].contains("-s 10.0.0.0/24 -o wan0 -j NETMAP --to 198.51.100.0/24"), "{}", lines[0]);
    assert!(lines[1].contains("-d 198.51.100.0/24 -i wan0 -j NETMAP --to 10.0.0.0/24"), "{}", lines[1]);
    Ok(())
}

#[netlab::test]
fn prefixes_that_make_no_sense_are_errors_and_leave_nothing() -> Result<()> {
    let row = Row::new()?;
    for (inside, outside) in [("10.0.0.0/24", "198.51.100.0/25"), ("10.0.0.0/24", "2001:db8::/24"), ("10.0.0.2-10.0.0.3", "x"), ("", "")] {
        let e = PrefixNat::netmap(&row.router, "wan0", inside, outside).unwrap_err();
        assert!(e.is_invalid_input() && e.to_string().contains("prefix.rs"), "{e}");
    }
    for (inside, outside) in [("fd00::/65", "2001:db8::/65"), ("10.0.0.0/24", "198.51.100.0/24"), ("fd00::1/64", "2001:db8::/64")] {
        let e = PrefixNat::nptv6(&row.router, "wan0", inside, outside).unwrap_err();
        assert!(e.is_invalid_input() && e.to_string().contains("prefix.rs"), "{e}");
    }
    assert!(NatRule::masquerade(&row.router).to_prefix("10.0.0.0/24").install().is_err_and(|e| e.is_invalid_input()));
    assert!(NatRule::snat(&row.router).to_prefix("10.0.0.0").install().is_err_and(|e| e.is_invalid_input()));
    assert_eq!(row.router.ruleset()?.to_string(), "");
    Ok(())
}

#[netlab::test]
fn nat66_gives_one_address_to_all_of_a_net() -> Result<()> {
    let row = Row::new()?;
    let echo = row.server.udp_echo("[2001:db8::9]:7000")?;
    row.client.expect_unreachable(&echo)?;
    for (nat, seen) in [
        (NatRule::masquerade(&row.router).ipv6().out("wan0"), "2001:db8::1"),
        (NatRule::snat(&row.router).out("wan0").to("2001:db8:1::7"), "2001:db8:1::7"),
    ] {
        let nat = nat.install()?;
        row.client.probe(&echo)?.expect_source(seen)?;
        row.client.expect_ping("2001:db8::9")?;
        nat.close()?;
        row.client.expect_unreachable(&echo)?;
        row.client.expect_unreachable(Probe::ping("2001:db8::9"))?;
    }
    Ok(())
}
