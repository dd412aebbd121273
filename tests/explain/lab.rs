//! The networks of these tests, and what can be demanded of an explanation.

use netlab::explain::{Cause, Finding};
use netlab::{Bridge, Explanation, Netns, Probe, Responder, Result, VethPair};

/// `client — router — server`, with routes both ways.
pub(crate) struct Routed {
    pub(crate) client: Netns,
    pub(crate) router: Netns,
    pub(crate) server: Netns,
    pub(crate) lan: VethPair,
    pub(crate) wan: VethPair,
    pub(crate) echo: Responder,
}

pub(crate) fn routed() -> Result<Routed> {
    let (client, router, server) = (Netns::new("client")?, Netns::new("router")?, Netns::new("server")?);
    let lan = VethPair::connect(client.iface("eth0").addr("10.0.1.2/24").gateway("10.0.1.1"), router.iface("lan0").addr("10.0.1.1/24"))?;
    let wan = VethPair::connect(router.iface("wan0").addr("10.0.2.1/24"), server.iface("eth0").addr("10.0.2.2/24").gateway("10.0.2.1"))?;
    router.forward_ipv4()?;
    let echo = server.udp_echo("10.0.2.2:7000")?;
    let lab = Routed { client, router, server, lan, wan, echo };
    healthy(&lab.client, &lab.echo)?;
    Ok(lab)
}

/// `client` and `server` on a bridge in `switch`.
pub(crate) struct Switched {
    pub(crate) client: Netns,
    pub(crate) switch: Netns,
    pub(crate) server: Netns,
    pub(crate) bridge: Bridge,
    pub(crate) cables: [VethPair; 2],
    pub(crate) echo: Responder,
}

pub(crate) fn switched() -> Result<Switched> {
    let (client, switch, server) = (Netns::new("client")?, Netns::new("switch")?, Netns::new("server")?);
    let bridge = Bridge::new(switch.iface("br0"))?;
    let cables = [bridge.plug(client.iface("eth0").addr("10.0.0.1/24"))?, bridge.plug(server.iface("eth0").addr("10.0.0.2/24"))?];
    let echo = server.udp_echo("10.0.0.2:7000")?;
    let lab = Switched { client, switch, server, bridge, cables, echo };
    healthy(&lab.client, &lab.echo)?;
    Ok(lab)
}

/// Demands that the probe has its answer, and accuses nobody.
#[track_caller]
pub(crate) fn healthy(asker: &Netns, probe: impl Into<Probe>) -> Result<()> {
    let explanation = asker.explain(probe)?;
    assert!(explanation.is_healthy() && explanation.finding().is_none(), "{explanation}");
    Ok(())
}

/// Demands that the probe fails by this cause on this machine, and gives the text.
#[track_caller]
pub(crate) fn dies(asker: &Netns, probe: impl Into<Probe>, machine: &str, is: impl Fn(&Cause) -> bool) -> Result<String> {
    let explanation = asker.explain(probe)?;
    let Some(Finding { machine: blamed, cause, .. }) = explanation.finding() else { panic!("no finding:\n{explanation}") };
    assert!(blamed == machine && is(cause), "{explanation}\n{cause:?}");
    let text = normalised(&explanation);
    assert!(text.lines().count() <= 40, "{text}");
    Ok(text)
}

/// The text without what differs from run to run: ports that the kernel chose, times, process ids.
pub(crate) fn normalised(explanation: &Explanation) -> String {
    let mut text = String::new();
    let mut digits = String::new();
    for c in explanation.to_string().chars().chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let chosen = text.ends_with(':') && digits.parse::<u32>().is_ok_and(|port| port >= 32768);
        let time = text.ends_with("for ") && digits.len() >= 3;
        let pid = !digits.is_empty() && (text.ends_with("-CONT ") || (text.ends_with("` (") && c == ')'));
        text.push_str(match (chosen, time, pid) {
            (true, ..) => "PORT",
            (_, true, _) => "TIME",
            (.., true) => "PID",
            _ => &digits,
        });
        digits.clear();
        text.push(c);
    }
    text.truncate(text.trim_end().len());
    text
}
