//! Stages 01 to 05: a container out of a directory, chroot and unshare.

use std::fs;

use netlab::Namespace::{Cgroup, Ipc, Mount, Net, Pid, User, Uts};
use netlab::{Netns, Process, ProcessPlan};

use super::{CON_1, NODE_1};
use crate::container::{SOON, run};
use crate::error::{Error, Result};
use crate::image::{Image, RELEASE};
use crate::stage::Stage;
use crate::story::Story;
use crate::toolbox::PROMPT;
use crate::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "001.01",
        title: "an image",
        claim: "The image of a container is a directory with the files of a small Linux.",
        truth: "So it is: programs, the libraries that they need, a few files. (Here it is not Alpine's, but made on the spot.)",
        commands: &["mkdir alpine; tar -C alpine -xf alpine-minirootfs.tar.gz"],
        before: |_, s| s.equals("there is no such directory", names(ROOT), "none"),
        change: |w| {
            w.keep(IMAGE, Image::unpack(ROOT)?);
            Ok(())
        },
        check: |_, s| {
            s.equals("the directory has what a root has", names(ROOT), "bin etc lib lib64 mnt proc usr")?;
            let programs = "ash cat httpd ip kill mount pause ping ps reboot runc socket ss toolbox top unshare wget";
            s.equals("and programs", names(&format!("{ROOT}/bin")), programs)
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.02",
        title: "chroot",
        claim: "`chroot alpine ash` starts a shell for which that directory is `/`: it sees the image and nothing of the node.",
        truth: "It has the image's os-release and programs, and the node's files have no name there. /proc is an empty directory, so `ps` \
                lists nobody.",
        commands: &["chroot alpine /bin/ash"],
        before: |w, s| {
            let release = run(tool(&w.machine(NODE_1)?, "cat").arg("/etc/os-release"))?;
            s.holds("node001: `cat /etc/os-release` tells of another system", first_line(&release), release != RELEASE.trim_end())?;
            s.holds("node001: the image's directory has a name here", ROOT, fs::exists(ROOT).unwrap_or(false))
        },
        change: |w| {
            let shell = ash(w.machine(NODE_1)?.process("/bin/ash").root(ROOT))?;
            w.keep(SHELL, shell);
            Ok(())
        },
        check: |w, s| {
            let shell: &Process = w.kept(SHELL)?;
            let release = run(in_root(w, shell, "cat")?.arg("/etc/os-release"))?;
            s.equals("in the shell: `cat /etc/os-release` is the image's", release, RELEASE.trim_end())?;
            let host_file = format!("{ROOT}/etc/os-release");
            let seen = run(in_root(w, shell, "cat")?.arg(&host_file))?;
            s.equals(format!("in the shell: there is no {host_file}"), seen, "cat: No such file or directory")?;
            s.equals("in the shell: `ps` lists nobody", run(in_root(w, shell, "ps")?)?, "PID COMMAND")
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.03",
        title: "proc in the chroot",
        claim: "With /proc mounted the shell sees and kills the node's processes, and sees and changes its links: only the files are \
                separate, which it cannot reach.",
        truth: "It does all that, and the mount appears on the node as well. But it reaches the node's files too: /proc/PID/root of any of \
                the node's processes leads to them.",
        commands: &["mount -t proc proc /proc  # in the shell"],
        before: |w, s| {
            let shell: &Process = w.kept(SHELL)?;
            s.equals("in the shell: `ps` lists nobody", run(in_root(w, shell, "ps")?)?, "PID COMMAND")?;
            s.equals("node001: nothing is mounted in the image but its program", mounts_in_image()?, "bin/toolbox")
        },
        change: |w| {
            let shell: &Process = w.kept(SHELL)?;
            done(in_root(w, shell, "mount")?.args(["-t", "proc", "proc", "/proc"]))
        },
        check: |w, s| {
            let node = w.machine(NODE_1)?;
            let shell: &Process = w.kept(SHELL)?;
            let victim = tool(&node, "top").prints("top").start()?;
            let id = victim.id().to_string();
            let list = run(in_root(w, shell, "ps")?)?;
            let line = format!("{id} top");
            s.holds("in the shell: `ps` lists a process of the node", &line, list.lines().any(|seen| seen == line))?;
            done(in_root(w, shell, "kill")?.args(["-15", &id]))?;
            s.equals("in the shell: `kill` ends it", victim.wait(SOON)?.to_string(), "signal: 15 (SIGTERM)")?;
            lists_links(s, "in the shell: `ip link` lists those of the node", in_root(w, shell, "ip")?, &node)?;
            done(in_root(w, shell, "ip")?.args(["link", "set", "eth0", "down"]))?;
            s.holds("in the shell: `ip link set eth0 down` sets that of the node down", "DOWN", !is_up(&node, "eth0")?)?;
            s.equals("node001: the mount appears here as well", mounts_in_image()?, "bin/toolbox proc")?;
            s.wrong();
            let other = tool(&node, "top").prints("top").start()?;
            let seen = run(in_root(w, shell, "cat")?.arg(format!("/proc/{}/root/etc/os-release", other.id())))?;
            s.holds("in the shell: `cat /proc/PID/root/etc/os-release` shows that of the node", first_line(&seen), seen == node_release())
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.04",
        title: "a pid namespace",
        claim: "`unshare -p -f chroot alpine ash` starts a shell that is process 1 and sees its own processes alone, when proc is mounted \
                anew. The node sees it under another number, and can kill it.",
        truth: "So it is, but process 1 of a pid namespace gets no signal that it does not handle: SIGTERM does nothing, SIGKILL ends it. The \
                network is the node's still.",
        needs: &["SIGKILL, for the node to kill it"],
        commands: &["unshare -p -f chroot alpine /bin/ash", "mount -t proc proc /proc  # in the shell"],
        before: |w, s| {
            let node = w.machine(NODE_1)?;
            let shell = ash(node.process("/bin/ash").unshare([Pid]).root(ROOT))?;
            let (own, list) = (format!("{} ash", shell.id()), run(in_root(w, &shell, "ps")?.join(&shell, [Pid]))?);
            s.holds(
                "in the shell: before proc is mounted anew, `ps` lists it by its number on the node",
                &own,
                list.lines().any(|line| line == own),
            )
        },
        change: |w| {
            w.take::<Process>(SHELL)?.close()?;
            let shell = ash(w.machine(NODE_1)?.process("/bin/ash").unshare([Pid]).root(ROOT))?;
            done(in_root(w, &shell, "mount")?.join(&shell, [Pid]).args(["-t", "proc", "proc", "/proc"]))?;
            w.keep(SHELL, shell);
            Ok(())
        },
        check: |w, s| {
            let node = w.machine(NODE_1)?;
            let shell: &Process = w.kept(SHELL)?;
            let typed = |name| in_root(w, shell, name).map(|plan| plan.join(shell, [Pid]));
            let list = run(typed("ps")?)?;
            let seen: Vec<_> = list.lines().skip(1).collect();
            s.holds(
                "in the shell: `ps` lists the shell as process 1, and itself",
                seen.join(", "),
                seen.len() == 2 && seen[0] == "1 ash" && seen[1].ends_with(" ps"),
            )?;
            let top = tool(&node, "top").prints("top").start()?;
            s.equals(
                "in the shell: nobody has the number of a process of the node",
                run(typed("kill")?.args(["-0", &top.id().to_string()]))?,
                "kill: No such process",
            )?;
            s.equals("node001: the shell has another number, and 1 inside (NSpid)", numbers(shell)?, format!("{} 1", shell.id()))?;
            s.holds("the network namespace is the node's", format!("net:[{}]", node.inode()?), shell.namespace(Net)? == node.inode()?)?;
            s.without("SIGKILL: with SIGTERM");
            shell.signal(libc::SIGTERM)?;
            let alive = run(typed("kill")?.args(["-0", "1"]))?.is_empty();
            s.holds("node001: the shell lives on", if alive { "it is there" } else { "it is gone" }, alive)?;
            s.with("SIGKILL");
            shell.signal(libc::SIGKILL)?;
            s.equals("node001: the shell ends", shell.wait(SOON)?.to_string(), "signal: 9 (SIGKILL)")
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.05",
        title: "a container",
        claim: "With `unshare -p -m -n -f` mounts and network are the shell's own as well: it is a container. As root in it one can still set \
                the clock or reboot the computer.",
        truth: "It has `lo` alone, DOWN, reaches nobody, and its mounts appear nowhere else. Host name, IPC, users and control groups are the \
                node's, and so are all capabilities. But reboot(2) in a pid namespace ends that namespace's process 1, no more. (The clock is left alone here.)",
        commands: &["unshare -p -m -n -f chroot alpine /bin/ash", "mount -t proc proc /proc  # in the shell"],
        before: |w, s| {
            let shell: &Process = w.kept(SHELL)?;
            s.holds("the shell of before shares the node's mounts", "mnt", shell.namespace(Mount)? == Mount.inode()?)?;
            s.holds("and its network", "net", shell.namespace(Net)? == w.machine(NODE_1)?.inode()?)
        },
        change: |w| {
            w.take::<Process>(SHELL)?.close()?;
            start(w, CON_1, &[])
        },
        check: |w, s| {
            let (node, con1) = (w.machine(NODE_1)?, w.machine(CON_1)?);
            let shell: &Process = w.kept(&shell_of(CON_1))?;
            s.equals("con1: `ip link` lists lo alone, DOWN", first_line(&run(inside(w, CON_1, "ip")?.arg("link"))?), LO_DOWN)?;
            s.no_reply(&con1, "10.141.0.1", libc::ENETUNREACH)?;
            let before = mounts_in_image()?;
            done(inside(w, CON_1, "mount")?.args(["-t", "tmpfs", "tmpfs", "/mnt"]))?;
            s.equals("node001: what is mounted in con1 does not appear", mounts_in_image()?, before)?;
            let kinds = [("pid", Pid), ("mnt", Mount), ("net", Net), ("uts", Uts), ("ipc", Ipc), ("user", User), ("cgroup", Cgroup)];
            let mut own = Vec::new();
            for (name, kind) in kinds {
                let shared = if kind == Net { node.inode()? } else { kind.inode()? };
                own.extend((shell.namespace(kind)? != shared).then_some(name));
            }
            s.equals("con1: of pid, mnt, net, uts, ipc, user and cgroup it has for itself", own.join(" "), "pid mnt net")?;
            s.equals(
                "con1: it has the capabilities of the node's root",
                capabilities(&run(inside(w, CON_1, "cat")?.arg("/proc/1/status"))?),
                capabilities(&read("/proc/self/status")?),
            )?;
            s.wrong();
            run(inside(w, CON_1, "reboot")?)?;
            s.equals("con1: `reboot` ends the shell", shell.wait(SOON)?.to_string(), "signal: 1 (SIGHUP)")?;
            s.replies(&node, "10.141.0.1")
        },
        ..Stage::STILL
    },
];

/// Where the image lies.
const ROOT: &str = "/run/alpine";
const IMAGE: &str = "the image";
const SHELL: &str = "the shell";
const LO_DOWN: &str = "1: lo: <LOOPBACK> mtu 65536 qdisc noop state DOWN mode DEFAULT group default qlen 1000";

/// Starts a container: its namespaces, proc, and a program of the image in it, which is a shell without arguments.
pub(super) fn start(w: &mut World, name: &str, arguments: &[&str]) -> Result<()> {
    if w.kept::<Image>(IMAGE).is_err() {
        w.keep(IMAGE, Image::unpack(ROOT)?);
    }
    let netns = w.add(Netns::bare(name)?);
    let ready = arguments.last().map_or(PROMPT, |program| *program);
    let plan = netns.process("/bin/ash").args(arguments).unshare([Pid, Mount]).root(ROOT);
    let shell = plan.prints(ready).start()?;
    done(netns.process("/bin/mount").join(&shell, [Pid, Mount]).root_of(&shell).args(["-t", "proc", "proc", "/proc"]))?;
    w.keep(shell_of(name), shell);
    Ok(())
}

/// The name under which a container's first process is kept.
pub(super) fn shell_of(container: &str) -> String {
    format!("the shell of {container}")
}

fn ash(plan: ProcessPlan) -> Result<Process> {
    Ok(plan.prints(PROMPT).start()?)
}

/// A tool that is typed into a shell of the node whose root is the image.
fn in_root(w: &World, shell: &Process, name: &str) -> Result<ProcessPlan> {
    Ok(w.machine(NODE_1)?.process(format!("/bin/{name}")).root_of(shell))
}

/// A tool that is typed into the shell of a container.
pub(super) fn inside(w: &World, container: &str, name: &str) -> Result<ProcessPlan> {
    let shell: &Process = w.kept(&shell_of(container))?;
    Ok(w.machine(container)?.process(format!("/bin/{name}")).join(shell, [Pid, Mount]).root_of(shell))
}

/// The same tool, outside of all containers.
pub(super) fn tool(on: &Netns, name: &str) -> ProcessPlan {
    on.process(format!("{ROOT}/bin/{name}"))
}

/// A tool that has to do its work.
fn done(plan: ProcessPlan) -> Result<()> {
    Ok(plan.start()?.expect_success(SOON)?)
}

/// The names in a directory.
fn names(directory: &str) -> String {
    let mut names: Vec<_> = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    let names: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

/// What is mounted below the image, where the calling code is.
fn mounts_in_image() -> Result<String> {
    let mounts = read("/proc/thread-self/mounts")?;
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1)?.strip_prefix(ROOT)?.strip_prefix('/'));
    Ok(places.collect::<Vec<_>>().join(" "))
}

/// The number of a process in each pid namespace from this one to its own.
fn numbers(process: &Process) -> Result<String> {
    let status = read(&format!("/proc/{}/status", process.id()))?;
    Ok(field(&status, "NSpid:"))
}

fn capabilities(status: &str) -> String {
    field(status, "CapEff:")
}

/// The words of a line of `/proc/PID/status`.
fn field(status: &str, name: &str) -> String {
    let words = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_up(on: &Netns, link: &str) -> Result<bool> {
    Ok(on.links()?.named(link).is_some_and(netlab::snapshot::Link::is_up))
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|e| Error::World(format!("cannot read {path}: {e}")))
}

/// What the node's own `/etc/os-release` says.
pub(super) fn node_release() -> String {
    fs::read_to_string("/etc/os-release").unwrap_or_default().trim_end().to_owned()
}

/// `ip link`, started somewhere, lists the links of that namespace.
pub(super) fn lists_links(s: &mut Story, check: &str, ip: ProcessPlan, of: &Netns) -> Result<()> {
    let (seen, links) = (run(ip.arg("link"))?, of.links()?);
    let names: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
    let same = seen == links.to_string().trim_end();
    s.holds(check, if same { names.join(" ") } else { seen }, same)
}

pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
