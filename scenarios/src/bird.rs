//! BIRD, a routing daemon, for stages that are played with one: a program of its own, not a part of netlab.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use netlab::snapshot::RouteQuery;
use netlab::{Netns, Process};

use crate::ask::EVENTUALLY;
use crate::error::{Error, Result};

const PROGRAM: &str = "bird";
const MISSING: Error = Error::Missing { program: PROGRAM, install: "sudo apt-get install bird2" };
/// Where it is on machines whose users do not look there.
const SYSTEM: &[&str] = &["/usr/sbin", "/usr/local/sbin", "/sbin"];
/// For configurations and control sockets. A machine has `/run` afresh.
const HOME: &str = "/run/bird";

/// Starts a daemon with a configuration. It is ready when each of the machines has a route of a daemon's to the destination beside it.
pub(crate) fn start(on: &Netns, configuration: &str, ready: &[(&Netns, &'static str)]) -> Result<Process> {
    let program = find().ok_or(MISSING)?;
    let file = |end: &str| Path::new(HOME).join(format!("{on}.{end}"));
    let write = || -> io::Result<()> {
        fs::create_dir_all(HOME)?;
        fs::write(file("conf"), configuration)
    };
    write().map_err(|e| Error::World(format!("cannot write {}: {e}", file("conf").display())))?;
    let ready: Vec<_> = ready.iter().map(|(netns, destination)| ((*netns).clone(), *destination)).collect();
    let daemon = on.process(program).arg("-f").arg("-c").arg(file("conf")).arg("-s").arg(file("ctl"));
    Ok(daemon.ready_when(move || ready.iter().all(|(netns, destination)| has_route(netns, destination))).within(EVENTUALLY).start()?)
}

fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(SYSTEM.iter().map(PathBuf::from));
    places.map(|place| place.join(PROGRAM)).find(|file| file.is_file())
}

fn has_route(netns: &Netns, destination: &str) -> bool {
    let routes = netns.routes_of(RouteQuery::main().ipv4());
    routes.is_ok_and(|routes| routes.iter().any(|route| route.protocol == PROGRAM && route.to_string().contains(destination)))
}
