//! Stages 06 to 11: a cable into a container, its name and address, and a second container.

use std::fs;
use std::net::Ipv4Addr;

use netlab::{Capture, Process, Reason, Route, VethPair, capture};

use super::containers::{shell_of, start};
use super::{CON_1, CON_2, NODE_1, cable, hardware, have_patience};
use crate::error::{Error, Result};
use crate::stage::{Cause, Stage, Verdict};

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "001.06",
        title: "no way to the node",
        claim: "The container does not reach the node: `ping 10.141.0.1` says that the network is unreachable.",
        truth: "ENETUNREACH at once: the container has no device but `lo`, which is DOWN, and no route at all.",
        commands: &["ping -c1 10.141.0.1  # in the container"],
        before: |w, s| s.replies(&w.machine(NODE_1)?, "10.141.0.1"),
        cause: Cause::Lack {
            of: "a cable into the container, addresses and a default route",
            supply: |w| {
                cable(w, NODE_1, "veth0", CON_1, "172.19.35.2/24")?;
                w.machine(NODE_1)?.link("veth0")?.add_address("172.19.35.1/24")?.keep();
                Route::default_via("172.19.35.1").install(&w.machine(CON_1)?)?.keep();
                Ok(())
            },
        },
        check: |w, s| {
            let con1 = w.machine(CON_1)?;
            s.no_reply(&con1, "10.141.0.1", libc::ENETUNREACH)?;
            s.links(&con1, "lo is the only device", "lo")?;
            s.link(&con1, "and it is down", "lo", "lo: <LOOPBACK> noop DOWN")?;
            s.routes(&con1, "there is no route", "main", &[])
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.07",
        title: "a cable by process id",
        claim: "`ip link set veth1 netns PID` puts one end of a veth pair into the container; the ends know each other by their numbers.",
        truth: "veth1 is gone from the node and DOWN in the container, with the index that it had. Each end shows the index of the other \
                behind its @: one more and one less. iproute2 writes M-DOWN only where it sees the other end; busybox's `ip`, inside, \
                takes an index of its own namespace for it.",
        needs: &["exactly one process of that name, where the id is looked up by `pidof ash`"],
        commands: &["ip link add veth0 type veth peer name veth1", "ip link set veth1 netns $(pidof ash)"],
        before: |w, s| {
            s.links(&w.machine(NODE_1)?, "eth0 is the only device beside lo", "lo eth0")?;
            s.links(&w.machine(CON_1)?, "lo is the only device", "lo")
        },
        change: |w| {
            let node = w.machine(NODE_1)?;
            // Index 0 leaves the choice to the kernel, as `ip link add` does.
            let pair = VethPair::connect(node.iface("veth0").index(0).down(), node.iface("veth1").index(0).down())?;
            pair.right().move_to_pid(w.kept::<Process>(&shell_of(CON_1))?.id())?;
            have_patience(&node)?;
            w.keep(CABLE_1, pair);
            Ok(())
        },
        check: |w, s| {
            let (node, con1) = (w.machine(NODE_1)?, w.machine(CON_1)?);
            s.links(&node, "the other end is gone", "lo eth0 veth0")?;
            s.links(&con1, "and is here", "lo veth1")?;
            let (here, there) = (node.link("veth0")?.index(), con1.link("veth1")?.index());
            s.link(&node, "it shows the index of the far end", "veth0", &format!("veth0@if{there}: <BROADCAST,MULTICAST> noop DOWN"))?;
            s.link(&con1, "it shows the index of the far end", "veth1", &format!("veth1@if{here}: <BROADCAST,MULTICAST> noop DOWN"))?;
            let id = w.kept::<Process>(&shell_of(CON_1))?.id();
            s.equals(
                "node001: `pidof ash` is the container",
                words(&processes("ash")?.iter().map(|found| found.id).collect::<Vec<_>>()),
                id.to_string(),
            )?;
            s.holds("the indexes follow one another", format!("veth0 {here}, veth1 {there}"), here == there + 1)
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.08",
        title: "rename",
        claim: "`ip link set veth1 name eth0 address 02:42:ac:13:23:02` gives the end its usual name and a MAC address made of its IP address.",
        truth: "Both hold. The address is not needed: the device had one. Linux renames a device that is up, too, since 6.2.",
        commands: &["ip link set veth1 name eth0 address $(printf '02:42:%02x:%02x:%02x:%02x' 172 19 35 2)  # in the container"],
        before: |w, s| {
            s.links(&w.machine(CON_1)?, "the end has its first name", "lo veth1")?;
            let mac = hardware(&w.machine(CON_1)?, "veth1")?;
            s.holds("con1: it has a MAC address", &mac, mac.parse::<netlab::capture::Mac>().is_ok())
        },
        change: |w| {
            let end = w.machine(CON_1)?.link("veth1")?;
            end.rename("eth0")?;
            Ok(end.set_mac(mac_of([172, 19, 35, 2].into()))?)
        },
        check: |w, s| {
            let con1 = w.machine(CON_1)?;
            s.links(&con1, "the end has its new name", "lo eth0")?;
            s.equals("con1: its MAC address is made of its IP address", hardware(&con1, "eth0")?, "02:42:ac:13:23:02")?;
            s.unstated();
            let end = con1.link("eth0")?;
            end.up()?;
            end.rename("wan7")?;
            s.link(
                &con1,
                "a device that is up is renamed too",
                "wan7",
                &format!(
                    "wan7@if{}: <NO-CARRIER,BROADCAST,MULTICAST,UP> noqueue LOWERLAYERDOWN",
                    w.machine(NODE_1)?.link("veth0")?.index()
                ),
            )
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.09",
        title: "how many there can be",
        verdict: Verdict::False,
        claim: "With 8 bits for the containers of a node and 8 for the nodes there can be 30 containers on each of 255 nodes.",
        truth: "8 bits are 256 numbers: 256 nodes, and 254 containers on each, without the network's own number and the broadcast address \
                (253, as a bridge will have one of them). 30 is what 5 bits give. Linux since 5.14 does not even reserve the lowest number: \
                172.19.35.0 can be a container's.",
        commands: &["echo $((2**8 - 2)) $((2**8))"],
        cause: Cause::Change("001.08"),
        check: |w, s| {
            s.without("8 bits for the containers: with the 5 of a /27");
            s.equals("so many hosts has 172.19.35.0/27", network("172.19.35.0/27")?.hosts().count(), 30)?;
            s.wrong();
            s.equals("so many hosts has 172.19.35.0/24", network("172.19.35.0/24")?.hosts().count(), 254)?;
            let nodes = network("172.19.0.0/16")?.subnets(24).map_err(|e| Error::World(e.to_string()))?.count();
            s.equals("so many networks with 8 bits are in 172.19.0.0/16", nodes, 256)?;
            s.unstated();
            let (node, con1) = (w.machine(NODE_1)?, w.machine(CON_1)?);
            let (port, end) = (node.link("veth0")?, con1.link("eth0")?);
            port.add_address("172.19.35.1/24")?.keep();
            for number in [0, 2, 254, 255] {
                end.add_address(format!("172.19.35.{number}/24"))?.keep();
            }
            port.up()?;
            end.up()?;
            s.replies(&node, "172.19.35.254")?;
            s.replies(&node, "172.19.35.0")?;
            s.no_reply(&node, "172.19.35.255", libc::EACCES)
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.10",
        title: "address, and up",
        claim: "eth0 gets 172.19.35.2/24, and both ends are set up.",
        truth: "Both ends have a carrier, and the container has one route, that to its own network. Nobody answers there yet: the node's end \
                has no address.",
        commands: &["ip address add 172.19.35.2/24 dev eth0; ip link set eth0 up  # in the container", "ip link set veth0 up"],
        before: |w, s| {
            let (node, con1) = (w.machine(NODE_1)?, w.machine(CON_1)?);
            s.link(&node, "the end is down", "veth0", &format!("veth0@if{}: <BROADCAST,MULTICAST> noop DOWN", con1.link("eth0")?.index()))?;
            s.addresses(&con1, "there is no address", "eth0", "none")?;
            s.routes(&con1, "and no route", "main", &[])
        },
        change: |w| {
            let (port, end) = (w.machine(NODE_1)?.link("veth0")?, w.machine(CON_1)?.link("eth0")?);
            w.keep("the address of con1", end.add_address("172.19.35.2/24")?);
            end.up()?;
            Ok(port.up()?)
        },
        check: |w, s| {
            let (node, con1) = (w.machine(NODE_1)?, w.machine(CON_1)?);
            let (port, end) = (node.link("veth0")?.index(), con1.link("eth0")?.index());
            let carries = |name, far| format!("{name}@if{far}: <BROADCAST,MULTICAST,UP,LOWER_UP> noqueue UP");
            s.link(&node, "the end has a carrier", "veth0", &carries("veth0", end))?;
            s.link(&con1, "the end has a carrier", "eth0", &carries("eth0", port))?;
            s.ipv4_addresses(&con1, "it has its address", "eth0", "172.19.35.2/24")?;
            s.routes(&con1, "the connected route is the only one", "main", &[CONNECTED])?;
            s.ipv4_addresses(&node, "the end here has none", "veth0", "none")
        },
        ..Stage::STILL
    },
    Stage {
        id: "001.11",
        title: "a second container",
        claim: "A second container gets veth3 as its eth0, with 172.19.35.3/24, in the same way; `top` runs in it, and its process id is \
                what `ps -C ash -o ppid=` prints.",
        truth: "It is there, and nothing joins the two yet: con1 asks for 172.19.35.3 on its own cable, whose far end is not con2's. \
                The ping is silent: its kernel says EHOSTUNREACH by an ICMP message to itself, which takes a `lo` that is UP. The parents of the shells are those who started the containers: the container is the parent of \
                its `top`.",
        commands: &[
            "ip link add veth2 type veth peer name veth3; ip link set veth3 netns PID",
            "ip link set veth3 name eth0; ip address add 172.19.35.3/24 dev eth0; ip link set eth0 up  # in the container",
            "ip link set veth2 up",
        ],
        before: |w, s| s.links(&w.machine(NODE_1)?, "one cable leads into a container", "lo eth0 veth0"),
        change: |w| {
            start(w, CON_2, &["-c", "top"])?;
            cable(w, NODE_1, "veth2", CON_2, "172.19.35.3/24")
        },
        check: |w, s| {
            let (node, con1, con2) = (w.machine(NODE_1)?, w.machine(CON_1)?, w.machine(CON_2)?);
            s.links(&node, "two cables do", "lo eth0 veth0 veth2")?;
            s.links(&con2, "one of them ends here", "lo eth0")?;
            s.ipv4_addresses(&con2, "it has its address", "eth0", "172.19.35.3/24")?;
            let tap = Capture::on(&con2)?;
            s.no_reply(&con1, "172.19.35.3", Reason::Silence)?;
            s.packets("con2: none of it comes here", &tap.stop()?.filter(capture::any().from("172.19.35.2"))?, &[])?;
            s.wrong();
            let second = w.kept::<Process>(&shell_of(CON_2))?.id();
            let (of_ash, of_top) = (parents("ash")?, parents("top")?);
            s.holds(
                format!("node001: none of `ps -C ash -o ppid=` is the second container, {second}"),
                words(&of_ash),
                !of_ash.contains(&second),
            )?;
            s.equals("node001: `ps -C top -o ppid=` is", words(&of_top), second.to_string())?;
            s.unstated();
            con1.link("lo")?.up()?;
            con1.link("eth0")?.set_ipv4_neigh("retrans_time_ms", 30)?.keep();
            s.no_reply(&con1, "172.19.35.3", libc::EHOSTUNREACH)
        },
        ..Stage::STILL
    },
];

/// The cable whose one end is moved into con1 by stage 07.
const CABLE_1: &str = "the cable of con1";
const CONNECTED: &str = "172.19.35.0/24 dev eth0 proto kernel scope link src 172.19.35.2";

/// A process, as the node sees it.
struct Found {
    id: u32,
    parent: u32,
}

/// The processes of that name.
fn processes(name: &str) -> Result<Vec<Found>> {
    let entries = fs::read_dir("/proc").map_err(|e| Error::World(format!("cannot list /proc: {e}")))?;
    let read = |id: u32| {
        // `ID (NAME) STATE PARENT …` (proc(5)); one that has ended since has none.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let (front, rest) = stat.rsplit_once(") ")?;
        let parent = rest.split(' ').nth(1)?.parse().ok()?;
        front.ends_with(&format!("({name}")).then_some(Found { id, parent })
    };
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(read).collect())
}

fn parents(name: &str) -> Result<Vec<u32>> {
    Ok(processes(name)?.iter().map(|found| found.parent).collect())
}

fn words(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

/// The MAC address that Docker makes of an IP address, as the text's one line of shell does.
fn mac_of(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

fn network(text: &str) -> Result<ipnet::Ipv4Net> {
    text.parse().map_err(|e| Error::World(format!("{text}: {e}")))
}
