//! A published port, twice: by rules and by a process.

use std::net::Ipv4Addr;

use netlab::{FilterRule, NatRule, Netns, Reason, Responder, VethPair};

use crate::error::Result;
use crate::stage::Stage;
use crate::world::{Container, Daemon, Network};

const DOCKER0: Network = Network { bridge: "docker0", index: 3, gateway: Ipv4Addr::new(172, 17, 0, 1), prefix: 16 };
const WEB: Container = Container { name: "web", address: Ipv4Addr::new(172, 17, 0, 2), port: "veth8a1f3c2", index: 22 };
const LAPTOP: &str = "laptop";
const OUTSIDE: &str = "192.168.0.100:8080";
const LOCALHOST: &str = "127.0.0.1:8080";
const PROXY: &str = "docker-proxy";
const RULE: &str = "the rule of the port";

pub(super) const SYSTEMS: &[Stage] = &[Stage {
    id: "systems.docker-proxy",
    title: "a published port: a rule beside a process",
    afresh: true,
    kernel: &["bridge", "nat"],
    claim: "Port 8080 of the host leads to the container, for a client outside as for the host itself at localhost.",
    truth: "A rule (DNAT) translates what comes from outside; it leaves out 127.0.0.0/8. What is left is for docker-proxy, a process that listens \
            on the port, and passes on. By the rule \
            the container sees the client, and without the process no listener shows that the port is taken. By the process \
            there is a listener, and the container sees the host in place of the client.",
    commands: &[
        "iptables -t nat -A DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
        "iptables -A DOCKER -d 172.17.0.2 ! -i docker0 -o docker0 -p tcp --dport 80 -j ACCEPT",
        "docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80 &",
    ],
    scene: |w| {
        let host = w.host();
        let laptop = w.add(Netns::new(LAPTOP)?);
        let eth0 = host.iface("eth0").addr("192.168.0.100/24");
        w.keep_cable(VethPair::connect(eth0, laptop.iface("eth0").addr("192.168.0.50/24"))?);
        w.docker_network(&host, &DOCKER0)?;
        let server = w.docker_run(&DOCKER0, &WEB)?.http_server("172.17.0.2:80")?;
        w.keep("the server", server);
        w.keep("Docker's daemon", Daemon::start(&host, &[&DOCKER0])?);
        Ok(())
    },
    before: |w, s| {
        s.not_served(&w.machine(LAPTOP)?, OUTSIDE, Reason::Refused)?;
        s.not_served(&w.host(), LOCALHOST, Reason::Refused)
    },
    change: |w| {
        let host = w.host();
        w.keep(RULE, published(&host)?);
        let way = FilterRule::accept(&host).chain("DOCKER").addressed_to("172.17.0.2").not_on(DOCKER0.bridge).out(DOCKER0.bridge);
        w.keep("the way to the container", way.tcp(80).install()?);
        w.keep(PROXY, host.serve(PROXY).tcp_proxy("0.0.0.0:8080", "172.17.0.2:80")?);
        Ok(())
    },
    check: |w, s| {
        let (host, laptop) = (w.host(), w.machine(LAPTOP)?);
        s.listening(&host, "it listens on these TCP ports", "8080")?;
        s.served_as(&laptop, OUTSIDE, WEB.name, "192.168.0.50")?;
        s.equals("docker-proxy was not asked; its connections are", w.kept::<Responder>(PROXY)?.hits(), 0)?;
        s.served_as(&host, LOCALHOST, WEB.name, "172.17.0.1")?;
        s.equals("docker-proxy was asked this time; its connections are", w.kept::<Responder>(PROXY)?.hits(), 1)?;
        s.with("docker-proxy alone");
        w.take::<NatRule>(RULE)?.close()?;
        s.served_as(&laptop, OUTSIDE, WEB.name, "172.17.0.1")?;
        s.without("docker-proxy");
        w.keep(RULE, published(&host)?);
        w.take::<Responder>(PROXY)?.close()?;
        s.not_served(&host, LOCALHOST, Reason::Refused)?;
        s.with("the rule alone");
        s.listening(&host, "it listens on these TCP ports", "none")?;
        s.served_as(&laptop, OUTSIDE, WEB.name, "192.168.0.50")
    },
    ..Stage::STILL
}];

/// Docker's rule for the port, in the chain to which what is addressed to the host goes.
fn published(host: &Netns) -> Result<NatRule> {
    Ok(NatRule::dnat(host).chain("DOCKER").not_on(DOCKER0.bridge).tcp(8080).to("172.17.0.2:80").install()?)
}
