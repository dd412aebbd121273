//! What Flannel puts between nodes that nobody routes between: a device on each that leads to all the others.

use std::net::{IpAddr, SocketAddr};

use ipnet::Ipv4Net;
use netlab::capture::{Packet, any, arp, icmp, udp, vxlan};
use netlab::{Capture, Fdb, IcmpKind, Neigh, Probe, Reason, Route, Vxlan};

use super::forwarder::Forwarder;
use super::nodes::{LAN, NODE_1, NODE_2, Node, routed};
use crate::error::{Error, Result};
use crate::stage::Stage;
use crate::story::Story;
use crate::world::World;

const POD_1: &str = "10.244.1.2";
const POD_2: &str = "10.244.2.2";
/// Flannel has one network, with this identifier.
const VNI: u32 = 1;
/// What Linux took for VXLAN before IANA gave it a number; Flannel still does.
const VXLAN_PORT: u16 = 8472;
const UDP_PORT: u16 = 8285;

pub(super) const SYSTEMS: &[Stage] = &[
    Stage {
        id: "systems.flannel-vxlan",
        title: "Flannel's VXLAN: a device a node",
        afresh: true,
        kernel: &["bridge", "vxlan"],
        claim: "Each node has one VXLAN device, and for each other node a route, a neighbour and an entry of the forwarding database. Pods \
                reach each other through it, and nobody ever asks by broadcast.",
        truth: "The pods' networks are routed, other than with Swarm's overlay: the device is the nodes' own Ethernet. The route says that the \
                other node's pods are behind its device (an address that is on no common network, so `onlink`), the neighbour says what MAC \
                address that has, and the database by which node that MAC address is reached. If one of them is missing or wrong, nothing \
                learns better. Of 1500 bytes the headers leave 1450.",
        commands: &[
            "ip link add flannel.1 mtu 1450 address 02:42:0a:f4:01:00 type vxlan id 1 local 192.168.1.11 dev eth0 dstport 8472 nolearning",
            "ip address add 10.244.1.0/32 dev flannel.1; ip link set flannel.1 up  # these are node1's; and so on node2",
            "ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
            "ip neigh add 10.244.2.0 lladdr 02:42:0a:f4:02:00 dev flannel.1 nud permanent",
            "bridge fdb add 02:42:0a:f4:02:00 dev flannel.1 dst 192.168.1.12",
        ],
        scene: routed,
        before: |w, s| s.no_reply(&w.machine(NODE_1.pod)?, POD_2, IcmpKind::NetUnreachable),
        change: |w| {
            device(w, NODE_1)?;
            device(w, NODE_2)?;
            known(w, NODE_1, NODE_2)?;
            known(w, NODE_2, NODE_1)
        },
        check: |w, s| {
            let (node1, pod1, pod2, lan) = (w.machine(NODE_1.name)?, w.machine(NODE_1.pod)?, w.machine(NODE_2.pod)?, w.machine(LAN)?);
            let server = pod2.http_server(format!("{POD_2}:80"))?;
            s.served_as(&pod1, POD_2, server.name(), POD_1)?;
            let (wire, inside) = (Capture::on(&lan)?, Capture::on(&node1.link("flannel.1")?)?);
            s.replies_with_ttl(&pod1, POD_2, 62)?;
            let wire = wire.stop()?;
            let carried = wire.count(vxlan().vni(VNI).when("to port 8472", by_port).inner(icmp().echo_request().to(POD_2)).incoming())?;
            s.equals("between the nodes the ping travels inside of VXLAN", carried, 1)?;
            s.equals("and nothing of the pods passes bare", wire.count(any().to(POD_2))?, 0)?;
            s.equals("node1: by flannel.1 nobody asks by ARP", inside.stop()?.count(arp())?, 0)?;
            s.equals("node1: what flannel.1 knows of others", entries(w, NODE_1)?, "02:42:0a:f4:02:00 dst 192.168.1.12")?;
            let too_long = Probe::ping(POD_2).size(1423).dont_fragment();
            s.fails(&pod1, "ping -M do -s 1423 10.244.2.2", too_long, IcmpKind::FragmentationNeeded { mtu: 1450 }.into())?;
            s.without("the neighbour, on node1");
            w.take::<Neigh>(&neighbour(NODE_1))?.close()?;
            s.no_reply(&pod1, POD_2, IcmpKind::HostUnreachable)?;
            s.with("the neighbour again");
            say_neighbour(w, NODE_1, NODE_2)?;
            s.replies(&pod1, POD_2)?;
            s.without("the entry of the forwarding database, on node1");
            w.take::<Fdb>(&database(NODE_1))?.close()?;
            silent(w, s, "does not leave")?;
            s.without("the right entry: with one that leads to a node that has no such device");
            lan.link("br0")?.add_address("192.168.1.13/24")?.keep();
            say_database(w, NODE_1, NODE_2, "192.168.1.13")?;
            silent(w, s, "leaves for 192.168.1.13")
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.flannel-udp",
        title: "Flannel's UDP: a program between the nodes",
        afresh: true,
        kernel: &["bridge"],
        machine: &["/dev/net/tun"],
        claim: "A program on each node takes the packets for other nodes' pods and sends them in UDP: no more than a TUN device is asked of \
                the kernel.",
        truth: "The network of all pods is behind the device, and behind the device is the program: it looks up which node has the destination, \
                sends the packet to port 8285 there, and writes what comes from there to its own device. Each packet passes two programs, \
                which is why the backend is for kernels without VXLAN. 28 bytes go for the headers. If a program ends, its \
                device and the route go with it.",
        commands: &[
            "flanneld --etcd-prefix=/coreos.com/network  # each node; {\"Network\": \"10.244.0.0/16\", \"Backend\": {\"Type\": \"udp\"}}",
            "ip tuntap add flannel0 mode tun; ip address add 10.244.1.0/16 dev flannel0  # what it does on node1, and so on node2",
            "ip link set flannel0 mtu 1472 up",
        ],
        scene: routed,
        before: |w, s| s.no_reply(&w.machine(NODE_1.pod)?, POD_2, IcmpKind::NetUnreachable),
        change: |w| {
            program(w, NODE_1, NODE_2)?;
            program(w, NODE_2, NODE_1)
        },
        check: |w, s| {
            let (pod1, pod2, lan) = (w.machine(NODE_1.pod)?, w.machine(NODE_2.pod)?, w.machine(LAN)?);
            let node2 = w.machine(NODE_2.name)?;
            s.has_route(
                &node2,
                "all pods are behind the device",
                "main",
                "10.244.0.0/16 dev flannel0 proto kernel scope link src 10.244.2.0",
            )?;
            let before = w.kept::<Forwarder>(&forwarder(NODE_1))?.sent();
            let wire = Capture::on(&lan)?;
            s.replies_with_ttl(&pod1, POD_2, 62)?;
            let wire = wire.stop()?;
            let carried = wire.count(udp().from(NODE_1.address).to(NODE_2.address).to_port(UDP_PORT).incoming())?;
            s.equals("between the nodes the ping travels in UDP", carried, 1)?;
            s.equals("and nothing of the pods passes bare", wire.count(any().to(POD_2))?, 0)?;
            let sent = w.kept::<Forwarder>(&forwarder(NODE_1))?.sent() - before;
            s.equals("node1: so many packets has the program sent for it", sent, 1)?;
            let server = pod2.http_server(format!("{POD_2}:80"))?;
            s.served_as(&pod1, POD_2, server.name(), POD_1)?;
            s.without("the program of node2");
            drop(w.take::<Forwarder>(&forwarder(NODE_2))?);
            s.has_no_route_to(&node2, "the route is gone with it", "main", "10.244.0.0/16")?;
            s.no_reply(&pod1, POD_2, Reason::Silence)?;
            s.no_reply(&pod2, POD_1, IcmpKind::NetUnreachable)
        },
        ..Stage::STILL
    },
];

/// Whether a datagram is for Flannel's port.
fn by_port(packet: &Packet) -> bool {
    packet.udp().is_some_and(|udp| udp.destination_port == VXLAN_PORT)
}

/// The address of the node's device: the first of the node's network, with which no pod begins.
fn device_address(node: Node) -> String {
    format!("{}.0", node.net())
}

/// That of its VXLAN device, which tells the address.
fn mac(node: Node) -> &'static str {
    if node.name == NODE_1.name { "02:42:0a:f4:01:00" } else { "02:42:0a:f4:02:00" }
}

