//! The code of the guide, docs/guide, as tests; and the guide, whose code is theirs.
//!
//! What stands between `// ANCHOR: name` and `// ANCHOR_END: name` is shown by a chapter, letter by letter.

mod async_code;
mod chapters;
mod coming_from;
mod failures;
mod first_test;
mod fixtures;
mod matrices;
mod nat;
mod scenario;
mod snapshots;
