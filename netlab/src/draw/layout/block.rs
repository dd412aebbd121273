//! One connected part of the lab: rows of boxes, and the channels of wires between them.

use std::collections::BTreeMap;

use super::super::scene::{Scene, Wire};
use super::measure::{Body, Pin, Side};
use super::place::{Item, PASS_WIDTH, What, settle};
use super::rank::Ranks;
use super::route::{self, Stroke};
use super::{Placed, span};

/// How often the rows are brought nearer to each other.
const ROUNDS: usize = 12;

pub(super) struct Block {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) boxes: Vec<(usize, Placed)>,
    pub(super) strokes: Vec<Stroke>,
}

/// The rows while boxes move in them.
pub(super) struct Grid<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) rows: Vec<Vec<Item>>,
    pub(super) bodies: BTreeMap<usize, Body>,
    row: BTreeMap<usize, usize>,
    /// The wires of this part.
    pub(super) wires: Vec<usize>,
}

impl Block {
    pub(super) fn of(scene: &Scene<'_>, members: &[usize]) -> Self {
        let mut grid = Grid::of(scene, members);
        grid.arrange();
        route::draw(grid)
    }
}

impl<'a> Grid<'a> {
    fn of(scene: &'a Scene<'a>, members: &[usize]) -> Self {
        let wires = (0..scene.wires.len()).filter(|wire| scene.wires[*wire].ends.iter().any(|tap| members.contains(&tap.at))).collect();
        // How wide a box is depends on where its wires leave it, which depends on the rows: first as if all were below.
        let rough = |at| Body::of(scene, at, |_| Side::Bottom).width;
        let Ranks { row, order } = Ranks::of(scene, members, rough);
        let mut grid = Self { scene, rows: Vec::new(), bodies: BTreeMap::new(), row, wires };
        for &at in members {
            let body = Body::of(scene, at, |wire| grid.side(wire, at));
            grid.bodies.insert(at, body);
        }
        grid.fill(&order);
        grid
    }

    pub(super) fn span(&self, wire: usize) -> (usize, usize) {
        span(self.wire(wire), |at| self.row[&at])
    }

    pub(super) fn wire(&self, wire: usize) -> &'a Wire<'a> {
        &self.scene.wires[wire]
    }

    /// Wires leave the boxes of their first row downwards, and come to all others from above.
    fn side(&self, wire: usize, at: usize) -> Side {
        if self.row[&at] == self.span(wire).0 { Side::Bottom } else { Side::Top }
    }

    fn fill(&mut self, order: &BTreeMap<usize, usize>) {
        let count = self.row.values().max().map_or(0, |last| last + 1);
        let mut rows: Vec<Vec<(f64, Item)>> = vec![Vec::new(); count];
        for (&at, &row) in &self.row {
            rows[row].push((order[&at] as f64, Item { what: What::Box(at), width: self.bodies[&at].width, x: 0.0 }));
        }
        for &wire in &self.wires {
            let (first, last) = self.span(wire);
            for (row, items) in rows.iter_mut().enumerate().take(last).skip(first + 1) {
                // To the left of all that it goes to: the rows of a bridge look like a comb.
                let below = self.wire(wire).ends.iter().filter(|tap| self.row[&tap.at] >= row).map(|tap| order[&tap.at]);
                let key = below.min().unwrap_or(0) as f64 - 0.5;
                items.push((key, Item { what: What::Pass(wire), width: PASS_WIDTH, x: 0.0 }));
            }
        }
        let sorted = |mut row: Vec<(f64, Item)>| {
            row.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            row.into_iter().map(|(_, item)| item).collect()
        };
        self.rows = rows.into_iter().map(sorted).collect();
    }

    fn arrange(&mut self) {
        for row in &mut self.rows {
            let wanted = vec![0.0; row.len()];
            settle(row, &wanted);
        }
        for _ in 0..ROUNDS {
            self.sort_pins();
            for row in 1..self.rows.len() {
                self.pull(row, Self::below_what);
            }
            for row in (0..self.rows.len()).rev() {
                self.pull(row, Self::above_what);
            }
        }
        self.sort_pins();
        self.rows.iter_mut().flatten().for_each(|item| item.x = item.x.round());
    }

    fn pull(&mut self, row: usize, wish: impl Fn(&Self, &Item) -> Option<f64>) {
        let wanted: Vec<_> = self.rows[row].iter().map(|item| wish(self, item).unwrap_or(item.x)).collect();
        settle(&mut self.rows[row], &wanted);
    }

    /// Where an item wants to be for the sake of what is above it.
    fn below_what(&self, item: &Item) -> Option<f64> {
        match item.what {
            What::Pass(wire) => self.pass_above(wire, item).or_else(|| self.anchor(wire)),
            What::Box(at) => mean(self.pins(at, Side::Top).map(|(wire, offset)| self.above(at, wire).map(|x| x - offset))),
        }
    }

    /// Where the same wire passes the row above.
    fn pass_above(&self, wire: usize, item: &Item) -> Option<f64> {
        let row = self.rows.iter().position(|row| row.iter().any(|other| std::ptr::eq(other, item)))?;
        self.pass(row.checked_sub(1)?, wire)
    }

    fn pass(&self, row: usize, wire: usize) -> Option<f64> {
        self.rows[row].iter().find(|item| item.what == What::Pass(wire)).map(|item| item.x)
    }

