//! The topology for Graphviz.

use super::model::{CableKind, Interface, LinkState, Topology};
use super::scene::{Kind, Scene, WireKind};

impl Topology {
    /// The topology as an undirected graph in the DOT language, for Graphviz (`dot -Tsvg`).
    pub fn dot(&self) -> String {
        let scene = Scene::of(self);
        let mut text =
            "graph lab {\n  node [shape=box, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", fontsize=10];\n".to_owned();
        for (at, kind) in scene.boxes.iter().enumerate() {
            text += &match kind {
                Kind::Machine(machine) => {
                    let dead = if self.marks_on(&machine.name).next().is_some() { ", color=red" } else { "" };
                    let shown = machine.interfaces.iter().filter(|i| !i.addresses.is_empty());
                    let lines: Vec<_> = std::iter::once(machine.name.clone()).chain(shown.map(addresses)).collect();
                    format!("  m{at} [label=\"{}\"{dead}];\n", quoted(&lines.join("\n")))
                }
                Kind::Switch(machine, bridge) => format!("  m{at} [label=\"{} in {}\", shape=oval];\n", bridge.name, machine.name),
            };
        }
        for (number, wire) in scene.wires.iter().enumerate() {
            if let (WireKind::Cable(kind), [a, b]) = (&wire.kind, wire.ends.as_slice()) {
                let style = style(*kind, a.dead || b.dead);
                text += &format!(
                    "  m{} -- m{} [taillabel=\"{}\", headlabel=\"{}\"{style}];\n",
                    a.at,
                    b.at,
                    quoted(&a.interface),
                    quoted(&b.interface)
                );
                continue;
            }
            let (name, dead) = match wire.kind {
                WireKind::Bridge(machine, bridge) => (format!("{} in {}", bridge.name, machine.name), bridge.state == LinkState::Down),
                WireKind::Cable(_) => ("overlay".to_owned(), false),
            };
            text += &format!("  w{number} [label=\"{}\", shape=oval{}];\n", quoted(&name), if dead { ", color=red" } else { "" });
            for tap in &wire.ends {
                let port = tap.port.as_deref().unwrap_or_default();
                let style = style(CableKind::Veth, tap.dead);
                text += &format!(
                    "  w{number} -- m{} [taillabel=\"{}\", headlabel=\"{}\"{style}];\n",
                    tap.at,
                    quoted(port),
                    quoted(&tap.interface)
                );
            }
        }
        text + "}\n"
    }
}

fn addresses(interface: &Interface) -> String {
    let addresses: Vec<_> = interface.addresses.iter().map(ToString::to_string).collect();
    format!("{} {}", interface.name, addresses.join(" "))
}

fn style(kind: CableKind, dead: bool) -> &'static str {
    match (kind, dead) {
        (_, true) => ", color=red, style=dashed",
        (CableKind::Veth, false) => "",
        _ => ", style=dashed",
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
