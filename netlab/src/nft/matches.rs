//! Matches in the field's words.

use std::net::IpAddr;
use std::ops::Not;
use std::str::FromStr;

use ipnet::IpNet;

use super::data::Verdict;
use super::expr::{CmpOp, CtKey, FibResult, MetaKey, PayloadBase};
use super::family::Family;
use super::statement::{Gives, Item, Items, Key, Operand, SetRef, Statement};
use super::template;
use super::types::DataType;

const LONGEST_INTERFACE: usize = 15;
const FIB_DADDR: u32 = 2;
const FIB_SADDR: u32 = 1;

type Matched = Result<Statement, String>;

fn equal(key: Key, operand: Operand) -> Statement {
    Statement::Match { key, op: CmpOp::EQ, operand }
}

/// The packet came in through this interface; a `*` at the end stands for any rest.
pub(crate) fn iifname(name: &str) -> Matched {
    interface(MetaKey::IIFNAME, name)
}

/// The packet goes out through this interface; a `*` at the end stands for any rest.
pub(crate) fn oifname(name: &str) -> Matched {
    interface(MetaKey::OIFNAME, name)
}

fn interface(key: MetaKey, name: &str) -> Matched {
    let (stem, wildcard) = name.strip_suffix('*').map_or((name, false), |stem| (stem, true));
    if stem.is_empty() || stem.len() > LONGEST_INTERFACE || stem.contains(['/', '\0', '"']) || stem.contains(char::is_whitespace) {
        return Err(format!("`{name}` is no interface name: it has 1 to {LONGEST_INTERFACE} characters, no space, no slash and no quote"));
    }
    let value = stem.as_bytes().to_vec();
    let bits = 8 * u32::try_from(value.len()).unwrap_or(0);
    let operand = if wildcard { Operand::Prefix(value, bits) } else { Operand::Value(value) };
    Ok(equal(Key::Meta(key), operand))
}

/// Addresses from the first to the last: one, a net or a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    from: IpAddr,
    to: IpAddr,
    net: Option<u8>,
}

impl From<IpAddr> for Addresses {
    fn from(address: IpAddr) -> Self {
        Self { from: address, to: address, net: None }
    }
}

impl From<IpNet> for Addresses {
    fn from(net: IpNet) -> Self {
        let last = match net {
            IpNet::V4(net) => IpAddr::V4(net.broadcast()),
            IpNet::V6(net) => IpAddr::V6(net.broadcast()),
        };
        // A net of one address is that address.
        Self { from: net.network(), to: last, net: Some(net.prefix_len()).filter(|length| *length < net.max_prefix_len()) }
    }
}

impl FromStr for Addresses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("`{text}` is no address, net (`10.0.0.0/24`) or range (`10.0.0.1-10.0.0.9`)");
        if let Some((from, to)) = text.split_once('-') {
            let (from, to): (IpAddr, IpAddr) = (from.parse().map_err(wrong)?, to.parse().map_err(wrong)?);
            return match from <= to && from.is_ipv4() == to.is_ipv4() {
                true => Ok(Self { from, to, net: None }),
                false => Err(format!("the range `{text}` ends before it begins")),
            };
        }
        if text.contains('/') {
            return text.parse::<IpNet>().map(Self::from).map_err(|_| format!("`{text}` is no net such as `10.0.0.0/24`"));
        }
        text.parse::<IpAddr>().map(Self::from).map_err(wrong)
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

impl Addresses {
    pub(crate) fn first(self) -> IpAddr {
        self.from
    }

    /// The first and the last.
    pub(crate) fn ends(self) -> (IpAddr, IpAddr) {
        (self.from, self.to)
    }

    /// How long the prefix is, if these are a net or one address.
    pub(crate) fn prefix_length(self) -> Option<u8> {
        let alone = (self.from == self.to).then(|| if self.from.is_ipv4() { 32 } else { 128 });
        self.net.or(alone)
    }

