//! Targets in the field's words.

use std::net::IpAddr;

use ipnet::Ipv6Net;

use super::data::Verdict;
use super::expr::{CtKey, MetaKey, NatKind, RejectKind, XtTarget};
use super::family::Family;
use super::matches::{Ports, numgen, vmap};
use super::statement::{Gives, Item, Items, Key, SetRef, Source, Statement};
use super::types::DataType;

/// Answers in the way that is right for the family: port unreachable, of the ICMP that the packet's sender knows.
pub(crate) fn reject(family: Family) -> Statement {
    const ICMP_PORT: u8 = 3;
    const ICMPV6_PORT: u8 = 4;
    const ICMPX_PORT: u8 = 1;
    match family {
        Family::Ip => Statement::Reject { kind: RejectKind::ICMP, code: ICMP_PORT, ip6: false },
        Family::Ip6 => Statement::Reject { kind: RejectKind::ICMP, code: ICMPV6_PORT, ip6: true },
        _ => Statement::Reject { kind: RejectKind::ICMPX, code: ICMPX_PORT, ip6: false },
    }
}

/// Answers with ICMP of that code, of IPv6 if the family is that.
pub(crate) fn reject_with(family: Family, code: u8) -> Statement {
    Statement::Reject { kind: RejectKind::ICMP, code, ip6: family == Family::Ip6 }
}

/// Answers TCP with a reset.
pub(crate) fn reject_with_reset() -> Statement {
    Statement::Reject { kind: RejectKind::TCP_RESET, code: 0, ip6: false }
}

/// Gives the packet the address of the interface through which it leaves. `flags` as in [`nat_flags`](super::expr::nat_flags).
pub(crate) fn masquerade(ports: Option<Ports>, flags: u32) -> Statement {
    Statement::Masquerade { ports: ports.map(port_source), flags }
}

/// Sends the packet to this machine itself.
pub(crate) fn redirect(ports: Option<Ports>, flags: u32) -> Statement {
    Statement::Redirect { ports: ports.map(port_source), flags }
}

/// Where a translation leads: an address or a range of them, and perhaps ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct To {
    pub(crate) address: Option<(IpAddr, IpAddr)>,
    pub(crate) ports: Option<Ports>,
}

/// Gives the packet another source.
pub(crate) fn snat(family: Family, to: To, flags: u32) -> Statement {
    nat(NatKind::SOURCE, family, to, flags)
}

/// Gives the packet another destination.
pub(crate) fn dnat(family: Family, to: To, flags: u32) -> Statement {
    nat(NatKind::DESTINATION, family, to, flags)
}

fn nat(kind: NatKind, family: Family, to: To, flags: u32) -> Statement {
    let address = to.address.map(|(from, to)| range(octets(from), octets(to)));
    let family = nat_family(family, to.address.map(|(from, _)| from));
    Statement::Nat { kind, family, address, port: to.ports.map(port_source), flags }
}

/// Spreads connections over several destinations, by a counter or at random.
pub(crate) fn dnat_each(random: bool, to: &[(IpAddr, Option<u16>)]) -> Result<Statement, String> {
    let Some((first, port)) = to.first() else { return Err("no destination is given".to_owned()) };
    if to.iter().any(|(address, p)| address.is_ipv4() != first.is_ipv4() || p.is_some() != port.is_some()) {
        return Err("destinations are all IPv4 or all IPv6, and all have a port or none has".to_owned());
    }
    let mut data_types = vec![if first.is_ipv4() { DataType::Ipv4 } else { DataType::Ipv6 }];
    data_types.extend(port.map(|_| DataType::Service));
    let item = |(place, (address, port)): (u32, &(IpAddr, Option<u16>))| {
        let mut values = vec![(octets(*address), None)];
        values.extend(port.map(|port| (port.to_be_bytes().to_vec(), None)));
        Item { gives: Some(Gives::Values(values)), ..Item::value(place.to_be_bytes().to_vec()) }
    };
    let modulus = u32::try_from(to.len()).map_err(|_| "too many destinations".to_owned())?;
    let map = SetRef::Anonymous(Items { items: (0..).zip(to).map(item).collect(), data_types });
    let key = Box::new(Key::Numgen { random, modulus, offset: 0 });
    let address = Some(Source::Key(Key::Map { key, map }));
    let family = nat_family(Family::Inet, Some(*first));
    Ok(Statement::Nat { kind: NatKind::DESTINATION, family, address, port: None, flags: 0 })
}

