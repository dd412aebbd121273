//! What a test says it needs of the kernel, asked before its body runs.

use crate::sys::{Refusal, feature, namespace};

/// How a feature is asked for.
#[derive(Debug, Clone, Copy)]
enum Question {
    Link,
    Qdisc,
    Tun,
    Chain(&'static str),
}

/// The name in `needs(…)`, the question, the kernel's build option, the module.
type Feature = (&'static str, Question, &'static str, &'static str);

const FEATURES: &[Feature] = &[
    ("bareudp", Question::Link, "CONFIG_BAREUDP", "bareudp"),
    ("bond", Question::Link, "CONFIG_BONDING", "bonding"),
    ("bridge", Question::Link, "CONFIG_BRIDGE", "bridge"),
    ("dummy", Question::Link, "CONFIG_DUMMY", "dummy"),
    ("geneve", Question::Link, "CONFIG_GENEVE", "geneve"),
    ("gre", Question::Link, "CONFIG_NET_IPGRE", "ip_gre"),
    ("ifb", Question::Link, "CONFIG_IFB", "ifb"),
    ("ipip", Question::Link, "CONFIG_NET_IPIP", "ipip"),
    ("ipvlan", Question::Link, "CONFIG_IPVLAN", "ipvlan"),
    ("macvlan", Question::Link, "CONFIG_MACVLAN", "macvlan"),
    ("macvtap", Question::Link, "CONFIG_MACVTAP", "macvtap"),
    ("nat", Question::Chain("nat"), "CONFIG_NFT_NAT", "nft_chain_nat"),
    ("netem", Question::Qdisc, "CONFIG_NET_SCH_NETEM", "sch_netem"),
    ("nft", Question::Chain("filter"), "CONFIG_NF_TABLES", "nf_tables"),
    ("sit", Question::Link, "CONFIG_IPV6_SIT", "sit"),
    ("tap", Question::Tun, "CONFIG_TUN", "tun"),
    ("tun", Question::Tun, "CONFIG_TUN", "tun"),
    ("veth", Question::Link, "CONFIG_VETH", "veth"),
    ("vlan", Question::Link, "CONFIG_VLAN_8021Q", "8021q"),
    ("vrf", Question::Link, "CONFIG_NET_VRF", "vrf"),
    ("vxlan", Question::Link, "CONFIG_VXLAN", "vxlan"),
    ("wireguard", Question::Link, "CONFIG_WIREGUARD", "wireguard"),
];

/// Why the test cannot run here; `None` if it can.
pub(super) fn missing(needs: &[&str]) -> Option<String> {
    if needs.is_empty() {
        return None;
    }
    // In a network namespace that only the questions see: what they leave goes with it.
    let asked = namespace::create(|| Ok(needs.iter().filter_map(|name| ask(name)).collect::<Vec<String>>()));
    let missing = match asked {
        Ok((_, missing)) => missing,
        Err(e) => vec![format!("this kernel cannot be asked for what the test needs: {e}")],
    };
    (!missing.is_empty()).then(|| missing.join("\n"))
}

fn ask(name: &str) -> Option<String> {
    let Some((_, question, option, module)) = FEATURES.iter().find(|(known, ..)| *known == name) else {
        return Some(format!(
            "the test needs `{name}`, of which this version of netlab knows nothing: are netlab and netlab-macros equal?"
        ));
    };
    let (request, answer): (String, Result<(), Refusal>) = match question {
        Question::Link => (format!("a link of type {name}"), feature::link(name)),
        Question::Qdisc => (format!("a queueing discipline {name}"), feature::qdisc(name)),
        Question::Tun => ("the device /dev/net/tun".to_owned(), feature::tun()),
        Question::Chain(kind) => (format!("an nf_tables chain of type {kind}"), feature::chain(kind)),
    };
    let refusal = answer.err()?;
    let help = match question {
        Question::Tun if refusal.errno == libc::EACCES => "`sudo chmod 0666 /dev/net/tun`, as udev does by default".to_owned(),
        _ => format!("`sudo modprobe {module}`, or a kernel with {option}"),
    };
    Some(format!("the test needs `{name}`: asked for {request}, the kernel says: {refusal}\n  help: {help}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_features_are_in_order_and_each_is_there_once() {
        assert!(FEATURES.is_sorted_by(|(left, ..), (right, ..)| left < right));
    }

    #[test]
    fn an_unknown_feature_is_not_taken_for_one_that_is_there() {
        assert!(ask("warp").is_some_and(|why| why.contains("`warp`")));
    }
}
