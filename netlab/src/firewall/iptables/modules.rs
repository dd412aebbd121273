//! The matches that `-m` loads: their options, and the tests that these say.

use super::super::plan::{Match, Recent, Side, Test};
use super::given::{Given, Opt, Scene, flag, value};
use super::values::{self, Read};
use crate::nft::Family;

pub(super) const TCP: u8 = 6;
pub(super) const ICMP: u8 = 1;
pub(super) const ICMPV6: u8 = 58;
/// Those that have ports: tcp, udp, dccp, sctp, udplite.
pub(super) const WITH_PORTS: &[u8] = &[TCP, 17, 33, 132, 136];

/// A match.
#[derive(Debug)]
pub(super) struct Module {
    /// The first is the one that iptables prints.
    pub(super) names: &'static [&'static str],
    /// The protocols of `-p` of which it needs one; none, if it needs no `-p`.
    pub(super) protocols: &'static [u8],
    pub(super) options: &'static [Opt],
    pub(super) tests: fn(&Given, &Scene) -> Read<Vec<Test>>,
}

impl Module {
    pub(super) fn name(&self) -> &'static str {
        self.names[0]
    }
}

const SPORT: Opt = value(&["--sport", "--source-port"]).or_not();
const DPORT: Opt = value(&["--dport", "--destination-port"]).or_not();
const FLAGS: Opt = Opt { names: &["--tcp-flags"], values: 2, not: true };

pub(super) const MODULES: &[Module] = &[
    Module { names: &["tcp"], protocols: &[TCP], options: &[SPORT, DPORT, FLAGS, flag(&["--syn"]).or_not()], tests: tcp },
    Module { names: &["udp"], protocols: &[17], options: &[SPORT, DPORT], tests: ports },
    Module { names: &["dccp"], protocols: &[33], options: &[SPORT, DPORT], tests: ports },
    Module { names: &["sctp"], protocols: &[132], options: &[SPORT, DPORT], tests: ports },
    Module { names: &["udplite"], protocols: &[136], options: &[SPORT, DPORT], tests: ports },
    Module { names: &["icmp"], protocols: &[ICMP], options: &[value(&["--icmp-type"]).or_not()], tests: icmp },
    Module { names: &["icmp6", "icmpv6", "ipv6-icmp"], protocols: &[ICMPV6], options: &[value(&["--icmpv6-type"]).or_not()], tests: icmp },
    Module {
        names: &["multiport"],
        protocols: WITH_PORTS,
        options: &[
            value(&["--sports", "--source-ports"]).or_not(),
            value(&["--dports", "--destination-ports"]).or_not(),
            value(&["--ports"]).or_not(),
        ],
        tests: multiport,
    },
    Module { names: &["comment"], protocols: &[], options: &[value(&["--comment"])], tests: comment },
    Module {
        names: &["conntrack"],
        protocols: &[],
        options: &[value(&["--ctstate"]).or_not(), value(&["--ctorigdst"]).or_not(), value(&["--ctstatus"]).or_not()],
        tests: conntrack,
    },
    Module { names: &["state"], protocols: &[], options: &[value(&["--state"]).or_not()], tests: state },
    Module { names: &["mark"], protocols: &[], options: &[value(&["--mark"]).or_not()], tests: mark },
    Module { names: &["connmark"], protocols: &[], options: &[value(&["--mark"]).or_not()], tests: connmark },
    Module {
        names: &["addrtype"],
        protocols: &[],
        options: &[
            value(&["--src-type"]).or_not(),
            value(&["--dst-type"]).or_not(),
            flag(&["--limit-iface-in"]),
            flag(&["--limit-iface-out"]),
        ],
        tests: addrtype,
    },
    Module {
        names: &["statistic"],
        protocols: &[],
        options: &[value(&["--mode"]), value(&["--probability"]).or_not(), value(&["--every"]).or_not(), value(&["--packet"])],
        tests: statistic,
    },
    Module { names: &["limit"], protocols: &[], options: &[value(&["--limit"]), value(&["--limit-burst"])], tests: limit },
    Module { names: &["mac"], protocols: &[], options: &[value(&["--mac-source"]).or_not()], tests: mac },
    Module {
        names: &["iprange"],
        protocols: &[],
        options: &[value(&["--src-range"]).or_not(), value(&["--dst-range"]).or_not()],
        tests: iprange,
    },
    Module { names: &["set"], protocols: &[], options: &[Opt { names: &["--match-set"], values: 2, not: true }], tests: set },
    Module {
        names: &["rpfilter"],
        protocols: &[],
        options: &[flag(&["--loose"]), flag(&["--validmark"]), flag(&["--accept-local"]), flag(&["--invert"])],
        tests: rpfilter,
    },
    Module {
        names: &["recent"],
        protocols: &[],
        options: &[
            flag(&["--set"]).or_not(),
            flag(&["--rcheck"]).or_not(),
            flag(&["--update"]).or_not(),
            value(&["--seconds"]),
            flag(&["--reap"]),
            value(&["--name"]),
            value(&["--mask"]),
            flag(&["--rsource"]),
            flag(&["--rdest"]),
        ],
        tests: recent,
    },
];

