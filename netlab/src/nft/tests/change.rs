//! Places, replacements, deletions, policies and counters.

use crate::Netns;
use crate::error::Result;
use crate::nft::data::Verdict;
use crate::nft::family::{Family, TableName};
use crate::nft::lower::{lower, set::declared};
use crate::nft::matches as m;
use crate::nft::object::{Base, Chain, Hits, Rule};
use crate::nft::statement::{Item, Items, Key, Span, Statement};
use crate::nft::transaction::{Position, Transaction, zero_rule};
use crate::nft::types::DataType;

use super::{commit, oracle};

fn table() -> TableName {
    TableName::new(Family::Inet, "t")
}

fn rule(mark: u32) -> Rule {
    lower(Family::Inet, &[m::mark(mark, u32::MAX), Statement::Counter(None)], &[]).unwrap()
}

fn begin(netns: &Netns) -> Result<()> {
    let base = Base { kind: "filter".to_owned(), hook: "output", priority: 0, devices: Vec::new(), accept: true };
    let chain = Chain { name: "c".to_owned(), base: Some(base), counter: Some(Hits::default()), ..Chain::default() };
    let mut transaction = Transaction::default();
    transaction.add_table(&table()).add_chain(&table(), &chain);
    commit(netns, transaction).map(drop)
}

fn place(netns: &Netns, mark: u32, position: Position) -> Result<u64> {
    let mut transaction = Transaction::default();
    transaction.add_rule(&table(), "c", &rule(mark), position, &[]);
    commit(netns, transaction).map(|handles| handles[0])
}

fn order(netns: &Netns) -> Result<Vec<u32>> {
    let mark = |rule: &Rule| rule.text().split("0x").nth(1).and_then(|hex| u32::from_str_radix(&hex[..8], 16).ok());
    let ruleset = netns.ruleset()?;
    Ok(ruleset.table(Family::Inet, "t").unwrap().chain("c").unwrap().rules().iter().filter_map(mark).collect())
}

#[netlab::test]
fn a_rule_goes_where_it_is_put_and_is_deleted_by_its_handle() -> Result<()> {
    let netns = Netns::new("places")?;
    begin(&netns)?;
    let two = place(&netns, 2, Position::Last)?;
    let five = place(&netns, 5, Position::Last)?;
    place(&netns, 1, Position::First)?;
    place(&netns, 3, Position::After(two))?;
    place(&netns, 4, Position::Before(five))?;
    assert_eq!(order(&netns)?, [1, 2, 3, 4, 5]);
    let nine = place(&netns, 9, Position::Instead(two))?;
    assert_eq!(order(&netns)?, [1, 9, 3, 4, 5]);
    let mut transaction = Transaction::default();
    transaction.delete_rule(&table(), "c", nine).delete_rule(&table(), "c", five);
    commit(&netns, transaction)?;
    assert_eq!(order(&netns)?, [1, 3, 4]);
    let mut transaction = Transaction::default();
    transaction.delete_chain(&table(), "c");
    commit(&netns, transaction)?;
    assert_eq!(netns.ruleset()?.to_string(), "table inet t {\n}\n");
    let mut transaction = Transaction::default();
    transaction.delete_table(&table());
    commit(&netns, transaction)?;
    assert_eq!(netns.ruleset()?.to_string(), "");
    Ok(())
}

