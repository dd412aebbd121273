//! What is not understood is pointed at.

use super::super::command::parse;
use crate::Netns;
use crate::error::Result;

/// Lines, with what is wrong between `«` and `»`, and words of the reason and the help.
type Wrong = &'static [(&'static str, &'static str)];

/// Iptables refuses these as well.
const WRONG: Wrong = &[
    ("-A INPUT -p tcp «--dprot» 80 -j DROP", "did you mean `--dport`? `-p tcp` knows --sport, --dport, --tcp-flags, --syn"),
    ("-A INPUT «--dport» 80 -j DROP", "`--dport` needs `-p tcp` or `-p udp`"),
    ("-A INPUT «--dport» 80 -p tcp -j DROP", "before it"),
    ("-A INPUT «--ctstate» NEW -j DROP", "write `-m conntrack --ctstate`"),
    ("-A INPUT -m «contrack» --ctstate NEW", "did you mean `-m conntrack`?"),
    ("-A INPUT -m conntrack --ctstate «NEW,ESTABLISED»", "did you mean `ESTABLISHED`?"),
    ("-A INPUT -m «multiport» --dports 80", "needs `-p tcp"),
    ("-A INPUT -m «tcp» -j DROP", "needs `-p tcp`"),
    ("-A INPUT -p tcp «--dport»", "needs a value"),
    ("-A INPUT -p tcp «--dport» -j DROP", "needs a value"),
    ("-A INPUT -p tcp --dport «70000»", "no number from 0 to 65535"),
    ("-A INPUT -p tcp --dport «htpp»", "write its number"),
    ("-A INPUT -p tcp --dport «90:80»", "end before they begin"),
    ("-A INPUT -p «tpc» -j DROP", "did you mean `tcp`?"),
    ("-A INPUT -s «!» 10.0.0.0/8 -j DROP", "the `!` stands before the option: `! -s`"),
    ("-A INPUT ! «10.0.0.0/8» -j DROP", "`! -s 10.0.0.0/8`"),
    ("-A INPUT «!» -j DROP", "cannot be turned round"),
    ("-A INPUT -j DROP «!»", "before an option"),
    ("-A INPUT -s «10.0.0.300» -j DROP", "no address"),
    ("-A INPUT -s «10.0.0.0/33» -j DROP", "no address"),
    ("iptables -A INPUT -s «fd00::1» -j DROP", "begin the line with `ip6tables`"),
    ("ip6tables -A INPUT -s «10.0.0.1» -j DROP", "IPv4 address"),
    ("-A INPUT -s 10.0.0.1 «-s» 10.0.0.2", "said twice"),
    ("-A INPUT -i «averyveryverylong» -j DROP", "at most 15"),
    ("-A INPUT «-o» eth0 -j DROP", "`-o` is not for INPUT"),
    ("-t nat -A PREROUTING «-o» eth0 -j ACCEPT", "not routed yet"),
    ("-t nat -A POSTROUTING «-i» eth0 -j MASQUERADE", "`-i` is not for POSTROUTING"),
    ("-A OUTPUT «-i» eth0 -j DROP", "`-i` is not for OUTPUT"),
    ("-A FORWARD -j «REDIRECT»", "write `-t nat`"),
    ("-A «POSTROUTING» -j MASQUERADE", "the table filter has no POSTROUTING"),
    ("-t nat -A OUTPUT -j «MASQUERADE»", "goes into POSTROUTING"),
    ("-t nat -A PREROUTING -j «DROP»", "not for filtering"),
    ("-t nat -A PREROUTING -j REDIRECT --to-ports «80»", "only a protocol has ports"),
    ("-t nat -A PREROUTING -j «DNAT»", "needs `--to-destination`"),
    ("-t nat -A PREROUTING -j DNAT «--to-source» 1.2.3.4", "needs `-j SNAT`"),
    ("-t nat -A PREROUTING «--to-destination» 1.2.3.4 -j DNAT", "`-j DNAT` before it"),
    ("-t nat -A PREROUTING -p tcp -j DNAT --to-destination «1.2.3.4:»", "no address, range"),
    ("-t «natt» -A PREROUTING -j ACCEPT", "did you mean `nat`?"),
    ("-A INPUT «-j»", "needs a value"),
    ("-A INPUT -j DROP «-j» ACCEPT", "one target"),
    ("-A INPUT -j «FORWARD»", "called by the kernel"),
    ("-A INPUT -g «DROP»", "write `-j DROP`"),
    ("-A INPUT -j REJECT --reject-with «tcp-reset»", "`-p tcp`"),
    ("-A INPUT -j REJECT --reject-with «icmp-hosts»", "icmp-host-unreachable"),
    ("-A INPUT -j ACCEPT «--to-ports» 80", "needs `-j MASQUERADE`"),
    ("-A INPUT «-dport» 80 -j DROP", "did you mean `--dport`?"),
    ("-A INPUT «tcp» -j DROP", "belongs to no option"),
    ("-A INPUT «-I» OUTPUT -j DROP", "one thing"),
    ("-I INPUT «0» -j DROP", "counted from 1"),
    ("-P INPUT «REJECT»", "ACCEPT or DROP"),
    ("-P «MINE» DROP", "kernel calls"),
    ("-t nat -P OUTPUT «DROP»", "not for filtering"),
    ("-P «INPUT» DROP -s 10.0.0.1", "no condition"),
    ("-N «INPUT»", "from the beginning"),
    ("-N «ACCEPT»", "is a target"),
    ("-N «abcdefghijklmnopqrstuvwxyz1234»", "at most 28"),
    ("-A INPUT -m mark --mark 1 «--mark» 2", "said twice"),
    ("-A INPUT -m «mark» -j DROP", "needs `--mark`"),
    ("-A INPUT -m «statistic» --mode nth --every 3", "needs `--packet`"),
    ("-A INPUT -m statistic --mode nth --every 3 --packet «3»", "count from 0"),
    ("-A INPUT -m statistic --mode random --probability «1.5»", "from 0 to 1"),
    ("-A INPUT -m «recent» --name X", "needs one of --set, --rcheck, --update"),
    ("-A INPUT -m recent --set «--rcheck»", "exclude each other"),
    ("-A INPUT -m «rpfilter» --invert -j DROP", "PREROUTING"),
    ("-A INPUT -m limit --limit «5/fortnight»", "second, minute, hour, day"),
    ("-A INPUT -m limit --limit «0/s»", "10000 a second"),
    ("-A INPUT -p icmp --icmp-type «echo-reqest»", "did you mean `echo-request`?"),
    ("-A FORWARD -j MARK --set-mark 1 «--or-mark» 2", "exclude each other"),
];

