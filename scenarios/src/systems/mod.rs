//! The systems that the tutorials name, each built from fixtures as a user would build it, with what makes it that system.
//!
//! Nothing of one is left for the next: each has a machine of its own. Where the kernel lacks what a system is made of, the tour says so,
//! with the kernel's own words; where the machine lacks a program, how to install it.
#![doc = include_str!("stages.md")]

mod bgp;
mod calico;
mod containers;
mod docker;
mod flannel;
mod forwarder;
mod hypervisor;
mod ipvs;
mod kube_nft;
mod kubernetes;
mod lan;
mod nodes;
mod overlay;
mod policy;
mod published;
mod routed;
mod subnets;

use crate::stage::Document;
use crate::world::World;

/// The collection.
pub const DOCUMENT: Document = Document {
    id: "systems",
    title: "The systems that the tutorials name",
    start: World::new,
    parts: &[
        docker::SYSTEMS,
        published::SYSTEMS,
        overlay::SYSTEMS,
        flannel::SYSTEMS,
        routed::SYSTEMS,
        subnets::SYSTEMS,
        calico::SYSTEMS,
        bgp::SYSTEMS,
        kubernetes::SYSTEMS,
        kube_nft::SYSTEMS,
        ipvs::SYSTEMS,
        policy::SYSTEMS,
        containers::SYSTEMS,
        lan::SYSTEMS,
    ],
};
