//! Plans as lines of iptables.

use std::net::IpAddr;

use super::super::plan::{Match, Plan, Recent, RejectWith, Side, Target, Test, Translation};
use super::targets::{FLAGS, LOG_FLAGS};
use super::values::{self, bit_names};
use super::words::quote;
use crate::nft::Family;
use crate::nft::expr::nat_flags::NETMAP;
use crate::nft::matches::{self, Addresses, Ports};

/// One option as it is printed.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    /// The module that knows it; none for what iptables prints before all modules.
    module: Option<String>,
    /// Its place among the options of the module, or before them.
    place: u8,
    not: bool,
    text: String,
}

const SOURCE: u8 = 0;
const DESTINATION: u8 = 1;
const IN: u8 = 2;
const OUT: u8 = 3;
const PROTOCOL: u8 = 4;
const HEAD: [&str; 5] = ["-s", "-d", "-i", "-o", "-p"];
const CTSTATE: u8 = 0;
const LIMITS: [&str; 2] = [" --limit-iface-in", " --limit-iface-out"];

/// The line with which `iptables -S` prints the rule, with `-t` before it unless the table is filter. The error says what iptables has no
/// words for.
pub(crate) fn print(plan: &Plan) -> Result<String, String> {
    let mut said = Vec::new();
    for test in &plan.tests {
        said.extend(test_of(plan.family, test)?);
    }
    let table = if plan.table == "filter" { String::new() } else { format!("-t {} ", plan.table) };
    let mut words = vec![format!("{table}-A {}", quote(&plan.chain))];
    words.extend(head(&mut said)?);
    words.extend(modules(said));
    if let Some(target) = &plan.target {
        words.push(target_of(plan.family, target)?);
    }
    Ok(words.join(" "))
}

/// Takes out what iptables prints first.
fn head(said: &mut Vec<Said>) -> Result<Vec<String>, String> {
    let (mut head, rest): (Vec<_>, Vec<_>) = std::mem::take(said).into_iter().partition(|said| said.module.is_none());
    *said = rest;
    head.sort_by_key(|said| said.place);
    head.dedup();
    if let Some(twice) = head.windows(2).find(|pair| pair[0].place == pair[1].place) {
        return Err(format!("iptables has no rule with two `{}`", HEAD[usize::from(twice[0].place)]));
    }
    Ok(head.iter().map(turned).collect())
}

fn turned(said: &Said) -> String {
    if said.not { format!("! {}", said.text) } else { said.text.clone() }
}

/// Modules in their order, with those options in one that belong together.
fn modules(said: Vec<Said>) -> Vec<String> {
    let mut groups: Vec<Vec<Said>> = Vec::new();
    for one in said {
        match groups.last_mut() {
            Some(group) if goes_with(group, &one) => join(group, one),
            _ => groups.push(vec![one]),
        }
    }
    for group in &mut groups {
        group.sort_by_key(|said| said.place);
    }
    let print = |group: &Vec<Said>| {
        let options = group.iter().map(turned).collect::<Vec<_>>().join(" ");
        format!("-m {} {options}", group[0].module.as_deref().unwrap_or_default())
    };
    groups.iter().map(print).collect()
}

fn goes_with(group: &[Said], one: &Said) -> bool {
    const SEVERAL: [&str; 8] = ["tcp", "udp", "dccp", "sctp", "udplite", "conntrack", "addrtype", "iprange"];
    let same = group[0].module == one.module && one.module.as_deref().is_some_and(|module| SEVERAL.contains(&module));
    // A limit is for all types of the module.
    let limited = |said: &Said| LIMITS.iter().any(|limit| said.text.ends_with(limit));
    same && !limited(one) && !group.iter().any(limited) && group.iter().all(|said| said.place != one.place || both_states(said, one))
}

/// Not in one of these states and not translated: one option of iptables.
fn both_states(a: &Said, b: &Said) -> bool {
    let states = |said: &Said| said.not && said.place == CTSTATE && said.module.as_deref() == Some("conntrack");
    let translated = |said: &Said| said.text.ends_with("NAT");
    states(a) && states(b) && !translated(a) && translated(b)
}

fn join(group: &mut Vec<Said>, one: Said) {
    match group.iter_mut().find(|said| both_states(said, &one)) {
        Some(states) => states.text.push_str(&one.text.replace("--ctstate ", ",")),
        None => group.push(one),
    }
}