/// What iptables takes: it is no fixture's, or a shell's, or more than nf_tables has words for.
const NOT_OURS: Wrong = &[
    ("-A INPUT -i «eth*» -j DROP", "iptables writes `+`"),
    ("-A INPUT -m «physdev» --physdev-in eth0 -j DROP", "family bridge"),
    ("-A INPUT -m conntrack --ctstate «NEW,DNAT»", "write a rule with the states and one with SNAT or DNAT"),
    ("-A INPUT -s «10.0.0.5/255.0.0.255» -j DROP", "mask"),
    ("-A INPUT -s «example.org» -j DROP", "names are not resolved"),
    ("-A INPUT -j «TCPMSS» --clamp-mss-to-pmtu", "no target"),
    ("«-D» INPUT -j DROP", "drop the fixture"),
    ("«-F»", "drop the fixture"),
    ("-t nat «-L»", "ruleset()"),
    ("-t «nat»", "does not say what to do"),
    ("", "does not say what to do"),
    ("-A INPUT -m recent --rcheck «--hitcount» 4", "is no option here"),
    (r#"-A INPUT -m comment --comment «"»open -j DROP"#, "does not end"),
    ("-A INPUT -s «$HOST» -j DROP", "netlab is none"),
    ("-A INPUT -j DROP«;» -A OUTPUT -j DROP", "netlab is none"),
    ("«nft» add rule ip filter INPUT drop", "a line begins with `iptables`"),
    ("-A INPUT -m set --match-set calico «dst,dst»", "one address"),
    ("-A FORWARD -j CONNMARK --save-mark --mask «0xff»", "Linux 6.13"),
    ("-A FORWARD -p tcp -m multiport «--ports» 80,90", "a rule with `--sports` and one with `--dports`"),
];

#[test]
fn what_is_wrong_is_pointed_at_with_what_is_right() {
    for (marked, words) in WRONG.iter().chain(NOT_OURS) {
        let line = marked.replace(['«', '»'], "");
        let Err(wrong) = parse(&line, None) else { panic!("this is understood: {line}") };
        let before = marked.find('«').map_or(0, |at| marked[..at].chars().count());
        let length = marked.split(['«', '»']).nth(1).map_or(1, |word| word.chars().count());
        let said = format!("{}; {}", wrong.why, wrong.help.as_deref().unwrap_or_default());
        assert_eq!(wrong.shown_in(&line), format!("{line}\n{}{}", " ".repeat(before), "^".repeat(length)), "{said}");
        assert!(said.contains(words), "{line}\n{said}");
    }
}

#[netlab::test]
fn iptables_refuses_what_is_refused() -> Result<()> {
    let mut taken = Vec::new();
    for (marked, _) in WRONG {
        let netns = Netns::new("refused")?;
        let line = marked.replace(['«', '»'], "");
        let (program, rest) = match line.split_once("tables ") {
            Some(("ip6", rest)) => ("ip6tables-nft", rest),
            Some((_, rest)) => ("iptables-nft", rest),
            None => ("iptables-nft", line.as_str()),
        };
        let done = netns.command("sh")?.args(["-c", &format!("iptables-nft -N MINE; {program} {rest}")]).output().unwrap();
        taken.extend(done.status.success().then_some(line));
    }
    println!("{} lines compared", WRONG.len());
    assert!(taken.is_empty(), "iptables takes:\n{}", taken.join("\n"));
    Ok(())
}