#[netlab::test]
fn counters_are_read_zeroed_and_count_again() -> Result<()> {
    let netns = Netns::new("counters")?;
    begin(&netns)?;
    let counting = lower(Family::Inet, &[m::oifname("lo").unwrap(), Statement::Counter(None)], &[]).unwrap();
    let mut transaction = Transaction::default();
    transaction.add_rule(&table(), "c", &counting, Position::Last, &[]);
    let handle = commit(&netns, transaction)?[0];
    let send = || netns.run(|| std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", "127.0.0.1:9").unwrap()).map(drop);
    let hits = || -> Result<Hits> {
        let ruleset = netns.ruleset()?;
        Ok(ruleset.table(Family::Inet, "t").unwrap().chain("c").unwrap().rules()[0].hits().unwrap())
    };
    assert_eq!(hits()?.packets, 0);
    send()?;
    let first = hits()?;
    assert!(first.packets >= 1 && first.bytes >= 29, "{first:?}");
    assert!(netns.ruleset()?.to_string().contains(&format!("counter packets {} bytes {}", first.packets, first.bytes)));
    assert_eq!(netns.ruleset()?.stateless().to_string(), oracle::output(&netns, "nft", &["-s", "list", "ruleset"]));
    let seen = zero_rule(&mut netns.netfilter().unwrap(), &table(), "c", handle).unwrap();
    assert_eq!((seen, hits()?), (first, Hits::default()));
    send()?;
    assert!(hits()?.packets >= 1);

    let policy = || -> Result<Hits> { Ok(netns.ruleset()?.table(Family::Inet, "t").unwrap().chain("c").unwrap().policy_hits().unwrap()) };
    assert!(policy()?.packets >= 2);
    let mut transaction = Transaction::default();
    transaction.set_policy_hits(&table(), "c", Hits::default());
    commit(&netns, transaction)?;
    assert_eq!(policy()?.packets, 0);
    Ok(())
}

#[netlab::test]
fn a_policy_changes_and_keeps_the_rules() -> Result<()> {
    let netns = Netns::new("policy")?;
    begin(&netns)?;
    place(&netns, 1, Position::Last)?;
    let answers = || netns.run(|| std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", "127.0.0.1:9").is_ok());
    assert!(answers()?);
    for (accept, word) in [(false, "drop"), (true, "accept")] {
        let mut transaction = Transaction::default();
        transaction.set_policy(&table(), "c", accept);
        commit(&netns, transaction)?;
        assert_eq!(netns.ruleset()?.table(Family::Inet, "t").unwrap().chain("c").unwrap().policy(), Some(word));
        assert!(oracle::output(&netns, "nft", &["list", "ruleset"]).contains(&format!("policy {word};")));
        assert_eq!(answers()?, accept, "an output chain that drops gives the sender EPERM");
        assert_eq!(order(&netns)?, [1]);
    }
    Ok(())
}

#[netlab::test]
fn many_rules_with_sets_are_one_transaction() -> Result<()> {
    many_rules(30)?;
    many_rules(400)
}

fn many_rules(count: u16) -> Result<()> {
    let netns = Netns::new("many")?;
    begin(&netns)?;
    let mut transaction = Transaction::default();
    for port in 1..=count {
        let statements = [m::dport("tcp", &[(port, port), (port + 1000, port + 2000)]).unwrap(), Statement::Verdict(Verdict::Accept)];
        transaction.add_rule(&table(), "c", &lower(Family::Inet, &statements, &[]).unwrap(), Position::Last, &[]);
    }
    let handles = commit(&netns, transaction)?;
    let ruleset = netns.ruleset()?;
    let listed: Vec<_> = ruleset.table(Family::Inet, "t").unwrap().chain("c").unwrap().rules().iter().map(Rule::handle).collect();
    assert_eq!((handles.len(), handles), (count.into(), listed));
    let (nft, ours) = (oracle::output(&netns, "nft", &["-a", "list", "ruleset"]), netns.ruleset()?.with_handles().to_string());
    assert!(nft == ours, "{}", oracle::differences(&nft, &ours).join("\n"));
    Ok(())
}

#[netlab::test]
fn a_transaction_that_is_too_long_for_a_datagram_says_so_and_changes_nothing() -> Result<()> {
    let netns = Netns::new("long")?;
    begin(&netns)?;
    let mut transaction = Transaction::default();
    let long = Rule { comment: Some("x".repeat(128)), ..rule(1) };
    for _ in 0..30_000 {
        transaction.add_rule(&table(), "c", &long, Position::Last, &[]);
    }
    let e = commit(&netns, transaction).unwrap_err().to_string();
    assert!(e.starts_with("cannot change the ruleset in 30000 steps: Message too long"), "{e}");
    assert!(e.contains("net.core.wmem_max"), "{e}");
    assert_eq!(order(&netns)?, []);
    Ok(())
}

#[netlab::test]
fn a_declared_set_is_filled_used_emptied_and_deleted() -> Result<()> {
    let netns = Netns::new("sets")?;
    begin(&netns)?;
    let (ports, nets) = ([DataType::Service], [DataType::Ipv4, DataType::Service]);
    let items = |keys: &[Vec<Span>]| Items {
        items: keys.iter().map(|key| Item { key: key.clone(), ..Item::default() }).collect(),
        data_types: Vec::new(),
    };
    let some = items(&[vec![(vec![0, 80], None)], vec![(vec![0x1f, 0x40], Some(vec![0x1f, 0x4a]))]]);
    let pairs = items(&[vec![(vec![10, 0, 0, 0], Some(vec![10, 0, 0, 255])), (vec![0, 80], None)]]);
    let (web, wide) = (declared("web", &ports, &some, true).unwrap(), declared("wide", &nets, &pairs, true).unwrap());
    let key = Key::payload("tcp", "dport").unwrap();
    let pair = Key::Concat(vec![Key::payload("ip", "saddr").unwrap(), key.clone()]);
    let sets = [web.clone(), wide.clone()];
    let mut transaction = Transaction::default();
    transaction.add_set(&table(), &web).add_set(&table(), &wide);
    for statement in [m::in_set(key.clone(), "web"), (!m::in_set(key, "web")).unwrap(), m::in_set(pair, "wide")] {
        let rule = lower(Family::Inet, &[statement], &sets).unwrap();
        transaction.add_rule(&table(), "c", &rule, Position::Last, &sets);
    }
    let handles = commit(&netns, transaction)?;
    let expect = |lines: &[&str]| -> Result<()> {
        let nft = oracle::output(&netns, "nft", &["list", "ruleset"]);
        assert_eq!(netns.ruleset()?.to_string(), nft);
        lines.iter().for_each(|line| assert!(nft.contains(line), "{line} in {nft}"));
        Ok(())
    };
    expect(&["elements = { 80, 8000-8010 }", "elements = { 10.0.0.0/24 . 80 }"])?;
    expect(&["\t\ttcp dport @web\n", "\t\ttcp dport != @web\n", "\t\tip saddr . tcp dport @wide\n"])?;

    let more = declared("web", &ports, &items(&[vec![(vec![1, 187], None)]]), true).unwrap();
    let mut transaction = Transaction::default();
    transaction.delete_elements(&table(), &web, &web.elements).add_elements(&table(), &web, &more.elements);
    assert!(!transaction.is_empty());
    commit(&netns, transaction)?;
    expect(&["elements = { 443 }"])?;

    let mut in_use = Transaction::default();
    in_use.delete_set(&table(), "web");
    let e = commit(&netns, in_use).unwrap_err();
    assert!(e.to_string().starts_with("cannot delete set `inet t web`: Device or resource busy"), "{e}");
    let mut transaction = Transaction::default();
    for handle in handles {
        transaction.delete_rule(&table(), "c", handle);
    }
    transaction.delete_set(&table(), "web").delete_set(&table(), "wide");
    commit(&netns, transaction)?;
    assert!(!netns.ruleset()?.to_string().contains("set"));
    Ok(())
}

#[test]
fn protocols_are_known_by_name_and_by_number() {
    assert_eq!(
        ["tcp", "udp", "icmp", "icmpv6", "ipv6-icmp", "47"].map(m::protocol_number),
        [Some(6), Some(17), Some(1), Some(58), Some(58), Some(47)]
    );
    assert_eq!(["nonsense", "300", ""].map(m::protocol_number), [None; 3]);
}
