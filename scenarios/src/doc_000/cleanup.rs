//! Stage 35: the clean-up, and what it leaves.

use std::{fs, io};

use netlab::{Bridge, NatRule, Reason, VethPair};

use super::rules::{self, MASQUERADE};
use super::{BRIDGE, CABLE, DUSTIN, LEAH, SERVER_2, SERVER_3, stop};
use crate::error::{Error, Result};
use crate::stage::{Stage, Verdict};
use crate::{etc, ip_netns};

pub(super) const STAGES: &[Stage] = &[Stage {
    id: "000.35",
    title: "clean up",
    verdict: Verdict::False,
    claim: "Eight deletions leave the host as it was.",
    truth: "All eight succeed, and the host is not as it was: the rule of stage 31, ip_forward=1 and the files in /etc/netns stay (and \
            an empty chain of nat, which does nothing). The two servers run on: only the names of their namespaces are gone, and they keep \
            what is left of them, a loopback device.",
    commands: &[
        "ip link delete veth_dustin",
        "ip link delete veth_leah",
        "ip link delete bridge_home",
        "ip netns delete netns_dustin",
        "ip netns delete netns_leah",
        "iptables --delete FORWARD --in-interface bridge_home --out-interface eth0 --jump ACCEPT",
        "iptables --delete FORWARD --in-interface eth0 --out-interface bridge_home --jump ACCEPT",
        "iptables --delete POSTROUTING --table nat --out-interface eth0 --jump MASQUERADE",
    ],
    before: |w, s| {
        s.links(&w.host(), "there are two cables and a bridge", "lo eth0 veth_dustin veth_leah bridge_home")?;
        s.equals("host: `ip netns list` has", ip_netns::names().join(" "), "netns_dustin netns_leah")
    },
    change: |w| {
        w.take::<VethPair>(CABLE)?.close()?;
        w.take::<VethPair>("the cable of netns_leah")?.close()?;
        w.take::<Bridge>(BRIDGE)?.close()?;
        ip_netns::delete_name(DUSTIN)?;
        ip_netns::delete_name(LEAH)?;
        rules::delete(w, BRIDGE, "eth0")?;
        rules::delete(w, "eth0", BRIDGE)?;
        Ok(w.take::<NatRule>(MASQUERADE)?.close()?)
    },
    check: |w, s| {
        let (host, dustin, leah) = (w.host(), w.machine(DUSTIN)?, w.machine(LEAH)?);
        s.links(&host, "cables and bridge are gone", "lo eth0")?;
        s.equals("host: `ip netns list` has no name", or_none(&ip_netns::names()), "none")?;
        s.wrong();
        s.ruleset(&host, "the rule from the bridge to the bridge is there", &rules(&[STAYS]))?;
        s.equals("host: ip_forward is 1", host.sysctl("net.ipv4.ip_forward")?, "1")?;
        s.equals("host: /etc/netns has directories", or_none(&resolvers()?), "netns_dustin netns_leah")?;
        s.served(&dustin, "127.0.0.1:8080", SERVER_2)?;
        s.served(&leah, "127.0.0.1:8080", SERVER_3)?;
        s.links(&dustin, "the namespace without a name has", "lo")?;
        s.with("the rest deleted by hand, and the servers stopped");
        rules::delete(w, BRIDGE, BRIDGE)?;
        host.set_sysctl("net.ipv4.ip_forward", 0)?.keep();
        etc::remove("/etc/netns")?;
        stop(w, SERVER_2)?;
        stop(w, SERVER_3)?;
        s.ruleset(&host, "the rules are those of Docker alone, as in the beginning", &rules(&[]))?;
        s.equals("host: ip_forward is 0", host.sysctl("net.ipv4.ip_forward")?, "0")?;
        s.equals("host: /etc/netns has directories", or_none(&resolvers()?), "none")?;
        s.not_served(&dustin, "127.0.0.1:8080", Reason::Refused)
    },
    ..Stage::STILL
}];

const STAYS: &str = r#"        iifname "bridge_home" oifname "bridge_home" counter accept"#;

/// The host's ruleset: the policy that Docker leaves, and rules of FORWARD.
fn rules<'a>(forward: &[&'a str]) -> Vec<&'a str> {
    let open = ["table ip filter {", "    chain FORWARD {", "        type filter hook forward priority filter; policy drop;"];
    [&open, forward, &["    }", "}"]].concat()
}

/// The namespaces that have files of their own in `/etc/netns`.
fn resolvers() -> Result<Vec<String>> {
    let files = match fs::read_dir("/etc/netns") {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files.map_err(|e| Error::World(format!("cannot list /etc/netns: {e}")))?,
    };
    let mut names: Vec<_> = files.flatten().map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}