    fn operand(self) -> Operand {
        let (from, to) = (octets(self.from), octets(self.to));
        match self.net {
            _ if from == to => Operand::Value(from),
            Some(length) => Operand::Prefix(from, u32::from(length)),
            None => Operand::Range(from, to),
        }
    }
}

/// The packet comes from one of these addresses.
pub(crate) fn saddr(addresses: &[Addresses]) -> Matched {
    address("saddr", addresses)
}

/// The packet goes to one of these addresses.
pub(crate) fn daddr(addresses: &[Addresses]) -> Matched {
    address("daddr", addresses)
}

fn address(field: &str, addresses: &[Addresses]) -> Matched {
    let Some(first) = addresses.first() else { return Err("no address is given".to_owned()) };
    let v4 = first.from.is_ipv4();
    if addresses.iter().any(|one| one.from.is_ipv4() != v4) {
        return Err("IPv4 and IPv6 addresses cannot be in one match".to_owned());
    }
    let key = header(if v4 { "ip" } else { "ip6" }, field)?;
    Ok(equal(key, several(addresses, |one| one.operand(), |one| (octets(one.from), octets(one.to)))))
}

fn header(protocol: &str, field: &str) -> Result<Key, String> {
    template::field(protocol, field).map(Key::field).ok_or_else(|| format!("`{protocol}` has no field `{field}`"))
}

/// One value as it is, several as a set.
fn several<T: Copy>(values: &[T], one: impl Fn(T) -> Operand, ends: impl Fn(T) -> (Vec<u8>, Vec<u8>)) -> Operand {
    if let [value] = values {
        return one(*value);
    }
    let item = |value: &T| match ends(*value) {
        (from, to) if from == to => Item::value(from),
        (from, to) => Item::range(from, to),
    };
    Operand::Set(SetRef::Anonymous(Items { items: values.iter().map(item).collect(), data_types: Vec::new() }))
}

/// The key is in a set that the table declares.
pub(crate) fn in_set(key: Key, name: &str) -> Statement {
    equal(key, Operand::Set(SetRef::Named(name.to_owned())))
}

/// Ports from the first to the last.
pub(crate) type Ports = (u16, u16);

/// The packet comes from one of these ports of `tcp`, `udp`, `sctp`, …; `th` stands for any.
pub(crate) fn sport(protocol: &str, ports: &[Ports]) -> Matched {
    port("sport", protocol, ports)
}

/// The packet goes to one of these ports of `tcp`, `udp`, `sctp`, …; `th` stands for any.
pub(crate) fn dport(protocol: &str, ports: &[Ports]) -> Matched {
    port("dport", protocol, ports)
}

fn port(field: &str, protocol: &str, ports: &[Ports]) -> Matched {
    if ports.is_empty() || ports.iter().any(|(from, to)| from > to) {
        return Err("a port range ends before it begins, or no port is given".to_owned());
    }
    let ends = |(from, to): Ports| (from.to_be_bytes().to_vec(), to.to_be_bytes().to_vec());
    let one = |ports| match ends(ports) {
        (from, to) if from == to => Operand::Value(from),
        (from, to) => Operand::Range(from, to),
    };
    Ok(equal(header(protocol, field)?, several(ports, one, ends)))
}

/// The transport protocol is one of these numbers.
pub(crate) fn l4proto(protocols: &[u8]) -> Statement {
    let one = |number: u8| Operand::Value(vec![number]);
    equal(Key::Meta(MetaKey::L4PROTO), several(protocols, one, |number| (vec![number], vec![number])))
}

/// The number of a transport protocol, by the name in `/etc/protocols` or the number itself.
pub(crate) fn protocol_number(name: &str) -> Option<u8> {
    let known = DataType::Protocol.words().iter().find(|(_, word)| *word == name).and_then(|(number, _)| u8::try_from(*number).ok());
    known.or_else(|| (name == "icmpv6").then_some(58)).or_else(|| name.parse().ok())
}

/// The name of a transport protocol, as `/etc/protocols` has it.
pub(crate) fn protocol_name(number: u8) -> Option<&'static str> {
    DataType::Protocol.word(u64::from(number))
}

