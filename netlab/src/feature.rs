//! What of the kernel may be missing, and where it comes from.

/// How a feature is asked for.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "asked where there is Linux"))]
pub(crate) enum Question {
    Link,
    Qdisc,
    Tun,
    Chain(&'static str),
    /// A family of generic netlink.
    Family(&'static str),
    Connections,
    Sysctl(&'static str),
    /// A file below /proc/sys that belongs to each network namespace: a container may have them all read-only.
    WritableSysctl(&'static str),
    Overlay,
}

/// What lets tests write sysctls in a container.
pub(crate) const WRITABLE_SYSCTLS: &str =
    "`docker run --security-opt systempaths=unconfined …`, `podman run --security-opt unmask=/proc/sys …`, or `--privileged`";

/// A feature by its name in `needs(…)`, which for links is their kind.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "asked where there is Linux"))]
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    pub(crate) question: Question,
    /// The kernel's build option.
    option: &'static str,
    module: &'static str,
}

const fn feature(name: &'static str, question: Question, option: &'static str, module: &'static str) -> Feature {
    Feature { name, question, option, module }
}

/// More than `needs(…)` takes.
pub(crate) const FEATURES: &[Feature] = &[
    feature("bareudp", Question::Link, "CONFIG_BAREUDP", "bareudp"),
    feature("bond", Question::Link, "CONFIG_BONDING", "bonding"),
    feature("br_netfilter", Question::Sysctl("net/bridge/bridge-nf-call-iptables"), "CONFIG_BRIDGE_NETFILTER", "br_netfilter"),
    feature("bridge", Question::Link, "CONFIG_BRIDGE", "bridge"),
    feature("conntrack", Question::Connections, "CONFIG_NF_CT_NETLINK", "nf_conntrack_netlink"),
    feature("dummy", Question::Link, "CONFIG_DUMMY", "dummy"),
    feature("geneve", Question::Link, "CONFIG_GENEVE", "geneve"),
    feature("gre", Question::Link, "CONFIG_NET_IPGRE", "ip_gre"),
    feature("ifb", Question::Link, "CONFIG_IFB", "ifb"),
    feature("ipip", Question::Link, "CONFIG_NET_IPIP", "ipip"),
    feature("ipvlan", Question::Link, "CONFIG_IPVLAN", "ipvlan"),
    feature("ipvs", Question::Family("IPVS"), "CONFIG_IP_VS", "ip_vs"),
    feature("macvlan", Question::Link, "CONFIG_MACVLAN", "macvlan"),
    feature("macvtap", Question::Link, "CONFIG_MACVTAP", "macvtap"),
    feature("nat", Question::Chain("nat"), "CONFIG_NFT_NAT", "nft_chain_nat"),
    feature("netem", Question::Qdisc, "CONFIG_NET_SCH_NETEM", "sch_netem"),
    feature("nft", Question::Chain("filter"), "CONFIG_NF_TABLES", "nf_tables"),
    feature("overlayfs", Question::Overlay, "CONFIG_OVERLAY_FS", "overlay"),
    feature("sit", Question::Link, "CONFIG_IPV6_SIT", "sit"),
    feature("sysctl", Question::WritableSysctl("net/ipv4/ip_forward"), "", ""),
    feature("tap", Question::Tun, "CONFIG_TUN", "tun"),
    feature("tun", Question::Tun, "CONFIG_TUN", "tun"),
    feature("veth", Question::Link, "CONFIG_VETH", "veth"),
    feature("vlan", Question::Link, "CONFIG_VLAN_8021Q", "8021q"),
    feature("vrf", Question::Link, "CONFIG_NET_VRF", "vrf"),
    feature("vxlan", Question::Link, "CONFIG_VXLAN", "vxlan"),
    feature("wireguard", Question::Link, "CONFIG_WIREGUARD", "wireguard"),
];

impl Feature {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        FEATURES.iter().find(|feature| feature.name == name)
    }

    /// What to do on a kernel that refused it with that errno.
    pub(crate) fn help(&self, errno: i32) -> String {
        match self.question {
            Question::WritableSysctl(_) => WRITABLE_SYSCTLS.to_owned(),
            Question::Tun if errno == libc::EACCES => "`sudo chmod 0666 /dev/net/tun`, as udev does by default".to_owned(),
            _ => format!("`sudo modprobe {}`, or a kernel with {}", self.module, self.option),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_features_are_in_order_and_each_is_there_once() {
        assert!(FEATURES.is_sorted_by(|left, right| left.name < right.name));
    }
}
