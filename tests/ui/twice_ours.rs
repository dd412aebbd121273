//! The attribute twice.

#[netlab::test]
#[netlab::test(timeout = "1s")]
fn ours_twice() {}

fn main() {}
