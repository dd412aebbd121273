//! The commands that stages show, typed into a shell, do what the fixtures of the stages do: both leave the same behind.

use std::fmt::Write;
use std::process::Command;

use scenarios::{Result, World};

/// What a shell prints; the line succeeds.
fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().expect("sh");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Lines that ask, and servers, change nothing that would be left.
fn only_asks(line: &str) -> bool {
    ["ping ", "curl ", "python3 ", "cat "].iter().any(|program| line.contains(program))
}

/// The world of a document after one of its stages, made by the commands that its stages show.
fn world_by_commands(last: &str) -> Result<World> {
    let (document, _) = scenarios::find_stage(last).expect("a stage");
    let world = (document.start)()?;
    let stages = document.stages().filter(|stage| stage.id <= last && !stage.aside);
    // Where iptables is the old one, nft does not see its rules.
    let type_line = |line: &&str| drop(sh(&line.replace("iptables ", "iptables-nft ")));
    stages.flat_map(|stage| stage.commands).filter(|line| !only_asks(line)).for_each(type_line);
    Ok(world)
}

/// What `ip`, `nft` and files tell of this machine and of the namespaces that have a name.
fn facts() -> String {
    // The kernel takes note of a carrier later, or at once for a link that is asked for alone. The indexes behind the names are its choice
    // on one side, and netlab's on the other.
    let network = |exec: &str| {
        let links = sh(&format!("{exec} ip -o link | cut -d: -f2 | cut -d@ -f1"));
        links.lines().for_each(|link| drop(sh(&format!("{exec} ip link show dev {link}"))));
        sh(&format!("{exec} ip -4 -br address | sed 's/@[^ ]*/ /; s/  */ /g'; {exec} ip -4 route"))
    };
    let mut text = format!("# host\n{}", network(""));
    for name in sh("ls /run/netns").lines() {
        let exec = format!("ip netns exec {name}");
        let resolver = sh(&format!("{exec} cat /etc/resolv.conf"));
        write!(text, "# {name}\n{}{resolver}", network(&exec)).expect("memory");
    }
    let ports = sh("ip -o link show type veth | sed -n 's/.* \\(veth[^@]*\\)@.* master \\([^ ]*\\) .*/\\1 is a port of \\2/p'");
    let host = ["sysctl net.ipv4.ip_forward", "ls -d /etc/netns/*", "nft -s list ruleset"].map(sh).concat();
    text + &ports + &host
}

#[netlab::test]
fn commands_make_the_end_of_document_000() -> Result<()> {
    let _world = world_by_commands("000.33")?;
    insta::assert_snapshot!("end_of_document_000", facts());
    Ok(())
}

#[netlab::test]
fn fixtures_make_the_end_of_document_000() -> Result<()> {
    let _world = scenarios::world_after("000.33")?;
    insta::assert_snapshot!("end_of_document_000", facts());
    Ok(())
}

#[netlab::test]
fn commands_leave_what_is_left_of_document_000() -> Result<()> {
    let _world = world_by_commands("000.35")?;
    // A fixture takes its chain and its table along; iptables leaves them. A chain with a rule could not be deleted.
    sh("nft delete chain ip nat POSTROUTING && nft delete table ip nat");
    insta::assert_snapshot!("left_of_document_000", facts());
    Ok(())
}

#[netlab::test]
fn fixtures_leave_what_is_left_of_document_000() -> Result<()> {
    let _world = scenarios::world_after("000.35")?;
    insta::assert_snapshot!("left_of_document_000", facts());
    Ok(())
}

/// What kube-proxy's nftables mode has on a node, without the counters that every rule of a fixture has, and nobody types.
fn kube_proxy(listed: &str) -> String {
    listed.replace("counter ", "")
}

#[netlab::test]
fn commands_make_the_rules_of_kube_proxy() {
    let (_, stage) = scenarios::find_stage("systems.clusterip-nft").expect("a stage");
    stage.commands.iter().for_each(|line| drop(sh(line)));
    insta::assert_snapshot!("rules_of_kube_proxy", kube_proxy(&sh("nft -s list ruleset")));
}

#[netlab::test]
fn fixtures_make_the_rules_of_kube_proxy() -> Result<()> {
    let _world = scenarios::world_after("systems.clusterip-nft")?;
    insta::assert_snapshot!("rules_of_kube_proxy", kube_proxy(&sh("nft -s list ruleset")));
    Ok(())
}
