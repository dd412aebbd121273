//! Stages 06 to 12: two nodes, and what it takes for the pods of one to reach those of the other.

use netlab::{Bridge, Capture, FilterRule, IcmpKind, NatRule, Netns, Policy, Reason, Route, Sysctl, capture};

use super::{FIRST, NODE_1, NODE_2, POD_1, POD_2, ROUTER, add_bridge, add_container};
use crate::error::Result;
use crate::stage::{Cause, Stage, Verdict};
use crate::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "004.06",
        title: "two nodes",
        claim: "A second node on the same private network, 10.100.0.0/24: the nodes reach each other by their eth0.",
        truth: "Both are neighbours on the switch; the replies have passed no router (ttl 64).",
        commands: &[
            "ip address add 10.100.0.3/24 dev eth0; ip link set eth0 up; ip route add default via 10.100.0.1  # node2",
            "ping -c1 10.100.0.3  # node1",
            "ping -c1 10.100.0.2  # node2",
        ],
        before: |w, s| s.no_reply(&w.machine(NODE_1)?, "10.100.0.3", libc::EHOSTUNREACH),
        change: |w| {
            let node = w.add(Netns::new(NODE_2)?);
            w.plug("lan", node.iface("eth0").addr("10.100.0.3/24").gateway("10.100.0.1"))
        },
        check: |w, s| {
            s.replies(&w.machine(NODE_1)?, "10.100.0.3")?;
            s.replies(&w.machine(NODE_2)?, "10.100.0.2")
        },
        ..Stage::STILL
    },
    Stage {
        id: "004.07",
        title: "a route to one pod",
        verdict: Verdict::Precondition,
        claim: "The router does not know 172.17.0.2. It needs a rule: what is for 172.17.0.2 goes to 10.100.0.2, the node of that pod.",
        truth: "With a route to that one address the pod can be reached from the router and, through it, from the other node. But the node \
                must forward, too: with ip_forward=0, or with the FORWARD policy of DROP that Docker sets, it drops without a word what the \
                router sends.",
        needs: &["ip_forward=1 on node1", "FORWARD accepts on node1"],
        commands: &["ip route add 172.17.0.2 via 10.100.0.2  # router"],
        before: |w, s| {
            s.served(&w.machine(NODE_1)?, "172.17.0.2:80", POD_1)?;
            s.not_served(&w.machine(ROUTER)?, "172.17.0.2:80", libc::ENETUNREACH)?;
            s.not_served(&w.machine(NODE_2)?, "172.17.0.2:80", IcmpKind::NetUnreachable)
        },
        change: |w| {
            let route = Route::to("172.17.0.2").via("10.100.0.2").install(&w.machine(ROUTER)?)?;
            w.keep("the route to 172.17.0.2", route);
            Ok(())
        },
        check: |w, s| {
            let (node1, node2, router) = (w.machine(NODE_1)?, w.machine(NODE_2)?, w.machine(ROUTER)?);
            s.with("ip_forward=1 and a FORWARD that accepts on node1");
            s.served_as(&router, "172.17.0.2:80", POD_1, "10.100.0.1")?;
            s.served_as(&node2, "172.17.0.2:80", POD_1, "10.100.0.3")?;
            s.without("ip_forward=1 on node1");
            let closed = node1.set_sysctl("net.ipv4.ip_forward", 0)?;
            s.not_served(&router, "172.17.0.2:80", Reason::Silence)?;
            s.served(&node1, "172.17.0.2:80", POD_1)?;
            closed.close()?;
            s.without("a FORWARD that accepts on node1");
            let policy = Policy::drop(&node1).forward().install()?;
            s.not_served(&router, "172.17.0.2:80", Reason::Silence)?;
            s.served(&node1, "172.17.0.2:80", POD_1)?;
            s.with("ACCEPT for what goes to the pod and what comes from it, under DROP");
            let _to = FilterRule::accept(&node1).forward().addressed_to("172.17.0.2").install()?;
            let _from = FilterRule::accept(&node1).forward().from("172.17.0.2").install()?;
            s.served(&router, "172.17.0.2:80", POD_1)?;
            Ok(policy.close()?)
        },
        ..Stage::STILL
    },
    Stage {
        id: "004.08",
        title: "the same subnet twice",
        claim: "Docker on node2 has chosen the same network, and its first pod the same address. The nodes cannot reach each other's pods \
                then, and a rule on the router does not help: there is but one 172.17.0.2.",
        truth: "Each node means its own 172.17.0.2. The router means one of them, and takes no second route to it (EEXIST). To a pod it is its own \
                address: pod1 that calls pod2 gets itself.",
        commands: &[
            "docker run --name pod2 …  # node2: docker0 172.17.0.1/24, the pod has 172.17.0.2",
            "ip route add 172.17.0.2 via 10.100.0.3  # router: fails",
        ],
        before: |w, s| s.served(&w.machine(NODE_2)?, "172.17.0.2:80", POD_1),
        change: |w| {
            let node = w.machine(NODE_2)?;
            node.forward_ipv4()?;
            add_bridge(w, &node, "docker0", "172.17.0.1/24")?;
            add_container(w, &node, POD_2, FIRST)
        },
        check: |w, s| {
            let router = w.machine(ROUTER)?;
            s.served(&w.machine(NODE_1)?, "172.17.0.2:80", POD_1)?;
            s.served(&w.machine(NODE_2)?, "172.17.0.2:80", POD_2)?;
            s.served(&router, "172.17.0.2:80", POD_1)?;
            let second = Route::to("172.17.0.2").via("10.100.0.3").install(&router);
            s.refused("router: it takes no second route to 172.17.0.2", second, libc::EEXIST)?;
            s.served_as(&w.machine(POD_1)?, "172.17.0.2:80", POD_1, "172.17.0.2")?;
            s.served_as(&w.machine(POD_2)?, "172.17.0.2:80", POD_2, "172.17.0.2")
        },
        ..Stage::STILL
    },
    Stage {
        id: "004.09",
        title: "different subnets",
        claim: "With 10.0.1.0/24 on node1 and 10.0.2.0/24 on node2 each pod has an address of its own. They still cannot reach each other: \
                nobody knows where these networks are.",
        truth: "The router has no route to either. A node that asks is told so (net unreachable). A pod waits in vain: to tell it, the router \
                had to know the way to it.",
        commands: &[
            "ip link delete docker0; ip link add cbr0 type bridge; ip link set cbr0 up  # node1, node2",
            "ip address add 10.0.1.1/24 dev cbr0; ip link set veth_pod1 master cbr0  # node1",
            "ip address add 10.0.2.1/24 dev cbr0; ip link set veth_pod2 master cbr0  # node2",
            "ip address flush dev eth0; ip address add 10.0.1.2/24 dev eth0; ip route add default via 10.0.1.1  # pod1",
            "ip address flush dev eth0; ip address add 10.0.2.2/24 dev eth0; ip route add default via 10.0.2.1  # pod2",
            "ip route delete 172.17.0.2  # router",
        ],
        before: |w, s| {
            s.ipv4_addresses(&w.machine(POD_1)?, "its address", "eth0", "172.17.0.2/24")?;
            s.ipv4_addresses(&w.machine(POD_2)?, "the same", "eth0", "172.17.0.2/24")
        },
        change: |w| {
            readdress(w, NODE_1, POD_1, ["10.0.1.1/24", "10.0.1.2/24"])?;
            readdress(w, NODE_2, POD_2, ["10.0.2.1/24", "10.0.2.2/24"])?;
            drop(w.take::<Route>("the route to 172.17.0.2")?);
            Ok(())
        },
        cause: Cause::Lack { of: "ip route add 10.0.2.0/24 via 10.100.0.3; ip route add 10.0.1.0/24 via 10.100.0.2", supply: add_routes },
        check: |w, s| {
            let (node1, pod1, router) = (w.machine(NODE_1)?, w.machine(POD_1)?, w.machine(ROUTER)?);
            s.served_as(&node1, "10.0.1.2:80", POD_1, "10.0.1.1")?;
            s.served_as(&w.machine(NODE_2)?, "10.0.2.2:80", POD_2, "10.0.2.1")?;
            s.replies(&pod1, "10.100.0.2")?;
            let tap = Capture::on(&router.link("lan0")?)?;
            s.no_reply(&pod1, "10.0.2.2", Reason::Silence)?;
            s.distinct_packets(
                "router: it gets the ping of pod1 and says nothing",
                &tap.stop()?.filter(capture::icmp())?,
                &["router/lan0 In  IP 10.0.1.2 > 10.0.2.2: ICMP echo request"],
            )?;
            s.no_reply(&node1, "10.0.2.2", IcmpKind::NetUnreachable.sent_by("10.100.0.1"))
        },
        ..Stage::STILL
    },
    Stage {
        id: "004.10",
        title: "pod CIDR and routes",
        claim: "A network for each node, and for each of them a route on the router: now every pod reaches every other.",
        truth: "Pods, nodes and router reach each other's pods, and the pods see each other's own addresses: nobody translates anything.",
        needs: &["no MASQUERADE for the pods' networks, for the addresses to stay", "ip_forward=1 on the nodes"],
        commands: &["ip route add 10.0.1.0/24 via 10.100.0.2  # router", "ip route add 10.0.2.0/24 via 10.100.0.3  # router"],
        before: |w, s| s.not_served(&w.machine(POD_1)?, "10.0.2.2:80", Reason::Silence),
        change: add_routes,
        check: |w, s| {
            s.served_as(&w.machine(POD_1)?, "10.0.2.2:80", POD_2, "10.0.1.2")?;
            s.served_as(&w.machine(POD_2)?, "10.0.1.2:80", POD_1, "10.0.2.2")?;
            s.served_as(&w.machine(NODE_1)?, "10.0.2.2:80", POD_2, "10.100.0.2")?;
            s.served_as(&w.machine(NODE_2)?, "10.0.1.2:80", POD_1, "10.100.0.3")?;
            s.served_as(&w.machine(ROUTER)?, "10.0.1.2:80", POD_1, "10.100.0.1")?;
            s.served_as(&w.machine(ROUTER)?, "10.0.2.2:80", POD_2, "10.100.0.1")?;
            s.without("ip_forward=1 on node2");
            let _closed: Sysctl = w.machine(NODE_2)?.set_sysctl("net.ipv4.ip_forward", 0)?;
            s.not_served(&w.machine(POD_1)?, "10.0.2.2:80", Reason::Silence)
        },
        ..Stage::STILL
    },
    Stage {
        id: "004.11",
        title: "an \"overlay\"",
        verdict: Verdict::False,
        claim: "This combination of interfaces, bridges and routing rules is called an overlay network.",
        truth: "Nothing lies over anything here. On the wire between the nodes are the pods' own packets with the pods' own addresses, not \
                wrapped into packets of the nodes: it is routing, and the router has to know the pods' networks. An overlay (VXLAN, IPIP) is what one takes where \
                the router cannot be taught.",
        commands: &["tcpdump -ni eth0  # node1, node2"],
        cause: Cause::Change("004.10"),
        check: |w, s| {
            let (pod1, node1, router, node2) = (w.machine(POD_1)?, w.machine(NODE_1)?, w.machine(ROUTER)?, w.machine(NODE_2)?);
            let wires = || Capture::on_all([&node1.link("eth0")?, &router.link("lan0")?, &node2.link("eth0")?]);
            pod1.expect_ping("10.0.2.2")?; // now all neighbours know each other
            let tap = wires()?;
            s.replies(&pod1, "10.0.2.2")?;
            // A bridge tells by IGMP, when it likes, that it listens for those who do.
            let unicast = |packet: &capture::Packet| packet.ip().is_some_and(|ip| ip.source.is_ipv4() && !ip.destination.is_multicast());
            let seen = tap.stop()?.filter(capture::any().when("IPv4 for one machine", unicast))?;
            s.wrong();
            s.distinct_packets(
                "the wires between the nodes carry the bare packets of the pods, and nothing else",
                &seen,
                &[
                    "node1/eth0 Out IP 10.0.1.2 > 10.0.2.2: ICMP echo request",
                    "router/lan0 In  IP 10.0.1.2 > 10.0.2.2: ICMP echo request",
                    "router/lan0 Out IP 10.0.1.2 > 10.0.2.2: ICMP echo request",
                    "node2/eth0 In  IP 10.0.1.2 > 10.0.2.2: ICMP echo request",
                    "node2/eth0 Out IP 10.0.2.2 > 10.0.1.2: ICMP echo reply",
                    "router/lan0 In  IP 10.0.2.2 > 10.0.1.2: ICMP echo reply",
                    "router/lan0 Out IP 10.0.2.2 > 10.0.1.2: ICMP echo reply",
                    "node1/eth0 In  IP 10.0.2.2 > 10.0.1.2: ICMP echo reply",
                ],
            )?;
            s.without("the router's route to the network of node2");
            w.take::<Route>("the route to 10.0.2.0/24")?.close()?;
            let tap = wires()?;
            s.no_reply(&pod1, "10.0.2.2", IcmpKind::NetUnreachable)?;
            s.distinct_packets(
                "the ping of pod1 comes no further than the router, which must know the way to pods",
                &tap.stop()?.filter(capture::icmp())?,
                &[
                    "node1/eth0 Out IP 10.0.1.2 > 10.0.2.2: ICMP echo request",
                    "router/lan0 In  IP 10.0.1.2 > 10.0.2.2: ICMP echo request",
                    "router/lan0 Out IP 10.100.0.1 > 10.0.1.2: ICMP net 10.0.2.2 unreachable",
                    "node1/eth0 In  IP 10.100.0.1 > 10.0.1.2: ICMP net 10.0.2.2 unreachable",
                ],
            )
        },
        ..Stage::STILL
    },
    Stage {
        id: "004.12",
        title: "what the text leaves out",
        verdict: Verdict::Unstated,
        claim: "The text ends here, without a word of redirects, of Docker's own MASQUERADE, or of what one missing route does.",
        truth: "To a node that sends by it what is for the other node's pods the router also sends a redirect: the better way is on the same \
                wire. To pods it sends none, they are not on that wire. Docker's stock MASQUERADE, on the pods' network, hides the pods' \
                addresses from each other. And one missing route is as bad as two: \
                the ping of pod1 arrives, the reply does not; it is pod2 that learns why.",
        needs: &["send_redirects=1 on the router, the kernel's default"],
        commands: &[
            "tcpdump -ni lan0 icmp  # router",
            "iptables -t nat -A POSTROUTING -s 10.0.1.0/24 ! -o cbr0 -j MASQUERADE  # node1",
            "ip route delete 10.0.1.0/24  # router",
        ],
        cause: Cause::Change("004.10"),
        check: |w, s| {
            let (node1, node2, router) = (w.machine(NODE_1)?, w.machine(NODE_2)?, w.machine(ROUTER)?);
            let (pod1, pod2) = (w.machine(POD_1)?, w.machine(POD_2)?);
            s.unstated();
            let redirects = |from: &Netns, to: &str| -> Result<capture::Packets> {
                let tap = Capture::on(&router.link("lan0")?)?;
                from.expect_ping(to)?;
                Ok(tap.stop()?.filter(capture::icmp().redirect())?)
            };
            let better = "router/lan0 Out IP 10.100.0.1 > 10.100.0.2: ICMP redirect 10.0.2.2 to host 10.100.0.3";
            s.distinct_packets("router: it tells node1 a better way to pod2", &redirects(&node1, "10.0.2.2")?, &[better])?;
            s.distinct_packets("router: it tells pod1 nothing", &redirects(&pod1, "10.0.2.2")?, &[])?;
            s.without("send_redirects");
            let _quiet =
                [router.set_sysctl("net.ipv4.conf.all.send_redirects", 0)?, router.link("lan0")?.set_ipv4_conf("send_redirects", 0)?];
            s.distinct_packets("router: it tells node2 nothing of a better way to pod1", &redirects(&node2, "10.0.1.2")?, &[])?;
            s.unstated();
            s.served_as(&pod1, "10.0.2.2:80", POD_2, "10.0.1.2")?;
            let stock = NatRule::masquerade(&node1).from("10.0.1.0/24").not_out("cbr0").install()?;
            s.served_as(&pod1, "10.0.2.2:80", POD_2, "10.100.0.2")?;
            stock.close()?;
            s.without("one of the two routes");
            w.take::<Route>("the route to 10.0.1.0/24")?.close()?;
            let tap = Capture::on(&pod2.link("eth0")?)?;
            s.no_reply(&pod1, "10.0.2.2", Reason::Silence)?;
            s.distinct_packets(
                "pod2: it gets the ping, and replies",
                &tap.stop()?.filter(capture::icmp().when("an echo", is_echo))?,
                &["pod2/eth0 In  IP 10.0.1.2 > 10.0.2.2: ICMP echo request", "pod2/eth0 Out IP 10.0.2.2 > 10.0.1.2: ICMP echo reply"],
            )?;
            s.no_reply(&pod2, "10.0.1.2", IcmpKind::NetUnreachable)
        },
        ..Stage::STILL
    },
];