fn test_of(family: Family, test: &Test) -> Result<Vec<Said>, String> {
    let not = test.not;
    let first = |place: u8, value: String| vec![Said { module: None, place, not, text: format!("{} {value}", HEAD[usize::from(place)]) }];
    let option = |module: &str, place: u8, text: String| vec![Said { module: Some(module.to_owned()), place, not, text }];
    let with_protocol = |number: u8, said: Vec<Said>| {
        let protocol = Said { module: None, place: PROTOCOL, not: false, text: format!("-p {}", protocol(number)) };
        [vec![protocol], said].concat()
    };
    let icmp = if family == Family::Ip6 { super::modules::ICMPV6 } else { super::modules::ICMP };
    Ok(match &test.of {
        Match::In(name) => first(IN, interface(name)),
        Match::Out(name) => first(OUT, interface(name)),
        Match::From(addresses) => addresses_of(addresses, not, SOURCE)?,
        Match::To(addresses) => addresses_of(addresses, not, DESTINATION)?,
        Match::Protocol(number) => first(PROTOCOL, protocol(*number)),
        Match::FromPorts(number, ports) => with_protocol(*number, ports_of(*number, ports, not, true)?),
        Match::ToPorts(number, ports) => with_protocol(*number, ports_of(*number, ports, not, false)?),
        Match::Icmp(kind, code) => {
            let (module, option_name) = if family == Family::Ip6 { ("icmp6", "--icmpv6-type") } else { ("icmp", "--icmp-type") };
            let code = code.map_or_else(String::new, |code| format!("/{code}"));
            with_protocol(icmp, option(module, 0, format!("{option_name} {kind}{code}")))
        }
        Match::TcpFlags { set, mask } => {
            let names = |bits: u8| bit_names(u32::from(bits), values::TCP_FLAGS);
            with_protocol(super::modules::TCP, option("tcp", 2, format!("--tcp-flags {} {}", names(*mask), names(*set))))
        }
        Match::Mark { value, mask } => option("mark", 0, format!("--mark {}", mark(*value, *mask))),
        Match::ConnMark { value, mask } => option("connmark", 0, format!("--mark {}", mark(*value, *mask))),
        Match::State(states) => option("conntrack", CTSTATE, format!("--ctstate {}", bit_names(*states, &values::STATES[..5]))),
        Match::Status(bits) => status(*bits, not)?,
        Match::OriginalTo(addresses) => option("conntrack", 1, format!("--ctorigdst {}", without_length(*addresses))),
        Match::AddressType { source, types, seen_from } => address_type(*source, types, *seen_from, not),
        Match::Share { share, of } => {
            let share = f64::from(*share) / f64::from((*of).max(1));
            const ALL: f64 = (1_u32 << 31) as f64;
            option("statistic", 0, format!("--probability {:.11}", (share * ALL).round() / ALL)).into_iter().map(mode("random")).collect()
        }
        Match::Nth { every, packet } => {
            option("statistic", 0, format!("--every {every} --packet {packet}")).into_iter().map(mode("nth")).collect()
        }
        Match::Limit { rate, seconds, burst } => {
            let burst = if *burst == 5 { String::new() } else { format!(" --limit-burst {burst}") };
            option("limit", 0, format!("--limit {}{burst}", values::rate_text(*rate, *seconds)))
        }
        Match::EtherFrom(address) => option("mac", 0, format!("--mac-source {}", hardware(*address))),
        Match::EtherTo(address) => return Err(format!("iptables has no match for the destination {} of a frame", hardware(*address))),
        Match::InSet { name, source } => option("set", 0, format!("--match-set {} {}", quote(name), if *source { "src" } else { "dst" })),
        Match::NoWayBack { with_mark, loose } => vec![way_back(!not, *with_mark, *loose)],
        Match::Recent { name, source, seconds, act } => option("recent", 0, recent(family, name, *source, *seconds, *act)),
        Match::Comment(text) => option("comment", 0, format!("--comment {}", quote(text))),
    })
}

/// The mode goes before the `!` of the option.
fn mode(name: &str) -> impl Fn(Said) -> Said + '_ {
    move |said| Said { text: format!("--mode {name} {}", turned(&said)), not: false, ..said }
}

fn protocol(number: u8) -> String {
    matches::protocol_name(number).map_or_else(|| number.to_string(), str::to_owned)
}

fn interface(name: &str) -> String {
    let name = name.strip_suffix('*').map_or_else(|| name.to_owned(), |stem| format!("{stem}+"));
    quote_path(&name)
}

/// Names of interfaces have dots and other signs that need no quotes.
fn quote_path(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | ':' | '@');
    if !name.is_empty() && name.chars().all(plain) { name.to_owned() } else { quote(name) }
}

