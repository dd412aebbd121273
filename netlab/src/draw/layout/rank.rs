//! Which row each box is in, and which comes first in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::scene::{Kind, Scene, Wire, WireKind};
use super::{WIDEST, place};

/// What the rows are made of.
pub(super) struct Ranks {
    /// By box: its row.
    pub(super) row: BTreeMap<usize, usize>,
    /// By box: where it comes among all, from left to right.
    pub(super) order: BTreeMap<usize, usize>,
}

/// The boxes that are connected, in the order of the scene: the largest part first.
pub(super) fn components(scene: &Scene<'_>) -> Vec<Vec<usize>> {
    let mut left: BTreeSet<usize> = (0..scene.boxes.len()).collect();
    let mut parts = Vec::new();
    while let Some(first) = left.pop_first() {
        let part: Vec<_> = distances(scene, &[first]).into_keys().collect();
        left.retain(|at| !part.contains(at));
        parts.push(part);
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts
}

/// How many wires away each box is that can be reached from one of those.
pub(super) fn distances(scene: &Scene<'_>, from: &[usize]) -> BTreeMap<usize, usize> {
    let mut far: BTreeMap<_, _> = from.iter().map(|at| (*at, 0)).collect();
    let mut queue: VecDeque<_> = from.iter().copied().collect();
    while let Some(at) = queue.pop_front() {
        for (_, next) in neighbours(scene, at) {
            if !far.contains_key(&next) {
                far.insert(next, far[&at] + 1);
                queue.push_back(next);
            }
        }
    }
    far
}

/// The boxes on the wires of a box, wire by wire.
fn neighbours<'a>(scene: &'a Scene<'_>, at: usize) -> impl Iterator<Item = (usize, usize)> + 'a {
    let wires = scene.wires.iter().enumerate().filter(move |(_, wire)| wire.ends.iter().any(|tap| tap.at == at));
    wires.flat_map(move |(number, wire)| wire.ends.iter().filter(move |tap| tap.at != at).map(move |tap| (number, tap.at)))
}

/// The boxes from which the rows are counted: whom most others send to for want of another route, else whoever has the bridge with most
/// ports; where all are alike, all that are on the longest wire.
pub(super) fn roots(scene: &Scene<'_>, members: &[usize]) -> Vec<usize> {
    let mut clients: BTreeMap<usize, usize> = BTreeMap::new();
    for &at in members {
        let mut seen = BTreeSet::from([at]);
        let mut next = gateway(scene, at);
        while let Some(above) = next.filter(|above| seen.insert(*above)) {
            *clients.entry(above).or_default() += 1;
            next = gateway(scene, above);
        }
    }
    let owned = |at: usize| {
        let own =
            |wire: &&Wire<'_>| matches!(wire.kind, WireKind::Bridge(..)) && wire.ends.iter().any(|tap| tap.at == at && tap.port.is_none());
        scene.wires.iter().filter(own).map(|wire| wire.ends.len()).sum::<usize>()
    };
    let rank = |at: usize| (clients.get(&at).copied().unwrap_or(0), owned(at), neighbours(scene, at).count());
    let best = members.iter().copied().max_by_key(|&at| (rank(at), std::cmp::Reverse(at)));
    let longest =
        scene.wires.iter().filter(|wire| wire.ends.iter().any(|tap| members.contains(&tap.at))).max_by_key(|wire| wire.ends.len());
    match (best, longest) {
        (Some(best), Some(wire)) if wire.ends.len() > 2 && rank(best).0 + rank(best).1 == 0 => {
            let all: BTreeSet<_> = wire.ends.iter().map(|tap| tap.at).collect();
            all.into_iter().collect()
        }
        (best, _) => best.into_iter().collect(),
    }
}

/// The box of the machine that is the default gateway; one on a common wire if several have its address.
fn gateway(scene: &Scene<'_>, at: usize) -> Option<usize> {
    let Kind::Machine(machine) = scene.boxes[at] else { return None };
    let default = machine.routes.iter().find(|route| route.to.prefix_len() == 0 && route.ends.is_none())?;
    let ip = default.via.iter().find_map(|(via, _)| *via)?;
    let has = |at: &usize| matches!(scene.boxes[*at], Kind::Machine(machine) if machine.has_address(ip));
    let near = neighbours(scene, at).map(|(_, next)| next).find(has);
    near.or_else(|| (0..scene.boxes.len()).filter(|other| *other != at).find(has))
}

impl Ranks {
    /// Rows by distance from the root; a row that is too wide becomes several.
    pub(super) fn of(scene: &Scene<'_>, members: &[usize], width: impl Fn(usize) -> f64) -> Self {
        let roots = roots(scene, members);
        let distance = distances(scene, &roots);
        let tree = Tree::of(scene, &roots, &distance);
        let mut ranks = Self { row: BTreeMap::new(), order: tree.order() };
        let mut above = 0;
        for rank in 0.. {
            let here: Vec<_> = tree.order.iter().copied().filter(|at| distance[at] == rank).collect();
            if here.is_empty() {
                break;
            }
            let wide: f64 = here.iter().map(|&at| width(at) + place::GAP).sum();
            let rows = (wide / WIDEST).ceil().max(1.0) as usize;
            tree.fold(&here, rows, |at, row| ranks.row.extend([(at, above + row)]));
            above += rows;
        }
        ranks.close_gaps();
        ranks
    }

    /// Rows that got no box are left out.
    fn close_gaps(&mut self) {
        let used: BTreeSet<_> = self.row.values().copied().collect();
        for row in self.row.values_mut() {
            *row = used.range(..*row).count();
        }
    }
}

/// Who was reached through whom.
struct Tree {
    /// By box: the box and the wire through which it was reached.
    above: BTreeMap<usize, (usize, usize)>,
    /// By box: whether the wire through which it was reached is a bridge.
    by_bridge: BTreeSet<usize>,
    /// Depth first, so that who hangs on the same box stays together.
    order: Vec<usize>,
}

impl Tree {
    fn of(scene: &Scene<'_>, roots: &[usize], distance: &BTreeMap<usize, usize>) -> Self {
        let mut tree = Self { above: BTreeMap::new(), by_bridge: BTreeSet::new(), order: Vec::new() };
        let mut ranked: Vec<_> = distance.iter().map(|(at, distance)| (*distance, *at)).collect();
        ranked.sort_unstable();
        for (far, at) in ranked {
            for (wire, next) in neighbours(scene, at) {
                if distance[&next] == far + 1 && !tree.above.contains_key(&next) {
                    tree.above.insert(next, (at, wire));
                    if matches!(scene.wires[wire].kind, WireKind::Bridge(..)) {
                        tree.by_bridge.insert(next);
                    }
                }
            }
        }
        let mut stack: Vec<_> = roots.iter().rev().copied().collect();
        while let Some(at) = stack.pop() {
            tree.order.push(at);
            let mut below: Vec<_> =
                tree.above.iter().filter(|(_, (above, _))| *above == at).map(|(next, (_, wire))| (*wire, *next)).collect();
            below.sort_unstable();
            stack.extend(below.into_iter().rev().map(|(_, next)| next));
        }
        tree
    }

    fn order(&self) -> BTreeMap<usize, usize> {
        self.order.iter().enumerate().map(|(place, at)| (*at, place)).collect()
    }

    /// Spreads boxes over so many rows: those with others below them come last, the rest in equal parts of what hangs together.
    fn fold(&self, here: &[usize], rows: usize, mut put: impl FnMut(usize, usize)) {
        let has_below = |at: usize| self.above.values().any(|(above, _)| *above == at);
        let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for &at in here {
            if rows == 1 || has_below(at) {
                put(at, rows - 1);
            } else {
                let above = self.above.get(&at).copied();
                let bridge = above.is_none() || self.by_bridge.contains(&at);
                groups.entry((above.map(|(above, _)| above), bridge.then_some(above.map(|(_, wire)| wire)))).or_default().push(at);
            }
        }
        for ((_, bridge), group) in groups {
            let each = group.len().div_ceil(rows);
            for (place, at) in group.into_iter().enumerate() {
                // On a bridge one reads row by row; single cables come down between the boxes of the rows above.
                put(at, if bridge.is_some() { place / each } else { place % rows });
            }
        }
    }
}