fn neighbour(node: Node) -> String {
    format!("the neighbour of {}", node.name)
}

fn database(node: Node) -> String {
    format!("the forwarding database of {}", node.name)
}

fn forwarder(node: Node) -> String {
    format!("the forwarder of {}", node.name)
}

/// The node's VXLAN device.
fn device(world: &mut World, node: Node) -> Result<()> {
    let netns = world.machine(node.name)?;
    let iface = netns.iface("flannel.1").addr(format!("{}/32", device_address(node))).mac(mac(node)).mtu(1450);
    let end = Vxlan::id(VNI).local(node.address).dev(netns.link("eth0")?).port(VXLAN_PORT).no_learning().install(iface)?;
    world.keep(format!("the tunnel of {}", node.name), end);
    Ok(())
}

/// What the node is told of another: three things, and it learns nothing.
fn known(world: &mut World, node: Node, other: Node) -> Result<()> {
    let route = Route::to(format!("{}.0/24", other.net())).via(device_address(other)).dev("flannel.1").onlink();
    route.install(&world.machine(node.name)?)?.keep();
    say_neighbour(world, node, other)?;
    say_database(world, node, other, other.address)
}

fn say_neighbour(world: &mut World, node: Node, other: Node) -> Result<()> {
    let entry = Neigh::permanent(device_address(other), mac(other)).dev("flannel.1").install(&world.machine(node.name)?)?;
    world.keep(neighbour(node), entry);
    Ok(())
}

