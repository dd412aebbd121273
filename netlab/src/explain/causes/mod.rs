//! What a packet can have died of, at the place where it was seen last: one family of causes a file.
//!
//! Each check looks at the evidence for its own causes and says nothing where that does not suffice; the first that says something is right.

mod bridge;
mod deliver;
mod filter;
mod forward;
mod link;
mod mtu;
mod nat;
mod neighbour;
mod policy;
mod route;
mod source;
mod vxlan;

use std::net::IpAddr;

use super::case::Case;
use super::cause::Cause;
use super::finding::{Finding, Way};
use super::lab::Tap;
use super::walk::{End, Ended};

pub(super) use nat::{blame as blame_translation, remembers, stale, strays};
pub(super) use neighbour::{answers_for, unresolved as neighbour_of};
pub(super) use policy::elsewhere;
pub(super) use route::{next_hop, refusal, routed};
pub(super) use source::wrong as wrong_source;

type Check = fn(&Case, &End) -> Option<Finding>;

/// For what is not for the machine: its own packets, and those that it should forward.
const PASSING: &[Check] = &[
    filter::dropped,
    neighbour::misdirected,
    source::unusable,
    forward::used_up,
    forward::off,
    route::martian,
    route::reverse_path,
    policy::refuses,
    link::no_route_since_down,
    source::no_advertisement,
    route::refuses,
    route::none,
    link::way_out,
    mtu::too_big,
    neighbour::unresolved,
    link::impaired,
];
/// For what is for the machine.
const HERE: &[Check] = &[
    filter::dropped,
    neighbour::duplicate,
    route::martian,
    route::reverse_path,
    deliver::nobody,
    deliver::backlog,
    deliver::stopped,
    deliver::ignored,
];
/// For what is on its way between two machines.
const BETWEEN: &[Check] = &[
    filter::between,
    link::between,
    vxlan::between,
    bridge::port,
    bridge::hairpin_between,
    bridge::isolated,
    mtu::of_link,
    bridge::wrong_entry,
    bridge::vlan,
];
const NOWHERE: &[Check] = &[neighbour::wrong_entry, bridge::hairpin, link::not_a_port];

pub(super) fn find(case: &Case, end: &End) -> Option<Finding> {
    let checks = match &end.place {
        Ended::Inside if case.is_here(end) => HERE,
        Ended::Inside => PASSING,
        Ended::Between { .. } => BETWEEN,
        Ended::Nowhere { .. } => NOWHERE,
    };
    checks.iter().find_map(|check| check(case, end))
}

/// For what the far side has got and has not answered.
pub(super) fn unanswered(case: &Case, end: &End) -> Option<Finding> {
    deliver::silent(case, end)
}

impl Case {
    pub(super) fn finding(&self, machine: usize, way: Way, cause: Cause) -> Finding {
        Finding { machine: self.name(machine), place: None, direction: way, cause, cure: None }
    }
}

impl Finding {
    pub(super) fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    pub(super) fn cured_by(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }
}

impl End {
    /// The last tap that saw the packet, and the first that did not.
    pub(super) fn gap(&self) -> Option<(Tap, Tap)> {
        let Ended::Between { taps, seen } = &self.place else { return None };
        Some((*taps.get(seen.checked_sub(1)?)?, *taps.get(*seen)?))
    }
}

/// Whether an address is on the link itself (RFC 4291, RFC 3927), or nobody's.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast(),
    }
}
