//! Plans to statements of nf_tables.

use super::plan::{Match, Plan, RejectWith, Target, Test, Translation};
use crate::nft::data::Verdict;
use crate::nft::expr::CmpOp;
use crate::nft::expr::FibResult;
use crate::nft::lower::lower;
use crate::nft::matches::{self as m, Ports};
use crate::nft::object::{Rule, Set};
use crate::nft::statement::{Key, Operand, Statement};
use crate::nft::{Family, targets as t, template};

/// Bits of `fib`: which route is looked up, and that only its being there is asked.
const FIB_SADDR: u32 = 1;
const FIB_MARK: u32 = 4;
const FIB_IIF: u32 = 8;
const FIB_PRESENT: u32 = 32;

/// The rule that a plan says. `sets` are the named ones of its table. The error is a sentence about a word that makes no sense.
pub(crate) fn rule(plan: &Plan, sets: &[Set]) -> Result<Rule, String> {
    let mut rule = lower(plan.family, &statements(plan)?, sets)?;
    rule.comment.clone_from(&plan.comment);
    Ok(rule)
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
        Match::Icmp(_, Some(_)) if test.not => {
            Err("a type together with a code cannot be turned round: let a rule before this one decide about it".to_owned())
        }
        Match::Icmp(kind, Some(code)) => return Ok(vec![icmp_field(family, "type", *kind)?, icmp_field(family, "code", *code)?]),
        Match::Icmp(kind, None) => icmp_field(family, "type", *kind),
        Match::TcpFlags { set, mask } => m::tcp_flags(*set, *mask),
        Match::Mark { value, mask } => Ok(m::mark(*value, *mask)),
        Match::ConnMark { value, mask } => Ok(m::ct_mark(*value, *mask)),
        Match::State(states) => Ok(m::ct_state(*states)),
        Match::Status(bits) => Ok(m::ct_status(*bits)),
        Match::OriginalTo(addresses) => Ok(m::ct_original_daddr(*addresses)),
        Match::ToType(kind) => Ok(m::fib_daddr_type(*kind)),
        Match::FromType(kind) => Ok(m::fib_saddr_type(*kind)),
        Match::Share { share, of } => m::share(*share, *of),
        Match::Nth { every, packet } => m::nth(*every, *packet),
        Match::Limit { rate, seconds, burst } => Ok(t::limit(*rate, *seconds, *burst)),
        Match::EtherFrom(address) => m::ether_saddr(*address),
        Match::EtherTo(address) => m::ether_daddr(*address),
        Match::InSet { name, source } => in_set(family, name, *source),
        Match::NoWayBack { with_mark } => Ok(no_way_back(*with_mark)),
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

fn in_set(family: Family, name: &str, source: bool) -> Result<Statement, String> {
    let header = if family == Family::Ip6 { "ip6" } else { "ip" };
    let field = if source { "saddr" } else { "daddr" };
    let key = Key::payload(header, field).ok_or_else(|| format!("`{header}` has no `{field}`"))?;
    Ok(m::in_set(key, name))
}

fn no_way_back(with_mark: bool) -> Statement {
    let flags = FIB_SADDR | FIB_IIF | FIB_PRESENT | if with_mark { FIB_MARK } else { 0 };
    let key = Key::Fib { result: FibResult::OIF, flags };
    Statement::Match { key, op: CmpOp::EQ, operand: Operand::Value(vec![0]) }
}

fn target_of(target: &Target, family: Family) -> Result<Vec<Statement>, String> {
    let verdict = |verdict| Ok(Statement::Verdict(verdict));
    let statement = match target {
        Target::Accept => verdict(Verdict::Accept),
        Target::Drop => verdict(Verdict::Drop),
        Target::Return => verdict(Verdict::Return),
        Target::Jump(chain) => verdict(Verdict::Jump(chain.clone())),
        Target::Goto(chain) => verdict(Verdict::Goto(chain.clone())),
        Target::Reject(RejectWith::Port) => Ok(t::reject(family)),
        Target::Reject(RejectWith::Code(code)) => Ok(t::reject_with(family, *code)),
        Target::Reject(RejectWith::TcpReset) => Ok(t::reject_with_reset()),
        Target::Masquerade { ports, flags } => Ok(t::masquerade(ordered(*ports)?, *flags)),
        Target::Snat { to, flags } => Ok(t::snat(family, translation(*to, family)?, *flags)),
        Target::Dnat { to, flags } => Ok(t::dnat(family, translation(*to, family)?, *flags)),
        Target::DnatEach { random, to } => t::dnat_each(*random, to),
        Target::Redirect { ports, flags } => Ok(t::redirect(ordered(*ports)?, *flags)),
        Target::Tproxy { address, port, mark } => {
            let mark = mark.map(|(value, mask)| t::mark_set(value, mask));
            let proxy = t::tproxy(*address, Some(*port).filter(|port| *port != 0));
            return Ok([Some(proxy), mark, Some(Statement::Verdict(Verdict::Accept))].into_iter().flatten().collect());
        }
        Target::Mark { value, mask } => Ok(t::mark_set(*value, *mask)),
        Target::ConnMark { value, mask } => Ok(t::ct_mark_set(*value, *mask)),
        Target::SaveMark => Ok(t::ct_mark_save()),
        Target::RestoreMark => Ok(t::ct_mark_restore()),
        Target::Log { group, prefix } => Ok(t::log(*group, prefix.as_deref())),
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
