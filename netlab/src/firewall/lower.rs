//! Plans to statements of nf_tables.

use super::plan::{Match, Plan, Recent, RejectWith, Side, Target, Test, Translation};
use crate::nft::data::Verdict;
use crate::nft::expr::{CmpOp, FibResult, PayloadBase};
use crate::nft::lower::{lower, set::service_map};
use crate::nft::matches::{self as m, Ports};
use crate::nft::object::{Rule, Set, set_flags};
use crate::nft::statement::{Items, Key, Operand, Statement};
use crate::nft::transaction::LONGEST_COMMENT;
use crate::nft::types::DataType;
use crate::nft::{Family, targets as t, template};

/// Bits of `fib`: which route is looked up, and that only its being there is asked.
const FIB_SADDR: u32 = 1;
const FIB_MARK: u32 = 4;
const FIB_IIF: u32 = 8;
const FIB_OIF: u32 = 16;
const FIB_PRESENT: u32 = 32;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// The rule that a plan says. `sets` are the named ones of its table. The error is a sentence about a word that makes no sense.
pub(crate) fn rule(plan: &Plan, sets: &[Set]) -> Result<Rule, String> {
    let mut rule = lower(plan.family, &statements(plan)?, sets)?;
    rule.comment = plan.comment().map(|comment| kept(&comment));
    Ok(rule)
}

/// The sets that a rule names, as far as the rule tells of them.
pub(crate) fn named_sets(plan: &Plan) -> Vec<Set> {
    let named = plan.tests.iter().filter_map(|test| match &test.of {
        Match::InSet { name, .. } => Some(address_set(plan.family, name)),
        _ => None,
    });
    let map = match &plan.target {
        Some(Target::Vmap(name)) => service_map(plan.family, name, &Items::default()).ok(),
        _ => None,
    };
    named.chain(memories(plan)).chain(map).collect()
}

/// The sets in which the rule remembers addresses, to be made where they are not.
pub(crate) fn memories(plan: &Plan) -> Vec<Set> {
    const MOST: u32 = 65535;
    const MILLISECONDS: u64 = 1000;
    let memory = |test: &Test| match &test.of {
        Match::Recent { name, seconds, .. } => Some(Set {
            flags: set_flags::DYNAMIC | set_flags::TIMEOUT,
            timeout: seconds.map(|seconds| u64::from(seconds) * MILLISECONDS),
            size: Some(MOST),
            ..address_set(plan.family, name)
        }),
        _ => None,
    };
    plan.tests.iter().filter_map(memory).collect()
}

/// An empty set of addresses of that family.
pub(super) fn address_set(family: Family, name: &str) -> Set {
    let data_type = if family == Family::Ip6 { DataType::Ipv6 } else { DataType::Ipv4 };
    let key_len = data_type.bytes().and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(0);
    Set { name: name.to_owned(), key_type: data_type.number(), key_len, ..Set::default() }
}

/// What of a comment has room beside a rule: nft's is shorter than that of iptables, and has no quotes.
fn kept(comment: &str) -> String {
    let plain = comment.chars().map(|c| if c == '"' { '\'' } else { c }).filter(|c| !c.is_control());
    let mut bytes = 0;
    let fits = |c: &char| {
        bytes += c.len_utf8();
        bytes <= LONGEST_COMMENT
    };
    plain.take_while(fits).collect()
}

/// The tests in their order, a counter as every rule of iptables has it, the target.
pub(crate) fn statements(plan: &Plan) -> Result<Vec<Statement>, String> {
    let mut statements = Vec::new();
    for test in &plan.tests {
        statements.extend(test_of(test, plan.family)?);
    }
    statements.push(Statement::Counter(None));
    if let Some(target) = &plan.target {
        statements.extend(target_of(target, plan.family)?);
    }
    Ok(statements)
}

