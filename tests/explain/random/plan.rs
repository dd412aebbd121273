//! What network a case has, before it is built: a chain of machines from the client to the server, and what hangs beside it.
//!
//! Positions count along the chain: 0 is the client, then the routers, the last is the server. Wire `i` leads from position `i` to `i + 1`.

use super::dice::Dice;

/// How two machines that follow each other are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Cable,
    /// A bridge in a machine of its own.
    Switch,
    /// Two of them in a row.
    Switches,
    /// A bridge that keeps its two machines apart, and a second one that sends everything back to it (IEEE 802.1Qbg, reflective relay).
    Relay,
    /// A bridge in the router (or, where none is beside it, the server) that has the segment's address itself, as docker0.
    OwnBridge,
    /// A tunnel over a cable.
    Vxlan,
    /// Two cables with a net each: one on the way to the server, one on the way back.
    Parallel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    Ping,
    Udp,
    Tcp,
    Http,
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) ipv6: bool,
    pub(crate) asks: Asks,
    /// The probe is of 1,400 bytes that must not be fragmented.
    pub(crate) big: bool,
    pub(crate) wires: Vec<Wire>,
    /// How many other hosts are on each wire that is a bridge.
    pub(crate) bystanders: Vec<usize>,
    /// The router that hides what is left of it.
    pub(crate) masquerade: Option<usize>,
    /// The router whose address is asked in the server's place.
    pub(crate) dnat: Option<usize>,
    /// The client takes the server for a neighbour, and the first router answers for it.
    pub(crate) proxy_arp: bool,
    /// The server listens on its loopback address only, and translates what comes for it.
    pub(crate) local_dnat: bool,
    /// The first bystander of the only wire translates what is sent to it for the server, and hides the client from it.
    pub(crate) reflected: bool,
    /// Who has a firewall with the policy drop that lets the probe pass.
    pub(crate) walls: Vec<usize>,
    /// Routers know what is right of them by a default route, not net by net.
    pub(crate) defaults: bool,
    pub(crate) strict: bool,
    pub(crate) octet: usize,
    pub(crate) port: usize,
    /// Things that look like faults and touch no packet of the probe.
    pub(crate) decoys: Vec<(usize, Decoy)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoy {
    Blackhole,
    DropOfOthers,
    LinkDown,
    PolicyRule,
    LoopbackListener,
    /// Of somebody who is not on the way.
    WrongNeighbour,
    RightNeighbour,
    OneIsolatedPort,
}

const DECOYS: [Decoy; 8] = [
    Decoy::Blackhole,
    Decoy::DropOfOthers,
    Decoy::LinkDown,
    Decoy::PolicyRule,
    Decoy::LoopbackListener,
    Decoy::WrongNeighbour,
    Decoy::RightNeighbour,
    Decoy::OneIsolatedPort,
];

const MACHINES: usize = 8;

impl Plan {
    pub(crate) fn random(dice: &mut Dice) -> Self {
        loop {
            let plan = Self::any(dice);
            if plan.machines() <= MACHINES {
                return plan;
            }
        }
    }

    fn any(dice: &mut Dice) -> Self {
        let routers = dice.pick(&[0, 1, 1, 2, 2, 3]);
        let asks = dice.pick(&[Asks::Ping, Asks::Udp, Asks::Tcp, Asks::Http]);
        let ipv6 = dice.chance(25);
        let wires: Vec<_> = (0..=routers).map(|position| wire(dice, position)).collect();
        let bystanders: Vec<_> = wires.iter().map(|wire| if wire.is_bridge() { dice.below(3) } else { 0 }).collect();
        let masquerade = (routers > 0 && dice.chance(35)).then(|| 1 + dice.below(routers));
        // What comes back by another cable is not seen by who translated it.
        let masquerade = masquerade.filter(|router| wires[*router] != Wire::Parallel);
        let dnat = (routers > 0 && dice.chance(25)).then(|| 1 + dice.below(routers));
        let dnat = dnat.filter(|router| wires[*router - 1] != Wire::Parallel && wires[*router] != Wire::Parallel);
        let walls = (1..routers + 2).filter(|_| dice.chance(20)).collect();
        let translatable = !ipv6 && asks != Asks::Ping && dnat.is_none();
        // The answer's loopback address may leave by the interface that lets it in, and by no other.
        let local_dnat = translatable && wires[routers] != Wire::Parallel && dice.chance(10);
        let reflected = translatable && !local_dnat && routers == 0 && wires[0].has_switches() && bystanders[0] > 0 && dice.chance(30);
        let decoys = (0..dice.below(5)).map(|_| (dice.below(routers + 2), dice.pick(&DECOYS))).collect();
        Self {
            ipv6,
            asks,
            big: matches!(asks, Asks::Ping | Asks::Udp) && dice.chance(25),
            bystanders,
            masquerade,
            dnat,
            proxy_arp: routers > 0 && !ipv6 && dnat.is_none() && dice.chance(15),
            local_dnat,
            reflected,
            walls,
            defaults: dice.chance(50),
            strict: !wires.contains(&Wire::Parallel) && dice.chance(25),
            octet: 1 + dice.below(250),
            port: dice.pick(&[80, 443, 5353, 7000, 8080, 31001]),
            decoys,
            wires,
        }
    }

    pub(crate) fn routers(&self) -> usize {
        self.wires.len() - 1
    }

    /// The server's position.
    pub(crate) fn last(&self) -> usize {
        self.wires.len()
    }

    pub(crate) fn machines(&self) -> usize {
        let switches = |wire: &Wire| match wire {
            Wire::Switch => 1,
            Wire::Switches | Wire::Relay => 2,
            _ => 0,
        };
        self.wires.len() + 1 + self.wires.iter().map(switches).sum::<usize>() + self.bystanders.iter().sum::<usize>()
    }

    /// Which end of an own bridge's wire has the bridge: a router, where there is one.
    pub(crate) fn owner(&self, wire: usize) -> usize {
        if wire == 0 { 1 } else { wire }
    }
}

impl Wire {
    pub(crate) fn is_bridge(self) -> bool {
        self.has_switches() || self == Self::OwnBridge
    }

    pub(crate) fn has_switches(self) -> bool {
        matches!(self, Self::Switch | Self::Switches)
    }
}

fn wire(dice: &mut Dice, position: usize) -> Wire {
    match dice.below(100) {
        0..35 => Wire::Cable,
        35..55 => Wire::Switch,
        55..65 => Wire::Switches,
        65..80 => Wire::OwnBridge,
        80..88 => Wire::Vxlan,
        88..92 => Wire::Relay,
        _ if position > 0 => Wire::Parallel,
        _ => Wire::Cable,
    }
}
