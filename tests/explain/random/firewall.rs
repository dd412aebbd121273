//! The firewalls of a lab: those that let the probe pass, and rules about others.

use netlab::{FilterRule, FilterRuleBuilder, Netns, Policy, Result};

use super::lab::Lab;
use super::plan::{Asks, Wire};

/// Policy drop on the machines that have walls, with what lets the probe pass.
pub(super) fn walls(lab: &mut Lab) -> Result<()> {
    for position in lab.plan.walls.clone() {
        let node = lab.nodes[position].clone();
        let server = position == lab.plan.last();
        let chain = |rule: FilterRuleBuilder| of_family(if server { rule.input() } else { rule.forward() }, lab.plan.ipv6);
        chain(FilterRule::accept(&node).state("established,related")).install()?.keep();
        if server && lab.plan.wires.last() == Some(&Wire::Vxlan) {
            FilterRule::accept(&node).input().udp(4789).install()?.keep();
        }
        if server && lab.plan.ipv6 {
            of_family(FilterRule::accept(&node).input(), true).icmp().install()?.keep();
        }
        if position % 2 == 0 && !server {
            chain(FilterRule::accept(&node)).on(&lab.segments[position - 1].right.link.name()).install()?.keep();
        } else {
            question(lab, chain(FilterRule::accept(&node))).install()?.keep();
        }
        policy(&node, if server { "INPUT" } else { "FORWARD" }, lab.plan.ipv6)?.keep();
    }
    Ok(())
}

pub(super) fn policy(node: &Netns, chain: &str, ipv6: bool) -> Result<Policy> {
    let policy = Policy::drop(node).chain(chain);
    if ipv6 { policy.ipv6() } else { policy }.install()
}

pub(super) fn of_family(rule: FilterRuleBuilder, ipv6: bool) -> FilterRuleBuilder {
    if ipv6 { rule.ipv6() } else { rule }
}

/// A rule for the probe's question.
pub(super) fn question(lab: &Lab, rule: FilterRuleBuilder) -> FilterRuleBuilder {
    match lab.plan.asks {
        Asks::Ping => rule.icmp_type("echo-request"),
        Asks::Udp => rule.udp(lab.plan.port),
        Asks::Tcp | Asks::Http => rule.tcp(lab.plan.port),
    }
}

/// A rule for the answer to it.
pub(super) fn answer(lab: &Lab, rule: FilterRuleBuilder) -> FilterRuleBuilder {
    match lab.plan.asks {
        Asks::Ping => rule.icmp_type("echo-reply"),
        Asks::Udp => rule.from_udp(lab.plan.port),
        Asks::Tcp | Asks::Http => rule.from_tcp(lab.plan.port),
    }
}

/// A rule that drops what is not the probe's.
pub(super) fn drop_others(lab: &Lab, position: usize, number: usize) -> Result<()> {
    let rule = FilterRule::drop(&lab.nodes[position]);
    let rule = if position == 0 || position == lab.plan.last() { rule.input() } else { rule.forward() };
    of_family(rule, lab.plan.ipv6).tcp(9000 + number).first().install()?.keep();
    Ok(())
}
