//! Wires in the channels between rows: each gets a track, so that no two lie on each other.

use super::super::scene::WireKind;
use super::Placed;
use super::block::{Block, Grid};
use super::measure::{Side, text_width};
use super::place::What;

/// From one track to the next.
const TRACK: f64 = 24.0;
/// Above the first track and below the last one.
const EDGE: f64 = 22.0;
/// Room for the names of ports.
const NAMES: f64 = 14.0;
/// How far apart wires on one track are at least.
const CLEAR: f64 = 14.0;
/// Closer than that, two wires that go up and down would look like one.
const TOO_CLOSE: f64 = 9.0;
/// How far a rail goes on beyond its last end.
const OVERHANG: f64 = 16.0;
const NAME_PAD: f64 = 20.0;
/// A wire that would have to swerve no more than that goes straight.
const STRAIGHT: f64 = 5.0;

/// A part of a wire that is drawn in one go.
#[derive(Debug, Clone)]
pub(in super::super) struct Stroke {
    pub(in super::super) wire: usize,
    pub(in super::super) dead: bool,
    pub(in super::super) shape: Shape,
}

#[derive(Debug, Clone)]
pub(in super::super) enum Shape {
    /// A line with round corners.
    Path(Vec<(f64, f64)>),
    /// The horizontal part of a wire with many ends: its ends, and its height.
    Rail(f64, f64, f64),
    /// From a rail up or down: its place, where it begins on the rail, where it ends.
    Drop(f64, f64, f64),
    /// From a rail to the next of the same wire.
    Trunk(f64, f64, f64),
    /// The name of a port: to the right of the place.
    Port(f64, f64, String),
    /// The name of a wire, in the middle of the place, so wide.
    Name(f64, f64, f64, String),
}

impl Stroke {
    pub(super) fn moved(mut self, dx: f64, dy: f64) -> Self {
        match &mut self.shape {
            Shape::Path(points) => points.iter_mut().for_each(|(x, y)| (*x, *y) = (*x + dx, *y + dy)),
            Shape::Rail(from, to, y) => (*from, *to, *y) = (*from + dx, *to + dx, *y + dy),
            Shape::Drop(x, from, to) | Shape::Trunk(x, from, to) => (*x, *from, *to) = (*x + dx, *from + dy, *to + dy),
            Shape::Port(x, y, _) | Shape::Name(x, y, ..) => (*x, *y) = (*x + dx, *y + dy),
        }
        self
    }
}

/// An end of a wire in a channel.
#[derive(Debug, Clone)]
struct Foot {
    x: f64,
    /// Where it ends above or below the channel.
    y: f64,
    port: Option<String>,
    dead: bool,
    /// Whether the wire goes on through the next row.
    passes: bool,
}

/// What a wire has to do with a channel.
struct Segment {
    wire: usize,
    tops: Vec<Foot>,
    bottoms: Vec<Foot>,
    from: f64,
    to: f64,
    track: usize,
    /// The name that is written on its rail, with the middle and the width of it.
    name: Option<(f64, f64, String)>,
    rail: bool,
}

/// Gives everything its height, and draws it.
pub(super) fn draw(grid: Grid<'_>) -> Block {
    let mut sheet = Sheet { grid, tops: Vec::new(), floors: Vec::new(), strokes: Vec::new() };
    let mut y = 0.0;
    for row in 0..sheet.grid.rows.len() {
        sheet.put_row(row, y);
        y = sheet.floors[row];
        let mut segments = sheet.segments(row);
        tracks(&mut segments);
        let names =
            |feet: fn(&Segment) -> &Vec<Foot>| if segments.iter().any(|s| feet(s).iter().any(|f| f.port.is_some())) { NAMES } else { 0.0 };
        let (above, below) = (names(|s| &s.tops), names(|s| &s.bottoms));
        if let Some(last) = segments.iter().map(|segment| segment.track).max() {
            let first = y + EDGE + above;
            y = first + last as f64 * TRACK + EDGE + below;
            for mut segment in segments {
                segment.bottoms.iter_mut().for_each(|foot| foot.y = y);
                let track = first + segment.track as f64 * TRACK;
                sheet.draw(segment, track);
            }
        }
    }
    sheet.finish(y)
}

struct Sheet<'a> {
    grid: Grid<'a>,
    /// By row: where it begins and ends.
    tops: Vec<f64>,
    floors: Vec<f64>,
    strokes: Vec<Stroke>,
}

