//! Stages 01 to 05: containers on one node, and what makes a pod of them.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use netlab::Namespace::{Mount, Net, Pid};
use netlab::{Bridge, Capture, FilterRule, IcmpKind, Namespace, NatRule, Netns, Policy, Process, Reason, VethPair, capture};

use super::{CON_1, CON_2, CON_3, FIRST, NODE_1, POD_1, SECOND, add_bridge, add_container, add_namespace, ports};
use crate::container::{await_end_of_link, container, exec, names_of_links, page, serve, shared};
use crate::error::{Error, Result};
use crate::stage::{Cause, Stage, Verdict};
use crate::story::Story;
use crate::toolbox;
use crate::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "004.01",
        title: "one container",
        verdict: Verdict::Precondition,
        claim: "Docker's bridge docker0, 172.17.0.1, is attached to eth0 of the node. A container is attached to docker0 by a cable, veth0, \
                which has the address 172.17.0.2; 172.17.0.1 is its gateway to the outside. Of the links it sees only lo and its own eth0.",
        truth: "The container sees lo and eth0, and its gateway answers. But docker0 has one port, the container's cable; eth0 is none. \
                Between docker0 and eth0 the node routes, and because nobody outside has a route to 172.17.0.0/24, it puts its own address \
                in the place of the container's. And 172.17.0.2 is at the container's end of the cable; the node's end has no address.",
        needs: &["ip_forward=1 on the node", "MASQUERADE, or a route back outside"],
        commands: &[
            "ip link add docker0 type bridge; ip address add 172.17.0.1/24 dev docker0; ip link set docker0 up",
            "ip link add veth_con1 master docker0 type veth peer name eth0 netns con1; ip link set veth_con1 up",
            "ip -n con1 address add 172.17.0.2/24 dev eth0; ip -n con1 link set eth0 up; ip -n con1 route add default via 172.17.0.1",
            "sysctl -w net.ipv4.ip_forward=1",
            "iptables -t nat -A POSTROUTING -s 172.17.0.0/24 ! -o docker0 -j MASQUERADE",
        ],
        before: |w, s| s.no_reply(&w.machine(NODE_1)?, "172.17.0.2", IcmpKind::NetUnreachable.sent_by("10.100.0.1")),
        change: |w| {
            let node = w.machine(NODE_1)?;
            add_bridge(w, &node, "docker0", "172.17.0.1/24")?;
            add_container(w, &node, CON_1, FIRST)?;
            node.forward_ipv4()?;
            let masquerade = NatRule::masquerade(&node).from("172.17.0.0/24").not_out("docker0").install()?;
            w.keep("Docker's masquerade", masquerade);
            Ok(())
        },
        check: |w, s| {
            let (node, con1, router) = (w.machine(NODE_1)?, w.machine(CON_1)?, w.machine("router")?);
            s.links(&con1, "it sees these links", "lo eth0")?;
            s.replies(&node, "172.17.0.2")?;
            s.replies(&con1, "172.17.0.1")?;
            s.with("ip_forward=1 and MASQUERADE");
            s.replies(&con1, "10.100.0.1")?;
            s.wrong();
            s.equals("node1: the ports of docker0 are", ports(&node, "docker0")?, "veth_con1")?;
            s.ipv4_addresses(&node, "its end of the cable has no address", "veth_con1", "none")?;
            s.ipv4_addresses(&con1, "its own end has it", "eth0", "172.17.0.2/24")?;
            s.without("ip_forward=1");
            let closed = node.set_sysctl("net.ipv4.ip_forward", 0)?;
            s.no_reply(&con1, "10.100.0.1", Reason::Silence)?;
            closed.close()?;
            s.without("MASQUERADE");
            w.take::<NatRule>("Docker's masquerade")?.close()?;
            let tap = Capture::on(&router.link("lan0")?)?;
            s.no_reply(&con1, "10.100.0.1", Reason::Silence)?;
            s.distinct_packets(
                "router: it gets the ping, and has no route for the reply",
                &tap.stop()?.filter(capture::icmp())?,
                &["router/lan0 In  IP 172.17.0.2 > 10.100.0.1: ICMP echo request"],
            )
        },
        ..Stage::STILL
    },
    Stage {
        id: "004.02",
        title: "a second container",
        verdict: Verdict::Precondition,
        claim: "A second container gets a cable of its own to the same bridge, and 172.17.0.3. The two can talk to each other, and both may have a \
                server on port 80.",
        truth: "They are neighbours on the bridge (ttl 64), each with its own ports. Where bridged packets pass through iptables, as Docker arranges it \
                (bridge-nf-call-iptables=1), the node's FORWARD must accept them; Docker has a rule for that unless icc=false.",
        needs: &["bridge-nf-call-iptables=0, or a FORWARD that accepts from docker0 to docker0"],
        commands: &[
            "ip link add veth_con2 master docker0 type veth peer name eth0 netns con2; ip link set veth_con2 up",
            "ip -n con2 address add 172.17.0.3/24 dev eth0; ip -n con2 link set eth0 up; ip -n con2 route add default via 172.17.0.1",
        ],
        before: |w, s| s.no_reply(&w.machine(CON_1)?, "172.17.0.3", libc::EHOSTUNREACH),
        change: |w| {
            let node = w.machine(NODE_1)?;
            add_container(w, &node, CON_2, SECOND)
        },
        check: |w, s| {
            let (node, con1, con2) = (w.machine(NODE_1)?, w.machine(CON_1)?, w.machine(CON_2)?);
            s.with("a FORWARD that accepts");
            s.replies(&con1, "172.17.0.3")?;
            s.served_as(&con1, "172.17.0.3:80", CON_2, "172.17.0.2")?;
            s.served_as(&con2, "172.17.0.2:80", CON_1, "172.17.0.3")?;
            s.without("a FORWARD that accepts, where bridged packets pass through it");
            let _bridged = node.set_sysctl("net.bridge.bridge-nf-call-iptables", 1)?;
            let _closed = Policy::drop(&node).forward().install()?;
            s.no_reply(&con1, "172.17.0.3", Reason::Silence)?;
            s.replies(&node, "172.17.0.3")?;
            s.with("Docker's rule for it (icc=true): iptables -A FORWARD -i docker0 -o docker0 -j ACCEPT");
            let _open = FilterRule::accept(&node).forward().on("docker0").out("docker0").install()?;
            s.replies(&con1, "172.17.0.3")
        },
        ..Stage::STILL
    },
    Stage {
        id: "004.03",
        title: "a shared network stack",
        claim: "A container may be started in the network of another one. Then both have the one interface and its address, 172.17.0.2, and each \
                reaches the other's ports at localhost.",
        truth: "It is the network namespace that they share, all of it: links, addresses, routes, ports. Processes, mounts and files each has its \
                own: neither sees the other's processes.",
        commands: &["docker run --name con3 --network container:con1 …  # a server on port 8080"],
        before: |w, s| {
            s.not_served(&w.machine(NODE_1)?, "172.17.0.2:8080", Reason::Refused)?;
            let con1 = w.machine(CON_1)?;
            s.equals("in con1: `wget localhost:8080`", page(&exec(w.kept(CON_1)?, &con1, &["wget", "-qO-", "127.0.0.1:8080"])?), "no page")
        },
        change: |w| {
            let con1 = w.machine(CON_1)?;
            w.keep(CON_3, serve(&con1, CON_3, 8080)?);
            Ok(())
        },
        check: |w, s| {
            let (node, netns) = (w.machine(NODE_1)?, w.machine(CON_1)?);
            let (con1, con3): (&Process, &Process) = (w.kept(CON_1)?, w.kept(CON_3)?);
            s.served_as(&node, "172.17.0.2:80", CON_1, "172.17.0.1")?;
            s.served_as(&node, "172.17.0.2:8080", CON_3, "172.17.0.1")?;
            let asked = |container, port: u16| -> Result<String> {
                Ok(page(&exec(container, &netns, &["wget", "-qO-", &format!("127.0.0.1:{port}")])?))
            };
            s.equals("in con1: `wget 127.0.0.1:8080` gets", asked(con1, 8080)?, "con3 saw 127.0.0.1")?;
            s.equals("in con3: `wget 127.0.0.1:80` gets", asked(con3, 80)?, "con1 saw 127.0.0.1")?;
            let links = exec(con1, &netns, &["ip", "link"])?;
            let same = exec(con3, &netns, &["ip", "link"])? == links;
            s.holds("in con3: `ip link` shows what it shows in con1", names_of_links(&links), same)?;
            s.equals("con1 and con3 share", shared(con1, con3, KINDS)?, "net")?;
            s.without("con3");
            w.take::<Process>(CON_3)?.close()?;
            s.not_served(&node, "172.17.0.2:8080", Reason::Refused)?;
            s.served(&node, "172.17.0.2:80", CON_1)
        },
        ..Stage::STILL
    },
    Stage {
        id: "004.04",
        title: "port clash in a pod",
        verdict: Verdict::Precondition,
        claim: "Two containers that share a network cannot both have port 80; two that do not can.",
        truth: "EADDRINUSE, if both want the port of the same protocol, at addresses that overlap, and do not both say SO_REUSEPORT. Otherwise \
                both get it.",
        needs: &["the same protocol", "addresses that overlap", "not SO_REUSEPORT on both"],
        commands: &["httpd -p 80  # in con3: fails"],
        cause: Cause::Lack { of: "docker stop con1", supply: |w| Ok(w.take::<Process>(CON_1)?.close()?) },
        check: |w, s| {
            let netns = w.machine(CON_1)?;
            s.with("the same protocol and addresses that overlap");
            s.refused("con1 has port 80: a second server does not get it", netns.bind_tcp("0.0.0.0:80"), libc::EADDRINUSE)?;
            s.refused("nor that of one address", netns.bind_tcp("172.17.0.2:80"), libc::EADDRINUSE)?;
            s.served(&w.machine(NODE_1)?, "172.17.0.3:80", CON_2)?;
            s.without("the same protocol");
            let bound = netns.bind_udp("0.0.0.0:80")?;
            s.holds("of UDP it gets it", bound.address(), true)?;
            w.take::<Process>(CON_1)?.close()?;
            s.without("addresses that overlap");
            let first = netns.serve("first").http("172.17.0.2:80")?;
            let second = netns.serve("second").http("127.0.0.1:80")?;
            s.served(&netns, "172.17.0.2:80", "first")?;
            s.served(&netns, "127.0.0.1:80", "second")?;
            drop((first, second));
            s.with("SO_REUSEPORT on one");
            let _first = netns.serve("first").reuse_port().http("0.0.0.0:80")?;
            s.refused("the second does not get the port", netns.serve("second").http("0.0.0.0:80"), libc::EADDRINUSE)?;
            s.without("a server that keeps the port for itself: SO_REUSEPORT on both");
            let second = netns.serve("second").reuse_port().http("0.0.0.0:80")?;
            s.holds("the second gets it as well", second.address(), true)
        },
        ..Stage::STILL
    },
    Stage {
        id: "004.05",
        title: "pause",
        claim: "A pod is such a group of containers, in the network of one that does nothing else: pause. The pod's veth is that of pause; the \
                others may come and go, and the pod keeps its address.",
        truth: "So it is. What holds the network namespace is whoever is in it, pause as well as the others: it lives as long as one of them \
                does, and goes with the last, and its cable with it. pause is the one that never ends by itself.",
        commands: &[
            "docker rm -f con1 con2 con3",
            "docker run --name pause …; docker run --name pod1 --network container:pause …; docker run --name sidecar --network container:pause …",
        ],
        before: |w, s| s.served(&w.machine(NODE_1)?, "172.17.0.2:80", CON_1),
        change: |w| {
            let node = w.machine(NODE_1)?;
            drop(w.take::<Process>(CON_3)?);
            for container in [CON_1, CON_2] {
                drop(w.take::<Process>(container)?);
                w.take::<VethPair>(&format!("the cable of {container}/eth0"))?.close()?;
                w.remove(container)?;
            }
            let pod = add_namespace(w, &node, POD_1, FIRST)?;
            w.keep(PAUSE, container(&pod, &["pause"]).start()?);
            w.keep(POD_1, serve(&pod, POD_1, 80)?);
            w.keep(SIDECAR, serve(&pod, SIDECAR, 8080)?);
            Ok(())
        },
        check: |w, s| {
            let (node, pod) = (w.machine(NODE_1)?, w.machine(POD_1)?);
            s.served(&node, "172.17.0.2:80", POD_1)?;
            s.served(&node, "172.17.0.2:8080", SIDECAR)?;
            let (pause, app, sidecar): (&Process, &Process, &Process) = (w.kept(PAUSE)?, w.kept(POD_1)?, w.kept(SIDECAR)?);
            s.equals("pause and the first app share", shared(pause, app, KINDS)?, "net")?;
            s.equals("pause and the second one share", shared(pause, sidecar, KINDS)?, "net")?;
            s.equals("in pause: `ip link` shows", names_of_links(&exec(pause, &pod, &["ip", "link"])?), "lo eth0")?;
            s.without("the first app");
            w.take::<Process>(POD_1)?.close()?;
            s.not_served(&node, "172.17.0.2:80", Reason::Refused)?;
            s.replies(&node, "172.17.0.2")?;
            s.served(&node, "172.17.0.2:8080", SIDECAR)?;
            s.with("the first app, started again");
            let _app = serve(&pod, POD_1, 80)?;
            s.served(&node, "172.17.0.2:80", POD_1)?;
            s.unstated();
            last_one_out(w, s)
        },
        ..Stage::STILL
    },
];

