//! What a failing test leaves behind.
//!
//! The tests that fail are in `victims`; this binary runs itself with them, as a child, and looks at what they leave.

mod child;
mod folder;
mod github;
mod pause;
mod repro;
mod victims;
