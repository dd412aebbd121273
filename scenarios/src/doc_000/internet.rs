//! Stages 20 to 24: forwarding, masquerading and names, until the namespace has the internet.

use std::fs;

use netlab::{Capture, NatRule, Netns, Policy, Probe, Reason, capture};

use super::rules::{self, DOCKER, MASQUERADE};
use super::{DUSTIN, SITE, SITE_ADDRESS};
use crate::ask::counter;
use crate::error::Result;
use crate::stage::{Cause, Stage, Verdict};
use crate::world::INTERNET;
use crate::{etc, ip_netns};

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "000.20",
        title: "ip_forward",
        claim: "`net.ipv4.ip_forward=1` makes the host forward packets.",
        truth: "It sets `forwarding` of every device, too. On a host with Docker nothing passes nevertheless: the policy of FORWARD is DROP, \
                and counts what it drops.",
        needs: &["ip_forward set on the host itself, for a new namespace does not have it from the one that made it"],
        commands: &["sysctl --write net.ipv4.ip_forward=1"],
        before: |w, s| {
            let host = w.host();
            s.equals("host: ip_forward is 0", host.sysctl("net.ipv4.ip_forward")?, "0")?;
            let before = counter(&host, "IpInAddrErrors")?;
            s.no_reply(&w.machine(DUSTIN)?, "8.8.8.8", Reason::Silence)?;
            s.equals("host: IpInAddrErrors counts one more", counter(&host, "IpInAddrErrors")? - before, 1)
        },
        change: |w| Ok(w.host().forward_ipv4()?),
        check: |w, s| {
            let (host, dustin) = (w.host(), w.machine(DUSTIN)?);
            for key in ["ip_forward", "conf.all.forwarding", "conf.default.forwarding", "conf.veth_dustin.forwarding"] {
                s.equals(format!("host: {key} is 1"), host.sysctl(&format!("net.ipv4.{key}"))?, "1")?;
            }
            let (policy, errors) = (w.kept::<Policy>(DOCKER)?, counter(&host, "IpInAddrErrors")?);
            let dropped = policy.hits()?.packets;
            s.no_reply(&dustin, "8.8.8.8", Reason::Silence)?;
            s.equals("host: IpInAddrErrors counts no more", counter(&host, "IpInAddrErrors")? - errors, 0)?;
            s.equals("host: the policy DROP of FORWARD counts one more", policy.hits()?.packets - dropped, 1)?;
            s.unstated();
            let made_in = |netns: &Netns| ip_netns::unshared(netns, || fs::read_to_string("/proc/sys/net/ipv4/ip_forward"));
            let [by_host, by_dustin] = [made_in(&host)?, made_in(&dustin)?].map(|read| read.unwrap_or_default().trim().to_owned());
            let own = dustin.sysctl("net.ipv4.ip_forward")?;
            s.holds(
                "a new namespace has the same ip_forward, whether the host makes it or netns_dustin, which has 0 itself",
                format!("{by_host} and {by_dustin}"),
                own == "0" && by_host == by_dustin,
            )
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.21",
        title: "FORWARD rules only",
        verdict: Verdict::Precondition,
        claim: "Two rules of FORWARD let packets out and back in. There is no reply yet: they leave with the source 10.0.0.10, of which the \
                internet knows nothing.",
        truth: "There is no reply, and the packet leaves, but with the source 10.0.0.11. The home router even translates it and gets the \
                reply; what it lacks is a route to 10.0.0.0/24, so it sends the reply back to where it came from.",
        needs: &["FORWARD policy DROP, for the rules to be needed"],
        commands: &[
            "iptables --append FORWARD --in-interface veth_dustin --out-interface eth0 --jump ACCEPT",
            "iptables --append FORWARD --in-interface eth0 --out-interface veth_dustin --jump ACCEPT",
        ],
        before: |w, s| {
            let host = w.host();
            let tap = Capture::on(&host.link("eth0")?)?;
            s.no_reply(&w.machine(DUSTIN)?, "8.8.8.8", Reason::Silence)?;
            s.replies(&host, "8.8.8.8")?;
            s.packets(
                "host: only its own ping leaves by eth0",
                &tap.stop()?.filter(capture::icmp().outgoing())?,
                &["host/eth0 Out IP 192.168.0.100 > 8.8.8.8: ICMP echo request"],
            )
        },
        change: |w| {
            rules::accept(w, "veth_dustin", "eth0")?;
            rules::accept(w, "eth0", "veth_dustin")
        },
        check: |w, s| {
            let (host, router, dustin) = (w.host(), w.machine("router")?, w.machine(DUSTIN)?);
            s.with("FORWARD policy DROP");
            let tap = Capture::on_all([&host, &router])?;
            s.no_reply(&dustin, "8.8.8.8", Reason::Silence)?;
            let packets = tap.stop()?.filter(capture::icmp())?;
            s.packets(
                "host: the packet leaves by eth0",
                &packets.filter(capture::any().on("host/eth0"))?,
                &["host/eth0 Out IP 10.0.0.11 > 8.8.8.8: ICMP echo request"],
            )?;
            s.equals("host: the first rule counts the packet", rules::rule(w, "veth_dustin", "eth0")?.hits()?.packets, 1)?;
            s.equals("host: the second rule counts none", rules::rule(w, "eth0", "veth_dustin")?.hits()?.packets, 0)?;
            s.wrong();
            s.packets(
                "router: the packet comes from 10.0.0.11, and its reply goes back to the internet",
                &packets.filter(capture::any().within("router"))?,
                &[
                    "router/lan0 In  IP 10.0.0.11 > 8.8.8.8: ICMP echo request",
                    "router/wan0 Out IP 203.0.113.2 > 8.8.8.8: ICMP echo request",
                    "router/wan0 In  IP 8.8.8.8 > 203.0.113.2: ICMP echo reply",
                    "router/wan0 Out IP 8.8.8.8 > 10.0.0.11: ICMP echo reply",
                ],
            )?;
            s.has_no_route_to(&router, "there is no route to 10.0.0.0/24", "main", "10.0.0.0/24")?;
            s.without("FORWARD policy DROP");
            rules::delete(w, "veth_dustin", "eth0")?;
            rules::delete(w, "eth0", "veth_dustin")?;
            let _open = Policy::accept(&host).forward().install()?;
            let tap = Capture::on(&host.link("eth0")?)?;
            s.no_reply(&dustin, "8.8.8.8", Reason::Silence)?;
            s.packets(
                "host: the packet leaves without any rule",
                &tap.stop()?.filter(capture::icmp())?,
                &["host/eth0 Out IP 10.0.0.11 > 8.8.8.8: ICMP echo request"],
            )
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.22",
        title: "MASQUERADE",
        claim: "When the host puts its own address in the place of the source, the ping gets its reply.",
        truth: "It does. On the wire behind eth0 the ping comes from 192.168.0.100; the host remembers whose it is, and the reply finds its way \
                back. The two rules of FORWARD are both needed, one for each direction.",
        needs: &["ip_forward=1"],
        commands: &["iptables --append POSTROUTING --table nat --out-interface eth0 --jump MASQUERADE"],
        before: |w, s| s.no_reply(&w.machine(DUSTIN)?, "8.8.8.8", Reason::Silence),
        change: |w| {
            let rule = NatRule::masquerade(&w.host()).out("eth0").install()?;
            w.keep(MASQUERADE, rule);
            Ok(())
        },
        check: |w, s| {
            let (host, dustin) = (w.host(), w.machine(DUSTIN)?);
            let tap = Capture::on(&host)?;
            s.replies(&dustin, "8.8.8.8")?;
            s.packets(
                "host: outside the source is 192.168.0.100",
                &tap.stop()?.filter(capture::icmp())?,
                &[
                    "host/veth_dustin In  IP 10.0.0.11 > 8.8.8.8: ICMP echo request",
                    "host/eth0 Out IP 192.168.0.100 > 8.8.8.8: ICMP echo request",
                    "host/eth0 In  IP 8.8.8.8 > 192.168.0.100: ICMP echo reply",
                    "host/veth_dustin Out IP 8.8.8.8 > 10.0.0.11: ICMP echo reply",
                ],
            )?;
            s.served_as(&dustin, &format!("{SITE_ADDRESS}:80"), INTERNET, "203.0.113.2")?;
            s.without("the rule for the way back");
            rules::delete(w, "eth0", "veth_dustin")?;
            host.flush_connections()?;
            s.no_reply(&dustin, "8.8.8.8", Reason::Silence)?;
            s.with("both rules");
            rules::accept(w, "eth0", "veth_dustin")?;
            s.replies(&dustin, "8.8.8.8")?;
            s.without("ip_forward=1");
            let _still = host.set_sysctl("net.ipv4.ip_forward", 0)?;
            s.no_reply(&dustin, "8.8.8.8", Reason::Silence)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.23",
        title: "DNS still fails",
        verdict: Verdict::Precondition,
        claim: "Names are not found still: the namespace has the host's resolv.conf, which names 127.0.0.53, and there it asks its own \
                loopback.",
        truth: "resolv.conf is a file, and a network namespace does not change which files one sees. The address in it means another machine \
                now. Where resolv.conf names a server outside, names are found as soon as packets get there.",
        needs: &["a stub resolver, with an address of 127.0.0.0/8 in resolv.conf"],
        commands: &["ip netns exec netns_dustin ping -c1 www.example.com", "ip netns exec netns_dustin cat /etc/resolv.conf"],
        cause: Cause::Lack { of: "echo nameserver 8.8.8.8 > /etc/netns/netns_dustin/resolv.conf", supply: |_| outside_resolver(DUSTIN) },
        check: |w, s| {
            let (host, dustin) = (w.host(), w.machine(DUSTIN)?);
            s.with("a stub resolver on the host's 127.0.0.53");
            s.replies(&dustin, "8.8.8.8")?;
            s.resolved(&host, SITE, SITE_ADDRESS)?;
            s.unresolved(&dustin, SITE, true)?;
            s.equals("netns_dustin: `cat /etc/resolv.conf` prints", resolv_conf(&dustin)?, "nameserver 127.0.0.53")?;
            let port = Probe::udp("127.0.0.53:53");
            s.fails(&dustin, "nc -u 127.0.0.53 53", port, Reason::Refused)?;
            s.without("the stub: the resolv.conf of all names 8.8.8.8");
            etc::configure_resolver("nameserver 8.8.8.8\n")?;
            s.resolved(&dustin, SITE, SITE_ADDRESS)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.24",
        title: "/etc/netns",
        claim: "With a resolv.conf of its own, in /etc/netns/netns_dustin, the namespace finds names.",
        truth: "It does, but only for what `ip netns exec` starts: that mounts the file over /etc/resolv.conf. Who enters the network namespace \
                in another way sees the host's file still.",
        commands: &["mkdir --parents /etc/netns/netns_dustin", "echo nameserver 8.8.8.8 > /etc/netns/netns_dustin/resolv.conf"],
        before: |w, s| s.unresolved(&w.machine(DUSTIN)?, SITE, true),
        change: |_| outside_resolver(DUSTIN),
        check: |w, s| {
            let (host, dustin) = (w.host(), w.machine(DUSTIN)?);
            s.resolved(&dustin, SITE, SITE_ADDRESS)?;
            s.equals("netns_dustin: `cat /etc/resolv.conf` prints", resolv_conf(&dustin)?, "nameserver 8.8.8.8")?;
            s.equals("host: `cat /etc/resolv.conf` prints", resolv_conf(&host)?, "nameserver 127.0.0.53")?;
            s.resolved(&host, SITE, SITE_ADDRESS)?;
            s.unstated();
            let seen = ip_netns::setns(&dustin, || fs::read_to_string("/etc/resolv.conf"))?.unwrap_or_default();
            s.equals("netns_dustin, entered by `nsenter --net`: `cat /etc/resolv.conf` prints", seen.trim(), "nameserver 127.0.0.53")?;
            s.unresolved_by_setns(&dustin, SITE)
        },
        ..Stage::STILL
    },
];

/// Gives a namespace a name server outside, as stage 24 does.
pub(super) fn outside_resolver(namespace: &str) -> Result<()> {
    etc::write(&format!("/etc/netns/{namespace}/resolv.conf"), "nameserver 8.8.8.8\n")
}

/// What a program that `ip netns exec` starts reads.
fn resolv_conf(of: &Netns) -> Result<String> {
    Ok(ip_netns::exec(of, || fs::read_to_string("/etc/resolv.conf"))?.unwrap_or_default().trim().to_owned())
}
