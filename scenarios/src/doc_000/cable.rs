//! Stages 09 to 19: a cable, addresses, a default route, and no internet yet.

use netlab::{Netns, Policy, Reason, Route, RpFilter, VethPair, snapshot};

use super::rules::DOCKER;
use super::{CABLE, DUSTIN, SERVER_1, SERVER_2, SITE, SITE_ADDRESS, stop};
use crate::ask::counter;
use crate::error::{Error, Result};
use crate::etc;
use crate::stage::{Cause, Stage, Verdict};
use crate::table::expected_servers;
use crate::world::World;

const HOST_END: &str = "veth_dustin";
const INNER_END: &str = "veth_ns_dustin";

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "000.09",
        title: "veth pair",
        claim: "`ip link add` makes a cable: two devices that know each other, both DOWN.",
        truth: "Both are there with M-DOWN (the far end is down) and qdisc noop. The kernel makes the peer first: it gets the lower index.",
        commands: &["ip link add veth_dustin type veth peer name veth_ns_dustin"],
        before: |w, s| s.links(&w.host(), "there is no such device", "lo eth0"),
        change: |w| {
            let host = w.host();
            // Index 0 leaves the choice to the kernel, as `ip link add` does.
            let cable = VethPair::connect(host.iface(HOST_END).index(0).down(), host.iface(INNER_END).index(0).down())?;
            w.keep(CABLE, cable);
            Ok(())
        },
        check: |w, s| {
            let host = w.host();
            s.link(&host, "one end is down", HOST_END, "veth_dustin@veth_ns_dustin: <BROADCAST,MULTICAST,M-DOWN> noop DOWN")?;
            s.link(&host, "and so is the other", INNER_END, "veth_ns_dustin@veth_dustin: <BROADCAST,MULTICAST,M-DOWN> noop DOWN")?;
            let (end, peer) = (host.link(HOST_END)?.index(), host.link(INNER_END)?.index());
            s.holds("the peer has the lower index", format!("{INNER_END} {peer}, {HOST_END} {end}"), peer < end)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.10",
        title: "one end up",
        claim: "The host's end is set UP.",
        truth: "Only administratively: as long as the far end is down it has no carrier, and its state is LOWERLAYERDOWN.",
        commands: &["ip link set veth_dustin up"],
        before: |w, s| s.link(&w.host(), "the end is down", HOST_END, "veth_dustin@veth_ns_dustin: <BROADCAST,MULTICAST,M-DOWN> noop DOWN"),
        change: |w| Ok(w.host().link(HOST_END)?.up()?),
        check: |w, s| {
            let up = "veth_dustin@veth_ns_dustin: <NO-CARRIER,BROADCAST,MULTICAST,UP,M-DOWN> noqueue LOWERLAYERDOWN";
            s.link(&w.host(), "the end is up and has no carrier", HOST_END, up)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.11",
        title: "move the peer",
        claim: "The other end is moved into the namespace, and is gone from the host.",
        truth: "It keeps its index and its MAC address, and is DOWN inside. On the host the name behind the @ becomes `if<index>`, with \
                the id of the namespace.",
        needs: &["a named namespace, for `ip link` to show `link-netns netns_dustin` and not just `link-netnsid`"],
        commands: &["ip link set veth_ns_dustin netns netns_dustin"],
        before: |w, s| {
            s.links(&w.host(), "both ends are here", "lo eth0 veth_ns_dustin veth_dustin")?;
            s.links(&w.machine(DUSTIN)?, "lo is the only device", "lo")
        },
        change: |w| {
            let end = w.host().link(INNER_END)?;
            w.keep(BEFORE_THE_MOVE, inner_end(&w.host())?);
            Ok(end.move_to(&w.machine(DUSTIN)?)?)
        },
        check: |w, s| {
            let (host, dustin) = (w.host(), w.machine(DUSTIN)?);
            s.links(&host, "the other end is gone", "lo eth0 veth_dustin")?;
            let old = w.kept::<snapshot::Link>(BEFORE_THE_MOVE)?;
            let new = inner_end(&dustin)?;
            let seen = |link: &snapshot::Link| format!("index {}, {}", link.index, link.mac.as_deref().unwrap_or("no MAC address"));
            s.equals("netns_dustin: it has the index and the MAC address of before", seen(&new), seen(old))?;
            let outer = host.link(HOST_END)?.index();
            let down = format!("veth_ns_dustin@if{outer}: <BROADCAST,MULTICAST> noop DOWN");
            s.link(&dustin, "it is down", INNER_END, &down)?;
            let far = format!("veth_dustin@if{}: <NO-CARRIER,BROADCAST,MULTICAST,UP> noqueue LOWERLAYERDOWN", new.index);
            s.link(&host, "the end here names the other by its index", HOST_END, &far)?;
            let links = host.links()?;
            let id = links.named(HOST_END).and_then(|link| link.link_netnsid);
            let seen = id.map_or_else(|| "none".to_owned(), |id| format!("link-netnsid {id}"));
            s.holds("host: and by an id of its namespace", seen, id.is_some_and(|id| id >= 0))
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.12",
        title: "peer up",
        claim: "When the peer is up as well, both ends are LOWER_UP.",
        truth: "Both have a carrier now, and state UP.",
        commands: &["ip netns exec netns_dustin ip link set veth_ns_dustin up"],
        before: |w, s| {
            let far = w.machine(DUSTIN)?.link(INNER_END)?.index();
            let here = format!("veth_dustin@if{far}: <NO-CARRIER,BROADCAST,MULTICAST,UP> noqueue LOWERLAYERDOWN");
            s.link(&w.host(), "the end here has no carrier", HOST_END, &here)
        },
        change: |w| Ok(w.machine(DUSTIN)?.link(INNER_END)?.up()?),
        check: |w, s| {
            let (host, dustin) = (w.host(), w.machine(DUSTIN)?);
            let (here, there) = (host.link(HOST_END)?.index(), dustin.link(INNER_END)?.index());
            let carries = |name, far| format!("{name}@if{far}: <BROADCAST,MULTICAST,UP,LOWER_UP> noqueue UP");
            s.link(&host, "the end here has a carrier", HOST_END, &carries(HOST_END, there))?;
            s.link(&dustin, "the end here has a carrier", INNER_END, &carries(INNER_END, here))
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.13",
        title: "addresses",
        claim: "The ends get 10.0.0.10 and 10.0.0.11 of 10.0.0.0/24.",
        truth: "With each address the kernel adds the connected route of its network.",
        commands: &[
            "ip address add 10.0.0.10/24 dev veth_dustin",
            "ip netns exec netns_dustin ip address add 10.0.0.11/24 dev veth_ns_dustin",
        ],
        before: |w, s| {
            s.routes(&w.host(), "there is no route to 10.0.0.0/24", "main", HOST_ROUTES)?;
            s.routes(&w.machine(DUSTIN)?, "there is no route at all", "main", &[])?;
            s.no_reply(&w.machine(DUSTIN)?, "10.0.0.10", libc::ENETUNREACH)
        },
        change: |w| {
            let (outer, inner) = (w.host().link(HOST_END)?, w.machine(DUSTIN)?.link(INNER_END)?);
            w.keep("10.0.0.10", outer.add_address("10.0.0.10/24")?);
            w.keep("10.0.0.11", inner.add_address("10.0.0.11/24")?);
            Ok(())
        },
        check: |w, s| {
            let (host, dustin) = (w.host(), w.machine(DUSTIN)?);
            s.ipv4_addresses(&host, "the end has its address", HOST_END, "10.0.0.10/24")?;
            s.ipv4_addresses(&dustin, "the end has its address", INNER_END, "10.0.0.11/24")?;
            let connected = "10.0.0.0/24 dev veth_dustin proto kernel scope link src 10.0.0.10";
            s.routes(&host, "the connected route is there", "main", &[HOST_ROUTES[0], connected, HOST_ROUTES[1]])?;
            s.routes(&dustin, "the connected route is the only one", "main", &[CONNECTED])
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.14",
        title: "four pings",
        verdict: Verdict::Precondition,
        claim: "Host and namespace can ping each other's address and their own.",
        truth: "All four reply. A machine reaches its own address over `lo`, whichever device has it: with `lo` DOWN that ping is lost.",
        needs: &["lo UP, for a machine to ping its own address"],
        commands: &[
            "ping -c1 10.0.0.10; ping -c1 10.0.0.11",
            "ip netns exec netns_dustin ping -c1 10.0.0.10; ip netns exec netns_dustin ping -c1 10.0.0.11",
        ],
        cause: Cause::Change("000.13"),
        check: |w, s| {
            let (host, dustin) = (w.host(), w.machine(DUSTIN)?);
            s.with("lo UP on both sides");
            s.replies(&host, "10.0.0.10")?;
            s.replies(&host, "10.0.0.11")?;
            s.replies(&dustin, "10.0.0.10")?;
            s.replies(&dustin, "10.0.0.11")?;
            s.without("lo UP on both sides");
            host.link("lo")?.down()?;
            dustin.link("lo")?.down()?;
            s.no_reply(&host, "10.0.0.10", Reason::Silence)?;
            s.replies(&host, "10.0.0.11")?;
            s.replies(&dustin, "10.0.0.10")?;
            s.no_reply(&dustin, "10.0.0.11", Reason::Silence)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.15",
        title: "curl from the host",
        claim: "From the host, `curl 10.0.0.11:8080` gets server2.",
        truth: "server2 answers, and sees the host as 10.0.0.10.",
        needs: &["INPUT accepts"],
        commands: &["curl 10.0.0.11:8080"],
        cause: Cause::Change("000.13"),
        check: |w, s| {
            s.served_as(&w.host(), "10.0.0.11:8080", SERVER_2, "10.0.0.10")?;
            s.without("INPUT accepts in netns_dustin");
            let closed = Policy::drop(&w.machine(DUSTIN)?).input().install()?;
            s.not_served(&w.host(), "10.0.0.11:8080", Reason::Silence)?;
            closed.close()?;
            s.without("server2 running");
            stop(w, SERVER_2)?;
            s.not_served(&w.host(), "10.0.0.11:8080", Reason::Refused)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.16",
        title: "curl from the namespace",
        claim: "From the namespace, `curl 10.0.0.10:8080` gets server1.",
        truth: "server1 answers, and sees the namespace as 10.0.0.11.",
        needs: &["INPUT accepts"],
        commands: &["ip netns exec netns_dustin curl 10.0.0.10:8080"],
        cause: Cause::Change("000.13"),
        check: |w, s| {
            let dustin = w.machine(DUSTIN)?;
            s.served_as(&dustin, "10.0.0.10:8080", SERVER_1, "10.0.0.11")?;
            s.without("INPUT accepts on the host");
            let closed = Policy::drop(&w.host()).input().install()?;
            s.not_served(&dustin, "10.0.0.10:8080", Reason::Silence)?;
            closed.close()?;
            s.without("server1 running");
            stop(w, SERVER_1)?;
            s.not_served(&dustin, "10.0.0.10:8080", Reason::Refused)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.17",
        title: "the host's other address fails",
        claim: "From the namespace, `curl 192.168.0.100:8080`, the host by its other address, fails.",
        truth: "ENETUNREACH at once: the only route is that to 10.0.0.0/24.",
        commands: &["ip netns exec netns_dustin curl 192.168.0.100:8080"],
        before: |w, s| {
            s.served(&w.host(), "192.168.0.100:8080", SERVER_1)?;
            s.served(&w.machine(DUSTIN)?, "10.0.0.10:8080", SERVER_1)
        },
        cause: Cause::Lack { of: "ip netns exec netns_dustin ip route add default via 10.0.0.10", supply: add_default_route },
        check: |w, s| {
            let dustin = w.machine(DUSTIN)?;
            s.not_served(&dustin, "192.168.0.100:8080", libc::ENETUNREACH)?;
            s.routes(&dustin, "there is no route to it", "main", &[CONNECTED])
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.18",
        title: "default route",
        claim: "With a default route via 10.0.0.10 it works, because the host has 192.168.0.100, as `ip route list` shows.",
        truth: "It works, and without forwarding: what is for the host itself is delivered, by whichever device it comes. That \
                192.168.0.100 is the host's own stands in the table `local`, which `ip route list` does not show. rp_filter does not matter, \
                and neither does arp_ignore, but for the 8 that answers nobody: the namespace asks for its gateway, not for 192.168.0.100.",
        needs: &["INPUT accepts", "the host answers ARP: arp_ignore is not 8"],
        commands: &["ip netns exec netns_dustin ip route add default via 10.0.0.10"],
        before: |w, s| s.not_served(&w.machine(DUSTIN)?, "192.168.0.100:8080", libc::ENETUNREACH),
        change: add_default_route,
        check: |w, s| {
            let (host, dustin) = (w.host(), w.machine(DUSTIN)?);
            s.routes(&dustin, "the default route is there", "main", &["default via 10.0.0.10 dev veth_ns_dustin", CONNECTED])?;
            s.served_as(&dustin, "192.168.0.100:8080", SERVER_1, "10.0.0.11")?;
            s.equals("host: ip_forward is 0 nevertheless", host.sysctl("net.ipv4.ip_forward")?, "0")?;
            s.equals("host: FORWARD has seen no packet", w.kept::<Policy>(DOCKER)?.hits()?.packets, 0)?;
            s.wrong();
            s.has_no_route_to(&host, "`ip route list` has no route to 192.168.0.100", "main", "192.168.0.100")?;
            let own = "local 192.168.0.100 dev eth0 proto kernel scope host src 192.168.0.100";
            s.has_route(&host, "`ip route list table local` has", "local", own)?;
            s.unstated();
            s.plays("who answers netns_dustin, by arp_ignore and rp_filter of the host", STRICTNESS, |row| strictness(w, row))?;
            s.without("INPUT accepts");
            let _closed = Policy::drop(&host).input().install()?;
            s.not_served(&dustin, "192.168.0.100:8080", Reason::Silence)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.19",
        title: "no internet",
        claim: "The internet cannot be reached from the namespace, neither by name nor by address.",
        truth: "A name fails at once (EAI_AGAIN) where the name server is a stub on the host's 127.0.0.53: in the namespace that is its own \
                loopback, and nobody has the port. With a name server outside it fails too, after having waited: 10 s by default, two tries of \
                5 s; here it is one of 1 s. A ping of 8.8.8.8 comes as far as the host, which does not forward and drops it without a word (IpInAddrErrors).",
        needs: &["ip_forward=0"],
        commands: &["ip netns exec netns_dustin curl www.example.com", "ip netns exec netns_dustin ping -c1 8.8.8.8"],
        before: |w, s| {
            s.resolved(&w.host(), SITE, SITE_ADDRESS)?;
            s.replies(&w.host(), "8.8.8.8")
        },
        cause: Cause::Lack { of: "sysctl -w net.ipv4.ip_forward=1", supply: |w| Ok(w.host().forward_ipv4()?) },
        check: |w, s| {
            let (host, dustin) = (w.host(), w.machine(DUSTIN)?);
            s.unresolved(&dustin, SITE, true)?;
            let before = counter(&host, "IpInAddrErrors")?;
            s.no_reply(&dustin, "8.8.8.8", Reason::Silence)?;
            s.equals("host: IpInAddrErrors counts one more", counter(&host, "IpInAddrErrors")? - before, 1)?;
            etc::configure_resolver("nameserver 192.168.0.1\noptions timeout:1 attempts:1\n")?;
            s.unresolved(&dustin, SITE, false)
        },
        ..Stage::STILL
    },
];

const BEFORE_THE_MOVE: &str = "veth_ns_dustin before the move";
const CONNECTED: &str = "10.0.0.0/24 dev veth_ns_dustin proto kernel scope link src 10.0.0.11";
const HOST_ROUTES: &[&str; 2] = &["default via 192.168.0.1 dev eth0", "192.168.0.0/24 dev eth0 proto kernel scope link src 192.168.0.100"];

const STRICTNESS: &[[&str; 4]] = &[
    ["arp_ignore", "rp_filter=0", "rp_filter=1", "rp_filter=2"],
    ["0", "server1", "server1", "server1"],
    ["1", "server1", "server1", "server1"],
    ["2", "server1", "server1", "server1"],
    ["8", "no ARP", "no ARP", "no ARP"],
];

/// Who answers at 192.168.0.100:8080 when the host is strict about ARP and about where packets come from. It must not ask for the namespace
/// itself meanwhile, from which that would learn the way: it forgets whom it knows, too.
fn strictness(w: &World, [arp_ignore, expected @ ..]: &[&str; 4]) -> Result<Vec<String>> {
    let (host, dustin) = (w.host(), w.machine(DUSTIN)?);
    let (outer, inner) = (host.link(HOST_END)?, dustin.link(INNER_END)?);
    let _arp_ignore = outer.set_ipv4_conf("arp_ignore", arp_ignore)?;
    let mut row = Vec::new();
    for (mode, expected) in [RpFilter::Off, RpFilter::Strict, RpFilter::Loose].into_iter().zip(expected) {
        host.set_rp_filter(mode)?;
        outer.flush_neighbours()?;
        inner.flush_neighbours()?;
        row.extend(expected_servers(&[(&dustin, "192.168.0.100:8080", expected)])?);
    }
    host.set_rp_filter(RpFilter::Off)?;
    Ok(row)
}

/// What the host and `netns_dustin` show of the end that moves.
fn inner_end(on: &Netns) -> Result<snapshot::Link> {
    let links = on.links()?;
    links.named(INNER_END).cloned().ok_or_else(|| Error::World(format!("`{on}` has no {INNER_END}")))
}

fn add_default_route(w: &mut World) -> Result<()> {
    let route = Route::default_via("10.0.0.10").install(&w.machine(DUSTIN)?)?;
    w.keep("the default route of netns_dustin", route);
    Ok(())
}
