//! What cannot be installed leaves nothing, and its error names it.

use crate::Netns;
use crate::error::Result;
use crate::nft::data::Verdict;
use crate::nft::expr::{Expr, Nat, RejectKind};
use crate::nft::family::{Family, TableName};
use crate::nft::lower::lower;
use crate::nft::matches::{self as m, Addresses};
use crate::nft::object::{Base, Chain, Rule, Set};
use crate::nft::statement::Statement;
use crate::nft::targets::{self as t, To};
use crate::nft::transaction::{Position, Transaction};

use super::{commit, oracle};

fn table() -> TableName {
    TableName::new(Family::Ip, "t")
}

fn chain(kind: &str, hook: &'static str) -> Chain {
    let base = Base { kind: kind.to_owned(), hook, priority: 0, devices: Vec::new(), accept: true };
    Chain { name: "c".to_owned(), base: Some(base), ..Chain::default() }
}

fn rule(statements: &[Statement]) -> Rule {
    lower(Family::Ip, statements, &[]).unwrap()
}

fn opaque(expression: Expr) -> Statement {
    Statement::Opaque { expression, transport: None }
}

fn accept(port: u16) -> Rule {
    rule(&[m::dport("tcp", &[(port, port), (1, 1)]).unwrap(), Statement::Verdict(Verdict::Accept)])
}

/// The error of a transaction that has good rules before and after the bad one, in a namespace that is empty afterwards.
fn refusal(chain: &Chain, bad: Rule) -> crate::Error {
    let netns = Netns::new("refusal").unwrap();
    let mut transaction = Transaction::default();
    transaction.add_table(&table()).add_chain(&table(), chain);
    for rule in [accept(80), bad, accept(443)] {
        transaction.add_rule(&table(), "c", &rule, Position::Last, &[]);
    }
    let error = commit(&netns, transaction).unwrap_err();
    assert_eq!(oracle::output(&netns, "nft", &["list", "ruleset"]), "", "nothing is left");
    // Without the bad rule the same is taken: it was the cause.
    let mut good = Transaction::default();
    good.add_table(&table()).add_chain(&table(), chain).add_rule(&table(), "c", &accept(80), Position::Last, &[]);
    commit(&netns, good).unwrap();
    assert_ne!(oracle::output(&netns, "nft", &["list", "ruleset"]), "");
    error
}

#[netlab::test]
fn a_translation_at_the_wrong_hook_is_named_with_its_expression() {
    let source = t::snat(Family::Ip, To { address: Some(("1.2.3.4".parse().unwrap(), "1.2.3.4".parse().unwrap())), ports: None }, 0);
    let from = m::saddr(&["10.0.0.0/8".parse::<Addresses>().unwrap()]).unwrap();
    let e = refusal(&chain("nat", "prerouting"), rule(&[from, source]));
    let text = e.to_string();
    assert!(text.starts_with("cannot add rule `ip saddr 10.0.0.0/8 snat to 1.2.3.4` to chain `ip t c`: "), "{text}");
    assert_eq!(e.errno(), Some(libc::EOPNOTSUPP), "{text}");
}

#[netlab::test]
fn a_jump_to_a_chain_that_is_not_there_is_named() {
    let e = refusal(&chain("filter", "input"), rule(&[Statement::Verdict(Verdict::Jump("nowhere".to_owned()))]));
    let text = e.to_string();
    assert!(text.starts_with("cannot add rule `jump nowhere` to chain `ip t c`: No such file or directory"), "{text}");
    assert!(e.is_not_found());
    assert!(text.contains("the kernel points at its expression `immediate`"), "{text}");
}

#[netlab::test]
fn an_expression_that_the_kernel_lacks_is_named() {
    let unknown = opaque(Expr::Unknown { name: "nonsense".to_owned(), data: Vec::new() });
    let text = refusal(&chain("filter", "input"), rule(&[m::mark(5, u32::MAX), unknown])).to_string();
    assert!(text.starts_with("cannot add rule `meta mark 0x00000005 /* nonsense */` to chain `ip t c`: No such file"), "{text}");
}

#[netlab::test]
fn a_malformed_expression_is_named() {
    let nat = opaque(Expr::Nat(Nat { family: 77, ..Nat::default() }));
    let text = refusal(&chain("nat", "postrouting"), rule(&[nat])).to_string();
    assert!(text.starts_with("cannot add rule `/* nat */` to chain `ip t c`: "), "{text}");
}

#[netlab::test]
fn an_anonymous_set_that_is_refused_is_named_by_its_rule() {
    let ports: Vec<_> = [(1, 10), (5, 20)].to_vec();
    let overlapping = rule(&[m::dport("tcp", &ports).unwrap(), Statement::Verdict(Verdict::Drop)]);
    let text = refusal(&chain("filter", "input"), overlapping).to_string();
    assert!(text.starts_with("cannot add rule `tcp dport {"), "{text}");
}

#[netlab::test]
fn a_chain_that_is_refused_is_named() -> Result<()> {
    let netns = Netns::new("refusal")?;
    let mut transaction = Transaction::default();
    transaction.add_table(&table()).add_chain(&table(), &chain("nonsense", "input"));
    let e = commit(&netns, transaction).unwrap_err();
    assert!(e.to_string().starts_with("cannot add chain `ip t c`: "), "{e}");
    assert_eq!(netns.ruleset()?.to_string(), "");
    Ok(())
}

