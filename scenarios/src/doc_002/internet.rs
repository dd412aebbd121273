//! Stages 18 to 21: forwarding, masquerading and names, and what becomes of them when Docker's rules come back.

use std::net::Ipv4Addr;

use netlab::{Capture, FilterRule, NatRule, Netns, Outcome, Policy, Probe, Reason, Route, Rules, Sysctl, VethPair, capture};

use super::{BRIDGE, CON_1, DAEMON, DOCKER0, MACHINE, OTHER, SAMPLE, SITE, SITE_ADDRESS};
use crate::ask::{ANSWER, SILENCE};
use crate::error::Result;
use crate::stage::{Cause, Stage};
use crate::story::Story;
use crate::table::expected_pings;
use crate::world::{DOCKER_USER, Daemon, NAME_SERVER, World};
use crate::{dns, etc, ip_netns};

const SECOND: &str = "sample2";
const IP_FORWARD: &str = "ip_forward";
const MASQUERADE: &str = "the masquerading of sample";

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "002.18",
        title: "forward and masquerade",
        claim: "With ip_forward=1 and a masquerading rule for 10.1.1.0/24, sample reaches the internet.",
        truth: "It takes both. Forwarding alone lets the ping out with the source 10.1.1.2, for which nobody outside has a way back. \
                Masquerading alone is never asked: nothing is forwarded. With both, the ping leaves as 192.168.0.100, and its reply comes back.",
        needs: &["FORWARD accepts"],
        commands: &["sysctl -w net.ipv4.ip_forward=1", "iptables -t nat -A POSTROUTING -s 10.1.1.0/24 ! -o samplebr -j MASQUERADE"],
        before: |w, s| {
            let sample = w.machine(SAMPLE)?;
            s.no_reply(&sample, "8.8.8.8", Reason::Silence)?;
            let forwarding = forward(w)?;
            outside_eth0(w, s, "with forwarding alone it leaves as it is", &["host/eth0 Out IP 10.1.1.2 > 8.8.8.8: ICMP echo request"])?;
            forwarding.close()?;
            let _masquerade = masquerade(w)?;
            outside_eth0(w, s, "with masquerading alone it does not leave", &[])
        },
        change: |w| {
            let (forwarding, masquerade) = (forward(w)?, masquerade(w)?);
            w.keep(IP_FORWARD, forwarding);
            w.keep(MASQUERADE, masquerade);
            Ok(())
        },
        check: |w, s| {
            let (host, sample) = (w.host(), w.machine(SAMPLE)?);
            let tap = Capture::on(&host)?;
            s.replies(&sample, "8.8.8.8")?;
            s.packets(
                "host: it comes in from 10.1.1.2 and leaves from 192.168.0.100, and the reply goes the way back",
                &tap.stop()?.filter(capture::icmp())?,
                &[
                    "host/veth1 In  IP 10.1.1.2 > 8.8.8.8: ICMP echo request",
                    "host/samplebr In  IP 10.1.1.2 > 8.8.8.8: ICMP echo request",
                    "host/eth0 Out IP 192.168.0.100 > 8.8.8.8: ICMP echo request",
                    "host/eth0 In  IP 8.8.8.8 > 192.168.0.100: ICMP echo reply",
                    "host/samplebr Out IP 8.8.8.8 > 10.1.1.2: ICMP echo reply",
                    "host/veth1 Out IP 8.8.8.8 > 10.1.1.2: ICMP echo reply",
                ],
            )?;
            s.without("a FORWARD that accepts");
            let _drop = Policy::drop(&host).forward().install()?;
            s.no_reply(&sample, "8.8.8.8", Reason::Silence)
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.19",
        title: "names",
        claim: "With a resolv.conf of its own, sample finds github.com; `ping` and `traceroute` show names and hops.",
        truth: "It does. The question to 8.8.8.8 is masqueraded as all else is. The name that ping prints with each reply is another one: that of \
                the address (PTR). There are three hops: the bridge, the home router, the site.",
        commands: &[
            "mkdir -p /etc/netns/sample; echo nameserver 8.8.8.8 > /etc/netns/sample/resolv.conf",
            "ip netns exec sample ping -c1 github.com",
            "ip netns exec sample traceroute github.com",
        ],
        before: |w, s| s.unresolved(&w.machine(SAMPLE)?, SITE, true),
        change: |_| etc::write("/etc/netns/sample/resolv.conf", "nameserver 8.8.8.8\n"),
        check: |w, s| {
            let (host, sample) = (w.host(), w.machine(SAMPLE)?);
            let tap = Capture::on(&host.link("eth0")?)?;
            s.resolved(&sample, SITE, SITE_ADDRESS)?;
            let senders = senders(&tap.stop()?.filter(capture::udp().to_port(53))?);
            s.equals("host: the questions leave by eth0 from", senders, "192.168.0.100")?;
            s.replies(&sample, SITE_ADDRESS)?;
            let name = dns::name_of(&sample, Ipv4Addr::new(140, 82, 121, 3), (NAME_SERVER, 53).into())?;
            s.equals(format!("sample: the name of {SITE_ADDRESS} is"), name.unwrap_or_else(|| "none".to_owned()), MACHINE)?;
            s.hops(&sample, SITE_ADDRESS, &["10.1.1.1", "192.168.0.1", SITE_ADDRESS])?;
            s.without("the rule that masquerades");
            w.take::<NatRule>(MASQUERADE)?.close()?;
            etc::write("/etc/netns/sample/resolv.conf", "nameserver 8.8.8.8\noptions timeout:1 attempts:1\n")?;
            s.unresolved(&sample, SITE, false)
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.20",
        title: "what leaves by the bridge",
        claim: "`! -o samplebr` in the rule excepts what stays on the bridge: two namespaces on it see each other's own addresses.",
        truth: "They do. Without these words they do as well, as long as the bridge keeps its frames from iptables. With br_netfilter and \
                bridge-nf-call-iptables=1, as on any host with Docker, the rule then masquerades what it only bridges: sample2 sees the host, \
                10.1.1.1. To the outside the words make no difference.",
        needs: &["bridge-nf-call-iptables=1, for the words to make a difference"],
        commands: &[
            "ip netns add sample2",
            "ip link add veth3 type veth peer name veth4 netns sample2",
            "ip link set veth3 master samplebr up",
            "ip -n sample2 link set veth4 up",
            "ip -n sample2 address add 10.1.1.3/24 dev veth4",
            "ip -n sample2 route add default via 10.1.1.1",
        ],
        before: |w, s| s.no_reply(&w.machine(SAMPLE)?, "10.1.1.3", libc::EHOSTUNREACH),
        change: |w| {
            let second = w.add(Netns::bare(SECOND)?);
            ip_netns::add_name(&second)?;
            let host = w.host();
            let port = host.iface("veth3").index(0).master(&host.link(BRIDGE)?);
            w.keep("the cable of sample2", VethPair::connect(port, second.iface("veth4").index(0).addr("10.1.1.3/24"))?);
            w.keep("the default route of sample2", Route::default_via("10.1.1.1").install(&second)?);
            Ok(())
        },
        cause: Cause::Lack {
            of: "iptables -t nat -R POSTROUTING 1 -s 10.1.1.0/24 -j MASQUERADE; sysctl -w net.bridge.bridge-nf-call-iptables=1",
            supply: |w| {
                drop(w.take::<NatRule>(MASQUERADE)?);
                w.host().set_sysctl("net.bridge.bridge-nf-call-iptables", 1)?.keep();
                let rule = NatRule::masquerade(&w.host()).from("10.1.1.0/24").install()?;
                w.keep(MASQUERADE, rule);
                Ok(())
            },
        },
        check: |w, s| {
            let (sample, second) = (w.machine(SAMPLE)?, w.machine(SECOND)?);
            let web = second.serve(SECOND).http("0.0.0.0:80")?;
            s.served_as(&sample, "10.1.1.3:80", SECOND, "10.1.1.2")?;
            web.close()?;
            s.unstated();
            masquerading(w, s)
        },
        ..Stage::STILL
    },
    Stage {
        id: "002.21",
        title: "Docker's DROP",
        claim: "Where Docker runs, its rules block all this. `iptables -F FORWARD` and `iptables -P FORWARD ACCEPT` unblock it.",
        truth: "They block not only the way out, but sample from sample2 on one bridge: br_netfilter asks FORWARD about bridged packets too, \
                and its policy is DROP. The cure works, and has a price: with the rules of FORWARD goes the isolation of Docker's networks, and \
                con1 reaches con3. Two rules in DOCKER-USER, which is there for that, cost nothing.",
        commands: &["systemctl start docker", "iptables -F FORWARD; iptables -P FORWARD ACCEPT"],
        before: |w, s| {
            let sample = w.machine(SAMPLE)?;
            s.replies(&sample, "8.8.8.8")?;
            s.replies(&sample, "10.1.1.3")
        },
        change: |w| start_docker(w),
        check: |w, s| {
            let sample = w.machine(SAMPLE)?;
            s.no_reply(&sample, "8.8.8.8", Reason::Silence)?;
            s.no_reply(&sample, "10.1.1.3", Reason::Silence)?;
            let dropped = w.kept::<Daemon>(DAEMON)?.policy.hits()?.packets;
            s.equals("host: FORWARD's policy DROP has counted both", format!("{dropped} packets"), "2 packets")?;
            s.unstated();
            cures(w, s)
        },
        ..Stage::STILL
    },
];

