//! The topology as an SVG picture.

use std::fmt::Write;

use super::layout::{Body, Layout, Pin, Placed, Row, Shape, Side, Stroke};
use super::model::{CableKind, LinkState, Tone, Topology};
use super::scene::{Kind, Scene, WireKind};

const STYLE: &str = include_str!("style.css");
/// Bridges have colours of their own, again and again.
const COLOURS: usize = 6;
const PAD: f64 = 12.0;
const CORNER: f64 = 9.0;
/// The height of a line on a mark that has no place.
const LOST_LINE: f64 = 18.0;

impl Topology {
    /// The topology as an SVG picture: self-contained, without scripts, light or dark as the reader's screen is.
    ///
    /// Boxes are machines, thick lines bridges with the names of their ports, thin lines cables, each with the names and addresses of both
    /// ends; dashed lines overlays. What is down is red, and so is what is [marked](Self::mark).
    pub fn svg(&self) -> String {
        let scene = Scene::of(self);
        let layout = Layout::of(&scene);
        let lost: Vec<_> = self.lost_marks().collect();
        let height = layout.height + lost.len() as f64 * LOST_LINE;
        let width = layout.width.max(160.0);
        let mut picture = Picture { text: String::new(), scene: &scene };
        picture.open(width, height);
        // Rails lie upon what hangs on them, and names upon all.
        let level = |stroke: &&Stroke| match stroke.shape {
            Shape::Path(_) | Shape::Drop(..) => 0,
            Shape::Rail(..) | Shape::Trunk(..) => 1,
            Shape::Port(..) | Shape::Name(..) => 2,
        };
        let mut strokes: Vec<_> = layout.strokes.iter().collect();
        strokes.sort_by_key(level);
        strokes.into_iter().for_each(|stroke| picture.stroke(stroke));
        for (kind, placed) in scene.boxes.iter().zip(&layout.boxes) {
            picture.put(*kind, placed);
        }
        for (number, mark) in lost.iter().enumerate() {
            let y = layout.height + number as f64 * LOST_LINE;
            picture.text(PAD * 2.0, y, "mark", "", &format!("✕ {}: {}", mark.place, mark.text));
        }
        picture.text + "</svg>\n"
    }
}

struct Picture<'a> {
    text: String,
    scene: &'a Scene<'a>,
}

