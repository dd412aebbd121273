//! Sysctls, addresses, neighbours, forwarding databases, routes, policy rules and rulesets of a machine.

use std::net::{IpAddr, Ipv6Addr};

use super::super::sysctls::Set;
use super::{Machine, Script, quoted};
use crate::snapshot::{Address, FdbEntry, Lifetime, Link, Neighbour, NeighbourState, Route, RouteKind, Rules};

const MAIN: u32 = 254;
/// What a namespace has from its beginning.
const RULES_IPV4: [&str; 3] = ["0:\tfrom all lookup local", "32766:\tfrom all lookup main", "32767:\tfrom all lookup default"];
const RULES_IPV6: [&str; 2] = ["0:\tfrom all lookup local", "32766:\tfrom all lookup main"];

/// What is not an interface's own.
pub(super) fn general_sysctls(script: &mut Script, machine: &Machine<'_>) {
    set_all(script, machine, machine.sysctls.iter().filter(|set| set.interface().is_none()));
}

pub(super) fn set_all<'a>(script: &mut Script, machine: &Machine<'_>, sets: impl Iterator<Item = &'a Set>) {
    let pairs: Vec<String> = sets.map(|set| quoted(&format!("{}={}", set.key, set.value))).collect();
    if !pairs.is_empty() {
        script.line(format_args!("set_sysctls {} {}", machine.name(), pairs.join(" \\\n  ")));
    }
}

/// What a machine has beside its links.
pub(super) fn of(script: &mut Script, machine: &Machine<'_>) {
    let mut own = Script::default();
    addresses(&mut own, machine);
    neighbours(&mut own, machine);
    fdb(&mut own, machine);
    routes(&mut own, machine);
    rules(&mut own, machine);
    ruleset(&mut own, machine);
    if !own.0.is_empty() {
        script.heading(&format!("What `{}` has.", machine.netns));
        script.0.push_str(&own.0);
    }
}

fn addresses(script: &mut Script, machine: &Machine<'_>) {
    for address in machine.addresses.iter() {
        let link = machine.links().named(&address.dev);
        if !link.is_some_and(|link| comes_by_itself(address, link)) {
            script.line(format_args!("{} address add {} dev {}", machine.ip(), address_words(address), quoted(&address.dev)));
        }
    }
}

/// The loopback's own, and the link-local address that the kernel makes of the MAC address (RFC 4291, appendix A).
fn comes_by_itself(address: &Address, link: &Link) -> bool {
    match address.net.addr() {
        IpAddr::V4(ip) => link.name == "lo" && ip.is_loopback() && address.net.prefix_len() == 8 && ip.octets()[3] == 1,
        IpAddr::V6(ip) => (link.name == "lo" && ip.is_loopback()) || Some(ip) == link.mac.as_deref().and_then(of_mac),
    }
}

fn of_mac(mac: &str) -> Option<Ipv6Addr> {
    let bytes: Vec<u8> = mac.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>().ok()?;
    let &[a, b, c, d, e, f] = &bytes[..] else { return None };
    Some(Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]))
}

fn address_words(address: &Address) -> String {
    let length = address.net.prefix_len();
    let mut words = match address.peer {
        Some(peer) => format!("{} peer {peer}/{length}", address.net.addr()),
        None => address.net.to_string(),
    };
    words.extend(address.broadcast.map(|ip| format!(" brd {ip}")));
    words.extend(address.anycast.map(|ip| format!(" any {ip}")));
    words.extend(address.metric.map(|metric| format!(" metric {metric}")));
    if address.scope != "global" {
        words.push_str(&format!(" scope {}", address.scope));
    }
    words.extend(address.label.as_ref().filter(|label| **label != address.dev).map(|label| format!(" label {}", quoted(label))));
    let flags = ["nodad", "optimistic", "home", "mngtmpaddr", "noprefixroute", "autojoin"];
    flags.iter().filter(|flag| address.has_flag(flag)).for_each(|flag| words.push_str(&format!(" {flag}")));
    for (word, lifetime) in [("valid_lft", address.valid), ("preferred_lft", address.preferred)] {
        if let Some(Lifetime::Seconds(seconds @ 0..)) = lifetime {
            words.push_str(&format!(" {word} {seconds}"));
        }
    }
    words
}

/// Those that somebody has set; the others come with the traffic.
fn neighbours(script: &mut Script, machine: &Machine<'_>) {
    let ip = machine.ip();
    let line = |script: &mut Script, neighbour: &Neighbour, rest: String| {
        let dev = neighbour.dev.as_ref().map(|dev| format!(" dev {}", quoted(dev))).unwrap_or_default();
        script.line(format_args!("{ip} neighbour add {rest}{dev}"));
    };
    match machine.netns.neighbours() {
        Ok(all) => {
            for neighbour in all.iter().filter(|neighbour| neighbour.state == NeighbourState::Permanent) {
                let mac = neighbour.mac.as_ref().map(|mac| format!(" lladdr {mac}")).unwrap_or_default();
                let router = if neighbour.flags.iter().any(|flag| flag == "router") { " router" } else { "" };
                line(script, neighbour, format!("{}{mac} nud permanent{router}", neighbour.dst));
            }
        }
        Err(e) => script.missing(format_args!("the neighbours: {e}")),
    }
    for neighbour in machine.netns.neighbour_proxies().iter().flatten() {
        line(script, neighbour, format!("proxy {}", neighbour.dst));
    }
}

