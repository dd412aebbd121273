//! What kube-proxy makes of a service: an address that nobody has, and ports of the nodes that nobody listens on.

use netlab::{Bridge, Capture, IcmpKind, NatRule, Netns, Reason, Rules, VethPair, capture};

use super::nodes::{LAN, NODE_1, NODE_2, routed};
use super::routed::host_gateways;
use crate::error::Result;
use crate::stage::Stage;
use crate::table::server;
use crate::world::World;

/// On the nodes' network, and without a route to pods.
const OUTSIDE: &str = "client";
const OUTSIDE_ADDRESS: &str = "192.168.1.50";
const BY_NODE_1: &str = "192.168.1.11:30080";
const BY_NODE_2: &str = "192.168.1.12:30080";
/// The address of the service, which no interface has.
pub(super) const VIP: &str = "10.96.0.10";
pub(super) const CHOICE: &str = "the rules of the service";
const MASQUERADE: &str = "the masquerade of what is marked";
pub(super) const WEB_1: &str = "web-1";
pub(super) const WEB_2: &str = "web-2";
pub(super) const POD_3: &str = "pod-3";
pub(super) const POD_4: &str = "pod-4";

pub(super) const SYSTEMS: &[Stage] = &[
    Stage {
        id: "systems.nodeport",
        title: "a port of every node: NodePort",
        afresh: true,
        kernel: &["bridge", "nat"],
        claim: "A client outside reaches the service on port 30080 of either node, although its pod runs on one of them only.",
        truth: "Each node translates the destination (DNAT) of what is addressed to that port of its own; nobody listens there. The other \
                node must put its own address in the place of the client's as well (MASQUERADE): otherwise the pod's answer does not come \
                back its way, and reaches the client from an address that it has not asked. The price is that the pod does not see who asks.",
        needs: &["MASQUERADE on the node that does not have the pod"],
        commands: &[
            "for chain in KUBE-NODEPORTS KUBE-MARK-MASQ KUBE-POSTROUTING; do iptables -t nat -N $chain; done  # each node",
            "iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
            "iptables -t nat -A POSTROUTING -j KUBE-POSTROUTING",
            "iptables -t nat -A KUBE-NODEPORTS -p tcp --dport 30080 -j KUBE-MARK-MASQ",
            "iptables -t nat -A KUBE-NODEPORTS -p tcp --dport 30080 -j DNAT --to-destination 10.244.1.2:80",
            "iptables -t nat -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
            "iptables -t nat -A KUBE-POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
        ],
        scene: nodes_and_client,
        before: |w, s| {
            s.not_served(&w.machine(OUTSIDE)?, BY_NODE_1, Reason::Refused)?;
            s.not_served(&w.machine(OUTSIDE)?, BY_NODE_2, Reason::Refused)
        },
        change: |w| {
            for node in [NODE_1, NODE_2] {
                let netns = w.machine(node.name)?;
                w.keep(format!("the node port of {}", node.name), Rules::iptables_restore(&netns, NODE_PORT)?);
                w.keep(format!("{MASQUERADE} on {}", node.name), Rules::iptables_restore(&netns, MARKED)?);
            }
            Ok(())
        },
        check: |w, s| {
            let client = w.machine(OUTSIDE)?;
            s.served_as(&client, BY_NODE_1, NODE_1.pod, "10.244.1.1")?;
            s.served_as(&client, BY_NODE_2, NODE_1.pod, NODE_2.address)?;
            s.listening(&w.machine(NODE_2.name)?, "it listens on these TCP ports", "none")?;
            // The same port of another machine is none of the node's business.
            s.not_served(&w.machine(NODE_1.pod)?, &format!("{OUTSIDE_ADDRESS}:30080"), Reason::Silence)?;
            s.without("MASQUERADE");
            for node in [NODE_1, NODE_2] {
                w.take::<Rules>(&format!("{MASQUERADE} on {}", node.name))?.close()?;
            }
            let tap = Capture::on(&client.link("eth0")?)?;
            s.not_served(&client, BY_NODE_2, Reason::Silence)?;
            s.distinct_packets(
                "client: the pod answers, from its own address",
                &tap.stop()?.filter(capture::tcp().syn_ack())?,
                &["client/eth0 In  IP 10.244.1.2.80 > 192.168.1.50.PORT1: Flags [S.]"],
            )?;
            s.with("the node that has the pod, which the answer passes by itself");
            s.served_as(&client, BY_NODE_1, NODE_1.pod, OUTSIDE_ADDRESS)
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.clusterip",
        title: "an address of no machine: ClusterIP",
        afresh: true,
        kernel: &["bridge", "nat"],
        claim: "Pods reach the service at an address that no interface has; each connection comes to one of the pods behind it.",
        truth: "It is there in rules only. As kube-proxy writes it for iptables, a chain of the service jumps to the chain of a pod for its share of \
                connections (here every second one, for the count to be exact, and not by chance), and that one translates. As one writes it \
                for nft, a single rule looks a number up in a map of destinations; it does the same.",
        commands: CLUSTER_IP_COMMANDS,
        scene: node_and_pods,
        before: |w, s| s.not_served(&w.machine(POD_3)?, VIP, IcmpKind::NetUnreachable),
        change: |w| choose(w, &[BY_TURNS, TRANSLATE]),
        check: |w, s| {
            let (host, pod) = (w.host(), w.machine(POD_3)?);
            s.equals("pod-3: six connections get", six(&pod)?, "web-1 web-2 web-1 web-2 web-1 web-2")?;
            s.served_as(&pod, VIP, WEB_1, "10.244.1.4")?;
            s.no_reply(&pod, VIP, IcmpKind::NetUnreachable)?;
            let addresses: Vec<_> = host.addresses()?.iter().map(|address| address.net.addr().to_string()).collect();
            s.holds("host: 10.96.0.10 is none of its addresses", addresses.join(" "), !addresses.iter().any(|address| address == VIP))?;
            s.without("the chains of the service");
            w.take::<Rules>(CHOICE)?.close()?;
            s.not_served(&pod, VIP, IcmpKind::NetUnreachable)?;
            s.with("one rule with a map instead");
            let rule = NatRule::dnat(&host).addressed_to(VIP).tcp(80).to_each(["10.244.1.2:80", "10.244.1.3:80"]).install()?;
            s.holds("host: as nft says it", rule.as_nft(), rule.as_nft().contains("numgen inc mod 2 map"))?;
            s.equals("pod-3: six connections get", six(&pod)?, "web-1 web-2 web-1 web-2 web-1 web-2")
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.session-affinity",
        title: "the same pod each time: ClientIP",
        afresh: true,
        kernel: &["bridge", "nat"],
        claim: "With sessionAffinity: ClientIP all connections of one client come to the same pod.",
        truth: "The chain of a pod remembers the address of who came to it (-m recent --set), and before anything is left to the shares, the \
                service's chain asks whether one of them knows the client (--rcheck).",
        commands: &[
            "iptables -t nat -I KUBE-SVC-WEB 1 -m recent --name KUBE-SEP-1 --rcheck --seconds 10800 --rsource -j KUBE-SEP-1",
            "iptables -t nat -I KUBE-SVC-WEB 2 -m recent --name KUBE-SEP-2 --rcheck --seconds 10800 --rsource -j KUBE-SEP-2",
            "iptables -t nat -R KUBE-SEP-1 1 -p tcp -m recent --name KUBE-SEP-1 --set --rsource -j DNAT --to-destination 10.244.1.2:80",
            "iptables -t nat -R KUBE-SEP-2 1 -p tcp -m recent --name KUBE-SEP-2 --set --rsource -j DNAT --to-destination 10.244.1.3:80",
        ],
        scene: |w| {
            node_and_pods(w)?;
            choose(w, &[BY_TURNS, TRANSLATE])
        },
        before: |w, s| {
            let pod = w.machine(POD_3)?;
            s.equals("pod-3: six connections get", six(&pod)?, "web-1 web-2 web-1 web-2 web-1 web-2")
        },
        change: |w| choose(w, &[ASK, BY_TURNS, REMEMBER]),
        check: |w, s| {
            let (one, other) = (w.machine(POD_3)?, w.machine(POD_4)?);
            s.equals("pod-3: six connections get", six(&one)?, ["web-1"; 6].join(" "))?;
            s.equals("pod-4: six connections get", six(&other)?, ["web-2"; 6].join(" "))?;
            s.equals("pod-3: six more get", six(&one)?, ["web-1"; 6].join(" "))?;
            s.without("the rules that ask");
            choose(w, &[BY_TURNS, REMEMBER])?;
            s.equals("pod-3: six connections get", six(&one)?, "web-1 web-2 web-1 web-2 web-1 web-2")
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.hairpin",
        title: "a pod that is its own server",
        afresh: true,
        kernel: &["bridge", "nat"],
        claim: "A pod behind a service reaches the service even when its turn is its own.",
        truth: "It takes MASQUERADE of what comes from the pod and goes to it, so that the pod sees its node instead of itself; and, where \
                bridged packets pass through iptables, a port of the bridge by which packets leave that came in by it (hairpin). Other pods \
                need neither.",
        needs: &["MASQUERADE of what a pod sends to itself", "hairpin on the pod's port of the bridge, or bridge-nf-call-iptables=0"],
        commands: &[
            "iptables -t nat -N KUBE-MARK-MASQ; iptables -t nat -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
            "iptables -t nat -I KUBE-SEP-1 -s 10.244.1.2 -j KUBE-MARK-MASQ",
            "iptables -t nat -A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
            "bridge link set dev veth_web-1 hairpin on",
        ],
        scene: |w| {
            node_and_pods(w)?;
            choose(w, &["-A KUBE-SVC-WEB -j KUBE-SEP-1", TRANSLATE])
        },
        before: |w, s| {
            s.served(&w.machine(POD_3)?, VIP, WEB_1)?;
            s.not_served(&w.machine(WEB_1)?, VIP, Reason::Silence)
        },
        change: |w| {
            w.keep(MASQUERADE, Rules::iptables_restore(&w.host(), TO_ITSELF)?);
            Ok(w.host().link("veth_web-1")?.set_hairpin(true)?)
        },
        check: |w, s| {
            let web = w.machine(WEB_1)?;
            s.served_as(&web, VIP, WEB_1, "10.244.1.1")?;
            s.served_as(&w.machine(POD_3)?, VIP, WEB_1, "10.244.1.4")?;
            s.without("hairpin");
            w.host().link("veth_web-1")?.set_hairpin(false)?;
            s.not_served(&web, VIP, Reason::Silence)?;
            s.with("bridge-nf-call-iptables=0 instead of hairpin");
            let unseen = w.host().set_sysctl("net.bridge.bridge-nf-call-iptables", 0)?;
            s.served(&web, VIP, WEB_1)?;
            unseen.close()?;
            w.host().link("veth_web-1")?.set_hairpin(true)?;
            s.without("MASQUERADE");
            w.take::<Rules>(MASQUERADE)?.close()?;
            s.not_served(&web, VIP, Reason::Silence)
        },
        ..Stage::STILL
    },
];

const CLUSTER_IP_COMMANDS: &[&str] = &[
    "for chain in KUBE-SVC-WEB KUBE-SEP-1 KUBE-SEP-2; do iptables -t nat -N $chain; done",
    "iptables -t nat -A PREROUTING -d 10.96.0.10 -p tcp --dport 80 -j KUBE-SVC-WEB",
    "iptables -t nat -A KUBE-SVC-WEB -m statistic --mode nth --every 2 --packet 0 -j KUBE-SEP-1",
    "iptables -t nat -A KUBE-SVC-WEB -j KUBE-SEP-2",
    "iptables -t nat -A KUBE-SEP-1 -p tcp -j DNAT --to-destination 10.244.1.2:80",
    "iptables -t nat -A KUBE-SEP-2 -p tcp -j DNAT --to-destination 10.244.1.3:80",
];

/// What is addressed to a port of the node itself goes to the pod, and is marked.
const NODE_PORT: &str = "*nat
:KUBE-NODEPORTS - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -p tcp -m tcp --dport 30080 -j KUBE-MARK-MASQ
-A KUBE-NODEPORTS -p tcp -m tcp --dport 30080 -j DNAT --to-destination 10.244.1.2:80
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
COMMIT
";

const MARKED: &str = "*nat
:KUBE-POSTROUTING - [0:0]
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE
COMMIT
";

/// What comes from web-1 and goes to it is masqueraded.
const TO_ITSELF: &str = "*nat
:KUBE-MARK-MASQ - [0:0]
-I KUBE-SEP-1 -s 10.244.1.2/32 -j KUBE-MARK-MASQ
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE
COMMIT
";

/// What is addressed to the service goes to its chain; each pod behind it has a chain.
const SERVICE: &str = ":KUBE-SVC-WEB - [0:0]
:KUBE-SEP-1 - [0:0]
:KUBE-SEP-2 - [0:0]
-A PREROUTING -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-WEB";

/// The service's chain asks whether a pod knows the client.
const ASK: &str = "-A KUBE-SVC-WEB -m recent --name KUBE-SEP-1 --rcheck --seconds 10800 --rsource -j KUBE-SEP-1
-A KUBE-SVC-WEB -m recent --name KUBE-SEP-2 --rcheck --seconds 10800 --rsource -j KUBE-SEP-2";

pub(super) const BY_TURNS: &str = "-A KUBE-SVC-WEB -m statistic --mode nth --every 2 --packet 0 -j KUBE-SEP-1
-A KUBE-SVC-WEB -j KUBE-SEP-2";

pub(super) const TRANSLATE: &str = "-A KUBE-SEP-1 -p tcp -j DNAT --to-destination 10.244.1.2:80
-A KUBE-SEP-2 -p tcp -j DNAT --to-destination 10.244.1.3:80";

const REMEMBER: &str = "-A KUBE-SEP-1 -p tcp -m recent --name KUBE-SEP-1 --set --rsource -j DNAT --to-destination 10.244.1.2:80
-A KUBE-SEP-2 -p tcp -m recent --name KUBE-SEP-2 --set --rsource -j DNAT --to-destination 10.244.1.3:80";

/// Gives the service these rules, and takes those that it had.
pub(super) fn choose(world: &mut World, rules: &[&str]) -> Result<()> {
    if world.kept::<Rules>(CHOICE).is_ok() {
        world.take::<Rules>(CHOICE)?.close()?;
    }
    let text = format!("*nat\n{SERVICE}\n{}\nCOMMIT\n", rules.join("\n"));
    world.keep(CHOICE, Rules::iptables_restore(&world.host(), &text)?);
    Ok(())
}

/// Whose pages six connections to the service get, one after the other.
pub(super) fn six(from: &Netns) -> Result<String> {
    Ok((0..6).map(|_| server(from, VIP)).collect::<Result<Vec<_>>>()?.join(" "))
}

/// Two nodes with a pod each, and a client outside, who knows the nodes only.
fn nodes_and_client(world: &mut World) -> Result<()> {
    routed(world)?;
    host_gateways(world)?;
    let server = world.machine(NODE_1.pod)?.http_server("10.244.1.2:80")?;
    world.keep("the server", server);
    let client = world.add(Netns::new(OUTSIDE)?);
    world.plug(LAN, client.iface("eth0").addr(format!("{OUTSIDE_ADDRESS}/24")))
}

/// A node with four pods, two of which are servers; bridged packets pass through its iptables.
pub(super) fn node_and_pods(world: &mut World) -> Result<()> {
    let node = world.host();
    node.forward_ipv4()?;
    world.keep("bridged packets", node.set_sysctl("net.bridge.bridge-nf-call-iptables", 1)?);
    let bridge = Bridge::new(node.iface("cni0").addr("10.244.1.1/24"))?;
    for (name, address) in [(WEB_1, "10.244.1.2"), (WEB_2, "10.244.1.3"), (POD_3, "10.244.1.4"), (POD_4, "10.244.1.5")] {
        let pod = world.add(Netns::new(name)?);
        let eth0 = pod.iface("eth0").addr(format!("{address}/24")).gateway("10.244.1.1");
        world.keep_cable(VethPair::connect(eth0, node.iface(format!("veth_{name}")).master(&bridge))?);
        world.keep(format!("the server of {name}"), pod.http_server(format!("{address}:80"))?);
    }
    world.keep("cni0", bridge);
    Ok(())
}
