//! Reads the lab from the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;

use super::listeners::{Programs, listeners};
use super::model::{Cable, CableKind, End, Interface, LinkState, Machine, Route, RuleCount, Topology};
use crate::error::{At, Doing, Result};
use crate::netns::Netns;
use crate::nft::{Family, Ruleset};
use crate::snapshot::{self, Addresses, Details, Peer, RouteKind};
use crate::sys::sysctl;

/// Kinds of links that lie upon another one.
const UPPERS: [&str; 5] = ["macvlan", "macvtap", "ipvlan", "ipvtap", "vlan"];

impl Topology {
    /// The lab as the kernel has it now: every namespace of the test that is alive, and the host where there is anything in it.
    ///
    /// # Errors
    ///
    /// If the kernel does not answer for one of the namespaces.
    #[track_caller]
    pub fn current() -> Result<Self> {
        let here = Location::caller();
        let machines = Netns::live().doing(|| "list the namespaces of this test".to_owned()).at(here)?;
        read(&machines).at(here)
    }

    /// The part of the lab that these namespaces are, in this order.
    ///
    /// # Errors
    ///
    /// As [`current`](Self::current).
    #[track_caller]
    pub fn of<'a>(machines: impl IntoIterator<Item = &'a Netns>) -> Result<Self> {
        let machines: Vec<_> = machines.into_iter().cloned().collect();
        read(&machines).at(Location::caller())
    }
}

/// A namespace and what it says of itself.
struct Seen {
    netns: Netns,
    addresses: Addresses,
    machine: Machine,
    /// The far ends of its VXLAN devices.
    tunnels: Vec<Tunnel>,
}

/// A VXLAN device: its network, and where it sends to.
struct Tunnel {
    device: String,
    id: String,
    far: BTreeSet<std::net::IpAddr>,
}

fn read(machines: &[Netns]) -> Result<Topology> {
    let programs = Programs::default();
    let mut seen = machines.iter().map(|netns| look(netns, &programs)).collect::<Result<Vec<_>>>()?;
    let (cables, foreign) = cables(&seen)?;
    let overlays = overlays(&seen);
    // The host is always there; it is in the picture if it is in the lab.
    seen.retain(|seen| seen.netns.name() != "host" || !seen.machine.is_bare() || machines.len() == 1);
    let machines: Vec<_> = seen.into_iter().map(|seen| seen.machine).chain(foreign).collect();
    let mut cables: Vec<_> = cables.into_iter().chain(overlays).collect();
    // In the order of the interfaces, not of their names: eth2 comes before eth10.
    let place = |end: &End| {
        let machine = machines.iter().position(|machine| machine.name == end.machine)?;
        Some((machine, machines[machine].interfaces.iter().position(|interface| interface.name == end.interface)))
    };
    cables.sort_by_cached_key(|cable| (place(&cable.a), place(&cable.b)));
    Ok(Topology { machines, cables, marks: Vec::new() })
}

impl Machine {
    fn is_bare(&self) -> bool {
        self.interfaces.is_empty() && self.rules.is_empty() && self.drops.is_empty() && self.listeners.is_empty() && self.routes.is_empty()
    }
}

fn look(netns: &Netns, programs: &Programs) -> Result<Seen> {
    let addresses = netns.addresses()?;
    let interfaces = addresses.links.iter().map(|link| interface(link, &addresses)).filter(is_shown).collect();
    let ruleset = netns.ruleset()?;
    let tunnels = tunnels(netns, &addresses)?;
    let on = |key| sysctl::read(key).is_ok_and(|value| value == "1");
    let forwards = netns.enter_io(|| Ok((on("net.ipv4.ip_forward"), on("net.ipv6.conf.all.forwarding"))));
    let forwards = forwards.doing(|| format!("look at the sysctls of `{netns}`"))?;
    let machine = Machine {
        name: netns.name().to_owned(),
        foreign: false,
        interfaces,
        routes: netns.routes()?.routes.iter().filter_map(route).collect(),
        forwards,
        rules: counts(&ruleset),
        drops: drops(&ruleset),
        listeners: listeners(netns, programs, !tunnels.is_empty()),
    };
    Ok(Seen { netns: netns.clone(), addresses, machine, tunnels })
}

