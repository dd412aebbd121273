//! Real Linux networks for `cargo test`.

mod error;
mod sys;
mod teardown;

pub use error::{Error, Result};
