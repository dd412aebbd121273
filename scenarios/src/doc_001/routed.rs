//! Stages 25 to 27: routes between containers that share no network, on a node and between nodes.

use netlab::capture::{arp, icmp};
use netlab::{Capture, Reason, Route};

use super::calico::add_container;
use super::nat::masquerade;
use super::{CON_1, CON_2, CON_3, NODE_1, NODE_2, hardware};
use crate::error::Result;
use crate::stage::Stage;
use crate::world::World;
use crate::world::calico::{add_gateway, add_hole, add_host_route, add_settings};

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "001.25",
        title: "a hole for the rest",
        claim: "`ip route add blackhole 172.19.35.0/24` keeps packets to containers that are not there from leaving the node. The node's \
                routes are then these, and 169.254.0.0/16 dev eth0.",
        truth: "Before, such a packet goes to the default gateway. Then a sender on the node gets EINVAL, a container hears nothing. The \
                longer prefixes of the containers still win. The route to 169.254.0.0/16 has nothing to do with Calico: CentOS adds it \
                (zeroconf).",
        commands: &["ip route add blackhole 172.19.35.0/24"],
        before: |w, s| {
            let (node, con1) = (w.machine(NODE_1)?, w.machine(CON_1)?);
            let tap = Capture::on(&node)?;
            s.no_reply(&node, "172.19.35.99", Reason::Silence)?;
            s.no_reply(&con1, "172.19.35.99", Reason::Silence)?;
            let left = [
                "node001/eth0 Out IP 10.141.0.1 > 172.19.35.99: ICMP echo request",
                "node001/eth0 Out IP 172.19.35.2 > 172.19.35.99: ICMP echo request",
            ];
            s.packets("node001: both go to the default gateway", &tap.stop()?.filter(icmp().on("eth0"))?, &left)
        },
        change: |w| add_hole(w, NODE_1, "172.19.35.0/24"),
        check: |w, s| {
            let (node, con1) = (w.machine(NODE_1)?, w.machine(CON_1)?);
            let tap = Capture::on(&node)?;
            s.no_reply(&node, "172.19.35.99", libc::EINVAL)?;
            s.no_reply(&con1, "172.19.35.99", Reason::Silence)?;
            let seen = tap.stop()?.filter(icmp())?;
            let entered = "node001/veth0 In  IP 172.19.35.2 > 172.19.35.99: ICMP echo request";
            s.packets("node001: what con1 sent came in and did not go out", &seen, &[entered])?;
            s.replies(&node, "172.19.35.2")?;
            s.wrong();
            let routes = [
                "default via 10.141.255.254 dev eth0",
                "10.141.0.0/16 dev eth0 proto kernel scope link src 10.141.0.1",
                "blackhole 172.19.35.0/24",
                "172.19.35.2 dev veth0 scope link",
            ];
            s.routes(&node, "no route of these is to 169.254.0.0/16", "main", &routes)
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.26",
        title: "a second container of the node",
        claim: "A second container, with the same gateway 169.254.1.1, is reached through the node: the containers share no wire.",
        truth: "The node forwards between them: the reply has a TTL of 63, and neither asks for the other's MAC address.",
        needs: &["the same sysctls for its veth2"],
        commands: &[
            "ip link add veth2 type veth peer name veth3  # and so on, as for the first one, with 172.19.35.3/32",
            "sysctl -w net.ipv4.conf.veth2.proxy_arp=1  # and the other four",
            "ip route add 172.19.35.3 dev veth2",
        ],
        before: |w, s| s.no_reply(&w.machine(CON_1)?, "172.19.35.3", Reason::Silence),
        change: |w| {
            add_container(w, NODE_1, "veth2", CON_2, "172.19.35.3")?;
            add_settings(w, NODE_1, "veth2")?;
            add_gateway(w, CON_2)?;
            add_host_route(w, NODE_1, "172.19.35.3", "veth2")
        },
        check: |w, s| {
            let (node, con1, con2) = (w.machine(NODE_1)?, w.machine(CON_1)?, w.machine(CON_2)?);
            con1.link("eth0")?.flush_neighbours()?;
            let tap = Capture::on(&node)?;
            s.replies_with_ttl(&con1, "172.19.35.3", 63)?;
            let seen = tap.stop()?;
            let lines = [
                "node001/veth0 In  IP 172.19.35.2 > 172.19.35.3: ICMP echo request",
                "node001/veth2 Out IP 172.19.35.2 > 172.19.35.3: ICMP echo request",
                "node001/veth2 In  IP 172.19.35.3 > 172.19.35.2: ICMP echo reply",
                "node001/veth0 Out IP 172.19.35.3 > 172.19.35.2: ICMP echo reply",
            ];
            s.packets("node001: it is forwarded", &seen.filter(icmp())?, &lines)?;
            let asked = seen.filter(arp().from("172.19.35.2"))?;
            s.packets("con1 asks for its gateway alone", &asked, &["node001/veth0 In  ARP, Request who-has 169.254.1.1 tell 172.19.35.2"])?;
            let (mac1, mac2) = (hardware(&node, "veth0")?, hardware(&node, "veth2")?);
            s.neighbours(&con1, "it has one neighbour", &format!("169.254.1.1 dev eth0 lladdr {mac1}"))?;
            s.has_neighbour(&con2, "that address has another MAC address here", &format!("169.254.1.1 dev eth0 lladdr {mac2}"))?;
            s.without("proxy_arp=1 on veth2");
            node.link("veth2")?.set_proxy_arp(false)?;
            con2.link("eth0")?.flush_neighbours()?;
            s.no_reply(&con1, "172.19.35.3", Reason::Silence)
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.27",
        title: "a container of another node",
        claim: "With node002 set up in the same way, and a route on each node to the containers of the other, they reach each other.",
        truth: "They do, and see each other's own addresses: nothing is translated. Both routes are needed, and forwarding of eth0 for what \
                comes back. Nodes and containers reach each other as well.",
        needs: &["no MASQUERADE rule on the nodes: it would hide the containers"],
        commands: &["ip route add 172.19.36.0/24 via 10.141.0.2  # on node001", "ip route add 172.19.35.0/24 via 10.141.0.1  # on node002"],
        before: |w, s| s.no_reply(&w.machine(CON_1)?, "172.19.36.2", Reason::Silence),
        change: |w| {
            set_up_node_2(w)?;
            for (node, network, via) in [(NODE_1, "172.19.36.0/24", "10.141.0.2"), (NODE_2, "172.19.35.0/24", "10.141.0.1")] {
                Route::to(network).via(via).install(&w.machine(node)?)?.keep();
            }
            Ok(())
        },
        check: |w, s| {
            let (node1, node2) = (w.machine(NODE_1)?, w.machine(NODE_2)?);
            let (con1, con3) = (w.machine(CON_1)?, w.machine(CON_3)?);
            let tap = Capture::on(&node1)?;
            s.replies_with_ttl(&con1, "172.19.36.2", 62)?;
            let lines = [
                "node001/veth0 In  IP 172.19.35.2 > 172.19.36.2: ICMP echo request",
                "node001/eth0 Out IP 172.19.35.2 > 172.19.36.2: ICMP echo request",
                "node001/eth0 In  IP 172.19.36.2 > 172.19.35.2: ICMP echo reply",
                "node001/veth0 Out IP 172.19.36.2 > 172.19.35.2: ICMP echo reply",
            ];
            s.packets("node001: four packets, and no other address", &tap.stop()?.filter(icmp())?, &lines)?;
            s.replies(&con3, "172.19.35.2")?;
            s.replies(&node1, "172.19.36.2")?;
            s.replies(&node2, "172.19.35.2")?;
            s.replies(&con1, "10.141.0.2")?;
            s.without("forwarding=1 on eth0 of node001");
            node1.link("eth0")?.set_forwarding(false)?;
            let tap = Capture::on(&node1)?;
            s.no_reply(&con1, "172.19.36.2", Reason::Silence)?;
            s.packets("node001: the reply comes as far as eth0", &tap.stop()?.filter(icmp())?, &lines[..3])?;
            node1.link("eth0")?.set_forwarding(true)?;
            s.without("nodes that translate nothing: with MASQUERADE on node001");
            let rule = masquerade(&node1)?;
            let tap = Capture::on(&con3)?;
            s.replies(&con1, "172.19.36.2")?;
            let hidden = [
                "con3/eth0 In  IP 10.141.0.1 > 172.19.36.2: ICMP echo request",
                "con3/eth0 Out IP 172.19.36.2 > 10.141.0.1: ICMP echo reply",
            ];
            s.packets("con3: it sees node001", &tap.stop()?.filter(icmp())?, &hidden)?;
            rule.close()?;
            s.without("the route on node002");
            node2.delete_route("172.19.35.0/24")?;
            let tap = Capture::on(&con3)?;
            s.no_reply(&con1, "172.19.36.2", Reason::Silence)?;
            let arrived = [
                "con3/eth0 In  IP 172.19.35.2 > 172.19.36.2: ICMP echo request",
                "con3/eth0 Out IP 172.19.36.2 > 172.19.35.2: ICMP echo reply",
            ];
            s.packets("con3: the ping arrives, and its reply gets lost", &tap.stop()?.filter(icmp())?, &arrived)
        },
        ..Stage::STILL
    },
];

/// Stages 20 to 25 on node002.
fn set_up_node_2(w: &mut World) -> Result<()> {
    add_container(w, NODE_2, "veth0", CON_3, "172.19.36.2")?;
    add_settings(w, NODE_2, "veth0")?;
    add_gateway(w, CON_3)?;
    add_host_route(w, NODE_2, "172.19.36.2", "veth0")?;
    add_hole(w, NODE_2, "172.19.36.0/24")
}