fn say_database(world: &mut World, node: Node, other: Node, dst: &str) -> Result<()> {
    let entry = Fdb::entry(mac(other)).dev("flannel.1").dst(dst).install(&world.machine(node.name)?)?;
    world.keep(database(node), entry);
    Ok(())
}

/// The entries of the node's VXLAN device.
fn entries(world: &World, node: Node) -> Result<String> {
    let fdb = world.machine(node.name)?.fdb()?;
    let entries = fdb.iter().filter(|entry| entry.dev == "flannel.1");
    let lines: Vec<_> =
        entries.map(|entry| format!("{} dst {}", entry.mac, entry.dst.map_or_else(String::new, |dst| dst.to_string()))).collect();
    Ok(lines.join("\n"))
}

/// The first pod pings the other in vain; what becomes of it on its node.
fn silent(world: &World, story: &mut Story, expected: &str) -> Result<()> {
    let tap = Capture::on(&world.machine(NODE_1.name)?.link("eth0")?)?;
    story.no_reply(&world.machine(NODE_1.pod)?, POD_2, Reason::Silence)?;
    let left = tap.stop()?.filter(vxlan().inner(icmp().echo_request().to(POD_2)).outgoing())?;
    let to = left.iter().next().and_then(|packet| packet.ip()).map(|ip| format!("leaves for {}", ip.destination));
    story.equals("node1: what is for pod2", to.unwrap_or_else(|| "does not leave".to_owned()), expected)
}

/// The node's program, which knows one other node.
fn program(world: &mut World, node: Node, other: Node) -> Result<()> {
    let netns = world.machine(node.name)?;
    let device = netns.iface("flannel0").addr(format!("{}/16", device_address(node))).mtu(1472);
    let ways = vec![way(other)?];
    world.keep(forwarder(node), Forwarder::start(&netns, device, UDP_PORT, ways)?);
    Ok(())
}

/// Where the node's pods are, and where its program listens.
fn way(node: Node) -> Result<(Ipv4Net, SocketAddr)> {
    let wrong = |e: &dyn std::error::Error| Error::World(format!("{node:?}: {e}"));
    let net = format!("{}.0/24", node.net()).parse().map_err(|e| wrong(&e))?;
    let address: IpAddr = node.address.parse().map_err(|e| wrong(&e))?;
    Ok((net, (address, UDP_PORT).into()))
}
