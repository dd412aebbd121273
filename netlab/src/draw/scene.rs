//! What is drawn, in graph terms: boxes, and the wires that join two or more of them. All renderers draw the same scene.
//!
//! A bridge is a wire with as many ends as it has cables, as a bus is drawn. Where its machine has nothing else to show, there is no box for
//! that machine: the wire bears its name.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Cable, CableKind, End, Interface, LinkState, Machine, Topology};

/// Boxes and wires.
pub(super) struct Scene<'a> {
    pub(super) topology: &'a Topology,
    pub(super) boxes: Vec<Kind<'a>>,
    pub(super) wires: Vec<Wire<'a>>,
}

/// What a box stands for.
#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    Machine(&'a Machine),
    /// A bridge of a machine without a box of its own that is connected to another bridge.
    Switch(&'a Machine, &'a Interface),
}

impl<'a> Kind<'a> {
    pub(super) fn machine(self) -> &'a Machine {
        match self {
            Self::Machine(machine) | Self::Switch(machine, _) => machine,
        }
    }
}

/// What joins boxes.
pub(super) struct Wire<'a> {
    pub(super) kind: WireKind<'a>,
    pub(super) ends: Vec<Tap>,
}

#[derive(Clone, Copy)]
pub(super) enum WireKind<'a> {
    /// A bridge with its cables.
    Bridge(&'a Machine, &'a Interface),
    Cable(CableKind),
}

/// Where a wire ends: at an interface of a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tap {
    pub(super) at: usize,
    pub(super) interface: String,
    /// The port of the bridge at the other end of the cable.
    pub(super) port: Option<String>,
    /// Whether nothing passes here.
    pub(super) dead: bool,
}

type Owned<'a> = (&'a str, &'a str);

impl<'a> Scene<'a> {
    pub(super) fn of(topology: &'a Topology) -> Self {
        let ports = Ports::of(topology);
        let mut scene = Self { topology, boxes: Vec::new(), wires: Vec::new() };
        scene.put_boxes(&ports);
        scene.put_wires(&ports);
        scene
    }

    fn put_boxes(&mut self, ports: &Ports<'a>) {
        for machine in &self.topology.machines {
            if !ports.is_switch(self.topology, machine) {
                self.boxes.push(Kind::Machine(machine));
                continue;
            }
            let joined = |bridge: &&Interface| ports.joined.contains(&(machine.name.as_str(), bridge.name.as_str()));
            self.boxes
                .extend(machine.interfaces.iter().filter(|i| i.is_bridge()).filter(joined).map(|bridge| Kind::Switch(machine, bridge)));
        }
    }

    /// The box where an interface is.
    fn at(&self, machine: &str, bridge: Option<&str>) -> Option<usize> {
        self.boxes.iter().position(|kind| match kind {
            Kind::Machine(it) => it.name == machine,
            Kind::Switch(it, of) => it.name == machine && Some(of.name.as_str()) == bridge,
        })
    }

    fn put_wires(&mut self, ports: &Ports<'a>) {
        for machine in &self.topology.machines {
            for bridge in machine.interfaces.iter().filter(|interface| interface.is_bridge()) {
                let wire = self.bridge(machine, bridge, ports);
                // A bridge of a box needs no wire if nothing hangs on it.
                self.wires.extend((wire.ends.len() > 1 || self.at(&machine.name, Some(&bridge.name)).is_none()).then_some(wire));
            }
        }
        let mesh = self.mesh();
        let apart = |cable: &&Cable| cable.kind != CableKind::Overlay && !ports.cables.contains_key(&(&cable.a, &cable.b));
        for cable in self.topology.cables.iter().filter(apart) {
            let ends = [&cable.a, &cable.b].into_iter().filter_map(|end| self.tap(end, None, self.is_dead(cable))).collect();
            self.wires.push(Wire { kind: WireKind::Cable(cable.kind), ends });
        }
        self.wires.extend(mesh);
    }

