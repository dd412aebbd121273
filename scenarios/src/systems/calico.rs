//! Pods with an address and nothing else, whose node answers for a gateway that nobody has.

use netlab::{Capture, Netns, Reason, Route, VethPair, capture};

use super::nodes::{LAN, NODE_1, NODE_2, nodes};
use crate::ask::hardware;
use crate::error::Result;
use crate::stage::Stage;
use crate::story::Story;
use crate::world::World;
use crate::world::calico::{GATEWAY, add_gateway, add_hole, add_host_route, add_settings, owners};

/// Of node1, as pod1.
pub(super) const POD_3: &str = "pod3";
pub(super) const ADDRESS_1: &str = "10.244.1.2";
const ADDRESS_3: &str = "10.244.1.3";
pub(super) const ADDRESS_2: &str = "10.244.2.2";
pub(super) const BLOCK_1: &str = "10.244.1.0/26";
pub(super) const BLOCK_2: &str = "10.244.2.0/26";
/// In the block of node1, and nobody's.
pub(super) const NOBODY: &str = "10.244.1.60";

pub(super) const SYSTEMS: &[Stage] = &[Stage {
    id: "systems.calico",
    title: "Calico's routed pods",
    afresh: true,
    claim: "A pod has an address alone (/32), and a gateway that no interface has: 169.254.1.1. It reaches the pods of its node and those of \
            others by it, and nothing translates.",
    truth: "The node answers ARP for whatever its pods ask for (proxy_arp), so that all they send comes to it, and it routes: a route to each \
            of its pods, and a route to the block of each other node. The pods share no Ethernet, not even on one node. A \
            blackhole for the node's own block keeps what is for nobody from leaving by the default route.",
    needs: &["a route to 169.254.1.1 by another interface, such as the node's default route: otherwise the node does not answer for it"],
    commands: &[
        "ip route add 169.254.1.1 dev eth0 scope link; ip route add default via 169.254.1.1 dev eth0  # each pod",
        "sysctl -w net.ipv4.conf.cali_pod1.proxy_arp=1 net.ipv4.conf.cali_pod1.forwarding=1  # node1, and so on for each pod",
        "sysctl -w net.ipv4.neigh.cali_pod1.proxy_delay=0 net.ipv4.conf.cali_pod1.rp_filter=1 net.ipv4.conf.cali_pod1.route_localnet=1",
        "sysctl -w net.ipv4.conf.eth0.forwarding=1  # each node",
        "ip route add 10.244.1.2 dev cali_pod1; ip route add 10.244.1.3 dev cali_pod3  # node1",
        "ip route add blackhole 10.244.1.0/26; ip route add 10.244.2.0/26 via 192.168.1.12  # node1, and so on node2",
    ],
    scene: pods,
    before: |w, s| {
        s.no_reply(&w.machine(NODE_1.pod)?, ADDRESS_2, libc::ENETUNREACH)?;
        s.no_reply(&w.machine(NODE_1.pod)?, ADDRESS_3, libc::ENETUNREACH)
    },
    change: |w| {
        settle(w)?;
        for (node, block, other, others) in [(NODE_1, BLOCK_1, NODE_2, BLOCK_2), (NODE_2, BLOCK_2, NODE_1, BLOCK_1)] {
            add_hole(w, node.name, block)?;
            Route::to(others).via(other.address).install(&w.machine(node.name)?)?.keep();
        }
        Ok(())
    },
    check: |w, s| {
        let (node1, pod1, pod2) = (w.machine(NODE_1.name)?, w.machine(NODE_1.pod)?, w.machine(NODE_2.pod)?);
        s.routes(&pod1, "it has two routes", "main", &["default via 169.254.1.1 dev eth0", "169.254.1.1 dev eth0 scope link"])?;
        s.equals("no interface of any machine has 169.254.1.1", owners(w, GATEWAY)?, "none")?;
        let server = pod2.http_server(format!("{ADDRESS_2}:80"))?;
        s.served_as(&pod1, ADDRESS_2, server.name(), ADDRESS_1)?;
        s.replies_with_ttl(&pod1, ADDRESS_3, 63)?;
        let wires = Capture::on_all([&node1, &w.machine(NODE_2.name)?])?;
        s.replies_with_ttl(&pod1, ADDRESS_2, 62)?;
        s.distinct_packets("the nodes pass the ping on as it is", &wires.stop()?.filter(capture::icmp())?, BARE)?;
        let mac = hardware(&node1, "cali_pod1")?;
        s.neighbours(&pod1, "it knows its gateway alone, by the node's MAC address", &format!("169.254.1.1 dev eth0 lladdr {mac}"))?;
        s.no_reply(&node1, NOBODY, libc::EINVAL)?;
        s.without("the blackhole");
        w.take::<Route>("the blackhole of node1")?.close()?;
        let tap = Capture::on(&node1.link("eth0")?)?;
        s.no_reply(&pod1, NOBODY, Reason::Silence)?;
        let left = ["node1/eth0 Out IP 10.244.1.2 > 10.244.1.60: ICMP echo request"];
        s.distinct_packets("node1: what is for nobody leaves", &tap.stop()?.filter(capture::icmp())?, &left)?;
        s.without("proxy_arp=1 on cali_pod1");
        node1.link("cali_pod1")?.set_proxy_arp(false)?;
        unanswered(w, s)?;
        node1.link("cali_pod1")?.set_proxy_arp(true)?;
        s.with("proxy_arp=1 on cali_pod1 again");
        s.replies(&pod1, ADDRESS_2)?;
        s.without("the default route of node1");
        node1.delete_route("default")?;
        unanswered(w, s)
    },
    ..Stage::STILL
}];