impl Sheet<'_> {
    fn put_row(&mut self, row: usize, y: f64) {
        let boxes = self.grid.rows[row].iter().filter_map(|item| if let What::Box(at) = item.what { Some(at) } else { None });
        let height = boxes.map(|at| self.grid.bodies[&at].height).fold(0.0, f64::max);
        self.tops.push(y);
        self.floors.push(y + height);
        for item in &self.grid.rows[row] {
            if let What::Pass(wire) = item.what {
                let dead = self.is_dead(wire);
                let shape = if self.is_rail(wire) {
                    Shape::Trunk(item.x, y, y + height)
                } else {
                    Shape::Path(vec![(item.x, y), (item.x, y + height)])
                };
                self.strokes.push(Stroke { wire, dead, shape });
            }
        }
    }

    fn is_rail(&self, wire: usize) -> bool {
        matches!(self.grid.wire(wire).kind, WireKind::Bridge(..)) || self.grid.wire(wire).ends.len() > 2
    }

    /// A wire of two ends is dead as a whole; a bridge is not, for the sake of one of its ports.
    fn is_dead(&self, wire: usize) -> bool {
        let ends = &self.grid.wire(wire).ends;
        !ends.is_empty() && if self.is_rail(wire) { ends.iter().all(|tap| tap.dead) } else { ends.iter().any(|tap| tap.dead) }
    }

    /// Boxes of the first row stand on its floor, all others hang from their row's top.
    fn y(&self, at: usize) -> f64 {
        let row = self.grid.row_of(at);
        if row == 0 { self.floors[0] - self.grid.bodies[&at].height } else { self.tops[row] }
    }

    fn segments(&self, row: usize) -> Vec<Segment> {
        let wires = self.grid.wires.iter().copied();
        wires.filter_map(|wire| self.segment(wire, row)).collect()
    }

    fn segment(&self, wire: usize, row: usize) -> Option<Segment> {
        let (first, last) = self.grid.span(wire);
        if row < first || (row >= last && first != last) || row > last {
            return None;
        }
        let tops = if row == first { self.feet(wire, row, Side::Bottom) } else { self.passing(wire, row) };
        let mut bottoms = if first == last { Vec::new() } else { self.feet(wire, row + 1, Side::Top) };
        bottoms.extend((last > row + 1).then(|| self.passing(wire, row + 1)).into_iter().flatten());
        let (from, to) =
            tops.iter().chain(&bottoms).fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), foot| (from.min(foot.x), to.max(foot.x)));
        let mut segment = Segment { wire, tops, bottoms, from, to, track: 0, name: None, rail: self.is_rail(wire) };
        if segment.rail {
            let passes = |x: f64| segment.tops.iter().chain(&segment.bottoms).any(|foot| foot.passes && foot.x <= x);
            // A trunk is the corner of its rails.
            (segment.from, segment.to) = (if passes(from) { from } else { from - OVERHANG }, to + OVERHANG);
            self.name(&mut segment, row == first);
        }
        Some(segment)
    }

    fn feet(&self, wire: usize, row: usize, side: Side) -> Vec<Foot> {
        let ends = self.grid.ends_in(wire, row, side);
        let foot = |(x, number): (f64, usize)| {
            let tap = &self.grid.wire(wire).ends[number];
            let y = if side == Side::Bottom { self.y(tap.at) + self.grid.bodies[&tap.at].height } else { 0.0 };
            Foot { x, y, port: tap.port.clone(), dead: tap.dead, passes: false }
        };
        ends.into_iter().map(foot).collect()
    }

    fn passing(&self, wire: usize, row: usize) -> Vec<Foot> {
        let pass = self.grid.rows[row].iter().filter(|item| item.what == What::Pass(wire));
        let y = self.floors.get(row).copied().unwrap_or_default();
        pass.map(|item| Foot { x: item.x, y, port: None, dead: self.is_dead(wire), passes: true }).collect()
    }

    /// A wire whose name no box tells bears it itself: between two of its ends where there is room, else at its beginning.
    fn name(&self, segment: &mut Segment, is_first: bool) {
        let wire = self.grid.wire(segment.wire);
        let text = match wire.kind {
            WireKind::Bridge(machine, bridge) if wire.ends.iter().all(|tap| tap.port.is_some()) => {
                let state = bridge.state.word().map(|word| format!(" {word}")).unwrap_or_default();
                format!("{} in {}{state}", bridge.name, machine.name)
            }
            WireKind::Cable(_) => "overlay".to_owned(),
            WireKind::Bridge(..) => return,
        };
        if !is_first {
            return;
        }
        let width = text_width(&text) + NAME_PAD;
        let mut feet: Vec<_> = segment.tops.iter().chain(&segment.bottoms).map(|foot| foot.x).collect();
        feet.sort_by(f64::total_cmp);
        let room = feet.windows(2).find(|pair| pair[1] - pair[0] > width + 2.0 * CLEAR);
        let middle = match room {
            Some(pair) => (pair[0] + pair[1]) / 2.0,
            None => {
                segment.from -= width;
                segment.from + width / 2.0
            }
        };
        segment.name = Some((middle, width, text));
    }

    fn draw(&mut self, segment: Segment, track: f64) {
        let (wire, dead) = (segment.wire, self.is_dead(segment.wire));
        let mut stroke = |shape, dead| self.strokes.push(Stroke { wire, dead, shape });
        if !segment.rail {
            let ends: Vec<_> = segment.tops.iter().chain(&segment.bottoms).collect();
            if let [a, b] = ends.as_slice() {
                let straight = (a.x - b.x).abs() <= STRAIGHT && (a.y < track) != (b.y < track);
                let b = if straight { &Foot { x: a.x, ..(*b).clone() } } else { *b };
                stroke(Shape::Path(vec![(a.x, a.y), (a.x, track), (b.x, track), (b.x, b.y)]), dead);
            }
            return;
        }
        for foot in segment.tops.iter().chain(&segment.bottoms) {
            let shape = if foot.passes { Shape::Trunk(foot.x, track, foot.y) } else { Shape::Drop(foot.x, track, foot.y) };
            stroke(shape, foot.dead);
            if let Some(port) = &foot.port {
                let y = if foot.y > track { foot.y - 7.0 } else { foot.y + 15.0 };
                stroke(Shape::Port(foot.x + 6.0, y, port.clone()), foot.dead);
            }
        }
        // Nothing of the rail is to be seen beyond a name at its beginning.
        let named = segment.name.as_ref().filter(|(middle, width, _)| middle - width / 2.0 <= segment.from + 1.0);
        let from = named.map_or(segment.from, |(middle, ..)| *middle);
        stroke(Shape::Rail(from, segment.to, track), dead);
        if let Some((middle, width, text)) = segment.name {
            stroke(Shape::Name(middle, track, width, text), dead);
        }
    }

    fn finish(self, height: f64) -> Block {
        let place = |(&at, body): (&usize, &super::measure::Body)| {
            let x = self.grid.x(at) - body.width / 2.0;
            (at, Placed { x: x.round(), y: self.y(at), body: body.clone() })
        };
        let mut boxes: Vec<_> = self.grid.bodies.iter().map(place).collect();
        let lefts = boxes.iter().map(|(_, placed)| placed.x).chain(self.strokes.iter().map(|stroke| stroke.reach().0));
        let left = lefts.fold(f64::INFINITY, f64::min).floor();
        let rights = boxes.iter().map(|(_, placed)| placed.x + placed.body.width).chain(self.strokes.iter().map(|stroke| stroke.reach().1));
        let right = rights.fold(f64::NEG_INFINITY, f64::max).ceil();
        boxes.iter_mut().for_each(|(_, placed)| placed.x -= left);
        let strokes = self.strokes.into_iter().map(|stroke| stroke.moved(-left, 0.0)).collect();
        Block { width: right - left, height, boxes, strokes }
    }
}

