//! The fence: everything that talks to the kernel, and the only place where `unsafe` and Linux-only code live.
//!
//! Nothing here knows a fixture. Functions return `io::Error`, or [`Refusal`] where the kernel explains itself.
//!
//! # Safety
//!
//! The modules below move only threads that they made themselves, own the descriptors that they open, and touch no memory but their own.
#![allow(unsafe_code)]

mod kind;
mod refusal;
pub(crate) mod traffic;
pub use kind::Namespace;
pub(crate) use kind::{Capability, Root};
pub(crate) use refusal::Refusal;

#[cfg(target_os = "linux")]
pub(crate) mod around;
#[cfg(target_os = "linux")]
pub(crate) mod backlog;
#[cfg(target_os = "linux")]
pub(crate) mod channel;
#[cfg(target_os = "linux")]
pub(crate) mod child;
#[cfg(target_os = "linux")]
pub(crate) mod feature;
#[cfg(target_os = "linux")]
pub(crate) mod hang;
#[cfg(target_os = "linux")]
pub(crate) mod machine;
#[cfg(target_os = "linux")]
pub(crate) mod mounts;
#[cfg(target_os = "linux")]
pub(crate) mod namespace;
#[cfg(target_os = "linux")]
pub(crate) mod netlink;
#[cfg(target_os = "linux")]
pub(crate) mod packet;
#[cfg(target_os = "linux")]
pub(crate) mod plate;
#[cfg(target_os = "linux")]
pub(crate) mod poll;
#[cfg(target_os = "linux")]
pub(crate) mod proc;
#[cfg(target_os = "linux")]
pub(crate) mod process;
#[cfg(target_os = "linux")]
pub(crate) mod socket;
#[cfg(target_os = "linux")]
pub(crate) mod sysctl;
#[cfg(target_os = "linux")]
pub(crate) mod tun;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{around, backlog, child, mounts, namespace, netlink, packet, plate, poll, socket, sysctl, tun};

use std::sync::atomic::{AtomicBool, Ordering};

static MACHINE: AtomicBool = AtomicBool::new(false);

/// Whether this process is in a machine that netlab made, whose namespaces nobody else uses.
pub(crate) fn machine_is_ours() -> bool {
    MACHINE.load(Ordering::Relaxed)
}

/// Said once by the process that has just entered a fresh machine.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) fn declare_machine_ours() {
    MACHINE.store(true, Ordering::Relaxed);
}
