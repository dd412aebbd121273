// ANCHOR: script
use netlab::{Netns, Result, VethPair};
use std::process::Command;

#[netlab::test]
fn a_shell_script_sees_the_lab() -> Result<()> {
    let (red, blue) = (Netns::new("red")?, Netns::new("blue")?);
    red.attach()?; // for `ip netns exec red`, in this test's machine only
    let _cable = VethPair::connect(
        red.iface("eth0").addr("10.0.0.1/24"),
        blue.iface("eth0").addr("10.0.0.2/24"),
    )?;

    let script = "ip netns exec red ip -brief address show eth0";
    let output = Command::new("sh").args(["-c", script]).output().expect("there is a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("10.0.0.1/24"), "{text}");
    Ok(())
}
// ANCHOR_END: script

// ANCHOR: iptables
use netlab::Rules;

#[netlab::test]
fn a_ruleset_of_production_is_tested_as_it_is() -> Result<()> {
    let (client, server) = (Netns::new("client")?, Netns::new("server")?);
    let _cable = VethPair::connect(
        client.iface("eth0").addr("10.0.0.1/24"),
        server.iface("eth0").addr("10.0.0.2/24"),
    )?;
    let (ssh, web) = (server.tcp_server("10.0.0.2:22")?, server.tcp_server("10.0.0.2:80")?);
    client.probe(&web)?;

    let saved = "\
*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
";
    let _rules = Rules::iptables_restore(&server, saved)?;
    client.probe(&ssh)?;
    client.expect_unreachable(&web)?;
    Ok(())
}
// ANCHOR_END: iptables
