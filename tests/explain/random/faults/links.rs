//! Faults of links, bridge ports and tunnels.

use netlab::{Link, Netns, Result, Sysctl};

use super::{Injected, Truth};
use crate::random::dice::Dice;
use crate::random::lab::{Lab, Switch};
use crate::random::plan::Wire;

/// Sets one end of a cable on the way down: an interface with an address, or the port of a bridge or the other end of the cable.
pub(super) fn down(lab: &Lab, dice: &mut Dice, with_address: bool) -> Result<Injected> {
    let ends: Vec<(Link, Option<Link>)> = lab
        .segments
        .iter()
        .flat_map(|segment| {
            let cables = segment.cables.iter().flat_map(|(a, b)| [(a.clone(), Some(b.clone())), (b.clone(), Some(a.clone()))]);
            let own = [&segment.left.link, &segment.right.link].map(|link| (link.clone(), None));
            cables.chain(own).collect::<Vec<_>>()
        })
        .collect();
    let addressed = |link: &Link| {
        let name = link.to_string();
        lab.segments.iter().any(|segment| segment.left.link.to_string() == name || segment.right.link.to_string() == name)
    };
    let mut candidates: Vec<_> = ends.iter().filter(|(link, _)| addressed(link) == with_address).collect();
    if candidates.is_empty() {
        candidates = ends.iter().collect();
    }
    let (link, peer) = candidates[dice.below(candidates.len())];
    link.down()?;
    let mut truth = Truth::at(link.netns(), "link_down");
    if let Some(peer) = peer.clone().or_else(|| opposite(&ends, link)) {
        truth = truth.or(peer.netns(), "no_carrier");
    }
    // The kernel takes routes and addresses away with the link.
    if addressed(link) {
        return Ok(truth.for_good());
    }
    let link = link.clone();
    Ok(truth.undone(move |_| link.up()))
}

fn opposite(ends: &[(Link, Option<Link>)], link: &Link) -> Option<Link> {
    ends.iter().find(|(end, peer)| end.to_string() == link.to_string() && peer.is_some()).and_then(|(_, peer)| peer.clone())
}

/// The bridges on the way.
fn switches(lab: &Lab) -> Vec<&Switch> {
    lab.segments.iter().flat_map(|segment| &segment.switches).collect()
}

fn any_port<'a>(lab: &'a Lab, dice: &mut Dice) -> (&'a Switch, Link) {
    let ports: Vec<_> = switches(lab)
        .into_iter()
        .flat_map(|switch| switch.left.iter().chain(&switch.right).map(move |port| (switch, port.clone())))
        .collect();
    ports[dice.below(ports.len())].clone()
}

pub(super) fn no_bridge_port(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let (switch, port) = any_port(lab, dice);
    let bridge = switch.bridge.link().clone();
    port.set_nomaster()?;
    Ok(Truth::at(&switch.netns, "not_a_bridge_port").undone(move |_| port.set_master(bridge)))
}

pub(super) fn isolated(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let between: Vec<_> =
        switches(lab).into_iter().filter_map(|switch| Some((switch, switch.left.clone()?, switch.right.clone()?))).collect();
    let (switch, left, right) = between[dice.below(between.len())].clone();
    left.set_isolated(true)?;
    right.set_isolated(true)?;
    Ok(Truth::at(&switch.netns, "port_isolated").undone(move |_| {
        left.set_isolated(false)?;
        right.set_isolated(false)
    }))
}

pub(super) fn not_forwarding(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let (switch, port) = any_port(lab, dice);
    set_state(&port, "0")?; // disabled; from any other state the kernel goes on to forwarding, where spanning tree is off
    Ok(Truth::at(&switch.netns, "port_not_forwarding").undone(move |_| set_state(&port, "3")))
}

fn set_state(port: &Link, state: &str) -> Result<()> {
    run(&port.netns(), "bridge", &["link", "set", "dev", &port.name(), "state", state])
}

/// iproute2's program, for what no fixture does.
pub(super) fn run(netns: &Netns, program: &str, words: &[&str]) -> Result<()> {
    let status = netns.command(program)?.args(words).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} {words:?} in {netns}");
    Ok(())
}

/// Both ends of a wire take less than the probe.
pub(super) fn mtu_too_small(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let wire = dice.below(lab.segments.len());
    let (left, right) = (lab.segments[wire].left.link.clone(), lab.segments[wire].right.link.clone());
    // A cable of which one end takes more than the other is a fault of its own.
    let before = if lab.plan.wires[wire] == Wire::Vxlan { 1450 } else { 1500 };
    for link in [&left, &right] {
        link.set_mtu(1300)?;
    }
    let ipv6 = lab.plan.ipv6;
    let truth = Truth::at(&lab.nodes[wire], "too_big");
    // The client has learned of it, and IPv6 has no sysctl that makes it forget.
    if ipv6 {
        return Ok(truth.for_good());
    }
    Ok(truth.undone(move |lab| {
        left.set_mtu(before)?;
        right.set_mtu(before)?;
        lab.nodes.iter().try_for_each(|node| node.set_sysctl("net.ipv4.route.flush", 1).map(Sysctl::keep))
    }))
}

/// The network was built with it.
pub(super) fn vxlan(lab: &Lab, cause: &'static str) -> Result<Injected> {
    let wire = lab.plan.wires.iter().position(|wire| *wire == Wire::Vxlan).unwrap_or(0);
    Ok(Truth::at(&lab.nodes[wire], cause).or(&lab.nodes[wire + 1], cause).for_good())
}

/// One end of a cable takes less than the other sends.
pub(super) fn far_end_takes_less(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let cables: Vec<_> = lab.segments.iter().filter(|segment| segment.switches.is_empty()).flat_map(|segment| &segment.cables).collect();
    let (near, far) = cables[dice.below(cables.len())].clone();
    far.set_mtu(1300)?;
    Ok(Truth::at(far.netns(), "too_big").or(near.netns(), "too_big").undone(move |_| far.set_mtu(1500)))
}

/// A queue that has no room for a packet.
pub(super) fn impaired(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let wire = dice.below(lab.segments.len());
    let (node, device) = (lab.nodes[wire].clone(), lab.segments[wire].left.link.name());
    run(&node, "tc", &["qdisc", "add", "dev", &device, "root", "tbf", "rate", "8bit", "burst", "10", "latency", "1ms"])?;
    Ok(Truth::at(&node, "impaired").undone(move |_| run(&node, "tc", &["qdisc", "del", "dev", &device, "root"])))
}

/// The bridge that should send everything back does so no more.
pub(super) fn hairpin_off(lab: &Lab) -> Result<Injected> {
    let wire = lab.plan.wires.iter().position(|wire| *wire == Wire::Relay).unwrap_or(0);
    let relay = &lab.segments[wire].switches[1];
    let port = relay.left.clone().expect("a relay has a port");
    port.set_hairpin(false)?;
    Ok(Truth::at(&relay.netns, "hairpin_off").undone(move |_| port.set_hairpin(true)))
}
