//! Links: made in an order in which each finds what it lies upon, then given their masters, flags and sysctls, then up.

use std::collections::BTreeSet;

use super::{Machine, Script, quoted};
use crate::snapshot::{Details, Link, Peer};

const QUEUE_LENGTH: u32 = 1000;
/// What `ip link add … type bridge` takes of what it prints, and the value of a new bridge.
const BRIDGE: [(&str, &str); 14] = [
    ("forward_delay", "1500"),
    ("hello_time", "200"),
    ("max_age", "2000"),
    ("ageing_time", "30000"),
    ("stp_state", "0"),
    ("priority", "32768"),
    ("vlan_filtering", "0"),
    ("vlan_protocol", "802.1Q"),
    ("vlan_default_pvid", "1"),
    ("group_fwd_mask", "0"),
    ("mcast_snooping", "1"),
    ("mcast_querier", "0"),
    ("nf_call_iptables", "0"),
    ("nf_call_arptables", "0"),
];
/// The same of a port.
const PORT: [(&str, &str); 17] = [
    ("priority", "32"),
    ("cost", "2"),
    ("hairpin", "off"),
    ("guard", "off"),
    ("root_block", "off"),
    ("learning", "on"),
    ("flood", "on"),
    ("proxy_arp", "off"),
    ("proxy_arp_wifi", "off"),
    ("mcast_router", "1"),
    ("mcast_fast_leave", "off"),
    ("mcast_flood", "on"),
    ("bcast_flood", "on"),
    ("mcast_to_unicast", "off"),
    ("neigh_suppress", "off"),
    ("isolated", "off"),
    ("locked", "off"),
];

/// A machine's place in the list and a link's index there.
type Place = (usize, u32);

struct Plan<'a> {
    machines: &'a [Machine<'a>],
    /// The links that are there by now.
    made: BTreeSet<Place>,
    /// Those that cannot be made.
    given_up: BTreeSet<Place>,
}