/// Matches of iptables that a rule of netlab cannot say, and what does.
pub(super) const NOT_NATIVE: &[(&str, &str)] = &[
    ("physdev", "the ports of a bridge are seen by rules of the family bridge; ports that shall not talk can be isolated"),
    ("nfacct", "every rule counts: read its `hits()`"),
    ("ipvs", "nf_tables has no such match"),
    ("bpf", "nf_tables has no such match"),
    ("u32", "nf_tables has no such match"),
    ("string", "nf_tables has no such match"),
    ("time", "install and drop the rule at the time"),
    ("hashlimit", "`-m limit` counts all packets together"),
];

fn test(not: bool, of: Match) -> Test {
    Test { not, of }
}

fn tcp(given: &Given, scene: &Scene) -> Read<Vec<Test>> {
    const SYN: u8 = 2;
    const FIN_SYN_RST_ACK: u8 = 0x17;
    let mut tests = ports(given, scene)?;
    if let Some(option) = given.find("--tcp-flags")
        && let [mask, set] = option.values.as_slice()
    {
        let byte = |word| values::bits(word, values::TCP_FLAGS).map(|bits| bits.to_be_bytes()[3]);
        tests.push(test(option.not, Match::TcpFlags { set: byte(set)?, mask: byte(mask)? }));
    }
    if let Some(option) = given.find("--syn") {
        tests.push(test(option.not, Match::TcpFlags { set: SYN, mask: FIN_SYN_RST_ACK }));
    }
    Ok(tests)
}

fn ports(given: &Given, scene: &Scene) -> Read<Vec<Test>> {
    let protocol = scene.protocol.unwrap_or(TCP);
    let mut tests = Vec::new();
    for (name, of) in [("--sport", Match::FromPorts as fn(u8, Vec<(u16, u16)>) -> Match), ("--dport", Match::ToPorts)] {
        if let Some(option) = given.find(name) {
            let word = option.word()?;
            tests.push(test(option.not, of(protocol, vec![values::ports(word, &word.text, ':')?])));
        }
    }
    Ok(tests)
}

fn multiport(given: &Given, scene: &Scene) -> Read<Vec<Test>> {
    let option = given.one_of(&["--sports", "--dports", "--ports"])?;
    let (ports, protocol) = (values::port_list(option.word()?)?, scene.protocol.unwrap_or(TCP));
    match option.opt.name() {
        "--sports" => Ok(vec![test(option.not, Match::FromPorts(protocol, ports))]),
        "--dports" => Ok(vec![test(option.not, Match::ToPorts(protocol, ports))]),
        _ if option.not => Ok(vec![test(true, Match::FromPorts(protocol, ports.clone())), test(true, Match::ToPorts(protocol, ports))]),
        _ => Err(option
            .wrong("`--ports` is two conditions of which one suffices")
            .help("write a rule with `--sports` and one with `--dports`")),
    }
}

fn icmp(given: &Given, scene: &Scene) -> Read<Vec<Test>> {
    let [option] = given.options.as_slice() else { return Ok(Vec::new()) };
    match values::icmp(option.word()?, scene.family)? {
        Some((kind, code)) => Ok(vec![test(option.not, Match::Icmp(kind, code))]),
        None if option.not => Err(option.wrong("no ICMP is none at all")),
        None => Ok(Vec::new()),
    }
}

