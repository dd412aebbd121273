//! Stages 25 to 27: a second namespace, in the same network as the first and yet cut off from it.

use netlab::{Capture, Netns, Policy, Reason, Route, VethPair, capture};

use super::rules;
use super::{DUSTIN, LEAH, SERVER_3};
use crate::error::Result;
use crate::ip_netns;
use crate::stage::{Cause, Stage, Verdict};
use crate::table::expected_pings;
use crate::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "000.25",
        title: "second namespace",
        claim: "A second namespace gets a cable and addresses in the same way: 10.0.0.20 and 10.0.0.21 of 10.0.0.0/24.",
        truth: "Every command succeeds. The host has two routes to 10.0.0.0/24 now, one for each cable.",
        commands: &[
            "ip netns add netns_leah",
            "ip link add veth_leah type veth peer name veth_ns_leah",
            "ip link set veth_ns_leah netns netns_leah",
            "ip address add 10.0.0.20/24 dev veth_leah",
            "ip netns exec netns_leah ip address add 10.0.0.21/24 dev veth_ns_leah",
            "ip link set veth_leah up",
            "ip netns exec netns_leah ip link set veth_ns_leah up",
            "ip netns exec netns_leah ip link set lo up",
            "ip netns exec netns_leah ip route add default via 10.0.0.20",
            "ip netns exec netns_leah python3 -m http.server 8080 &  # server3",
        ],
        before: |w, s| s.equals("host: `ip netns list` has", ip_netns::names().join(" "), w.machine(DUSTIN)?.name()),
        change: |w| {
            let (host, leah) = (w.host(), w.add(Netns::bare(LEAH)?));
            ip_netns::add_name(&leah)?;
            let outer = host.iface("veth_leah").addr("10.0.0.20/24");
            let cable = VethPair::connect(outer, leah.iface("veth_ns_leah").addr("10.0.0.21/24"))?;
            leah.link("lo")?.up()?;
            w.keep("the default route of netns_leah", Route::default_via("10.0.0.20").install(&leah)?);
            w.keep("the cable of netns_leah", cable);
            w.keep(SERVER_3, leah.serve(SERVER_3).http("0.0.0.0:8080")?);
            Ok(())
        },
        check: |w, s| {
            let host = w.host();
            s.equals("host: `ip netns list` has", ip_netns::names().join(" "), "netns_dustin netns_leah")?;
            let leah = w.machine(LEAH)?;
            s.links(&host, "there are two cables", "lo eth0 veth_dustin veth_leah")?;
            s.ipv4_addresses(&leah, "the end has its address", "veth_ns_leah", "10.0.0.21/24")?;
            let of_leah = ["default via 10.0.0.20 dev veth_ns_leah", "10.0.0.0/24 dev veth_ns_leah proto kernel scope link src 10.0.0.21"];
            s.routes(&leah, "its routes are those of netns_dustin, but for the names", "main", &of_leah)?;
            s.served(&leah, "127.0.0.1:8080", SERVER_3)?;
            s.routes(&host, "there are two routes to 10.0.0.0/24", "main", &routes_of_both())
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.26",
        title: "ambiguity",
        verdict: Verdict::False,
        claim: "The host reaches 10.0.0.11, but not 10.0.0.21, and the two namespaces do not reach each other: of the host's two routes to \
                10.0.0.0/24 the first one, that of veth_dustin, takes everything.",
        truth: "The three pings do fail (EHOSTUNREACH). But the host's routes are the reason for only one of them, its own: with a route to \
                each address it reaches both, and the namespaces still do not reach each other. To them the other is on their own cable, \
                where it does not answer ARP; the host's routes are not even asked. Only when the host answers in its place (proxy_arp) do \
                they. netns_leah has not even its gateway: the replies leave by veth_dustin.",
        needs: &["for the cure, ip_forward=1 and a FORWARD that accepts"],
        commands: &[
            "ping -c1 10.0.0.11; ping -c1 10.0.0.21",
            "ip netns exec netns_dustin ping -c1 10.0.0.21",
            "ip netns exec netns_leah ping -c1 10.0.0.11",
        ],
        cause: Cause::Lack {
            of: "ip route add 10.0.0.21 dev veth_leah",
            supply: |w| route_to_each(w).map(|routes| w.keep("a route to each", routes)),
        },
        check: |w, s| {
            let (host, dustin, leah) = (w.host(), w.machine(DUSTIN)?, w.machine(LEAH)?);
            s.replies(&host, "10.0.0.11")?;
            s.no_reply(&host, "10.0.0.21", libc::EHOSTUNREACH)?;
            s.no_reply(&dustin, "10.0.0.21", libc::EHOSTUNREACH)?;
            s.no_reply(&leah, "10.0.0.11", libc::EHOSTUNREACH)?;
            s.routes(&host, "the route of veth_dustin is the first", "main", &routes_of_both())?;
            s.unstated();
            let tap = Capture::on(&host)?;
            s.no_reply(&leah, "10.0.0.20", Reason::Silence)?;
            let asked = tap.stop()?.filter(capture::arp().who_has("10.0.0.21"))?;
            s.distinct_packets(
                "host: it has a reply for netns_leah, and asks for it at the wrong cable",
                &asked,
                &["host/veth_dustin Out ARP, Request who-has 10.0.0.21 tell 10.0.0.20"],
            )?;
            s.wrong();
            let tap = Capture::on_all([&host, &dustin, &leah])?;
            s.no_reply(&dustin, "10.0.0.21", libc::EHOSTUNREACH)?;
            s.distinct_packets(
                "netns_dustin asks for netns_leah on its own cable, and the host lets it be",
                &tap.stop()?.filter(capture::arp())?,
                &[
                    "netns_dustin/veth_ns_dustin Out ARP, Request who-has 10.0.0.21 tell 10.0.0.11",
                    "host/veth_dustin In  ARP, Request who-has 10.0.0.21 tell 10.0.0.11",
                ],
            )?;
            let open = Policy::accept(&host).forward().install()?;
            s.plays("pings of (h)ost, netns_(d)ustin and netns_(l)eah: it takes routes and proxy_arp", CURES, |row| cured(w, row))?;
            open.close()?;
            s.without("the route by veth_dustin");
            Route::to("10.0.0.0/24").dev("veth_dustin").delete(&host)?;
            s.replies(&host, "10.0.0.21")?;
            s.no_reply(&host, "10.0.0.11", libc::EHOSTUNREACH)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.27",
        title: "a network of its own",
        verdict: Verdict::Precondition,
        claim: "With addresses of its own network, 10.0.1.0/24, netns_leah is reached. But each pair of cables takes two rules of FORWARD, \
                and so does each cable for the internet.",
        truth: "The host has a route to each network and forwards between them. Under the policy DROP, each way through it takes its own pair \
                of rules: they grow with the square of the cables. Under ACCEPT it takes none.",
        needs: &["FORWARD policy DROP, for the rules to be needed"],
        commands: &[
            "ip address delete 10.0.0.20/24 dev veth_leah",
            "ip address add 10.0.1.20/24 dev veth_leah",
            "ip netns exec netns_leah ip address delete 10.0.0.21/24 dev veth_ns_leah",
            "ip netns exec netns_leah ip address add 10.0.1.21/24 dev veth_ns_leah",
            "ip netns exec netns_leah ip route add default via 10.0.1.20",
            "iptables --append FORWARD --in-interface veth_dustin --out-interface veth_leah --jump ACCEPT",
            "iptables --append FORWARD --in-interface veth_leah --out-interface veth_dustin --jump ACCEPT",
            "iptables --append FORWARD --in-interface veth_leah --out-interface eth0 --jump ACCEPT",
            "iptables --append FORWARD --in-interface eth0 --out-interface veth_leah --jump ACCEPT",
        ],
        before: |w, s| s.no_reply(&w.host(), "10.0.0.21", libc::EHOSTUNREACH),
        change: |w| {
            let (host, leah) = (w.host(), w.machine(LEAH)?);
            let (outer, inner) = (host.link("veth_leah")?, leah.link("veth_ns_leah")?);
            w.take::<Route>("the default route of netns_leah")?.close()?;
            outer.remove_address("10.0.0.20/24")?;
            inner.remove_address("10.0.0.21/24")?;
            outer.add_address("10.0.1.20/24")?.keep();
            inner.add_address("10.0.1.21/24")?.keep();
            w.keep("the default route of netns_leah", Route::default_via("10.0.1.20").install(&leah)?);
            PAIRS.iter().try_for_each(|(from, to)| rules::accept(w, from, to))
        },
        check: |w, s| {
            let (host, dustin, leah) = (w.host(), w.machine(DUSTIN)?, w.machine(LEAH)?);
            s.with("FORWARD policy DROP");
            s.replies(&host, "10.0.1.21")?;
            s.replies(&dustin, "10.0.1.21")?;
            s.replies(&leah, "10.0.0.11")?;
            s.replies(&leah, "8.8.8.8")?;
            let counts = PAIRS.iter().map(|(from, to)| Ok(rules::rule(w, from, to)?.hits()?.packets)).collect::<Result<Vec<_>>>()?;
            s.holds("host: each of the four rules has counted packets", format!("{counts:?}"), counts.iter().all(|count| *count > 0))?;
            PAIRS.iter().try_for_each(|(from, to)| rules::delete(w, from, to))?;
            host.flush_connections()?;
            s.no_reply(&dustin, "10.0.1.21", Reason::Silence)?;
            s.no_reply(&leah, "8.8.8.8", Reason::Silence)?;
            s.without("FORWARD policy DROP");
            let _open = Policy::accept(&host).forward().install()?;
            s.replies(&dustin, "10.0.1.21")?;
            s.replies(&leah, "10.0.0.11")?;
            s.replies(&leah, "8.8.8.8")
        },
        aside: true,
        ..Stage::STILL
    },
];

