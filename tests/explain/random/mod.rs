//! Random networks with one fault each, and without: is the explanation right?
//!
//! `cargo bench -p netlab-tests --bench explain` measures it over many; a test holds it over few.

mod case;
mod dice;
mod faults;
mod firewall;
mod lab;
mod plan;

pub(crate) use case::{Case, Said, Verdict};
pub(crate) use faults::FAULTS;