fn start_docker(w: &mut World) -> Result<()> {
    let daemon = Daemon::start(&w.host(), &[&DOCKER0, &OTHER])?;
    w.keep(DAEMON, daemon);
    Ok(())
}

fn forward(w: &World) -> Result<Sysctl> {
    Ok(w.host().set_sysctl("net.ipv4.ip_forward", 1)?)
}

fn masquerade(w: &World) -> Result<NatRule> {
    Ok(NatRule::masquerade(&w.host()).from("10.1.1.0/24").not_out(BRIDGE).install()?)
}

/// What of a ping of sample, which gets no reply, is seen outside.
fn outside_eth0(w: &World, s: &mut Story, check: &str, expected: &[&str]) -> Result<()> {
    let (host, sample) = (w.host(), w.machine(SAMPLE)?);
    let tap = Capture::on(&host.link("eth0")?)?;
    s.no_reply(&sample, "8.8.8.8", Reason::Silence)?;
    s.packets(format!("host: {check}"), &tap.stop()?.filter(capture::icmp().outgoing())?, expected)
}

/// From where packets were sent, each address once.
fn senders(packets: &capture::Packets) -> String {
    let mut senders: Vec<_> = packets.iter().filter_map(|packet| packet.source().map(|address| address.to_string())).collect();
    senders.sort();
    senders.dedup();
    senders.join(" ")
}

