//! Who may talk to a pod, and as whom a pod may talk.

use netlab::{FilterRule, Reason, Rules};

use super::kubernetes::{POD_3, POD_4, WEB_1, WEB_2, node_and_pods};
use crate::stage::Stage;

const WEB: &str = "10.244.1.2";
const OTHER_PORT: &str = "10.244.1.2:8080";
const POLICY: &str = "the policy of web-1";
const ANSWERS: &str = "the way of answers";

pub(super) const SYSTEMS: &[Stage] = &[Stage {
    id: "systems.network-policy",
    title: "a network policy: nobody but those who are named",
    afresh: true,
    kernel: &["bridge"],
    claim: "Once a policy selects a pod, only what it names reaches the pod: here port 80, from pod-3. Pods without a policy are reached by all.",
    truth: "FORWARD leads what is for the pod to a chain of its own, which accepts what is named and drops the rest. Answers to what the \
                pod itself has asked must be named as well, by the state of their connection. The node is not asked: what it sends itself does not pass \
                FORWARD. And pods on one bridge are only because bridge-nf-call-iptables is 1.",
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
        s.not_served(&other, WEB, Reason::Silence)?;
        s.without("the policy");
        w.take::<Rules>(POLICY)?.close()?;
        s.served(&other, WEB, WEB_1)?;
        s.served(&other, OTHER_PORT, WEB_1)?;
        s.replies(&other, WEB)
    },
    ..Stage::STILL
}];

/// What is for web-1 goes to its chain, which ends in a refusal.
const NAMED: &str = "*filter
:POD-WEB-1 - [0:0]
-A FORWARD -d 10.244.1.2/32 -j POD-WEB-1
-A POD-WEB-1 -s 10.244.1.4/32 -p tcp -m tcp --dport 80 -j ACCEPT
-A POD-WEB-1 -j DROP
COMMIT
";
