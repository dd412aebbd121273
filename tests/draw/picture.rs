//! An SVG, read again.

use roxmltree::{Document, Node};

/// The boxes and the straight pieces of wires in a picture.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    pub(crate) boxes: Vec<Rect>,
    /// From one point to another; corners are left out.
    pub(crate) wires: Vec<((f64, f64), (f64, f64))>,
    pub(crate) size: (f64, f64),
    pub(crate) texts: Vec<String>,
}

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Picture {
    /// Panics where it is no well-formed XML, or none of ours.
    pub(crate) fn read(svg: &str) -> Self {
        let document = Document::parse(svg).unwrap_or_else(|e| panic!("{e} in {svg}"));
        let root = document.root_element();
        assert!(root.has_tag_name(("http://www.w3.org/2000/svg", "svg")));
        assert!(document.descendants().all(|node| !node.has_tag_name("script") && node.attribute("href").is_none()));
        let mut picture = Self { size: (number(&root, "width"), number(&root, "height")), ..Self::default() };
        for node in document.descendants() {
            match (node.tag_name().name(), node.attribute("class").unwrap_or_default()) {
                ("rect", "box") => picture.boxes.push(Rect::of(&node)),
                ("path", class) if class.starts_with("wire") => picture.wires.extend(lines(node.attribute("d").unwrap_or_default())),
                ("text", _) => picture.texts.push(node.text().unwrap_or_default().to_owned()),
                _ => {}
            }
        }
        picture
    }

    /// What is wrong with it: boxes on boxes, wires through boxes, things outside.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (place, a) in self.boxes.iter().enumerate() {
            faults.extend(self.boxes[..place].iter().filter(|b| a.overlaps(b)).map(|b| format!("{a:?} lies on {b:?}")));
            faults.extend(self.wires.iter().filter(|wire| a.is_crossed_by(wire)).map(|wire| format!("{wire:?} runs through {a:?}")));
            let (right, bottom) = (a.x + a.width, a.y + a.height);
            faults.extend((a.x < 0.0 || a.y < 0.0 || right > self.size.0 || bottom > self.size.1).then(|| format!("{a:?} is outside")));
        }
        let outside = |(x, y): (f64, f64)| x < 0.0 || y < 0.0 || x > self.size.0 || y > self.size.1;
        faults.extend(self.wires.iter().filter(|(a, b)| outside(*a) || outside(*b)).map(|wire| format!("{wire:?} is outside")));
        faults
    }
}

impl Rect {
    fn of(node: &Node<'_, '_>) -> Self {
        Self { x: number(node, "x"), y: number(node, "y"), width: number(node, "width"), height: number(node, "height") }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.x < other.x + other.width && other.x < self.x + self.width && self.y < other.y + other.height && other.y < self.y + self.height
    }

    fn is_crossed_by(&self, ((ax, ay), (bx, by)): &((f64, f64), (f64, f64))) -> bool {
        // A wire may touch the edge where it ends.
        let inside = Self { x: ax.min(*bx), y: ay.min(*by), width: (ax - bx).abs() + 0.1, height: (ay - by).abs() + 0.1 };
        Self { x: self.x + 1.0, y: self.y + 1.0, width: self.width - 2.0, height: self.height - 2.0 }.overlaps(&inside)
    }
}

fn number(node: &Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {node:?}"))
}

/// The lines of a path of ours: `M`, `L`, `H`, `V` and the corners of `Q`.
fn lines(path: &str) -> Vec<((f64, f64), (f64, f64))> {
    let mut lines = Vec::new();
    let mut at = (0.0, 0.0);
    let commands = path.char_indices().filter(|(_, c)| c.is_ascii_alphabetic()).map(|(place, _)| place).collect::<Vec<_>>();
    for (number, start) in commands.iter().enumerate() {
        let end = commands.get(number + 1).copied().unwrap_or(path.len());
        let values: Vec<f64> = path[start + 1..end].split_whitespace().map(|value| value.parse().expect("a number")).collect();
        let to = match (&path[*start..=*start], values.as_slice()) {
            ("M" | "L", [x, y]) | ("Q", [_, _, x, y]) => (*x, *y),
            ("H", [x]) => (*x, at.1),
            ("V", [y]) => (at.0, *y),
            other => panic!("{other:?} in {path}"),
        };
        if !matches!(&path[*start..=*start], "M" | "Q") {
            lines.push((at, to));
        }
        at = to;
    }
    lines
}
