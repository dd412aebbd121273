//! Stages 28 to 34: a bridge in the place of cables that end at the host.

use netlab::{Bridge, Netns, Policy, Reason, Route, VethPair};

use super::internet::outside_resolver;
use super::rules::{self, DOCKER};
use super::{ADA, BRIDGE, DUSTIN, LEAH, ROUTER, SERVER_1, SERVER_2, SERVER_3, SITE, SITE_ADDRESS};
use crate::error::Result;
use crate::ip_netns;
use crate::stage::{Cause, Stage, Verdict};
use crate::story::Story;
use crate::table::expected_pings;
use crate::world::{INTERNET, World};

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "000.28",
        title: "bridge_home",
        claim: "Both cables are plugged into a bridge, which has the gateway's address 10.0.0.1; the addresses of the host's ends go.",
        truth: "The host has three routes to 10.0.0.0/24 at first, and one in the end. In between it reaches nobody: the first two routes lead \
                to devices that hand every frame to the bridge, so no answer to their ARP reaches them. The bridge takes the lowest MAC address \
                of its ports.",
        commands: &[
            "ip link add bridge_home type bridge",
            "ip address add 10.0.0.1/24 dev bridge_home",
            "ip link set bridge_home up",
            "ip link set veth_dustin master bridge_home",
            "ip link set veth_leah master bridge_home",
            "ip netns exec netns_dustin ip route delete default via 10.0.0.10",
            "ip netns exec netns_dustin ip route add default via 10.0.0.1",
            "ip netns exec netns_leah ip route delete default via 10.0.0.20",
            "ip netns exec netns_leah ip route add default via 10.0.0.1",
            "ip address delete 10.0.0.10/24 dev veth_dustin",
            "ip address delete 10.0.0.20/24 dev veth_leah",
        ],
        before: |w, s| s.no_reply(&w.host(), "10.0.0.21", libc::EHOSTUNREACH),
        change: |w| {
            let host = w.host();
            let bridge = Bridge::new(host.iface(BRIDGE).random_mac().addr("10.0.0.1/24"))?;
            for (end, namespace) in [("veth_dustin", DUSTIN), ("veth_leah", LEAH)] {
                host.link(end)?.set_master(&bridge)?;
                let namespace = w.machine(namespace)?;
                let name = format!("the default route of {namespace}");
                w.take::<Route>(&name)?.close()?;
                w.keep(name, Route::default_via("10.0.0.1").install(&namespace)?);
            }
            host.link("veth_dustin")?.remove_address("10.0.0.10/24")?;
            host.link("veth_leah")?.remove_address("10.0.0.20/24")?;
            w.keep(BRIDGE, bridge);
            Ok(())
        },
        check: |w, s| {
            let host = w.host();
            s.link(&host, "the bridge is up", BRIDGE, "bridge_home: <BROADCAST,MULTICAST,UP,LOWER_UP> noqueue UP")?;
            for end in ["veth_dustin", "veth_leah"] {
                let links = host.links()?;
                let master = links.named(end).and_then(|link| link.master.clone()).unwrap_or_default();
                s.equals(format!("host: the bridge is the master of {end}"), master, BRIDGE)?;
            }
            lowest_mac(s, &host)?;
            s.routes(
                &host,
                "one route to 10.0.0.0/24 is left",
                "main",
                &routes(&["10.0.0.0/24 dev bridge_home proto kernel scope link src 10.0.0.1"]),
            )?;
            for (name, end) in [(DUSTIN, "veth_ns_dustin"), (LEAH, "veth_ns_leah")] {
                let (namespace, via) = (w.machine(name)?, format!("default via 10.0.0.1 dev {end}"));
                s.has_route(&namespace, "the bridge is its gateway", "main", &via)?;
                s.replies(&namespace, "10.0.0.1")?;
            }
            s.unstated();
            let _fresh = Bridge::new(host.iface("fresh").random_mac())?;
            let alone = "fresh: <BROADCAST,MULTICAST,UP,LOWER_UP> noqueue UNKNOWN";
            s.link(&host, "a bridge that never had a port has a carrier, and does not know its state", "fresh", alone)?;
            s.without("the addresses taken off the ends");
            addresses_in_the_order_of_the_text(w)?;
            s.routes(
                &host,
                "there are three routes to 10.0.0.0/24",
                "main",
                &routes(&[
                    "10.0.0.0/24 dev veth_dustin proto kernel scope link src 10.0.0.10",
                    "10.0.0.0/24 dev veth_leah proto kernel scope link src 10.0.0.20",
                    "10.0.0.0/24 dev bridge_home proto kernel scope link src 10.0.0.1",
                ]),
            )?;
            s.no_reply(&host, "10.0.0.11", libc::EHOSTUNREACH)?;
            s.no_reply(&host, "10.0.0.21", libc::EHOSTUNREACH)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.29",
        title: "host to both",
        claim: "The host reaches both namespaces.",
        truth: "By its one route, to the bridge, which knows behind which port each is.",
        commands: &["ping -c1 10.0.0.11; ping -c1 10.0.0.21"],
        cause: Cause::Change("000.28"),
        check: |w, s| {
            let host = w.host();
            s.replies(&host, "10.0.0.11")?;
            s.replies(&host, "10.0.0.21")?;
            s.served_as(&host, "10.0.0.11:8080", SERVER_2, "10.0.0.1")?;
            s.served_as(&host, "10.0.0.21:8080", SERVER_3, "10.0.0.1")?;
            s.without("a port of the bridge");
            host.link("veth_leah")?.set_nomaster()?;
            host.link(BRIDGE)?.flush_neighbours()?;
            s.replies(&host, "10.0.0.11")?;
            s.no_reply(&host, "10.0.0.21", libc::EHOSTUNREACH)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.30",
        title: "cross pings fail",
        verdict: Verdict::Precondition,
        claim: "The namespaces do not reach each other: the bridge is not enabled to pass packets from one port to the other.",
        truth: "The bridge passes every frame; ARP is answered, and each knows the other's MAC address. It is the host's packet filter that drops \
                IPv4: with bridge-nf-call-iptables=1 a bridged packet goes through FORWARD like a routed one, and there the policy is DROP. With \
                either of them otherwise, the pings get their replies.",
        needs: &["FORWARD policy DROP and bridge-nf-call-iptables=1, as on a host with Docker"],
        commands: &["ip netns exec netns_dustin ping -c1 10.0.0.21", "ip netns exec netns_leah ping -c1 10.0.0.11"],
        cause: Cause::Lack { of: "sysctl --write net.bridge.bridge-nf-call-iptables=0", supply: |w| filter_bridged(w, false) },
        check: |w, s| {
            let (dustin, leah) = (w.machine(DUSTIN)?, w.machine(LEAH)?);
            s.with("FORWARD policy DROP and bridge-nf-call-iptables=1");
            let policy = w.kept::<Policy>(DOCKER)?;
            let dropped = policy.hits()?.packets;
            s.no_reply(&dustin, "10.0.0.21", Reason::Silence)?;
            s.no_reply(&leah, "10.0.0.11", Reason::Silence)?;
            s.equals("host: the policy DROP of FORWARD counts two more", policy.hits()?.packets - dropped, 2)?;
            s.wrong();
            neighbour(s, &dustin, "10.0.0.21", &leah, "veth_ns_leah")?;
            neighbour(s, &leah, "10.0.0.11", &dustin, "veth_ns_dustin")?;
            s.unstated();
            s.no_reply(&dustin, "8.8.8.8", Reason::Silence)?;
            let dead = "host: the rule from veth_dustin to eth0 counts nothing: what was bridged comes from bridge_home";
            s.equals(dead, rules::rule(w, "veth_dustin", "eth0")?.hits()?.packets, 0)?;
            s.without("one of the two");
            s.plays("pings of netns_(d)ustin and netns_(l)eah, and the packets of the first two that FORWARD sees", MATRIX, |row| {
                cell(w, row)
            })
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.31",
        title: "bridge to bridge",
        claim: "A rule that accepts what comes from the bridge and goes to the bridge lets them reach each other.",
        truth: "It does. The packets are not routed: their ttl stays 64. Not to filter what is bridged (bridge-nf-call-iptables=0) is the other \
                cure.",
        needs: &["FORWARD policy DROP and bridge-nf-call-iptables=1, for the rule to be needed"],
        commands: &["iptables --append FORWARD --in-interface bridge_home --out-interface bridge_home --jump ACCEPT"],
        before: |w, s| s.no_reply(&w.machine(DUSTIN)?, "10.0.0.21", Reason::Silence),
        change: |w| rules::accept(w, BRIDGE, BRIDGE),
        check: |w, s| {
            let (dustin, leah) = (w.machine(DUSTIN)?, w.machine(LEAH)?);
            s.replies_with_ttl(&dustin, "10.0.0.21", 64)?;
            s.replies_with_ttl(&leah, "10.0.0.11", 64)?;
            s.served_as(&dustin, "10.0.0.21:8080", SERVER_3, "10.0.0.11")?;
            s.served_as(&leah, "10.0.0.11:8080", SERVER_2, "10.0.0.21")?;
            s.with("bridge-nf-call-iptables=0 in the place of the rule");
            rules::delete(w, BRIDGE, BRIDGE)?;
            filter_bridged(w, false)?;
            s.replies_with_ttl(&dustin, "10.0.0.21", 64)?;
            s.replies_with_ttl(&leah, "10.0.0.11", 64)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.32",
        title: "uplink rules",
        claim: "The rules for veth_dustin give way to rules for the bridge, and with them everything on the bridge has the internet.",
        truth: "It has. netns_leah needs a resolv.conf of its own for names, as netns_dustin did.",
        commands: &[
            "iptables --delete FORWARD --in-interface veth_dustin --out-interface eth0 --jump ACCEPT",
            "iptables --delete FORWARD --in-interface eth0 --out-interface veth_dustin --jump ACCEPT",
            "iptables --append FORWARD --in-interface bridge_home --out-interface eth0 --jump ACCEPT",
            "iptables --append FORWARD --in-interface eth0 --out-interface bridge_home --jump ACCEPT",
            "mkdir --parents /etc/netns/netns_leah",
            "echo nameserver 8.8.8.8 > /etc/netns/netns_leah/resolv.conf",
        ],
        before: |w, s| {
            s.no_reply(&w.machine(DUSTIN)?, "8.8.8.8", Reason::Silence)?;
            s.no_reply(&w.machine(LEAH)?, "8.8.8.8", Reason::Silence)?;
            s.unresolved(&w.machine(LEAH)?, SITE, true)
        },
        change: |w| {
            rules::delete(w, "veth_dustin", "eth0")?;
            rules::delete(w, "eth0", "veth_dustin")?;
            rules::accept(w, BRIDGE, "eth0")?;
            rules::accept(w, "eth0", BRIDGE)?;
            outside_resolver(LEAH)
        },
        check: |w, s| {
            for name in [DUSTIN, LEAH] {
                let namespace = w.machine(name)?;
                s.replies(&namespace, "8.8.8.8")?;
                s.resolved(&namespace, SITE, SITE_ADDRESS)?;
                s.served_as(&namespace, &format!("{SITE_ADDRESS}:80"), INTERNET, ROUTER)?;
            }
            Ok(())
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.33",
        title: "the host by 192.168.0.100",
        claim: "Both namespaces reach server1 on the host by 192.168.0.100.",
        truth: "They do, by their default route: what is for the host itself is delivered, and passes INPUT, not FORWARD.",
        needs: &["INPUT accepts"],
        commands: &["ip netns exec netns_dustin curl 192.168.0.100:8080", "ip netns exec netns_leah curl 192.168.0.100:8080"],
        cause: Cause::Change("000.28"),
        check: |w, s| {
            let (host, dustin, leah) = (w.host(), w.machine(DUSTIN)?, w.machine(LEAH)?);
            s.served_as(&dustin, "192.168.0.100:8080", SERVER_1, "10.0.0.11")?;
            s.served_as(&leah, "192.168.0.100:8080", SERVER_1, "10.0.0.21")?;
            s.without("INPUT accepts");
            let _closed = Policy::drop(&host).input().install()?;
            s.not_served(&dustin, "192.168.0.100:8080", Reason::Silence)?;
            s.not_served(&leah, "192.168.0.100:8080", Reason::Silence)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.34",
        title: "future veth",
        claim: "Whatever is plugged into the bridge later needs no new rule.",
        truth: "A third namespace reaches the others, the host and the internet at once. It still needs what the rules do not give: an \
                address, links that are up, and a default route.",
        needs: &["an address, links that are up and a default route"],
        commands: &[
            "ip netns add netns_ada",
            "ip link add veth_ada type veth peer name veth_ns_ada netns netns_ada",
            "ip link set veth_ada master bridge_home",
            "ip link set veth_ada up",
            "ip -n netns_ada link set lo up",
            "ip -n netns_ada link set veth_ns_ada up",
            "ip -n netns_ada address add 10.0.0.31/24 dev veth_ns_ada",
            "ip -n netns_ada route add default via 10.0.0.1",
        ],
        before: |w, s| s.no_reply(&w.host(), "10.0.0.31", libc::EHOSTUNREACH),
        change: |w| {
            let (host, ada) = (w.host(), w.add(Netns::bare(ADA)?));
            ip_netns::add_name(&ada)?;
            let port = host.iface("veth_ada").master(w.kept::<Bridge>(BRIDGE)?);
            let cable = VethPair::connect(port, ada.iface("veth_ns_ada").addr("10.0.0.31/24"))?;
            ada.link("lo")?.up()?;
            w.keep("the default route of netns_ada", Route::default_via("10.0.0.1").install(&ada)?);
            w.keep("the cable of netns_ada", cable);
            Ok(())
        },
        check: |w, s| {
            s.replies(&w.machine(DUSTIN)?, "10.0.0.31")?;
            let ada = w.machine(ADA)?;
            s.replies(&ada, "10.0.0.1")?;
            s.served_as(&ada, "10.0.0.11:8080", SERVER_2, "10.0.0.31")?;
            s.served_as(&ada, "10.0.0.21:8080", SERVER_3, "10.0.0.31")?;
            s.served_as(&ada, "192.168.0.100:8080", SERVER_1, "10.0.0.31")?;
            s.replies(&ada, "8.8.8.8")?;
            s.without("an address of its own");
            ada.link("veth_ns_ada")?.flush_addresses()?;
            s.no_reply(&ada, "10.0.0.11", libc::ENETUNREACH)
        },
        aside: true,
        ..Stage::STILL
    },
];

/// What comes of pings, for each policy of FORWARD and each bridge-nf-call-iptables.
const MATRIX: &[[&str; 7]] = &[
    ["policy", "bridge-nf", "ARP", "d→.21", "l→.11", "FORWARD", "d→8.8.8.8"],
    ["ACCEPT", "0", "answered", "ttl 64", "ttl 64", "0", "ttl 62"],
    ["ACCEPT", "1", "answered", "ttl 64", "ttl 64", "4", "ttl 62"],
    ["DROP", "0", "answered", "ttl 64", "ttl 64", "0", "silent"],
    ["DROP", "1", "answered", "silent", "silent", "2", "silent"],
];

fn cell(w: &World, [policy, bridged, _, to_leah, to_dustin, _, outside]: &[&str; 7]) -> Result<Vec<String>> {
    let (host, dustin, leah) = (w.host(), w.machine(DUSTIN)?, w.machine(LEAH)?);
    let policy = if *policy == "DROP" { Policy::drop(&host) } else { Policy::accept(&host) }.forward().install()?;
    let _bridged = host.set_sysctl("net.bridge.bridge-nf-call-iptables", bridged)?;
    dustin.link("veth_ns_dustin")?.flush_neighbours()?;
    let before = policy.hits()?.packets;
    let pings = expected_pings(&[(&dustin, "10.0.0.21", to_leah), (&leah, "10.0.0.11", to_dustin)])?;
    let seen = policy.hits()?.packets - before;
    let arp = if mac_of(&dustin, "10.0.0.21")?.is_some() { "answered" } else { "no" };
    let outside = expected_pings(&[(&dustin, "8.8.8.8", outside)])?;
    Ok([vec![arp.to_owned()], pings, vec![seen.to_string()], outside].concat())
}

/// Lets the packet filter see what a bridge passes on, or not.
fn filter_bridged(w: &World, on: bool) -> Result<()> {
    w.host().set_sysctl("net.bridge.bridge-nf-call-iptables", u8::from(on))?.keep();
    Ok(())
}

/// One knows the MAC address of another: ARP was answered.
fn neighbour(s: &mut Story, on: &Netns, address: &str, of: &Netns, link: &str) -> Result<()> {
    let links = of.links()?;
    let mac = links.named(link).and_then(|link| link.mac.clone()).unwrap_or_default();
    let dev = on.links()?.iter().find(|link| link.name != "lo").map(|link| link.name.clone()).unwrap_or_default();
    s.has_neighbour(on, format!("it knows {of}"), &format!("{address} dev {dev} lladdr {mac}"))
}

/// The MAC address that a machine has learned for an address.
fn mac_of(on: &Netns, address: &str) -> Result<Option<String>> {
    let all = on.neighbours()?;
    Ok(all.iter().find(|neighbour| neighbour.dst.to_string() == address).and_then(|neighbour| neighbour.mac.clone()))
}

/// The host's routes in `main`, with those to 10.0.0.0/24 in their place.
fn routes<'a>(home: &[&'a str]) -> Vec<&'a str> {
    [&["default via 192.168.0.1 dev eth0"], home, &["192.168.0.0/24 dev eth0 proto kernel scope link src 192.168.0.100"]].concat()
}

fn lowest_mac(s: &mut Story, host: &Netns) -> Result<()> {
    let links = host.links()?;
    let mac = |name: &str| links.named(name).and_then(|link| link.mac.clone()).unwrap_or_default();
    let lowest = ["veth_dustin", "veth_leah"].map(mac).into_iter().min().unwrap_or_default();
    s.equals("host: the bridge has the lowest MAC address of its ports", mac(BRIDGE), lowest)
}

/// Gives the host's ends their addresses back, and the bridge its own after them, as it was before the last two commands.
fn addresses_in_the_order_of_the_text(w: &World) -> Result<()> {
    let host = w.host();
    host.link(BRIDGE)?.remove_address("10.0.0.1/24")?;
    for (link, address) in [("veth_dustin", "10.0.0.10/24"), ("veth_leah", "10.0.0.20/24"), (BRIDGE, "10.0.0.1/24")] {
        host.link(link)?.add_address(address)?.keep();
    }
    Ok(())
}
