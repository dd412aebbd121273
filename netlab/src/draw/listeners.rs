//! Who waits for packets or connections, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::model::Listener;
use crate::netns::Netns;
use crate::serve;
use crate::sockets::Waiting;

/// The port of Linux's VXLAN where none is given, and the registered one (RFC 7348).
const VXLAN_PORTS: [u16; 2] = [8472, 4789];

/// Gives the sockets the names of those who have them. The kernel's own, which receive for a VXLAN device, are left out.
pub(super) fn named(netns: &Netns, sockets: Vec<Waiting>, has_vxlan: bool) -> Vec<Listener> {
    let programs = if sockets.is_empty() { BTreeMap::new() } else { programs() };
    let listener = |socket: Waiting| {
        let Waiting { udp, address, inode } = socket;
        let responder = serve::name_at(netns, udp, address);
        let program = programs.get(&inode);
        let kernel = has_vxlan && udp && program.is_none() && VXLAN_PORTS.contains(&address.port());
        let name = responder.or_else(|| program.cloned().flatten());
        (!kernel).then_some(Listener { udp, address, name })
    };
    let all: BTreeSet<_> = sockets.into_iter().filter_map(listener).collect();
    all.into_iter().collect()
}

/// The names of the programs by the sockets that they have open; none for this one's.
fn programs() -> BTreeMap<u64, Option<String>> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut programs = BTreeMap::new();
    for id in numbers {
        let name = (id != std::process::id()).then(|| fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default().trim().to_owned());
        let files = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
        let sockets = files.filter_map(|file| socket(&fs::read_link(file.path()).ok()?.to_string_lossy()));
        programs.extend(sockets.map(|inode| (inode, name.clone())));
    }
    programs
}

/// `socket:[20373]`.
fn socket(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}