fn interface(link: &snapshot::Link, addresses: &Addresses) -> Interface {
    let shown = |address: &&snapshot::Address| address.scope != "link" && !address.net.addr().is_loopback();
    let mut nets: Vec<_> = addresses.of(&link.name).filter(shown).map(|address| address.net).collect();
    nets.dedup();
    let upper = matches!(&link.peer, Some(Peer::Here(_))) && link.kind.as_ref().is_some_and(|kind| kind.kind != "veth");
    Interface {
        name: link.name.clone(),
        kind: link.kind.as_ref().map(|kind| kind.kind.clone()).unwrap_or_default(),
        state: match (link.is_up(), link.has_flag("NO-CARRIER")) {
            (false, _) => LinkState::Down,
            (true, true) => LinkState::NoCarrier,
            (true, false) => LinkState::Up,
        },
        addresses: nets,
        master: link.master.clone(),
        on: link.peer.as_ref().and_then(|peer| if let (true, Peer::Here(name)) = (upper, peer) { Some(name.clone()) } else { None }),
        note: link.kind.as_ref().and_then(note),
    }
}

/// A loopback as it should be needs no word.
fn is_shown(interface: &Interface) -> bool {
    interface.name != "lo" || interface.state == LinkState::Down || !interface.addresses.is_empty()
}

fn note(kind: &Details) -> Option<String> {
    match kind.kind.as_str() {
        "veth" | "bridge" => None,
        "vxlan" => Some(format!("vxlan {}", kind.get("id")?)),
        "tun" => Some(kind.get("type").unwrap_or("tun").to_owned()),
        other => Some(other.to_owned()),
    }
}

fn route(route: &snapshot::Route) -> Option<Route> {
    if route.protocol == "kernel" {
        return None;
    }
    let ends = (route.kind != RouteKind::Unicast).then(|| format!("{:?}", route.kind).to_lowercase());
    let mut via: Vec<_> = route.nexthops.iter().map(|hop| (hop.via, hop.dev.clone())).collect();
    if via.is_empty() && ends.is_none() {
        via.push((route.via, route.dev.clone()));
    }
    Some(Route { to: route.dst, ends, via })
}

/// The rules, counted by the type of the first hooked chain of their table.
fn counts(ruleset: &Ruleset) -> Vec<RuleCount> {
    let mut counts = BTreeMap::new();
    for table in ruleset.tables() {
        let kind = table.chains().iter().find_map(|chain| chain.base.as_ref()).map_or("filter", |base| base.kind.as_str());
        let count: usize = table.chains().iter().map(|chain| chain.rules().len()).sum();
        *counts.entry(format!("{}{kind}", prefix(table.family()))).or_default() += count;
    }
    counts.into_iter().filter(|(_, count)| *count > 0).map(|(purpose, count)| RuleCount { purpose, count }).collect()
}

fn drops(ruleset: &Ruleset) -> Vec<String> {
    let chains = ruleset.tables().iter().flat_map(|table| table.chains().iter().map(move |chain| (table.family(), chain)));
    let dropping = chains.filter_map(|(family, chain)| chain.base.as_ref().filter(|base| !base.accept).map(|base| (family, base.hook)));
    let names: BTreeSet<_> = dropping.map(|(family, hook)| format!("{}{hook}", prefix(family))).collect();
    names.into_iter().collect()
}

/// The IP families go without saying.
fn prefix(family: Family) -> String {
    match family {
        Family::Ip | Family::Ip6 | Family::Inet => String::new(),
        other => format!("{other} "),
    }
}

fn tunnels(netns: &Netns, addresses: &Addresses) -> Result<Vec<Tunnel>> {
    let vxlan = |link: &&snapshot::Link| link.kind.as_ref().is_some_and(|kind| kind.kind == "vxlan");
    if !addresses.links.iter().any(|link| vxlan(&link)) {
        return Ok(Vec::new());
    }
    let fdb = netns.fdb()?;
    let tunnel = |link: &snapshot::Link| {
        let kind = link.kind.as_ref()?;
        let told = fdb.iter().filter(|entry| entry.dev == link.name).filter_map(|entry| entry.dst);
        let remote = kind.get("remote").and_then(|remote| remote.parse().ok());
        Some(Tunnel { device: link.name.clone(), id: kind.get("id")?.to_owned(), far: told.chain(remote).collect() })
    };
    Ok(addresses.links.iter().filter(vxlan).filter_map(tunnel).collect())
}

