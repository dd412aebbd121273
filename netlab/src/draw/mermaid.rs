//! The topology as a mermaid flowchart, which GitHub and many others draw.

use std::fmt::Write;

use super::layout;
use super::model::{CableKind, Interface, LinkState, Machine, Topology};
use super::scene::{Kind, Scene, Tap, Wire, WireKind};

/// Colours that are readable on light and dark grounds.
const CLASSES: &str = "  classDef bridge fill:#dbeafe,stroke:#2563eb,color:#1e3a8a
  classDef dead fill:#fee2e2,stroke:#dc2626,color:#991b1b,stroke-width:2px
  classDef foreign stroke-dasharray:4 3
";

impl Topology {
    /// The topology as a mermaid flowchart: one node a machine, one a bridge, one line a cable with the names of both ends.
    ///
    /// What is down is red and dashed, and so is what is [marked](Self::mark).
    pub fn mermaid(&self) -> String {
        let scene = Scene::of(self);
        let rows = layout::rows(&scene);
        let mut chart = Chart { scene: &scene, rows, text: "flowchart TB\n".to_owned(), links: 0, dead: Vec::new() };
        for (at, kind) in scene.boxes.iter().enumerate() {
            chart.node(at, *kind);
        }
        for (number, wire) in scene.wires.iter().enumerate() {
            chart.wire(number, wire);
        }
        for (number, mark) in self.lost_marks().enumerate() {
            chart.line(&format!("x{number}[\"{}\"]:::dead", quoted(&format!("✕ {}: {}", mark.place, mark.text))));
        }
        chart.text += CLASSES;
        for link in &chart.dead {
            writeln!(chart.text, "  linkStyle {link} stroke:#dc2626,color:#dc2626").unwrap_or_default();
        }
        chart.text
    }
}

struct Chart<'a> {
    scene: &'a Scene<'a>,
    /// By box: how far down it is.
    rows: Vec<usize>,
    text: String,
    links: usize,
    dead: Vec<usize>,
}

impl Chart<'_> {
    fn line(&mut self, text: &str) {
        self.text += &format!("  {text}\n");
    }

    fn node(&mut self, at: usize, kind: Kind<'_>) {
        match kind {
            Kind::Machine(machine) => {
                let class = match (self.scene.topology.marks_on(&machine.name).next(), machine.foreign) {
                    (Some(_), _) => ":::dead",
                    (None, true) => ":::foreign",
                    (None, false) => "",
                };
                self.line(&format!("m{at}[\"{}\"]{class}", label(self.scene, machine)));
            }
            Kind::Switch(machine, bridge) => {
                self.line(&format!("m{at}([\"<b>{}</b><br/>in {}\"]):::bridge", quoted(&bridge.name), quoted(&machine.name)));
            }
        }
    }

    fn wire(&mut self, number: usize, wire: &Wire<'_>) {
        match (&wire.kind, wire.ends.as_slice()) {
            (WireKind::Cable(kind), [a, b]) => {
                // Mermaid puts what is named first above what is named second.
                let (a, b) = if self.rows[a.at] > self.rows[b.at] { (b, a) } else { (a, b) };
                let names = format!("{} — {}", a.interface, b.interface);
                let dead = a.dead || b.dead;
                self.link(&format!("m{}", a.at), line(*kind, dead), &names, &format!("m{}", b.at), dead);
            }
            (WireKind::Cable(_), ends) => {
                self.line(&format!("w{number}([\"overlay\"]):::bridge"));
                for tap in ends {
                    self.link(&format!("w{number}"), "-.-", &tap.interface, &format!("m{}", tap.at), tap.dead);
                }
            }
            (WireKind::Bridge(machine, bridge), ends) => self.bridge(number, machine, bridge, ends),
        }
    }

    fn bridge(&mut self, number: usize, machine: &Machine, bridge: &Interface, ends: &[Tap]) {
        let own = ends.iter().find(|tap| tap.port.is_none());
        let mut node = format!("w{number}");
        match own {
            // A bridge that has a box is there already.
            Some(tap) if matches!(self.scene.boxes[tap.at], Kind::Switch(..)) => node = format!("m{}", tap.at),
            _ => {
                let place = if own.is_some() { String::new() } else { format!("<br/>in {}", quoted(&machine.name)) };
                let class = if bridge.state == LinkState::Down { "dead" } else { "bridge" };
                self.line(&format!("{node}([\"<b>{}</b>{}{place}\"]):::{class}", quoted(&bridge.name), state(bridge)));
                own.into_iter().for_each(|tap| self.link(&format!("m{}", tap.at), "===", "", &node, tap.dead));
            }
        }
        let top = ends.iter().map(|tap| self.rows[tap.at]).min();
        let bottom = ends.iter().map(|tap| self.rows[tap.at]).max();
        for tap in ends {
            let Some(port) = &tap.port else { continue };
            let (line, far) = (if tap.dead { "-.-" } else { "---" }, format!("m{}", tap.at));
            if Some(self.rows[tap.at]) == top && top != bottom {
                self.link(&far, line, &format!("{} — {port}", tap.interface), &node, tap.dead);
            } else {
                self.link(&node, line, &format!("{port} — {}", tap.interface), &far, tap.dead);
            }
        }
    }

    fn link(&mut self, from: &str, line: &str, names: &str, to: &str, dead: bool) {
        let names = if names.is_empty() { String::new() } else { format!("|\"{}\"|", quoted(names)) };
        self.line(&format!("{from} {line}{names} {to}"));
        self.dead.extend(dead.then_some(self.links));
        self.links += 1;
    }
}

