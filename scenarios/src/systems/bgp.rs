//! Nodes that tell each other the networks of their pods.

use netlab::{FilterRule, Netns, Process, Reason};

use super::calico::{ADDRESS_1, ADDRESS_2, BLOCK_1, BLOCK_2, pods, settle};
use super::nodes::{NODE_1, NODE_2, Node};
use crate::bird;
use crate::error::Result;
use crate::stage::Stage;
use crate::world::World;

pub(super) const SYSTEMS: &[Stage] = &[Stage {
    id: "systems.bgp",
    title: "routes that nodes tell each other: BGP",
    afresh: true,
    machine: &["bird"],
    claim: "Each node runs a BGP speaker, which announces the block of the node's pods. Nobody types a route to the pods of another node.",
    truth: "The speakers hold a TCP connection, port 179 of one of them, and put what the other announces into the kernel's table, as `proto \
            bird`, with the other node as the gateway; packets do not meet them. When the session ends, what was learned by it is taken back, \
            although the nodes still reach each other. A speaker that is killed takes its session along, but leaves its routes in the kernel \
            of its own node.",
    commands: &[
        "echo 'protocol device {}' > node1.conf  # node1, and so on node2",
        "echo 'protocol kernel { ipv4 { export all; }; }' >> node1.conf",
        "echo 'protocol static { ipv4; route 10.244.1.0/26 blackhole; }' >> node1.conf",
        "echo 'protocol bgp { local 192.168.1.11 as 64512; neighbor 192.168.1.12 as 64512; direct;' >> node1.conf",
        "echo '  ipv4 { import all; export where source = RTS_STATIC; }; }' >> node1.conf",
        "bird -c node1.conf -s node1.ctl",
    ],
    scene: |w| {
        pods(w)?;
        settle(w)
    },
    before: |w, s| {
        s.no_reply(&w.machine(NODE_1.pod)?, ADDRESS_2, Reason::Silence)?;
        s.routes(&w.machine(NODE_2.name)?, "it knows its own pod", "main", ALONE)
    },
    change: |w| {
        for (node, other) in [(NODE_1, NODE_2), (NODE_2, NODE_1)] {
            speak(w, node, other)?;
        }
        Ok(())
    },
    check: |w, s| {
        let (node1, node2, pod1, pod2) = (w.machine(NODE_1.name)?, w.machine(NODE_2.name)?, w.machine(NODE_1.pod)?, w.machine(NODE_2.pod)?);
        s.routes(&node1, "it has learned a route", "main", LEARNED_1)?;
        s.routes(&node2, "it has learned a route", "main", LEARNED_2)?;
        s.listening(&node1, "it listens on these TCP ports", "179")?;
        let server = pod2.http_server(format!("{ADDRESS_2}:80"))?;
        s.served_as(&pod1, ADDRESS_2, server.name(), ADDRESS_1)?;
        s.replies_with_ttl(&pod2, ADDRESS_1, 62)?;
        s.without("the session: node1 refuses what comes by TCP from node2");
        let refused = FilterRule::reject(&node1).input().from(NODE_2.address).protocol("tcp").with_tcp_reset().install()?;
        s.comes_to_routes(&node2, "what it has learned is gone", ANNOUNCING_2)?;
        s.replies(&node2, NODE_1.address)?;
        s.no_reply(&pod2, ADDRESS_1, Reason::Silence)?;
        s.with("the session again");
        refused.close()?;
        s.comes_to_routes(&node2, "it has learned it again", LEARNED_2)?;
        s.comes_to_routes(&node1, "and so has this one", LEARNED_1)?;
        s.replies_with_ttl(&pod2, ADDRESS_1, 62)?;
        s.without("the speaker of node2, which is killed");
        w.take::<Process>(&speaker(NODE_2))?.close()?;
        s.comes_to_routes(&node1, "what it has learned is gone", ANNOUNCING_1)?;
        s.no_reply(&pod1, ADDRESS_2, Reason::Silence)?;
        s.unstated();
        s.routes(&node2, "what its speaker has put there is there still", "main", LEARNED_2)
    },
    ..Stage::STILL
}];

const ALONE: &[&str] = &[
    "default via 192.168.1.1 dev eth0",
    "10.244.2.2 dev cali_pod2 scope link",
    "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.12",
];

const ANNOUNCING_1: &[&str] = &[
    "default via 192.168.1.1 dev eth0",
    "blackhole 10.244.1.0/26 proto bird metric 32",
    "10.244.1.2 dev cali_pod1 scope link",
    "10.244.1.3 dev cali_pod3 scope link",
    "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.11",
];

const LEARNED_1: &[&str] = &[
    "default via 192.168.1.1 dev eth0",
    "blackhole 10.244.1.0/26 proto bird metric 32",
    "10.244.1.2 dev cali_pod1 scope link",
    "10.244.1.3 dev cali_pod3 scope link",
    "10.244.2.0/26 via 192.168.1.12 dev eth0 proto bird metric 32",
    "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.11",
];

const ANNOUNCING_2: &[&str] = &[
    "default via 192.168.1.1 dev eth0",
    "blackhole 10.244.2.0/26 proto bird metric 32",
    "10.244.2.2 dev cali_pod2 scope link",
    "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.12",
];

const LEARNED_2: &[&str] = &[
    "default via 192.168.1.1 dev eth0",
    "10.244.1.0/26 via 192.168.1.11 dev eth0 proto bird metric 32",
    "blackhole 10.244.2.0/26 proto bird metric 32",
    "10.244.2.2 dev cali_pod2 scope link",
    "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.12",
];

fn speaker(node: Node) -> String {
    format!("the BGP speaker of {}", node.name)
}

fn block(node: Node) -> &'static str {
    if node.name == NODE_1.name { BLOCK_1 } else { BLOCK_2 }
}

/// Starts the node's speaker. If the other one speaks already, both know the other's block when this returns.
fn speak(world: &mut World, node: Node, other: Node) -> Result<()> {
    let (netns, others): (Netns, Netns) = (world.machine(node.name)?, world.machine(other.name)?);
    let mut ready = vec![(&netns, block(node))];
    if world.kept::<Process>(&speaker(other)).is_ok() {
        ready.extend([(&netns, block(other)), (&others, block(node))]);
    }
    let daemon = bird::start(&netns, &configuration(node, other), &ready)?;
    world.keep(speaker(node), daemon);
    Ok(())
}

/// With less patience than BIRD's own: a session that has ended is begun again after a second.
fn configuration(node: Node, other: Node) -> String {
    format!(
        "router id {address};
protocol device {{}}
protocol kernel {{ ipv4 {{ export all; }}; }}
protocol static {{ ipv4; route {block} blackhole; }}
protocol bgp {{
  local {address} as 64512; neighbor {neighbour} as 64512; direct;
  hold time 3; connect delay time 1; connect retry time 1; error wait time 1, 1; error forget time 1;
  ipv4 {{ import all; export where source = RTS_STATIC; }};
}}
",
        address = node.address,
        block = block(node),
        neighbour = other.address,
    )
}