fn net(addresses: Addresses) -> String {
    let (from, to) = addresses.ends();
    match addresses.prefix_length() {
        Some(length) => format!("{from}/{length}"),
        None => format!("{from}-{to}"),
    }
}

fn without_length(addresses: Addresses) -> String {
    let (from, to) = addresses.ends();
    if from == to { from.to_string() } else { net(addresses) }
}

fn addresses_of(addresses: &[Addresses], not: bool, place: u8) -> Result<Vec<Said>, String> {
    let ranges = addresses.iter().any(|one| one.prefix_length().is_none());
    match addresses {
        [range] if ranges => {
            let option = if place == SOURCE { "--src-range" } else { "--dst-range" };
            Ok(vec![Said { module: Some("iprange".to_owned()), place, not, text: format!("{option} {}", net(*range)) }])
        }
        _ if ranges => Err("iptables has no rule with several ranges of addresses".to_owned()),
        _ if not && addresses.len() > 1 => Err("iptables has no rule that is for all but several addresses".to_owned()),
        _ => {
            let nets: Vec<_> = addresses.iter().map(|one| net(*one)).collect();
            Ok(vec![Said { module: None, place, not, text: format!("{} {}", HEAD[usize::from(place)], nets.join(",")) }])
        }
    }
}

fn ports_of(number: u8, ports: &[Ports], not: bool, source: bool) -> Result<Vec<Said>, String> {
    let span = |(from, to): &Ports| if from == to { from.to_string() } else { format!("{from}:{to}") };
    if let [one] = ports {
        let (place, option) = if source { (0, "--sport") } else { (1, "--dport") };
        return Ok(vec![Said { module: Some(protocol(number)), place, not, text: format!("{option} {}", span(one)) }]);
    }
    let ports: Vec<_> = ports.iter().map(span).collect();
    let option = if source { "--sports" } else { "--dports" };
    Ok(vec![Said { module: Some("multiport".to_owned()), place: 0, not, text: format!("{option} {}", ports.join(",")) }])
}

fn mark(value: u32, mask: u32) -> String {
    if mask == u32::MAX { format!("{value:#x}") } else { format!("{value:#x}/{mask:#x}") }
}

/// Translations are states to iptables.
fn status(bits: u32, not: bool) -> Result<Vec<Said>, String> {
    const TRANSLATED: u32 = 0x30;
    let (place, text) = match (bits & TRANSLATED, bits & !TRANSLATED) {
        (translated, 0) => (CTSTATE, format!("--ctstate {}", bit_names(translated << values::STATUS_SHIFT, values::STATES))),
        (0, others) => (2, format!("--ctstatus {}", bit_names(others, values::STATUSES))),
        _ => return Err("iptables has no condition on a translation and a status of which one suffices".to_owned()),
    };
    Ok(vec![Said { module: Some("conntrack".to_owned()), place, not, text }])
}

fn address_type(source: bool, types: &[u32], seen_from: Option<Side>, not: bool) -> Vec<Said> {
    let name = |kind: &u32| {
        values::ADDRESS_TYPES.iter().find(|(known, _)| known == kind).map_or_else(|| kind.to_string(), |(_, n)| (*n).to_owned())
    };
    let names = types.iter().map(name).collect::<Vec<_>>().join(",");
    let (place, option) = if source { (0, "--src-type") } else { (1, "--dst-type") };
    let module = Some("addrtype".to_owned());
    let limit = match seen_from {
        None => "",
        Some(Side::In) => LIMITS[0],
        Some(Side::Out) => LIMITS[1],
    };
    vec![Said { module, place, not, text: format!("{option} {names}{limit}") }]
}

fn way_back(invert: bool, with_mark: bool, loose: bool) -> Said {
    let options = [(loose, "--loose"), (with_mark, "--validmark"), (invert, "--invert")];
    let text = options.iter().filter(|(given, _)| *given).map(|(_, option)| *option).collect::<Vec<_>>().join(" ");
    Said { module: Some("rpfilter".to_owned()), place: 0, not: false, text }
}

fn recent(family: Family, name: &str, source: bool, seconds: Option<u32>, act: Recent) -> String {
    let act = match act {
        Recent::Set => "--set",
        Recent::Check => "--rcheck",
        Recent::Update => "--update",
    };
    let seconds = seconds.map_or_else(String::new, |seconds| format!(" --seconds {seconds} --reap"));
    let mask: IpAddr = if family == Family::Ip6 { [0xff; 16].into() } else { [0xff; 4].into() };
    format!("{act}{seconds} --name {} --mask {mask} --{}", quote(name), if source { "rsource" } else { "rdest" })
}

