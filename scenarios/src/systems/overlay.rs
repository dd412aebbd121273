//! Networks that travel inside of others.

use std::any::Any;

use netlab::capture::{any, icmp, udp, vxlan};
use netlab::{Bridge, Capture, Fdb, Gre, IcmpKind, Ipip, Netns, Route, Vxlan};

use super::nodes::{LAN, NODE_1, NODE_2, Node, nodes, pod, routed};
use crate::error::{Error, Result};
use crate::stage::Stage;
use crate::world::World;

/// Swarm gives its networks identifiers from here on.
const VNI: u32 = 4097;
const POD_1: &str = "10.0.9.3";
const POD_2: &str = "10.0.9.4";

pub(super) const SYSTEMS: &[Stage] = &[
    Stage {
        id: "systems.vxlan-overlay",
        title: "Swarm's overlay",
        afresh: true,
        kernel: &["vxlan"],
        claim: "Containers on two nodes are on one Ethernet, although only UDP passes between the nodes.",
        truth: "Each node has a bridge with a VXLAN port. Frames for the other node travel in UDP to port 4789, with the network's identifier, and \
                arrive with their time to live as it was. Whom to send a broadcast to says a list of nodes, so that the network between them \
                need not have multicast. 50 bytes go for the headers: the containers' MTU is 1450.",
        commands: &[
            "ip link add cni0 type bridge; ip link set cni0 up  # each node, with a container on it",
            "ip link add vxlan0 mtu 1450 master cni0 type vxlan id 4097 local 192.168.1.11 dev eth0 dstport 4789 nolearning  # node1",
            "ip link set vxlan0 up; bridge fdb append 00:00:00:00:00:00 dev vxlan0 dst 192.168.1.12  # node1, and so on node2",
        ],
        scene: swarm,
        before: |w, s| s.no_reply(&w.machine(NODE_1.pod)?, POD_2, libc::EHOSTUNREACH),
        change: |w| {
            tunnel(w, NODE_1, NODE_2)?;
            tunnel(w, NODE_2, NODE_1)
        },
        check: |w, s| {
            let (pod1, lan) = (w.machine(NODE_1.pod)?, w.machine(LAN)?);
            let capture = Capture::on(&lan)?;
            s.replies_with_ttl(&pod1, POD_2, 64)?;
            let packets = capture.stop()?;
            let carried = packets.count(vxlan().vni(VNI).inner(icmp().echo_request().to(POD_2)).incoming())?;
            s.equals("between the nodes the ping travels inside of VXLAN", carried, 1)?;
            s.equals("in UDP to port 4789", packets.count(udp().to_port(4789).incoming())?, packets.count(vxlan().incoming())?)?;
            s.equals("and nothing of the containers passes bare", packets.count(any().to(POD_2))?, 0)?;
            let links = w.machine(NODE_1.name)?.links()?;
            let mtu = links.iter().find(|link| link.name == "vxlan0").map_or(0, |link| link.mtu);
            s.equals("the tunnel has room for frames of that many bytes", mtu, 1450)?;
            s.without("the list of nodes that get broadcasts, on node1");
            drop(w.take::<Fdb>("the flood list of node1")?);
            // What is known is not asked for again.
            pod1.link("eth0")?.flush_neighbours()?;
            s.no_reply(&pod1, POD_2, libc::EHOSTUNREACH)
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.ipip",
        title: "Calico's IPIP",
        afresh: true,
        kernel: &["ipip"],
        claim: "Pods of two nodes reach each other through a tunnel that carries IPv4 in IPv4.",
        truth: "Each node routes the other's pods into the tunnel; 20 bytes go for the second header.",
        commands: &[
            "ip link add tunl0 type ipip local 192.168.1.11 remote 192.168.1.12; ip link set tunl0 up  # node1, and so on node2",
            "ip route add 10.244.2.0/24 dev tunl0  # node1, and so on node2",
        ],
        scene: routed,
        before: |w, s| s.no_reply(&w.machine(NODE_1.pod)?, "10.244.2.2", IcmpKind::NetUnreachable),
        change: |w| tunnels(w, |netns, node, other| Ipip::between(node.address, other.address).install(netns.iface("tunl0")), "tunl0"),
        check: |w, s| s.replies_with_ttl(&w.machine(NODE_1.pod)?, "10.244.2.2", 62),
        ..Stage::STILL
    },
    Stage {
        id: "systems.gre",
        title: "a GRE tunnel",
        afresh: true,
        kernel: &["gre"],
        claim: "As IPIP, but a header between the two tells what is inside, and a key which tunnel it is: there may be several between two \
                nodes.",
        truth: "Ends with the same key hear each other. 28 bytes go for the headers and the key. Where it was written, no kernel had it: this \
                is what the fixtures say, and has not been seen.",
        commands: &[
            "ip link add gre1 type gre local 192.168.1.11 remote 192.168.1.12 key 7; ip link set gre1 up  # node1, and so on node2",
            "ip route add 10.244.2.0/24 dev gre1  # node1, and so on node2",
        ],
        scene: routed,
        before: |w, s| s.no_reply(&w.machine(NODE_1.pod)?, "10.244.2.2", IcmpKind::NetUnreachable),
        change: |w| tunnels(w, |netns, node, other| Gre::between(node.address, other.address).key(7).install(netns.iface("gre1")), "gre1"),
        check: |w, s| s.replies_with_ttl(&w.machine(NODE_1.pod)?, "10.244.2.2", 62),
        ..Stage::STILL
    },
    Stage {
        id: "systems.wireguard",
        title: "a tunnel that nobody reads: WireGuard",
        afresh: true,
        kernel: &["wireguard"],
        claim: "Pods of two nodes reach each other in UDP datagrams that only the nodes can read. A node knows another by its public key, and a \
                packet goes to the key to which its destination belongs.",
        truth: "Not played yet: where it was written, no kernel had WireGuard, and netlab has no fixture for it. The scene is built, the kernel \
                is asked, and what it says is told.",
        commands: &[
            "wg genkey > key; ip link add wg0 type wireguard; wg set wg0 listen-port 51820 private-key key  # each node",
            "wg set wg0 peer KEY_OF_NODE_2 endpoint 192.168.1.12:51820 allowed-ips 10.244.2.0/24  # node1, and so on node2",
            "ip link set wg0 mtu 1440 up; ip route add 10.244.2.0/24 dev wg0",
        ],
        scene: routed,
        before: |w, s| s.no_reply(&w.machine(NODE_1.pod)?, "10.244.2.2", IcmpKind::NetUnreachable),
        change: |_| {
            netlab::needs("wireguard")?;
            Err(Error::NoFixture("WireGuard"))
        },
        check: |w, s| s.replies_with_ttl(&w.machine(NODE_1.pod)?, "10.244.2.2", 62),
        ..Stage::STILL
    },
];

/// A tunnel between the nodes, by which each has its route to the pods of the other.
fn tunnels<T: Any>(world: &mut World, install: fn(&Netns, Node, Node) -> netlab::Result<T>, name: &str) -> Result<()> {
    for (node, other) in [(NODE_1, NODE_2), (NODE_2, NODE_1)] {
        let netns = world.machine(node.name)?;
        world.keep(format!("the tunnel of {}", node.name), install(&netns, node, other)?);
        let route = Route::to(format!("{}.0/24", other.net())).dev(name).install(&netns)?;
        world.keep(format!("the way to {}", other.pod), route);
    }
    Ok(())
}

/// Two nodes with a container each, which think that they are on one Ethernet.
fn swarm(world: &mut World) -> Result<()> {
    nodes(world)?;
    pod(world, NODE_1, &format!("{POD_1}/24"), None)?;
    pod(world, NODE_2, &format!("{POD_2}/24"), None)
}

/// The node's end of the overlay, which sends to the other node whatever it does not know better.
fn tunnel(world: &mut World, node: Node, other: Node) -> Result<()> {
    let netns = world.machine(node.name)?;
    let bridge = world.kept::<Bridge>(&format!("the bridge of {}", node.name))?.link().clone();
    let iface = netns.iface("vxlan0").mtu(1450).master(&bridge);
    let end = Vxlan::id(VNI).local(node.address).dev(netns.link("eth0")?).no_learning().install(iface)?;
    world.keep(format!("the tunnel of {}", node.name), end);
    world.keep(format!("the flood list of {}", node.name), Fdb::flood().dev("vxlan0").dst(other.address).install(&netns)?);
    Ok(())
}
