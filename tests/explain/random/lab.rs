//! A plan, built.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use netlab::{Bridge, Iface, Link, NatRule, Netns, Probe, Responder, Result, Route, RpFilter, Sysctl, VethPair, Vxlan};

use super::firewall;
use super::plan::{Asks, Decoy, Plan, Wire};

/// How long a try waits. A packet that is not lost takes a thousandth of it; a neighbour that nobody is takes 100 ms.
pub(crate) const WITHIN: Duration = Duration::from_millis(300);

/// What a network is built with that makes it faulty, where that cannot be changed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twist {
    None,
    /// The right end of the tunnel on that wire has another VNI.
    Vni(usize),
    /// The left end of the tunnel on that wire sends to somebody else. (What the right one sends to, it learns.)
    Remote(usize),
    /// The right end of the tunnel on that wire has another UDP port.
    Port(usize),
}

/// A machine's interface with an address on the way.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    pub(crate) link: Link,
    pub(crate) ip: IpAddr,
}

impl Port {
    pub(crate) fn netns(&self) -> Netns {
        self.link.netns()
    }

    pub(crate) fn mac(&self) -> Result<String> {
        let links = self.netns().links()?;
        Ok(links.named(&self.link.name()).and_then(|link| link.mac.clone()).unwrap_or_default())
    }
}

/// A bridge on the way, and its ports on the way: none where the bridge's own interface is the end.
#[derive(Debug)]
pub(crate) struct Switch {
    pub(crate) netns: Netns,
    pub(crate) bridge: Bridge,
    pub(crate) left: Option<Link>,
    pub(crate) right: Option<Link>,
    /// Ports of bystanders.
    pub(crate) others: Vec<Link>,
}

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) left: Port,
    pub(crate) right: Port,
    pub(crate) switches: Vec<Switch>,
    pub(crate) bystanders: Vec<Port>,
    pub(crate) cables: Vec<(Link, Link)>,
    /// Where the way back leads, if not to `left`.
    back: Option<IpAddr>,
}

pub(crate) struct Lab {
    pub(crate) plan: Plan,
    /// By position.
    pub(crate) nodes: Vec<Netns>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) masquerade: Option<NatRule>,
    pub(crate) dnat: Option<NatRule>,
    pub(crate) proxy_arp: Option<Sysctl>,
    pub(crate) server: Option<Responder>,
    pub(crate) probe: Probe,
    pub(crate) keep: Vec<Box<dyn Any>>,
}

impl Lab {
    pub(crate) fn build(plan: &Plan, twist: Twist) -> Result<Self> {
        let nodes = (0..=plan.last()).map(|position| Netns::new(name(plan, position))).collect::<Result<Vec<_>>>()?;
        let mut works = Works { plan, nodes: &nodes, twist, keep: Vec::new() };
        let segments = (0..plan.wires.len()).map(|wire| works.segment(wire)).collect::<Result<Vec<_>>>()?;
        let mut lab = Self {
            plan: plan.clone(),
            nodes: nodes.clone(),
            probe: Probe::ping("127.0.0.1"),
            segments,
            masquerade: None,
            dnat: None,
            proxy_arp: None,
            server: None,
            keep: works.keep,
        };
        lab.forward()?;
        lab.routes()?;
        lab.translate()?;
        lab.serve()?;
        firewall::walls(&mut lab)?;
        lab.decoys()?;
        Ok(lab)
    }

    pub(crate) fn client(&self) -> &Netns {
        &self.nodes[0]
    }

    pub(crate) fn server_node(&self) -> &Netns {
        &self.nodes[self.plan.last()]
    }

    pub(crate) fn server_ip(&self) -> IpAddr {
        self.segments[self.plan.wires.len() - 1].right.ip
    }

    /// Whom the client asks.
    pub(crate) fn target(&self) -> IpAddr {
        if self.plan.reflected {
            return self.segments[0].bystanders[0].ip;
        }
        self.plan.dnat.map_or(self.server_ip(), |router| self.segments[router - 1].right.ip)
    }

    /// By which destination that machine sends the question on.
    pub(crate) fn destination_at(&self, position: usize) -> IpAddr {
        if self.plan.reflected || self.plan.dnat.is_some_and(|router| position < router) { self.target() } else { self.server_ip() }
    }

    /// By which destination that machine sends the answer on.
    pub(crate) fn way_back_at(&self, position: usize) -> IpAddr {
        match self.plan.masquerade {
            Some(router) if position > router => self.segments[router].left.ip,
            _ => self.segments[0].left.ip,
        }
    }

