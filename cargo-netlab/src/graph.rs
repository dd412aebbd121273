//! `cargo netlab graph`: a picture of the network of a machine, as the kernel has it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use netlab::draw::Topology;
use netlab::live::{self, Live};
use netlab::{Error, Netns};

use crate::exec::{self, Plan};
use crate::list::title;

/// The hidden command by which this program starts itself in the machine.
pub(crate) const INSIDE: &str = "graph-inside";

/// How the picture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Mermaid,
    Svg,
    Dot,
}

impl Format {
    pub(crate) const WORDS: [&str; 3] = ["mermaid", "svg", "dot"];

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "mermaid" | "mmd" => Some(Self::Mermaid),
            "svg" => Some(Self::Svg),
            "dot" | "gv" => Some(Self::Dot),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// Where the picture goes.
#[derive(Debug, Clone)]
pub(crate) struct Canvas {
    pub(crate) format: Option<Format>,
    pub(crate) file: Option<PathBuf>,
}

impl Canvas {
    fn format(&self) -> Format {
        let by_name = || Format::from_word(self.file.as_ref()?.extension()?.to_str()?);
        self.format.or_else(by_name).unwrap_or(Format::Mermaid)
    }

    fn paint(&self, topology: &Topology) -> Result<(), String> {
        let text = match self.format() {
            Format::Mermaid => topology.mermaid(),
            Format::Svg => topology.svg(),
            Format::Dot => topology.dot(),
        };
        let (place, written) = match &self.file {
            Some(file) => (file.display().to_string(), fs::write(file, text)),
            None => ("standard output".to_owned(), io::stdout().write_all(text.as_bytes())),
        };
        match written {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot write to {place}: {e}")),
            _ => Ok(()),
        }
    }
}

/// Which network is drawn.
#[derive(Debug, Clone)]
pub(crate) enum Scene {
    /// That in which this program runs.
    Here,
    /// That of a machine that is alive, by its process or by a part of its name.
    Of(String),
    /// That which a program leaves in a fresh machine.
    After(Plan),
}

pub(crate) fn main(scene: &Scene, canvas: &Canvas) -> ExitCode {
    let drawn = match scene {
        Scene::Here => here().and_then(|topology| canvas.paint(&topology)),
        Scene::Of(name) => find(name).and_then(|machine| of(&machine)).and_then(|topology| canvas.paint(&topology)),
        Scene::After(plan) => return after(plan, canvas),
    };
    told(drawn)
}

fn told(drawn: Result<(), String>) -> ExitCode {
    drawn.map_or_else(
        |e| {
            eprintln!("cargo-netlab: {e}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// The calling process's network, those that have a name in `/run/netns`, and in a machine those of other processes.
fn here() -> Result<Topology, String> {
    let host = Netns::current().map_err(text)?;
    let mut seen = vec![host.inode().map_err(text)?];
    let mut machines = vec![host];
    let mut add = |name: String, file: &Path| {
        let Ok(inode) = fs::metadata(file).map(|file| file.ino()) else { return };
        if seen.contains(&inode) {
            return;
        }
        seen.push(inode);
        match Netns::open(&name, file) {
            Ok(netns) => machines.push(netns),
            Err(e) => eprintln!("cargo-netlab: left out: {}", e.to_string().lines().next().unwrap_or_default()),
        }
    };
    for file in sorted("/run/netns") {
        add(name(&file), &file);
    }
    // Outside of a machine they are not the lab's.
    let processes = if is_in_machine() { sorted("/proc") } else { Vec::new() };
    for process in processes.iter().filter(|path| name(path).bytes().all(|byte| byte.is_ascii_digit())) {
        if let Ok(program) = fs::read_to_string(process.join("comm")) {
            add(format!("{} {}", program.trim().replace('/', "_"), name(process)), &process.join("ns/net"));
        }
    }
    Topology::of(&machines).map_err(|e| match e.is_permission() && !is_in_machine() {
        true => format!(
            "{e}\n  help: only root may see all of this computer's own network; `graph -- PROGRAM` and `graph --of MACHINE` need none"
        ),
        false => text(e),
    })
}

/// A machine has one user.
fn is_in_machine() -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.split_whitespace().nth(2) == Some("1"))
}

fn sorted(folder: &str) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn text(e: Error) -> String {
    e.to_string()
}

/// The one machine that is meant.
fn find(wanted: &str) -> Result<Live, String> {
    let mut machines = live::machines().map_err(text)?;
    let is_meant = |machine: &Live| machine.pid.to_string() == wanted || machine.first.is_some_and(|pid| pid.to_string() == wanted);
    if let Some(place) = machines.iter().position(is_meant) {
        return Ok(machines.swap_remove(place));
    }
    let alive = machines.len();
    machines.retain(|machine| machine.subject.contains(wanted));
    match (machines.pop(), &machines[..]) {
        (Some(machine), []) => Ok(machine),
        (Some(machine), others) => {
            let names: Vec<_> = others.iter().chain([&machine]).map(|machine| format!("\n  {} {}", machine.pid, title(machine))).collect();
            Err(format!("`{wanted}` is more than one machine; name the process:{}", names.concat()))
        }
        (None, _) => Err(format!("no machine of `{wanted}` is alive, among {alive} that are: see `cargo netlab list`")),
    }
}

/// The network of a machine, from outside of it.
fn of(machine: &Live) -> Result<Topology, String> {
    enter_user_namespace(machine.pid).map_err(|e| format!("cannot enter the machine of process {}: {e}", machine.pid))?;
    let machines: Result<Vec<_>, _> = machine.doors.iter().map(|door| Netns::open(&door.name, &door.file)).collect();
    Topology::of(&machines.map_err(text)?).map_err(text)
}

/// Who is in it has the rights that its namespaces ask for.
#[cfg(target_os = "linux")]
fn enter_user_namespace(pid: u32) -> io::Result<()> {
    let file = format!("/proc/{pid}/ns/user");
    if fs::read_link(&file)? == fs::read_link("/proc/self/ns/user")? {
        return Ok(());
    }
    Ok(nix::sched::setns(File::open(file)?, nix::sched::CloneFlags::CLONE_NEWUSER)?)
}

#[cfg(not(target_os = "linux"))]
fn enter_user_namespace(_: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Starts this program in a fresh machine, to run the other one there and to draw what it leaves.
fn after(plan: &Plan, canvas: &Canvas) -> ExitCode {
    let Ok(myself) = std::env::current_exe() else { return told(Err("cannot find its own program".to_owned())) };
    let mut inside: Vec<OsString> = vec![myself.into(), INSIDE.into(), "--format".into(), canvas.format().word().into()];
    inside.extend(canvas.file.iter().flat_map(|file| ["--output".into(), file.clone().into_os_string()]));
    inside.push("--".into());
    inside.extend(plan.program.iter().cloned());
    exec::main(&Plan { program: inside, ..plan.clone() })
}

/// The same in the machine. Leaves with the program's code: a network that was built halfway is drawn, too.
pub(crate) fn inside(program: &[OsString], canvas: &Canvas) -> ExitCode {
    let Some((name, arguments)) = program.split_first() else { return ExitCode::FAILURE };
    let mut command = Command::new(name);
    command.args(arguments);
    if canvas.file.is_none() {
        // The picture is alone on standard output.
        command.stdout(io::stderr());
    }
    let code = match command.status() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        Err(e) => {
            eprintln!("cargo-netlab: cannot run `{}`: {e}", name.display());
            return ExitCode::from(127);
        }
    };
    match here().and_then(|topology| canvas.paint(&topology)) {
        Ok(()) => ExitCode::from(code),
        failed => told(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_name_says_how_it_is_written_unless_somebody_does() {
        let canvas = |format, file: Option<&str>| Canvas { format, file: file.map(PathBuf::from) }.format();
        assert_eq!(canvas(None, None), Format::Mermaid);
        assert_eq!(canvas(None, Some("a/lab.svg")), Format::Svg);
        assert_eq!(canvas(None, Some("lab.gv")), Format::Dot);
        assert_eq!(canvas(Some(Format::Dot), Some("lab.svg")), Format::Dot);
        for word in Format::WORDS {
            assert_eq!(Format::from_word(word).map(Format::word), Some(word));
        }
    }
}
