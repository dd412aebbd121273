//! Two nodes that have given their pods the same network.

use netlab::{Bridge, Capture, Netns, Reason, Route, VethPair, capture};

use super::nodes::{NODE_1, NODE_2, routed};
use super::routed::host_gateways;
use crate::error::Result;
use crate::stage::Stage;
use crate::world::World;

/// A second pod of node2.
const POD_3: &str = "pod3";
/// The routes by which each node reaches the pods of the other.
const ROUTES: [&str; 2] = ["the way to pod1", "the way to pod2"];

pub(super) const SYSTEMS: &[Stage] = &[Stage {
    id: "systems.equal-subnets",
    title: "the same pod CIDR on two nodes",
    afresh: true,
    kernel: &["bridge"],
    claim: "Where two nodes have chosen the same network for their pods, the pods of one do not reach those of the other, and no route helps.",
    truth: "The network is connected to either node, and that is nearer than any route. An address that both have is the own pod's to each node, \
            and to that pod it is itself. An address that only the other node has is looked for on the own bridge, where nobody answers ARP. A \
            route to the whole network by way of the other node is refused (EEXIST), and with a higher metric it is never used. A route to the one \
            address with proxy ARP brings the packet over, but the answer goes to whoever has the asker's address there. The cure is \
            another network for one of the nodes, and a route to it.",
    needs: &["a network of its own for each node, for its pods to be reached from elsewhere"],
    commands: &[
        "ip address flush dev cni0; ip address add 10.244.1.1/24 dev cni0  # node2, as on node1",
        "ip address flush dev eth0; ip address add 10.244.1.2/24 dev eth0; ip route add default via 10.244.1.1  # pod2, as pod1 has it",
        "ip address flush dev eth0; ip address add 10.244.1.3/24 dev eth0; ip route add default via 10.244.1.1  # pod3",
    ],
    scene: |w| {
        routed(w)?;
        host_gateways(w)?;
        let (node2, pod3) = (w.machine(NODE_2.name)?, w.add(Netns::new(POD_3)?));
        let port = node2.iface("veth_pod3").master(w.kept::<Bridge>("the bridge of node2")?);
        w.keep_cable(VethPair::connect(pod3.iface("eth0").addr("10.244.2.3/24").gateway("10.244.2.1"), port)?);
        for pod in [NODE_1.pod, NODE_2.pod, POD_3] {
            let server = w.machine(pod)?.http_server("0.0.0.0:80")?;
            w.keep(format!("the server of {pod}"), server);
        }
        Ok(())
    },
    before: |w, s| {
        s.served_as(&w.machine(NODE_1.pod)?, "10.244.2.3", POD_3, "10.244.1.2")?;
        s.served_as(&w.machine(POD_3)?, "10.244.1.2", NODE_1.pod, "10.244.2.3")
    },
    change: |w| {
        for route in ROUTES {
            w.take::<Route>(route)?.close()?;
        }
        readdress(w, "10.244.1")
    },
    check: |w, s| {
        let (node1, node2, pod1, pod2) = (w.machine(NODE_1.name)?, w.machine(NODE_2.name)?, w.machine(NODE_1.pod)?, w.machine(NODE_2.pod)?);
        s.served(&node1, "10.244.1.2", NODE_1.pod)?;
        s.served(&node2, "10.244.1.2", NODE_2.pod)?;
        s.served_as(&pod1, "10.244.1.2", NODE_1.pod, "10.244.1.2")?;
        s.not_served(&pod1, "10.244.1.3", libc::EHOSTUNREACH)?;
        s.not_served(&node1, "10.244.1.3", libc::EHOSTUNREACH)?;
        s.served(&node2, "10.244.1.3", POD_3)?;
        s.with("a route to the network by way of the other node");
        let way = || Route::to("10.244.1.0/24").via(NODE_2.address);
        s.refused("node1: `ip route add 10.244.1.0/24 via 192.168.1.12`", way().install(&node1), libc::EEXIST)?;
        let second_choice = way().metric(100).install(&node1)?;
        s.has_route(&node1, "with `metric 100` it has it", "main", "10.244.1.0/24 via 192.168.1.12 dev eth0 metric 100")?;
        s.not_served(&node1, "10.244.1.3", libc::EHOSTUNREACH)?;
        second_choice.close()?;
        s.with("a route to the one address, and proxy ARP");
        let (one, answering) = one_address(&node1)?;
        s.served_as(&node1, "10.244.1.3", POD_3, "192.168.1.11")?;
        let pods = Capture::on_all(&[w.machine(POD_3)?.link("eth0")?, pod2.link("eth0")?])?;
        s.no_reply(&pod1, "10.244.1.3", Reason::Silence)?;
        s.distinct_packets(
            "pod3 replies, and pod2 gets what pod1 has asked for",
            &pods.stop()?.filter(capture::icmp())?,
            &[
                "pod3/eth0 In  IP 10.244.1.2 > 10.244.1.3: ICMP echo request",
                "pod3/eth0 Out IP 10.244.1.3 > 10.244.1.2: ICMP echo reply",
                "pod2/eth0 In  IP 10.244.1.3 > 10.244.1.2: ICMP echo reply",
            ],
        )?;
        one.close()?;
        drop(answering);
        s.with("10.244.2.0/24 for node2, and a route on each node");
        readdress(w, "10.244.2")?;
        host_gateways(w)?;
        s.served_as(&pod1, "10.244.2.3", POD_3, "10.244.1.2")?;
        s.served_as(&pod1, "10.244.2.2", NODE_2.pod, "10.244.1.2")?;
        s.served_as(&pod2, "10.244.1.2", NODE_1.pod, "10.244.2.2")
    },
    ..Stage::STILL
}];

/// Gives node2 and its pods addresses of that net: .1, .2 and .3.
fn readdress(world: &World, net: &str) -> Result<()> {
    let bridge = world.machine(NODE_2.name)?.link("cni0")?;
    bridge.flush_addresses()?;
    bridge.add_address(format!("{net}.1/24"))?.keep();
    for (pod, last) in [(NODE_2.pod, 2), (POD_3, 3)] {
        let pod = world.machine(pod)?;
        let eth0 = pod.link("eth0")?;
        eth0.flush_addresses()?;
        eth0.flush_neighbours()?;
        eth0.add_address(format!("{net}.{last}/24"))?.keep();
        Route::default_via(format!("{net}.1")).install(&pod)?.keep();
    }
    Ok(())
}

/// Leads node1 to the one address that only node2 has, and lets it answer its pods' ARP for it, at once.
fn one_address(node1: &Netns) -> Result<(Route, [netlab::Sysctl; 2])> {
    let route = Route::to("10.244.1.3/32").via(NODE_2.address).install(node1)?;
    let bridge = node1.link("cni0")?;
    Ok((route, [bridge.set_ipv4_neigh("proxy_delay", 0)?, bridge.set_ipv4_conf("proxy_arp", 1)?]))
}
