//! The causes as sentences.

use std::fmt::{self, Display};

use super::cause::{Cause, FatalRule};
use crate::nft::Family;

impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoute { to } => write!(f, "no route leads to {to}"),
            Self::RouteRefuses { to, route } => write!(f, "a route of kind {route} takes what goes to {to}"),
            Self::PolicyRule { rule, effect } => write!(f, "the policy rule `{rule}` {effect}"),
            Self::LinkDown { device } => write!(f, "{device} is down"),
            Self::NoCarrier { device, peer } => {
                let why = peer.as_ref().map_or_else(|| "its other end is gone".to_owned(), |peer| format!("its other end {peer} is down"));
                write!(f, "{device} has no carrier: {why}")
            }
            Self::NotABridgePort { device } => write!(f, "{device} is the port of no bridge, and has no address"),
            Self::PortIsolated { from, to } => write!(f, "the bridge ports {from} and {to} are both isolated"),
            Self::PortNotForwarding { port, state } => write!(f, "the bridge port {port} does not forward: its state is {state}"),
            Self::VlanFiltered { port } => write!(f, "the VLANs of the bridge port {port} do not let the frame through"),
            Self::HairpinOff { port } => write!(f, "the bridge sends nothing back out of {port}, by which it came: hairpin is off"),
            Self::NeighbourUnresolved { address, device, holder } => {
                write!(f, "nobody on {device} answers for {address}")?;
                holder.as_ref().map_or(Ok(()), |holder| write!(f, "; {holder} has it"))
            }
            Self::AddressMissing { address, device } => write!(f, "it gets what is for {address} by {device}, but has no such address"),
            Self::ProxyArpOff { address, device } => {
                write!(f, "it has a route to {address}, but does not answer for it on {device}: proxy_arp is off")
            }
            Self::NeighbourElsewhere { address, asked_on, answered_on } => {
                write!(f, "{address} was asked for on {asked_on}, and the answer went to {answered_on}")
            }
            Self::ForwardingOff { sysctl } => write!(f, "it does not forward: {sysctl}=0"),
            Self::ReversePathFilter { source, device, strict } => {
                let way = if *strict { format!("does not lead out of {device}") } else { "does not exist".to_owned() };
                write!(f, "rp_filter on {device}: the way back to {source} {way}")
            }
            Self::MartianSource { source, sysctl } => write!(f, "martian source {source}: not taken from outside while {sysctl}=0"),
            Self::MartianDestination { destination, sysctl } => {
                write!(f, "martian destination {destination}: not taken from outside while {sysctl}=0")
            }
            Self::TooBig { length, mtu, sender_heard } => {
                let length = length.map(|length| format!(" of {length} bytes")).unwrap_or_default();
                let heard = if *sender_heard { "" } else { ", and the sender does not hear of it" };
                write!(f, "the packet{length} is too big for an MTU of {mtu} and must not be fragmented{heard}")
            }
            Self::TtlExpired { sent_with } => {
                let sent = sent_with.map(|ttl| format!(" (sent with {ttl})")).unwrap_or_default();
                write!(f, "the TTL is used up{sent}")
            }
            Self::RoutingLoop { back_to, round, sent_with } => {
                let sent = sent_with.map(|ttl| format!(" of {ttl}")).unwrap_or_default();
                write!(f, "it sends the packet back to {back_to}: it goes round ({}) until its TTL{sent} is used up", round.join(", "))
            }
            Self::Filtered { .. } => self.filtered(f),
            Self::TranslatedToSilence { from, to, because } => write!(f, "NAT sends {from} to {to}, and {because}"),
            Self::NoWayBack { to, forwarded_by } => {
                write!(f, "no route leads back to {to}")?;
                if forwarded_by.is_empty() { Ok(()) } else { write!(f, ", which {} did not translate", forwarded_by.join(", ")) }
            }
            Self::AnswerNotTranslated { asked, answered, translator } => {
                let nat = translator.as_ref().map_or_else(|| "the NAT".to_owned(), |nat| format!("{nat}, which translated the question"));
                write!(f, "the answer comes from {answered} instead of {asked}: it went back past {nat}")
            }
            Self::AnswersFromOtherAddress { asked, answered } => write!(f, "it was asked as {asked} and answers as {answered}"),
            Self::StaleConnection { connection, rule } => {
                let rule = rule.as_ref().map_or_else(|| "the rules of NAT".to_owned(), |rule| format!("the rule `{rule}`"));
                write!(f, "the connection `{connection}` is older than {rule}")
            }
            Self::NobodyListens { protocol, port, elsewhere } => {
                write!(f, "nothing listens on {protocol}/{port}")?;
                if elsewhere.is_empty() { Ok(()) } else { write!(f, "; there is {}", elsewhere.join(", ")) }
            }
            Self::BoundElsewhere { protocol, asked, bound } => {
                let bound: Vec<_> = bound.iter().map(ToString::to_string).collect();
                write!(f, "nothing listens on {protocol} {asked}, only on {}", bound.join(", "))
            }
            Self::BoundToLoopback { protocol, bound } => write!(f, "{protocol} {bound} takes only what comes from the machine itself"),
            Self::V6Only { protocol, port } => write!(f, "{protocol}/{port} is open for IPv6 only (IPV6_V6ONLY)"),
            Self::BacklogFull { bound, waiting, limit } => {
                write!(f, "the backlog of {bound} is full: {waiting} connections wait to be accepted, {limit} may")
            }
            Self::ProcessStopped { name, pid } => write!(f, "the process `{name}` ({pid}) that has the socket is stopped"),
            Self::NoAnswerFromProcess { protocol, bound, untaken } => {
                let read = match (protocol.as_str(), untaken) {
                    (_, 0) => "read the question".to_owned(),
                    ("tcp", 1) => "has a connection to accept and does not".to_owned(),
                    ("tcp", n) => format!("has {n} connections to accept and does not"),
                    (_, n) => format!("has {n} bytes to read and does not"),
                };
                write!(f, "the process at {bound} {read}, and said nothing")
            }
            Self::EchoIgnored { sysctl } => write!(f, "it is told not to answer pings: {sysctl}=1"),
            Self::WrongSource { source, device, better } => {
                write!(f, "it sends from {source} by {device}, where no answer to that can come")?;
                better.map_or(Ok(()), |better| write!(f, "; {better} is the address there"))
            }
            Self::DuplicateAddress { address, holders } => write!(f, "{address} is there more than once: {}", holders.join(", ")),
            Self::WrongNeighbour { address, entry, actual } => {
                write!(f, "the static neighbour entry of {address} says {entry}, but the MAC address there is {actual}")
            }
            Self::WrongFdbEntry { mac, entry, actual } => {
                write!(f, "the fdb entry of {mac} leads to {entry}")?;
                actual.as_ref().map_or(Ok(()), |actual| write!(f, ", but it is behind {actual}"))
            }
            Self::VxlanPeer { device, remote, actual } => {
                let remote = remote.map_or_else(|| "nobody".to_owned(), |remote| remote.to_string());
                write!(f, "{device} sends to {remote}")?;
                actual.map_or(Ok(()), |actual| write!(f, ", but its other end is {actual}"))
            }
            Self::VxlanVni { device, vni, other } => write!(f, "{device} has VNI {vni}, its other end has {other}"),
            Self::VxlanPort { device, port, other } => write!(f, "{device} uses UDP port {port}, its other end {other}"),
            Self::AddressTentative { address, duplicate: true } => write!(f, "{address} may not be used: it is a duplicate (dadfailed)"),
            Self::AddressTentative { address, .. } => write!(f, "{address} may not be used yet: it is tentative"),
            Self::NoRouterAdvertisement { device, because } => {
                write!(f, "{device} has had no router advertisement")?;
                because.as_ref().map_or(Ok(()), |because| write!(f, ": {because}"))
            }
            Self::NoSuchSource { address } => write!(f, "it has no address {address} to send from"),
            Self::Impaired { device, qdisc } => write!(f, "{qdisc} on {device} took the packet"),
        }
    }
}

impl Cause {
    fn filtered(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Filtered { family, table, chain, hook, rule, pulled_in, of } = self else { return Ok(()) };
        let of = of.as_ref().map(|of| format!(" ({of})")).unwrap_or_default();
        let hook = hook.as_ref().filter(|hook| !hook.eq_ignore_ascii_case(chain)).map(|hook| format!(", hook {hook}")).unwrap_or_default();
        write!(f, "chain {family} {table} {chain}{hook}: {}{of}", Fate(rule.as_ref()))?;
        if !*pulled_in {
            return Ok(());
        }
        let sysctl = if *family == Family::Ip6 { "bridge-nf-call-ip6tables" } else { "bridge-nf-call-iptables" };
        write!(f, "; a bridged frame comes there by {sysctl}=1")
    }
}

struct Fate<'a>(Option<&'a FatalRule>);

impl Display for Fate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(FatalRule { handle, text }) => write!(f, "rule `{text}` (handle {handle})"),
            None => f.write_str("policy drop, no rule took it"),
        }
    }
}