impl Stroke {
    /// How far to the left and to the right it goes.
    fn reach(&self) -> (f64, f64) {
        match &self.shape {
            Shape::Path(points) => points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), (x, _)| (from.min(*x), to.max(*x))),
            Shape::Rail(from, to, _) => (*from, *to),
            Shape::Drop(x, ..) | Shape::Trunk(x, ..) => (*x, *x),
            Shape::Port(x, _, text) => (*x, x + text_width(text)),
            Shape::Name(x, _, width, _) => (x - width / 2.0, x + width / 2.0),
        }
    }
}

/// Gives each segment a track: none lies on another, a wire that comes from above does not run along one that goes down at the same place, and
/// wires that go far to one side run above those that turn down earlier, so that few cross.
fn tracks(segments: &mut [Segment]) {
    let mut order: Vec<usize> = (0..segments.len()).collect();
    let key = |segment: &Segment| {
        let middle = |feet: &[Foot]| feet.iter().map(|foot| foot.x).sum::<f64>() / feet.len().max(1) as f64;
        let leftwards = middle(&segment.bottoms) < middle(&segment.tops);
        (segment.rail, if leftwards { segment.from } else { -segment.to })
    };
    order.sort_by(|a, b| {
        let (a, b) = (key(&segments[*a]), key(&segments[*b]));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let above = |a: &Segment, b: &Segment| a.tops.iter().any(|top| b.bottoms.iter().any(|bottom| (top.x - bottom.x).abs() < TOO_CLOSE));
    let mut placed: Vec<usize> = Vec::new();
    while !order.is_empty() {
        let waits = |it: usize| order.iter().any(|other| *other != it && above(&segments[*other], &segments[it]));
        // Where each waits for another, one of them has to go on.
        let next = order.iter().position(|it| !waits(*it)).unwrap_or(0);
        let it = order.remove(next);
        let after = placed.iter().filter(|other| above(&segments[**other], &segments[it])).map(|other| segments[*other].track + 1).max();
        let taken = |track: usize| placed.iter().any(|other| segments[*other].track == track && overlap(&segments[*other], &segments[it]));
        let track = (after.unwrap_or(0)..).find(|track| !taken(*track)).unwrap_or(0);
        segments[it].track = track;
        placed.push(it);
    }
}

fn overlap(a: &Segment, b: &Segment) -> bool {
    a.from < b.to + CLEAR && b.from < a.to + CLEAR
}