/// The ways through the host that stage 27 opens.
const PAIRS: &[(&str, &str)] = &[("veth_dustin", "veth_leah"), ("veth_leah", "veth_dustin"), ("veth_leah", "eth0"), ("eth0", "veth_leah")];

/// What each cure cures, for each rp_filter of the host: a route to each address, and ARP answers in place of the other namespace.
const CURES: &[[&str; 8]] = &[
    ["route", "proxy_arp", "rp_filter", "h→.11", "h→.21", "d→.21", "l→.11", "l→.20"],
    ["/24", "0", "0", "ttl 64", "no ARP", "no ARP", "no ARP", "silent"],
    ["/24", "0", "1", "ttl 64", "no ARP", "no ARP", "no ARP", "no ARP"],
    ["/24", "0", "2", "ttl 64", "no ARP", "no ARP", "no ARP", "silent"],
    ["/32", "0", "0", "ttl 64", "ttl 64", "no ARP", "no ARP", "ttl 64"],
    ["/32", "0", "1", "ttl 64", "ttl 64", "no ARP", "no ARP", "ttl 64"],
    ["/32", "0", "2", "ttl 64", "ttl 64", "no ARP", "no ARP", "ttl 64"],
    ["/32", "1", "0", "ttl 64", "ttl 64", "ttl 63", "ttl 63", "ttl 64"],
    ["/32", "1", "1", "ttl 64", "ttl 64", "ttl 63", "ttl 63", "ttl 64"],
    ["/32", "1", "2", "ttl 64", "ttl 64", "ttl 63", "ttl 63", "ttl 64"],
];

