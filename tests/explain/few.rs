//! Some of the random networks that `cargo bench -p netlab-tests --bench explain` plays by the thousand: faulty ones, and healthy ones.

use rstest::rstest;

use crate::random::{Case, Verdict};

/// How many healthy networks.
const HEALTHY: u64 = 4;

/// Every fourth kind of fault, two kinds a test, so that they run side by side.
#[rstest]
#[netlab::test]
fn a_fault_in_a_random_network_is_named_at_its_machine(#[values(2, 10, 18, 26, 34, 42)] first: u64) {
    right([first, first + 4].into_iter().map(Case::faulty));
}

#[netlab::test]
fn healthy_random_networks_are_not_accused() {
    right((0..HEALTHY).map(Case::healthy));
}

fn right(cases: impl Iterator<Item = Case>) {
    let wrong = |case: Case| match case.run() {
        Verdict::Said(said) if said.right[0] => None,
        Verdict::Said(said) => Some(format!("{case:?}: {}", said.text)),
        Verdict::ThrownAway(why) => Some(format!("{case:?} proves nothing: {why}")),
    };
    let wrong: Vec<_> = cases.filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