fn comment(given: &Given, _: &Scene) -> Read<Vec<Test>> {
    const LONGEST: usize = 256;
    let (word, _) = given.need("--comment")?;
    match word.text.len() {
        0 => Err(word.wrong("a comment says something")),
        1..LONGEST => Ok(vec![test(false, Match::Comment(word.text.clone()))]),
        _ => Err(word.wrong(format!("a comment has less than {LONGEST} bytes"))),
    }
}

fn conntrack(given: &Given, scene: &Scene) -> Read<Vec<Test>> {
    let mut tests = Vec::new();
    if let Some(option) = given.find("--ctstate") {
        let word = option.word()?;
        let bits = values::bits(word, values::STATES)?;
        let (states, status) = (bits & ((1 << values::STATUS_SHIFT) - 1), bits >> values::STATUS_SHIFT);
        if !option.not && states != 0 && status != 0 {
            let wrong = word.wrong("a state and a translation are two conditions of which one suffices");
            return Err(wrong.help("write a rule with the states and one with SNAT or DNAT"));
        }
        tests.extend((states != 0).then_some(test(option.not, Match::State(states))));
        tests.extend((status != 0).then_some(test(option.not, Match::Status(status))));
    }
    if let Some(option) = given.find("--ctorigdst") {
        let word = option.word()?;
        tests.push(test(option.not, Match::OriginalTo(values::net(word, &word.text, scene.family)?)));
    }
    if let Some(option) = given.find("--ctstatus") {
        tests.push(test(option.not, Match::Status(values::bits(option.word()?, values::STATUSES)?)));
    }
    if tests.is_empty() { Err(given.wrong("`-m conntrack` needs one of --ctstate, --ctorigdst, --ctstatus")) } else { Ok(tests) }
}

fn state(given: &Given, _: &Scene) -> Read<Vec<Test>> {
    let (word, not) = given.need("--state")?;
    let states = values::bits(word, &values::STATES[..5])?;
    Ok(vec![test(not, Match::State(states))])
}

fn mark(given: &Given, _: &Scene) -> Read<Vec<Test>> {
    let (word, not) = given.need("--mark")?;
    let (value, mask) = values::mark(word)?;
    Ok(vec![test(not, Match::Mark { value, mask })])
}

fn connmark(given: &Given, _: &Scene) -> Read<Vec<Test>> {
    let (word, not) = given.need("--mark")?;
    let (value, mask) = values::mark(word)?;
    Ok(vec![test(not, Match::ConnMark { value, mask })])
}

fn addrtype(given: &Given, _: &Scene) -> Read<Vec<Test>> {
    let seen_from = match (given.has("--limit-iface-in"), given.has("--limit-iface-out")) {
        (true, true) => return Err(given.wrong("`--limit-iface-in` and `--limit-iface-out` exclude each other")),
        (true, false) => Some(Side::In),
        (false, true) => Some(Side::Out),
        (false, false) => None,
    };
    let mut tests = Vec::new();
    for (name, source) in [("--src-type", true), ("--dst-type", false)] {
        if let Some(option) = given.find(name) {
            let word = option.word()?;
            let types = word.text.split(',').map(|text| values::named(word, text, values::ADDRESS_TYPES)).collect::<Read<Vec<_>>>()?;
            tests.push(test(option.not, Match::AddressType { source, types, seen_from }));
        }
    }
    if tests.is_empty() { Err(given.wrong("`-m addrtype` needs `--src-type` or `--dst-type`")) } else { Ok(tests) }
}

fn statistic(given: &Given, _: &Scene) -> Read<Vec<Test>> {
    let (mode, _) = given.need("--mode")?;
    match mode.text.as_str() {
        "random" => {
            let (word, not) = given.need("--probability")?;
            let (share, of) = values::probability(word)?;
            Ok(vec![test(not, Match::Share { share, of })])
        }
        "nth" => {
            let ((every, not), (packet, _)) = (given.need("--every")?, given.need("--packet")?);
            let most = values::number(every, &every.text, u32::MAX)?;
            let place = values::number(packet, &packet.text, u32::MAX)?;
            match most {
                0 => Err(every.wrong("`--every` counts from 1")),
                _ if place >= most => {
                    Err(packet.wrong(format!("of every {most} packets, the last has number {}: they count from 0", most - 1)))
                }
                _ => Ok(vec![test(not, Match::Nth { every: most, packet: place })]),
            }
        }
        _ => Err(mode.wrong("the mode is random or nth")),
    }
}

