//! Faults of routes, policy rules and forwarding.

use std::net::IpAddr;

use netlab::snapshot::RouteQuery;
use netlab::{Address, Link, Result, Route, RpFilter, Rule};

use super::{Injected, Truth};
use crate::random::dice::Dice;
use crate::random::lab::{Lab, address};
use crate::random::plan::Wire;

/// Takes the routes of `position` for that way, and gives what puts them back.
fn take(lab: &Lab, position: usize, right: bool) -> Result<Vec<(String, IpAddr)>> {
    let node = &lab.nodes[position];
    let gateway = if right { lab.gateway_right(position) } else { lab.gateway_left(position) };
    let query = if lab.plan.ipv6 { RouteQuery::main().ipv6() } else { RouteQuery::main().ipv4() };
    let mut taken = Vec::new();
    for route in node.routes_of(query)?.iter().filter(|route| route.via == Some(gateway)) {
        Route::to(route.dst).via(gateway).delete(node)?;
        taken.push((route.dst.to_string(), gateway));
    }
    Ok(taken)
}

fn without(lab: &Lab, position: usize, right: bool, truth: Truth) -> Result<Injected> {
    let taken = take(lab, position, right)?;
    Ok(truth.undone(move |lab| {
        taken
            .into_iter()
            .try_for_each(|(destination, gateway)| Route::to(destination).via(gateway).install(&lab.nodes[position]).map(Route::keep))
    }))
}

pub(super) fn missing(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let position = dice.below(lab.plan.routers());
    without(lab, position, true, Truth::at(&lab.nodes[position], "no_route"))
}

pub(super) fn return_missing(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let hidden = lab.plan.masquerade.unwrap_or(0);
    let position = lab.plan.last() - dice.below(lab.plan.routers() - hidden);
    let node = &lab.nodes[position];
    // A router may have a default route, which sends the answer back to where it came from.
    let mut truth = Truth::at(node, "no_way_back").or(node, "no_route").or(node, "routing_loop");
    if lab.plan.strict {
        truth = truth.or(node, "reverse_path_filter");
    }
    without(lab, position, false, truth)
}

fn one(ip: IpAddr) -> String {
    format!("{ip}/{}", if ip.is_ipv6() { 128 } else { 32 })
}

fn refusing(dice: &mut Dice, to: IpAddr) -> netlab::RouteBuilder {
    match dice.below(3) {
        0 => Route::blackhole(one(to)),
        1 => Route::unreachable(one(to)),
        _ => Route::prohibit(one(to)),
    }
}

pub(super) fn refuses(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let position = dice.below(lab.plan.last());
    let node = &lab.nodes[position];
    let route = refusing(dice, lab.destination_at(position)).install(node)?;
    Ok(Truth::at(node, "route_refuses").held(route))
}

pub(super) fn return_refuses(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let position = lab.plan.last() - dice.below(lab.plan.last());
    let node = &lab.nodes[position];
    let route = refusing(dice, lab.way_back_at(position)).install(node)?;
    let mut truth = Truth::at(node, "route_refuses");
    if lab.plan.strict {
        truth = truth.or(node, "reverse_path_filter");
    }
    Ok(truth.held(route))
}

pub(super) fn policy_rule(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let position = dice.below(lab.plan.last());
    let (node, to) = (&lab.nodes[position], one(lab.destination_at(position)));
    let refusing = match dice.below(4) {
        0 => Rule::prohibit(),
        1 => Rule::unreachable(),
        2 => Rule::blackhole(),
        _ => {
            let elsewhere = Route::blackhole(&to).table(100).install(node)?;
            let rule = Rule::lookup(100).to(&to).priority(50).install(node)?;
            return Ok(Truth::at(node, "policy_rule").or(node, "route_refuses").held((elsewhere, rule)));
        }
    };
    Ok(Truth::at(node, "policy_rule").held(refusing.to(to).priority(50).install(node)?))
}

/// A more specific route leads to an address of the segment that nobody has.
pub(super) fn nobody_at_gateway(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let position = dice.below(lab.plan.last());
    let node = &lab.nodes[position];
    let route = Route::to(one(lab.destination_at(position))).via(address(&lab.plan, position, 66));
    let route = route.dev(lab.segments[position].left.link.name()).install(node)?;
    Ok(Truth::at(node, "neighbour_unresolved").held(route))
}

/// A second address of the client's, which nobody knows the way to.
pub(super) fn wrong_source(lab: &Lab) -> Result<Injected> {
    let node = lab.client();
    let lo = node.link("lo")?;
    let second: Address = lo.add_address("172.31.9.9/32")?;
    let link: &Link = &lab.segments[0].left.link;
    let route = Route::to(one(lab.target())).dev(link.name()).src("172.31.9.9");
    let on_link = lab.plan.routers() == 0 || lab.plan.proxy_arp || lab.plan.dnat == Some(1);
    let route = if on_link { route } else { route.via(lab.gateway_right(0)) };
    let mut truth = Truth::at(node, "wrong_source");
    for machine in &lab.nodes[1..] {
        truth = truth.or(machine, "no_way_back");
    }
    Ok(truth.held((route.install(node)?, second)))
}

pub(super) fn forwarding_off(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let router = &lab.nodes[1 + dice.below(lab.plan.routers())];
    let key = if lab.plan.ipv6 { "net.ipv6.conf.all.forwarding" } else { "net.ipv4.ip_forward" };
    Ok(Truth::at(router, "forwarding_off").held(router.set_sysctl(key, 0)?))
}

pub(super) fn device_forwarding_off(lab: &Lab, dice: &mut Dice) -> Result<Injected> {
    let position = 1 + dice.below(lab.plan.routers());
    let link = &lab.segments[position - 1].right.link;
    let guard = if lab.plan.ipv6 { link.set_ipv6_conf("forwarding", 0)? } else { link.set_ipv4_conf("forwarding", 0)? };
    Ok(Truth::at(&lab.nodes[position], "forwarding_off").held(guard))
}

pub(super) fn reverse_path_filter(lab: &Lab) -> Result<Injected> {
    let wire = lab.plan.wires.iter().position(|wire| *wire == Wire::Parallel).unwrap_or(0);
    let link = lab.segments[wire].right.link.clone();
    link.set_rp_filter(RpFilter::Strict)?;
    Ok(Truth::at(&lab.nodes[wire + 1], "reverse_path_filter").undone(move |_| link.set_rp_filter(RpFilter::Off)))
}

pub(super) fn ttl_too_small(lab: &mut Lab, dice: &mut Dice) -> Result<Injected> {
    let position = 1 + dice.below(lab.plan.routers());
    let healthy = lab.probe.clone();
    lab.probe = healthy.clone().ttl(position as u8);
    Ok(Truth::at(&lab.nodes[position], "ttl_expired").undone(move |lab| {
        lab.probe = healthy;
        Ok(())
    }))
}

/// The server sends what comes for it to its loopback address, which it takes from outside no more.
pub(super) fn route_localnet_off(lab: &Lab) -> Result<Injected> {
    let link = lab.segments[lab.plan.routers()].right.link.clone();
    link.set_route_localnet(false)?;
    Ok(Truth::at(lab.server_node(), "martian_destination").undone(move |_| link.set_route_localnet(true)))
}