/// ICMP of one of these types.
pub(crate) fn icmp_type(types: &[u8]) -> Matched {
    let one = |number: u8| Operand::Value(vec![number]);
    Ok(equal(header("icmp", "type")?, several(types, one, |number| (vec![number], vec![number]))))
}

/// ICMPv6 of one of these types.
pub(crate) fn icmpv6_type(types: &[u8]) -> Matched {
    let one = |number: u8| Operand::Value(vec![number]);
    Ok(equal(header("icmpv6", "type")?, several(types, one, |number| (vec![number], vec![number]))))
}

/// Of the flags in `mask`, exactly those of `set` are on.
pub(crate) fn tcp_flags(set: u8, mask: u8) -> Matched {
    Ok(equal(header("tcp", "flags")?, Operand::Masked(vec![set], vec![mask])))
}

/// The packet's mark, under the mask, is the value.
pub(crate) fn mark(value: u32, mask: u32) -> Statement {
    masked(Key::Meta(MetaKey::MARK), value, mask)
}

/// The connection's mark, under the mask, is the value.
pub(crate) fn ct_mark(value: u32, mask: u32) -> Statement {
    masked(Key::Ct { key: CtKey::MARK, direction: None }, value, mask)
}

fn masked(key: Key, value: u32, mask: u32) -> Statement {
    let value = value.to_be_bytes().to_vec();
    let key = match mask {
        u32::MAX => key,
        _ => Key::Bits { key: Box::new(key), mask: mask.to_be_bytes().to_vec(), xor: vec![0; 4] },
    };
    equal(key, Operand::Value(value))
}

/// The connection is in one of these states: bits 1 invalid, 2 established, 4 related, 8 new, 64 untracked.
pub(crate) fn ct_state(states: u32) -> Statement {
    equal(Key::Ct { key: CtKey::STATE, direction: None }, Operand::Any(states.to_be_bytes().to_vec()))
}

/// The bits of a connection's states or status, by nft's words.
pub(crate) fn ct_bits(data_type: DataType, words: &[&str]) -> Result<u32, String> {
    let known = data_type.words();
    words.iter().try_fold(0, |bits, word| {
        let bit = known.iter().find(|(_, known)| known == word).and_then(|(bit, _)| u32::try_from(*bit).ok());
        let accepted = || known.iter().map(|(_, word)| *word).collect::<Vec<_>>().join(", ");
        bit.map(|bit| bits | bit).ok_or_else(|| format!("`{word}` is none of {}", accepted()))
    })
}

/// The connection has one of these status bits, such as 0x20 for `dnat`.
pub(crate) fn ct_status(bits: u32) -> Statement {
    equal(Key::Ct { key: CtKey::STATUS, direction: None }, Operand::Any(bits.to_be_bytes().to_vec()))
}

/// The destination that the connection's first packet had, before any translation.
pub(crate) fn ct_original_daddr(addresses: Addresses) -> Statement {
    let key = if addresses.from.is_ipv4() { CtKey::DST_IP } else { CtKey::DST_IP6 };
    equal(Key::Ct { key, direction: Some(0) }, addresses.operand())
}

/// The packet goes to an address of that type, such as 2 for `local`.
pub(crate) fn fib_daddr_type(address_type: u32) -> Statement {
    of_type(FIB_DADDR, &[address_type])
}

/// The packet comes from an address of that type, such as 2 for `local`.
pub(crate) fn fib_saddr_type(address_type: u32) -> Statement {
    of_type(FIB_SADDR, &[address_type])
}

/// The source or the destination is of one of these types; `interface` is the flag of `fib` for the one whose addresses count.
pub(crate) fn address_type(source: bool, types: &[u32], interface: u32) -> Matched {
    if types.is_empty() {
        return Err("no type of address is given".to_owned());
    }
    Ok(of_type(interface | if source { FIB_SADDR } else { FIB_DADDR }, types))
}

