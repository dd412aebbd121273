//! What a namespace can say when a probe did not go as it should: its addresses, and its route to the target.

use std::net::IpAddr;
use std::sync::{Mutex, OnceLock};

use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::LinkAttribute;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Kind, Probe};
use crate::endpoint;
use crate::error::{self, Error};
use crate::netns::{Netns, lock};

/// A probe that failed an expectation, for whoever keeps evidence of a failure.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    /// The name of the namespace that asked.
    pub(crate) netns: String,
    pub(crate) probe: Probe,
    /// How many errors there had been by then, that of the probe included.
    errors: u64,
}

static LAST_FAILED: Mutex<Option<Failed>> = Mutex::new(None);

/// The probe that last failed an expectation, if its error is the last that was made, or there is still an error that somebody has.
pub(crate) fn last_failed() -> Option<Failed> {
    let failed = LAST_FAILED.try_lock().ok()?.clone()?;
    (error::made() == failed.errors || error::on_their_way().is_some()).then_some(failed)
}

/// Tells why a probe fails, if that is wanted here.
pub(crate) type Explain = fn(&Netns, &Probe) -> Option<String>;

static EXPLAIN: OnceLock<Explain> = OnceLock::new();

/// Has the errors of probes say what `explain` does. It may be said once in a process.
pub(crate) fn explain_by(explain: Explain) {
    EXPLAIN.get_or_init(|| explain);
}

/// Adds what both sides say, and why the answer does not come.
pub(super) fn explained(error: Error, netns: &Netns, probe: &Probe) -> Error {
    let error = both_sides(error, netns, probe);
    let why = EXPLAIN.get().and_then(|explain| explain(netns, probe));
    why.into_iter().fold(error, Error::fact)
}

/// Adds what the asking side and, if it can speak, the far side say.
pub(super) fn both_sides(error: Error, netns: &Netns, probe: &Probe) -> Error {
    *lock(&LAST_FAILED) = Some(Failed { netns: netns.name().to_owned(), probe: probe.clone(), errors: error::made() });
    let mut error = error.fact(addresses(netns));
    let target = match probe.kind {
        Kind::Ping => endpoint::parse_host(netns, &probe.target),
        _ => endpoint::parse(netns, &probe.target),
    };
    if let Ok(target) = target {
        error = error.fact(route(netns, target.ip()));
    }
    probe.facts().into_iter().fold(error, Error::fact)
}

/// Whether the address is one of the namespace's own.
pub(super) fn has_address(netns: &Netns, address: IpAddr) -> bool {
    list(netns).iter().any(|(own, _, _)| *own == address)
}

/// One line with every address of the namespace.
pub(crate) fn addresses(netns: &Netns) -> String {
    let list: Vec<_> =
        list(netns).into_iter().map(|(address, length, index)| format!("{address}/{length} on {}", name(netns, index))).collect();
    if list.is_empty() { format!("`{netns}` has no address") } else { format!("`{netns}` has {}", list.join(", ")) }
}

fn list(netns: &Netns) -> Vec<(IpAddr, u8, u32)> {
    // Told for an explanation: where the kernel does not tell, there is none.
    let answers = netns.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default())).unwrap_or_default();
    answers
        .into_iter()
        .filter_map(|answer| {
            let RouteNetlinkMessage::NewAddress(message) = answer else { return None };
            // Of a point-to-point address, `Address` is the far end.
            let local = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(address) => Some(*address),
                _ => None,
            });
            let address = || {
                message.attributes.iter().find_map(|attribute| match attribute {
                    AddressAttribute::Address(address) => Some(*address),
                    _ => None,
                })
            };
            Some((local.or_else(address)?, message.header.prefix_len, message.header.index))
        })
        .collect()
}

/// One line with the route that a packet to `target` takes. Equals `ip route get TARGET`.
fn route(netns: &Netns, target: IpAddr) -> String {
    let mut message = RouteMessage::default();
    let destination = match target {
        IpAddr::V4(v4) => {
            message.header.address_family = AddressFamily::Inet;
            message.header.destination_prefix_length = 32;
            RouteAddress::Inet(v4)
        }
        IpAddr::V6(v6) => {
            message.header.address_family = AddressFamily::Inet6;
            message.header.destination_prefix_length = 128;
            RouteAddress::Inet6(v6)
        }
    };
    message.attributes.push(RouteAttribute::Destination(destination));
    match netns.request(RouteNetlinkMessage::GetRoute(message), 0) {
        Err(refusal) => format!("`{netns}` has no route to {target}: {refusal}"),
        Ok(answers) => {
            let found = answers.into_iter().find_map(|answer| match answer {
                RouteNetlinkMessage::NewRoute(route) => Some(describe(netns, &route)),
                _ => None,
            });
            format!("`{netns}` goes to {target}{}", found.unwrap_or_default())
        }
    }
}

fn describe(netns: &Netns, route: &RouteMessage) -> String {
    let kind = match route.header.kind {
        RouteType::Unicast => String::new(),
        kind => format!(" {}", format!("{kind:?}").to_lowercase()),
    };
    let (mut via, mut dev, mut src) = (String::new(), String::new(), String::new());
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => via = format!(" via {gateway}"),
            RouteAttribute::Gateway(RouteAddress::Inet6(gateway)) => via = format!(" via {gateway}"),
            RouteAttribute::Oif(index) => dev = format!(" dev {}", name(netns, *index)),
            RouteAttribute::PrefSource(RouteAddress::Inet(source)) => src = format!(" src {source}"),
            RouteAttribute::PrefSource(RouteAddress::Inet6(source)) => src = format!(" src {source}"),
            _ => {}
        }
    }
    kind + &via + &dev + &src
}

fn name(netns: &Netns, index: u32) -> String {
    let mut message = netlink_packet_route::link::LinkMessage::default();
    message.header.index = index;
    let answers = netns.request(RouteNetlinkMessage::GetLink(message), 0).unwrap_or_default();
    let name = answers.into_iter().find_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(link) => link.attributes.into_iter().find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name),
            _ => None,
        }),
        _ => None,
    });
    name.unwrap_or_else(|| format!("interface {index}"))
}
