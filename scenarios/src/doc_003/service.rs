//! Stages 09 to 14: one address for both servers, which nobody has.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use netlab::{Capture, FilterRule, IcmpKind, NatRule, Netns, Reason, Route, RuleChain, Sysctl, capture};

use super::mapping::ROUTE_LOCALNET;
use super::published::add_route;
use super::{CON_1, CON_2, LAPTOP};
use crate::chance;
use crate::error::{Error, Result};
use crate::stage::{Cause, Stage, Verdict};
use crate::story::Story;
use crate::table::{Table, expected_servers, server};
use crate::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "003.09",
        title: "chains of a service",
        verdict: Verdict::False,
        claim: "A chain for the service, one for each server behind it, and one that marks what is to be masqueraded. What has 172.18.1.1 for \
                its source (-s) goes to the service's chain, which leaves half of it, by chance, to the first server's chain.",
        truth: "The chains and rules are accepted, but nothing ever has that source: the rule has no hits, and a connection to \
                172.18.1.1 leaves by the default route for a world that does not know it. With -d instead of -s the service answers.",
        needs: &["the rule is for what has 172.18.1.1 for its destination"],
        commands: &[
            "for chain in SERVICES SVC-WEB SEP-1 SEP-2 MARK-MASQ; do iptables -t nat -N $chain; done",
            "iptables -t nat -A MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
            "iptables -t nat -A SEP-1 -p tcp -j DNAT --to-destination 172.18.0.2:8000",
            "iptables -t nat -A SEP-2 -p tcp -j DNAT --to-destination 172.18.0.3:8000",
            "iptables -t nat -A SVC-WEB -j MARK-MASQ",
            "iptables -t nat -A SVC-WEB -m statistic --mode random --probability 0.5 -j SEP-1",
            "iptables -t nat -A SVC-WEB -j SEP-2",
            "iptables -t nat -A SERVICES -p tcp -d 172.18.1.1 --dport 80 -j SVC-WEB  # the text has -s",
            "iptables -t nat -A PREROUTING -j SERVICES; iptables -t nat -A OUTPUT -j SERVICES",
            "iptables -t nat -A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
        ],
        before: |w, s| s.not_served(&w.host(), SERVICE, IcmpKind::NetUnreachable.sent_by("192.168.0.1")),
        change: add_service,
        check: |w, s| {
            let host = w.host();
            one_of_the_two(s, &host)?;
            s.wrong();
            w.take::<FilterRule>(TO_SERVICE)?.close()?;
            let as_written = FilterRule::jump(&host, "SVC-WEB").table("nat").chain("SERVICES").from(VIP).tcp(80).install()?;
            let tap = Capture::on(&host.link("eth0")?)?;
            s.not_served(&host, SERVICE, IcmpKind::NetUnreachable)?;
            // The connection before may still be closing.
            s.distinct_packets(
                "host: it leaves by the default route",
                &tap.stop()?.filter(capture::tcp().syn())?,
                &["host/eth0 Out IP 192.168.0.100.PORT1 > 172.18.1.1.80: Flags [S]"],
            )?;
            s.equals("host: the rule with -s has counted", as_written.hits()?.packets, 0)
        },
        ..Stage::STILL
    },
    Stage {
        id: "003.10",
        title: "balancing",
        claim: "Requests are spread over both servers, about one half each.",
        truth: "They are, but by connection and not by request: the rules of nat see the first packet of a connection, and all others go the same \
                way. The counters of the chains add up. In turn instead of by chance (--mode nth) the halves are exact. The mark does \
                nothing for what the host itself sends: the older MASQUERADE of stage 05 comes first.",
        needs: &["clients that open more than one connection"],
        commands: &["for i in $(seq 200); do curl 172.18.1.1; done", "iptables -t nat -L SVC-WEB -v"],
        cause: Cause::Change("003.09"),
        check: |w, s| {
            let host = w.host();
            one_of_the_two(s, &host)?;
            let (all, half, rest) = (w.kept::<FilterRule>(TO_SERVICE)?, w.kept::<FilterRule>(HALF)?, w.kept::<FilterRule>(REST)?);
            let counters = [all, half, rest, w.kept(TO_MASQUERADE)?];
            counters.iter().try_for_each(|rule| rule.zero().map(drop))?;
            let servers = (0..CONNECTIONS).map(|_| server(&host, SERVICE)).collect::<Result<Vec<_>>>()?;
            let to_con1 = servers.iter().filter(|server| *server == CON_1).count() as u64;
            let range = chance::range(CONNECTIONS, 0.5, ODDS);
            let check = format!("of {CONNECTIONS} connections con1 gets {} to {}", range.start(), range.end());
            s.holds(check, format!("{to_con1}, con2 the other {}", CONNECTIONS - to_con1), range.contains(&to_con1))?;
            let hits = |rule: &FilterRule| -> Result<u64> { Ok(rule.hits()?.packets) };
            let seen = format!("{} = {} + {}", hits(all)?, hits(half)?, hits(rest)?);
            s.equals("host: the counters add up", seen, format!("{CONNECTIONS} = {to_con1} + {}", CONNECTIONS - to_con1))?;
            s.unstated();
            s.equals("host: the MASQUERADE of what is marked has counted", w.kept::<NatRule>(MARKED)?.hits()?.packets, 0)?;
            s.with("`--mode nth --every 2 --packet 0` instead of chance");
            let mut half = w.take::<FilterRule>(HALF)?;
            half.replace_with(FilterRule::jump(&host, "SEP-1").table("nat").chain("SVC-WEB").nth(2, 0))?;
            let servers = (0..6).map(|_| server(&host, SERVICE)).collect::<Result<Vec<_>>>()?;
            s.equals("host: six connections get", servers.join(" "), "con1 con2 con1 con2 con1 con2")?;
            let servers = servers_of_one_connection(&host, 6)?;
            s.equals("host: six requests on one connection get", servers.join(" "), ["con1"; 6].join(" "))?;
            s.without("the rule for a half");
            half.close()?;
            let servers = (0..6).map(|_| server(&host, SERVICE)).collect::<Result<Vec<_>>>()?;
            s.equals("host: six connections get", servers.join(" "), ["con2"; 6].join(" "))
        },
        ..Stage::STILL
    },
    Stage {
        id: "003.11",
        title: "virtual address",
        claim: "172.18.1.1 is the address of no interface: it is virtual, it is there in rules only.",
        truth: "No interface has it, it answers no ping and no other port. It must be routed nevertheless: a host without a route that covers it does \
                not come as far as the rules of OUTPUT (ENETUNREACH). Any route does; mostly it is the default route.",
        needs: &["a route that covers it, on the host itself"],
        commands: &["ip address; ping -c1 172.18.1.1; curl 172.18.1.1:81"],
        before: |w, s| one_of_the_two(s, &w.host()),
        cause: Cause::Lack {
            of: "ip address add 172.18.1.1/32 dev lo",
            supply: |w| {
                w.host().link("lo")?.add_address("172.18.1.1/32")?.keep();
                Ok(())
            },
        },
        check: |w, s| {
            let host = w.host();
            s.no_reply(&host, VIP, IcmpKind::NetUnreachable)?;
            s.not_served(&host, "172.18.1.1:81", IcmpKind::NetUnreachable)?;
            s.equals("host: its interfaces have these addresses", ipv4_addresses(&host)?, "127.0.0.1/8 192.168.0.100/24 172.18.0.1/24")?;
            s.without("a route that covers it");
            host.delete_route("default")?;
            s.not_served(&host, SERVICE, libc::ENETUNREACH)?;
            s.with("ip route add 172.18.1.1 dev br0");
            let _route = Route::to(VIP).dev("br0").install(&host)?;
            one_of_the_two(s, &host)
        },
        ..Stage::STILL
    },
    Stage {
        id: "003.12",
        title: "the service from outside",
        verdict: Verdict::False,
        claim: "From outside the service cannot be reached; that takes the same changes as for the published ports.",
        truth: "It cannot, but only because nobody outside has a route to 172.18.1.1. A route on the laptop via the host is enough: SERVICES is in PREROUTING \
                already, and neither the rules in OUTPUT nor route_localnet have anything to do with it.",
        needs: &["ip_forward=1 and a FORWARD that accepts on the host"],
        commands: &["curl 172.18.1.1  # laptop"],
        before: |w, s| one_of_the_two(s, &w.host()),
        cause: Cause::Lack { of: "ip route add 172.18.1.1 via 192.168.0.100  # laptop", supply: |w| add_route(w, VIP) },
        check: |w, s| {
            let laptop = w.machine(LAPTOP)?;
            s.not_served(&laptop, SERVICE, IcmpKind::NetUnreachable)?;
            s.wrong();
            add_route(w, VIP)?;
            drop((w.take::<FilterRule>("SERVICES in OUTPUT")?, w.take::<Sysctl>(ROUTE_LOCALNET)?));
            s.equals("host: route_localnet is", w.host().sysctl("net.ipv4.conf.all.route_localnet")?, "0")?;
            s.not_served(&w.host(), SERVICE, IcmpKind::NetUnreachable)?;
            one_of_the_two(s, &laptop)?;
            s.without("SERVICES in PREROUTING");
            drop(w.take::<FilterRule>("SERVICES in PREROUTING")?);
            s.not_served(&laptop, SERVICE, IcmpKind::NetUnreachable)
        },
        ..Stage::STILL
    },
    Stage {
        id: "003.13",
        title: "a container as client",
        verdict: Verdict::Unstated,
        claim: "The text does not speak of containers as clients of the service.",
        truth: "Yet they are its clients most of the time, and for them the mark is. Without MASQUERADE the answer of the other server comes \
                directly, from an address that nobody asked, unless bridge-nf-call-iptables=1 brings it through the host's iptables. To \
                itself a container comes with MASQUERADE only; and where bridged packets pass through iptables, only if its port of the \
                bridge has hairpin, because the packet has to leave by the port that it came in by.",
        needs: &["MASQUERADE of what is marked", "bridge-nf-call-iptables=0, or hairpin on the ports"],
        commands: &["ip netns exec con1 curl 172.18.1.1", "bridge link set dev veth_con1 hairpin on"],
        cause: Cause::Change("003.09"),
        check: |w, s| {
            let con1 = w.machine(CON_1)?;
            one_of_the_two(s, &con1)?;
            s.unstated();
            s.table("con1 as a client of the service, when its turn is con2 and when it is con1 itself", &as_client(w)?, AS_CLIENT)?;
            s.without("the chains of the service");
            drop((w.take::<FilterRule>("SERVICES in PREROUTING")?, w.take::<FilterRule>("SERVICES in OUTPUT")?));
            s.not_served(&con1, SERVICE, IcmpKind::NetUnreachable)
        },
        ..Stage::STILL
    },
    Stage {
        id: "003.14",
        title: "side by side",
        claim: "The published ports of before work still, beside the service.",
        truth: "They do: the rules of one do not mean the packets of the other.",
        commands: &["curl 192.168.0.100:8081  # laptop, host", "curl 127.0.0.1:8082"],
        cause: Cause::Change("003.04"),
        check: |w, s| {
            let (host, laptop) = (w.host(), w.machine(LAPTOP)?);
            s.served(&laptop, "192.168.0.100:8081", CON_1)?;
            s.served(&laptop, "192.168.0.100:8082", CON_2)?;
            s.served(&host, "127.0.0.1:8081", CON_1)?;
            s.served(&host, "192.168.0.100:8082", CON_2)?;
            s.without("the rule of stage 04 for port 8081");
            w.take::<NatRule>("8081 from outside")?.close()?;
            s.not_served(&laptop, "192.168.0.100:8081", Reason::Refused)?;
            one_of_the_two(s, &host)
        },
        ..Stage::STILL
    },
];

