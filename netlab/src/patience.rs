//! How long a link's neighbours may take to answer.

use std::sync::OnceLock;

use netlink_packet_route::neighbour_table::{NeighbourTableAttribute, NeighbourTableMessage, NeighbourTableParameter};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::sys::Refusal;
use crate::sys::netlink::Request;

/// Between two tries to resolve a neighbour, in milliseconds; the kernel makes three, and its own default is a second.
const RETRANS_MS: u64 = 30;

/// The requests that make an unanswered ARP or neighbour solicitation on the link `EHOSTUNREACH` after 0.1 s instead of 3 s,
/// and a proxy answer at once.
///
/// Equals `ip ntable change name arp_cache dev NAME retrans 30 proxy_delay 0`, and the same for `ndisc_cache`. A new link takes the kernel's values,
/// whatever the namespace's were: there are no defaults of a namespace to set (net/core/neighbour.c, `neigh_sysctl_register`).
pub(crate) fn requests(index: u32) -> impl Iterator<Item = Request<RouteNetlinkMessage>> {
    let tables = [(AddressFamily::Inet, "arp_cache", true), (AddressFamily::Inet6, "ndisc_cache", has_ipv6())];
    tables.into_iter().filter(|(.., there)| *there).map(move |(family, name, _)| {
        let mut message = NeighbourTableMessage::default();
        message.header.family = family;
        message.attributes.push(NeighbourTableAttribute::Name(name.to_owned()));
        let parameters = vec![
            NeighbourTableParameter::Ifindex(index),
            NeighbourTableParameter::RetransTime(RETRANS_MS),
            // A proxy waits up to 0.8 s before it answers (net/ipv4/arp.c); whoever asked has given up by then.
            NeighbourTableParameter::ProxyDelay(0),
        ];
        message.attributes.push(NeighbourTableAttribute::Parms(parameters));
        Request::new(RouteNetlinkMessage::SetNeighbourTable(message), 0)
    })
}

/// Whether that is what the kernel says of a link that has no neighbours of the family: with an MTU below 1280, a link has no IPv6.
pub(crate) fn has_no_neighbours(refusal: &Refusal) -> bool {
    refusal.is(libc::ENOENT)
}

fn has_ipv6() -> bool {
    static IPV6: OnceLock<bool> = OnceLock::new();
    *IPV6.get_or_init(|| std::path::Path::new("/proc/sys/net/ipv6").exists())
}
