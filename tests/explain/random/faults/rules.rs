//! Faults of filters and of NAT.

use std::any::Any;

use netlab::nft::Family;
use netlab::{FilterRule, FilterRuleBuilder, Flow, NatRule, Netns, Result, RuleChain};

use super::links::run;
use super::{Injected, Truth};
use crate::random::dice::Dice;
use crate::random::firewall::{self, of_family};
use crate::random::lab::{Lab, Switch, WITHIN, address};
use crate::random::plan::Asks;

fn chain_of(lab: &Lab, position: usize, question: bool) -> &'static str {
    match (position, question) {
        (0, true) => "OUTPUT",
        (0, false) => "INPUT",
        (last, true) if last == lab.plan.last() => "INPUT",
        (last, false) if last == lab.plan.last() => "OUTPUT",
        _ => "FORWARD",
    }
}

/// A rule, and what has to be there for it.
type Placed = (FilterRuleBuilder, Option<Box<dyn Any>>);

/// Where a rule may be for it to see the packet: iptables' own chain, one that it leads to, one of the table raw, or one of another tool's.
fn placed(lab: &Lab, dice: &mut Dice, position: usize, question: bool, rule: FilterRuleBuilder) -> Result<Placed> {
    let (node, chain) = (&lab.nodes[position], chain_of(lab, position, question));
    let rule = of_family(rule, lab.plan.ipv6);
    Ok(match dice.below(4) {
        0 if !lab.plan.ipv6 => {
            let own = RuleChain::base(node, Family::Inet, "guard", "watch").hook(&chain.to_lowercase()).priority(-5).install()?;
            (rule.in_chain(&own), Some(Box::new(own)))
        }
        2 => {
            let own = RuleChain::of(node, if lab.plan.ipv6 { Family::Ip6 } else { Family::Ip }, "filter", "OFFICE")?;
            let jump = of_family(FilterRule::jump(node, "OFFICE"), lab.plan.ipv6).chain(chain).first().install()?;
            (rule.in_chain(&own), Some(Box::new((jump, own))))
        }
        1 if chain != "OUTPUT" => (rule.table("raw").prerouting().first(), None),
        _ => (rule.chain(chain).first(), None),
    })
}

pub(super) fn question(lab: &Lab, dice: &mut Dice, reject: bool) -> Result<Injected> {
    let position = dice.below(lab.plan.last() + 1);
    let node = &lab.nodes[position];
    let (rule, chain) = if reject {
        (of_family(FilterRule::reject(node), lab.plan.ipv6).chain(chain_of(lab, position, true)).first(), None)
    } else {
        placed(lab, dice, position, true, FilterRule::drop(node))?
    };
    let rule = firewall::question(lab, rule).install()?;
    Ok(Truth::at(node, "filtered").held((rule, chain)))
}

pub(super) fn answer(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let position = dice.below(lab.plan.last() + 1);
    let node = &lab.nodes[position];
    let (rule, chain) = placed(lab, dice, position, false, FilterRule::drop(node))?;
    let rule = firewall::answer(lab, rule).install()?;
    Ok(Truth::at(node, "filtered").held((rule, chain)))
}

pub(super) fn policy(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let free: Vec<_> = (0..=lab.plan.last()).filter(|position| !lab.plan.walls.contains(position)).collect();
    let (position, question) = (dice.pick(&free), dice.chance(70));
    let node = &lab.nodes[position];
    let policy = firewall::policy(node, chain_of(lab, position, question), lab.plan.ipv6)?;
    Ok(Truth::at(node, "filtered").held(policy))
}

fn any_switch<'a>(lab: &'a Lab, dice: &mut Dice) -> &'a Switch {
    let all: Vec<_> = lab.segments.iter().flat_map(|segment| &segment.switches).collect();
    all[dice.below(all.len())]
}

pub(super) fn bridge(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let switch = any_switch(lab, dice);
    let node = &switch.netns;
    // Where the bridge's own interface is an end, nothing is forwarded from port to port.
    let hook = match (&switch.left, &switch.right) {
        (Some(_), Some(_)) => "forward",
        (Some(_), None) => "input",
        _ => "output",
    };
    let chain = RuleChain::base(node, Family::Bridge, "filter", &hook.to_uppercase()).hook(hook).priority(-200).install()?;
    let rule = FilterRule::drop(node).in_chain(&chain);
    let rule = if dice.chance(50) { rule } else { narrowed(lab, rule) };
    Ok(Truth::at(node, "filtered").held((rule.install()?, chain)))
}

/// Only the question's packets, not what goes before them.
fn narrowed(lab: &Lab, rule: FilterRuleBuilder) -> FilterRuleBuilder {
    if lab.plan.ipv6 { firewall::question(lab, rule) } else { rule.from(lab.segments[0].left.ip) }
}

pub(super) fn ingress(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let position = 1 + dice.below(lab.plan.last());
    let port = &lab.segments[position - 1].right;
    let node = &lab.nodes[position];
    let chain =
        RuleChain::base(node, Family::Netdev, "early", "ingress").hook("ingress").device(&port.link.name()).priority(0).install()?;
    let rule = FilterRule::drop(node).in_chain(&chain).install()?;
    Ok(Truth::at(node, "filtered").held((rule, chain)))
}

