//! What stands in a box, and how large that makes it.

use super::super::model::{Interface, LinkState, Machine, Tone};
use super::super::scene::{Kind, Scene};

/// Fonts are the viewer's: a line is taken to be a little longer than most fonts make it.
const MONO: f64 = 6.65;
const SANS: f64 = 6.3;
const BOLD: f64 = 8.4;

pub(in super::super) const PAD: f64 = 12.0;
const LEAST_WIDTH: f64 = 116.0;
const LINE: f64 = 15.0;
const TITLE: f64 = 24.0;
const BADGES: f64 = 22.0;
const BADGE_GAP: f64 = 5.0;
const BADGES_WIDEST: f64 = 230.0;
const PIN_PAD: f64 = 7.0;
const PIN_LINE: f64 = 13.0;
const PIN_GAP: f64 = 8.0;
/// More pins than this on one side are written upwards.
const MOST_PINS: usize = 9;
const MOST_LINES: usize = 6;
const MARK_WIDEST: usize = 36;

/// A box: its size, what stands in it from top to bottom, and where wires end.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Body {
    pub(in super::super) width: f64,
    pub(in super::super) height: f64,
    /// Each with its distance from the top of the box.
    pub(in super::super) rows: Vec<(f64, Row)>,
    pub(in super::super) pins: Vec<Pin>,
}

#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Row {
    Title(String),
    /// Each with its distance from the left, and its width.
    Badges(Vec<(f64, f64, String, Tone)>),
    Faint(String),
    Route(String),
    Listener(String),
    Interface(String, LinkState),
    Mark(String),
}

/// Where wires end at a box.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Pin {
    pub(in super::super) interface: String,
    pub(in super::super) side: Side,
    /// The name, then the addresses.
    pub(in super::super) lines: Vec<String>,
    /// The middle, from the left of the box.
    pub(in super::super) x: f64,
    pub(in super::super) width: f64,
    pub(in super::super) height: f64,
    pub(in super::super) state: LinkState,
    pub(in super::super) marked: bool,
    /// Whether the text runs upwards.
    pub(in super::super) upright: bool,
    /// The wires that end here.
    pub(in super::super) wires: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Side {
    Top,
    Bottom,
}

impl Body {
    /// The box, where `side` tells on which side a wire leaves it.
    pub(super) fn of(scene: &Scene<'_>, at: usize, side: impl Fn(usize) -> Side) -> Self {
        let mut body = Self { pins: pins(scene, at, side), ..Self::default() };
        body.shape_pins();
        let mut rows = rows(scene, at);
        let widths = rows.iter().map(Row::width);
        let pins = [Side::Top, Side::Bottom].map(|side| body.pins_width(side));
        body.width = widths.chain(pins).fold(LEAST_WIDTH, f64::max).ceil() + 2.0 * PAD;
        let mut y = PAD / 2.0 + body.pins_height(Side::Top);
        for row in rows.drain(..) {
            let height = row.height();
            body.rows.push((y, row));
            y += height;
        }
        body.height = (y + PAD / 2.0 + body.pins_height(Side::Bottom)).ceil();
        body.spread();
        body
    }

    fn side(&self, side: Side) -> impl Iterator<Item = &Pin> {
        self.pins.iter().filter(move |pin| pin.side == side)
    }

    fn pins_width(&self, side: Side) -> f64 {
        self.side(side).map(|pin| pin.width + PIN_GAP).sum::<f64>() - PIN_GAP
    }

    fn pins_height(&self, side: Side) -> f64 {
        self.side(side).map(|pin| pin.height).fold(0.0, f64::max)
    }

    fn shape_pins(&mut self) {
        for side in [Side::Top, Side::Bottom] {
            let upright = self.side(side).count() > MOST_PINS;
            for pin in self.pins.iter_mut().filter(|pin| pin.side == side) {
                pin.shape(upright);
            }
        }
    }

    /// Gives each pin its place: next to each other, in the middle of their side.
    pub(super) fn spread(&mut self) {
        for side in [Side::Top, Side::Bottom] {
            let mut x = (self.width - self.pins_width(side)) / 2.0;
            for pin in self.pins.iter_mut().filter(|pin| pin.side == side) {
                pin.x = (x + pin.width / 2.0).round();
                x += pin.width + PIN_GAP;
            }
        }
    }
}

impl Pin {
    fn shape(&mut self, upright: bool) {
        self.upright = upright;
        if upright {
            self.lines = vec![self.lines.join(" ")];
        }
        let length = self.lines.iter().map(|line| text_width(line)).fold(0.0, f64::max) + 2.0 * PIN_PAD;
        let across = self.lines.len() as f64 * PIN_LINE + PIN_PAD;
        (self.width, self.height) = if upright { (across, length) } else { (length, across) };
    }
}

