//! Who may talk to a pod, and as whom a pod may talk.

use netlab::{AddressSet, Capture, FilterRule, Netns, Probe, Reason, Rules, VethPair, capture};

use super::kubernetes::{POD_3, POD_4, WEB_1, WEB_2, node_and_pods};
use crate::error::Result;
use crate::stage::Stage;
use crate::story::Story;
use crate::world::World;

const WEB: &str = "10.244.1.2";
const OTHER_PORT: &str = "10.244.1.2:8080";
const POLICY: &str = "the policy of web-1";
const ANSWERS: &str = "the way of answers";
const POD_3_ADDRESS: &str = "10.244.1.4";
const POD_4_ADDRESS: &str = "10.244.1.5";
const LABEL: &str = "the pods with the label";
const NAMED_BY_LABEL: &str = "the rule for who has the label";
const DEFAULT_DENY: &str = "the rule for the others";

pub(super) const SYSTEMS: &[Stage] = &[
    Stage {
        id: "systems.network-policy",
        title: "a network policy: nobody but those who are named",
        afresh: true,
        kernel: &["bridge"],
        claim: "Once a policy selects a pod, only what it names reaches the pod: here port 80, from pod-3. Pods without a policy are reached by all.",
        truth: "FORWARD leads what is for the pod to a chain of its own, which accepts what is named and drops the rest. Answers to what the \
                pod itself has asked must be named as well, by the state of their connection. The node is not asked: what it sends itself does not pass \
                FORWARD. Pods on one bridge meet it only because \
            bridge-nf-call-iptables is 1.",
        needs: &["bridge-nf-call-iptables=1, where pods are on a bridge"],
        commands: &[
            "iptables -N POD-WEB-1; iptables -A FORWARD -d 10.244.1.2 -j POD-WEB-1",
            "iptables -A POD-WEB-1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "iptables -A POD-WEB-1 -s 10.244.1.4 -p tcp --dport 80 -j ACCEPT",
            "iptables -A POD-WEB-1 -j DROP",
        ],
        scene: |w| {
            node_and_pods(w)?;
            let other = w.machine(WEB_1)?.http_server(OTHER_PORT)?;
            w.keep("the other server", other);
            Ok(())
        },
        before: |w, s| {
            s.served(&w.machine(POD_4)?, WEB, WEB_1)?;
            s.served(&w.machine(POD_3)?, OTHER_PORT, WEB_1)?;
            s.replies(&w.machine(POD_3)?, WEB)
        },
        change: |w| {
            let host = w.host();
            w.keep(POLICY, Rules::iptables_restore(&host, NAMED)?);
            let answers = FilterRule::accept(&host).chain("POD-WEB-1").state("related,established").first().install()?;
            w.keep(ANSWERS, answers);
            Ok(())
        },
        check: |w, s| {
            let (host, web, named, other) = (w.host(), w.machine(WEB_1)?, w.machine(POD_3)?, w.machine(POD_4)?);
            s.served(&named, WEB, WEB_1)?;
            s.not_served(&named, OTHER_PORT, Reason::Silence)?;
            s.no_reply(&named, WEB, Reason::Silence)?;
            s.not_served(&other, WEB, Reason::Silence)?;
            s.served(&other, "10.244.1.3", WEB_2)?;
            s.served(&web, "10.244.1.3", WEB_2)?;
            s.served(&host, WEB, WEB_1)?;
            s.without("the rule for answers");
            w.take::<FilterRule>(ANSWERS)?.close()?;
            s.not_served(&web, "10.244.1.3", Reason::Silence)?;
            s.without("bridge-nf-call-iptables=1");
            let unseen = host.set_sysctl("net.bridge.bridge-nf-call-iptables", 0)?;
            s.served(&other, WEB, WEB_1)?;
            unseen.close()?;
            s.with("bridge-nf-call-iptables=1 again");
            s.not_served(&other, WEB, Reason::Silence)?;
            s.without("the policy");
            w.take::<Rules>(POLICY)?.close()?;
            s.served(&other, WEB, WEB_1)?;
            s.served(&other, OTHER_PORT, WEB_1)?;
            s.replies(&other, WEB)
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.network-policy-sets",
        title: "a policy by sets: the rules stay",
        afresh: true,
        kernel: &["bridge", "nft"],
        claim: "A policy names pods by a label. The rule asks whether the sender is in the set of those that have it: who gets the label is let \
                in, who loses it is kept out, and no rule is written anew.",
        truth: "The set is a list of addresses beside the chains, which the kernel looks up in one step, however long it is. A change takes \
                effect with the next packet, and the rule goes on counting. An empty set lets nobody in: \
                that is \"default deny\". Calico and others keep such sets with ipset, which iptables asks by -m set; here it is one of nft.",
        commands: &[
            "nft add set ip filter role-client '{ type ipv4_addr; }'",
            "nft add rule ip filter FORWARD ip daddr 10.244.1.2 ip saddr @role-client counter accept",
            "nft add rule ip filter FORWARD ip daddr 10.244.1.2 counter drop",
            "nft add element ip filter role-client '{ 10.244.1.4 }'  # pod-3; and so on for whom gets the label",
        ],
        scene: node_and_pods,
        before: |w, s| {
            s.served(&w.machine(POD_3)?, WEB, WEB_1)?;
            s.served(&w.machine(POD_4)?, WEB, WEB_1)
        },
        change: |w| {
            let host = w.host();
            let set = AddressSet::new(&host, "filter", "role-client")?;
            w.keep(NAMED_BY_LABEL, FilterRule::accept(&host).forward().addressed_to(WEB).from_set(&set).install()?);
            w.keep(DEFAULT_DENY, FilterRule::drop(&host).forward().addressed_to(WEB).install()?);
            set.add(POD_3_ADDRESS)?;
            w.keep(LABEL, set);
            Ok(())
        },
        check: |w, s| {
            let (pod3, pod4) = (w.machine(POD_3)?, w.machine(POD_4)?);
            s.not_served(&pod4, WEB, Reason::Silence)?;
            s.served(&pod3, WEB, WEB_1)?;
            let (set, rule) = (w.kept::<AddressSet>(LABEL)?, w.kept::<FilterRule>(NAMED_BY_LABEL)?);
            let asks = "add rule ip filter FORWARD ip daddr 10.244.1.2 ip saddr @role-client counter accept";
            s.equals("host: the rule, as nft says it", rule.as_nft(), asks)?;
            let counted = rule.hits()?.packets;
            s.with("pod-4 in the set as well");
            set.add(POD_4_ADDRESS)?;
            s.served(&pod4, WEB, WEB_1)?;
            s.served(&pod3, WEB, WEB_1)?;
            let now = rule.hits()?.packets;
            s.holds("host: the rule has gone on counting", format!("{counted} packets, then {now}"), counted > 0 && now > counted)?;
            s.without("pod-3 in the set");
            set.remove(POD_3_ADDRESS)?;
            s.not_served(&pod3, WEB, Reason::Silence)?;
            s.served(&pod4, WEB, WEB_1)?;
            s.without("anybody in the set: default deny");
            set.remove(POD_4_ADDRESS)?;
            s.not_served(&pod4, WEB, Reason::Silence)?;
            s.served(&pod4, "10.244.1.3", WEB_2)?;
            s.without("the policy");
            w.take::<FilterRule>(DEFAULT_DENY)?.close()?;
            s.served(&pod4, WEB, WEB_1)?;
            s.served(&pod3, WEB, WEB_1)
        },
        ..Stage::STILL
    },
    Stage {
        id: "systems.anti-spoofing",
        title: "a pod speaks for itself only",
        afresh: true,
        kernel: &["nft"],
        claim: "The node drops what a pod sends from the address of another pod.",
        truth: "It asks of each packet whether the way back to its source is the way that it came (rpfilter), and drops it otherwise. Without \
                that, the other pod gets the answer to what it has not asked. rp_filter=1 does the same without a rule.",
        needs: &["the rule, or rp_filter=1 on the node"],
        commands: &["iptables -t raw -A PREROUTING -m rpfilter --validmark --invert -j DROP"],
        scene: three_pods,
        before: |w, s| {
            honest(w, s)?;
            lies(w, s, "the answer comes to pod-3, which has not asked", DECEIVED)
        },
        change: |w| {
            let rule = FilterRule::iptables(&w.host(), "-t raw -A PREROUTING -m rpfilter --validmark --invert -j DROP")?;
            w.keep(RPFILTER, rule);
            Ok(())
        },
        check: |w, s| {
            honest(w, s)?;
            lies(w, s, "nothing comes to pod-2 or pod-3", &[])?;
            s.equals("host: so many packets has the rule dropped", w.kept::<FilterRule>(RPFILTER)?.hits()?.packets, 1)?;
            s.without("the rule");
            w.take::<FilterRule>(RPFILTER)?.close()?;
            lies(w, s, "the answer comes to pod-3, which has not asked", DECEIVED)?;
            s.with("rp_filter=1 instead");
            let _strict = w.host().set_sysctl("net.ipv4.conf.all.rp_filter", 1)?;
            honest(w, s)?;
            lies(w, s, "nothing comes to pod-2 or pod-3", &[])
        },
        ..Stage::STILL
    },
];

/// What is for web-1 goes to its chain, which ends in a refusal.
const NAMED: &str = "*filter
:POD-WEB-1 - [0:0]
-A FORWARD -d 10.244.1.2/32 -j POD-WEB-1
-A POD-WEB-1 -s 10.244.1.4/32 -p tcp -m tcp --dport 80 -j ACCEPT
-A POD-WEB-1 -j DROP
COMMIT
";

const RPFILTER: &str = "the rule against other pods' addresses";
const POD_1: &str = "pod-1";
const POD_2: &str = "pod-2";
const ADDRESS_2: &str = "10.244.1.6";
const ADDRESS_3: &str = "10.244.1.10";

/// What comes of a lie that is believed.
const DECEIVED: &[&str] = &[
    "pod-2/eth0 In  IP 10.244.1.10 > 10.244.1.6: ICMP echo request",
    "pod-2/eth0 Out IP 10.244.1.6 > 10.244.1.10: ICMP echo reply",
    "pod-3/eth0 In  IP 10.244.1.6 > 10.244.1.10: ICMP echo reply",
];

/// A node with three pods, each by a cable of its own; the first has given itself the address of the third.
fn three_pods(world: &mut World) -> Result<()> {
    let node = world.host();
    node.forward_ipv4()?;
    world.keep("rp_filter", node.set_sysctl("net.ipv4.conf.all.rp_filter", 0)?);
    for (name, gateway, address) in
        [(POD_1, "10.244.1.1", "10.244.1.2"), (POD_2, "10.244.1.5", ADDRESS_2), (POD_3, "10.244.1.9", ADDRESS_3)]
    {
        let pod = world.add(Netns::new(name)?);
        let eth0 = pod.iface("eth0").addr(format!("{address}/30")).gateway(gateway);
        let cable = VethPair::connect(eth0, node.iface(format!("cali_{name}")).addr(format!("{gateway}/30")))?;
        node.link(&format!("cali_{name}"))?.set_ipv4_conf("rp_filter", 0)?.keep();
        world.keep_cable(cable);
    }
    let lo = world.machine(POD_1)?.link("lo")?;
    lo.add_address(format!("{ADDRESS_3}/32"))?.keep();
    Ok(())
}

/// As itself, the first pod is answered.
fn honest(world: &World, story: &mut Story) -> Result<()> {
    story.replies_with_ttl(&world.machine(POD_1)?, ADDRESS_2, 63)?;
    story.replies_with_ttl(&world.machine(POD_3)?, ADDRESS_2, 63)
}

/// The first pod pings the second by the address of the third; what the two see of it.
fn lies(world: &World, story: &mut Story, check: &str, expected: &[&str]) -> Result<()> {
    let pods = [world.machine(POD_2)?.link("eth0")?, world.machine(POD_3)?.link("eth0")?];
    let tap = Capture::on_all(&pods)?;
    let ping = Probe::ping(ADDRESS_2).source(ADDRESS_3);
    story.fails(&world.machine(POD_1)?, "ping -I 10.244.1.10 10.244.1.6", ping, Reason::Silence)?;
    story.distinct_packets(check, &tap.stop()?.filter(capture::icmp())?, expected)
}
