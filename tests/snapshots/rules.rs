//! `ip rule`.

use netlab::snapshot::{Action, Rules};
use netlab::{Netns, Result};

use crate::oracle::{build, build_ipv6, build_what_there_is, same};

const ZOO: &str = "
    link add v0 type veth peer name v1
    rule add from 10.0.0.0/8 to 10.1.0.0/16 lookup 100
    rule add iif v0 oif nosuch fwmark 0x10/0xff lookup 200 prio 50
    rule add not from 10.0.0.1 lookup main suppress_prefixlength 0
    rule add fwmark 7 lookup 5 suppress_ifgroup 3
    rule add to 1.2.3.4 tos 0x10 blackhole prio 60
    rule add prohibit from 1.1.1.1
    rule add unreachable iif lo
    rule add uidrange 0-0 ipproto tcp sport 5 dport 10-20 lookup 9
    rule add goto 60 prio 40
    rule add goto 39999 prio 41
    rule add nop prio 42
    rule add lookup 3 realms 1/2 prio 43
    rule add lookup 3 protocol static prio 44
    rule add tun_id 5 lookup 6 prio 45
    rule add ipproto 200 lookup 7 prio 46
    rule add ipproto icmp lookup 7 prio 47
    rule add from 0.0.0.0/3 lookup 4 prio 49
    rule add ipproto udp lookup 7 prio 52
    rule add fwmark 0/0xff lookup 7 prio 53
    rule add oif v0 not dsfield 4 lookup 300 prio 54
    rule add suppress_ifgroup default lookup 33 prio 56
    rule add realms 7 lookup 1 prio 57
    rule add from 0.0.0.0/0 to 9.9.9.9/32 lookup local prio 58
";

const ZOO_IPV6: &str = "
    rule add from fd00::/8 lookup 7
    rule add to ::1 lookup 8 ipproto ipv6-icmp
    rule add iif lo fwmark 1 unreachable
";

fn zoo(name: &str) -> Result<Netns> {
    let ns = Netns::new(name)?;
    build(&ns, ZOO);
    build_ipv6(&ns, ZOO_IPV6);
    build_what_there_is(&ns, "rule add l3mdev prio 48");
    Ok(ns)
}

#[netlab::test]
fn rules_read_as_in_ip_rule() -> Result<()> {
    let ns = zoo("zoo")?;
    same(&ns, "rule", || ns.rules().unwrap().to_string());
    same(&ns, "-6 rule", || ns.rules_ipv6().unwrap().to_string());
    Ok(())
}

#[netlab::test]
fn a_rule_for_an_interface_that_has_gone_is_shown_as_detached() -> Result<()> {
    let ns = zoo("zoo")?;
    build(&ns, "link del v0");
    assert!(ns.rules()?.iter().any(|rule| rule.iif_detached && rule.iif.as_deref() == Some("v0")));
    same(&ns, "rule", || ns.rules().unwrap().to_string());
    Ok(())
}

#[netlab::test]
fn fields_say_what_the_text_says() -> Result<()> {
    let ns = zoo("zoo")?;
    let rules = ns.rules()?;
    let find = |priority| rules.iter().find(|rule| rule.priority == priority).unwrap();
    assert_eq!((find(50).fwmark, find(50).table, find(50).oif_detached), (Some((0x10, 0xff)), Some(200), true));
    assert_eq!((find(41).action, find(60).action), (Action::Goto { priority: 39999, unresolved: true }, Action::Blackhole));
    assert_eq!((find(58).to.map(|net| net.to_string()).as_deref(), find(43).realms), (Some("9.9.9.9/32"), Some(1 << 16 | 2)));
    let back: Rules = serde_json::from_str(&serde_json::to_string(&rules).unwrap()).unwrap();
    assert_eq!(back, rules);
    Ok(())
}
