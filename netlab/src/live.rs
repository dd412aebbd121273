//! The machines that are alive now: those of running and of paused tests, and of programs that [`Machine`](crate::Machine) runs.
//!
//! ```no_run
//! # fn main() -> netlab::Result<()> {
//! for machine in netlab::live::machines()? {
//!     println!("{}, process {}: {}", machine.subject, machine.pid, machine.doors[0].command);
//! }
//! # Ok(()) }
//! ```
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde::Serialize;

use crate::error::Result;

/// A machine that is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Live {
    /// What it is for: the path of a test, the program with its arguments, or the host name of a [`Machine::run`](crate::Machine::run).
    pub subject: String,
    /// Which of them.
    pub kind: Kind,
    /// The process in it that holds its namespaces, as the caller numbers it.
    pub pid: u32,
    /// The first process of its PID namespace, with which all of it ends; none for a test on the host.
    pub first: Option<u32>,
    /// Whose it is.
    pub user: u32,
    /// The file whose removal lets a paused test go on.
    pub paused: Option<String>,
    /// Its network namespaces: its own first, which is called `host`.
    pub doors: Vec<Door>,
}

/// What a machine is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// A `#[netlab::test]`.
    Test,
    /// [`Machine::exec`](crate::Machine::exec): `cargo netlab exec`, for one.
    Program,
    /// [`Machine::run`](crate::Machine::run).
    Function,
}

/// A network namespace of a machine, and the way into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Door {
    /// Its name in the test.
    pub name: String,
    /// Leads to it, for [`Netns::open`](crate::Netns::open) by one who is in the machine's user namespace.
    pub file: String,
    /// The command that opens a shell in it, without root for its owner.
    pub command: String,
}

/// The machines that the calling user may look into, by their processes: root sees all. That in which the caller itself is, is not among them.
///
/// # Errors
///
/// If there is no `/proc` to look at ([`is_unsupported`](crate::Error::is_unsupported) where netlab makes no machines).
#[track_caller]
pub fn machines() -> Result<Vec<Live>> {
    use crate::error::{At, Doing};
    found().doing(|| "list the machines that are alive".to_owned()).at(std::panic::Location::caller())
}

#[cfg(not(target_os = "linux"))]
fn found() -> io::Result<Vec<Live>> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
fn found() -> io::Result<Vec<Live>> {
    // A plate may be held by copies of the process: the one that the others come from is meant.
    let mut holders: BTreeMap<u64, BTreeMap<u32, PathBuf>> = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may be somebody else's, or end meanwhile.
        if let Some((plate, inode)) = plate(pid) {
            holders.entry(inode).or_default().insert(pid, plate);
        }
    }
    let above: Vec<u32> = ancestors(std::process::id()).collect();
    let mut machines: Vec<_> = holders.values().filter_map(machine).filter(|machine| !above.contains(&machine.pid)).collect();
    machines.sort_by_key(|machine| machine.pid);
    Ok(machines)
}

