//! What Calico makes of a node and of its pods: a gateway that nobody has, and a node that answers for it.

use netlab::{Netns, Route};

use super::World;
use crate::error::{Error, Result};

/// The gateway of every pod, which no interface has.
pub(crate) const GATEWAY: &str = "169.254.1.1";

/// What it sets, as (sysctl, device, value), where an empty device is the port.
const SETTINGS: &[(&str, &str, u32)] = &[
    ("conf/{}/rp_filter", "", 1),
    ("conf/{}/route_localnet", "", 1),
    ("conf/{}/proxy_arp", "", 1),
    ("neigh/{}/proxy_delay", "", 0),
    ("conf/{}/forwarding", "", 1),
    ("conf/{}/forwarding", "eth0", 1),
];

fn keys(port: &str) -> impl Iterator<Item = (String, u32)> {
    SETTINGS.iter().map(move |(key, device, value)| {
        let device = if device.is_empty() { port } else { device };
        (format!("net/ipv4/{}", key.replace("{}", device)), *value)
    })
}

/// The values of the six sysctls.
pub(crate) fn settings(node: &Netns, port: &str) -> Result<String> {
    let values = keys(port).map(|(key, _)| node.sysctl(&key)).collect::<Result<Vec<_>, _>>()?;
    Ok(values.join(" "))
}

/// Sets them for one port of a node.
pub(crate) fn add_settings(w: &World, node: &str, port: &str) -> Result<()> {
    let node = w.machine(node)?;
    keys(port).try_for_each(|(key, value)| node.set_sysctl(&key, value).map(netlab::Sysctl::keep)).map_err(Error::from)
}

/// Gives a pod its two routes.
pub(crate) fn add_gateway(w: &World, pod: &str) -> Result<()> {
    let pod = w.machine(pod)?;
    Route::to(GATEWAY).dev("eth0").scope_link().install(&pod)?.keep();
    Route::default_via(GATEWAY).dev("eth0").install(&pod)?.keep();
    Ok(())
}

/// Gives a node its route to a pod.
pub(crate) fn add_host_route(w: &mut World, node: &str, address: &str, port: &str) -> Result<()> {
    let route = Route::to(address).dev(port).install(&w.machine(node)?)?;
    w.keep(format!("the route of {node} to {address}"), route);
    Ok(())
}

/// A blackhole for what no pod of a node has.
pub(crate) fn add_hole(w: &mut World, node: &str, network: &str) -> Result<()> {
    let route = Route::blackhole(network).install(&w.machine(node)?)?;
    w.keep(format!("the blackhole of {node}"), route);
    Ok(())
}

/// The machines that have an address.
pub(crate) fn owners(w: &World, address: &str) -> Result<String> {
    let mut owners = Vec::new();
    for machine in w.machines() {
        if machine.addresses()?.iter().any(|found| found.net.addr().to_string() == address) {
            owners.push(machine.name().to_owned());
        }
    }
    Ok(if owners.is_empty() { "none".to_owned() } else { owners.join(" ") })
}
