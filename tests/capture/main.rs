//! What taps see, what they lose, and that others read it the same way.

mod files;
mod kinds;
mod lab;
mod losses;
mod stopping;
mod wire;
