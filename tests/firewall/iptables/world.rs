//! A host of the tutorials, with its containers and a machine outside.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use netlab::{Bridge, Netns, Outcome, Probe, Responder, Result, Sysctl, VethPair};

/// How long an answer may take, and how long silence is waited for: an answer that is expected is never missed, however busy the machine is.
const ANSWER: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_millis(250);

/// What a host looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    /// The bridge of the containers; without one, each has a cable to the host.
    pub(crate) bridge: Option<&'static str>,
    /// The host's address there: on the bridge, or on each cable.
    pub(crate) gateway: [&'static str; 2],
    /// The names of the cables' ends at the host.
    pub(crate) ports: [&'static str; 2],
    /// The addresses of the containers a and b.
    pub(crate) containers: [&'static str; 2],
    /// The host's interface to the outside: 203.0.113.5 there, 203.0.113.9 the machine.
    pub(crate) uplink: &'static str,
    /// Further addresses of the host and of the machine outside, on the cable between them.
    pub(crate) beside: Option<[&'static str; 2]>,
    /// `net.bridge.bridge-nf-call-iptables`: whether rules see what stays on the bridge.
    pub(crate) bridge_nf: bool,
}

/// `who` asks; the question is `udp ADDRESS:PORT`, `http ADDRESS:PORT` or `ping ADDRESS`, and perhaps `from ADDRESS`; `turns ADDRESS:PORT` asks who answers
/// four connections, `both ADDRESS:PORT` who answers forty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) who: &'static str,
    pub(crate) what: &'static str,
    /// What comes of it without the rule, and with it: `SERVER saw ADDRESS`, `silence`, `refused`, …
    pub(crate) without: &'static str,
    pub(crate) with: &'static str,
}

pub(crate) struct World {
    pub(crate) host: Netns,
    machines: Vec<Netns>,
    _cables: Vec<VethPair>,
    _bridge: Option<Bridge>,
    _sysctls: Vec<Sysctl>,
    _responders: Vec<Responder>,
}

fn bare(address: &str) -> &str {
    address.split('/').next().unwrap_or(address)
}

impl World {
    pub(crate) fn new(scene: &Scene) -> Result<Self> {
        let host = Netns::new("host")?;
        let machines = ["a", "b", "outside"].map(Netns::new).into_iter().collect::<Result<Vec<_>>>()?;
        let [a, b, outside] = machines.as_slice() else { unreachable!() };
        let mut sysctls = Vec::new();
        let mut cables = Vec::new();
        let bridge = scene.bridge.map(|name| Bridge::new(host.iface(name).addr(scene.gateway[0]))).transpose()?;
        for (place, machine) in [a, b].into_iter().enumerate() {
            let gateway = bare(scene.gateway[if bridge.is_some() { 0 } else { place }]);
            let inside = machine.iface("eth0").addr(scene.containers[place]).gateway(gateway);
            let port = host.iface(scene.ports[place]);
            let port = match &bridge {
                Some(bridge) => port.master(bridge),
                None => port.addr(scene.gateway[place]),
            };
            cables.push(VethPair::connect(inside, port)?);
        }
        // The machine outside knows the way to everything behind the host, so that an address that was not translated is seen.
        let uplink = host.iface(scene.uplink).addr("203.0.113.5/24").gateway("203.0.113.9");
        let far = outside.iface("eth0").addr("203.0.113.9/24").gateway("203.0.113.5");
        let (uplink, far) = match scene.beside {
            Some([near, beyond]) => (uplink.addr(near), far.addr(beyond)),
            None => (uplink, far),
        };
        cables.push(VethPair::connect(uplink, far)?);
        host.forward_ipv4()?;
        sysctls.push(host.set_sysctl("net.ipv4.conf.all.route_localnet", 1)?);
        if bridge.is_some() {
            sysctls.push(host.set_sysctl("net.bridge.bridge-nf-call-iptables", u8::from(scene.bridge_nf))?);
        }
        let mut responders =
            vec![host.http_server("127.0.0.1:8080")?, host.http_server("203.0.113.5:9090")?, outside.http_server("203.0.113.9:8081")?];
        for address in ["203.0.113.9"].into_iter().chain(scene.beside.map(|[_, beyond]| bare(beyond))) {
            responders.push(outside.udp_echo(format!("{address}:7000"))?);
        }
        for (machine, address) in [a, b].into_iter().zip(scene.containers) {
            responders.push(machine.udp_echo(format!("{}:7000", bare(address)))?);
            responders.push(machine.http_server(format!("{}:8000", bare(address)))?);
        }
        let (_bridge, _cables, _sysctls, _responders) = (bridge, cables, sysctls, responders);
        let world = Self { host, machines, _cables, _bridge, _sysctls, _responders };
        world.acquaint(scene)?;
        Ok(world)
    }

    /// Neighbours know each other before anything is tried: what is asked once must not die of an ARP request that a busy machine is slow to
    /// answer, and what is asked again would be counted twice.
    fn acquaint(&self, scene: &Scene) -> Result<()> {
        let [a, b] = scene.containers.map(bare);
        let gateways = [scene.gateway[0], if scene.bridge.is_some() { scene.gateway[0] } else { scene.gateway[1] }].map(bare);
        let mut pairs =
            vec![("a", gateways[0]), ("b", gateways[1]), ("host", a), ("host", b), ("outside", "203.0.113.5"), ("host", "203.0.113.9")];
        if scene.bridge.is_some() {
            pairs.extend([("a", b), ("b", a)]);
        }
        if let Some([near, beyond]) = scene.beside {
            pairs.extend([("outside", bare(near)), ("host", bare(beyond))]);
        }
        pairs.iter().try_for_each(|(who, whom)| self.machine(who).expect_ping(whom).map(drop))
    }

    fn machine(&self, name: &str) -> &Netns {
        self.machines.iter().find(|machine| machine.name() == name).unwrap_or(&self.host)
    }

    /// What comes of a question, in the words of [`Ask`].
    pub(crate) fn ask(&self, ask: &Ask, expected: &str) -> Result<String> {
        match ask.what.split_once(' ') {
            Some(("turns", to)) => Ok(self.several(ask.who, to, 4)?.join(" ")),
            Some(("both", to)) => {
                let servers: BTreeSet<_> = self.several(ask.who, to, 40)?.into_iter().collect();
                Ok(Vec::from_iter(servers).join(" "))
            }
            _ => self.once(ask, expected),
        }
    }

    /// Who answers each of several connections.
    fn several(&self, who: &str, to: &str, connections: usize) -> Result<Vec<String>> {
        let one = |_| {
            Ok(match self.machine(who).observe(Probe::http(to).within(ANSWER))? {
                Outcome::Answer(answer) => answer.server().unwrap_or_default().to_owned(),
                other => other.to_string(),
            })
        };
        (0..connections).map(one).collect()
    }

    fn once(&self, ask: &Ask, expected: &str) -> Result<String> {
        let words: Vec<_> = ask.what.split(' ').collect();
        let probe = match words[0] {
            "udp" => Probe::udp(words[1]),
            "http" => Probe::http(words[1]),
            "ping" => Probe::ping(words[1]),
            other => panic!("nobody asks `{other}`"),
        };
        let probe = match words.get(3) {
            Some(source) => probe.source(source),
            None => probe,
        };
        let patience = if expected == "silence" { SILENCE } else { ANSWER };
        Ok(match self.machine(ask.who).observe(probe.within(patience))? {
            Outcome::Answer(answer) => match (answer.server(), answer.source()) {
                (Some(server), Some(source)) => format!("{server} saw {}", source.ip()),
                _ => "an answer".to_owned(),
            },
            Outcome::Silence { .. } => "silence".to_owned(),
            Outcome::Refused => "refused".to_owned(),
            other => other.to_string(),
        })
    }

    /// The packets that each rule of the host has counted, by table and chain.
    pub(crate) fn counted(&self) -> Result<BTreeMap<String, Vec<u64>>> {
        let ruleset = self.host.ruleset()?;
        let chains = ruleset.tables().iter().flat_map(|table| table.chains().iter().map(move |chain| (table, chain)));
        let packets = |chain: &netlab::nft::Chain| chain.rules().iter().map(|rule| rule.hits().map_or(0, |hits| hits.packets)).collect();
        let counted = chains.map(|(table, chain)| (format!("{} {} {}", table.family(), table.name(), chain.name()), packets(chain)));
        Ok(counted.filter(|(_, packets): &(String, Vec<u64>)| !packets.is_empty()).collect())
    }
}
