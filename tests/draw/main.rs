//! Drawings of labs: what is in them is what the kernel has, and they can be read.

mod effects;
mod labs;
mod picture;
mod sequence;
mod shape;
mod snapshots;
