//! Container-networking tutorials as executable assertion suites.
//!
//! A tutorial is a [`Document`]; each of its stages is a [`Stage`]: what the text says, what a real kernel does, the state change (as
//! commands and as netlab fixtures), and checks that hold the claim and its negation against the kernel. A stage's test builds the state of
//! the stages before it by their changes, shows that the claim does not hold yet, makes its own change and checks the claim. Every stage
//! runs in a machine of its own, as a test (`cargo test -p scenarios`) and in the tour (`cargo run`).
//!
//! | tutorial | |
//! |---|---|
//! | [`doc_000`] | two HTTP servers, a network namespace and a cable between them |
//! | [`doc_001`] | containers from scratch: a bridge, two nodes, and Calico's way |
//! | [`doc_002`] | Docker's bridges and containers, and a network like theirs made by hand |
//! | [`doc_003`] | published ports, localhost, and a service with an address of its own |
//! | [`doc_004`] | pods, and the network between those of two nodes |
//! | [`systems`] | the systems that the tutorials name, each on its own |

mod ask;
mod bird;
mod chance;
mod container;
mod dns;
pub mod doc_000;
pub mod doc_001;
pub mod doc_002;
pub mod doc_003;
pub mod doc_004;
mod error;
mod etc;
mod image;
mod ip_netns;
mod play;
mod registry;
mod stage;
mod story;
pub mod systems;
mod table;
pub mod toolbox;
mod wire;
mod world;

pub use ask::counter;
pub use error::{Error, Result};
pub use play::{Outcome, Phase, Played, Way, play, rehearse, test, walk, world_after};
pub use registry::{DOCUMENTS, Selection, find_stage, markdown, near, section, select};
pub use stage::{Cause, Document, Stage, Verdict};
pub use story::{Check, Role, Story};
pub use world::World;
