//! Where everything goes: boxes in rows, wires in the channels between the rows, at right angles.
//!
//! The rows are distances from the machine to which most others send what they have no other route for. All members of a wire are then in the
//! same row or in rows next to each other, so that a wire needs one channel; unless a long row was broken into several.

mod block;
mod measure;
mod place;
mod rank;
mod route;

use self::block::Block;
pub(super) use self::measure::{Body, Pin, Row, Side};
pub(super) use self::route::{Shape, Stroke};
use super::scene::{Scene, Wire};

/// Around the drawing, and between its unconnected parts.
const MARGIN: f64 = 24.0;
const APART: f64 = 48.0;
/// Rows are broken where they become wider.
const WIDEST: f64 = 1360.0;

/// The drawing, in CSS pixels.
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    /// As many as the scene has boxes, and in their order.
    pub(super) boxes: Vec<Placed>,
    pub(super) strokes: Vec<Stroke>,
}

/// A box and its place.
#[derive(Debug, Clone, Default)]
pub(super) struct Placed {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) body: Body,
}

impl Layout {
    pub(super) fn of(scene: &Scene<'_>) -> Self {
        let blocks: Vec<_> = rank::components(scene).into_iter().map(|members| Block::of(scene, &members)).collect();
        let widest = blocks.iter().map(|block| block.width).fold(WIDEST, f64::max);
        let mut layout = Self { width: 0.0, height: 0.0, boxes: vec![Placed::default(); scene.boxes.len()], strokes: Vec::new() };
        let (mut x, mut y, mut tallest) = (MARGIN, MARGIN, 0.0_f64);
        for block in blocks {
            if x > MARGIN && x + block.width > widest + MARGIN {
                (x, y, tallest) = (MARGIN, y + tallest + APART, 0.0);
            }
            let (width, height) = (block.width, block.height);
            layout.take(block, x, y);
            x += width + APART;
            tallest = tallest.max(height);
        }
        layout
    }

    fn take(&mut self, block: Block, x: f64, y: f64) {
        self.width = self.width.max(x + block.width + MARGIN);
        self.height = self.height.max(y + block.height + MARGIN);
        for (at, placed) in block.boxes {
            self.boxes[at] = Placed { x: placed.x + x, y: placed.y + y, ..placed };
        }
        self.strokes.extend(block.strokes.into_iter().map(|stroke| stroke.moved(x, y)));
    }
}

/// By box: how many wires it is below those at the top.
pub(super) fn rows(scene: &Scene<'_>) -> Vec<usize> {
    let mut rows = vec![0; scene.boxes.len()];
    for members in rank::components(scene) {
        let distance = rank::distances(scene, &rank::roots(scene, &members));
        distance.into_iter().for_each(|(at, row)| rows[at] = row);
    }
    rows
}

/// The rows that the ends of a wire are in, from the first to the last.
fn span(wire: &Wire<'_>, row: impl Fn(usize) -> usize) -> (usize, usize) {
    let rows = wire.ends.iter().map(|tap| row(tap.at));
    rows.fold((usize::MAX, 0), |(first, last), row| (first.min(row), last.max(row)))
}