    fn bridge(&self, machine: &'a Machine, bridge: &'a Interface, ports: &Ports<'a>) -> Wire<'a> {
        let own = End { machine: machine.name.clone(), interface: bridge.name.clone() };
        let mut ends: Vec<_> = self.tap(&own, None, bridge.state == LinkState::Down).into_iter().collect();
        let key = (machine.name.as_str(), bridge.name.as_str());
        // In the order of the ports' indexes.
        let here = |interface: &&Interface| interface.master.as_deref() == Some(bridge.name.as_str());
        for port in machine.interfaces.iter().filter(here) {
            let plugged = ports.cables.iter().find(|(_, (of, name, _))| *of == key && *name == port.name);
            if let Some(((a, b), (.., far))) = plugged {
                let dead = self.interface_is_dead(a) || self.interface_is_dead(b) || bridge.state == LinkState::Down;
                ends.extend(self.tap(far, Some(port.name.clone()), dead));
            }
        }
        Wire { kind: WireKind::Bridge(machine, bridge), ends }
    }

    fn tap(&self, end: &End, port: Option<String>, dead: bool) -> Option<Tap> {
        let interface = self.topology.interface(end);
        let bridge = interface.map(|interface| interface.master.as_deref().unwrap_or(&interface.name));
        Some(Tap { at: self.at(&end.machine, bridge)?, interface: end.interface.clone(), port, dead })
    }

    fn is_dead(&self, cable: &Cable) -> bool {
        self.interface_is_dead(&cable.a) || self.interface_is_dead(&cable.b)
    }

    fn interface_is_dead(&self, end: &End) -> bool {
        self.topology.interface(end).is_some_and(|interface| interface.state != LinkState::Up)
    }

    /// The overlays: devices that send to each other, directly or by others, are on one wire.
    fn mesh(&self) -> Vec<Wire<'a>> {
        let mut groups: Vec<BTreeSet<&End>> = Vec::new();
        for Cable { a, b, .. } in self.topology.cables.iter().filter(|cable| cable.kind == CableKind::Overlay) {
            let (joined, apart): (Vec<_>, _) = groups.into_iter().partition(|group| group.contains(a) || group.contains(b));
            groups = apart;
            groups.push(joined.into_iter().flatten().chain([a, b]).collect());
        }
        let wire = |group: BTreeSet<&End>| {
            let ends = group.into_iter().filter_map(|end| self.tap(end, None, self.interface_is_dead(end))).collect();
            Wire { kind: WireKind::Cable(CableKind::Overlay), ends }
        };
        groups.into_iter().map(wire).collect()
    }

    /// The interfaces of a box that no wire ends at.
    pub(super) fn idle(&self, at: usize) -> Vec<&'a Interface> {
        let machine = match self.boxes[at] {
            Kind::Machine(machine) => machine,
            Kind::Switch(..) => return Vec::new(),
        };
        let wired: BTreeSet<_> =
            self.wires.iter().flat_map(|wire| &wire.ends).filter(|tap| tap.at == at).map(|tap| &tap.interface).collect();
        // A port whose cable hangs on the bridge's wire is drawn there.
        let plugged: BTreeSet<&String> =
            self.wires.iter().filter(|wire| wire.is_of(machine)).flat_map(|wire| &wire.ends).filter_map(|tap| tap.port.as_ref()).collect();
        machine.interfaces.iter().filter(|i| !wired.contains(&i.name) && !plugged.contains(&i.name) && i.name != "lo").collect()
    }
}

impl Wire<'_> {
    fn is_of(&self, machine: &Machine) -> bool {
        matches!(self.kind, WireKind::Bridge(of, _) if of.name == machine.name)
    }
}

/// Which cables hang on bridges.
struct Ports<'a> {
    /// By the cable: the bridge, its port, and the end of the cable that is not the port.
    cables: BTreeMap<(&'a End, &'a End), (Owned<'a>, &'a str, &'a End)>,
    /// The bridges that are connected to bridges.
    joined: BTreeSet<Owned<'a>>,
}

impl<'a> Ports<'a> {
    fn of(topology: &'a Topology) -> Self {
        let mut ports = Self { cables: BTreeMap::new(), joined: BTreeSet::new() };
        for cable in topology.cables.iter().filter(|cable| cable.kind == CableKind::Veth) {
            let (near, far) = (bridge_of(topology, &cable.a), bridge_of(topology, &cable.b));
            match (near, far) {
                (Some(bridge), None) => drop(ports.cables.insert((&cable.a, &cable.b), (bridge, &cable.a.interface, &cable.b))),
                (None, Some(bridge)) => drop(ports.cables.insert((&cable.a, &cable.b), (bridge, &cable.b.interface, &cable.a))),
                (near, far) => ports.joined.extend(near.into_iter().chain(far)),
            }
        }
        ports
    }

    /// Whether a machine is nothing but bridges without addresses, and their ports.
    fn is_switch(&self, topology: &Topology, machine: &Machine) -> bool {
        let part = |interface: &Interface| {
            let bridge = interface.is_bridge() && interface.addresses.is_empty() && interface.master.is_none();
            let port = interface.kind == "veth" && interface.addresses.is_empty() && interface.master.is_some();
            bridge || port
        };
        let silent = machine.rules.is_empty() && machine.drops.is_empty() && machine.listeners.is_empty() && machine.routes.is_empty();
        let marked = topology.marks_on(&machine.name).next().is_some();
        silent && !marked && !machine.interfaces.is_empty() && machine.interfaces.iter().filter(|i| i.name != "lo").all(part)
    }
}

fn bridge_of<'a>(topology: &'a Topology, end: &'a End) -> Option<Owned<'a>> {
    let master = topology.interface(end)?.master.as_deref()?;
    let bridge = topology.machine(&end.machine)?.interface(master).filter(|master| master.is_bridge())?;
    Some((&end.machine, &bridge.name))
}
