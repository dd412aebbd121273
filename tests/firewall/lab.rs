//! What the tests here share: a client, a router and a server.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use netlab::nft::Family;
use netlab::{Netns, Probe, Reason, Responder, Result, VethPair};

/// `client` 10.0.0.2 behind `router` (lan0 10.0.0.1, wan0 203.0.113.1), and `server` 203.0.113.9, which knows no way back to 10.0.0.0/24.
pub(crate) struct Lab {
    pub(crate) client: Netns,
    pub(crate) router: Netns,
    pub(crate) server: Netns,
    _lan: VethPair,
    _wan: VethPair,
}

impl Lab {
    /// The server has no way back to the client: only NAT brings one.
    pub(crate) fn without_way_back() -> Result<Self> {
        Self::build(false)
    }

    /// The server's default route is the router.
    pub(crate) fn routed() -> Result<Self> {
        Self::build(true)
    }

    fn build(way_back: bool) -> Result<Self> {
        let (client, router, server) = (Netns::new("client")?, Netns::new("router")?, Netns::new("server")?);
        let lan = VethPair::connect(
            client.iface("eth0").addr("10.0.0.2/24").addr("fd00::2/64").gateway("10.0.0.1").gateway("fd00::1"),
            router.iface("lan0").addr("10.0.0.1/24").addr("fd00::1/64"),
        )?;
        let far = server.iface("eth0").addr("203.0.113.9/24").addr("fd09::9/64");
        let far = if way_back { far.gateway("203.0.113.1").gateway("fd09::1") } else { far };
        let wan = VethPair::connect(router.iface("wan0").addr("203.0.113.1/24").addr("fd09::1/64"), far)?;
        router.forward_ipv4()?;
        router.forward_ipv6()?;
        Ok(Self { client, router, server, _lan: lan, _wan: wan })
    }

    pub(crate) fn echo(&self) -> Result<Responder> {
        self.server.udp_echo("203.0.113.9:7000")
    }

    pub(crate) fn echo6(&self) -> Result<Responder> {
        self.server.udp_echo("[fd09::9]:7000")
    }
}

/// What a program printed in the namespace, which must have succeeded.
pub(crate) fn run(netns: &Netns, line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = netns.command(words.next().unwrap()).unwrap().args(words).output().unwrap();
    assert!(output.status.success(), "`{line}` in {netns}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Gives a text to `nft -f`.
pub(crate) fn nft(netns: &Netns, text: &str) {
    let mut command = netns.command("nft").unwrap();
    let mut child = command.args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "`nft -f` of {text} in {netns}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The listing of the namespace without counted values, which nft must print in the same words.
pub(crate) fn listing(netns: &Netns) -> Result<String> {
    let ours = netns.ruleset()?.stateless().to_string();
    assert_eq!(ours, run(netns, "nft -s list ruleset"));
    Ok(ours)
}

/// The rules of a chain in the order in which packets meet them.
pub(crate) fn order(netns: &Netns, family: Family, table: &str, chain: &str) -> Result<Vec<String>> {
    let ruleset = netns.ruleset()?;
    let chain = ruleset.table(family, table).and_then(|table| table.chain(chain));
    Ok(chain.map(|chain| chain.rules().iter().map(|rule| rule.text().to_owned()).collect()).unwrap_or_default())
}

/// Demands that nothing at all comes back, and does not wait long for it: the positive is beside it.
pub(crate) fn silence(netns: &Netns, probe: impl Into<Probe>) -> Result<()> {
    netns.expect_unreachable(probe.into().within(Duration::from_millis(200)))?.by(Reason::Silence).map(drop)
}
