//! Containers as processes: namespaces of their own, and the image as their root.

use std::thread;
use std::time::{Duration, Instant};

use netlab::Namespace::{Ipc, Mount, Pid, Uts};
use netlab::{Namespace, Netns, Process, ProcessPlan};

use crate::error::{Error, Result};
use crate::image::Image;
use crate::world::World;

/// Where the containers' image lies.
const IMAGE: &str = "/run/image";
/// How long a tool in a container may take.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Unpacks the image of the containers to come.
pub(crate) fn unpack_image(world: &mut World) -> Result<()> {
    world.keep(IMAGE, Image::unpack(IMAGE)?);
    Ok(())
}

/// Takes tools out of the image.
pub(crate) fn remove_from_image(tools: &[&str]) -> Result<()> {
    let remove = |tool: &&str| std::fs::remove_file(format!("{IMAGE}/bin/{tool}"));
    tools.iter().try_for_each(remove).map_err(|e| Error::World(format!("cannot remove a file of the image: {e}")))
}

/// A container in a network namespace, described: a program with processes, mounts and a root of its own.
pub(crate) fn container(netns: &Netns, program: &[&str]) -> ProcessPlan {
    netns.process("/bin/runc").arg("init").args(program).unshare([Pid, Mount]).root(IMAGE)
}

/// A container that owns its network, IPC and host name as well: `netns` is where it is started from. It is ready when it prints its name.
pub(crate) fn owner(netns: &Netns, program: &[&str]) -> ProcessPlan {
    let plan = netns.process("/bin/unshare").args(["-n", "runc", "init"]).args(program);
    plan.unshare([Pid, Mount, Ipc, Uts]).root(IMAGE).prints(program.first().copied().unwrap_or_default())
}

/// The network namespace of a container, by its process.
pub(crate) fn network_of(name: &str, container: &Process) -> Result<Netns> {
    Ok(Netns::open(name, format!("/proc/{}/ns/net", container.id()))?)
}

/// Starts a container in a network namespace, which is a web server.
pub(crate) fn serve(netns: &Netns, name: &str, port: u16) -> Result<Process> {
    ready(container(netns, &["httpd", name, &format!("0.0.0.0:{port}")]), port)
}

/// Starts what will listen on a port.
pub(crate) fn ready(plan: ProcessPlan, port: u16) -> Result<Process> {
    Ok(plan.listens_tcp(port).start()?)
}

/// What a tool prints that is started in a container, as by `docker exec`.
pub(crate) fn exec(container: &Process, netns: &Netns, command: &[&str]) -> Result<String> {
    let (tool, arguments) = command.split_first().unwrap_or((&"", &[]));
    run(netns.process(format!("/bin/{tool}")).args(arguments).join(container, [Pid, Mount]).root_of(container))
}

/// What a tool prints: its output, or its complaint.
pub(crate) fn run(plan: ProcessPlan) -> Result<String> {
    let tool = plan.start()?;
    let done = tool.wait(SOON)?.success();
    Ok(if done { tool.stdout() } else { tool.stderr() }.trim_end().to_owned())
}

/// What a page tells: who answered whom.
pub(crate) fn page(text: &str) -> String {
    let told = |key: &str| text.split_whitespace().find_map(|word| word.strip_prefix(key));
    match (told("name="), told("client=").and_then(|client| client.rsplit_once(':'))) {
        (Some(name), Some((client, _))) => format!("{name} saw {client}"),
        _ => "no page".to_owned(),
    }
}

/// The names in what `ip link` prints.
pub(crate) fn names_of_links(text: &str) -> String {
    let names = text.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split([':', '@']).nth(1));
    names.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The kinds of namespaces that two processes share, of some, as `/proc/PID/ns` calls them.
pub(crate) fn shared(one: &Process, other: &Process, kinds: &[Namespace]) -> Result<String> {
    let mut shared = Vec::new();
    for kind in kinds {
        if one.namespace(*kind)? == other.namespace(*kind)? {
            shared.push(match kind {
                Mount => "mnt".to_owned(),
                other => format!("{other:?}").to_lowercase(),
            });
        }
    }
    Ok(if shared.is_empty() { "nothing".to_owned() } else { shared.join(" ") })
}

/// Waits until a machine has a link no more, whose far end's namespace has ended: the kernel takes namespaces down behind our back.
pub(crate) fn await_end_of_link(machine: &Netns, link: &str) -> Result<bool> {
    let deadline = Instant::now() + SOON;
    while machine.links()?.named(link).is_some() {
        if Instant::now() > deadline {
            return Ok(false);
        }
        thread::yield_now();
    }
    Ok(true)
}