fn line(kind: CableKind, dead: bool) -> &'static str {
    if dead || kind != CableKind::Veth { "-.-" } else { "---" }
}

fn label(scene: &Scene<'_>, machine: &Machine) -> String {
    let mut lines = vec![format!("<b>{}</b>", quoted(&machine.name))];
    if machine.foreign {
        lines.push("another namespace".to_owned());
    }
    let badges: Vec<_> = machine.badges().into_iter().map(|(text, _)| quoted(&text)).collect();
    lines.extend((!badges.is_empty()).then(|| format!("<i>{}</i>", badges.join(" · "))));
    let ports = |interface: &&Interface| interface.master.is_some() && interface.addresses.is_empty() && interface.state == LinkState::Up;
    let shown = machine.interfaces.iter().filter(|interface| !ports(interface) && !machine.foreign);
    lines.extend(shown.filter(|interface| interface.name != "lo" || !interface.addresses.is_empty()).map(interface_line));
    lines.extend(machine.routes.iter().map(|route| quoted(&route.to_string())));
    lines.extend(machine.listeners.iter().map(|listener| format!("▸ {}", quoted(&listener.to_string()))));
    lines.extend(scene.topology.marks_on(&machine.name).map(|(interface, text)| {
        let place = interface.map(|name| format!("{name}: ")).unwrap_or_default();
        format!("✕ {}", quoted(&format!("{place}{text}")))
    }));
    lines.join("<br/>")
}

fn interface_line(interface: &Interface) -> String {
    let mut words = vec![quoted(&interface.name)];
    words.extend(interface.addresses.iter().map(|net| net.to_string()));
    words.extend(interface.note.iter().map(|note| format!("({})", quoted(note))));
    words.extend(interface.on.iter().map(|on| format!("on {}", quoted(on))));
    words.join(" ") + &state(interface)
}

fn state(interface: &Interface) -> String {
    interface.state.word().map(|word| format!(" ✕ {word}")).unwrap_or_default()
}

/// What stands between quotation marks, where a few characters mean something to mermaid or HTML.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        match c {
            '"' => quoted += "#quot;",
            '#' => quoted += "#35;",
            ';' => quoted += "#59;",
            '<' => quoted += "#lt;",
            '&' => quoted += "#amp;",
            '\n' => quoted += "<br/>",
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted
}