fn cured(w: &World, [route, proxy_arp, rp_filter, h11, h21, d21, l11, l20]: &[&str; 8]) -> Result<Vec<String>> {
    let (host, dustin, leah) = (w.host(), w.machine(DUSTIN)?, w.machine(LEAH)?);
    let _routes = if *route == "/32" { Some(route_to_each(w)?) } else { None };
    let _proxies =
        [host.link("veth_dustin")?.set_ipv4_conf("proxy_arp", proxy_arp)?, host.link("veth_leah")?.set_ipv4_conf("proxy_arp", proxy_arp)?];
    let _filter = host.set_sysctl("net.ipv4.conf.all.rp_filter", rp_filter)?;
    forget_neighbours(w)?;
    let of_host = [(&host, "10.0.0.11", *h11), (&host, "10.0.0.21", *h21)];
    let of_both = [(&dustin, "10.0.0.21", *d21), (&leah, "10.0.0.11", *l11), (&leah, "10.0.0.20", *l20)];
    expected_pings(&[&of_host[..], &of_both].concat())
}

fn route_to_each(w: &World) -> Result<[Route; 2]> {
    let host = w.host();
    Ok([Route::to("10.0.0.11").dev("veth_dustin").install(&host)?, Route::to("10.0.0.21").dev("veth_leah").install(&host)?])
}

/// Nobody remembers what was asked before.
fn forget_neighbours(w: &World) -> Result<()> {
    for (machine, link) in
        [(w.host(), "veth_dustin"), (w.host(), "veth_leah"), (w.machine(DUSTIN)?, "veth_ns_dustin"), (w.machine(LEAH)?, "veth_ns_leah")]
    {
        machine.link(link)?.flush_neighbours()?;
    }
    Ok(())
}

fn routes_of_both() -> [&'static str; 4] {
    [
        "default via 192.168.0.1 dev eth0",
        "10.0.0.0/24 dev veth_dustin proto kernel scope link src 10.0.0.10",
        "10.0.0.0/24 dev veth_leah proto kernel scope link src 10.0.0.20",
        "192.168.0.0/24 dev eth0 proto kernel scope link src 192.168.0.100",
    ]
}