    /// What a wire has above a box: on a bridge of several rows, the box at the same place in the row above; else its ends in its first row.
    fn above(&self, at: usize, wire: usize) -> Option<f64> {
        let row = self.row[&at];
        let pass = row.checked_sub(1).and_then(|above| self.pass(above, wire));
        let column = || {
            let members = |row: usize| {
                let on_wire = |at: &usize| self.wire(wire).ends.iter().any(|tap| tap.at == *at);
                let boxes = self.rows[row].iter().filter_map(|item| if let What::Box(at) = item.what { Some(at) } else { None });
                boxes.filter(on_wire).collect::<Vec<_>>()
            };
            let place = members(row).iter().position(|other| *other == at)?;
            members(row.checked_sub(1)?).get(place).map(|above| self.x(*above))
        };
        match (pass, self.wire(wire).ends.len()) {
            (Some(x), 2) => Some(x),
            (Some(_), _) => column().or_else(|| self.anchor(wire)),
            (None, _) if self.span(wire).0 + 1 < row => column().or_else(|| self.anchor(wire)),
            (None, _) => self.anchor(wire),
        }
    }

    /// Where a box wants to be for the sake of what is below it.
    fn above_what(&self, item: &Item) -> Option<f64> {
        let What::Box(at) = item.what else { return None };
        mean(self.pins(at, Side::Bottom).map(|(wire, offset)| self.middle(wire).map(|x| x - offset)))
    }

    /// The wires of one side of a box, each with the distance of its pin from the middle.
    fn pins(&self, at: usize, side: Side) -> impl Iterator<Item = (usize, f64)> {
        let body = &self.bodies[&at];
        let pins = body.pins.iter().filter(move |pin| pin.side == side);
        pins.flat_map(move |pin| pin.wires.iter().map(move |wire| (*wire, pin.x - body.width / 2.0)))
    }

    /// The middle of the ends of a wire in its first row.
    fn anchor(&self, wire: usize) -> Option<f64> {
        mean(self.pins_of(wire, Side::Bottom).into_iter().map(Some))
    }

    /// The middle between the leftmost and the rightmost of its other ends.
    fn middle(&self, wire: usize) -> Option<f64> {
        let ends = self.pins_of(wire, Side::Top);
        let (least, most) = ends.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), x| (least.min(*x), most.max(*x)));
        (least <= most).then_some((least + most) / 2.0)
    }

    fn pins_of(&self, wire: usize, side: Side) -> Vec<f64> {
        let row = |row: usize| self.ends_in(wire, row, side);
        (0..self.rows.len()).flat_map(row).map(|(x, _)| x).collect()
    }

    /// Where the ends of a wire in a row are, by the middles of their pins, and which of its ends.
    pub(super) fn ends_in(&self, wire: usize, row: usize, side: Side) -> Vec<(f64, usize)> {
        let ends = self.wire(wire).ends.iter().enumerate().filter(|(_, tap)| self.row[&tap.at] == row);
        ends.filter_map(|(number, tap)| {
            let body = &self.bodies[&tap.at];
            let pin = body.pins.iter().find(|pin| pin.side == side && pin.interface == tap.interface && pin.wires.contains(&wire))?;
            Some(((self.x(tap.at) - body.width / 2.0).round() + pin.x, number))
        })
        .collect()
    }

    /// The middle of a box.
    pub(super) fn x(&self, at: usize) -> f64 {
        self.rows[self.row[&at]].iter().find(|item| item.what == What::Box(at)).map_or(0.0, |item| item.x)
    }

    pub(super) fn row_of(&self, at: usize) -> usize {
        self.row[&at]
    }

    /// The pins of each side in the order of where their wires go in the row next to it.
    fn sort_pins(&mut self) {
        let members: Vec<_> = self.bodies.keys().copied().collect();
        for at in members {
            let row = self.row[&at];
            let keys: BTreeMap<_, _> = [Side::Top, Side::Bottom]
                .into_iter()
                .flat_map(|side| self.pins(at, side).map(move |(wire, _)| (side, wire)))
                .map(|(side, wire)| ((side, wire), self.goes(at, wire, if side == Side::Top { row.checked_sub(1) } else { Some(row + 1) })))
                .collect();
            if let Some(body) = self.bodies.get_mut(&at) {
                let key =
                    |pin: &Pin| mean(pin.wires.iter().map(|wire| keys.get(&(pin.side, *wire)).copied().flatten())).unwrap_or_default();
                body.pins.sort_by(|a, b| a.side.cmp(&b.side).then(key(a).total_cmp(&key(b))));
                body.spread();
            }
        }
    }

    /// Where a wire of a box goes in a row, or in its own where it has nothing there.
    fn goes(&self, at: usize, wire: usize, row: Option<usize>) -> Option<f64> {
        let pass = row.filter(|row| *row < self.rows.len()).and_then(|row| self.pass(row, wire));
        let ends = |row: Option<usize>| {
            let others = self.wire(wire).ends.iter().filter(move |tap| tap.at != at && row.is_none_or(|row| self.row[&tap.at] == row));
            mean(others.map(|tap| Some(self.x(tap.at))))
        };
        pass.or_else(|| ends(row)).or_else(|| ends(None))
    }
}

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = values.flatten().fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
