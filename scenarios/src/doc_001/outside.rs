//! Stage 28: out of the cluster without translation on the nodes.

use netlab::capture::icmp;
use netlab::{Capture, NatRule, Reason, Route};

use super::{CON_1, CON_3, HEAD};
use crate::stage::Stage;
use crate::world::INTERNET;

pub(super) const STAGES: &[Stage] = &[Stage {
    id: "001.28",
    title: "the internet, translated once",
    claim: "The nodes translate nothing: the head node has to translate for the containers' addresses too, and needs a route to them. Only \
            what it translates escapes to the outside.",
    truth: "Rule and route are needed, and for the containers of node002 a second route. But untranslated packets escape as well: the head \
            node forwards them with the container's address, which nobody outside can answer.",
    commands: &[
        "iptables -t nat -A POSTROUTING -s 172.19.0.0/16 -o eth1 -j MASQUERADE  # on head",
        "ip route add 172.19.35.0/24 via 10.141.0.1  # on head",
    ],
    before: |w, s| s.no_reply(&w.machine(CON_1)?, "8.8.8.8", Reason::Silence),
    change: |w| {
        let head = w.machine(HEAD)?;
        let rule = NatRule::masquerade(&head).from("172.19.0.0/16").out("eth1").install()?;
        w.keep(RULE, rule);
        let route = Route::to("172.19.35.0/24").via("10.141.0.1").install(&head)?;
        w.keep(ROUTE, route);
        Ok(())
    },
    check: |w, s| {
        let (head, con1, con3) = (w.machine(HEAD)?, w.machine(CON_1)?, w.machine(CON_3)?);
        let tap = Capture::on(&head)?;
        s.replies(&con1, "8.8.8.8")?;
        let lines = [
            "head/eth0 In  IP 172.19.35.2 > 8.8.8.8: ICMP echo request",
            "head/eth1 Out IP 192.168.200.172 > 8.8.8.8: ICMP echo request",
            "head/eth1 In  IP 8.8.8.8 > 192.168.200.172: ICMP echo reply",
            "head/eth0 Out IP 8.8.8.8 > 172.19.35.2: ICMP echo reply",
        ];
        s.packets("head: the container's own address comes as far as here", &tap.stop()?.filter(icmp())?, &lines)?;
        s.without("a route of head to 172.19.36.0/24");
        s.no_reply(&con3, "8.8.8.8", Reason::Silence)?;
        s.with("a route of head to 172.19.36.0/24");
        let _second = Route::to("172.19.36.0/24").via("10.141.0.2").install(&head)?;
        s.replies(&con3, "8.8.8.8")?;
        s.without("the route to 172.19.35.0/24");
        w.take::<Route>(ROUTE)?.close()?;
        s.no_reply(&con1, "8.8.8.8", Reason::Silence)?;
        s.without("the rule");
        w.take::<NatRule>(RULE)?.close()?;
        let tap = Capture::on(&w.machine(INTERNET)?)?;
        s.no_reply(&con3, "8.8.8.8", Reason::Silence)?;
        s.wrong();
        let escaped = "internet/eth0 In  IP 172.19.36.2 > 8.8.8.8: ICMP echo request";
        s.packets("internet: it comes here nevertheless", &tap.stop()?.filter(icmp().echo_request())?, &[escaped])
    },
    ..Stage::STILL
}];

const RULE: &str = "the rule of head for the containers";
const ROUTE: &str = "the route of head to 172.19.35.0/24";