/// The pairs of VXLAN devices of one network of which one sends to an address of the other's machine.
fn overlays(seen: &[Seen]) -> BTreeSet<Cable> {
    let ends = || seen.iter().flat_map(|seen| seen.tunnels.iter().map(move |tunnel| (&seen.machine, tunnel)));
    let sends = |tunnel: &Tunnel, to: &Machine| tunnel.far.iter().any(|far| to.has_address(*far));
    let pairs = ends().flat_map(|a| ends().map(move |b| (a, b)));
    let joined = pairs.filter(|((a, near), (b, far))| a.name != b.name && near.id == far.id && sends(near, b));
    let end = |machine: &Machine, tunnel: &Tunnel| End { machine: machine.name.clone(), interface: tunnel.device.clone() };
    joined.map(|((a, near), (b, far))| cable(CableKind::Overlay, end(a, near), end(b, far))).collect()
}

/// Which of both comes first must not depend on who was asked first.
fn cable(kind: CableKind, a: End, b: End) -> Cable {
    let ordered = kind == CableKind::Upper || a <= b;
    if ordered { Cable { kind, a, b } } else { Cable { kind, a: b, b: a } }
}

/// The cables, each once, and the machines that only their ends tell of.
fn cables(seen: &[Seen]) -> Result<(BTreeSet<Cable>, Vec<Machine>)> {
    let (mut cables, mut foreign) = (BTreeSet::new(), Vec::new());
    for near in seen {
        let ids = if near.has_far_ends() { ids(&near.netns, seen)? } else { BTreeMap::new() };
        for link in &*near.addresses.links {
            let Some(kind) = link.kind.as_ref().and_then(|kind| cable_kind(&kind.kind)) else { continue };
            let a = End { machine: near.machine.name.clone(), interface: link.name.clone() };
            let b = match (&link.peer, link.link_netnsid) {
                (Some(Peer::Here(name)), _) if kind == CableKind::Veth => End { machine: a.machine.clone(), interface: name.clone() },
                (Some(Peer::Elsewhere(index)), Some(id)) => match ids.get(&id).and_then(|far| far.end(*index)) {
                    Some(end) => end,
                    None => stranger(&mut foreign, *index),
                },
                _ => continue,
            };
            cables.insert(cable(kind, a, b));
        }
    }
    Ok((cables, foreign))
}

fn cable_kind(kind: &str) -> Option<CableKind> {
    match kind {
        "veth" => Some(CableKind::Veth),
        _ if UPPERS.contains(&kind) => Some(CableKind::Upper),
        _ => None,
    }
}

impl Seen {
    fn has_far_ends(&self) -> bool {
        self.addresses.links.iter().any(|link| matches!(link.peer, Some(Peer::Elsewhere(_))))
    }

    fn end(&self, index: u32) -> Option<End> {
        let link = self.addresses.links.iter().find(|link| link.index == index)?;
        Some(End { machine: self.machine.name.clone(), interface: link.name.clone() })
    }
}

/// The namespaces by the ids that one of them knows them by.
fn ids<'a>(netns: &Netns, seen: &'a [Seen]) -> Result<BTreeMap<i32, &'a Seen>> {
    let id = |far: &'a Seen| netns.id_of(&far.netns).map(|id| id.map(|id| (id, far)));
    seen.iter().map(id).filter_map(Result::transpose).collect()
}

/// A namespace of which there is no handle: what is known of it is the index of its end.
fn stranger(foreign: &mut Vec<Machine>, index: u32) -> End {
    let name = if foreign.is_empty() { "elsewhere".to_owned() } else { format!("elsewhere {}", foreign.len() + 1) };
    let interface = Interface { name: format!("if{index}"), ..Interface::default() };
    foreign.push(Machine { name: name.clone(), foreign: true, interfaces: vec![interface.clone()], ..Machine::default() });
    End { machine: name, interface: interface.name }
}
