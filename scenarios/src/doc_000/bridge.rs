//! Stages 28 to 34: a bridge in the place of cables that end at the host.

use netlab::{Bridge, Netns, Route, VethPair};

use super::{ADA, DUSTIN, LEAH, SERVER_1, SERVER_2, SERVER_3};
use crate::error::Result;
use crate::ip_netns;
use crate::stage::{Cause, Stage};
use crate::story::Story;
use crate::world::World;

const BRIDGE: &str = "bridge_home";

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
        id: "000.34",
        title: "future veth",
        claim: "Whatever is plugged into the bridge later needs no new rule.",
        truth: "A third namespace reaches the others, and the host at once. It still needs what the rules do not give: an \
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
            let (dustin, ada) = (w.machine(DUSTIN)?, w.machine(ADA)?);
            s.replies(&ada, "10.0.0.1")?;
            s.served_as(&ada, "10.0.0.11:8080", SERVER_2, "10.0.0.31")?;
            s.served_as(&ada, "10.0.0.21:8080", SERVER_3, "10.0.0.31")?;
            s.served_as(&ada, "192.168.0.100:8080", SERVER_1, "10.0.0.31")?;
            s.replies(&dustin, "10.0.0.31")?;
            s.without("an address of its own");
            ada.link("veth_ns_ada")?.flush_addresses()?;
            s.no_reply(&ada, "10.0.0.11", libc::ENETUNREACH)
        },
        ..Stage::STILL
    },
];

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