/// Those that somebody has set; a bridge learns the others.
fn fdb(script: &mut Script, machine: &Machine<'_>) {
    let entries = match machine.netns.fdb() {
        Ok(entries) => entries,
        Err(e) => return script.missing(format_args!("the forwarding databases: {e}")),
    };
    for entry in entries.iter().filter(|entry| !is_learned_or_given(entry, machine)) {
        let mut words = format!("{} dev {}", entry.mac, quoted(&entry.dev));
        words.extend(entry.dst.map(|dst| format!(" dst {dst}")));
        words.extend(entry.vlan.map(|vlan| format!(" vlan {vlan}")));
        entry.words.iter().filter(|word| *word != "offload").for_each(|word| words.push_str(&format!(" {word}")));
        words.push_str(if entry.master.is_some() { " master" } else { "" });
        words.push_str(if entry.state == NeighbourState::Permanent { " permanent" } else { " static" });
        // A tunnel may send to several far ends for one MAC address.
        let verb = if entry.dst.is_some() { "append" } else { "replace" };
        script.line(format_args!("bridge -n {} fdb {verb} {words}", machine.name()));
    }
}

fn is_learned_or_given(entry: &FdbEntry, machine: &Machine<'_>) -> bool {
    let links = machine.links();
    let Some(link) = links.named(&entry.dev) else { return true };
    let is_group = entry.mac.split(':').next().and_then(|byte| u8::from_str_radix(byte, 16).ok()).is_some_and(|byte| byte & 1 == 1);
    let is_own = |link: &Link| link.mac.as_deref() == Some(&entry.mac);
    // A device's own address and the groups that it listens to.
    let given = entry.state == NeighbourState::Permanent && entry.dst.is_none() && (is_group || links.iter().any(is_own));
    // The far end that a tunnel was made with.
    let made_with = link.kind.as_ref().and_then(|kind| kind.get("remote").or(kind.get("group")));
    let default_remote =
        entry.mac == "00:00:00:00:00:00" && made_with.is_some_and(|far| entry.dst.is_some_and(|dst| dst.to_string() == far));
    let set = matches!(entry.state, NeighbourState::Permanent | NeighbourState::Noarp);
    !set || given || default_remote
}

/// The kernel's own come with the addresses. Those without a gateway first: the others are reached over them.
fn routes(script: &mut Script, machine: &Machine<'_>) {
    let set = || machine.routes.routes.iter().filter(|route| !["kernel", "ra", "redirect"].contains(&route.protocol.as_str()));
    let is_direct = |route: &&Route| route.via.is_none() && route.nexthops.iter().all(|hop| hop.via.is_none());
    for route in set().filter(is_direct).chain(set().filter(|route| !is_direct(route))) {
        match route_words(route) {
            Some(words) => script.line(format_args!("{} {words}", machine.ip())),
            None => script.missing(format_args!("the route `{route}`, by a nexthop object")),
        }
    }
}

fn route_words(route: &Route) -> Option<String> {
    if route.nhid.is_some() {
        return None;
    }
    let mut said = route.clone();
    // What the kernel tells of it, and nobody says.
    said.flags.retain(|flag| flag == "onlink");
    said.nexthops.iter_mut().for_each(|hop| hop.flags.retain(|flag| flag == "onlink"));
    said.error = None;
    if route.kind != RouteKind::Unicast && route.kind != RouteKind::Local {
        said.dev = None;
    }
    let family = if route.dst.addr().is_ipv6() { "-6 " } else { "" };
    let table = if route.table == MAIN { String::new() } else { format!(" table {}", route.table) };
    let text = said.to_string();
    let (before, hops) = text.split_once("\n\t").unwrap_or((&text, ""));
    let hops = if hops.is_empty() { String::new() } else { format!(" {}", hops.replace("\n\t", " ")) };
    let words = format!("{family}route add {}{table}{hops}", before.trim_end());
    Some(words.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn rules(script: &mut Script, machine: &Machine<'_>) {
    let families: [(&str, _, &[&str]); 2] = [("", machine.netns.rules(), &RULES_IPV4), ("-6 ", machine.netns.rules_ipv6(), &RULES_IPV6)];
    for (family, listed, usual) in families {
        match listed {
            Ok(listed) => changed_rules(script, &format!("{} {family}rule", machine.ip()), &listed, usual),
            Err(e) => script.missing(format_args!("the policy rules: {e}")),
        }
    }
}

fn changed_rules(script: &mut Script, ip_rule: &str, listed: &Rules, usual: &[&str]) {
    let texts: Vec<String> = listed.iter().map(ToString::to_string).collect();
    for (priority, rule) in texts.iter().filter(|text| !usual.contains(&text.as_str())).filter_map(|text| text.split_once(":\t")) {
        let words = rule.replace(" [detached]", "").replace(" [unresolved]", "").replace("lookup [l3mdev-table]", "l3mdev");
        script.line(format_args!("{ip_rule} add priority {priority} {}", words.replace(" proto ", " protocol ")));
    }
    for (priority, _) in usual.iter().filter(|rule| !texts.iter().any(|text| text == *rule)).filter_map(|rule| rule.split_once(':')) {
        script.line(format_args!("{ip_rule} del priority {priority}"));
    }
}

fn ruleset(script: &mut Script, machine: &Machine<'_>) {
    let text = match machine.netns.ruleset() {
        Ok(ruleset) => ruleset.stateless().to_string(),
        Err(e) => return script.missing(format_args!("the rules of nf_tables: {e}")),
    };
    if text.is_empty() {
        return;
    }
    // Matches and targets of iptables have no words that nft reads.
    for line in text.lines().filter(|line| line.contains("xt match ") || line.contains("xt target ")) {
        script.missing(format_args!("a rule of iptables' own: {}", line.trim()));
    }
    script.line(format_args!("inside {} nft -f - <<'RULES'", machine.name()));
    text.lines().filter(|line| !(line.contains("xt match ") || line.contains("xt target "))).for_each(|line| script.line(line));
    script.line("RULES");
}
