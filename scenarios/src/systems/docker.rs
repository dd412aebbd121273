//! What Docker makes of a machine, one part at a time.

use std::net::{Ipv4Addr, SocketAddr};

use netlab::{FilterRule, NatRule, Reason};

use crate::error::Result;
use crate::stage::Stage;
use crate::story::Story;
use crate::world::{Container, Daemon, NAME_SERVER, Names, Network, World};
use crate::{dns, etc};

const DOCKER0: Network = Network { bridge: "docker0", index: 3, gateway: Ipv4Addr::new(172, 17, 0, 1), prefix: 16 };
const OTHER: Network = Network { bridge: "br-3f2a7c9d1e04", index: 33, gateway: Ipv4Addr::new(172, 18, 0, 1), prefix: 16 };
const WEB: Container = Container { name: "web", address: Ipv4Addr::new(172, 17, 0, 2), port: "veth8a1f3c2", index: 22 };
const DB: Container = Container { name: "db", address: Ipv4Addr::new(172, 17, 0, 3), port: "veth5ae2f19", index: 24 };
const APART: Container = Container { name: "apart", address: Ipv4Addr::new(172, 18, 0, 2), port: "vethc04d7b6", index: 34 };
const FRONT: Container = Container { name: "front", address: Ipv4Addr::new(172, 18, 0, 2), port: "veth1d0e5b8", index: 34 };
const BACK: Container = Container { name: "back", address: Ipv4Addr::new(172, 18, 0, 3), port: "veth7b3f90a", index: 36 };
const DAEMON: &str = "Docker's daemon";
const ICC: &str = "icc=false";
/// Where the containers of a network of their own find its name server.
const EMBEDDED: &str = "127.0.0.11";
const WAY: &str = "the way to the resolver";

/// What the internet's name server knows.
const SITES: Names = &[("github.com", Ipv4Addr::new(140, 82, 121, 3))];
/// What that of the containers' network knows.
const NAMES: Names = &[("web", Ipv4Addr::new(172, 17, 0, 2)), ("db", Ipv4Addr::new(172, 17, 0, 3))];

const APP_NAMES: Names = &[("front", FRONT.address), ("back", BACK.address)];