/// The kinds of namespaces that each container of this tutorial has for itself.
const KINDS: &[Namespace] = &[Net, Pid, Mount];
const PAUSE: &str = "pause";
const SIDECAR: &str = "sidecar";

/// A pod that nobody holds but its processes: they end one by one.
fn last_one_out(w: &World, s: &mut Story) -> Result<()> {
    let node = w.machine(NODE_1)?;
    let [mut pause, mut app] = {
        let pod = Netns::new("brief")?;
        let port = node.iface("veth_brief").master(w.kept::<Bridge>("node1/docker0")?);
        drop(VethPair::connect(pod.iface("eth0").addr("172.17.0.9/24").gateway("172.17.0.1"), port)?.keep());
        [Lone::start(&pod, &["pause"])?, Lone::start(&pod, &["httpd", "brief", "0.0.0.0:80"])?]
    };
    node.http_get("172.17.0.9:80")?; // it has started
    pause.end();
    s.served(&node, "172.17.0.9:80", "brief")?;
    s.holds("node1: a pod whose pause has ended has its cable still", "veth_brief", node.links()?.named("veth_brief").is_some())?;
    app.end();
    await_end_of_link(&node, "veth_brief")?;
    s.equals("node1: when the last process has ended, the ports of docker0 are", ports(&node, "docker0")?, "veth_pod1")
}

/// A process that holds its namespace alone: no fixture does.
struct Lone(Child);

impl Lone {
    fn start(netns: &Netns, command: &[&str]) -> Result<Self> {
        let (name, arguments) = command.split_first().unwrap_or((&"", &[]));
        let failed = |e: io::Error| Error::World(format!("cannot start {name}: {e}"));
        let program = toolbox::program().map_err(failed)?;
        Ok(Self(netns.command(program)?.arg0(name).args(arguments).stdout(Stdio::null()).spawn().map_err(failed)?))
    }

    fn end(&mut self) {
        // It can have ended already.
        self.0.kill().and_then(|()| self.0.wait()).map(drop).unwrap_or_default();
    }
}

impl Drop for Lone {
    fn drop(&mut self) {
        self.end();
    }
}
