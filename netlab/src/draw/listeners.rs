//! Who waits for packets or connections, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use once_cell::sync::OnceCell;

use super::model::Listener;
use crate::netns::Netns;
use crate::serve;
use crate::sockets::{self, Listening, UDP};

/// The port of Linux's VXLAN where none is given, and the registered one (RFC 7348).
const VXLAN_PORTS: [u16; 2] = [8472, 4789];

/// The programs by the sockets that they have open, looked up once, by whoever asks first.
#[derive(Default)]
pub(super) struct Programs(OnceCell<BTreeMap<u32, Option<String>>>);

/// Who listens in a machine. The kernel's own sockets, which receive for a VXLAN device, are left out.
pub(super) fn listeners(netns: &Netns, programs: &Programs, has_vxlan: bool) -> Vec<Listener> {
    let listener = |socket: Listening| {
        let Listening { protocol, address, inode, .. } = socket;
        let udp = protocol == UDP;
        let responder = serve::name_at(netns, udp, address);
        let program = || programs.0.get_or_init(open_sockets).get(&inode);
        let kernel = has_vxlan && udp && responder.is_none() && VXLAN_PORTS.contains(&address.port()) && program().is_none();
        let name = responder.or_else(|| program().cloned().flatten());
        (!kernel).then_some(Listener { udp, address, name })
    };
    let all: BTreeSet<_> = sockets::listening(netns).into_iter().filter_map(listener).collect();
    all.into_iter().collect()
}

/// The names of the programs by the sockets that they have open; none for this one's.
fn open_sockets() -> BTreeMap<u32, Option<String>> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut programs = BTreeMap::new();
    for id in numbers {
        let name = (id != std::process::id()).then(|| fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default().trim().to_owned());
        let files = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
        let sockets = files.filter_map(|file| inode(&fs::read_link(file.path()).ok()?.to_string_lossy()));
        programs.extend(sockets.map(|inode| (inode, name.clone())));
    }
    programs
}

/// `socket:[20373]`.
fn inode(target: &str) -> Option<u32> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}
