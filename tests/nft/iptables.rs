//! What iptables-nft installs, we list as `nft list ruleset` does, xtables matches and targets included.

use netlab::{Netns, Result};

use crate::oracle::{differences, output};

/// Without NAT of IPv6: nft 1.0.6 prints nothing for those targets.
const IP: &str = r#"
    -A FORWARD -p tcp --dport 80 -j ACCEPT
    -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -A FORWARD -m conntrack --ctstate INVALID -j DROP
    -A FORWARD -m conntrack --ctstate NEW,UNTRACKED -j DROP
    -A FORWARD -m conntrack ! --ctstate NEW -j DROP
    -A FORWARD -m conntrack --ctstate DNAT -j ACCEPT
    -A FORWARD -m conntrack --ctstatus ASSURED,CONFIRMED -j ACCEPT
    -A FORWARD -m conntrack --ctorigdst 10.0.0.1 --ctorigdstport 80 -j ACCEPT
    -A FORWARD -m conntrack --ctproto 6 --ctdir ORIGINAL -j ACCEPT
    -A FORWARD -m conntrack --ctorigdst 10.0.0.0/24 -j ACCEPT
    -A FORWARD -m state --state NEW -j ACCEPT
    -A FORWARD -i docker0 -o docker0 -j ACCEPT
    -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
    -A FORWARD -i veth+ -j ACCEPT
    -A FORWARD -s 10.0.0.0/8 ! -d 10.1.0.0/16 -j RETURN
    -A FORWARD -m addrtype --dst-type LOCAL -j ACCEPT
    -A FORWARD -m addrtype ! --src-type LOCAL -j ACCEPT
    -A FORWARD -m addrtype --dst-type LOCAL,BROADCAST -j ACCEPT
    -A FORWARD -m statistic --mode random --probability 0.5 -j RETURN
    -A FORWARD -m statistic --mode random --probability 0.33333333349 -j RETURN
    -A FORWARD -m statistic --mode nth --every 3 --packet 1 -j RETURN
    -A FORWARD -m comment --comment "hello there" -j ACCEPT
    -A FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
    -A FORWARD -m mark ! --mark 0x4000/0x4000 -j RETURN
    -A FORWARD -m mark --mark 5 -j ACCEPT
    -A FORWARD -m connmark --mark 5/0xff -j ACCEPT
    -A FORWARD -p tcp -m multiport --dports 80,443,8000:8010 -j ACCEPT
    -A FORWARD -p udp -m multiport --sports 53 -j ACCEPT
    -A FORWARD -p icmp --icmp-type echo-request -j ACCEPT
    -A FORWARD -p icmp -m icmp --icmp-type 3/4 -j ACCEPT
    -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j ACCEPT
    -A FORWARD -p tcp --syn -j ACCEPT
    -A FORWARD -m limit --limit 5/min --limit-burst 10 -j ACCEPT
    -A FORWARD -m mac --mac-source 00:11:22:33:44:55 -j ACCEPT
    -A FORWARD -m iprange --src-range 10.0.0.1-10.0.0.9 -j ACCEPT
    -A FORWARD -m pkttype --pkt-type broadcast -j DROP
    -A FORWARD -m length --length 100:200 -j DROP
    -A FORWARD -m physdev --physdev-in eth0 -j ACCEPT
    -A FORWARD -m ttl --ttl-eq 5 -j DROP
    -A FORWARD -f -j DROP
    -A FORWARD -j REJECT
    -A FORWARD -p tcp -j REJECT --reject-with tcp-reset
    -A FORWARD -j REJECT --reject-with icmp-host-prohibited
    -A FORWARD -j LOG --log-prefix "drop: " --log-level 7
    -A FORWARD -j LOG
    -A FORWARD -j NFLOG --nflog-group 5 --nflog-prefix "x"
    -N X
    -A FORWARD -j X
    -A FORWARD -g X
    -t nat -A POSTROUTING -s 172.18.0.0/24 ! -o cont-br0 -j MASQUERADE
    -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 1000-2000
    -t nat -A POSTROUTING -p tcp -j MASQUERADE --random
    -t nat -A POSTROUTING -j MASQUERADE --random-fully
    -t nat -A POSTROUTING -j SNAT --to-source 1.2.3.4
    -t nat -A POSTROUTING -p tcp -j SNAT --to-source 1.2.3.4-1.2.3.5:10-20 --random
    -t nat -A POSTROUTING -j SNAT --to-source 1.2.3.4 --random-fully --persistent
    -t nat -A PREROUTING -p tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:8000
    -t nat -A PREROUTING -j DNAT --to-destination 172.18.0.2
    -t nat -A PREROUTING -p tcp -j DNAT --to-destination 172.18.0.2-172.18.0.5:80-90 --persistent
    -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 8080
    -t nat -A PREROUTING -j REDIRECT
    -t mangle -A PREROUTING -j MARK --set-mark 5
    -t mangle -A PREROUTING -j MARK --set-xmark 0x4000/0x4000
    -t mangle -A PREROUTING -j MARK --set-xmark 0x0/0xff
    -t mangle -A PREROUTING -j MARK --or-mark 0x4
    -t mangle -A PREROUTING -j MARK --and-mark 0x4
    -t mangle -A PREROUTING -j MARK --xor-mark 0x4
    -t mangle -A PREROUTING -j CONNMARK --save-mark
    -t mangle -A PREROUTING -j CONNMARK --restore-mark
    -t mangle -A PREROUTING -j CONNMARK --set-mark 5
    -t mangle -A PREROUTING -p tcp -j TPROXY --on-port 50080 --on-ip 127.0.0.1 --tproxy-mark 1/1
    -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
    -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1400
    -t raw -A PREROUTING -j CT --notrack
    -t raw -A PREROUTING -j TRACE
    -t mangle -A PREROUTING -j DSCP --set-dscp 8
    -t mangle -A PREROUTING -j TTL --ttl-set 5
    -t mangle -A PREROUTING -j CHECKSUM --checksum-fill
    -t mangle -A PREROUTING -j MARK --set-mark 0
    -t mangle -A PREROUTING -j MARK --set-xmark 0x5/0xff
    -A FORWARD -p tcp -m comment --comment x -m tcp --dport 80 -j ACCEPT
    -A FORWARD -p udp -m udp --sport 5:10 -m comment --comment x -j ACCEPT
    -A FORWARD -p tcp -m multiport ! --dports 80,443 -j ACCEPT
    -A FORWARD -p icmp ! --icmp-type echo-request -j ACCEPT
    -A FORWARD -m statistic --mode nth ! --every 3 --packet 1 -j RETURN
    -A FORWARD -m addrtype --dst-type LOCAL --limit-iface-in -j ACCEPT
    -A FORWARD -m connmark ! --mark 5 -j ACCEPT
    -A FORWARD -m length --length 100 -j DROP
    -A FORWARD -m iprange ! --dst-range 10.0.0.1-10.0.0.9 -j ACCEPT
    -A FORWARD -m conntrack ! --ctorigdst 10.0.0.1 -j ACCEPT
    -A FORWARD -p all -j ACCEPT
    -A FORWARD ! -p tcp -j ACCEPT
    -A FORWARD -p tcp ! --dport 80 -j ACCEPT
    -A FORWARD -m ttl --ttl-gt 5 -j DROP
    -A FORWARD -j LOG --log-tcp-sequence --log-ip-options --log-uid
