//! Stages 11 to 17: a namespace, its cable and its bridge, made by hand as Docker makes them.

use netlab::{Bridge, Netns, Reason, Route, VethPair};

use super::{BRIDGE, DAEMON, SAMPLE, SITE, SITE_ADDRESS};
use crate::ask::counter;
use crate::error::Result;
use crate::stage::{Cause, Stage, Verdict};
use crate::story::Story;
use crate::world::{Daemon, World};
use crate::{etc, ip_netns};

const CABLE: &str = "the cable of sample";
const DEFAULT_ROUTE: &str = "the default route of sample";

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "002.11",
        title: "sample",
        claim: "`ip netns add sample` makes a namespace, and `ip netns list` shows it.",
        truth: "This one has a name: the command makes it in /run/netns, beside the namespace.",
        needs: &["for what follows, a host as it is without Docker: its rules gone, ip_forward 0. Stage 21 brings them back"],
        commands: &["systemctl stop docker; sysctl -w net.ipv4.ip_forward=0", "ip netns add sample"],
        before: |_, s| s.equals("host: is a namespace of the name `sample` listed?", listed(SAMPLE), "no"),
        change: |w| {
            drop(w.take::<Daemon>(DAEMON)?);
            ip_netns::add_name(&w.add(Netns::bare(SAMPLE)?))
        },
        check: |w, s| {
            s.equals("host: is a namespace of the name `sample` listed?", listed(SAMPLE), "yes")?;
            s.links(&w.machine(SAMPLE)?, "lo is the only device", "lo")?;
            s.equals("host: ip_forward is", w.host().sysctl("net.ipv4.ip_forward")?, "0")
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.12",
        title: "veth1 and veth2",
        claim: "`ip link add veth1 type veth peer name veth2` makes the two ends of a cable, each named after itself and the other.",
        truth: "`veth1@veth2` and `veth2@veth1`, both DOWN. The peer, veth2, is made first and has the lower index.",
        commands: &["ip link add veth1 type veth peer name veth2"],
        before: |w, s| {
            let host = w.host();
            s.refused("host: there is no veth1", host.link("veth1"), libc::ENODEV)?;
            s.refused("host: there is no veth2", host.link("veth2"), libc::ENODEV)
        },
        change: |w| {
            let host = w.host();
            // Index 0 leaves the choice to the kernel, as `ip link add` does.
            let cable = VethPair::connect(host.iface("veth1").index(0).down(), host.iface("veth2").index(0).down())?;
            w.keep(CABLE, cable);
            Ok(())
        },
        check: |w, s| {
            let host = w.host();
            s.link(&host, "one end", "veth1", "veth1@veth2: <BROADCAST,MULTICAST,M-DOWN> noop DOWN")?;
            s.link(&host, "the other end", "veth2", "veth2@veth1: <BROADCAST,MULTICAST,M-DOWN> noop DOWN")?;
            let (veth1, veth2) = (host.link("veth1")?.index(), host.link("veth2")?.index());
            s.holds("host: veth2 has the lower index", format!("veth2 {veth2}, veth1 {veth1}"), veth2 < veth1)
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.13",
        title: "veth2 moves",
        claim: "veth2 is moved into the namespace; then each end names the other by its number.",
        truth: "`veth1@if<index>` here and `veth2@if<index>` there. M-DOWN, which says that the other end is down, is gone from both: \
                what is in another namespace is not looked at.",
        commands: &["ip link set veth2 netns sample"],
        before: |w, s| s.links(&w.machine(SAMPLE)?, "lo is the only device", "lo"),
        change: |w| Ok(w.host().link("veth2")?.move_to(&w.machine(SAMPLE)?)?),
        check: |w, s| {
            let (host, sample) = (w.host(), w.machine(SAMPLE)?);
            let (veth1, veth2) = (host.link("veth1")?.index(), sample.link("veth2")?.index());
            s.link(&host, "one end", "veth1", &format!("veth1@if{veth2}: <BROADCAST,MULTICAST> noop DOWN"))?;
            s.link(&sample, "the other end", "veth2", &format!("veth2@if{veth1}: <BROADCAST,MULTICAST> noop DOWN"))?;
            s.refused("host: there is no veth2 any more", host.link("veth2"), libc::ENODEV)
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.14",
        title: "nine steps",
        claim: "Nine commands make a bridge, plug veth1 in, give both sides addresses and the namespace its default route.",
        truth: "All succeed. `brd +` makes 10.1.1.255 of the address, the network's broadcast address; without it the address has none, and \
                nothing here needs one.",
        commands: &[
            "ip link add samplebr type bridge",
            "ip link set veth1 master samplebr",
            "ip address add 10.1.1.1/24 brd + dev samplebr",
            "ip netns exec sample ip address add 10.1.1.2/24 dev veth2",
            "ip link set samplebr up",
            "ip link set veth1 up",
            "ip netns exec sample ip link set lo up",
            "ip netns exec sample ip link set veth2 up",
            "ip netns exec sample ip route add default via 10.1.1.1",
        ],
        before: |w, s| s.no_reply(&w.machine(SAMPLE)?, "10.1.1.1", libc::ENETUNREACH),
        change: |w| {
            let (host, sample) = (w.host(), w.machine(SAMPLE)?);
            let bridge = Bridge::new(host.iface(BRIDGE).addr("10.1.1.1/24").broadcast("+"))?;
            host.link("veth1")?.set_master(&bridge)?;
            let veth2 = sample.link("veth2")?;
            veth2.add_address("10.1.1.2/24")?.keep();
            host.link("veth1")?.up()?;
            sample.link("lo")?.up()?;
            veth2.up()?;
            w.keep(DEFAULT_ROUTE, Route::default_via("10.1.1.1").install(&sample)?);
            w.keep(BRIDGE, bridge);
            Ok(())
        },
        check: |w, s| {
            let (host, sample) = (w.host(), w.machine(SAMPLE)?);
            let connected = "10.1.1.0/24 dev veth2 proto kernel scope link src 10.1.1.2";
            s.routes(&sample, "it has its routes", "main", &["default via 10.1.1.1 dev veth2", connected])?;
            s.has_route(&host, "and the host has one to it", "main", "10.1.1.0/24 dev samplebr proto kernel scope link src 10.1.1.1")?;
            broadcast(s, &host, BRIDGE, "10.1.1.255")?;
            s.without("`brd +`");
            broadcast(s, &sample, "veth2", "none")
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.15",
        title: "host and sample",
        claim: "The host reaches sample, and sample the host.",
        truth: "Both ways, and ip_forward is 0: nothing is forwarded, each is the other's neighbour. Both need the cable to end in the bridge: \
                without, the host still answers ARP for its address, but its replies go into the bridge. (The \
                `PING 10.1.1.1 (10.1.1.2)` of the text's output is a slip: ping prints the same address twice.)",
        commands: &["ping -c1 10.1.1.2", "ip netns exec sample ping -c1 10.1.1.1"],
        cause: Cause::Change("002.14"),
        check: |w, s| {
            let (host, sample) = (w.host(), w.machine(SAMPLE)?);
            s.equals("host: ip_forward is", host.sysctl("net.ipv4.ip_forward")?, "0")?;
            s.replies(&host, "10.1.1.2")?;
            s.replies(&sample, "10.1.1.1")?;
            s.without("veth1 in the bridge");
            host.link("veth1")?.set_nomaster()?;
            host.link(BRIDGE)?.flush_neighbours()?;
            sample.link("veth2")?.flush_neighbours()?;
            s.no_reply(&host, "10.1.1.2", libc::EHOSTUNREACH)?;
            s.no_reply(&sample, "10.1.1.1", Reason::Silence)
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.16",
        title: "8.8.8.8",
        verdict: Verdict::False,
        claim: "From sample the internet cannot be reached: `ping 8.8.8.8` says \"Network is unreachable\".",
        truth: "It cannot, but ping says nothing. sample has a default route since the ninth step, and its packets go by it to the host, which \
                does not forward and drops them without a word (IpInAddrErrors). ENETUNREACH is what it was before that step.",
        needs: &["ip_forward=0"],
        commands: &["ip netns exec sample ping -c1 8.8.8.8"],
        before: |w, s| s.replies(&w.host(), "8.8.8.8"),
        cause: Cause::Lack { of: "ip netns exec sample ip route delete default", supply: no_default_route },
        check: |w, s| {
            let (host, sample) = (w.host(), w.machine(SAMPLE)?);
            s.wrong();
            let before = counter(&host, "IpInAddrErrors")?;
            s.no_reply(&sample, "8.8.8.8", Reason::Silence)?;
            s.equals("host: IpInAddrErrors counts one more", counter(&host, "IpInAddrErrors")? - before, 1)?;
            s.without("the default route");
            no_default_route(w)?;
            s.no_reply(&sample, "8.8.8.8", libc::ENETUNREACH)
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.17",
        title: "a name",
        verdict: Verdict::Precondition,
        claim: "Nor by name: `ping github.com` says \"Temporary failure in name resolution\".",
        truth: "EAI_AGAIN, and at once, if the host's name server is a stub on 127.0.0.53: in sample that address is sample itself, where \
                nobody has the port. A name server outside is waited for first: two tries of 5 s by default, here one of 1 s.",
        needs: &["a name server on the host's own 127.*, for it to fail at once"],
        commands: &["ip netns exec sample ping -c1 github.com"],
        before: |w, s| s.resolved(&w.host(), SITE, SITE_ADDRESS),
        cause: Cause::Lack {
            of: "echo nameserver 192.168.0.1 > /etc/resolv.conf",
            supply: |_| etc::configure_resolver("nameserver 192.168.0.1\noptions timeout:1 attempts:1\n"),
        },
        check: |w, s| {
            let sample = w.machine(SAMPLE)?;
            s.with("a stub resolver on 127.0.0.53");
            s.unresolved(&sample, SITE, true)?;
            s.without("a stub resolver on 127.0.0.53");
            etc::configure_resolver("nameserver 192.168.0.1\noptions timeout:1 attempts:1\n")?;
            s.unresolved(&sample, SITE, false)
        },
        ..Stage::STILL
    },
];

fn no_default_route(w: &mut World) -> Result<()> {
    Ok(w.take::<Route>(DEFAULT_ROUTE)?.close()?)
}

/// Whether `ip netns list` has the name.
fn listed(name: &str) -> &'static str {
    if ip_netns::names().iter().any(|listed| listed == name) { "yes" } else { "no" }
}

/// A link's IPv4 address has that broadcast address, or `none`.
fn broadcast(s: &mut Story, on: &Netns, link: &str, expected: &str) -> Result<()> {
    let addresses = on.addresses()?;
    let broadcast = addresses.of(link).find(|address| address.net.addr().is_ipv4()).and_then(|address| address.broadcast);
    let seen = broadcast.map_or_else(|| "none".to_owned(), |address| address.to_string());
    s.equals(format!("{on}: the broadcast address of {link} is"), seen, expected)
}
