//! Containers as processes see them: what a pod shares, what can be seen from outside, and what a capability is worth.

use netlab::Namespace::{Ipc, Mount, Net, Pid, Uts};
use netlab::{Capture, Namespace, Netns, Process, Reason, VethPair, capture};

use crate::container::{
    SOON, await_end_of_link, container, exec, names_of_links, network_of, owner, page, ready, remove_from_image, run, shared, unpack_image,
};
use crate::error::{Error, Result};
use crate::image::{Image, RELEASE};
use crate::stage::{Cause, Stage};
use crate::story::Story;
use crate::world::World;

const ALL: &[Namespace] = &[Net, Ipc, Uts, Pid, Mount];
const POD: &str = "pod";
const PAUSE: &str = "pause";
const APP: &str = "app";
const SIDECAR: &str = "sidecar";
const WEB: &str = "web";
const WEB_CONTAINER: &str = "the container web";
/// Where the host has its tools.
const TOOLS: &str = "/run/tools";
const CON: &str = "con";
const CON_CONTAINER: &str = "the container con";
const PING_GROUPS: &str = "net.ipv4.ping_group_range";

pub(super) const SYSTEMS: &[Stage] = &[
    Stage {
        id: "systems.pod",
        title: "a pod and its pause container",
        afresh: true,
        claim: "The containers of a pod are one host to the network: one address, one set of ports, one localhost. The pod keeps its address \
                while its containers come and go.",
        truth: "It is pause for which the network, IPC and host name are made; the others join them, and have processes and files of their own. \
                All that pause does is not to end. Where the first app has the network made for itself instead, it starts again in another \
                one, without cable and address. Who had joined the old one is left behind there; with the last of them it ends, and its cable too.",
        needs: &["pause, for the address to outlive the first app"],
        commands: &[
            "unshare --net --ipc --uts --pid --mount --fork pause &",
            "ip link add veth_pod type veth peer name eth0 netns PID; ip address add 10.244.1.1/24 dev veth_pod; ip link set veth_pod up",
            "nsenter -t PID --net sh -c 'ip link set lo up; ip address add 10.244.1.2/24 dev eth0; ip link set eth0 up'",
            "nsenter -t PID --net --ipc --uts unshare --pid --mount --fork httpd -p 80 &  # app",
            "nsenter -t PID --net --ipc --uts unshare --pid --mount --fork httpd -p 8080 &  # sidecar",
        ],
        scene: unpack_image,
        before: |w, s| s.not_served(&w.host(), "10.244.1.2:80", libc::ENETUNREACH),
        change: |w| {
            let pause = owner(&w.host(), &[PAUSE]).start()?;
            let pod = w.add(network_of(POD, &pause)?);
            let cable = cable(&w.host(), &pod, "veth_pod", "10.244.1")?;
            w.keep_cable(cable);
            for (name, port) in [(APP, 80), (SIDECAR, 8080)] {
                w.keep(name, member(&pod, &pause, name, port)?);
            }
            w.keep(PAUSE, pause);
            Ok(())
        },
        check: |w, s| {
            let host = w.host();
            s.served_as(&host, "10.244.1.2:80", APP, "10.244.1.1")?;
            s.served_as(&host, "10.244.1.2:8080", SIDECAR, "10.244.1.1")?;
            let pod = w.machine(POD)?;
            localhost_is_shared(w, s, &pod)?;
            let clash = run(container(&pod, &["httpd", "other", "0.0.0.0:80"]))?;
            let in_use = |line: &&str| line.contains("Address already in use");
            s.holds(
                "a third container does not get port 80",
                clash.lines().find(in_use).unwrap_or(&clash),
                clash.lines().any(|line| in_use(&line)),
            )?;
            s.without("the app");
            w.take::<Process>(APP)?.close()?;
            s.not_served(&host, "10.244.1.2:80", Reason::Refused)?;
            s.served(&host, "10.244.1.2:8080", SIDECAR)?;
            s.with("the app, started again");
            let _app = member(&pod, w.kept(PAUSE)?, APP, 80)?;
            s.ipv4_addresses(&pod, "it has its address still", "eth0", "10.244.1.2/24")?;
            s.served(&host, "10.244.1.2:80", APP)?;
            s.without("pause: the app has the network made for itself");
            alone(&host, s)
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.debugging",
        title: "into a container's network with the tools of its host",
        afresh: true,
        claim: "A container whose image has no ip, no ss and no tcpdump, not even a shell, can be examined from outside: `nsenter -t PID -n` runs the host's tools in \
                the container's network.",
        truth: "Of its namespaces a process can enter one and leave the others. With -n alone sockets, links, routes and packets are \
                the container's, while files, processes and so the tools are those of the host. The other way round, with -p -m alone, the files are \
                the container's and the network is the host's.",
        commands: &["nsenter -t PID -n ip link", "nsenter -t PID -n ss -ltn", "nsenter -t PID -n tcpdump -i eth0 tcp"],
        scene: |w| {
            unpack_image(w)?;
            remove_from_image(&["ash", "ip", "ss"])?;
            w.keep(TOOLS, Image::unpack(TOOLS)?);
            let container = owner(&w.host(), &["httpd", WEB, "0.0.0.0:80"]).start()?;
            let cable = cable(&w.host(), &network_of("the network of web", &container)?, "veth_web", "10.244.1")?;
            w.keep_cable(cable);
            w.keep(WEB_CONTAINER, container);
            Ok(())
        },
        before: |w, s| {
            let host = w.host();
            s.served(&host, "10.244.1.2:80", WEB)?;
            s.equals("host: `ip link` lists", links_by(&host)?, "lo veth_web")?;
            s.equals("host: `ss -ltn` lists", sockets_by(&host)?, "nothing")?;
            let shell = host.process("/bin/ash").join(w.kept(WEB_CONTAINER)?, [Pid, Mount]).root_of(w.kept(WEB_CONTAINER)?).start();
            s.refused("`docker exec web sh`: its image has no shell", shell, libc::ENOENT)
        },
        change: |w| {
            let entered = network_of(WEB, w.kept(WEB_CONTAINER)?)?;
            w.add(entered);
            Ok(())
        },
        cause: Cause::Lack {
            of: "kill -9 PID",
            supply: |w| {
                let container: &Process = w.kept(WEB_CONTAINER)?;
                container.signal(libc::SIGKILL)?;
                container.wait(SOON)?;
                Ok(())
            },
        },
        check: |w, s| {
            let (host, web) = (w.host(), w.machine(WEB)?);
            s.equals("nsenter -n: `ss -ltn` lists", sockets_by(&web)?, "LISTEN *:80")?;
            s.equals("nsenter -n: `ip link` lists", links_by(&web)?, "lo eth0")?;
            let tap = Capture::on(&web.link("eth0")?)?;
            host.http_get("10.244.1.2:80")?;
            s.distinct_packets(
                "nsenter -n: `tcpdump -i eth0` sees who asks",
                &tap.stop()?.filter(capture::tcp().syn())?,
                &["web/eth0 In  IP 10.244.1.1.PORT1 > 10.244.1.2.80: Flags [S]"],
            )?;
            let container: &Process = w.kept(WEB_CONTAINER)?;
            let inside = of_host(&web, "top").prints("top").start()?;
            s.equals("of the namespaces it shares with the container", shared(&inside, container, ALL)?, "net")?;
            let outside = of_host(&host, "top").prints("top").start()?;
            s.equals("and with a process of the host", shared(&inside, &outside, ALL)?, "ipc uts pid mnt")?;
            let release = run(of_host(&web, "cat").arg("/etc/os-release"))?;
            s.holds(
                "nsenter -n: /etc/os-release is the host's",
                release.lines().next().unwrap_or_default(),
                release != RELEASE.trim_end(),
            )?;
            s.without("-n");
            s.equals("host: `ip link` lists", links_by(&host)?, "lo veth_web")?;
            s.without("-n, and with -p -m: `docker exec` without the network");
            let release = exec(container, &host, &["cat", "/etc/os-release"])?;
            s.equals("the files are the container's", release, RELEASE.trim_end())?;
            let page = page(&exec(container, &host, &["wget", "-qO-", "10.244.1.2"])?);
            s.equals("and who asks is the host", page, "web saw 10.244.1.1")
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.ping-capabilities",
        title: "ping without CAP_NET_RAW",
        afresh: true,
        claim: "Without CAP_NET_RAW nobody opens a raw socket, and ping is one who wants it. Whose group is in net.ipv4.ping_group_range needs none: \
                to that group the kernel gives datagram sockets for ICMP echo, and nothing else.",
        truth: "The range is a matter of the network namespace. A new one has 1 0, which is nobody. Docker writes 0 2147483647 into those of its \
                containers since 20.10, so that ping works with `--cap-drop NET_RAW` too. Raw sockets stay forbidden, and so do those of tcpdump. (A machine that was made without root has one group, 0.)",
        needs: &["CAP_NET_RAW, or a group in net.ipv4.ping_group_range"],
        commands: &["nsenter -t PID -n sysctl -w net.ipv4.ping_group_range='0 0'", "setpriv --bounding-set -net_raw ping -v 10.244.1.1"],
        scene: |w| {
            unpack_image(w)?;
            let container = owner(&w.host(), &[PAUSE]).start()?;
            let con = w.add(network_of(CON, &container)?);
            let cable = cable(&w.host(), &con, "veth_con", "10.244.1")?;
            w.keep_cable(cable);
            w.keep(CON_CONTAINER, container);
            Ok(())
        },
        before: |w, s| {
            let con = w.machine(CON)?;
            s.equals("con: with CAP_NET_RAW, `ping -v 10.244.1.1`", run(ping(&con))?, BY_RAW)?;
            s.equals("con: without it", run(ping(&con).cap_drop("NET_RAW"))?, "ping: Operation not permitted")
        },
        // What was there before cannot be written: group 1, of the kernel's `1 0`, has no number in this machine.
        change: |w| {
            w.machine(CON)?.set_sysctl(PING_GROUPS, "0 0")?.keep();
            Ok(())
        },
        check: |w, s| {
            let con = w.machine(CON)?;
            s.equals("con: without CAP_NET_RAW, `ping -v 10.244.1.1`", run(ping(&con).cap_drop("NET_RAW"))?, BY_DATAGRAM)?;
            s.equals("con: with it, ping wants none either", run(ping(&con))?, BY_DATAGRAM)?;
            let socket = || container(&con, &["socket", "SOCK_RAW"]);
            s.without("CAP_NET_RAW");
            s.equals(
                "con: socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)",
                run(socket().cap_drop("NET_RAW"))?,
                "socket: Operation not permitted",
            )?;
            s.with("CAP_NET_RAW");
            s.equals("con: socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)", run(socket())?, "SOCK_RAW")?;
            s.without("the group in the range, in another new namespace");
            let other = owner(&w.host(), &[PAUSE]).start()?;
            let other = network_of("other", &other)?;
            let socket = || container(&other, &["socket", "SOCK_DGRAM"]);
            s.equals("other: socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)", run(socket())?, "socket: Permission denied")?;
            s.equals("other: `ping`", run(ping(&other).cap_drop("NET_RAW"))?, "ping: Operation not permitted")
        },
        ..Stage::STILL
    },
];

const BY_RAW: &str = "socktype: SOCK_RAW\nreply from 10.244.1.1";
const BY_DATAGRAM: &str = "socktype: SOCK_DGRAM\nreply from 10.244.1.1";

fn ping(from: &Netns) -> netlab::ProcessPlan {
    container(from, &["ping", "-v", "10.244.1.1"])
}

/// A cable from the host, which is .1 of the net, to the network of a container, which is .2; with what else a network plugin sets there.
fn cable(host: &Netns, to: &Netns, port: &str, net: &str) -> Result<VethPair> {
    to.link("lo")?.up()?;
    let eth0 = to.iface("eth0").addr(format!("{net}.2/24")).gateway(format!("{net}.1"));
    Ok(VethPair::connect(host.iface(port).addr(format!("{net}.1/24")), eth0)?)
}

/// Starts a container in the network of a pod, which is a web server.
fn member(pod: &Netns, pause: &Process, name: &str, port: u16) -> Result<Process> {
    ready(container(pod, &["httpd", name, &format!("0.0.0.0:{port}")]).join(pause, [Ipc, Uts]), port)
}

/// Each container of the pod finds the other at localhost; of the rest they share what pause holds.
fn localhost_is_shared(w: &World, s: &mut Story, pod: &Netns) -> Result<()> {
    let (pause, app, sidecar): (&Process, &Process, &Process) = (w.kept(PAUSE)?, w.kept(APP)?, w.kept(SIDECAR)?);
    let asked = |container, url| Ok::<_, Error>(page(&exec(container, pod, &["wget", "-qO-", url])?));
    s.equals("in app: `wget 127.0.0.1:8080` gets", asked(app, "127.0.0.1:8080")?, "sidecar saw 127.0.0.1")?;
    s.equals("in sidecar: `wget 127.0.0.1:80` gets", asked(sidecar, "127.0.0.1:80")?, "app saw 127.0.0.1")?;
    s.equals("app and sidecar share", shared(app, sidecar, ALL)?, "net ipc uts")?;
    s.equals("so they do with pause", shared(pause, app, ALL)?, "net ipc uts")
}

/// An app without a pod, which somebody has joined: what becomes of its network when it starts again.
fn alone(host: &Netns, s: &mut Story) -> Result<()> {
    const PORT: &str = "veth_alone";
    let start = || Ok::<_, Error>(owner(host, &["httpd", "alone", "0.0.0.0:80"]).start()?);
    let app = start()?;
    let joined = {
        let network = network_of("alone", &app)?;
        drop(cable(host, &network, PORT, "10.244.2")?.keep());
        member(&network, &app, "joined", 8080)?
    };
    s.served(host, "10.244.2.2:80", "alone")?;
    s.served(host, "10.244.2.2:8080", "joined")?;
    app.close()?;
    let app = start()?;
    s.equals("it, started again, and who had joined it share", shared(&app, &joined, ALL)?, "nothing")?;
    s.not_served(host, "10.244.2.2:80", Reason::Refused)?;
    s.links(&network_of("alone, again", &app)?, "it has these links", "lo")?;
    joined.close()?;
    s.holds("host: with the last of the old network its cable has gone", PORT, await_end_of_link(host, PORT)?)
}

/// A tool of the host, in a network namespace: the host's mounts and processes, and its files.
fn of_host(network: &Netns, tool: &str) -> netlab::ProcessPlan {
    network.process(format!("{TOOLS}/bin/{tool}"))
}

fn links_by(network: &Netns) -> Result<String> {
    Ok(names_of_links(&run(of_host(network, "ip").arg("link"))?))
}

fn sockets_by(network: &Netns) -> Result<String> {
    let sockets = run(of_host(network, "ss").arg("-ltn"))?;
    Ok(if sockets.is_empty() { "nothing".to_owned() } else { sockets })
}