    /// Where that machine sends the question: the next one's address.
    pub(crate) fn gateway_right(&self, position: usize) -> IpAddr {
        self.segments[position].right.ip
    }

    /// Where that machine sends the answer.
    pub(crate) fn gateway_left(&self, position: usize) -> IpAddr {
        let segment = &self.segments[position - 1];
        segment.back.unwrap_or(segment.left.ip)
    }

    /// The socket address of the server for a responder or a probe.
    pub(crate) fn endpoint(&self, ip: IpAddr) -> String {
        std::net::SocketAddr::new(ip, self.plan.port as u16).to_string()
    }

    /// Where the server listens.
    pub(crate) fn listening(&self) -> String {
        self.endpoint(if self.plan.local_dnat { Ipv4Addr::LOCALHOST.into() } else { self.server_ip() })
    }

    fn forward(&self) -> Result<()> {
        for router in &self.nodes[1..self.plan.last()] {
            if self.plan.ipv6 {
                router.forward_ipv6()?;
            } else {
                router.forward_ipv4()?;
                if self.plan.strict {
                    router.set_rp_filter(RpFilter::Strict)?;
                }
            }
        }
        Ok(())
    }

    fn routes(&mut self) -> Result<()> {
        let last = self.plan.last();
        for position in 0..=last {
            let node = self.nodes[position].clone();
            if position + 1 < last {
                let gateway = self.gateway_right(position);
                match (position, self.plan.proxy_arp) {
                    (0, true) => self.answer_for_the_server()?,
                    (0, false) => Route::default_via(gateway).install(&node)?.keep(),
                    _ if self.plan.defaults => Route::default_via(gateway).install(&node)?.keep(),
                    _ => (position + 2..=last)
                        .try_for_each(|wire| Route::to(self.net(wire - 1)).via(gateway).install(&node).map(Route::keep))?,
                }
            }
            if position > 1 {
                let hidden = self.plan.masquerade.filter(|router| *router < position).unwrap_or(0);
                let gateway = self.gateway_left(position);
                if position == last && hidden == 0 {
                    Route::default_via(gateway).install(&node)?.keep();
                } else {
                    (hidden..position - 1).try_for_each(|wire| Route::to(self.net(wire)).via(gateway).install(&node).map(Route::keep))?;
                }
            }
        }
        Ok(())
    }

    fn answer_for_the_server(&mut self) -> Result<()> {
        let link = &self.segments[0].right.link;
        self.keep.push(Box::new(link.set_ipv4_neigh("proxy_delay", 0)?));
        self.proxy_arp = Some(link.set_ipv4_conf("proxy_arp", 1)?);
        Ok(())
    }

    fn net(&self, wire: usize) -> String {
        format!("{}/{}", address(&self.plan, wire, 0), self.plan.prefix())
    }

    fn translate(&mut self) -> Result<()> {
        if let Some(router) = self.plan.masquerade {
            self.masquerade = Some(self.masquerading(router).install()?);
        }
        if let Some(router) = self.plan.dnat {
            self.dnat = Some(self.dnatting(&self.nodes[router], self.server_ip()).install()?);
        }
        if self.plan.local_dnat {
            self.segments[self.plan.routers()].right.link.set_route_localnet(true)?;
            self.dnat = Some(self.dnatting(self.server_node(), Ipv4Addr::LOCALHOST.into()).install()?);
        }
        if self.plan.reflected {
            let reflector = &self.segments[0].bystanders[0];
            reflector.netns().forward_ipv4()?;
            self.dnat = Some(self.dnatting(&reflector.netns(), self.server_ip()).install()?);
            self.masquerade = Some(NatRule::masquerade(&reflector.netns()).out(&reflector.link.name()).install()?);
        }
        Ok(())
    }

    pub(crate) fn masquerading(&self, router: usize) -> netlab::NatRuleBuilder {
        let rule = NatRule::masquerade(&self.nodes[router]).out(&self.segments[router].left.link.name());
        if self.plan.ipv6 { rule.ipv6() } else { rule }
    }

    pub(crate) fn dnatting(&self, node: &Netns, to: IpAddr) -> netlab::NatRuleBuilder {
        let rule = NatRule::dnat(node).addressed_to(self.target());
        match self.plan.asks {
            Asks::Ping => rule.to(to),
            Asks::Udp => rule.udp(self.plan.port).to(to),
            Asks::Tcp | Asks::Http => rule.tcp(self.plan.port).to(to),
        }
    }

