//! Stages 12 and 13: a bridge joins the containers of a node, and leads nowhere else.

use netlab::{Bridge, Capture, Netns, Policy, Reason, Route, capture};

use super::{CON_1, CON_2, NODE_1, hardware, have_patience};
use crate::error::Result;
use crate::stage::{Cause, Stage};
use crate::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "001.12",
        title: "a bridge",
        claim: "With veth0 and veth2 on a bridge br0 the containers reach each other. tcpdump shows one ARP request and one reply.",
        truth: "They do: the one asks by broadcast who has the address, the other answers with its own MAC address, and the bridge learns \
                behind which port each is. `tcpdump -i any` on the node shows the request three times, as each device passes it, and the \
                reply twice.",
        needs: &["br0 UP", "FORWARD accepts, or bridge-nf-call-iptables=0 keeps bridged frames from it"],
        commands: &[
            "ip link add br0 type bridge",
            "ip link set veth0 master br0; ip link set veth2 master br0",
            "ip address add 172.19.35.1/24 dev br0; ip link set br0 up",
        ],
        before: |w, s| s.no_reply(&w.machine(CON_1)?, "172.19.35.3", Reason::Silence),
        change: |w| add_bridge(w, NODE_1, "172.19.35.1/24", &["veth0", "veth2"]),
        check: |w, s| {
            let (node, con1, con2) = (w.machine(NODE_1)?, w.machine(CON_1)?, w.machine(CON_2)?);
            // It may be asking still for whom it could not find before.
            con1.link("eth0")?.flush_neighbours()?;
            let tap = Capture::on(&node)?;
            s.replies(&con1, "172.19.35.3")?;
            let seen = tap.stop()?;
            let (mac1, mac2) = (hardware(&con1, "eth0")?, hardware(&con2, "eth0")?);
            s.neighbours(&con1, "it knows the other by its own MAC address", &format!("172.19.35.3 dev eth0 lladdr {mac2}"))?;
            let learned = format!("{mac1} behind veth0\n{mac2} behind veth2");
            s.equals("node001: br0 has learned where each is", learned_by(&node, "br0")?, learned)?;
            s.wrong();
            let (request, reply) = ("ARP, Request who-has 172.19.35.3 tell 172.19.35.2", format!("ARP, Reply 172.19.35.3 is-at {mac2}"));
            let lines = [
                format!("node001/veth0 In  {request}"),
                format!("node001/br0 In  {request}"),
                format!("node001/veth2 Out {request}"),
                format!("node001/veth2 In  {reply}"),
                format!("node001/veth0 Out {reply}"),
            ];
            s.packets("`tcpdump -i any arp` shows five lines", &seen.filter(capture::arp())?, &lines.each_ref().map(String::as_str))?;
            s.without("FORWARD accepting, where bridged frames are taken through it");
            let _filtered = node.set_sysctl("net.bridge.bridge-nf-call-iptables", 1)?;
            let policy = Policy::drop(&node).forward().install()?;
            s.no_reply(&con1, "172.19.35.3", Reason::Silence)?;
            s.equals("node001: the policy of FORWARD counts it", policy.hits()?.packets, 1)?;
            s.with("bridge-nf-call-iptables=0, whatever FORWARD says");
            node.set_sysctl("net.bridge.bridge-nf-call-iptables", 0)?.keep();
            s.replies(&con1, "172.19.35.3")?;
            s.without("br0 UP");
            node.link("br0")?.down()?;
            con1.link("eth0")?.flush_neighbours()?;
            s.no_reply(&con1, "172.19.35.3", Reason::Silence)
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.13",
        title: "no way out yet",
        claim: "The containers reach each other and the bridge, but neither the node's own address nor the internet.",
        truth: "ENETUNREACH at once: the container's only route is that to 172.19.35.0/24. The node reaches the containers.",
        commands: &["ping -c1 10.141.0.1; ping -c1 8.8.8.8  # in the container"],
        before: |w, s| {
            s.replies(&w.machine(NODE_1)?, "10.141.0.1")?;
            s.replies(&w.machine(NODE_1)?, "8.8.8.8")
        },
        cause: Cause::Lack {
            of: "ip route add default via 172.19.35.1  # in the container",
            supply: |w| {
                Route::default_via("172.19.35.1").install(&w.machine(CON_1)?)?.keep();
                Ok(())
            },
        },
        check: |w, s| {
            let (node, con1) = (w.machine(NODE_1)?, w.machine(CON_1)?);
            s.replies(&con1, "172.19.35.3")?;
            s.replies(&con1, "172.19.35.1")?;
            s.replies(&node, "172.19.35.2")?;
            s.no_reply(&con1, "10.141.0.1", libc::ENETUNREACH)?;
            s.no_reply(&con1, "8.8.8.8", libc::ENETUNREACH)
        },
        ..Stage::STILL
    },
];

/// A bridge with an address, and the ports that are there already.
pub(super) fn add_bridge(w: &mut World, node: &str, address: &str, ports: &[&str]) -> Result<()> {
    let node = w.machine(node)?;
    let bridge = Bridge::new(node.iface("br0").addr(address))?;
    ports.iter().try_for_each(|port| node.link(port)?.set_master(&bridge))?;
    w.keep(format!("br0 of {node}"), bridge);
    have_patience(&node)
}

/// What a bridge has learned, sorted by port: `MAC behind PORT`.
fn learned_by(on: &Netns, bridge: &str) -> Result<String> {
    let fdb = on.fdb()?;
    let mut lines: Vec<_> =
        fdb.learned_by(bridge).map(|entry| (entry.dev.clone(), format!("{} behind {}", entry.mac, entry.dev))).collect();
    lines.sort();
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    Ok(lines.join("\n"))
}