fn of_type(flags: u32, types: &[u32]) -> Statement {
    let bytes = |address_type: u32| address_type.to_be_bytes().to_vec();
    let key = Key::Fib { result: FibResult::TYPE, flags };
    equal(key, several(types, |one| Operand::Value(bytes(one)), |one| (bytes(one), bytes(one))))
}

/// The frame comes from that hardware address.
pub(crate) fn ether_saddr(address: [u8; 6]) -> Matched {
    Ok(equal(header("ether", "saddr")?, Operand::Value(address.to_vec())))
}

/// The frame goes to that hardware address.
pub(crate) fn ether_daddr(address: [u8; 6]) -> Matched {
    Ok(equal(header("ether", "daddr")?, Operand::Value(address.to_vec())))
}

/// A counter or a random number modulo `modulus`, which starts at `offset`.
pub(crate) fn numgen(random: bool, modulus: u32, offset: u32) -> Key {
    Key::Numgen { random, modulus, offset }
}

/// Every `every`th packet that gets here, beginning with packet number `packet`: the `statistic --mode nth` of iptables.
pub(crate) fn nth(every: u32, packet: u32) -> Matched {
    if every == 0 || packet >= every {
        return Err(format!("of every {every} packets, none has number {packet}: they count from 0"));
    }
    Ok(equal(numgen(false, every, 0), Operand::Value(packet.to_be_bytes().to_vec())))
}

/// About `share` of every `of` packets, at random: the `statistic --mode random` of iptables.
pub(crate) fn share(share: u32, of: u32) -> Matched {
    if of == 0 || share > of {
        return Err(format!("{share} of {of} is no share"));
    }
    Ok(Statement::Match { key: numgen(true, of, 0), op: CmpOp::LT, operand: Operand::Value(share.to_be_bytes().to_vec()) })
}

/// Sends each value of the key where its verdict says.
pub(crate) fn vmap(key: Key, verdicts: Vec<(Vec<u8>, Verdict)>) -> Statement {
    let item = |(value, verdict)| Item { gives: Some(Gives::Verdict(verdict)), ..Item::value(value) };
    let items = Items { items: verdicts.into_iter().map(item).collect(), data_types: Vec::new() };
    Statement::VerdictMap { key, map: SetRef::Anonymous(items) }
}

/// The types of a map's key that is made for [`service_vmap`].
pub(crate) fn service_key_types(family: Family) -> Result<[DataType; 3], String> {
    let address = match family {
        Family::Ip => DataType::Ipv4,
        Family::Ip6 => DataType::Ipv6,
        _ => return Err(format!("a map by address is of the family ip or ip6, not {family}")),
    };
    Ok([address, DataType::Protocol, DataType::Service])
}

/// Sends the packet where a map says for its destination, its protocol and its port.
pub(crate) fn service_vmap(family: Family, map: &str) -> Matched {
    // The first two fields of all protocols with ports are these.
    const DESTINATION_PORT: Key = Key::Payload { base: PayloadBase::TRANSPORT, offset: 16, bits: 16, field: None };
    service_key_types(family)?;
    let address = header(if family == Family::Ip6 { "ip6" } else { "ip" }, "daddr")?;
    let key = Key::Concat(vec![address, Key::Meta(MetaKey::L4PROTO), DESTINATION_PORT]);
    Ok(Statement::VerdictMap { key, map: SetRef::Named(map.to_owned()) })
}

/// The match turned round.
impl Not for Statement {
    type Output = Matched;

    fn not(self) -> Matched {
        match self {
            Self::Match { key, op: CmpOp::EQ, operand } => Ok(Self::Match { key, op: CmpOp::NEQ, operand }),
            Self::Match { key, op: CmpOp::NEQ, operand } => Ok(Self::Match { key, op: CmpOp::EQ, operand }),
            Self::Match { key, op: CmpOp::LT, operand } => Ok(Self::Match { key, op: CmpOp::GTE, operand }),
            Self::Limit { over, rate, unit, burst, bytes } => Ok(Self::Limit { over: !over, rate, unit, burst, bytes }),
            other => Err(format!("this cannot be turned round: {other:?}")),
        }
    }
}
