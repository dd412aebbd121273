//! Pods' networks that the nodes route, without anything around the packets.

use netlab::{Capture, IcmpKind, Reason, Route, capture};

use super::nodes::{NODE_1, NODE_2, routed};
use crate::error::Result;
use crate::stage::Stage;
use crate::world::World;

const POD_1: &str = "10.244.1.2";
const POD_2: &str = "10.244.2.2";

pub(super) const SYSTEMS: &[Stage] = &[Stage {
    id: "systems.host-gw",
    title: "Flannel's host-gw",
    afresh: true,
    kernel: &["bridge"],
    claim: "Each node has a network for its pods, and the other node a route to it by way of that node. The pods need no more.",
    truth: "The pods reach each other by their own addresses, and those are what passes between the nodes: no tunnel, no translation. \
            Where one of the two routes is missing nothing works: what is asked arrives, and the answer does not.",
    needs: &["ip_forward=1 on the nodes"],
    commands: &["ip route add 10.244.2.0/24 via 192.168.1.12  # node1", "ip route add 10.244.1.0/24 via 192.168.1.11  # node2"],
    scene: routed,
    before: |w, s| s.no_reply(&w.machine(NODE_1.pod)?, POD_2, IcmpKind::NetUnreachable),
    change: host_gateways,
    check: |w, s| {
        let (node1, node2, pod1, pod2) = (w.machine(NODE_1.name)?, w.machine(NODE_2.name)?, w.machine(NODE_1.pod)?, w.machine(NODE_2.pod)?);
        let server = pod2.http_server(format!("{POD_2}:80"))?;
        s.served_as(&pod1, POD_2, server.name(), POD_1)?;
        let wires = Capture::on_all([&node1.link("eth0")?, &node2.link("eth0")?])?;
        s.replies_with_ttl(&pod1, POD_2, 62)?;
        s.distinct_packets(
            "between the nodes the ping is as bare as in the pods",
            &wires.stop()?.filter(capture::icmp())?,
            &[
                "node1/eth0 Out IP 10.244.1.2 > 10.244.2.2: ICMP echo request",
                "node2/eth0 In  IP 10.244.1.2 > 10.244.2.2: ICMP echo request",
                "node2/eth0 Out IP 10.244.2.2 > 10.244.1.2: ICMP echo reply",
                "node1/eth0 In  IP 10.244.2.2 > 10.244.1.2: ICMP echo reply",
            ],
        )?;
        s.without("ip_forward=1 on node2");
        let closed = node2.set_sysctl("net.ipv4.ip_forward", 0)?;
        s.no_reply(&pod1, POD_2, Reason::Silence)?;
        closed.close()?;
        s.without("the route of node2");
        w.take::<Route>("the way to pod1")?.close()?;
        let tap = Capture::on(&pod2.link("eth0")?)?;
        s.no_reply(&pod1, POD_2, Reason::Silence)?;
        s.distinct_packets(
            "pod2: it gets the ping, and replies",
            &tap.stop()?.filter(capture::icmp().when("an echo", is_echo))?,
            &["pod2/eth0 In  IP 10.244.1.2 > 10.244.2.2: ICMP echo request", "pod2/eth0 Out IP 10.244.2.2 > 10.244.1.2: ICMP echo reply"],
        )?;
        s.no_reply(&pod2, POD_1, IcmpKind::NetUnreachable)
    },
    ..Stage::STILL
}];

/// No word of a router about others, such as the end of a connection that somebody has closed before.
fn is_echo(packet: &capture::Packet) -> bool {
    matches!(packet.icmp(), Some(capture::IcmpKind::EchoRequest { .. } | capture::IcmpKind::EchoReply { .. }))
}

/// Each node's route to the pods of the other.
pub(super) fn host_gateways(world: &mut World) -> Result<()> {
    for (node, other, pods) in [(NODE_1, NODE_2, "10.244.2.0/24"), (NODE_2, NODE_1, "10.244.1.0/24")] {
        let route = Route::to(pods).via(other.address).install(&world.machine(node.name)?)?;
        world.keep(format!("the way to {}", other.pod), route);
    }
    Ok(())
}
