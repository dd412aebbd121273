//! What kube-proxy makes of a service in its nftables mode.

use netlab::nft::Family;
use netlab::{FilterRule, FilterRuleBuilder, IcmpKind, NatRule, NatRuleBuilder, Netns, Route, RuleChain, Rules, VerdictMap, VethPair};

use super::kubernetes::{BY_TURNS, CHOICE, POD_3, TRANSLATE, VIP, WEB_1, WEB_2, choose, node_and_pods, six};
use crate::error::Result;
use crate::stage::Stage;

const TABLE: &str = "kube-proxy";
const PROXY: &str = "kube-proxy in nftables mode";
const MARK: &str = "0x4000/0x4000";
/// The address of a service with one pod behind it.
const OTHER_VIP: &str = "10.96.0.11";
const NODE_ADDRESS: &str = "192.168.1.11";

pub(super) const SYSTEMS: &[Stage] = &[Stage {
    id: "systems.clusterip-nft",
    title: "ClusterIP by a verdict map: kube-proxy with nftables",
    afresh: true,
    kernel: &["bridge", "nat"],
    claim: "In nftables mode kube-proxy finds the chain of a service by one look-up, in a map of addresses, protocols and ports, and that of a pod \
            by a number. Clients notice nothing of it.",
    truth: "Each connection comes to one of the pods, as with iptables, and what comes from outside the pods' network is marked and \
            masqueraded. Two things differ for who looks closely. The rules are in a table of their own, where a further service is one element of \
            the map, and no rule that all others have to pass. And what is addressed to the service at another port is refused by a rule of \
            FORWARD; with iptables it goes on to the default route. (Here numgen counts, for the count to be exact; kube-proxy has random.)",
    needs: &["a default route on the node, for what is refused to come to FORWARD"],
    commands: COMMANDS,
    scene: |w| {
        node_and_pods(w)?;
        let (node, router) = (w.host(), w.add(Netns::new("router")?));
        let eth0 = node.iface("eth0").addr(format!("{NODE_ADDRESS}/24")).gateway("192.168.1.1");
        w.keep_cable(VethPair::connect(eth0, router.iface("lan0").addr("192.168.1.1/24"))?);
        router.forward_ipv4()?;
        w.keep("the router's way to pods", Route::to("10.244.1.0/24").via(NODE_ADDRESS).install(&router)?);
        Ok(())
    },
    before: |w, s| s.not_served(&w.machine(POD_3)?, VIP, IcmpKind::NetUnreachable),
    change: |w| {
        let proxy = Proxy::start(&w.host())?;
        w.keep(PROXY, proxy);
        Ok(())
    },
    check: |w, s| {
        let (node, pod) = (w.host(), w.machine(POD_3)?);
        s.equals("pod-3: six connections get", six(&pod)?, "web-1 web-2 web-1 web-2 web-1 web-2")?;
        s.served_as(&pod, VIP, WEB_1, "10.244.1.4")?;
        s.served_as(&node, VIP, WEB_2, "10.244.1.1")?;
        s.not_served(&pod, &format!("{VIP}:81"), IcmpKind::PortUnreachable)?;
        s.equals("host: its rules are in", tables(&node)?, "ip kube-proxy")?;
        s.without("an element for it in the map");
        s.not_served(&pod, OTHER_VIP, IcmpKind::NetUnreachable)?;
        s.with("the element");
        let rules = services(&node)?;
        w.kept_mut::<Proxy>(PROXY)?.map.goto(OTHER_VIP, "tcp", 80, "endpoint-2")?;
        s.served(&pod, OTHER_VIP, WEB_2)?;
        s.holds("host: no rule has come to those that all packets pass", &rules, services(&node)? == rules)?;
        s.without("the element of the first service");
        w.kept_mut::<Proxy>(PROXY)?.map.remove(VIP, "tcp", 80)?;
        s.not_served(&pod, VIP, IcmpKind::PortUnreachable)?;
        s.served(&pod, OTHER_VIP, WEB_2)?;
        w.kept_mut::<Proxy>(PROXY)?.map.goto(VIP, "tcp", 80, "service-web")?;
        s.without("the masquerade of what is marked");
        drop(w.kept_mut::<Proxy>(PROXY)?.masquerade.take());
        s.served_as(&node, VIP, WEB_1, NODE_ADDRESS)?;
        s.with("the chains of iptables instead");
        drop(w.take::<Proxy>(PROXY)?);
        choose(w, &[BY_TURNS, TRANSLATE])?;
        s.equals("pod-3: six connections get", six(&pod)?, "web-1 web-2 web-1 web-2 web-1 web-2")?;
        s.equals("host: its rules are in", tables(&node)?, "ip nat")?;
        s.not_served(&pod, &format!("{VIP}:81"), IcmpKind::NetUnreachable)?;
        s.without("any of them");
        w.take::<Rules>(CHOICE)?.close()?;
        s.not_served(&pod, VIP, IcmpKind::NetUnreachable)
    },
    ..Stage::STILL
}];