/// As whom sample is seen on the bridge and outside, by the rule and bridge-nf-call-iptables.
const MASQUERADING: &[[&str; 4]] = &[
    ["MASQUERADE", "nf", "sample2 sees", "the router sees"],
    ["! -o samplebr", "1", "10.1.1.2", "192.168.0.100"],
    ["! -o samplebr", "0", "10.1.1.2", "192.168.0.100"],
    ["all", "1", "10.1.1.1", "192.168.0.100"],
    ["all", "0", "10.1.1.2", "192.168.0.100"],
    ["none", "1", "10.1.1.2", "nobody"],
    ["none", "0", "10.1.1.2", "nobody"],
];

/// Plays every row of the table.
fn masquerading(w: &mut World, s: &mut Story) -> Result<()> {
    let (host, sample) = (w.host(), w.machine(SAMPLE)?);
    let _near = w.machine(SECOND)?.serve(SECOND).http("0.0.0.0:80")?;
    let _far = w.machine("router")?.serve("router").http("0.0.0.0:80")?;
    drop(w.take::<NatRule>(MASQUERADE)?);
    let check = "as whom sample is seen: the words matter where the bridge asks iptables";
    s.plays(check, MASQUERADING, |[rule, nf, near, far]| {
        let _bridged = host.set_sysctl("net.bridge.bridge-nf-call-iptables", nf)?;
        let _masquerade = match *rule {
            "none" => None,
            "all" => Some(NatRule::masquerade(&host).from("10.1.1.0/24").install()?),
            _ => Some(masquerade(w)?),
        };
        Ok(vec![client(&sample, "10.1.1.3:80", near)?, client(&sample, "192.168.0.1:80", far)?])
    })
}

/// The address that a server sees, or `nobody`.
fn client(from: &Netns, url: &str, expected: &str) -> Result<String> {
    let patience = if expected == "nobody" { SILENCE } else { ANSWER };
    Ok(match from.observe(Probe::http(url).within(patience))? {
        Outcome::Answer(answer) => answer.source().map(|client| client.ip().to_string()).unwrap_or_default(),
        Outcome::Silence { .. } => "nobody".to_owned(),
        other => other.to_string(),
    })
}

/// Who reaches whom, by what is done to Docker's rules.
const CURES: &[[&str; 4]] = &[
    ["cure", "sample→8.8.8.8", "sample→sample2", "con1→con3"],
    ["none", "silent", "silent", "silent"],
    ["-F and -P ACCEPT", "ttl 62", "ttl 64", "ttl 63"],
    ["DOCKER-USER", "ttl 62", "ttl 64", "silent"],
];

/// Plays every row of the table, each on rules that are as Docker has made them.
fn cures(w: &mut World, s: &mut Story) -> Result<()> {
    let (host, sample, con1) = (w.host(), w.machine(SAMPLE)?, w.machine(CON_1.name)?);
    s.plays("what each cure cures, and what it costs", CURES, |[cure, outside, second, con3]| {
        drop(w.take::<Daemon>(DAEMON)?);
        start_docker(w)?;
        let (_policy, _user) = match *cure {
            "none" => (None, None),
            "DOCKER-USER" => (None, Some(accept_samplebr(&host)?)),
            _ => {
                drop(w.kept_mut::<Daemon>(DAEMON)?.forward.take());
                (Some(Policy::accept(&host).forward().install()?), None)
            }
        };
        expected_pings(&[(&sample, "8.8.8.8", outside), (&sample, "10.1.1.3", second), (&con1, "172.18.0.2", con3)])
    })
}

/// `iptables -I DOCKER-USER -i samplebr -j ACCEPT; iptables -I DOCKER-USER -o samplebr -j ACCEPT`
fn accept_samplebr(host: &Netns) -> Result<Rules> {
    let accept = || FilterRule::accept(host).chain(DOCKER_USER).first();
    Ok(Rules::install([accept().on(BRIDGE), accept().out(BRIDGE)])?)
}
