//! Netlink messages that more than one fixture starts from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

/// `RT_TABLE_LOCAL`: where the kernel looks first, and finds what is its own.
pub(crate) const LOCAL_TABLE: u8 = 255;

pub(crate) fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// `0.0.0.0/0` or `::/0`: where a default route leads.
pub(crate) fn everything(ipv6: bool) -> IpNet {
    if ipv6 { IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)) } else { IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)) }
}

/// A unicast route of the main table, as `ip route add` starts one.
pub(crate) fn route(destination: IpNet) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(destination.addr());
    message.header.destination_prefix_length = destination.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot; // what iproute2 says for a route that a person added
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    if destination.prefix_len() > 0 {
        message.attributes.push(RouteAttribute::Destination(destination.addr().into()));
    }
    message
}

/// An address of the interface `index`. `far` is the network behind it: the address's own, or that of a peer.
pub(crate) fn address(local: IpAddr, far: IpNet, index: u32) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(local);
    message.header.prefix_len = far.prefix_len();
    message.header.index = index;
    message.attributes.push(AddressAttribute::Local(local));
    message.attributes.push(AddressAttribute::Address(far.addr()));
    message
}

/// The question for the routes by which the kernel takes IPv6 packets to addresses of the interface `index`.
pub(crate) fn local_ipv6_routes(index: u32) -> RouteMessage {
    let mut question = RouteMessage::default();
    question.header.address_family = AddressFamily::Inet6;
    question.header.table = LOCAL_TABLE;
    question.header.kind = RouteType::Local;
    question.attributes.push(RouteAttribute::Oif(index));
    question
}

/// Where a listed route leads.
pub(crate) fn destination(message: &RouteNetlinkMessage) -> Option<IpAddr> {
    let RouteNetlinkMessage::NewRoute(route) = message else { return None };
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Destination(RouteAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })
}
