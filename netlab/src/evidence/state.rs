//! `state.txt`: what each namespace has, as the programs print it that everybody knows.

use std::fmt::Display;
use std::io;

use super::sysctls::{Defaults, Set, Values};
use crate::draw::{Listener, Topology};
use crate::netns::Netns;
use crate::snapshot::RouteQuery;

/// All of it, namespace by namespace.
pub(super) fn text(machines: &[Netns], topology: Option<&Topology>, values: &[Values]) -> io::Result<String> {
    let defaults = Defaults::of_a_lab()?;
    Ok(machines.iter().zip(values).map(|(netns, values)| of(netns, topology, &values.differences(&defaults))).collect())
}

fn of(netns: &Netns, topology: Option<&Topology>, sysctls: &[Set]) -> String {
    let mut text = format!("======== {netns}\n");
    let mut add = |title: &str, body: Result<String, String>| match body {
        Ok(body) if body.trim().is_empty() => {}
        Ok(body) => text.push_str(&format!("\n---- {title}\n{}\n", body.trim_end())),
        Err(why) => text.push_str(&format!("\n---- {title}\n(not known: {why})\n")),
    };
    add("ip -d link", listed(netns.links().map(|links| format!("{links:#}"))));
    add("ip address", listed(netns.addresses()));
    add("ip route show table all", listed(netns.routes_of(RouteQuery::all_tables())));
    add("ip rule", listed(netns.rules()));
    add("ip -6 rule", listed(netns.rules_ipv6()));
    add("ip neighbour", listed(netns.neighbours()));
    add("ip neighbour show proxy", listed(netns.neighbour_proxies()));
    add("bridge fdb", listed(netns.fdb()));
    add("nft -a list ruleset", netns.ruleset().map(|ruleset| ruleset.with_handles().to_string()).map_err(|e| e.to_string()));
    add("conntrack -L", listed(netns.connections()));
    add("listening", Ok(listeners(netns, topology)));
    add(
        "sysctls that differ from those of a new namespace of netlab's",
        Ok(sysctls.iter().map(|set| format!("{} = {} (was {})\n", set.key, set.value, set.default)).collect()),
    );
    text.push('\n');
    text
}

fn listed<T: Display>(listing: crate::Result<T>) -> Result<String, String> {
    listing.map(|listing| listing.to_string()).map_err(|e| e.to_string())
}

fn listeners(netns: &Netns, topology: Option<&Topology>) -> String {
    let machine = topology.and_then(|topology| topology.machine(netns.name()));
    let line = |listener: &Listener| {
        let Listener { udp, address, name } = listener;
        format!("{} {address}  {}\n", if *udp { "udp" } else { "tcp" }, name.as_deref().unwrap_or("(the test itself, or nobody)"))
    };
    machine.map(|machine| machine.listeners.iter().map(line).collect()).unwrap_or_default()
}
