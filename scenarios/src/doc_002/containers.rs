//! Stages 01 to 10: the containers, their namespaces, and the two ends of their cables.

use std::net::Ipv6Addr;
use std::os::unix::fs::MetadataExt;

use netlab::Namespace::{Ipc, Mount, Net, Pid, Uts};
use netlab::nft::Family;
use netlab::{Netns, Policy, Process, Reason, Rules, VethPair, snapshot};

use super::{CON_1, CON_2, CON_3, CONTAINERS, DAEMON, OTHER};
use crate::ask::{with_peer, without_number};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::ip_netns;
use crate::stage::{Cause, Stage, Verdict};
use crate::story::Story;
use crate::table::expected_pings;
use crate::world::{Container, Daemon, World};

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "002.01",
        title: "invisible namespaces",
        claim: "Three containers run, each in a network namespace of its own, and yet `ip netns list` shows nothing.",
        truth: "The command lists the names in /run/netns, and Docker puts none there. A namespace needs no name: it lasts as long as \
                somebody is in it or holds it.",
        commands: &[
            "docker run -dt --name con1 alpine top",
            "docker run -dt --name con2 alpine top",
            "docker run -dt --name con3 --network other alpine top",
            "ip netns list",
        ],
        before: |w, s| s.links(&w.host(), "no container has a cable here", "lo eth0 docker0 br-3f2a7c9d1e04"),
        change: |w| {
            let image = Image::unpack(IMAGE)?;
            for (container, network) in &CONTAINERS {
                let inside = w.docker_run(network, container)?;
                let top = inside.process("/bin/top").unshare([Ipc, Mount, Pid, Uts]).root(image.path()).prints("top").start()?;
                w.keep(process_of(container), top);
            }
            w.keep(IMAGE, image);
            Ok(())
        },
        cause: Cause::Lack { of: ATTACH, supply: attach },
        check: |w, s| {
            for (container, _) in &CONTAINERS {
                let own = w.kept::<Process>(&process_of(container))?.namespace(Net)?;
                s.holds(
                    format!("{}: its process is in a network namespace of its own", container.name),
                    netns(own),
                    own != w.host().inode()?,
                )?;
            }
            s.equals("host: `ip netns list` shows", listing(&w.host())?, "nothing")?;
            s.without("the lack of a name");
            attach(w)?;
            s.equals("host: `ip netns list` shows", listing(&w.host())?, format!("con1 (id: {})", id_of_port(&w.host(), &CON_1)?))
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.02",
        title: "names for them",
        claim: "With a symbolic link /var/run/netns/con1 to /proc/PID/ns/net, `ip netns list` shows the namespace, and `ip netns exec con1` \
                enters it.",
        truth: "It does. The id behind the name is that by which the host knows the namespace: the `link-netnsid` of the cable's end here. A \
                namespace to which no cable leads has none. And the link is the name of a process, not of the namespace: when the process \
                ends, it leads nowhere.",
        commands: &[
            "mkdir -p /var/run/netns",
            "ln -s /proc/$(docker inspect -f '{{.State.Pid}}' con1)/ns/net /var/run/netns/con1",
            "ln -s /proc/$(docker inspect -f '{{.State.Pid}}' con2)/ns/net /var/run/netns/con2",
            "ln -s /proc/$(docker inspect -f '{{.State.Pid}}' con3)/ns/net /var/run/netns/con3",
            "ip netns list",
        ],
        before: |w, s| s.equals("host: `ip netns list` shows", listing(&w.host())?, "nothing"),
        change: |w| {
            CONTAINERS.iter().try_for_each(|(container, _)| {
                let process = w.kept::<Process>(&process_of(container))?.id();
                ip_netns::link_name(container.name, process)
            })
        },
        check: |w, s| {
            let host = w.host();
            let lines = CONTAINERS.iter().map(|(container, _)| Ok(format!("{} (id: {})", container.name, id_of_port(&host, container)?)));
            let lines = lines.collect::<Result<Vec<_>>>()?.join("\n");
            s.equals("host: `ip netns list` shows, with the ids that `ip link` shows of the ports", listing(&host)?, lines)?;
            for (container, _) in &CONTAINERS {
                let own = w.kept::<Process>(&process_of(container))?.namespace(Net)?;
                s.equals(format!("{}: by that name one enters", container.name), named(container.name), netns(own))?;
            }
            s.unstated();
            ip_netns::add_name(&Netns::bare("lonely")?)?;
            s.equals("host: a namespace to which no cable leads has no id", line_of(&host, "lonely")?, "lonely")?;
            s.without("its process");
            w.take::<Process>(&process_of(&CON_1))?.close()?;
            s.equals("host: /var/run/netns/con1 leads nowhere", named(CON_1.name), "No such file or directory")?;
            s.equals("host: and `ip netns list` still has the name", line_of(&host, CON_1.name)?, "con1")
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.03",
        title: "inside",
        claim: "Inside, each container has an eth0: `22: eth0@if23` with 172.17.0.2/16, `24: eth0@if25` with 172.17.0.3/16 and \
                `34: eth0@if35` with 172.18.0.2/16.",
        truth: "To the digit. The number behind `@if` is that of the other end of the cable, which is not in this namespace.",
        needs: &["an index chosen for both ends of a cable: the kernel ignores that of the second, if the first has none"],
        commands: &["ip netns exec con1 ip address; ip netns exec con2 ip address; ip netns exec con3 ip address"],
        cause: UNPLUGGED,
        check: |w, s| {
            inside(w, s, &CON_1, "22: eth0@if23", "172.17.0.2/16")?;
            inside(w, s, &CON_2, "24: eth0@if25", "172.17.0.3/16")?;
            inside(w, s, &CON_3, "34: eth0@if35", "172.18.0.2/16")?;
            s.without("its cable");
            unplug(w)?;
            s.links(&w.machine(CON_1.name)?, "lo is the only device", "lo")
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.04",
        title: "on the host",
        claim: "The other ends are on the host: 23 and 25 are ports of docker0, 35 is a port of the other network's bridge.",
        truth: "So they are, and each names the container's end in turn: `@if22`, `@if24`, `@if34`.",
        commands: &["ip link"],
        cause: UNPLUGGED,
        check: |w, s| {
            let host = w.host();
            s.equals("host: con1 is at", port(&host, CON_1.port)?, "23: veth8a1f3c2@if22 master docker0")?;
            s.equals("host: con2 is at", port(&host, CON_2.port)?, "25: veth5ae2f19@if24 master docker0")?;
            s.equals("host: con3 is at", port(&host, CON_3.port)?, "35: vethc04d7b6@if34 master br-3f2a7c9d1e04")?;
            s.without("a cable");
            unplug(w)?;
            s.links(&host, "its end here is gone as well", "lo eth0 docker0 veth5ae2f19 br-3f2a7c9d1e04 vethc04d7b6")
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.05",
        title: "ports and addresses",
        verdict: Verdict::False,
        claim: "The ports of a bridge have no address, and can have none.",
        truth: "They have no IPv4 address. An IPv6 one they do have, as the text's own listing shows: the link-local address that the \
                kernel makes of the MAC address. And they can be given an IPv4 one: the kernel takes it, and the container even gets a reply \
                from it, by way of the bridge. The MAC addresses inside, 02:42 and the IPv4 address, are Docker's habit; any other does.",
        commands: &["ip address show veth8a1f3c2"],
        cause: Cause::Lack { of: "ip address add 172.17.0.99/16 dev veth8a1f3c2", supply: give_the_port_an_address },
        check: |w, s| {
            let (host, con1) = (w.host(), w.machine(CON_1.name)?);
            for (container, _) in &CONTAINERS {
                s.ipv4_addresses(&host, format_args!("{} has no IPv4 address", container.port), container.port, "none")?;
            }
            s.wrong();
            for (container, _) in &CONTAINERS {
                let expected = format!("{}/64", link_local(&mac(&host, container.port)?)?);
                s.addresses(
                    &host,
                    format_args!("{} has the address that its MAC address makes", container.port),
                    container.port,
                    &expected,
                )?;
            }
            s.no_reply(&con1, "172.17.0.99", libc::EHOSTUNREACH)?;
            give_the_port_an_address(w)?;
            s.ipv4_addresses(&host, "a port can be given an IPv4 address", CON_1.port, "172.17.0.99/16")?;
            s.replies(&con1, "172.17.0.99")?;
            s.unstated();
            for (container, _) in &CONTAINERS {
                let inside = w.machine(container.name)?;
                s.equals(format!("{inside}: the MAC address repeats {}", container.address), mac(&inside, "eth0")?, container.mac())?;
            }
            s.without("Docker's habit");
            let own = "02:00:00:00:00:01";
            con1.link("eth0")?.set_mac(own)?;
            s.equals("con1: the MAC address is", mac(&con1, "eth0")?, own)?;
            s.replies(&con1, "172.17.0.1")
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.06",
        title: "con1 to con2",
        claim: "con1 reaches con2.",
        truth: "They are in one network and on one bridge: nobody routes, and the ttl is still 64.",
        commands: &["ip netns exec con1 ping -c1 172.17.0.3"],
        cause: Cause::Lack { of: "ip link set veth5ae2f19 nomaster", supply: |w| Ok(w.host().link(CON_2.port)?.set_nomaster()?) },
        check: |w, s| {
            let (con1, con2) = (w.machine(CON_1.name)?, w.machine(CON_2.name)?);
            s.replies(&con1, "172.17.0.3")?;
            s.replies(&con2, "172.17.0.2")?;
            s.without("the bridge between them");
            w.host().link(CON_2.port)?.set_nomaster()?;
            con1.link("eth0")?.flush_neighbours()?;
            s.no_reply(&con1, "172.17.0.3", libc::EHOSTUNREACH)
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.07",
        title: "con1 to con3",
        verdict: Verdict::False,
        claim: "con1 does not reach con3: they are in different networks, each on a bridge of its own.",
        truth: "It does not, and nobody says why: the packet is dropped by Docker's rules (DOCKER-ISOLATION-STAGE-2), not for want of a way. \
                Without these rules the host is the router between its two bridges, and con3 replies, one hop farther away (ttl 63). \
                With ip_forward=0 the networks are apart as well. The policy DROP of FORWARD plays no part, nor does br_netfilter, \
                and the host's own address in the other network is reached in any case.",
        needs: &["Docker's rules, or ip_forward=0"],
        commands: &["ip netns exec con1 ping -c1 172.18.0.2"],
        cause: Cause::Lack { of: "iptables -F DOCKER-ISOLATION-STAGE-1", supply: end_isolation },
        check: |w, s| {
            let con1 = w.machine(CON_1.name)?;
            s.no_reply(&con1, "172.18.0.2", Reason::Silence)?;
            s.equals("host: DOCKER-ISOLATION-STAGE-2 has dropped it", dropped_by_isolation(w)?, "1 packet")?;
            s.wrong();
            isolation_grid(w, s)?;
            s.without("the rules of isolation");
            end_isolation(w)?;
            s.replies(&con1, "172.18.0.2")
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.08",
        title: "the number behind @if",
        claim: "`eth0@if23` says that the other end of the cable is interface 23.",
        truth: "It is the index of the other end (IFLA_LINK), counted in the namespace where that is; not a line of the list, and no part \
                of the name. Each namespace counts for itself: there are as many interfaces 23 as there are namespaces that have one, and only \
                `link-netnsid` tells which is meant. An interface that moves to where its index is taken gets another one.",
        commands: &["ip link show | grep ^23:"],
        cause: Cause::Lack {
            of: "ip link delete veth8a1f3c2; ip link add veth8a1f3c2 type veth peer name eth0 netns con1",
            supply: |w| {
                unplug(w)?;
                let (host, con1) = (w.host(), w.machine(CON_1.name)?);
                w.keep_cable(VethPair::connect(con1.iface("eth0"), host.iface(CON_1.port))?);
                Ok(())
            },
        },
        check: |w, s| {
            let (host, con1) = (w.host(), w.machine(CON_1.name)?);
            s.equals("con1: its end is", numbered(&con1, "eth0")?, "22: eth0@if23")?;
            let other = host.links()?.iter().find(|link| link.index == 23).map_or_else(|| "nobody".to_owned(), |link| link.name.clone());
            s.equals("host: 23 is", other, CON_1.port)?;
            s.refused("con1: there is no interface of the name `eth0@if23`", con1.link("eth0@if23"), libc::ENODEV)?;
            let line = host.links()?.iter().position(|link| link.index == 23).map_or(0, |line| line + 1);
            s.holds("host: 23 is not the line of the list", format!("it is line {line}"), (1..23).contains(&line))?;
            s.unstated();
            another_23(w, s)?;
            s.without("an index that is free where the interface goes");
            moved(w, s)
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.09",
        title: "what the host lists",
        claim: "On the host, `ip address` shows the host's devices only.",
        truth: "Its own interfaces, bridges and ends of cables; nothing of what is in a container.",
        commands: &["ip address"],
        cause: Cause::Lack { of: "ip netns exec con1 ip link set eth0 netns 1", supply: take_eth0_out },
        check: |w, s| {
            let host = w.host();
            s.links(&host, "there are", "lo eth0 docker0 veth8a1f3c2 veth5ae2f19 br-3f2a7c9d1e04 vethc04d7b6")?;
            let listed = host.addresses()?.to_string();
            for (container, _) in &CONTAINERS {
                let address = container.address.to_string();
                let seen = if listed.contains(&format!("inet {address}/")) { "is listed" } else { "is not listed" };
                s.equals(format!("host: the address of {}, {address},", container.name), seen, "is not listed")?;
            }
            s.without("a namespace around it");
            take_eth0_out(w)?;
            s.links(
                &host,
                "an interface that is taken out of con1 is listed",
                "lo eth0 docker0 con1_eth0 veth8a1f3c2 veth5ae2f19 br-3f2a7c9d1e04 vethc04d7b6",
            )
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.10",
        title: "what a container lists",
        claim: "`ip netns exec con1` runs a command inside: it sees the container's devices only.",
        truth: "And more than devices is its own: routes, rules, sysctls, listening ports.",
        commands: &["ip netns exec con1 ip address", "ip netns exec con1 ip route", "ip netns exec con1 sysctl net.ipv4.ip_forward"],
        cause: UNPLUGGED,
        check: |w, s| {
            let (host, con1) = (w.host(), w.machine(CON_1.name)?);
            s.links(&con1, "there are", "lo eth0")?;
            let connected = "172.17.0.0/16 dev eth0 proto kernel scope link src 172.17.0.2";
            s.routes(&con1, "it has its own routes", "main", &["default via 172.17.0.1 dev eth0", connected])?;
            s.equals("con1: its FORWARD has", forward_rules(&con1)?, "no rules")?;
            own_sysctl(s, &host, &con1)?;
            s.without("a namespace of its own");
            s.equals("host: FORWARD has", forward_rules(&host)?, "10 rules")?;
            let _bound = host.bind_tcp("0.0.0.0:8080")?;
            s.refused("host: port 8080, once taken, is taken", host.bind_tcp("0.0.0.0:8080"), libc::EADDRINUSE)?;
            s.holds("con1: and free here", con1.bind_tcp("0.0.0.0:8080")?.address(), true)
        },
        ..Stage::STILL
    },
];

/// Whom con1 reaches, by the rules of isolation, ip_forward, the policy of FORWARD and bridge-nf-call-iptables.
const ISOLATION: &[[&str; 7]] = &[
    ["isolation", "ip_forward", "policy", "nf", "→con2", "→con3", "→172.18.0.1"],
    ["yes", "1", "DROP", "1", "ttl 64", "silent", "ttl 64"],
    ["yes", "1", "DROP", "0", "ttl 64", "silent", "ttl 64"],
    ["yes", "1", "ACCEPT", "1", "ttl 64", "silent", "ttl 64"],
    ["yes", "1", "ACCEPT", "0", "ttl 64", "silent", "ttl 64"],
    ["yes", "0", "DROP", "1", "ttl 64", "silent", "ttl 64"],
    ["yes", "0", "DROP", "0", "ttl 64", "silent", "ttl 64"],
    ["yes", "0", "ACCEPT", "1", "ttl 64", "silent", "ttl 64"],
    ["yes", "0", "ACCEPT", "0", "ttl 64", "silent", "ttl 64"],
    ["no", "1", "DROP", "1", "ttl 64", "ttl 63", "ttl 64"],
    ["no", "1", "DROP", "0", "ttl 64", "ttl 63", "ttl 64"],
    ["no", "1", "ACCEPT", "1", "ttl 64", "ttl 63", "ttl 64"],
    ["no", "1", "ACCEPT", "0", "ttl 64", "ttl 63", "ttl 64"],
    ["no", "0", "DROP", "1", "ttl 64", "silent", "ttl 64"],
    ["no", "0", "DROP", "0", "ttl 64", "silent", "ttl 64"],
    ["no", "0", "ACCEPT", "1", "ttl 64", "silent", "ttl 64"],
    ["no", "0", "ACCEPT", "0", "ttl 64", "silent", "ttl 64"],
];

/// Plays every row of the table, and leaves the host without isolation.
fn isolation_grid(w: &mut World, s: &mut Story) -> Result<()> {
    let (host, con1) = (w.host(), w.machine(CON_1.name)?);
    let check = "pings of con1: con3 replies where no rule isolates it and the host forwards";
    s.plays(check, ISOLATION, |[isolation, ip_forward, policy, bridge_nf, con2, con3, gateway]| {
        if *isolation == "no" {
            end_isolation(w)?;
        }
        let _forwarding = host.set_sysctl("net.ipv4.ip_forward", ip_forward)?;
        let _bridged = host.set_sysctl("net.bridge.bridge-nf-call-iptables", bridge_nf)?;
        let _policy = (if *policy == "DROP" { Policy::drop(&host) } else { Policy::accept(&host) }).forward().install()?;
        expected_pings(&[(&con1, "172.17.0.3", con2), (&con1, "172.18.0.2", con3), (&con1, "172.18.0.1", gateway)])
    })
}

/// Takes the rules away by which no network reaches another.
fn end_isolation(w: &mut World) -> Result<()> {
    let rules = w.kept_mut::<Daemon>(DAEMON)?.isolation.take();
    Ok(rules.map_or(Ok(()), Rules::close)?)
}

/// How many packets to the other network the rules of isolation have dropped.
fn dropped_by_isolation(w: &World) -> Result<String> {
    let daemon = w.kept::<Daemon>(DAEMON)?;
    let rule =
        daemon.isolation.iter().flat_map(Rules::iter).find(|rule| rule.as_nft().contains(OTHER.bridge) && rule.as_nft().ends_with("drop"));
    match rule.map(|rule| rule.hits().map(|hits| hits.packets)).transpose()? {
        None => Ok("there is no such rule".to_owned()),
        Some(1) => Ok("1 packet".to_owned()),
        Some(packets) => Ok(format!("{packets} packets")),
    }
}

/// The cable of con1, taken away.
const UNPLUGGED: Cause = Cause::Lack { of: "ip link delete veth8a1f3c2", supply: unplug };

fn unplug(w: &mut World) -> Result<()> {
    Ok(w.take::<VethPair>("the cable of con1/eth0")?.close()?)
}

const ATTACH: &str = "ip netns attach con1 $(docker inspect -f '{{.State.Pid}}' con1)";

fn attach(w: &mut World) -> Result<()> {
    ip_netns::add_name(&w.machine(CON_1.name)?)
}

/// Where the image of the containers is unpacked.
const IMAGE: &str = "/run/alpine";

fn process_of(container: &Container) -> String {
    format!("the process of {}", container.name)
}

/// What `ip netns list` shows, sorted.
fn listing(on: &Netns) -> Result<String> {
    let lines = ip_netns::names().into_iter().map(|name| line_of(on, &name)).collect::<Result<Vec<_>>>()?;
    Ok(or_nothing(lines.join("\n")))
}

/// The line of a name in `ip netns list`: with an id, if it leads to a namespace that has one.
fn line_of(on: &Netns, name: &str) -> Result<String> {
    let id = ip_netns::open(name).map_or(Ok(None), |namespace| on.id_of(&namespace))?;
    Ok(id.map_or_else(|| name.to_owned(), |id| format!("{name} (id: {id})")))
}

/// The namespace that a name leads to, or why it leads to none.
fn named(name: &str) -> String {
    let inode = ip_netns::open(name).and_then(|namespace| Ok(namespace.metadata()?.ino()));
    inode.map_or_else(|e| without_number(&e.to_string()).to_owned(), netns)
}

/// The id by which the host knows a container's namespace, as `ip link` shows it of the port.
fn id_of_port(host: &Netns, container: &Container) -> Result<i32> {
    let id = link(host, container.port)?.link_netnsid;
    id.ok_or_else(|| Error::World(format!("{} has no link-netnsid", container.port)))
}

fn give_the_port_an_address(w: &mut World) -> Result<()> {
    w.host().link(CON_1.port)?.add_address("172.17.0.99/16")?.keep();
    Ok(())
}

/// Renames eth0 on the way: the host has one already.
fn take_eth0_out(w: &mut World) -> Result<()> {
    let eth0 = w.machine(CON_1.name)?.link("eth0")?;
    eth0.rename("con1_eth0")?;
    Ok(eth0.move_to(&w.host())?)
}

fn inside(w: &World, s: &mut Story, container: &Container, link: &str, address: &str) -> Result<()> {
    let inside = w.machine(container.name)?;
    s.equals(format!("{inside}: its end of the cable is"), numbered(&inside, "eth0")?, link)?;
    s.ipv4_addresses(&inside, "with the address", "eth0", address)
}

/// A second interface 22 with a peer 23, elsewhere.
fn another_23(w: &World, s: &mut Story) -> Result<()> {
    let (here, there) = (Netns::new("here")?, Netns::new("there")?);
    let _cable = VethPair::connect(here.iface("eth0").index(22), there.iface("eth0").index(23))?;
    s.equals("here, a namespace that has nothing to do with con1: its end is", numbered(&here, "eth0")?, "22: eth0@if23")?;
    let (con1, host) = (w.machine(CON_1.name)?, w.host());
    let netnsid = |on: &Netns| Ok::<_, Error>(link(on, "eth0")?.link_netnsid);
    s.holds("con1: it means the 23 of the host", id(netnsid(&con1)?), netnsid(&con1)? == con1.id_of(&host)?)?;
    s.holds("here: it means the 23 of the other namespace", id(netnsid(&here)?), netnsid(&here)? == here.id_of(&there)?)
}

/// A cable with the indexes 22 and 40, whose end 22 goes to con1.
fn moved(w: &World, s: &mut Story) -> Result<()> {
    let (host, con1) = (w.host(), w.machine(CON_1.name)?);
    let cable = VethPair::connect(host.iface("stays").index(40).down(), host.iface("goes").index(22).down())?;
    s.equals("host: 22 is free here", numbered(&host, "goes")?, "22: goes@stays")?;
    cable.right().move_to(&con1)?;
    let new = link(&con1, "goes")?.index;
    s.holds("con1: 22 is taken there", numbered(&con1, "goes")?, new != 22)?;
    s.equals("host: and the other end names the new index", numbered(&host, "stays")?, format!("40: stays@if{new}"))
}

/// How many rules the chain FORWARD has.
fn forward_rules(on: &Netns) -> Result<String> {
    let ruleset = on.ruleset()?;
    let chain = ruleset.table(Family::Ip, "filter").and_then(|table| table.chain("FORWARD"));
    Ok(chain.map_or_else(|| "no rules".to_owned(), |chain| format!("{} rules", chain.rules().len())))
}

fn own_sysctl(s: &mut Story, host: &Netns, con1: &Netns) -> Result<()> {
    let forward = "net.ipv4.ip_forward";
    let (outside, inside) = (host.sysctl(forward)?, con1.sysctl(forward)?);
    let other = if inside == "0" { "1" } else { "0" };
    let _guard = con1.set_sysctl(forward, other)?;
    s.equals(format!("con1: ip_forward becomes {other}"), con1.sysctl(forward)?, other)?;
    s.equals("host: ip_forward stays as it was", host.sysctl(forward)?, outside)
}

fn link(on: &Netns, name: &str) -> Result<snapshot::Link> {
    let links = on.links()?;
    links.named(name).cloned().ok_or_else(|| Error::World(format!("`{on}` has no {name}")))
}

/// The start of a link's line: `22: eth0@if23`.
fn numbered(on: &Netns, name: &str) -> Result<String> {
    let link = link(on, name)?;
    Ok(format!("{}: {}", link.index, with_peer(&link)))
}

/// The line of a port, without what all have: `23: veth8a1f3c2@if22 master docker0`.
fn port(on: &Netns, name: &str) -> Result<String> {
    let master = link(on, name)?.master.unwrap_or_else(|| "nobody".to_owned());
    Ok(format!("{} master {master}", numbered(on, name)?))
}

fn mac(on: &Netns, name: &str) -> Result<String> {
    Ok(link(on, name)?.mac.unwrap_or_default())
}

/// The link-local address of RFC 4291, appendix A: the MAC address with ff:fe in its middle, and one bit turned over.
fn link_local(mac: &str) -> Result<Ipv6Addr> {
    let bytes: Result<Vec<_>, _> = mac.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
    let bytes: Option<[u8; 6]> = bytes.ok().and_then(|bytes| bytes.try_into().ok());
    let [a, b, c, d, e, f] = bytes.ok_or_else(|| Error::World(format!("`{mac}` is no MAC address")))?;
    Ok(Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]))
}

/// As `readlink /proc/PID/ns/net` prints it.
fn netns(inode: u64) -> String {
    format!("net:[{inode}]")
}

fn id(id: Option<i32>) -> String {
    id.map_or_else(|| "no link-netnsid".to_owned(), |id| format!("link-netnsid {id}"))
}

fn or_nothing(words: String) -> String {
    if words.is_empty() { "nothing".to_owned() } else { words }
}