/// Spreads packets over several chains, by a counter or at random.
pub(crate) fn goto_each(random: bool, chains: &[String]) -> Result<Statement, String> {
    let modulus = u32::try_from(chains.len()).map_err(|_| "too many chains".to_owned())?;
    let verdict = |(place, chain): (u32, &String)| (place.to_be_bytes().to_vec(), Verdict::Goto(chain.clone()));
    match modulus {
        0 => Err("no chain is given".to_owned()),
        _ => Ok(vmap(numgen(random, modulus, 0), (0..).zip(chains).map(verdict).collect())),
    }
}

fn nat_family(family: Family, address: Option<IpAddr>) -> Family {
    match (address, family) {
        (Some(IpAddr::V4(_)), _) => Family::Ip,
        (Some(IpAddr::V6(_)), _) => Family::Ip6,
        (None, family) => family,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn port_source((from, to): Ports) -> Source {
    range(from.to_be_bytes().to_vec(), to.to_be_bytes().to_vec())
}

fn range(from: Vec<u8>, to: Vec<u8>) -> Source {
    if from == to { Source::Value(from) } else { Source::Range(from, to) }
}

/// Gives the packet's source or destination another prefix, without memory of connections (RFC 6296): an xtables target, for which nf_tables
/// has no expression. The kernel takes it in a table that is called `mangle`.
pub(crate) fn npt(source: bool, from: Ipv6Net, to: Ipv6Net) -> Statement {
    // struct ip6t_npt_tginfo: both prefixes, their lengths, and room for what the kernel makes of them, as long as xtables aligns it.
    let mut info = [from.network().octets(), to.network().octets()].concat();
    info.extend([from.prefix_len(), to.prefix_len()]);
    info.resize(40, 0);
    let name = if source { "SNPT" } else { "DNPT" }.to_owned();
    Statement::Opaque { expression: XtTarget { name, revision: 0, info }.into(), transport: None }
}

/// Hands the packet to a local socket without translating it.
pub(crate) fn tproxy(address: Option<IpAddr>, port: Option<u16>) -> Statement {
    let family = address.map(|address| if address.is_ipv4() { Family::Ip } else { Family::Ip6 });
    let address = address.map(|address| Source::Value(octets(address)));
    Statement::Tproxy { family, address, port: port.map(|port| Source::Value(port.to_be_bytes().to_vec())) }
}

/// Clears the bits of `mask` in the packet's mark, then turns those of `value` round (`MARK --set-xmark`).
pub(crate) fn mark_set(value: u32, mask: u32) -> Statement {
    mark_bits(Key::Meta(MetaKey::MARK), value, mask)
}

/// Clears the bits of `mask` in the connection's mark, then turns those of `value` round (`CONNMARK --set-xmark`).
pub(crate) fn ct_mark_set(value: u32, mask: u32) -> Statement {
    mark_bits(Key::Ct { key: CtKey::MARK, direction: None }, value, mask)
}

fn mark_bits(key: Key, value: u32, mask: u32) -> Statement {
    let source = match mask {
        u32::MAX => Source::Value(value.to_be_bytes().to_vec()),
        _ => Source::Key(Key::Bits { key: Box::new(key.clone()), mask: (!mask).to_be_bytes().to_vec(), xor: value.to_be_bytes().to_vec() }),
    };
    Statement::Set { key, value: source }
}

/// Keeps the packet's mark for the connection.
pub(crate) fn ct_mark_save() -> Statement {
    Statement::Set { key: Key::Ct { key: CtKey::MARK, direction: None }, value: Source::Key(Key::Meta(MetaKey::MARK)) }
}

/// Gives the packet the connection's mark.
pub(crate) fn ct_mark_restore() -> Statement {
    Statement::Set { key: Key::Meta(MetaKey::MARK), value: Source::Key(Key::Ct { key: CtKey::MARK, direction: None }) }
}

/// Sends a copy of the packet, or of its first bytes, to the listeners of an nflog group.
pub(crate) fn log(group: u16, prefix: Option<&str>, snaplen: Option<u32>) -> Statement {
    let prefix = prefix.map(str::to_owned);
    Statement::Log { group: Some(group), prefix, snaplen, threshold: None, level: None, flags: 0 }
}

/// Tells the kernel's own log, which is silent outside the initial namespace.
pub(crate) fn kernel_log(level: u32, flags: u32, prefix: Option<&str>) -> Statement {
    let prefix = prefix.map(str::to_owned);
    Statement::Log { group: None, prefix, snaplen: None, threshold: None, level: Some(level), flags }
}

/// Lets the kernel report each rule that the packet meets.
pub(crate) fn trace() -> Statement {
    Statement::Set { key: Key::Meta(MetaKey::NFTRACE), value: Source::Value(vec![1]) }
}

/// At most `rate` packets a unit (of `seconds`), with a burst.
pub(crate) fn limit(rate: u64, seconds: u64, burst: u32) -> Statement {
    Statement::Limit { over: false, rate, unit: seconds, burst, bytes: false }
}
