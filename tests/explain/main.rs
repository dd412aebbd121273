//! `Netns::explain`: each cause of death by its name, and no accusation of the healthy.

mod healthy;
