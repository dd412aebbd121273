//! `Netns::explain`: each cause of death by its name, and no accusation of the healthy.
//!
//! Each test builds a network that works and shows that it is not accused; then it makes the one fault, and shows what the text says.

mod errors;
mod filters;
mod healthy;
mod hosts;
mod lab;
mod nat;
mod routes;
mod segments;
mod v6;
