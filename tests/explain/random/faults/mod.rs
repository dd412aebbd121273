//! What is broken, one thing at a time, and what an explanation has to say of it.

mod links;
mod neighbours;
mod routes;
mod rules;
mod servers;

use netlab::Result;

use super::dice::Dice;
use super::lab::{Lab, Twist};
use super::plan::{Asks, Plan, Wire};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    RouteMissing,
    ReturnRouteMissing,
    RouteRefuses,
    ReturnRouteRefuses,
    PolicyRule,
    NobodyAtGateway,
    LinkDown,
    FarEndDown,
    NotABridgePort,
    PortIsolated,
    PortNotForwarding,
    WrongNeighbour,
    WrongFdbEntry,
    AddressMissing,
    ForwardingOff,
    DeviceForwardingOff,
    ReversePathFilter,
    MtuTooSmall,
    TtlTooSmall,
    RuleDrops,
    RuleRejects,
    AnswerDropped,
    PolicyDrops,
    BridgeRuleDrops,
    IngressDrops,
    BridgedFramePulledIn,
    DiscoveryFiltered,
    MasqueradeMissing,
    DnatToNowhere,
    StaleConnection,
    NobodyListens,
    BoundToLoopback,
    ProcessStopped,
    BacklogFull,
    DuplicateAddress,
    WrongSource,
    ProxyArpOff,
    VxlanVni,
    VxlanPeer,
    VxlanPort,
    FarEndTakesLess,
    Impaired,
    AnswerNotTranslated,
    RouteLocalnetOff,
    BoundElsewhere,
    V6Only,
    SilentServer,
    HairpinOff,
    /// Something of which explanations know nothing.
    IpsecPolicy,
}

pub(crate) const FAULTS: [Fault; 49] = [
    Fault::RouteMissing,
    Fault::ReturnRouteMissing,
    Fault::RouteRefuses,
    Fault::ReturnRouteRefuses,
    Fault::PolicyRule,
    Fault::NobodyAtGateway,
    Fault::LinkDown,
    Fault::FarEndDown,
    Fault::NotABridgePort,
    Fault::PortIsolated,
    Fault::PortNotForwarding,
    Fault::WrongNeighbour,
    Fault::WrongFdbEntry,
    Fault::AddressMissing,
    Fault::ForwardingOff,
    Fault::DeviceForwardingOff,
    Fault::ReversePathFilter,
    Fault::MtuTooSmall,
    Fault::TtlTooSmall,
    Fault::RuleDrops,
    Fault::RuleRejects,
    Fault::AnswerDropped,
    Fault::PolicyDrops,
    Fault::BridgeRuleDrops,
    Fault::IngressDrops,
    Fault::BridgedFramePulledIn,
    Fault::DiscoveryFiltered,
    Fault::MasqueradeMissing,
    Fault::DnatToNowhere,
    Fault::StaleConnection,
    Fault::NobodyListens,
    Fault::BoundToLoopback,
    Fault::ProcessStopped,
    Fault::BacklogFull,
    Fault::DuplicateAddress,
    Fault::WrongSource,
    Fault::ProxyArpOff,
    Fault::VxlanVni,
    Fault::VxlanPeer,
    Fault::VxlanPort,
    Fault::FarEndTakesLess,
    Fault::Impaired,
    Fault::AnswerNotTranslated,
    Fault::RouteLocalnetOff,
    Fault::BoundElsewhere,
    Fault::V6Only,
    Fault::SilentServer,
    Fault::HairpinOff,
    Fault::IpsecPolicy,
];