fn test_of(test: &Test, family: Family) -> Result<Vec<Statement>, String> {
    let statement = match &test.of {
        Match::In(name) => m::iifname(name),
        Match::Out(name) => m::oifname(name),
        Match::From(addresses) => m::saddr(addresses),
        Match::To(addresses) => m::daddr(addresses),
        Match::Protocol(number) => Ok(m::l4proto(&[*number])),
        Match::FromPorts(protocol, ports) => m::sport(with_ports(*protocol)?, ports),
        Match::ToPorts(protocol, ports) => m::dport(with_ports(*protocol)?, ports),
        Match::Icmp(kind, Some(code)) if test.not => return Ok(not_icmp(family, *kind, *code)),
        Match::Icmp(kind, Some(code)) => return Ok(vec![icmp_field(family, "type", *kind)?, icmp_field(family, "code", *code)?]),
        Match::Icmp(kind, None) => icmp_field(family, "type", *kind),
        Match::TcpFlags { set, mask } => m::tcp_flags(*set, *mask),
        Match::Mark { value, mask } => Ok(m::mark(*value, *mask)),
        Match::ConnMark { value, mask } => Ok(m::ct_mark(*value, *mask)),
        Match::State(states) => Ok(m::ct_state(*states)),
        Match::Status(bits) => Ok(m::ct_status(*bits)),
        Match::OriginalTo(addresses) => Ok(m::ct_original_daddr(*addresses)),
        Match::AddressType { source, types, seen_from } => m::address_type(*source, types, fib_interface(*seen_from)),
        Match::Share { share, of } => m::share(*share, *of),
        Match::Nth { every, packet } => m::nth(*every, *packet),
        Match::Limit { rate, seconds, burst } => Ok(t::limit(*rate, *seconds, *burst)),
        Match::EtherFrom(address) => m::ether_saddr(*address),
        Match::EtherTo(address) => m::ether_daddr(*address),
        Match::InSet { name, source } => in_set(family, name, *source),
        Match::NoWayBack { with_mark, loose } => Ok(no_way_back(*with_mark, *loose)),
        Match::Recent { name, source, seconds, act } => return recent(test.not, family, name, *source, *seconds, *act),
        Match::Comment(_) => return Ok(Vec::new()),
    }?;
    Ok(vec![if test.not { (!statement)? } else { statement }])
}

/// The name of a protocol that has ports.
fn with_ports(protocol: u8) -> Result<&'static str, String> {
    let name = template::transport(protocol).filter(|name| template::field(name, "dport").is_some());
    name.ok_or_else(|| format!("protocol {protocol} has no ports: tcp, udp, udplite, sctp and dccp have"))
}

fn icmp_field(family: Family, field: &str, value: u8) -> Result<Statement, String> {
    let header = if family == Family::Ip6 { "icmpv6" } else { "icmp" };
    let key = Key::payload(header, field).ok_or_else(|| format!("`{header}` has no `{field}`"))?;
    Ok(Statement::Match { key, op: CmpOp::EQ, operand: Operand::Value(vec![value]) })
}

/// Another type or another code: both are compared in one step.
fn not_icmp(family: Family, kind: u8, code: u8) -> Vec<Statement> {
    const TYPE_AND_CODE_BITS: u32 = 16;
    let protocol = if family == Family::Ip6 { ICMPV6 } else { ICMP };
    let key = Key::Payload { base: PayloadBase::TRANSPORT, offset: 0, bits: TYPE_AND_CODE_BITS, field: None };
    vec![m::l4proto(&[protocol]), Statement::Match { key, op: CmpOp::NEQ, operand: Operand::Value(vec![kind, code]) }]
}

fn in_set(family: Family, name: &str, source: bool) -> Result<Statement, String> {
    Ok(m::in_set(address(family, source)?, name))
}

fn address(family: Family, source: bool) -> Result<Key, String> {
    let header = if family == Family::Ip6 { "ip6" } else { "ip" };
    let field = if source { "saddr" } else { "daddr" };
    Key::payload(header, field).ok_or_else(|| format!("`{header}` has no `{field}`"))
}

fn no_way_back(with_mark: bool, loose: bool) -> Statement {
    let flags = FIB_SADDR | FIB_PRESENT | if with_mark { FIB_MARK } else { 0 } | if loose { 0 } else { FIB_IIF };
    let key = Key::Fib { result: FibResult::OIF, flags };
    Statement::Match { key, op: CmpOp::EQ, operand: Operand::Value(vec![0]) }
}

fn fib_interface(side: Option<Side>) -> u32 {
    match side {
        None => 0,
        Some(Side::In) => FIB_IIF,
        Some(Side::Out) => FIB_OIF,
    }
}