"#;

const IP6: &str = "
    -A FORWARD -p ipv6-icmp --icmpv6-type neighbor-solicitation -j ACCEPT
    -A FORWARD -s fe80::/10 -j REJECT
    -A FORWARD -p tcp --dport 80 -j REJECT --reject-with tcp-reset
    -A FORWARD -j REJECT --reject-with icmp6-adm-prohibited
    -A FORWARD -m conntrack --ctstate ESTABLISHED -d fd00::/64 -i eth0 -j ACCEPT
";

#[netlab::test]
fn every_iptables_rule_reads_as_nft_prints_it() -> Result<()> {
    let netns = Netns::new("iptables")?;
    let (mut rules, mut refused) = (0, Vec::new());
    for (program, corpus) in [("iptables-nft", IP), ("ip6tables-nft", IP6)] {
        for rule in corpus.lines().map(str::trim).filter(|rule| !rule.is_empty()) {
            rules += 1;
            let done = netns.command(program)?.args(words(rule)).output().unwrap();
            if !done.status.success() {
                refused.push(format!("{rule}: {}", String::from_utf8_lossy(&done.stderr)));
            }
        }
    }
    let (nft, ours) = (output(&netns, "nft", &["list", "ruleset"]), netns.ruleset()?.to_string());
    println!("{rules} iptables rules, {} lines compared", nft.lines().count());
    let differences = differences(&nft, &ours);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(refused.is_empty(), "not taken:\n{}", refused.join("\n"));
    Ok(())
}

/// The words of a command line, of which those in quotes have spaces.
fn words(line: &str) -> Vec<String> {
    let quoted = line.split('"').enumerate();
    let part = |(place, part): (usize, &str)| -> Vec<String> {
        if place % 2 == 1 { vec![part.to_owned()] } else { part.split_whitespace().map(str::to_owned).collect() }
    };
    quoted.flat_map(part).collect()
}