/// What is right to say: a machine, and a cause by the name that it has in an explanation's JSON. Some faults can be seen from two sides; where
/// nothing is right, nobody may be accused.
#[derive(Debug, Clone)]
pub(crate) struct Truth(pub(crate) Vec<(String, &'static str)>);

impl Truth {
    fn at(machine: impl ToString, cause: &'static str) -> Self {
        Self(vec![(machine.to_string(), cause)])
    }

    fn or(mut self, machine: impl ToString, cause: &'static str) -> Self {
        self.0.push((machine.to_string(), cause));
        self
    }
}

/// A fault that was made, and how it is undone, where that brings the network back.
pub(crate) struct Injected {
    pub(crate) truth: Truth,
    pub(crate) undo: Option<Undo>,
}

pub(crate) type Undo = Box<dyn FnOnce(&mut Lab) -> Result<()>>;

impl Truth {
    /// The fault goes when `guard` does.
    fn held(self, guard: impl Sized + 'static) -> Injected {
        self.undone(move |_| {
            drop(guard);
            Ok(())
        })
    }

    fn undone(self, undo: impl FnOnce(&mut Lab) -> Result<()> + 'static) -> Injected {
        Injected { truth: self, undo: Some(Box::new(undo)) }
    }

    fn for_good(self) -> Injected {
        Injected { truth: self, undo: None }
    }
}

impl Fault {
    /// Whether such a network can have it.
    pub(crate) fn fits(self, plan: &Plan) -> bool {
        let routed = plan.routers() > 0;
        let has = |wire: Wire| plan.wires.contains(&wire);
        let bystander_at_server = plan.bystanders[plan.routers()] > 0;
        let switched = has(Wire::Switch) || has(Wire::Switches);
        if plan.reflected && !matches!(self, Self::AnswerNotTranslated | Self::NobodyListens | Self::SilentServer | Self::V6Only) {
            return false;
        }
        if plan.local_dnat
            && matches!(self, Self::AddressMissing | Self::BoundToLoopback | Self::BoundElsewhere | Self::V6Only | Self::BacklogFull)
        {
            return false;
        }
        match self {
            Self::RouteMissing => routed && !plan.proxy_arp,
            Self::ReturnRouteMissing => routed && plan.masquerade != Some(plan.routers()),
            Self::RouteRefuses | Self::ReturnRouteRefuses | Self::PolicyRule | Self::LinkDown | Self::FarEndDown => true,
            Self::NobodyAtGateway | Self::WrongNeighbour | Self::AddressMissing => true,
            Self::ForwardingOff | Self::DeviceForwardingOff | Self::TtlTooSmall => routed,
            Self::NotABridgePort | Self::PortNotForwarding | Self::BridgeRuleDrops => switched || has(Wire::OwnBridge),
            Self::PortIsolated => switched,
            Self::BridgedFramePulledIn => switched && !plan.ipv6,
            Self::WrongFdbEntry => switched && plan.bystanders.iter().zip(&plan.wires).any(|(n, wire)| *n > 0 && *wire != Wire::OwnBridge),
            Self::ReversePathFilter => has(Wire::Parallel) && !plan.ipv6,
            Self::MtuTooSmall => plan.big,
            Self::RuleDrops | Self::RuleRejects | Self::AnswerDropped | Self::PolicyDrops | Self::IngressDrops => true,
            Self::DiscoveryFiltered => plan.ipv6,
            Self::MasqueradeMissing => plan.masquerade.is_some(),
            Self::DnatToNowhere => plan.dnat.is_some(),
            Self::StaleConnection => {
                let tracked = |router: &usize| plan.masquerade == Some(*router) || plan.walls.contains(router);
                plan.dnat.as_ref().is_some_and(tracked) && plan.asks == Asks::Udp
            }
            Self::NobodyListens | Self::BoundToLoopback => plan.asks != Asks::Ping,
            Self::ProcessStopped => plan.asks != Asks::Ping && !plan.big,
            Self::BacklogFull => matches!(plan.asks, Asks::Tcp | Asks::Http),
            // A ping the other one would answer as well.
            Self::DuplicateAddress => bystander_at_server && plan.asks != Asks::Ping,
            Self::WrongSource => !plan.ipv6 && plan.masquerade.is_none() && !plan.strict,
            Self::ProxyArpOff => plan.proxy_arp,
            Self::VxlanVni | Self::VxlanPeer | Self::VxlanPort => has(Wire::Vxlan),
            Self::FarEndTakesLess => plan.big && plan.wires.iter().any(|wire| !wire.is_bridge() && *wire != Wire::Relay),
            Self::Impaired | Self::IpsecPolicy => true,
            Self::HairpinOff => has(Wire::Relay),
            Self::AnswerNotTranslated => plan.reflected,
            Self::RouteLocalnetOff => plan.local_dnat,
            Self::BoundElsewhere | Self::SilentServer => plan.asks != Asks::Ping,
            Self::V6Only => plan.asks != Asks::Ping && !plan.ipv6,
        }
    }

    /// What has to be built into the network, where nothing can be changed later.
    pub(crate) fn twist(self, plan: &Plan) -> Twist {
        let wire = plan.wires.iter().position(|wire| *wire == Wire::Vxlan);
        match (self, wire) {
            (Self::VxlanVni, Some(wire)) => Twist::Vni(wire),
            (Self::VxlanPeer, Some(wire)) => Twist::Remote(wire),
            (Self::VxlanPort, Some(wire)) => Twist::Port(wire),
            _ => Twist::None,
        }
    }

    pub(crate) fn inject(self, lab: &mut Lab, dice: &mut Dice) -> Result<Injected> {
        match self {
            Self::RouteMissing => routes::missing(lab, dice),
            Self::ReturnRouteMissing => routes::return_missing(lab, dice),
            Self::RouteRefuses => routes::refuses(lab, dice),
            Self::ReturnRouteRefuses => routes::return_refuses(lab, dice),
            Self::PolicyRule => routes::policy_rule(lab, dice),
            Self::NobodyAtGateway => routes::nobody_at_gateway(lab, dice),
            Self::WrongSource => routes::wrong_source(lab),
            Self::ForwardingOff => routes::forwarding_off(lab, dice),
            Self::DeviceForwardingOff => routes::device_forwarding_off(lab, dice),
            Self::ReversePathFilter => routes::reverse_path_filter(lab),
            Self::TtlTooSmall => routes::ttl_too_small(lab, dice),
            Self::MtuTooSmall => links::mtu_too_small(lab, dice),
            Self::LinkDown => links::down(lab, dice, true),
            Self::FarEndDown => links::down(lab, dice, false),
            Self::NotABridgePort => links::no_bridge_port(lab, dice),
            Self::PortIsolated => links::isolated(lab, dice),
            Self::PortNotForwarding => links::not_forwarding(lab, dice),
            Self::VxlanVni => links::vxlan(lab, "vxlan_vni"),
            Self::VxlanPeer => links::vxlan(lab, "vxlan_peer"),
            Self::VxlanPort => links::vxlan(lab, "vxlan_port"),
            Self::FarEndTakesLess => links::far_end_takes_less(lab, dice),
            Self::HairpinOff => links::hairpin_off(lab),
            Self::Impaired => links::impaired(lab, dice),
            Self::IpsecPolicy => rules::ipsec(lab, dice),
            Self::RouteLocalnetOff => routes::route_localnet_off(lab),
            Self::AnswerNotTranslated => rules::answer_not_translated(lab),
            Self::BoundElsewhere => servers::bound_elsewhere(lab),
            Self::V6Only => servers::v6_only(lab),
            Self::SilentServer => servers::silent(lab),
            Self::WrongNeighbour => neighbours::wrong(lab, dice),
            Self::WrongFdbEntry => neighbours::wrong_fdb(lab),
            Self::AddressMissing => neighbours::address_missing(lab, dice),
            Self::DuplicateAddress => neighbours::duplicate(lab),
            Self::ProxyArpOff => neighbours::proxy_arp_off(lab),
            Self::RuleDrops => rules::question(lab, dice, false),
            Self::RuleRejects => rules::question(lab, dice, true),
            Self::AnswerDropped => rules::answer(lab, dice),
            Self::PolicyDrops => rules::policy(lab, dice),
            Self::BridgeRuleDrops => rules::bridge(lab, dice),
            Self::IngressDrops => rules::ingress(lab, dice),
            Self::BridgedFramePulledIn => rules::pulled_in(lab, dice),
            Self::DiscoveryFiltered => rules::discovery(lab, dice),
            Self::MasqueradeMissing => rules::no_masquerade(lab),
            Self::DnatToNowhere => rules::dnat_to_nowhere(lab),
            Self::StaleConnection => rules::stale_connection(lab),
            Self::NobodyListens => servers::nobody_listens(lab),
            Self::BoundToLoopback => servers::bound_to_loopback(lab),
            Self::ProcessStopped => servers::stopped(lab),
            Self::BacklogFull => servers::backlog_full(lab),
        }
    }
}