#[netlab::test]
fn a_set_of_an_unknown_table_a_missing_rule_and_a_second_table_are_named() -> Result<()> {
    let netns = Netns::new("refusal")?;
    let set = Set { name: "s".to_owned(), key_type: 7, key_len: 4, ..Set::default() };
    let mut transaction = Transaction::default();
    transaction.add_set(&table(), &set);
    let e = commit(&netns, transaction).unwrap_err();
    assert!(e.to_string().starts_with("cannot add set `ip t s`: No such file or directory"), "{e}");

    let mut transaction = Transaction::default();
    transaction.create_table(&table()).add_chain(&table(), &chain("filter", "input"));
    commit(&netns, transaction)?;
    let before = netns.ruleset()?.to_string();
    let mut transaction = Transaction::default();
    transaction.add_rule(&table(), "c", &accept(80), Position::Last, &[]).delete_rule(&table(), "c", 4711);
    let e = commit(&netns, transaction).unwrap_err();
    assert!(e.to_string().starts_with("cannot delete rule 4711 of chain `ip t c`: No such file or directory"), "{e}");

    let mut transaction = Transaction::default();
    transaction.add_rule(&table(), "c", &accept(80), Position::Last, &[]).create_table(&table());
    let e = commit(&netns, transaction).unwrap_err();
    assert!(e.is_exists() && e.to_string().starts_with("cannot create table `ip t`: File exists"), "{e}");
    assert_eq!(netns.ruleset()?.to_string(), before, "the good rule before the bad step is not there either");
    Ok(())
}

#[netlab::test]
fn without_rights_nothing_is_changed_and_the_error_says_so() -> Result<()> {
    let netns = Netns::new("refusal")?;
    let mut transaction = Transaction::default();
    transaction.add_table(&table());
    drop(netns.netfilter().unwrap()); // opened while the rights are there
    let without_rights = || {
        crate::sys::netlink::drop_capabilities().unwrap();
        commit(&netns, transaction).unwrap_err()
    };
    let unprivileged = std::thread::scope(|scope| scope.spawn(without_rights).join().unwrap());
    assert!(unprivileged.is_permission(), "{unprivileged}");
    assert_eq!(netns.ruleset()?.to_string(), "");
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused_before_the_kernel_sees_it() {
    let wrong = |statements: &[Statement]| lower(Family::Ip, statements, &[]).unwrap_err();
    let v6 = m::saddr(&["fe80::1".parse().unwrap()]).unwrap();
    assert_eq!(wrong(&[v6]), "the packets of this rule are ip, never ip6");
    let icmpx = Statement::Reject { kind: RejectKind::ICMPX, code: 1, ip6: false };
    assert_eq!(wrong(&[icmpx]), "`reject with icmpx` is for inet, bridge and netdev, not for ip");
    assert!(wrong(&[t::masquerade(Some((1, 2)), 0)]).contains("only after a match for a protocol that has them"));
    let (tcp, udp) = (m::dport("tcp", &[(1, 1)]).unwrap(), m::dport("udp", &[(1, 1)]).unwrap());
    assert_eq!(wrong(&[tcp, udp]), "the rule already demands protocol 6, and cannot demand 17 too");
    assert!((!m::saddr(&["0.0.0.0/0".parse().unwrap()]).unwrap()).is_ok_and(|no| wrong(&[no]).contains("matches nothing")));
    assert!(m::iifname("sixteen-bytes-xx").is_err() && m::iifname("").is_err() && m::iifname("*").is_err() && m::iifname("a b").is_err());
    assert!("10.0.0.9-10.0.0.1".parse::<Addresses>().is_err() && "10.0.0.1-fe80::1".parse::<Addresses>().is_err());
    assert!("10.0.0.300".parse::<Addresses>().is_err() && "10.0.0.0/33".parse::<Addresses>().is_err());
    assert!(m::saddr(&["10.0.0.1".parse().unwrap(), "fe80::1".parse().unwrap()]).is_err() && m::saddr(&[]).is_err());
    assert!(
        m::dport("tcp", &[(5, 1)]).is_err() && m::dport("nonsense", &[(1, 1)]).is_err() && m::nth(2, 2).is_err() && m::share(3, 2).is_err()
    );
}

#[netlab::test]
fn a_comment_that_is_too_long_is_refused_whole() -> Result<()> {
    let netns = Netns::new("refusal")?;
    let with_comment = |length: usize| {
        let mut transaction = Transaction::default();
        let rule = Rule { comment: Some("x".repeat(length)), ..accept(80) };
        transaction.add_table(&table()).add_chain(&table(), &chain("filter", "input")).add_rule(&table(), "c", &rule, Position::Last, &[]);
        transaction
    };
    assert!(commit(&netns, with_comment(129)).unwrap_err().is_invalid_input());
    assert_eq!(netns.ruleset()?.to_string(), "");
    commit(&netns, with_comment(128))?;
    assert!(netns.ruleset()?.to_string().contains(&"x".repeat(128)));
    Ok(())
}