fn limit(given: &Given, _: &Scene) -> Read<Vec<Test>> {
    const USUAL: (u64, u64) = (3, 3600);
    const BURST: u32 = 5;
    const MOST: u32 = 10_000;
    let (rate, seconds) = given.word("--limit").map_or(Ok(USUAL), values::rate)?;
    let burst = given.word("--limit-burst").map_or(Ok(BURST), |word| values::number(word, &word.text, MOST))?;
    Ok(vec![test(false, Match::Limit { rate, seconds, burst })])
}

fn mac(given: &Given, _: &Scene) -> Read<Vec<Test>> {
    let (word, not) = given.need("--mac-source")?;
    Ok(vec![test(not, Match::EtherFrom(values::hardware_address(word)?))])
}

fn iprange(given: &Given, scene: &Scene) -> Read<Vec<Test>> {
    let mut tests = Vec::new();
    for (name, of) in [("--src-range", Match::From as fn(Vec<_>) -> Match), ("--dst-range", Match::To)] {
        if let Some(option) = given.find(name) {
            tests.push(test(option.not, of(vec![values::range(option.word()?, scene.family)?])));
        }
    }
    if tests.is_empty() { Err(given.wrong("`-m iprange` needs `--src-range` or `--dst-range`")) } else { Ok(tests) }
}

fn set(given: &Given, _: &Scene) -> Read<Vec<Test>> {
    let Some(option) = given.find("--match-set") else { return Err(given.wrong("`-m set` needs `--match-set`")) };
    let [name, side] = option.values.as_slice() else { return Err(option.wrong("`--match-set` needs a name, and `src` or `dst`")) };
    match side.text.as_str() {
        "src" | "dst" => Ok(vec![test(option.not, Match::InSet { name: name.text.clone(), source: side.text == "src" })]),
        text if text.contains(',') => Err(side
            .wrong("netlab compares one address with a set")
            .help("write the ports with `-m multiport`, or a rule for each element")),
        _ => Err(side.wrong("it is `src` or `dst`")),
    }
}

fn rpfilter(given: &Given, _: &Scene) -> Read<Vec<Test>> {
    let no_way_back = Match::NoWayBack { with_mark: given.has("--validmark"), loose: given.has("--loose") };
    if let Some(option) = given.find("--accept-local") {
        return Err(option
            .wrong("`--accept-local` is another condition")
            .help("accept `-m addrtype --src-type LOCAL` by a rule before this one"));
    }
    Ok(vec![test(!given.has("--invert"), no_way_back)])
}

fn recent(given: &Given, scene: &Scene) -> Read<Vec<Test>> {
    let option = given.one_of(&["--set", "--rcheck", "--update"])?;
    let act = match option.opt.name() {
        "--set" => Recent::Set,
        "--rcheck" => Recent::Check,
        _ => Recent::Update,
    };
    if option.not && act != Recent::Check {
        return Err(option.wrong("only `--rcheck` can be turned round: the others do something as well"));
    }
    if let Some(word) = given.word("--mask") {
        let whole = if scene.family == Family::Ip6 { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" } else { "255.255.255.255" };
        if word.text != whole {
            return Err(word.wrong(format!("netlab remembers whole addresses: the mask is {whole}")));
        }
    }
    let seconds = given.word("--seconds").map(|word| values::number(word, &word.text, u32::MAX)).transpose()?;
    let reap = given.find("--reap").filter(|_| seconds.is_none());
    match (reap, given.find("--rsource"), given.find("--rdest")) {
        (Some(reap), ..) => return Err(reap.wrong("`--reap` needs `--seconds`")),
        (_, Some(_), Some(dest)) => return Err(dest.wrong("`--rdest` and `--rsource` exclude each other")),
        _ => {}
    }
    let name = given.word("--name").map_or("DEFAULT", |word| &word.text).to_owned();
    Ok(vec![test(option.not, Match::Recent { name, source: !given.has("--rdest"), seconds, act })])
}