impl Picture<'_> {
    fn open(&mut self, width: f64, height: f64) {
        let names: Vec<_> = self.scene.topology.machines.iter().map(|machine| machine.name.as_str()).collect();
        self.line(&format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">"
        ));
        self.line(&format!("<title>Topology: {}</title>", escaped(&names.join(", "))));
        self.line(&format!("<style>\n{STYLE}</style>"));
        self.line("<rect class=\"ground\" width=\"100%\" height=\"100%\"/>");
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, class: &str, more: &str, text: &str) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        self.line(&format!("<text x=\"{x}\" y=\"{y}\"{class}{more}>{}</text>", escaped(text)));
    }

    /// The classes of what belongs to a wire.
    fn class(&self, wire: usize, dead: bool) -> String {
        let bridges = || self.scene.wires.iter().take(wire).filter(|wire| matches!(wire.kind, WireKind::Bridge(..))).count();
        match self.scene.wires[wire].kind {
            _ if dead => "dead".to_owned(),
            WireKind::Bridge(..) => format!("c{}", bridges() % COLOURS),
            WireKind::Cable(CableKind::Veth) => "cable".to_owned(),
            WireKind::Cable(CableKind::Upper) => "upper".to_owned(),
            WireKind::Cable(CableKind::Overlay) => "overlay".to_owned(),
        }
    }

    fn stroke(&mut self, stroke: &Stroke) {
        let class = self.class(stroke.wire, stroke.dead);
        match &stroke.shape {
            Shape::Path(points) => self.line(&format!("<path class=\"wire {class}\" d=\"{}\"/>", rounded(points))),
            Shape::Rail(from, to, y) => self.line(&format!("<path class=\"wire rail {class}\" d=\"M{from} {y}H{to}\"/>")),
            Shape::Drop(x, from, to) => self.line(&format!("<path class=\"wire {class}\" d=\"M{x} {from}V{to}\"/>")),
            Shape::Trunk(x, from, to) => self.line(&format!("<path class=\"wire rail {class}\" d=\"M{x} {from}V{to}\"/>")),
            Shape::Port(x, y, text) => self.text(*x, *y, if stroke.dead { "port deadtext" } else { "port" }, "", text),
            Shape::Name(x, y, width, text) => {
                let (left, top) = (x - width / 2.0, y - 10.0);
                self.line("<g class=\"name\">");
                self.line(&format!("<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"20\" rx=\"10\"/>"));
                self.text(*x, y + 4.0, "", " text-anchor=\"middle\"", text);
                self.line("</g>");
            }
        }
    }

    fn put(&mut self, kind: Kind<'_>, placed: &Placed) {
        let machine = kind.machine();
        let marked = self.scene.topology.marks_on(&machine.name).next().is_some();
        let class = match (marked, machine.foreign) {
            (true, _) => "machine marked",
            (false, true) => "machine foreign",
            (false, false) => "machine",
        };
        let Placed { x, y, body: Body { width, height, rows, pins } } = placed;
        self.line(&format!("<g class=\"{class}\">"));
        self.line(&format!("<rect class=\"box\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>"));
        for (down, row) in rows {
            self.row(x + PAD, y + down, row);
        }
        for pin in pins {
            self.pin(placed, pin);
        }
        self.line("</g>");
    }

    fn row(&mut self, x: f64, y: f64, row: &Row) {
        match row {
            Row::Title(text) => self.text(x, y + 17.0, "title", "", text),
            Row::Faint(text) => self.text(x, y + 11.0, "faint", "", text),
            Row::Route(text) => self.text(x, y + 11.0, "route", "", text),
            Row::Mark(text) => self.text(x, y + 11.0, "mark", "", text),
            Row::Interface(text, state) => self.text(x, y + 11.0, if *state == LinkState::Up { "" } else { "deadtext" }, "", text),
            Row::Listener(text) => {
                self.line(&format!("<g class=\"listener\"><circle cx=\"{}\" cy=\"{}\" r=\"3.5\"/></g>", x + 4.0, y + 7.5));
                self.text(x + 12.0, y + 11.0, "", "", text);
            }
            Row::Badges(badges) => {
                for (left, width, text, tone) in badges {
                    let class = match tone {
                        Tone::Plain => "badge",
                        Tone::Nat => "badge nat",
                        Tone::Filter => "badge filter",
                        Tone::Warning => "badge warning",
                    };
                    self.line(&format!(
                        "<g class=\"{class}\"><rect x=\"{}\" y=\"{y}\" width=\"{width}\" height=\"17\" rx=\"8.5\"/>",
                        x + left
                    ));
                    self.text(x + left + width / 2.0, y + 12.0, "", " text-anchor=\"middle\"", text);
                    self.line("</g>");
                }
            }
        }
    }

    fn pin(&mut self, placed: &Placed, pin: &Pin) {
        let middle = placed.x + pin.x;
        let (left, bottom) = (middle - pin.width / 2.0, placed.y + placed.body.height);
        let top = if pin.side == Side::Top { placed.y } else { bottom - pin.height };
        let class = match (pin.marked, pin.state == LinkState::Up, pin.wires.first()) {
            (true, ..) => "marked".to_owned(),
            (_, false, _) => "dead".to_owned(),
            (_, _, Some(wire)) => self.class(*wire, false),
            _ => String::new(),
        };
        let (width, height) = (pin.width, pin.height);
        self.line("<g class=\"pin\">");
        self.line(&format!("<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"4\"/>"));
        for (number, line) in pin.lines.iter().enumerate() {
            let first = if number == 0 { "first" } else { "" };
            let class = if pin.state == LinkState::Up { first.to_owned() } else { format!("{first} deadtext") };
            if pin.upright {
                let (x, y) = (middle + 4.0, top + height / 2.0);
                self.text(x, y, class.trim(), &format!(" text-anchor=\"middle\" transform=\"rotate(-90 {x} {y})\""), line);
            } else {
                self.text(middle, top + 13.0 + number as f64 * 13.0, class.trim(), " text-anchor=\"middle\"", line);
            }
        }
        self.line("</g>");
    }
}

/// A path through the points whose corners are round.
fn rounded(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    let mut points: Vec<_> = points.to_vec();
    points.dedup();
    let Some((x, y)) = points.first() else { return path };
    write!(path, "M{x} {y}").unwrap_or_default();
    for corner in points.windows(3) {
        let [before, at, after] = corner else { continue };
        let radius = CORNER.min(distance(*before, *at) / 2.0).min(distance(*at, *after) / 2.0);
        let (a, b) = (toward(*at, *before, radius), toward(*at, *after, radius));
        write!(path, "L{} {}Q{} {} {} {}", a.0, a.1, at.0, at.1, b.0, b.1).unwrap_or_default();
    }
    if let [.., (x, y)] = points.as_slice() {
        write!(path, "L{x} {y}").unwrap_or_default();
    }
    path
}

fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    (a.0 - b.0).abs() + (a.1 - b.1).abs()
}

/// Lines go along the axes only.
fn toward(from: (f64, f64), to: (f64, f64), by: f64) -> (f64, f64) {
    let step = |from: f64, to: f64| if (to - from).abs() < f64::EPSILON { from } else { from + by.copysign(to - from) };
    (step(from.0, to.0), step(from.1, to.1))
}

/// XML text.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