/// No word of the router about others, such as the end of a connection that somebody has closed before.
fn is_echo(packet: &capture::Packet) -> bool {
    matches!(packet.icmp(), Some(capture::IcmpKind::EchoRequest { .. } | capture::IcmpKind::EchoReply { .. }))
}

/// Replaces Docker's bridge by `cbr0`, and the addresses of node and pod there.
fn readdress(w: &mut World, node: &str, pod: &str, [gateway, address]: [&str; 2]) -> Result<()> {
    let (node, pod) = (w.machine(node)?, w.machine(pod)?);
    w.take::<Bridge>(&format!("{node}/docker0"))?.close()?;
    add_bridge(w, &node, "cbr0", gateway)?;
    node.link(&format!("veth_{pod}"))?.set_master(w.kept::<Bridge>(&format!("{node}/cbr0"))?)?;
    let eth0 = pod.link("eth0")?;
    eth0.flush_addresses()?;
    eth0.add_address(address)?.keep();
    Route::default_via(gateway.split('/').next().unwrap_or(gateway)).install(&pod)?.keep();
    Ok(())
}

/// The routes of the router to the pods of each node.
fn add_routes(w: &mut World) -> Result<()> {
    let router = w.machine(ROUTER)?;
    for (network, node) in [("10.0.1.0/24", "10.100.0.2"), ("10.0.2.0/24", "10.100.0.3")] {
        w.keep(format!("the route to {network}"), Route::to(network).via(node).install(&router)?);
    }
    Ok(())
}
