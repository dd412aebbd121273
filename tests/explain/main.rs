//! `Netns::explain`: each cause of death by its name, and no accusation of the healthy.
//!
//! Each test builds a network that works and shows that it is not accused; then it makes the one fault, and shows what the text says.

mod errors;
mod few;
mod filters;
mod healthy;
mod hosts;
mod lab;
mod nat;
#[allow(dead_code, unused_imports, reason = "the benchmark uses more of it")]
mod random;
mod routes;
mod segments;
mod v6;