const COMMANDS: &[&str] = &[
    "nft add table ip kube-proxy",
    "nft add chain ip kube-proxy nat-prerouting '{ type nat hook prerouting priority dstnat; }'",
    "nft add chain ip kube-proxy nat-output '{ type nat hook output priority -100; }'",
    "nft add chain ip kube-proxy nat-postrouting '{ type nat hook postrouting priority srcnat; }'",
    "nft add chain ip kube-proxy filter-forward '{ type filter hook forward priority filter; }'",
    "for chain in services service-web endpoint-1 endpoint-2 mark-for-masquerade; do nft add chain ip kube-proxy $chain; done",
    "nft add map ip kube-proxy service-ips '{ type ipv4_addr . inet_proto . inet_service : verdict; }'",
    "nft add element ip kube-proxy service-ips '{ 10.96.0.10 . tcp . 80 : goto service-web }'",
    "nft add rule ip kube-proxy nat-prerouting jump services; nft add rule ip kube-proxy nat-output jump services",
    "nft add rule ip kube-proxy services ip daddr . meta l4proto . th dport vmap @service-ips",
    "nft add rule ip kube-proxy service-web ip saddr != 10.244.0.0/16 jump mark-for-masquerade",
    "nft add rule ip kube-proxy service-web numgen inc mod 2 vmap '{ 0 : goto endpoint-1, 1 : goto endpoint-2 }'",
    "nft add rule ip kube-proxy endpoint-1 meta l4proto tcp dnat to 10.244.1.2:80",
    "nft add rule ip kube-proxy endpoint-2 meta l4proto tcp dnat to 10.244.1.3:80",
    "nft add rule ip kube-proxy mark-for-masquerade meta mark set meta mark or 0x4000",
    "nft add rule ip kube-proxy nat-postrouting meta mark and 0x4000 == 0x4000 masquerade",
    "nft add rule ip kube-proxy filter-forward ip daddr 10.96.0.10 reject",
];

/// What kube-proxy has installed on a node.
struct Proxy {
    map: VerdictMap,
    masquerade: Option<NatRule>,
    _rules: Rules,
    _chains: Vec<RuleChain>,
}

impl Proxy {
    fn start(on: &Netns) -> Result<Self> {
        let hooked = |name, kind, hook, priority| RuleChain::base(on, Family::Ip, TABLE, name).kind(kind).hook(hook).priority(priority);
        let mut chains = vec![
            hooked("nat-prerouting", "nat", "prerouting", "dstnat").install()?,
            hooked("nat-output", "nat", "output", "dstnat").install()?,
            hooked("nat-postrouting", "nat", "postrouting", "srcnat").install()?,
            hooked("filter-forward", "filter", "forward", "filter").install()?,
        ];
        for name in ["services", "service-web", "endpoint-1", "endpoint-2", "mark-for-masquerade"] {
            chains.push(RuleChain::of(on, Family::Ip, TABLE, name)?);
        }
        let mut map = VerdictMap::new(on, Family::Ip, TABLE, "service-ips")?;
        map.goto(VIP, "tcp", 80, "service-web")?;
        let masquerade = NatRule::masquerade(on).table(TABLE).chain("nat-postrouting").mark(MARK).install()?;
        Ok(Self { map, masquerade: Some(masquerade), _rules: rules(on).install()?, _chains: chains })
    }
}

fn rules(on: &Netns) -> netlab::RulesBuilder {
    let rule = |chain: &str, rule: FilterRuleBuilder| rule.table(TABLE).chain(chain);
    let endpoint =
        |chain: &str, pod: &str| -> NatRuleBuilder { NatRule::dnat(on).table(TABLE).chain(chain).protocol("tcp").to(format!("{pod}:80")) };
    Rules::new()
        .add(rule("nat-prerouting", FilterRule::jump(on, "services")))
        .add(rule("nat-output", FilterRule::jump(on, "services")))
        .add(rule("services", FilterRule::vmap(on, "service-ips")))
        .add(rule("service-web", FilterRule::jump(on, "mark-for-masquerade")).not_from("10.244.0.0/16"))
        .add(rule("service-web", FilterRule::goto_each(on, ["endpoint-1", "endpoint-2"])))
        .add(endpoint("endpoint-1", "10.244.1.2"))
        .add(endpoint("endpoint-2", "10.244.1.3"))
        .add(rule("mark-for-masquerade", FilterRule::mark(on, MARK)))
        .add(rule("filter-forward", FilterRule::reject(on)).addressed_to(VIP))
}

/// The tables of a node, as `nft list tables` lists them.
fn tables(of: &Netns) -> Result<String> {
    let ruleset = of.ruleset()?;
    let names: Vec<_> = ruleset.tables().iter().map(|table| format!("{} {}", table.family(), table.name())).collect();
    Ok(names.join(", "))
}

/// The rules that all packets pass, whichever service they are for.
fn services(on: &Netns) -> Result<String> {
    let ruleset = on.ruleset()?;
    let chains = ["nat-prerouting", "services"].map(|name| ruleset.table(Family::Ip, TABLE).and_then(|table| table.chain(name)));
    let rules = chains.iter().flatten().flat_map(|chain| chain.rules()).map(|rule| rule.text().to_owned());
    Ok(rules.collect::<Vec<_>>().join("\n"))
}
