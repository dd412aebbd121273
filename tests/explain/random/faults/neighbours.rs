//! Faults of addresses and of what machines on a segment know of each other.

use netlab::{Neigh, Probe, Result};

use super::links::run;
use super::{Injected, Truth};
use crate::random::dice::Dice;
use crate::random::lab::{Lab, WITHIN};
use crate::random::plan::Wire;

/// A static neighbour entry with a MAC address that nobody has, on the way there or back.
pub(super) fn wrong(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let wire = dice.below(lab.segments.len());
    let segment = &lab.segments[wire];
    let answer = dice.chance(30) && lab.plan.wires[wire] != Wire::Parallel;
    let (here, there) = if answer { (&segment.right, &segment.left) } else { (&segment.left, &segment.right) };
    let there = if wire == 0 && !answer && lab.plan.proxy_arp { lab.target() } else { there.ip };
    let entry = Neigh::permanent(there, "02:00:00:de:ad:01").dev(here.link.name()).install(&here.netns())?;
    Ok(Truth::at(here.netns(), "wrong_neighbour").held(entry))
}

/// A static entry leads to a bystander's port what is for the machine at the right.
pub(super) fn wrong_fdb(lab: &Lab) -> Result<Injected> {
    let fits = |segment: &&crate::random::lab::Segment| {
        segment.switches.last().is_some_and(|switch| !switch.others.is_empty() && switch.left.is_some() && switch.right.is_some())
    };
    let segment = lab.segments.iter().find(fits).expect("a plan that fits has one");
    let switch = segment.switches.last().expect("it was looked for");
    let other = &switch.others[0];
    let (netns, mac, other) = (switch.netns.clone(), segment.right.mac()?, other.name());
    // In the place of what the bridge has learned, and what it learns later.
    run(&netns, "bridge", &["fdb", "replace", &mac, "dev", &other, "master", "static", "sticky"])?;
    Ok(Truth::at(&netns, "wrong_fdb_entry").undone(move |_| run(&netns, "bridge", &["fdb", "del", &mac, "dev", &other, "master"])))
}

/// The server loses the address that is asked.
pub(super) fn address_missing(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let wire = lab.segments.len() - 1;
    let segment = &lab.segments[wire];
    segment.right.link.remove_address(format!("{}/{}", segment.right.ip, lab.plan.prefix()))?;
    if dice.chance(60) {
        segment.left.link.flush_neighbours()?;
    }
    let left = if wire == 0 && lab.plan.proxy_arp { &lab.nodes[0] } else { &lab.nodes[wire] };
    let truth = Truth::at(lab.server_node(), "address_missing").or(left, "neighbour_unresolved").or(lab.server_node(), "forwarding_off");
    // Whose rule leads to an address that nobody has is not far from the truth either.
    let truth = lab.plan.dnat.into_iter().fold(truth, |truth, router| truth.or(&lab.nodes[router], "translated_to_silence"));
    Ok(truth.for_good())
}

/// A bystander has the server's address too, and was heard last.
pub(super) fn duplicate(lab: &Lab) -> Result<Injected> {
    let segment = lab.segments.last().expect("a lab has a segment");
    let (other, left) = (&segment.bystanders[0], &segment.left);
    let second = other.link.add_address(format!("{}/{}", segment.right.ip, lab.plan.prefix()))?;
    left.link.flush_neighbours()?;
    other.netns().observe(Probe::ping(left.ip).source(segment.right.ip).within(WITHIN))?;
    let link = left.link.clone();
    let truth =
        Truth::at(left.netns(), "duplicate_address").or(other.netns(), "duplicate_address").or(lab.server_node(), "duplicate_address");
    Ok(truth.undone(move |_| {
        drop(second);
        link.flush_neighbours()
    }))
}

pub(super) fn proxy_arp_off(lab: &mut Lab) -> Result<Injected> {
    drop(lab.proxy_arp.take());
    lab.segments[0].left.link.flush_neighbours()?;
    Ok(Truth::at(&lab.nodes[1], "proxy_arp_off").undone(|lab| {
        lab.proxy_arp = Some(lab.segments[0].right.link.set_ipv4_conf("proxy_arp", 1)?);
        Ok(())
    }))
}
