//! Stages 14 to 17: the way out by translation of addresses, a second node, and routes between the nodes.

use netlab::capture::icmp;
use netlab::{Capture, NatRule, Netns, Reason, Route};

use super::bridge::add_bridge;
use super::containers::start;
use super::{CON_1, CON_2, CON_3, HEAD, NODE_1, NODE_2, OUTER, cable};
use crate::error::Result;
use crate::stage::{Cause, Stage};
use crate::world::{INTERNET, World};

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "001.14",
        title: "out by translation",
        claim: "With ip_forward=1, a MASQUERADE rule and a default route the container reaches the internet. tcpdump shows four lines on the \
                node, and four on the head node, which puts its own public address 192.168.200.172 in.",
        truth: "It does: the node gives the packet its own address, the head node gives it another. On the node the packets have four \
                different contents, but `-i any` shows six lines, as br0 passes them too. 192.168.200.172 is no public address: somebody \
                beyond the head node translates once more.",
        needs: &["the head node translates already"],
        commands: &[
            "sysctl -w net.ipv4.ip_forward=1",
            "iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE",
            "ip route add default via 172.19.35.1  # in the containers",
        ],
        before: |w, s| {
            s.replies(&w.machine(NODE_1)?, "8.8.8.8")?;
            s.no_reply(&w.machine(CON_1)?, "8.8.8.8", libc::ENETUNREACH)
        },
        change: |w| {
            add_way_out(w, NODE_1)?;
            add_default_route(w, CON_1, "172.19.35.1")?;
            add_default_route(w, CON_2, "172.19.35.1")
        },
        check: |w, s| {
            let (node, head, con1) = (w.machine(NODE_1)?, w.machine(HEAD)?, w.machine(CON_1)?);
            let tap = Capture::on_all([&node, &head])?;
            s.replies(&con1, "8.8.8.8")?;
            let seen = tap.stop()?.filter(icmp())?;
            let on_head = [
                "head/eth0 In  IP 10.141.0.1 > 8.8.8.8: ICMP echo request",
                "head/eth1 Out IP 192.168.200.172 > 8.8.8.8: ICMP echo request",
                "head/eth1 In  IP 8.8.8.8 > 192.168.200.172: ICMP echo reply",
                "head/eth0 Out IP 8.8.8.8 > 10.141.0.1: ICMP echo reply",
            ];
            s.packets("head: four lines", &seen.filter(icmp().within(HEAD))?, &on_head)?;
            s.wrong();
            let on_node = [
                "node001/veth0 In  IP 172.19.35.2 > 8.8.8.8: ICMP echo request",
                "node001/br0 In  IP 172.19.35.2 > 8.8.8.8: ICMP echo request",
                "node001/eth0 Out IP 10.141.0.1 > 8.8.8.8: ICMP echo request",
                "node001/eth0 In  IP 8.8.8.8 > 10.141.0.1: ICMP echo reply",
                "node001/br0 Out IP 8.8.8.8 > 172.19.35.2: ICMP echo reply",
                "node001/veth0 Out IP 8.8.8.8 > 172.19.35.2: ICMP echo reply",
            ];
            s.packets("node001: six lines, with four different contents", &seen.filter(icmp().within(NODE_1))?, &on_node)?;
            s.holds("192.168.200.172 is a private address (RFC 1918)", "192.168.0.0/16", OUTER.is_private())?;
            s.without("ip_forward=1");
            let forwarding = node.set_sysctl("net.ipv4.ip_forward", 0)?;
            s.no_reply(&con1, "8.8.8.8", Reason::Silence)?;
            forwarding.close()?;
            s.without("MASQUERADE");
            w.take::<NatRule>(MASQUERADE_1)?.close()?;
            let tap = Capture::on(&node.link("eth0")?)?;
            s.no_reply(&con1, "8.8.8.8", Reason::Silence)?;
            let untranslated = "node001/eth0 Out IP 172.19.35.2 > 8.8.8.8: ICMP echo request";
            s.packets("node001: it leaves, with an address that nobody out there can answer", &tap.stop()?.filter(icmp())?, &[untranslated])
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.15",
        title: "a second node",
        claim: "The same on node002, with 172.19.36.0/24, gives its container the internet.",
        truth: "So it does. The head node knows the address of node002 alone.",
        commands: &["# on node002: stages 05 to 14 with 172.19.36.2/24 for the container and 172.19.36.1/24 for br0"],
        before: |w, s| s.links(&w.machine(NODE_2)?, "there is no bridge and no container", "lo eth0"),
        change: |w| {
            start(w, CON_3, &[])?;
            cable(w, NODE_2, "veth0", CON_3, "172.19.36.2/24")?;
            add_bridge(w, NODE_2, "172.19.36.1/24", &["veth0"])?;
            add_way_out(w, NODE_2)?;
            add_default_route(w, CON_3, "172.19.36.1")
        },
        check: |w, s| {
            let tap = Capture::on(&w.machine(HEAD)?.link("eth0")?)?;
            s.replies(&w.machine(CON_3)?, "8.8.8.8")?;
            let lines =
                ["head/eth0 In  IP 10.141.0.2 > 8.8.8.8: ICMP echo request", "head/eth0 Out IP 8.8.8.8 > 10.141.0.2: ICMP echo reply"];
            s.packets("head: it comes from node002", &tap.stop()?.filter(icmp())?, &lines)
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.16",
        title: "no route to the other node's containers",
        claim: "A container does not reach that of the other node: there is no route to it. The node has these three routes.",
        truth: "So it is. The ping does not stay in the cluster: it takes the default routes, is translated twice and sent outside.",
        commands: &["ping -c1 172.19.36.2  # in con1", "ip route  # on node001"],
        before: |w, s| {
            s.replies(&w.machine(CON_1)?, "8.8.8.8")?;
            s.replies(&w.machine(CON_1)?, "10.141.0.2")?;
            s.replies(&w.machine(NODE_2)?, "172.19.36.2")
        },
        cause: Cause::Lack { of: "ip route add 172.19.36.0/24 via 10.141.0.2  # on node001", supply: add_route_1 },
        check: |w, s| {
            let tap = Capture::on_all([w.machine(NODE_1)?, w.machine(INTERNET)?].each_ref())?;
            s.no_reply(&w.machine(CON_1)?, "172.19.36.2", Reason::Silence)?;
            let seen = tap.stop()?.filter(icmp().echo_request())?;
            let routes = [
                "default via 10.141.255.254 dev eth0",
                "10.141.0.0/16 dev eth0 proto kernel scope link src 10.141.0.1",
                "172.19.35.0/24 dev br0 proto kernel scope link src 172.19.35.1",
            ];
            s.routes(&w.machine(NODE_1)?, "it has three routes", "main", &routes)?;
            s.unstated();
            let once = "node001/eth0 Out IP 10.141.0.1 > 172.19.36.2: ICMP echo request";
            s.packets("node001: the ping is translated and leaves", &seen.filter(icmp().on("node001/eth0"))?, &[once])?;
            let twice = "internet/eth0 In  IP 192.168.200.172 > 172.19.36.2: ICMP echo request";
            s.packets("internet: it comes here, translated again", &seen.filter(icmp().within(INTERNET))?, &[twice])
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.17",
        title: "static routes",
        claim: "With a route on each node to the network of the other the containers reach each other; both are needed, and `src` is the \
                address that the packets get.",
        truth: "They do. But the destination sees the node: the MASQUERADE rule is there still. So the one route on node001 is enough for \
                con1 to reach con3, whose replies go to 10.141.0.1; the other one is for con3 to reach con1. `src` is about packets of the \
                node itself, and does nothing to those that it forwards.",
        needs: &["the rule `-o eth0 -j MASQUERADE`, for one route to be enough"],
        commands: &[
            "ip route add 172.19.36.0/24 via 10.141.0.2 src 10.141.0.1  # on node001",
            "ip route add 172.19.35.0/24 via 10.141.0.1 src 10.141.0.2  # on node002",
        ],
        before: |w, s| {
            s.no_reply(&w.machine(CON_1)?, "172.19.36.2", Reason::Silence)?;
            s.no_reply(&w.machine(CON_3)?, "172.19.35.2", Reason::Silence)
        },
        change: |w| {
            add_route_1(w)?;
            let route = Route::to("172.19.35.0/24").via("10.141.0.1").src("10.141.0.2").install(&w.machine(NODE_2)?)?;
            w.keep(ROUTE_2, route);
            Ok(())
        },
        check: |w, s| {
            let (con1, con3) = (w.machine(CON_1)?, w.machine(CON_3)?);
            let _web = con3.serve(WEB).http("172.19.36.2:80")?;
            s.replies(&con1, "172.19.36.2")?;
            s.replies(&con3, "172.19.35.2")?;
            s.served_as(&con1, "172.19.36.2:80", WEB, "10.141.0.1")?;
            s.wrong();
            w.take::<Route>(ROUTE_2)?.close()?;
            s.has_no_route_to(&w.machine(NODE_2)?, "the route to 172.19.35.0/24 is deleted", "main", "172.19.35.0/24")?;
            s.served_as(&con1, "172.19.36.2:80", WEB, "10.141.0.1")?;
            s.no_reply(&con3, "172.19.35.2", Reason::Silence)?;
            s.without("MASQUERADE on node001");
            w.take::<NatRule>(MASQUERADE_1)?.close()?;
            s.not_served(&con1, "172.19.36.2:80", Reason::Silence)?;
            s.unstated();
            let _back = Route::to("172.19.35.0/24").via("10.141.0.1").install(&w.machine(NODE_2)?)?;
            let route = "172.19.36.0/24 via 10.141.0.2 dev eth0 src 10.141.0.1";
            s.has_route(&w.machine(NODE_1)?, "the route with `src`", "main", route)?;
            s.served_as(&con1, "172.19.36.2:80", WEB, "172.19.35.2")
        },
        ..Stage::STILL
    },
];

const MASQUERADE_1: &str = "the MASQUERADE rule of node001";
const ROUTE_2: &str = "the route of node002 to 172.19.35.0/24";
const WEB: &str = "web3";

/// What makes a node the way out for its containers.
fn add_way_out(w: &mut World, node: &str) -> Result<()> {
    let node = w.machine(node)?;
    node.forward_ipv4()?;
    let rule = masquerade(&node)?;
    w.keep(format!("the MASQUERADE rule of {node}"), rule);
    Ok(())
}

/// The rule that hides everything behind the node's own address.
pub(super) fn masquerade(node: &Netns) -> Result<NatRule> {
    Ok(NatRule::masquerade(node).out("eth0").install()?)
}

fn add_default_route(w: &World, container: &str, gateway: &str) -> Result<()> {
    Ok(Route::default_via(gateway).install(&w.machine(container)?).map(Route::keep)?)
}

fn add_route_1(w: &mut World) -> Result<()> {
    let route = Route::to("172.19.36.0/24").via("10.141.0.2").src("10.141.0.1").install(&w.machine(NODE_1)?)?;
    w.keep("the route of node001 to 172.19.36.0/24", route);
    Ok(())
}