const VIP: &str = "172.18.1.1";
const SERVICE: &str = "172.18.1.1:80";
const TO_SERVICE: &str = "SERVICES to SVC-WEB";
const TO_MASQUERADE: &str = "SVC-WEB to MARK-MASQ";
const HALF: &str = "SVC-WEB to SEP-1";
const REST: &str = "SVC-WEB to SEP-2";
const MARKED: &str = "the masquerade of what is marked";
const CONNECTIONS: u64 = 200;
/// What is asserted of chance fails once in so many runs at most.
const ODDS: f64 = 1e6;
/// How long an answer on an open connection may take.
const ANSWER: Duration = Duration::from_secs(2);

fn add_service(w: &mut World) -> Result<()> {
    let host = w.host();
    for chain in ["SERVICES", "SVC-WEB", "SEP-1", "SEP-2", "MARK-MASQ"] {
        w.keep(format!("chain {chain}"), RuleChain::new(&host, "nat", chain)?);
    }
    let mark = FilterRule::mark(&host, MARK).table("nat").chain("MARK-MASQ").install()?;
    w.keep("the mark", mark);
    for (chain, to) in [("SEP-1", "172.18.0.2:8000"), ("SEP-2", "172.18.0.3:8000")] {
        w.keep(format!("{chain} to {to}"), NatRule::dnat(&host).chain(chain).protocol("tcp").to(to).install()?);
    }
    let jump = |from: &str, to: &str| FilterRule::jump(&host, to).table("nat").chain(from);
    w.keep(TO_MASQUERADE, jump("SVC-WEB", "MARK-MASQ").install()?);
    w.keep(HALF, jump("SVC-WEB", "SEP-1").share(1, 2).install()?);
    w.keep(REST, jump("SVC-WEB", "SEP-2").install()?);
    w.keep(TO_SERVICE, jump("SERVICES", "SVC-WEB").addressed_to(VIP).tcp(80).install()?);
    w.keep("SERVICES in PREROUTING", jump("PREROUTING", "SERVICES").install()?);
    w.keep("SERVICES in OUTPUT", jump("OUTPUT", "SERVICES").install()?);
    w.keep(MARKED, NatRule::masquerade(&host).mark(MARK).install()?);
    Ok(())
}

