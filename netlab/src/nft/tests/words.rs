//! Each match and target of ours, by its constructor: installed, nft prints it in the words that we mean, and so do we.

use crate::Netns;
use crate::error::Result;
use crate::nft::data::Verdict;
use crate::nft::expr::{CmpOp, CtKey, MetaKey, nat_flags};
use crate::nft::family::{Family, TableName};
use crate::nft::lower::lower;
use crate::nft::matches::{self as m, Addresses};
use crate::nft::object::{Base, Chain, Hits};
use crate::nft::statement::{Key, Operand, Statement};
use crate::nft::targets::{self as t, To};
use crate::nft::transaction::{Position, Transaction};
use crate::nft::types::DataType;

use super::{commit, oracle};

type Line = (&'static str, Vec<Statement>);

fn net(text: &str) -> Vec<Addresses> {
    text.split(',').map(|one| one.parse().unwrap()).collect()
}

fn accept() -> Statement {
    Statement::Verdict(Verdict::Accept)
}

fn state(words: &[&str]) -> Statement {
    m::ct_state(m::ct_bits(DataType::CtState, words).unwrap())
}

fn to(address: &str, ports: Option<(u16, u16)>) -> To {
    let (from, to) = address.split_once('-').unwrap_or((address, address));
    let address = (!address.is_empty()).then(|| (from.parse().unwrap(), to.parse().unwrap()));
    To { address, ports }
}

fn tcp(port: u16) -> Statement {
    m::dport("tcp", &[(port, port)]).unwrap()
}

fn base(kind: &str, family: Family, hook: &'static str, priority: &str, devices: &[&str]) -> Chain {
    let base = Base {
        kind: kind.to_owned(),
        hook,
        priority: family.priority(priority).unwrap(),
        devices: devices.iter().map(|device| (*device).to_owned()).collect(),
        accept: true,
    };
    Chain { name: "c".to_owned(), base: Some(base), ..Chain::default() }
}

/// Installs each line, and holds what nft prints against the line and against our own listing.
fn hold(family: Family, chain: &Chain, lines: Vec<Line>) -> Result<()> {
    let netns = Netns::new("words")?;
    let table = TableName::new(family, "t");
    let mut transaction = Transaction::default();
    transaction.add_table(&table).add_chain(&table, chain).add_chain(&table, &Chain { name: "other".to_owned(), ..Chain::default() });
    for (line, statements) in &lines {
        let rule = lower(family, statements, &[]).unwrap_or_else(|e| panic!("{line}: {e}"));
        transaction.add_rule(&table, "c", &rule, Position::Last, &[]);
    }
    let handles = commit(&netns, transaction)?;
    assert_eq!(handles.len(), lines.len());
    let (nft, ruleset) = (oracle::output(&netns, "nft", &["list", "ruleset"]), netns.ruleset()?);
    let differences = oracle::differences(&nft, &ruleset.to_string());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let listed: Vec<_> = nft.lines().filter_map(|line| line.strip_prefix("\t\t")).filter(|line| !line.starts_with("type ")).collect();
    let meant: Vec<_> = lines.iter().map(|(line, _)| *line).collect();
    assert_eq!(listed, meant);
    let rules = ruleset.table(family, "t").unwrap().chain("c").unwrap().rules();
    assert_eq!(rules.iter().map(crate::nft::Rule::handle).collect::<Vec<_>>(), handles);
    Ok(())
}

#[netlab::test]
fn inet_filter_words_are_nfts() -> Result<()> {
    let family = Family::Inet;
    let lines = vec![
        ("iifname \"eth0\" accept", vec![m::iifname("eth0").unwrap(), accept()]),
        ("iifname != \"eth0\" accept", vec![(!m::iifname("eth0").unwrap()).unwrap(), accept()]),
        ("iifname \"veth*\"", vec![m::iifname("veth*").unwrap()]),
        ("oifname != \"veth*\"", vec![(!m::oifname("veth*").unwrap()).unwrap()]),
        ("ip saddr 10.0.0.1", vec![m::saddr(&net("10.0.0.1")).unwrap()]),
        ("ip saddr != 10.0.0.0/24", vec![(!m::saddr(&net("10.0.0.0/24")).unwrap()).unwrap()]),
        ("ip daddr 10.64.0.0/10", vec![m::daddr(&net("10.64.0.0/10")).unwrap()]),
        ("ip saddr 10.0.0.5-10.0.0.9", vec![m::saddr(&net("10.0.0.5-10.0.0.9")).unwrap()]),
        ("ip saddr != 10.0.0.5-10.0.0.9", vec![(!m::saddr(&net("10.0.0.5-10.0.0.9")).unwrap()).unwrap()]),
        ("ip saddr { 10.0.0.1, 10.0.0.2 }", vec![m::saddr(&net("10.0.0.2,10.0.0.1")).unwrap()]),
        ("ip daddr != { 10.0.0.0/24, 10.1.0.1-10.1.0.7 }", vec![(!m::daddr(&net("10.0.0.0/24,10.1.0.1-10.1.0.7")).unwrap()).unwrap()]),
        ("ip6 saddr fe80::1", vec![m::saddr(&net("fe80::1")).unwrap()]),
        ("ip6 daddr 2001:db8::/33", vec![m::daddr(&net("2001:db8::/33")).unwrap()]),
        ("ip6 daddr != 2001:db8::/32", vec![(!m::daddr(&net("2001:db8::/32")).unwrap()).unwrap()]),
        ("ip6 saddr fe80::1-fe80::9", vec![m::saddr(&net("fe80::1-fe80::9")).unwrap()]),
        ("ip6 saddr { ::1, fe80::/10 }", vec![m::saddr(&net("::1,fe80::/10")).unwrap()]),
        ("meta l4proto tcp", vec![m::l4proto(&[6])]),
        ("meta l4proto != udp", vec![(!m::l4proto(&[17])).unwrap()]),
        ("meta l4proto { tcp, udp } th dport 53", vec![m::l4proto(&[6, 17]), m::dport("th", &[(53, 53)]).unwrap()]),
        ("tcp dport 80", vec![tcp(80)]),
        ("tcp dport != 22-25", vec![(!m::dport("tcp", &[(22, 25)]).unwrap()).unwrap()]),
        ("udp sport 1024-65535", vec![m::sport("udp", &[(1024, 65535)]).unwrap()]),
        ("tcp dport { 22, 80, 8000-8100 }", vec![m::dport("tcp", &[(22, 22), (8000, 8100), (80, 80)]).unwrap()]),
        ("sctp dport 5", vec![m::dport("sctp", &[(5, 5)]).unwrap()]),
        ("ip saddr 10.0.0.1 tcp dport 80 accept", vec![m::saddr(&net("10.0.0.1")).unwrap(), tcp(80), accept()]),
        ("icmp type echo-request", vec![m::icmp_type(&[8]).unwrap()]),
        ("icmp type { echo-reply, echo-request }", vec![m::icmp_type(&[8, 0]).unwrap()]),
        ("icmpv6 type nd-neighbor-solicit", vec![m::icmpv6_type(&[135]).unwrap()]),
        ("icmpv6 type != echo-request", vec![(!m::icmpv6_type(&[128]).unwrap()).unwrap()]),
        ("tcp flags syn / syn,rst", vec![m::tcp_flags(2, 6).unwrap()]),
        ("tcp flags != syn / fin,syn,rst,ack", vec![(!m::tcp_flags(2, 0x17).unwrap()).unwrap()]),
        ("meta mark 0x00000010", vec![m::mark(0x10, u32::MAX)]),
        ("meta mark != 0x00000010", vec![(!m::mark(0x10, u32::MAX)).unwrap()]),
        ("meta mark & 0x00004000 == 0x00004000", vec![m::mark(0x4000, 0x4000)]),
        ("meta mark & 0x00004000 != 0x00004000", vec![(!m::mark(0x4000, 0x4000)).unwrap()]),
        ("ct mark 0x00000005", vec![m::ct_mark(5, u32::MAX)]),
        ("ct mark & 0x000000ff == 0x00000005", vec![m::ct_mark(5, 0xff)]),
        ("ct state established,related accept", vec![state(&["established", "related"]), accept()]),
        ("ct state ! established", vec![(!state(&["established"])).unwrap()]),
        ("ct status dnat", vec![m::ct_status(0x20)]),
        ("ct original ip daddr 10.96.0.1", vec![m::ct_original_daddr(net("10.96.0.1")[0])]),
        ("ct original ip daddr 10.96.0.0/12", vec![m::ct_original_daddr(net("10.96.0.0/12")[0])]),
        ("ct original ip6 daddr fe80::1", vec![m::ct_original_daddr(net("fe80::1")[0])]),
        ("fib daddr type local", vec![m::fib_daddr_type(2)]),
        ("fib daddr type != local", vec![(!m::fib_daddr_type(2)).unwrap()]),
        ("fib saddr type unicast", vec![m::fib_saddr_type(1)]),
        ("ether saddr 02:00:00:00:00:01", vec![m::ether_saddr([2, 0, 0, 0, 0, 1]).unwrap()]),
        ("ether daddr != 02:00:00:00:00:01", vec![(!m::ether_daddr([2, 0, 0, 0, 0, 1]).unwrap()).unwrap()]),
        ("numgen inc mod 2 0", vec![m::nth(2, 0).unwrap()]),
        ("numgen inc mod 3 2", vec![m::nth(3, 2).unwrap()]),
        ("numgen random mod 100 < 50", vec![m::share(50, 100).unwrap()]),
        ("limit rate 10/second", vec![t::limit(10, 1, 5)]),
        ("limit rate 10/minute burst 7 packets accept", vec![t::limit(10, 60, 7), accept()]),
        ("limit rate over 10/second drop", vec![(!t::limit(10, 1, 5)).unwrap(), Statement::Verdict(Verdict::Drop)]),
        ("counter packets 0 bytes 0", vec![Statement::Counter(None)]),
        (
            "counter packets 7 bytes 9 drop",
            vec![Statement::Counter(Some(Hits { packets: 7, bytes: 9 })), Statement::Verdict(Verdict::Drop)],
        ),
        ("jump other", vec![Statement::Verdict(Verdict::Jump("other".to_owned()))]),
        ("goto other", vec![Statement::Verdict(Verdict::Goto("other".to_owned()))]),
        ("return", vec![Statement::Verdict(Verdict::Return)]),
        ("continue", vec![Statement::Verdict(Verdict::Continue)]),
        ("reject", vec![t::reject(family)]),
        ("reject with icmp host-unreachable", vec![t::reject_with(Family::Ip, 1)]),
        ("reject with icmpv6 no-route", vec![t::reject_with(Family::Ip6, 0)]),
        ("meta l4proto tcp reject with tcp reset", vec![t::reject_with_reset()]),
        ("tcp dport 80 reject with tcp reset", vec![tcp(80), t::reject_with_reset()]),
        ("meta mark set 0x00000010", vec![t::mark_set(0x10, u32::MAX)]),
        ("meta mark set meta mark & 0xffffbfff | 0x00004000", vec![t::mark_set(0x4000, 0x4000)])
            .map_line("meta mark set meta mark | 0x00004000"),
        ("meta mark set meta mark & 0xffffff10 | 0x00000010", vec![t::mark_set(0x10, 0xff)]),
        ("ct mark set 0x00000005", vec![t::ct_mark_set(5, u32::MAX)]),
        ("ct mark set meta mark", vec![t::ct_mark_save()]),
        ("meta mark set ct mark", vec![t::ct_mark_restore()]),
        ("log group 2", vec![t::log(2, None, None)]),
        ("log prefix \"seen: \" group 2", vec![t::log(2, Some("seen: "), None)]),
        (
            "tcp dport vmap { 22 : accept, 80 : jump other }",
            vec![m::vmap(
                Key::payload("tcp", "dport").unwrap(),
                vec![(vec![0, 80], Verdict::Jump("other".to_owned())), (vec![0, 22], Verdict::Accept)],
            )],
        ),
        (
            "numgen inc mod 2 vmap { 0 : jump other, 1 : return }",
            vec![m::vmap(
                m::numgen(false, 2, 0),
                vec![(vec![0, 0, 0, 0], Verdict::Jump("other".to_owned())), (vec![0, 0, 0, 1], Verdict::Return)],
            )],
        ),
        (
            "meta mark > 0x00000005",
            vec![Statement::Match { key: Key::Meta(MetaKey::MARK), op: CmpOp::GT, operand: Operand::Value(vec![0, 0, 0, 5]) }],
        ),
        (
            "ct direction original",
            vec![Statement::Match {
                key: Key::Ct { key: CtKey::DIRECTION, direction: None },
                op: CmpOp::EQ,
                operand: Operand::Value(vec![0]),
            }],
        ),
    ];
    hold(family, &base("filter", family, "forward", "filter", &[]), lines)
}

/// A line whose text nft writes shorter than the reader would.
trait MapLine {
    fn map_line(self, line: &'static str) -> Self;
}

impl MapLine for Line {
    fn map_line(self, line: &'static str) -> Self {
        (line, self.1)
    }
}

#[netlab::test]
fn words_of_one_family_need_no_other_match() -> Result<()> {
    let ip = vec![
        ("ip saddr 10.0.0.1", vec![m::saddr(&net("10.0.0.1")).unwrap()]),
        ("tcp dport 80", vec![tcp(80)]),
        ("reject", vec![t::reject(Family::Ip)]),
        ("reject with icmp net-unreachable", vec![t::reject_with(Family::Ip, 0)]),
        ("tcp dport 80 reject with tcp reset", vec![tcp(80), t::reject_with_reset()]),
        ("icmp type echo-request", vec![m::icmp_type(&[8]).unwrap()]),
    ];
    hold(Family::Ip, &base("filter", Family::Ip, "input", "filter", &[]), ip)?;
    let ip6 = vec![
        ("ip6 saddr fe80::1", vec![m::saddr(&net("fe80::1")).unwrap()]),
        ("reject", vec![t::reject(Family::Ip6)]),
        ("reject with icmpv6 admin-prohibited", vec![t::reject_with(Family::Ip6, 1)]),
        ("icmpv6 type echo-request", vec![m::icmpv6_type(&[128]).unwrap()]),
    ];
    hold(Family::Ip6, &base("filter", Family::Ip6, "output", "filter", &[]), ip6)?;
    let bridge = vec![
        ("ether saddr 02:00:00:00:00:01", vec![m::ether_saddr([2, 0, 0, 0, 0, 1]).unwrap()]),
        ("ip saddr 10.0.0.1", vec![m::saddr(&net("10.0.0.1")).unwrap()]),
        ("ip saddr 10.0.0.1 tcp dport 80 drop", vec![m::saddr(&net("10.0.0.1")).unwrap(), tcp(80), Statement::Verdict(Verdict::Drop)]),
        ("icmp type echo-request", vec![m::icmp_type(&[8]).unwrap()]),
        ("iifname \"a\" oifname \"b\"", vec![m::iifname("a").unwrap(), m::oifname("b").unwrap()]),
    ];
    hold(Family::Bridge, &base("filter", Family::Bridge, "forward", "filter", &[]), bridge)?;
    let netdev = vec![
        ("ip saddr 10.0.0.1 drop", vec![m::saddr(&net("10.0.0.1")).unwrap(), Statement::Verdict(Verdict::Drop)]),
        ("ether saddr 02:00:00:00:00:01", vec![m::ether_saddr([2, 0, 0, 0, 0, 1]).unwrap()]),
        ("tcp dport 80", vec![tcp(80)]),
    ];
    hold(Family::Netdev, &base("filter", Family::Netdev, "ingress", "filter", &["lo"]), netdev)
}

#[netlab::test]
fn translations_are_nfts() -> Result<()> {
    let udp = || m::l4proto(&[17]);
    let source = vec![
        ("masquerade", vec![t::masquerade(None, 0)]),
        ("masquerade random", vec![t::masquerade(None, nat_flags::RANDOM)]),
        ("masquerade fully-random", vec![t::masquerade(None, nat_flags::FULLY_RANDOM)]),
        ("meta l4proto udp masquerade to :1024-2000", vec![udp(), t::masquerade(Some((1024, 2000)), 0)]),
        (
            "ip saddr 172.18.0.0/24 oifname != \"cont-br0\" counter packets 0 bytes 0 masquerade",
            vec![
                m::saddr(&net("172.18.0.0/24")).unwrap(),
                (!m::oifname("cont-br0").unwrap()).unwrap(),
                Statement::Counter(None),
                t::masquerade(None, 0),
            ],
        ),
        ("snat to 1.2.3.4", vec![t::snat(Family::Ip, to("1.2.3.4", None), 0)]),
        ("snat to 1.2.3.4-1.2.3.9 persistent", vec![t::snat(Family::Ip, to("1.2.3.4-1.2.3.9", None), nat_flags::PERSISTENT)]),
        ("tcp dport 80 snat to 1.2.3.4:1000-2000", vec![tcp(80), t::snat(Family::Ip, to("1.2.3.4", Some((1000, 2000))), 0)]),
    ];
    hold(Family::Ip, &base("nat", Family::Ip, "postrouting", "srcnat", &[]), source)?;
    let each = |ports: [Option<u16>; 2]| {
        let to = [("10.0.0.2".parse().unwrap(), ports[0]), ("10.0.0.3".parse().unwrap(), ports[1])];
        t::dnat_each(false, &to).unwrap()
    };
    let destination = vec![
        ("tcp dport 8081 dnat to 172.18.0.2:8000", vec![tcp(8081), t::dnat(Family::Ip, to("172.18.0.2", Some((8000, 8000))), 0)]),
        ("dnat to 10.0.0.2", vec![t::dnat(Family::Ip, to("10.0.0.2", None), 0)]),
        ("tcp dport 80 dnat to :8080", vec![tcp(80), t::dnat(Family::Ip, to("", Some((8080, 8080))), 0)]),
        ("dnat to numgen inc mod 2 map { 0 : 10.0.0.2, 1 : 10.0.0.3 }", vec![each([None, None])]),
        (
            "tcp dport 80 dnat ip to numgen inc mod 2 map { 0 : 10.0.0.2 . 80, 1 : 10.0.0.3 . 8080 }",
            vec![tcp(80), each([Some(80), Some(8080)])],
        ),
        ("redirect", vec![t::redirect(None, 0)]),
        ("tcp dport 80 redirect to :8080", vec![tcp(80), t::redirect(Some((8080, 8080)), 0)]),
        (
            "fib daddr type local tcp dport 80 dnat to 10.0.0.2",
            vec![m::fib_daddr_type(2), tcp(80), t::dnat(Family::Ip, to("10.0.0.2", None), 0)],
        ),
    ];
    hold(Family::Ip, &base("nat", Family::Ip, "prerouting", "dstnat", &[]), destination)?;
    let inet = vec![
        ("dnat ip to 10.0.0.2", vec![t::dnat(Family::Inet, to("10.0.0.2", None), 0)]),
        ("dnat ip6 to fe80::1", vec![t::dnat(Family::Inet, to("fe80::1", None), 0)]),
        ("tcp dport 80 dnat ip6 to [fe80::1]:80", vec![tcp(80), t::dnat(Family::Inet, to("fe80::1", Some((80, 80))), 0)]),
    ];
    hold(Family::Inet, &base("nat", Family::Inet, "prerouting", "dstnat", &[]), inet)?;
    let mangle = vec![
        ("tcp dport 80 tproxy ip to 127.0.0.1:50080", vec![tcp(80), t::tproxy(Some("127.0.0.1".parse().unwrap()), Some(50080))]),
        ("tcp dport 80 tproxy to :50080", vec![tcp(80), t::tproxy(None, Some(50080))]),
        ("notrack", vec![Statement::Notrack]),
        ("meta nftrace set 1", vec![t::trace()]),
    ];
    hold(Family::Inet, &base("filter", Family::Inet, "prerouting", "raw", &[]), mangle)
}
