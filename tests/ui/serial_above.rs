//! A lock taken in the wrong process.

#[serial_test::serial]
#[netlab::test]
fn serial() {}

fn main() {}