/// Addresses that were seen are elements of a set, which forgets each after a time.
fn recent(not: bool, family: Family, name: &str, source: bool, seconds: Option<u32>, act: Recent) -> Result<Vec<Statement>, String> {
    const UPDATE: u32 = 1;
    const MILLISECONDS: u64 = 1000;
    let key = address(family, source)?;
    let seen = m::in_set(key.clone(), name);
    let timeout = seconds.map(|seconds| u64::from(seconds) * MILLISECONDS);
    let see = Statement::Update { set: name.to_owned(), op: UPDATE, key, data: None, timeout, exprs: Vec::new() };
    match act {
        Recent::Check if not => Ok(vec![(!seen)?]),
        _ if not => Err("only `--rcheck` can be turned round: the others do something as well".to_owned()),
        Recent::Check => Ok(vec![seen]),
        Recent::Update => Ok(vec![seen, see]),
        Recent::Set => Ok(vec![see]),
    }
}

fn target_of(target: &Target, family: Family) -> Result<Vec<Statement>, String> {
    let verdict = |verdict| Ok(Statement::Verdict(verdict));
    let statement = match target {
        Target::Accept => verdict(Verdict::Accept),
        Target::Drop => verdict(Verdict::Drop),
        Target::Return => verdict(Verdict::Return),
        Target::Jump(chain) => verdict(Verdict::Jump(chain.clone())),
        Target::Goto(chain) => verdict(Verdict::Goto(chain.clone())),
        Target::GotoEach { random, chains } => t::goto_each(*random, chains),
        Target::Vmap(map) => m::service_vmap(family, map),
        Target::Reject(RejectWith::Port) => Ok(t::reject(family)),
        Target::Reject(RejectWith::Code(code)) => Ok(t::reject_with(family, *code)),
        Target::Reject(RejectWith::TcpReset) => Ok(t::reject_with_reset()),
        Target::Masquerade { ports, flags } => Ok(t::masquerade(ordered(*ports)?, *flags)),
        Target::Snat { to, flags } => Ok(t::snat(family, translation(*to, family)?, *flags)),
        Target::Dnat { to, flags } => Ok(t::dnat(family, translation(*to, family)?, *flags)),
        Target::DnatEach { random, to } => t::dnat_each(*random, to),
        Target::Redirect { ports, flags } => Ok(t::redirect(ordered(*ports)?, *flags)),
        Target::Npt { source, from, to } => Ok(t::npt(*source, *from, *to)),
        Target::Tproxy { address, port, mark } => {
            let mark = mark.map(|(value, mask)| t::mark_set(value, mask));
            let proxy = t::tproxy(*address, Some(*port).filter(|port| *port != 0));
            return Ok([Some(proxy), mark, Some(Statement::Verdict(Verdict::Accept))].into_iter().flatten().collect());
        }
        Target::Mark { value, mask } => Ok(t::mark_set(*value, *mask)),
        Target::ConnMark { value, mask } => Ok(t::ct_mark_set(*value, *mask)),
        Target::SaveMark => Ok(t::ct_mark_save()),
        Target::RestoreMark => Ok(t::ct_mark_restore()),
        Target::Log { group, prefix, bytes } => Ok(t::log(*group, prefix.as_deref(), *bytes)),
        Target::KernelLog { level, flags, prefix } => Ok(t::kernel_log(*level, *flags, prefix.as_deref())),
        Target::Trace => Ok(t::trace()),
        Target::NoTrack => Ok(Statement::Notrack),
    };
    Ok(vec![statement?])
}

fn ordered(ports: Option<Ports>) -> Result<Option<Ports>, String> {
    match ports {
        Some((from, to)) if from > to => Err(format!("the ports {from}-{to} end before they begin")),
        ports => Ok(ports),
    }
}

fn translation(to: Translation, family: Family) -> Result<t::To, String> {
    let of_family = |ipv4: bool| match family {
        Family::Ip => ipv4,
        Family::Ip6 => !ipv4,
        _ => true,
    };
    match to.address {
        Some((from, to)) if from.is_ipv4() != to.is_ipv4() || from > to => Err(format!("the addresses {from}-{to} are no range")),
        Some((from, _)) if !of_family(from.is_ipv4()) => Err(format!("{from} is no address of the rule's family, {family}")),
        None if to.ports.is_none() => Err("it does not say where to".to_owned()),
        address => Ok(t::To { address, ports: ordered(to.ports)? }),
    }
}
