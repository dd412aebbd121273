//! Stage 30: into a container that is there.

use std::fs;

use netlab::Namespace::{Mount, Pid};
use netlab::{Netns, Process};

use super::containers::{first_line, inside, lists_links, node_release, shell_of, tool};
use super::{CON_1, NODE_1};
use crate::container::{SOON, run};
use crate::error::Error;
use crate::image::{Image, RELEASE};
use crate::stage::{Cause, Stage};

pub(super) const STAGES: &[Stage] = &[Stage {
    id: "001.30",
    title: "nsenter",
    claim: "`nsenter -t PID -p -n -m` gives a console in the container, as `docker exec` does. With -n alone the tools are the node's and the \
            network is the container's, which helps where an image has no shell.",
    truth: "It is in the container's namespaces, but not in its root: chroot has changed the root of a process, not that of the mount \
            namespace, where the node's files are still. It takes --root as well. With -n alone it is as the text says.",
    needs: &["--root, where the container was made by chroot; after pivot_root(2) the mounts have no other root"],
    commands: &["nsenter -t PID -p -n -m", "nsenter -t PID -p -n -m --root", "nsenter -t PID -n ip link"],
    cause: Cause::Lack {
        of: "kill -9 PID",
        supply: |w| {
            let shell: &Process = w.kept(&shell_of(CON_1))?;
            shell.signal(libc::SIGKILL)?;
            shell.wait(SOON)?;
            Ok(())
        },
    },
    check: |w, s| {
        let (node, con1) = (w.machine(NODE_1)?, w.machine(CON_1)?);
        let shell: &Process = w.kept(&shell_of(CON_1))?;
        lists_links(s, "nsenter -n: `ip link` of the node lists the links of con1", tool(&con1, "ip"), &con1)?;
        s.without("nsenter -n");
        lists_links(s, "node001: `ip link` lists its own", tool(&node, "ip"), &node)?;
        s.claim();
        let entered = |name: &str| tool(&con1, name).join(shell, [Pid, Mount]);
        let top = entered("top").prints("top").start()?;
        s.holds(
            "nsenter -p -n -m: the pid namespace is the container's",
            inode(top.namespace(Pid)?),
            top.namespace(Pid)? == shell.namespace(Pid)?,
        )?;
        s.holds("nsenter -p -n -m: so are the mounts", inode(top.namespace(Mount)?), top.namespace(Mount)? == shell.namespace(Mount)?)?;
        s.wrong();
        let release = run(entered("cat").arg("/etc/os-release"))?;
        s.holds(
            "nsenter -p -n -m: /etc/os-release is the node's",
            first_line(&release),
            release == node_release() && release != RELEASE.trim_end(),
        )?;
        s.with("--root");
        s.equals(
            "nsenter -p -n -m --root: it is the container's",
            run(inside(w, CON_1, "cat")?.arg("/etc/os-release"))?,
            RELEASE.trim_end(),
        )?;
        let list = run(inside(w, CON_1, "ps")?)?;
        s.holds(
            "nsenter -p -n -m --root: `ps` lists the container's processes",
            list.replace('\n', ", "),
            list.starts_with("PID COMMAND\n1 ash\n"),
        )?;
        s.claim();
        let image = Image::unpack("/run/distroless")?;
        fs::remove_file(image.path().join("bin/ash")).map_err(|e| Error::World(format!("cannot remove a file: {e}")))?;
        let bare = Netns::bare("con4")?;
        let server = bare.process("/bin/top").unshare([Pid, Mount]).root(image.path()).prints("top").start()?;
        let shell = bare.process("/bin/ash").join(&server, [Pid, Mount]).root_of(&server).start();
        s.refused("nsenter -p -n -m --root into an image without a shell: there is none", shell, libc::ENOENT)?;
        lists_links(s, "nsenter -n: `ip link` of the node works nevertheless", tool(&bare, "ip"), &bare)
    },
    ..Stage::STILL
}];

fn inode(number: u64) -> String {
    format!("[{number}]")
}