/// A bridge gives its frames to the hooks of IP, where the policy is drop, as on a machine with Docker.
pub(super) fn pulled_in(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let between: Vec<_> = lab
        .segments
        .iter()
        .flat_map(|segment| &segment.switches)
        .filter(|switch| switch.left.is_some() && switch.right.is_some())
        .collect();
    let node = &between[dice.below(between.len())].netns;
    let sysctl = node.set_sysctl("net.bridge.bridge-nf-call-iptables", 1)?;
    let policy = firewall::policy(node, "FORWARD", false)?;
    Ok(Truth::at(node, "filtered").held((sysctl, policy)))
}

/// Neighbour discovery does not come in at the machine at the right of a wire.
pub(super) fn discovery(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let wire = dice.below(lab.segments.len());
    let segment = &lab.segments[wire];
    let node: &Netns = &lab.nodes[wire + 1];
    let rule = FilterRule::drop(node).ipv6().input().icmp_type("nd-neighbor-solicit").first().install()?;
    segment.left.link.flush_neighbours()?;
    Ok(Truth::at(node, "filtered").held(rule))
}

pub(super) fn no_masquerade(lab: &mut Lab) -> Result<Injected> {
    drop(lab.masquerade.take());
    let router = lab.plan.masquerade.unwrap_or(0);
    let mut truth = Truth::at(lab.server_node(), "no_way_back").or(&lab.nodes[router], "no_way_back");
    for machine in &lab.nodes[router + 1..] {
        truth = truth.or(machine, "no_way_back");
    }
    if lab.plan.strict {
        truth = truth.or(&lab.nodes[(router + 1).min(lab.plan.last())], "reverse_path_filter");
    }
    Ok(truth.undone(move |lab| {
        lab.masquerade = Some(lab.masquerading(router).install()?);
        Ok(())
    }))
}

pub(super) fn dnat_to_nowhere(lab: &mut Lab) -> Result<Injected> {
    drop(lab.dnat.take());
    let router = lab.plan.dnat.unwrap_or(0);
    let wire = lab.segments.len() - 1;
    let nobody = address(&lab.plan, wire, 77);
    lab.dnat = Some(lab.dnatting(&lab.nodes[router], nobody).install()?);
    let truth = Truth::at(&lab.nodes[router], "translated_to_silence").or(&lab.nodes[wire], "neighbour_unresolved");
    Ok(truth.undone(move |lab| {
        drop(lab.dnat.take());
        lab.dnat = Some(lab.dnatting(&lab.nodes[router], lab.server_ip()).install()?);
        Ok(())
    }))
}

/// The client asked from the same port before the rule was there.
pub(super) fn stale_connection(lab: &mut Lab) -> Result<Injected> {
    drop(lab.dnat.take());
    let router = lab.plan.dnat.unwrap_or(0);
    let healthy = lab.probe.clone();
    lab.probe = healthy.clone().source(std::net::SocketAddr::new(lab.segments[0].left.ip, 5555));
    lab.client().observe(lab.probe.clone().within(WITHIN))?;
    lab.dnat = Some(lab.dnatting(&lab.nodes[router], lab.server_ip()).keep_connections().install()?);
    Ok(Truth::at(&lab.nodes[router], "stale_connection").undone(move |lab| lab.nodes[router].flush_connections_of(Flow::udp())))
}

/// What the reflector sends to the server has the client's address, so that the server answers past it.
pub(super) fn answer_not_translated(lab: &mut Lab) -> Result<Injected> {
    drop(lab.masquerade.take());
    let reflector = lab.segments[0].bystanders[0].clone();
    let cause = "answer_not_translated";
    let truth = Truth::at(reflector.netns(), cause).or(lab.client(), cause).or(lab.server_node(), cause);
    Ok(truth.undone(move |lab| {
        lab.masquerade = Some(NatRule::masquerade(&reflector.netns()).out(&reflector.link.name()).install()?);
        Ok(())
    }))
}

/// A policy of IPsec that blocks the question or the answer: a cause outside of the list, of which nothing may be said but what is known.
pub(super) fn ipsec(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let (position, question) = (dice.below(lab.plan.last() + 1), dice.chance(60));
    let node = lab.nodes[position].clone();
    let direction = match chain_of(lab, position, question) {
        "INPUT" => "in",
        "OUTPUT" => "out",
        _ => "fwd",
    };
    let (any, port) = (if lab.plan.ipv6 { "::/0" } else { "0.0.0.0/0" }, lab.plan.port.to_string());
    let end = if question { "dport" } else { "sport" };
    let packets = match (lab.plan.asks, lab.plan.ipv6) {
        (Asks::Ping, true) => ["ipv6-icmp", "type", if question { "128" } else { "129" }],
        (Asks::Ping, false) => ["icmp", "type", if question { "8" } else { "0" }],
        (Asks::Udp, _) => ["udp", end, &port],
        (Asks::Tcp | Asks::Http, _) => ["tcp", end, &port],
    };
    let policy = [&["dir", direction, "src", any, "dst", any, "proto"], packets.as_slice()].concat();
    let policy: Vec<_> = policy.into_iter().map(str::to_owned).collect();
    let change = move |verb: &str, more: &[&str]| {
        let policy = policy.iter().map(String::as_str);
        run(&node, "ip", &["xfrm", "policy", verb].into_iter().chain(policy).chain(more.iter().copied()).collect::<Vec<_>>())
    };
    change("add", &["action", "block"])?;
    Ok(Truth(Vec::new()).undone(move |_| change("delete", &[])))
}
