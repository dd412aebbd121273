//! Where the boxes of each row stand: as near as they can to what they are connected to, in their order and apart from each other.

/// Between two boxes, and beside a wire that passes between them.
pub(super) const GAP: f64 = 30.0;
const PASS_GAP: f64 = 16.0;
/// Of a wire that passes a row.
pub(super) const PASS_WIDTH: f64 = 4.0;

/// Something in a row.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) what: What,
    pub(super) width: f64,
    /// The middle.
    pub(super) x: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Box(usize),
    /// A wire on its way through the row.
    Pass(usize),
}

impl Item {
    fn weight(&self) -> f64 {
        if matches!(self.what, What::Box(_)) { 1.0 } else { 0.2 }
    }
}

/// How far the middles of two neighbours are apart at least.
fn apart(a: &Item, b: &Item) -> f64 {
    let boxes = matches!((a.what, b.what), (What::Box(_), What::Box(_)));
    (a.width + b.width) / 2.0 + if boxes { GAP } else { PASS_GAP }
}

/// Puts the items of a row as near as possible to where they want to be: the least squares under the order and the distances, by pooling
/// neighbours that would overlap.
pub(super) fn settle(row: &mut [Item], wanted: &[f64]) {
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(row.len());
    for (place, item) in row.iter().enumerate() {
        offset += place.checked_sub(1).map_or(0.0, |before| apart(&row[before], item));
        offsets.push(offset);
    }
    // Each pool: the sum of weights, the weighted sum of wishes, and how many there are.
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for ((item, wanted), offset) in row.iter().zip(wanted).zip(&offsets) {
        let mut pool = (item.weight(), (wanted - offset) * item.weight(), 1);
        while let Some(before) = pools.pop_if(|before| before.1 / before.0 >= pool.1 / pool.0) {
            pool = (pool.0 + before.0, pool.1 + before.1, pool.2 + before.2);
        }
        pools.push(pool);
    }
    let places = pools.into_iter().flat_map(|(weight, sum, count)| std::iter::repeat_n(sum / weight, count));
    for ((item, place), offset) in row.iter_mut().zip(places).zip(offsets) {
        item.x = place + offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_settled_keeps_its_order_and_does_not_overlap(wishes in proptest::collection::vec((-500.0..500.0, 1.0..200.0), 0..30)) {
            let item = |(_, width): &(f64, f64)| Item { what: What::Box(0), width: *width, x: 0.0 };
            let mut row: Vec<_> = wishes.iter().map(item).collect();
            settle(&mut row, &wishes.iter().map(|(wanted, _)| *wanted).collect::<Vec<_>>());
            for pair in row.windows(2) {
                prop_assert!(pair[1].x - pair[0].x >= apart(&pair[0], &pair[1]) - 1.0, "{row:?}");
            }
        }
    }

    #[test]
    fn what_has_room_is_where_it_wants_to_be() {
        let item = || Item { what: What::Box(0), width: 10.0, x: 0.0 };
        let mut row = [item(), item()];
        settle(&mut row, &[0.0, 100.0]);
        assert_eq!([row[0].x, row[1].x], [0.0, 100.0]);
        settle(&mut row, &[50.0, 50.0]);
        assert_eq!([row[0].x, row[1].x], [30.0, 70.0]);
    }
}