fn hardware(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

fn target_of(family: Family, target: &Target) -> Result<String, String> {
    let ports = |ports: &Option<Ports>| ports.map_or_else(String::new, |ports| format!(" --to-ports {}", port_range(ports)));
    Ok(match target {
        Target::Accept => "-j ACCEPT".to_owned(),
        Target::Drop => "-j DROP".to_owned(),
        Target::Return => "-j RETURN".to_owned(),
        Target::Jump(chain) => format!("-j {}", quote(chain)),
        Target::Goto(chain) => format!("-g {}", quote(chain)),
        Target::Reject(with) => format!("-j REJECT --reject-with {}", reject(family, *with)?),
        Target::Masquerade { ports: to, flags } => format!("-j MASQUERADE{}{}", ports(to), nat_flags(*flags)),
        Target::Redirect { ports: to, flags } => format!("-j REDIRECT{}{}", ports(to), nat_flags(*flags)),
        Target::Snat { to, flags } | Target::Dnat { to, flags } if flags & NETMAP != 0 => {
            format!("-j NETMAP --to {}", to.net().map_or_else(|| translation(*to), |net| net.to_string()))
        }
        Target::Npt { source, from, to } => {
            format!("-j {} --src-pfx {from} --dst-pfx {to}", if *source { "SNPT" } else { "DNPT" })
        }
        Target::Snat { to, flags } => format!("-j SNAT --to-source {}{}", translation(*to), nat_flags(*flags)),
        Target::Dnat { to, flags } => format!("-j DNAT --to-destination {}{}", translation(*to), nat_flags(*flags)),
        Target::GotoEach { .. } | Target::Vmap(_) => return Err("iptables has no verdict maps".to_owned()),
        Target::DnatEach { .. } => return Err("iptables spreads connections over several destinations by several rules".to_owned()),
        Target::Tproxy { address, port, mark } => {
            let address = address.map_or_else(String::new, |address| format!(" --on-ip {address}"));
            let mark = mark.map_or_else(String::new, |(value, mask)| format!(" --tproxy-mark {value:#x}/{mask:#x}"));
            format!("-j TPROXY --on-port {port}{address}{mark}")
        }
        Target::Mark { value, mask } => format!("-j MARK --set-xmark {value:#x}/{mask:#x}"),
        Target::ConnMark { value, mask } => format!("-j CONNMARK --set-xmark {value:#x}/{mask:#x}"),
        Target::SaveMark => "-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff".to_owned(),
        Target::RestoreMark => "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff".to_owned(),
        Target::Log { group, prefix, bytes } => {
            let group = if *group == 0 { String::new() } else { format!(" --nflog-group {group}") };
            let bytes = bytes.map_or_else(String::new, |bytes| format!(" --nflog-size {bytes}"));
            format!("-j NFLOG{}{group}{bytes}", quoted(" --nflog-prefix ", prefix.as_deref()))
        }
        Target::KernelLog { level, flags, prefix } => {
            const WARNING: u32 = 4;
            let level = if *level == WARNING { String::new() } else { format!(" --log-level {level}") };
            let flags: String = LOG_FLAGS.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, name)| format!(" {name}")).collect();
            format!("-j LOG{}{level}{flags}", quoted(" --log-prefix ", prefix.as_deref()))
        }
        Target::Trace => "-j TRACE".to_owned(),
        Target::NoTrack => "-j CT --notrack".to_owned(),
    })
}

fn quoted(option: &str, value: Option<&str>) -> String {
    value.map_or_else(String::new, |value| format!("{option}{}", quote(value)))
}

fn nat_flags(flags: u32) -> String {
    FLAGS.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, name)| format!(" {name}")).collect()
}

fn port_range((from, to): Ports) -> String {
    if from == to { from.to_string() } else { format!("{from}-{to}") }
}

fn translation(to: Translation) -> String {
    let address = to.address.map_or_else(String::new, |(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") });
    match to.ports {
        None => address,
        Some(ports) if address.contains(':') => format!("[{address}]:{}", port_range(ports)),
        Some(ports) => format!("{address}:{}", port_range(ports)),
    }
}

fn reject(family: Family, with: RejectWith) -> Result<&'static str, String> {
    let (names, port) = if family == Family::Ip6 { (values::REJECT_ICMPV6, 4) } else { (values::REJECT_ICMP, 3) };
    let code = match with {
        RejectWith::TcpReset => return Ok("tcp-reset"),
        RejectWith::Port => port,
        RejectWith::Code(code) => u32::from(code),
    };
    names.iter().find(|(known, _)| *known == code).map(|(_, name)| *name).ok_or_else(|| format!("iptables has no name for the code {code}"))
}
