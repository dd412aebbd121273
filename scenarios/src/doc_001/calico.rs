//! Stages 20 to 23: a container with a /32 address, whose node answers for a gateway that nobody has.

use std::time::Duration;

use netlab::capture::{arp, icmp};
use netlab::{Capture, Netns, Outcome, Probe, Reason, Route};

use super::containers::start;
use super::{CON_1, NODE_1, cable, hardware};
use crate::ask::SILENCE;
use crate::error::Result;
use crate::stage::Stage;
use crate::world::World;
use crate::world::calico::{add_gateway, add_host_route, add_settings, owners, settings};

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "001.20",
        title: "an address alone",
        afresh: true,
        claim: "Calico gives a container an address with the prefix length 32; with it come no routes, and nothing can be reached.",
        truth: "The one address is all that its network has: the kernel adds no connected route, and everything is ENETUNREACH.",
        commands: &[
            "ip link add veth0 type veth peer name veth1; ip link set veth1 netns PID",
            "ip link set veth1 name eth0; ip address add 172.19.35.2/32 dev eth0; ip link set eth0 up  # in the container",
            "ip link set veth0 up",
        ],
        before: |w, s| s.links(&w.machine(NODE_1)?, "no cable leads into a container", "lo eth0"),
        change: |w| add_container(w, NODE_1, "veth0", CON_1, "172.19.35.2"),
        check: |w, s| {
            let con1 = w.machine(CON_1)?;
            s.ipv4_addresses(&con1, "it has its address", "eth0", "172.19.35.2/32")?;
            s.routes(&con1, "there is no route", "main", &[])?;
            s.no_reply(&con1, "172.19.35.3", libc::ENETUNREACH)?;
            s.no_reply(&con1, "10.141.0.1", libc::ENETUNREACH)?;
            s.without("/32: with 172.19.35.2/24");
            let end = con1.link("eth0")?;
            end.remove_address("172.19.35.2/32")?;
            end.add_address("172.19.35.2/24")?.keep();
            let connected = "172.19.35.0/24 dev eth0 proto kernel scope link src 172.19.35.2";
            s.routes(&con1, "the connected route is there", "main", &[connected])
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.21",
        title: "six sysctls",
        claim: "Calico sets five sysctls of veth0 and one of eth0 on the node.",
        truth: "Each of them belongs to one device. ip_forward, which would set them all, can stay 0.",
        commands: &[
            "sysctl -w net.ipv4.conf.veth0.rp_filter=1 net.ipv4.conf.veth0.route_localnet=1 net.ipv4.conf.veth0.proxy_arp=1",
            "sysctl -w net.ipv4.neigh.veth0.proxy_delay=0 net.ipv4.conf.veth0.forwarding=1 net.ipv4.conf.eth0.forwarding=1",
        ],
        before: |w, s| {
            let node = w.machine(NODE_1)?;
            s.equals("node001: they have the kernel's values", settings(&node, "veth0")?, "0 0 0 80 0 0")
        },
        change: |w| add_settings(w, NODE_1, "veth0"),
        check: |w, s| {
            let node = w.machine(NODE_1)?;
            s.equals("node001: they are set", settings(&node, "veth0")?, "1 1 1 0 1 1")?;
            s.equals("node001: ip_forward is 0 nevertheless", node.sysctl("net.ipv4.ip_forward")?, "0")?;
            s.equals("node001: lo has its own", node.sysctl("net.ipv4.conf.lo.forwarding")?, "0")
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.22",
        title: "169.254.1.1",
        claim: "The container gets a route to 169.254.1.1, which nobody has, and by it a default route. Its ARP request for 169.254.1.1 stays \
                without a reply, as the node has no route to the container yet.",
        truth: "So it is. The order of the two routes is not free: without the first one the gateway is \"invalid\". It is rp_filter=1 \
                that keeps the node from answering: with 0 it answers somebody whom it cannot reach.",
        commands: &["ip route add 169.254.1.1 dev eth0 scope link; ip route add default via 169.254.1.1 dev eth0  # in the container"],
        before: |w, s| {
            let con1 = w.machine(CON_1)?;
            s.no_reply(&con1, "10.141.0.1", libc::ENETUNREACH)?;
            let refusal = Route::default_via("169.254.1.1").dev("eth0").install(&con1);
            let why = refusal.as_ref().err().and_then(|e| e.extended_ack()).unwrap_or("nothing").to_owned();
            s.refused("con1: the default route cannot come first", refusal, libc::ENETUNREACH)?;
            s.equals("con1: the kernel explains", why, "Nexthop has invalid gateway")
        },
        change: |w| add_gateway(w, CON_1),
        check: |w, s| {
            let (node, con1) = (w.machine(NODE_1)?, w.machine(CON_1)?);
            s.routes(&con1, "both routes are there", "main", &["default via 169.254.1.1 dev eth0", "169.254.1.1 dev eth0 scope link"])?;
            s.equals("con1: it asks for 169.254.1.1 by ARP", asked_and_answered(&con1, &node, SILENCE)?.0, "not answered")?;
            s.unstated();
            node.link("veth0")?.set_rp_filter(netlab::RpFilter::Off)?;
            s.equals("con1: it asks again, with rp_filter=0 on veth0", asked_and_answered(&con1, &node, TIME)?.0, "answered")?;
            s.no_reply(&con1, "10.141.0.1", Reason::Silence)
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.23",
        title: "a route to the container",
        claim: "With a route to 172.19.35.2 on the node the container reaches the node: the node answers for 169.254.1.1 with the MAC address \
                of veth0.",
        truth: "It does, and 169.254.1.1 is the only neighbour that the container has, though no interface has that address.",
        commands: &["ip route add 172.19.35.2 dev veth0"],
        before: |w, s| s.no_reply(&w.machine(CON_1)?, "10.141.0.1", Reason::Silence),
        change: |w| add_host_route(w, NODE_1, "172.19.35.2", "veth0"),
        check: |w, s| {
            let (node, con1) = (w.machine(NODE_1)?, w.machine(CON_1)?);
            let mac = hardware(&node, "veth0")?;
            con1.link("eth0")?.flush_neighbours()?;
            let tap = Capture::on(&node)?;
            s.replies(&con1, "10.141.0.1")?;
            let seen = tap.stop()?;
            let ask = "node001/veth0 In  ARP, Request who-has 169.254.1.1 tell 172.19.35.2";
            let tell = format!("node001/veth0 Out ARP, Reply 169.254.1.1 is-at {mac}");
            s.packets("node001: veth0 answers for 169.254.1.1", &seen.filter(arp().to("169.254.1.1"))?, &[ask])?;
            s.packets("node001: with its own MAC address", &seen.filter(arp().from("169.254.1.1"))?, &[tell.as_str()])?;
            let echo = [
                "node001/veth0 In  IP 172.19.35.2 > 10.141.0.1: ICMP echo request",
                "node001/veth0 Out IP 10.141.0.1 > 172.19.35.2: ICMP echo reply",
            ];
            s.packets("node001: the ping is two packets", &seen.filter(icmp())?, &echo)?;
            s.neighbours(&con1, "it has one neighbour", &format!("169.254.1.1 dev eth0 lladdr {mac}"))?;
            s.replies(&node, "172.19.35.2")?;
            s.equals("no interface of any machine has 169.254.1.1", owners(w, "169.254.1.1")?, "none")
        },
        ..Stage::STILL
    },
];

/// Stage 20 for one container.
pub(super) fn add_container(w: &mut World, node: &str, port: &str, name: &str, address: &str) -> Result<()> {
    start(w, name, &[])?;
    cable(w, node, port, name, &format!("{address}/32"))?;
    // As the kernel has it: a lab's own links answer for others at once.
    w.machine(node)?.link(port)?.set_ipv4_neigh("proxy_delay", 80)?.keep();
    Ok(())
}

/// What becomes of the container's ARP request for its gateway when it pings the node.
pub(super) fn asked_and_answered(container: &Netns, node: &Netns, within: Duration) -> Result<(&'static str, Outcome)> {
    container.link("eth0")?.flush_neighbours()?;
    let tap = Capture::on(node)?;
    let outcome = container.observe(Probe::ping("10.141.0.1").within(within))?;
    let seen = tap.stop()?;
    let asked = match (seen.count(arp().who_has("169.254.1.1"))?, seen.count(arp().is_at("169.254.1.1"))?) {
        (0, _) => "not asked",
        (_, 0) => "not answered",
        _ => "answered",
    };
    Ok((asked, outcome))
}

/// Time enough for a neighbour that answers.
const TIME: Duration = Duration::from_secs(1);