fn pins(scene: &Scene<'_>, at: usize, side: impl Fn(usize) -> Side) -> Vec<Pin> {
    let mut pins: Vec<Pin> = Vec::new();
    let machine = scene.boxes[at].machine();
    for (number, wire) in scene.wires.iter().enumerate() {
        for tap in wire.ends.iter().filter(|tap| tap.at == at) {
            let side = side(number);
            if let Some(pin) = pins.iter_mut().find(|pin| pin.interface == tap.interface && pin.side == side) {
                pin.wires.push(number);
                continue;
            }
            let known = pins.iter().any(|pin| pin.interface == tap.interface);
            let interface = machine.interface(&tap.interface);
            pins.push(Pin {
                interface: tap.interface.clone(),
                side,
                lines: interface.filter(|_| !known).map_or_else(|| vec![tap.interface.clone()], pin_lines),
                x: 0.0,
                width: 0.0,
                height: 0.0,
                state: interface.map(|interface| interface.state).unwrap_or_default(),
                marked: scene.topology.marks_on(&machine.name).any(|(interface, _)| interface == Some(&tap.interface)),
                upright: false,
                wires: vec![number],
            });
        }
    }
    pins
}

fn pin_lines(interface: &Interface) -> Vec<String> {
    let state = interface.state.word().map(|word| format!(" {word}")).unwrap_or_default();
    let note = interface.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    let mut lines = vec![format!("{}{note}{state}", interface.name)];
    lines.extend(interface.addresses.iter().map(ToString::to_string));
    lines.extend(interface.master.iter().map(|master| format!("in {master}")));
    lines
}

fn rows(scene: &Scene<'_>, at: usize) -> Vec<Row> {
    let machine = match scene.boxes[at] {
        Kind::Machine(machine) => machine,
        Kind::Switch(machine, bridge) => return vec![Row::Title(bridge.name.clone()), Row::Faint(format!("in {}", machine.name))],
    };
    let mut rows = vec![Row::Title(machine.name.clone())];
    rows.extend(machine.foreign.then(|| Row::Faint("another namespace".to_owned())));
    rows.extend(badges(machine));
    let lo = machine.interface("lo").filter(|lo| !lo.addresses.is_empty());
    rows.extend(lo.into_iter().chain(scene.idle(at)).map(|interface| Row::Interface(idle_line(interface), interface.state)));
    rows.extend(few(machine.routes.iter().map(|route| Row::Route(route.to_string())).collect(), "routes"));
    rows.extend(few(machine.listeners.iter().map(|listener| Row::Listener(listener.to_string())).collect(), "listeners"));
    for (interface, text) in scene.topology.marks_on(&machine.name) {
        let place = interface.map(|name| format!("{name}: ")).unwrap_or_default();
        rows.extend(wrapped(&format!("✕ {place}{text}")).into_iter().map(Row::Mark));
    }
    rows
}

fn idle_line(interface: &Interface) -> String {
    let addresses = interface.addresses.iter().map(ToString::to_string);
    let note = interface.note.iter().map(|note| format!("({note})"));
    let on = interface.on.iter().map(|on| format!("on {on}"));
    let master = interface.master.iter().map(|master| format!("in {master}"));
    let state = interface.state.word().map(str::to_owned);
    let words: Vec<_> = std::iter::once(interface.name.clone()).chain(note).chain(on).chain(master).chain(addresses).chain(state).collect();
    words.join(" ")
}

fn badges(machine: &Machine) -> Vec<Row> {
    let mut lines: Vec<Vec<(f64, f64, String, Tone)>> = Vec::new();
    let mut x = 0.0;
    for (text, tone) in machine.badges() {
        let width = text.chars().count() as f64 * SANS + 12.0;
        if lines.is_empty() || x + width > BADGES_WIDEST {
            lines.push(Vec::new());
            x = 0.0;
        }
        lines.last_mut().into_iter().for_each(|line| line.push((x, width, text.clone(), tone)));
        x += width + BADGE_GAP;
    }
    lines.into_iter().map(Row::Badges).collect()
}

/// The first of many, and how many more there are.
fn few(mut rows: Vec<Row>, what: &str) -> Vec<Row> {
    if rows.len() > MOST_LINES {
        let more = rows.len() - MOST_LINES + 1;
        rows.truncate(MOST_LINES - 1);
        rows.push(Row::Faint(format!("and {more} more {what}")));
    }
    rows
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < MARK_WIDEST => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

impl Row {
    fn width(&self) -> f64 {
        match self {
            Self::Title(text) => text.chars().count() as f64 * BOLD,
            Self::Badges(badges) => badges.last().map_or(0.0, |(x, width, ..)| x + width),
            Self::Listener(text) => text_width(text) + 12.0,
            Self::Faint(text) | Self::Route(text) | Self::Interface(text, _) | Self::Mark(text) => text_width(text),
        }
    }

    fn height(&self) -> f64 {
        match self {
            Self::Title(_) => TITLE,
            Self::Badges(_) => BADGES,
            _ => LINE,
        }
    }
}

/// The width of a line in the small type.
pub(in super::super) fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * MONO
}
