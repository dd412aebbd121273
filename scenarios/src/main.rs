//! The tour of the tutorials.
fn main() {}