const BARE: &[&str] = &[
    "node1/cali_pod1 In  IP 10.244.1.2 > 10.244.2.2: ICMP echo request",
    "node1/eth0 Out IP 10.244.1.2 > 10.244.2.2: ICMP echo request",
    "node2/eth0 In  IP 10.244.1.2 > 10.244.2.2: ICMP echo request",
    "node2/cali_pod2 Out IP 10.244.1.2 > 10.244.2.2: ICMP echo request",
    "node2/cali_pod2 In  IP 10.244.2.2 > 10.244.1.2: ICMP echo reply",
    "node2/eth0 Out IP 10.244.2.2 > 10.244.1.2: ICMP echo reply",
    "node1/eth0 In  IP 10.244.2.2 > 10.244.1.2: ICMP echo reply",
    "node1/cali_pod1 Out IP 10.244.2.2 > 10.244.1.2: ICMP echo reply",
];

/// Pod, address and node.
const PODS: [(&str, &str, &str); 3] =
    [(NODE_1.pod, ADDRESS_1, NODE_1.name), (POD_3, ADDRESS_3, NODE_1.name), (NODE_2.pod, ADDRESS_2, NODE_2.name)];

/// Two nodes with a way out, which leads nowhere, and pods that are cabled to them and have their addresses.
pub(super) fn pods(world: &mut World) -> Result<()> {
    nodes(world)?;
    let router = world.add(Netns::new("router")?);
    world.plug(LAN, router.iface("eth0").addr("192.168.1.1/24"))?;
    for node in [NODE_1, NODE_2] {
        Route::default_via("192.168.1.1").install(&world.machine(node.name)?)?.keep();
    }
    for (name, address, node) in PODS {
        let pod = world.add(Netns::new(name)?);
        let port = world.machine(node)?.iface(port(name));
        world.keep_cable(VethPair::connect(pod.iface("eth0").addr(format!("{address}/32")), port)?);
    }
    Ok(())
}

/// What Calico's agent does on a node for each of its pods.
pub(super) fn settle(world: &mut World) -> Result<()> {
    for (pod, address, node) in PODS {
        add_gateway(world, pod)?;
        add_settings(world, node, &port(pod))?;
        add_host_route(world, node, address, &port(pod))?;
    }
    Ok(())
}

fn port(pod: &str) -> String {
    format!("cali_{pod}")
}

/// The first pod asks for its gateway, and nobody answers.
fn unanswered(world: &World, story: &mut Story) -> Result<()> {
    let (node1, pod1) = (world.machine(NODE_1.name)?, world.machine(NODE_1.pod)?);
    pod1.link("eth0")?.flush_neighbours()?;
    let tap = Capture::on(&node1.link("cali_pod1")?)?;
    story.no_reply(&pod1, ADDRESS_2, libc::EHOSTUNREACH)?;
    let asked = ["node1/cali_pod1 In  ARP, Request who-has 169.254.1.1 tell 10.244.1.2"];
    story.distinct_packets("node1: asked for 169.254.1.1, it says nothing", &tap.stop()?.filter(capture::arp())?, &asked)
}