    fn serve(&mut self) -> Result<()> {
        let (node, address) = (self.server_node().clone(), self.listening());
        self.server = self.responder(&node, &address)?;
        let target = self.endpoint(self.target());
        let probe = match self.plan.asks {
            Asks::Ping => Probe::ping(self.target()),
            Asks::Udp => Probe::udp(target),
            Asks::Tcp => Probe::tcp(target).greeted(),
            Asks::Http => Probe::http(target),
        };
        self.probe = if self.plan.big { probe.size(1400).dont_fragment() } else { probe };
        Ok(())
    }

    pub(crate) fn responder(&self, node: &Netns, address: &str) -> Result<Option<Responder>> {
        Ok(match self.plan.asks {
            Asks::Ping => None,
            Asks::Udp => Some(node.udp_echo(address)?),
            Asks::Tcp => Some(node.tcp_server(address)?),
            Asks::Http => Some(node.http_server(address)?),
        })
    }

    fn decoys(&mut self) -> Result<()> {
        for (number, (position, decoy)) in self.plan.decoys.clone().into_iter().enumerate() {
            let node = self.nodes[position].clone();
            let elsewhere = if self.plan.ipv6 { format!("2001:db8:{number}::/48") } else { format!("192.0.2.{}/30", 4 * number) };
            match decoy {
                Decoy::Blackhole => Route::blackhole(elsewhere).install(&node)?.keep(),
                Decoy::PolicyRule => netlab::Rule::prohibit().to(elsewhere).install(&node)?.keep(),
                Decoy::DropOfOthers => firewall::drop_others(self, position, number)?,
                Decoy::LinkDown => {
                    let cable =
                        VethPair::connect(node.iface(format!("spare{number}")).down(), node.iface(format!("eraps{number}")).down())?;
                    cable.keep();
                }
                Decoy::LoopbackListener => {
                    let address = if self.plan.ipv6 { "[::1]:9999" } else { "127.0.0.1:9999" };
                    // A second one of the same machine is no new decoy.
                    self.keep.extend(node.tcp_server(address).ok().map(|server| Box::new(server) as Box<dyn Any>));
                }
                Decoy::RightNeighbour if position < self.plan.last() && !self.plan.proxy_arp => {
                    let segment = &self.segments[position];
                    let there = segment.right.mac()?;
                    netlab::Neigh::permanent(segment.right.ip, there).dev(segment.left.link.name()).install(&node)?.keep();
                }
                Decoy::RightNeighbour => {}
                Decoy::OneIsolatedPort => {
                    let switch = self.segments.iter().flat_map(|segment| &segment.switches).next();
                    switch.and_then(|switch| switch.left.as_ref()).map_or(Ok(()), |port| port.set_isolated(true))?;
                }
                Decoy::WrongNeighbour => {
                    let link = if position == 0 { &self.segments[0].left.link } else { &self.segments[position - 1].right.link };
                    let wire = position.saturating_sub(1);
                    let unused = address(&self.plan, wire, 200 + number);
                    netlab::Neigh::permanent(unused, "02:00:00:00:00:99").dev(link.name()).install(&node)?.keep();
                }
            }
        }
        Ok(())
    }
}

fn name(plan: &Plan, position: usize) -> String {
    match position {
        0 => "client".to_owned(),
        last if last == plan.last() => "server".to_owned(),
        router => format!("router{router}"),
    }
}

impl Plan {
    pub(crate) fn prefix(&self) -> u8 {
        if self.ipv6 { 64 } else { 24 }
    }
}

/// The address of a host on a wire; of host 0, the net.
pub(crate) fn address(plan: &Plan, wire: usize, host: usize) -> IpAddr {
    let (octet, wire, host) = (plan.octet as u8, wire as u8, host as u8);
    if plan.ipv6 {
        Ipv6Addr::new(0xfd00 + u16::from(octet), 0, 0, u16::from(wire), 0, 0, 0, u16::from(host)).into()
    } else {
        Ipv4Addr::new(10, octet, wire, host).into()
    }
}

/// The net of the second cable of a wire, as if it were a further wire.
const SECOND: usize = 100;

/// The description of a port of that switch.
fn port(switch: &Switch, name: &str) -> Iface {
    switch.netns.iface(name).master(switch.bridge.link())
}

struct Works<'a> {
    plan: &'a Plan,
    nodes: &'a [Netns],
    twist: Twist,
    keep: Vec<Box<dyn Any>>,
}