/// All links of all machines.
pub(super) fn all(script: &mut Script, machines: &[Machine<'_>]) {
    script.heading("The links, down at first.");
    let mut plan = Plan { machines, made: BTreeSet::new(), given_up: BTreeSet::new() };
    let wanted: Vec<(usize, &Link)> = machines
        .iter()
        .enumerate()
        .flat_map(|(place, machine)| machine.links().iter().filter(|link| link.link_type != "loopback").map(move |link| (place, link)))
        .collect();
    loop {
        let before = plan.made.len() + plan.given_up.len();
        wanted.iter().for_each(|(place, link)| plan.make(script, *place, link));
        if plan.made.len() + plan.given_up.len() == before {
            break;
        }
    }
    for (place, link) in wanted.iter().filter(|(place, link)| !plan.made.contains(&(*place, link.index))) {
        script.missing(format_args!(
            "`{}` in `{}`, whose other end or parent is not among these namespaces",
            link.name, machines[*place].netns
        ));
    }
    script.heading("What they are ports of, their flags and sysctls; then up.");
    let made = || wanted.iter().filter(|(place, link)| plan.made.contains(&(*place, link.index)));
    made().for_each(|(place, link)| set(script, &machines[*place], link));
    made().for_each(|(place, link)| conf(script, &machines[*place], &link.name));
    for machine in machines {
        conf(script, machine, "lo");
        loopback(script, machine);
    }
    for (place, link) in made().filter(|(_, link)| link.is_up()) {
        script.line(format_args!("{} link set {} up", machines[*place].ip(), quoted(&link.name)));
    }
    made().for_each(|(place, link)| port(script, &machines[*place], link));
}

impl<'a> Plan<'a> {
    fn make(&mut self, script: &mut Script, place: usize, link: &Link) {
        if self.made.contains(&(place, link.index)) || self.given_up.contains(&(place, link.index)) {
            return;
        }
        let machine = &self.machines[place];
        let bare = Details::default();
        let kind = link.kind.as_ref().unwrap_or(&bare);
        let ours = words(link);
        match kind.kind.as_str() {
            "veth" => {
                let Some((far_place, far)) = self.far_end(place, link) else { return };
                let (target, theirs) = (self.machines[far_place].name(), words(far));
                script.line(format_args!("{} link add {ours} type veth peer {theirs} netns {target}", machine.ip()));
                self.made.insert((far_place, far.index));
            }
            "bridge" => script.line(format_args!("{} link add {ours} type bridge{}", machine.ip(), changed(kind, &BRIDGE))),
            "dummy" | "ifb" => script.line(format_args!("{} link add {ours} type {}", machine.ip(), kind.kind)),
            "vxlan" => {
                // It was made in the namespace that its packets travel in.
                let under = match link.link_netnsid {
                    Some(id) => machine.ids.get(&id).copied(),
                    None => Some(place),
                };
                let Some(under) = under else { return };
                let settings: Vec<String> =
                    kind.settings.iter().map(|setting| self.vxlan_setting(under, setting.name.as_str(), &setting.value)).collect();
                let settings = settings.join(" ");
                script.line(format_args!("{} link add {ours} netns {} type vxlan {settings}", self.machines[under].ip(), machine.name()));
            }
            "macvlan" | "macvtap" => {
                let Some((parent_place, parent)) = self.far_end(place, link) else { return };
                if !self.made.contains(&(parent_place, parent.index)) {
                    return;
                }
                let words = ["mode", "nopromisc", "bcqueuelen"];
                let settings = kind.settings.iter().filter(|setting| words.contains(&setting.name.as_str()));
                let settings: String = settings.map(|setting| format!(" {setting}")).collect();
                let (ip, parent, target) = (self.machines[parent_place].ip(), quoted(&parent.name), machine.name());
                script.line(format_args!("{ip} link add link {parent} {ours} netns {target} type {}{settings}", kind.kind));
            }
            other => {
                let other = if other.is_empty() { "no kind" } else { other };
                script.missing(format_args!(
                    "`{}` in `{}`, a link of {other}, which cannot be made by these programs or not fully seen",
                    link.name, machine.netns
                ));
                self.given_up.insert((place, link.index));
                return;
            }
        }
        self.made.insert((place, link.index));
    }

    /// The other end of a cable, or what a link lies upon.
    fn far_end(&self, place: usize, link: &Link) -> Option<(usize, &'a Link)> {
        let machines = self.machines;
        match link.peer.as_ref()? {
            Peer::Gone => None,
            Peer::Here(name) => Some((place, machines[place].links().named(name)?)),
            Peer::Elsewhere(index) => {
                let far = *machines[place].ids.get(&link.link_netnsid?)?;
                Some((far, machines.get(far)?.links().iter().find(|link| link.index == *index)?))
            }
        }
    }

    /// The device below is told by its index there, for which a listing here has no name.
    fn vxlan_setting(&self, under: usize, word: &str, value: &str) -> String {
        let below = value.strip_prefix("if").and_then(|index| index.parse::<u32>().ok());
        let below = below.and_then(|index| self.machines[under].links().iter().find(|link| link.index == index));
        match (word, below) {
            ("dev", Some(below)) => format!("dev {}", quoted(&below.name)),
            (word, _) if value.is_empty() => word.to_owned(),
            (word, _) => format!("{word} {value}"),
        }
    }
}

/// What `ip link add` takes of every link.
fn words(link: &Link) -> String {
    let mut words = format!("name {} index {}", quoted(&link.name), link.index);
    if link.link_type == "ether" {
        words.extend(link.mac.as_ref().map(|mac| format!(" address {mac}")));
    }
    let is = |kind: &str| link.kind.as_ref().is_some_and(|details| details.kind == kind);
    if !is("bridge") {
        words.push_str(&format!(" mtu {}", link.mtu));
    }
    if link.qlen != QUEUE_LENGTH {
        words.push_str(&format!(" txqueuelen {}", link.qlen));
    }
    let queues = link.queues.iter().filter(|setting| is("veth") && ["numtxqueues", "numrxqueues"].contains(&setting.name.as_str()));
    queues.for_each(|setting| words.push_str(&format!(" {setting}")));
    words
}

/// The settings that a new one would not have.
fn changed(details: &Details, of_a_new_one: &[(&str, &str)]) -> String {
    let changed =
        of_a_new_one.iter().filter_map(|(word, usual)| details.get(word).filter(|value| value != usual).map(|value| (word, value)));
    changed.map(|(word, value)| format!(" {word} {value}")).collect()
}

/// What is set on a link that is there.
fn set(script: &mut Script, machine: &Machine<'_>, link: &Link) {
    let mut words = String::new();
    words.extend(link.master.as_ref().map(|master| format!(" master {}", quoted(master))));
    words.extend(link.alias.as_ref().map(|alias| format!(" alias {}", quoted(alias))));
    words.extend(link.group.as_ref().filter(|group| *group != "default").map(|group| format!(" group {group}")));
    let is_bridge = link.kind.as_ref().is_some_and(|details| details.kind == "bridge");
    let ether = link.link_type == "ether" && link.kind.as_ref().is_some_and(|details| details.kind != "dummy");
    let noticed: [(bool, &str); 5] = [
        (link.has_flag("NOARP") && ether, "arp off"),
        (link.has_flag("PROMISC"), "promisc on"),
        (link.has_flag("ALLMULTI"), "allmulticast on"),
        (!link.has_flag("MULTICAST") && ether, "multicast off"),
        (link.protodown, "protodown on"),
    ];
    noticed.iter().filter(|(is, _)| *is).for_each(|(_, word)| words.push_str(&format!(" {word}")));
    if is_bridge && link.mtu != 1500 {
        words.push_str(&format!(" mtu {}", link.mtu));
    }
    for (word, usual) in [("gso_max_size", "65536"), ("gso_max_segs", "65535")] {
        let value = link.queues.iter().find(|setting| setting.name == word).filter(|setting| setting.value != usual);
        words.extend(value.map(|setting| format!(" {setting}")));
    }
    let name = quoted(&link.name);
    if !words.is_empty() {
        script.line(format_args!("{} link set {name}{words}", machine.ip()));
    }
    for altname in &link.altnames {
        script.line(format_args!("{} link property add dev {name} altname {}", machine.ip(), quoted(altname)));
    }
}

/// The flags of a bridge's port. Its state is the kernel's affair, unless somebody has closed a port that could be open.
fn port(script: &mut Script, machine: &Machine<'_>, link: &Link) {
    let Some(details) = link.port.as_ref().filter(|details| details.kind == "bridge_slave") else { return };
    let mut words = changed(details, &PORT);
    if let Some(group) = details.get("group_fwd_mask").filter(|mask| *mask != "0") {
        words.push_str(&format!(" group_fwd_mask {group}"));
    }
    let states = ["disabled", "listening", "learning", "forwarding", "blocking"];
    let state = details.get("state").and_then(|state| states.iter().position(|word| *word == state));
    if let Some(state) = state.filter(|state| *state != 3 && link.is_up() && link.has_carrier()) {
        words.push_str(&format!(" state {state}"));
    }
    if !words.is_empty() {
        script.line(format_args!("{} link set {} type bridge_slave{words}", machine.ip(), quoted(&link.name)));
    }
}

fn conf(script: &mut Script, machine: &Machine<'_>, interface: &str) {
    let sets = machine.sysctls.iter().filter(|set| set.interface() == Some(interface));
    super::network::set_all(script, machine, sets);
}

/// It is there already, and has what others are given.
fn loopback(script: &mut Script, machine: &Machine<'_>) {
    let Some(lo) = machine.links().named("lo") else { return };
    let mtu = if lo.mtu == 65536 { String::new() } else { format!(" mtu {}", lo.mtu) };
    let up = if lo.is_up() { " up" } else { "" };
    if !(mtu.is_empty() && up.is_empty()) {
        script.line(format_args!("{} link set lo{mtu}{up}", machine.ip()));
    }
}