fn folder(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

#[cfg(target_os = "linux")]
fn plate(pid: u32) -> Option<(PathBuf, u64)> {
    let descriptors = fs::read_dir(folder(pid).join("fd")).ok()?;
    let is_plate = |path: &PathBuf| fs::read_link(path).is_ok_and(|link| link.as_os_str() == crate::sys::plate::LINK);
    let plate = descriptors.flatten().map(|entry| entry.path()).find(is_plate)?;
    let inode = fs::metadata(&plate).ok()?.ino();
    Some((plate, inode))
}

fn machine(holders: &BTreeMap<u32, PathBuf>) -> Option<Live> {
    let (pid, plate) = holders.iter().find(|(pid, _)| status(**pid, "PPid:").is_none_or(|parent| !holders.contains_key(&parent)))?;
    let text = fs::read_to_string(plate).ok()?;
    let (first_line, notes) = text.split_once('\n')?;
    let (word, subject) = first_line.split_once(' ')?;
    let kind = match word {
        "test" => Kind::Test,
        "program" => Kind::Program,
        _ => Kind::Function,
    };
    let paused = notes.lines().rfind(|line| line.starts_with("pause ") || *line == "resume").and_then(|line| line.strip_prefix("pause "));
    Some(Live {
        subject: subject.to_owned(),
        kind,
        pid: *pid,
        first: first(*pid),
        user: fs::metadata(folder(*pid)).ok()?.uid(),
        paused: paused.map(str::to_owned),
        doors: doors(*pid, notes),
    })
}

/// The last number of a line of `/proc/PID/status`.
fn status(pid: u32, name: &str) -> Option<u32> {
    let text = fs::read_to_string(folder(pid).join("status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().last()?.parse().ok()
}

/// The process and those that it comes from.
fn ancestors(pid: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(pid), |pid| status(*pid, "PPid:").filter(|parent| *parent > 0))
}

/// The process among its ancestors that is the first of a PID namespace of its own.
fn first(pid: u32) -> Option<u32> {
    let space = |pid| fs::read_link(folder(pid).join("ns/pid")).ok();
    let (mine, own) = (fs::read_link("/proc/self/ns/pid").ok()?, space(pid)?);
    let first = ancestors(pid).take_while(|pid| space(*pid).as_ref() == Some(&own)).find(|pid| status(*pid, "NSpid:") == Some(1))?;
    (own != mine).then_some(first)
}

fn doors(pid: u32, notes: &str) -> Vec<Door> {
    let is_ours = fs::read_link(folder(pid).join("ns/user")).ok() != fs::read_link("/proc/self/ns/user").ok();
    let process = pid.to_string();
    let door = |name: &str, file: PathBuf, network: &str, mounts: Option<&str>| Door {
        name: name.to_owned(),
        command: nsenter(&process, network, mounts, is_ours),
        file: file.to_string_lossy().into_owned(),
    };
    let host = folder(pid).join("ns/net");
    let own = fs::metadata(&host).map(|file| file.ino()).unwrap_or_default();
    let open = descriptors(pid);
    let mut doors = Vec::new();
    let mut seen = BTreeSet::new();
    for noted in noted(own, notes) {
        let mounts = noted.mounts.map(|number| format!("--mount=/proc/{pid}/fd/{number}"));
        let number = open.get(&noted.inode);
        if noted.inode == own {
            doors.push(door(noted.name, host.clone(), "-n", mounts.as_deref()));
        } else if let Some(number) = number {
            let file = folder(pid).join("fd").join(number.to_string());
            doors.push(door(noted.name, file.clone(), &format!("--net={}", file.display()), mounts.as_deref()));
        } else {
            continue; // it is not open any more: it has gone
        }
        seen.insert(noted.inode);
    }
    let named = fs::read_dir(folder(pid).join("root/run/netns")).into_iter().flatten().flatten();
    let mut named: Vec<PathBuf> = named.map(|entry| entry.path()).filter(|_| is_ours).collect();
    named.sort();
    for file in named {
        let is_new = fs::metadata(&file).is_ok_and(|file| seen.insert(file.ino()));
        if let Some(name) = file.file_name().filter(|_| is_new).map(|name| name.to_string_lossy().into_owned()) {
            doors.push(door(&name, file.clone(), &format!("--net='{}'", file.display()), None));
        }
    }
    doors
}

/// What a plate says of a network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Noted<'a> {
    inode: u64,
    name: &'a str,
    /// The descriptor of its mounts, if it has its own.
    mounts: Option<u32>,
}

/// The namespaces by their last notes: the kernel gives the number of one that has gone to another.
fn noted(own: u64, notes: &str) -> Vec<Noted<'_>> {
    let mut all = vec![Noted { inode: own, name: "host", mounts: None }];
    for line in notes.lines() {
        let Some((word, (inode, rest))) = line.split_once(' ').and_then(|(word, rest)| Some((word, rest.split_once(' ')?))) else {
            continue;
        };
        let Ok(inode) = inode.parse() else { continue };
        match word {
            "netns" if inode != own => {
                all.retain(|noted| noted.inode != inode);
                all.push(Noted { inode, name: rest, mounts: None });
            }
            "mounts" => all.iter_mut().filter(|noted| noted.inode == inode).for_each(|noted| noted.mounts = rest.parse().ok()),
            _ => {}
        }
    }
    all
}

/// The network namespaces that a process holds open, by their inodes.
fn descriptors(pid: u32) -> BTreeMap<u64, u32> {
    let entries = fs::read_dir(folder(pid).join("fd")).into_iter().flatten().flatten();
    let network = |path: PathBuf| {
        let number = path.file_name()?.to_str()?.parse().ok()?;
        let link = fs::read_link(path).ok()?;
        let inode = link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()?;
        Some((inode, number))
    };
    entries.filter_map(|entry| network(entry.path())).collect()
}

/// The command that opens a shell in a machine of netlab's, or in a namespace of a test that runs on the host.
pub(crate) fn nsenter(pid: &str, network: &str, mounts: Option<&str>, is_ours: bool) -> String {
    // The root and the working directory of the test's process lie among its own mounts, not among others.
    let (mounts, root) = mounts.map_or(("-m", " -r -w"), |mounts| (mounts, ""));
    match is_ours {
        true => format!("nsenter -t {pid} -U --preserve-credentials {mounts} -u -i {network} -p{root}"),
        false => format!("sudo nsenter -t {pid} {mounts} {network}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_note_of_a_namespace_counts() {
        let notes = "netns 7 a b\nmounts 7 30\npause /a file\nnetns 8 c\nnetns 7 d\nmounts 1 31\nmounts 9 32\nresume\n";
        let noted = noted(1, notes);
        let told: Vec<_> = noted.iter().map(|noted| (noted.inode, noted.name, noted.mounts)).collect();
        assert_eq!(told, [(1, "host", Some(31)), (8, "c", None), (7, "d", None)]);
    }
}