impl Works<'_> {
    fn segment(&mut self, wire: usize) -> Result<Segment> {
        match self.plan.wires[wire] {
            Wire::Cable => self.cable(wire),
            Wire::Switch => self.switches(wire, 1),
            Wire::Switches => self.switches(wire, 2),
            Wire::Relay => self.relay(wire),
            Wire::OwnBridge => self.own_bridge(wire),
            Wire::Vxlan => self.vxlan(wire),
            Wire::Parallel => self.parallel(wire),
        }
    }

    fn ends(&self, wire: usize) -> (IpAddr, IpAddr) {
        let (left, right) = if wire + 1 == self.plan.wires.len() { (1, 9) } else { (2, 1) };
        (address(self.plan, wire, left), address(self.plan, wire, right))
    }

    fn names(&self, wire: usize) -> (&'static str, &'static str) {
        (if wire == 0 { "eth0" } else { "eth1" }, "eth0")
    }

    /// The interface of the machine at the left, without a cable yet.
    fn left(&self, wire: usize, name: &str) -> Iface {
        let prefix = if wire == 0 && self.plan.proxy_arp { 16 } else { self.plan.prefix() };
        self.nodes[wire].iface(name).addr(format!("{}/{prefix}", self.ends(wire).0))
    }

    fn right(&self, wire: usize, name: &str) -> Iface {
        self.nodes[wire + 1].iface(name).addr(format!("{}/{}", self.ends(wire).1, self.plan.prefix()))
    }

    fn connect(&mut self, left: Iface, right: Iface, cables: &mut Vec<(Link, Link)>) -> Result<(Link, Link)> {
        let (left, right) = VethPair::connect(left, right)?.keep();
        cables.push((left.clone(), right.clone()));
        Ok((left, right))
    }

    fn done(&self, wire: usize, left: Link, right: Link, cables: Vec<(Link, Link)>) -> Segment {
        let (left_ip, right_ip) = self.ends(wire);
        let (left, right) = (Port { link: left, ip: left_ip }, Port { link: right, ip: right_ip });
        Segment { left, right, switches: Vec::new(), bystanders: Vec::new(), cables, back: None }
    }

    fn cable(&mut self, wire: usize) -> Result<Segment> {
        let (names, mut cables) = (self.names(wire), Vec::new());
        let (left, right) = self.connect(self.left(wire, names.0), self.right(wire, names.1), &mut cables)?;
        Ok(self.done(wire, left, right, cables))
    }

    fn switch(&self, wire: usize, number: usize) -> Result<Switch> {
        let netns = Netns::new(format!("switch{}{number}", wire + 1))?;
        let bridge = Bridge::new(netns.iface("br0"))?;
        Ok(Switch { netns, bridge, left: None, right: None, others: Vec::new() })
    }

    fn switches(&mut self, wire: usize, count: usize) -> Result<Segment> {
        let (names, mut cables) = (self.names(wire), Vec::new());
        let mut switches = (1..=count).map(|number| self.switch(wire, number)).collect::<Result<Vec<_>>>()?;
        let (left, plug) = self.connect(self.left(wire, names.0), port(&switches[0], "port1"), &mut cables)?;
        switches[0].left = Some(plug);
        for number in 1..count {
            let ends = (port(&switches[number - 1], "port9"), port(&switches[number], "port8"));
            let (near, far) = self.connect(ends.0, ends.1, &mut cables)?;
            switches[number - 1].right = Some(near);
            switches[number].left = Some(far);
        }
        let last = count - 1;
        let (plug, right) = self.connect(port(&switches[last], "port2"), self.right(wire, names.1), &mut cables)?;
        switches[last].right = Some(plug);
        let mut segment = self.done(wire, left, right, cables);
        self.bystanders(wire, &mut switches[last], &mut segment)?;
        segment.switches = switches;
        Ok(segment)
    }

    fn relay(&mut self, wire: usize) -> Result<Segment> {
        let (names, mut cables) = (self.names(wire), Vec::new());
        let (mut access, mut relay) = (self.switch(wire, 1)?, self.switch(wire, 2)?);
        let (left, plug) = self.connect(self.left(wire, names.0), port(&access, "port1"), &mut cables)?;
        let (up, down) = self.connect(port(&access, "port9"), port(&relay, "port8"), &mut cables)?;
        let (far_plug, right) = self.connect(port(&access, "port2"), self.right(wire, names.1), &mut cables)?;
        // What comes back has the source of a machine that is at another port: nothing can be learned from it.
        [&plug, &far_plug, &up].into_iter().try_for_each(|port| port.set_learning(false))?;
        for port in [&plug, &far_plug] {
            port.set_isolated(true)?;
            // It forgets what it has learned before.
            port.down()?;
            port.up()?;
        }
        down.set_hairpin(true)?;
        (access.left, access.right) = (Some(plug), Some(far_plug));
        (relay.left, relay.right) = (Some(down.clone()), Some(down));
        let mut segment = self.done(wire, left, right, cables);
        segment.switches = vec![access, relay];
        Ok(segment)
    }

    fn own_bridge(&mut self, wire: usize) -> Result<Segment> {
        let (names, mut cables) = (self.names(wire), Vec::new());
        let owner = self.plan.owner(wire);
        let (netns, at_left) = (self.nodes[owner].clone(), owner == wire);
        let bridge = Bridge::new(if at_left { self.left(wire, "br1") } else { self.right(wire, "br0") })?;
        let port = netns.iface(if at_left { "port1" } else { "port0" }).master(bridge.link());
        let own = bridge.link().clone();
        let mut switch = Switch { netns, bridge, left: None, right: None, others: Vec::new() };
        let mut segment = if at_left {
            let (plug, right) = self.connect(port, self.right(wire, names.1), &mut cables)?;
            switch.right = Some(plug);
            self.done(wire, own, right, cables)
        } else {
            let (left, plug) = self.connect(self.left(wire, names.0), port, &mut cables)?;
            switch.left = Some(plug);
            self.done(wire, left, own, cables)
        };
        self.bystanders(wire, &mut switch, &mut segment)?;
        segment.switches.push(switch);
        Ok(segment)
    }

    fn bystanders(&mut self, wire: usize, switch: &mut Switch, segment: &mut Segment) -> Result<()> {
        for number in 0..self.plan.bystanders[wire] {
            let netns = Netns::new(format!("host{}{}", wire + 1, number + 1))?;
            let ip = address(self.plan, wire, 20 + number);
            let iface = netns.iface("eth0").addr(format!("{ip}/{}", self.plan.prefix()));
            let port = switch.netns.iface(format!("other{}{number}", wire + 1)).master(switch.bridge.link());
            let (link, plug) = VethPair::connect(iface, port)?.keep();
            segment.bystanders.push(Port { link, ip });
            switch.others.push(plug);
        }
        Ok(())
    }

    fn vxlan(&mut self, wire: usize) -> Result<Segment> {
        let mut cables = Vec::new();
        let (a, b) = (self.nodes[wire].clone(), self.nodes[wire + 1].clone());
        let ends = (format!("172.30.{wire}.1"), format!("172.30.{wire}.2"));
        let left = a.iface(format!("under{wire}")).addr(format!("{}/24", ends.0));
        let right = b.iface(format!("under{wire}")).addr(format!("{}/24", ends.1));
        let (under_left, under_right) = self.connect(left, right, &mut cables)?;
        let far = if self.twist == Twist::Remote(wire) { format!("172.30.{wire}.77") } else { ends.1.clone() };
        let vni = 42 + wire as u32;
        let far_vni = if self.twist == Twist::Vni(wire) { vni + 100 } else { vni };
        let left = Vxlan::id(vni).local(&ends.0).remote(far).dev(&under_left).install(self.left(wire, &format!("vx{wire}")))?;
        let far_port = if self.twist == Twist::Port(wire) { 8472 } else { 4789 };
        let right = Vxlan::id(far_vni).local(&ends.1).remote(&ends.0).dev(&under_right).port(far_port);
        let right = right.install(self.right(wire, &format!("vx{wire}")))?;
        let segment = self.done(wire, left.link().clone(), right.link().clone(), cables);
        self.keep.push(Box::new((left, right)));
        Ok(segment)
    }

    fn parallel(&mut self, wire: usize) -> Result<Segment> {
        let (names, mut cables) = (self.names(wire), Vec::new());
        let (left, right) = self.connect(self.left(wire, names.0), self.right(wire, names.1), &mut cables)?;
        let ends = (address(self.plan, wire + SECOND, 2), address(self.plan, wire + SECOND, 1));
        let prefix = self.plan.prefix();
        let second_left = self.nodes[wire].iface("eth3").addr(format!("{}/{prefix}", ends.0));
        let second_right = self.nodes[wire + 1].iface("eth2").addr(format!("{}/{prefix}", ends.1));
        VethPair::connect(second_left, second_right)?.keep();
        let mut segment = self.done(wire, left, right, cables);
        segment.back = Some(ends.0);
        Ok(segment)
    }
}