const MARK: &str = "0x4000/0x4000";

/// `curl` of the service gets a page of one of its servers.
fn one_of_the_two(s: &mut Story, from: &Netns) -> Result<()> {
    let server = server(from, SERVICE)?;
    s.holds(format!("{from}: `curl {SERVICE}` gets one of the two"), &server, server == CON_1 || server == CON_2)
}

/// The names of the servers whose pages come of several requests on one connection to the service.
fn servers_of_one_connection(from: &Netns, requests: usize) -> Result<Vec<String>> {
    let pages = from.run(|| -> std::io::Result<Vec<String>> {
        let mut reader = BufReader::new(TcpStream::connect(SERVICE)?);
        reader.get_ref().set_read_timeout(Some(ANSWER))?;
        (0..requests).map(|_| page(&mut reader)).collect()
    })?;
    let pages = pages.map_err(|e| Error::World(format!("cannot get a page on a connection from `{from}` to {SERVICE}: {e}")))?;
    let name = |page: &String| page.split(' ').find_map(|word| word.strip_prefix("name=")).unwrap_or(page).to_owned();
    Ok(pages.iter().map(name).collect())
}

/// One request and its page.
fn page(connection: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    connection.get_mut().write_all(b"GET / HTTP/1.1\r\nHost: service\r\n\r\n")?;
    let (mut line, mut length) = (String::new(), 0);
    while connection.read_line(&mut line)? > 2 {
        length = line.strip_prefix("Content-Length: ").and_then(|length| length.trim().parse().ok()).unwrap_or(length);
        line.clear();
    }
    let mut page = vec![0; length];
    connection.read_exact(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn ipv4_addresses(of: &Netns) -> Result<String> {
    let all = of.addresses()?;
    let ipv4: Vec<_> = all.iter().filter(|address| address.net.addr().is_ipv4()).map(|address| address.net.to_string()).collect();
    Ok(ipv4.join(" "))
}

/// What con1 gets of the service.
const AS_CLIENT: &[&str] = &[
    "nf-call  hairpin  masquerade  con1→con2  con1→con1",
    "0        no       no          silent     silent",
    "0        no       yes         con2       con1",
    "0        yes      no          silent     silent",
    "0        yes      yes         con2       con1",
    "1        no       no          con2       silent",
    "1        no       yes         con2       silent",
    "1        yes      no          con2       silent",
    "1        yes      yes         con2       con1",
];

/// Asks the service at two more ports of its address, each of which leads to one server, so that nothing is left to chance.
fn as_client(w: &World) -> Result<Table> {
    let (host, con1) = (w.host(), w.machine(CON_1)?);
    let to = |port: u16, to: &str| NatRule::dnat(&host).chain("SERVICES").addressed_to(VIP).tcp(port).to(to).install();
    let _servers = [to(8002, "172.18.0.3:8000")?, to(8001, "172.18.0.2:8000")?];
    let mut table = Table::new(["nf-call", "hairpin", "masquerade", "con1→con2", "con1→con1"]);
    for (n, expected) in AS_CLIENT[1..].iter().enumerate() {
        let [nf_call, hairpin, masquerade] = [4, 2, 1].map(|bit| n & bit != 0);
        let _nf_call = host.set_sysctl("net.bridge.bridge-nf-call-iptables", u8::from(nf_call))?;
        host.link("veth_con1")?.set_hairpin(hairpin)?;
        let mark = FilterRule::jump(&host, "MARK-MASQ").table("nat").chain("SERVICES").addressed_to(VIP).first();
        let _marked = masquerade.then(|| mark.install()).transpose()?;
        let yes = |yes| if yes { "yes" } else { "no" }.to_owned();
        let condition = [u8::from(nf_call).to_string(), yes(hairpin), yes(masquerade)];
        let expected: Vec<_> = expected.split_whitespace().rev().collect();
        let asked = [(&con1, "172.18.1.1:8002", expected[1]), (&con1, "172.18.1.1:8001", expected[0])];
        table.row(condition.into_iter().chain(expected_servers(&asked)?));
    }
    host.link("veth_con1")?.set_hairpin(false)?;
    Ok(table)
}
