//! Pictures of the lab: its topology as the kernel has it, as SVG, mermaid or DOT, and what packets did, as a mermaid sequence diagram.
//!
//! ```no_run
//! # fn main() -> netlab::Result<()> {
//! use netlab::draw::Topology;
//!
//! let topology = Topology::current()?;
//! std::fs::write("topology.svg", topology.svg()).expect("a place to write to");
//! println!("```mermaid\n{}```", topology.mermaid());
//! # Ok(()) }
//! ```
//!
//! What is drawn is asked of the kernel: machines, bridges with their ports, cables with the names of both ends, addresses, routes that
//! somebody set, how many rules there are and which policies drop, who listens. What is down is red. The same state gives the same picture,
//! to the byte.

mod dot;
mod kernel;
mod layout;
mod listeners;
mod mermaid;
mod model;
mod scene;
mod sequence;
mod svg;

pub use model::{Cable, CableKind, End, Interface, LinkState, Listener, Machine, Mark, Route, RuleCount, Topology};
pub use sequence::sequence;