pub(super) const SYSTEMS: &[Stage] = &[
    Stage {
        id: "systems.docker-bridge",
        title: "Docker's default bridge",
        afresh: true,
        kernel: &["bridge", "nat"],
        claim: "Containers on one bridge reach each other and the internet; those of another network are out of reach.",
        truth: "The host is a router that translates for its containers (masquerading, `! -o docker0`) and whose FORWARD drops by policy what \
                Docker's rules do not let pass. Between its networks two chains drop (DOCKER-ISOLATION-STAGE-1 and -2), although there is a way.",
        commands: &["dockerd  # ip_forward=1, bridge-nf-call-iptables=1, FORWARD DROP, and its chains"],
        scene: containers,
        before: |w, s| {
            s.replies(&w.machine(WEB.name)?, "172.17.0.3")?;
            s.no_reply(&w.machine(WEB.name)?, "8.8.8.8", Reason::Silence)
        },
        change: |w| {
            let daemon = Daemon::start(&w.host(), &[&DOCKER0, &OTHER])?;
            w.keep(DAEMON, daemon);
            Ok(())
        },
        check: |w, s| {
            let (web, apart) = (w.machine(WEB.name)?, w.machine(APART.name)?);
            s.replies_with_ttl(&web, "172.17.0.3", 64)?;
            s.served_as(&web, "140.82.121.3", "internet", "203.0.113.2")?;
            s.replies(&apart, "8.8.8.8")?;
            s.no_reply(&web, "172.18.0.2", Reason::Silence)?;
            s.no_reply(&apart, "172.17.0.2", Reason::Silence)?;
            s.without("the rules of isolation");
            let mut daemon: Daemon = w.take(DAEMON)?;
            drop(daemon.isolation.take());
            w.keep(DAEMON, daemon);
            s.replies_with_ttl(&web, "172.18.0.2", 63)
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.docker-icc",
        title: "containers that do not talk: icc=false",
        afresh: true,
        kernel: &["bridge"],
        claim: "With icc=false the containers of a network reach the internet and not each other.",
        truth: "Docker drops in FORWARD what comes from the bridge and goes to it. Frames between two ports of a bridge pass FORWARD only \
                because bridge-nf-call-iptables is 1; without it the rule never sees them. Isolated ports of the bridge do the same without \
                netfilter.",
        needs: &["bridge-nf-call-iptables=1"],
        commands: &["iptables -I FORWARD -i docker0 -o docker0 -j DROP"],
        scene: |w| {
            containers(w)?;
            let daemon = Daemon::start(&w.host(), &[&DOCKER0, &OTHER])?;
            w.keep(DAEMON, daemon);
            Ok(())
        },
        before: |w, s| s.replies(&w.machine(WEB.name)?, "172.17.0.3"),
        change: |w| {
            let rule = FilterRule::drop(&w.host()).forward().on(DOCKER0.bridge).out(DOCKER0.bridge).first().install()?;
            w.keep(ICC, rule);
            Ok(())
        },
        check: |w, s| {
            let (host, web) = (w.host(), w.machine(WEB.name)?);
            no_talk(w, s, Reason::Silence)?;
            s.without("bridge-nf-call-iptables=1");
            let unseen = host.set_sysctl("net.bridge.bridge-nf-call-iptables", 0)?;
            s.replies(&web, "172.17.0.3")?;
            s.with("isolated ports instead of the rule");
            for port in [WEB.port, DB.port] {
                host.link(port)?.set_isolated(true)?;
            }
            web.link("eth0")?.flush_neighbours()?;
            no_talk(w, s, libc::EHOSTUNREACH.into())?;
            drop(unseen);
            Ok(())
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.docker-dns",
        title: "the name server of a user-defined network",
        afresh: true,
        kernel: &["nat"],
        claim: "In a network of one's own, containers find each other by name: the name server is 127.0.0.11, in every container.",
        truth: "Nobody listens on port 53 there. The resolver has a port of the container's own loopback that the kernel chose, and rules in the \
                container's namespace lead port 53 of 127.0.0.11 to it: this one for UDP, another for TCP. Its answers come back as from port \
                53, because the translation is turned round.",
        commands: &["iptables -t nat -A OUTPUT -d 127.0.0.11 -p udp --dport 53 -j DNAT --to-destination 127.0.0.11:41234  # web"],
        scene: |w| {
            containers(w)?;
            let daemon = Daemon::start(&w.host(), &[&DOCKER0, &OTHER])?;
            w.keep(DAEMON, daemon);
            resolver(w, WEB.name, NAMES)
        },
        before: |w, s| s.unresolved(&w.machine(WEB.name)?, "db", true),
        change: |w| {
            let way = way_to_resolver(w, WEB.name)?;
            w.keep(WAY, way);
            Ok(())
        },
        check: |w, s| {
            let web = w.machine(WEB.name)?;
            s.resolved(&web, "db", "172.17.0.3")?;
            s.unstated();
            let bound = web.bind_udp(format!("{EMBEDDED}:53"))?;
            s.equals("web: port 53 is free for whoever wants it", bound.address(), SocketAddr::from(([127, 0, 0, 11], 53)))?;
            s.resolved(&web, "web", "172.17.0.2")
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.user-network",
        title: "a network of one's own: docker network create",
        afresh: true,
        kernel: &["bridge", "nat"],
        claim: "A network of one's own has a bridge of its own beside docker0. Its containers find each other by name, those on docker0 do not; and \
                the containers of the one do not reach those of the other.",
        truth: "By address the containers of a network reach each other on either. But only on a network of one's own does Docker put its name \
                server, 127.0.0.11, into resolv.conf: it knows the names of that network and passes other questions on. Those on docker0 have \
                the name servers of the host, which know of no container. And both bridges are in both stages of isolation.",
        needs: &["the rules of isolation, as the host would route between its bridges"],
        commands: &[
            "docker network create app; docker run --name front --network app …; docker run --name back --network app …",
            "iptables -I DOCKER-ISOLATION-STAGE-1 -i br-3f2a7c9d1e04 ! -o br-3f2a7c9d1e04 -j DOCKER-ISOLATION-STAGE-2",
            "iptables -I DOCKER-ISOLATION-STAGE-2 -o br-3f2a7c9d1e04 -j DROP",
            "iptables -t nat -A POSTROUTING -s 172.18.0.0/16 ! -o br-3f2a7c9d1e04 -j MASQUERADE",
            "iptables -t nat -A OUTPUT -d 127.0.0.11 -p udp --dport 53 -j DNAT --to-destination 127.0.0.11:41234  # front, back",
        ],
        scene: |w| {
            *w = World::at_home(SITES)?;
            let host = w.host();
            w.docker_network(&host, &DOCKER0)?;
            for container in [WEB, DB] {
                w.docker_run(&DOCKER0, &container)?;
                etc::write(&format!("/etc/netns/{}/resolv.conf", container.name), &format!("nameserver {NAME_SERVER}\n"))?;
            }
            w.keep(DAEMON, Daemon::start(&host, &[&DOCKER0])?);
            Ok(())
        },
        before: |w, s| {
            let web = w.machine(WEB.name)?;
            s.replies(&web, "172.17.0.3")?;
            s.unknown(&web, "db")
        },
        change: |w| {
            let host = w.host();
            drop(w.take::<Daemon>(DAEMON)?);
            w.docker_network(&host, &OTHER)?;
            w.keep(DAEMON, Daemon::start(&host, &[&DOCKER0, &OTHER])?);
            for container in [FRONT, BACK] {
                let name = container.name;
                w.docker_run(&OTHER, &container)?;
                resolver(w, name, APP_NAMES)?;
                let way = way_to_resolver(w, name)?;
                w.keep(format!("{WAY} of {name}"), way);
            }
            Ok(())
        },
        check: |w, s| {
            let host = w.host();
            s.ipv4_addresses(&host, "the network has a bridge of its own", OTHER.bridge, "172.18.0.1/16")?;
            let (web, front, back) = (w.machine(WEB.name)?, w.machine(FRONT.name)?, w.machine(BACK.name)?);
            s.resolved(&front, "back", "172.18.0.3")?;
            s.resolved(&back, "front", "172.18.0.2")?;
            s.replies_with_ttl(&front, "172.18.0.3", 64)?;
            s.resolved(&front, "github.com", "140.82.121.3")?;
            s.served_as(&front, "140.82.121.3", "internet", "203.0.113.2")?;
            s.no_reply(&web, "172.18.0.2", Reason::Silence)?;
            s.no_reply(&front, "172.17.0.2", Reason::Silence)?;
            s.without("a network of one's own: on docker0");
            s.resolved(&web, "github.com", "140.82.121.3")?;
            s.replies_with_ttl(&web, "172.17.0.3", 64)?;
            s.unknown(&web, "db")?;
            s.unknown(&web, "front")?;
            s.unknown(&front, "web")?;
            s.without("the rules of isolation");
            drop(w.kept_mut::<Daemon>(DAEMON)?.isolation.take());
            s.replies_with_ttl(&web, "172.18.0.2", 63)?;
            s.without("the way to the name server");
            w.take::<NatRule>(&format!("{WAY} of {}", FRONT.name))?.close()?;
            s.unresolved(&front, "back", true)?;
            s.replies(&front, "172.18.0.3")
        },
        ..Stage::STILL
    },
];

/// A computer at home with two of Docker's networks and three containers, but without what the daemon sets.
fn containers(world: &mut World) -> Result<()> {
    *world = World::at_home(SITES)?;
    let host = world.host();
    for network in [DOCKER0, OTHER] {
        world.docker_network(&host, &network)?;
    }
    for (container, network) in [(WEB, DOCKER0), (DB, DOCKER0), (APART, OTHER)] {
        world.docker_run(&network, &container)?;
    }
    Ok(())
}

/// Gives a container the name server of its network: at a port of the container that the kernel chose.
fn resolver(world: &World, container: &str, names: Names) -> Result<()> {
    etc::write(&format!("/etc/netns/{container}/resolv.conf"), &format!("nameserver {EMBEDDED}\n"))?;
    dns::embedded(&world.machine(container)?, &format!("{EMBEDDED}:41234"), names, (NAME_SERVER, 53).into())
}

/// The rule by which a container finds it at port 53.
fn way_to_resolver(world: &World, container: &str) -> Result<NatRule> {
    let rule = NatRule::dnat(&world.machine(container)?).output().addressed_to(EMBEDDED).udp(53);
    Ok(rule.to(format!("{EMBEDDED}:41234")).install()?)
}

/// The two do not reach each other, and both reach the internet.
fn no_talk(world: &World, story: &mut Story, reason: Reason) -> Result<()> {
    let (web, db) = (world.machine(WEB.name)?, world.machine(DB.name)?);
    story.no_reply(&web, "172.17.0.3", reason)?;
    story.replies(&web, &NAME_SERVER.to_string())?;
    story.replies(&db, &NAME_SERVER.to_string())
}
