//! Stage 24: which of Calico's settings its network needs.

use std::time::Duration;

use netlab::capture::icmp;
use netlab::{Answer, Capture, NatRule, Netns, Outcome, Probe, Reason, Route, RpFilter};

use super::calico::asked_and_answered;
use super::{CON_1, NODE_1};
use crate::ask::{SILENCE, counter};
use crate::error::{Error, Result};
use crate::stage::{Cause, Stage};
use crate::table::Table;

pub(super) const STAGES: &[Stage] = &[Stage {
    id: "001.24",
    title: "which knob it is",
    claim: "Of the six sysctls proxy_arp and forwarding of veth0 are what makes this work; rp_filter keeps the container from sending with \
            an address that is not its own.",
    truth: "So it is. The node needs two routes as well: the one to the container, and some route to 169.254.1.1 that does not lead back to \
            it, as the default route does. Not needed for this ping: route_localnet, rp_filter, and forwarding of eth0. route_localnet is for \
            DNAT rules that lead a container to the node's 127.0.0.1. With the kernel's \
            own proxy_delay=80 the answer waits for up to 0.8 s, by chance.",
    needs: &["a default route, or one to 169.254.0.0/16, on the node"],
    commands: &["sysctl -w net.ipv4.conf.veth0.proxy_arp=0; ping -c1 10.141.0.1; sysctl -w net.ipv4.conf.veth0.proxy_arp=1  # and so on"],
    cause: Cause::Change("001.21"),
    check: |w, s| {
        let (node, con1) = (w.machine(NODE_1)?, w.machine(CON_1)?);
        let (port, end) = (node.link("veth0")?, con1.link("eth0")?);
        s.table("con1 asks for its gateway and pings node001, with one thing different each time", &grid(&node, &con1)?, GRID)?;
        end.add_address("172.19.35.99/32")?.keep();
        s.equals(
            "con1 sends as 172.19.35.99: node001 drops it (TcpExtIPReversePathFilter)",
            as_another(&node, &con1)?,
            "no reply, 1 counted",
        )?;
        s.without("rp_filter=1 on veth0");
        port.set_rp_filter(RpFilter::Off)?;
        s.equals("con1 sends as 172.19.35.99: node001 replies to that", as_another(&node, &con1)?, "a reply, 0 counted")?;
        port.set_rp_filter(RpFilter::Strict)?;
        s.unstated();
        let _metadata = node.serve(METADATA).http("127.0.0.1:8080")?;
        let _rule = NatRule::dnat(&node).on("veth0").addressed_to("169.254.169.254").tcp(80).to("127.0.0.1:8080").install()?;
        s.served_as(&con1, "169.254.169.254:80", METADATA, "172.19.35.2")?;
        s.without("route_localnet=1 on veth0");
        port.set_route_localnet(false)?;
        s.not_served(&con1, "169.254.169.254:80", Reason::Silence)?;
        s.unstated();
        let tries = (0..5).map(|_| first_reply(&con1, LATEST)).collect::<Result<Vec<_>>>()?;
        let first = tries.into_iter().flatten().min();
        s.holds("con1: with proxy_delay=0 the gateway answers at once", seconds(first), first.is_some_and(|time| time < AT_ONCE))?;
        port.set_ipv4_neigh("proxy_delay", 80)?.keep();
        let delayed = first_reply(&con1, LATEST)?;
        s.holds("con1: with the kernel's 80 it answers when it pleases", seconds(delayed), delayed.is_some())?;
        // Within the time that is waited, it answers by chance once in six million times.
        port.set_ipv4_neigh("proxy_delay", 200_000_000)?.keep();
        let never = first_reply(&con1, SILENCE)?;
        s.holds("con1: with 200000000, which is up to three weeks, it does not", seconds(never), never.is_none())
    },
    ..Stage::STILL
}];

/// A service that listens on the node's own loopback, as those for cloud metadata do.
const METADATA: &str = "metadata";
/// What "at once" means beside up to 0.8 s.
const AT_ONCE: Duration = Duration::from_millis(500);
/// Far beyond 0.8 s, for a busy machine.
const LATEST: Duration = Duration::from_secs(3);

/// Something to do to the node, and how to undo it.
type Knob = (&'static str, fn(&Netns) -> netlab::Result<()>, fn(&Netns) -> netlab::Result<()>);

const KNOBS: &[Knob] = &[
    ("as Calico has it", |_| Ok(()), |_| Ok(())),
    ("proxy_arp=0 on veth0", |node| node.link("veth0")?.set_proxy_arp(false), |node| node.link("veth0")?.set_proxy_arp(true)),
    ("forwarding=0 on veth0", |node| node.link("veth0")?.set_forwarding(false), |node| node.link("veth0")?.set_forwarding(true)),
    ("no route to 172.19.35.2", |node| node.delete_route("172.19.35.2"), add_host_route),
    ("the same, and rp_filter=0 on veth0", without_host_route_and_rp_filter, with_host_route_and_rp_filter),
    ("no default route", |node| node.delete_route("default"), add_default_route),
    ("169.254.0.0/16 dev eth0 instead", swap_default_route, swap_back),
    ("rp_filter=0 on veth0", |node| node.link("veth0")?.set_rp_filter(RpFilter::Off), strict),
    (
        "route_localnet=0 on veth0",
        |node| node.link("veth0")?.set_route_localnet(false),
        |node| node.link("veth0")?.set_route_localnet(true),
    ),
    ("forwarding=0 on eth0", |node| node.link("eth0")?.set_forwarding(false), |node| node.link("eth0")?.set_forwarding(true)),
];

/// Seen on Linux 6.18.
const GRID: &[&str] = &[
    "on the node                         who has 169.254.1.1?  ping",
    "as Calico has it                    answered              ttl 64",
    "proxy_arp=0 on veth0                not answered          silent",
    "forwarding=0 on veth0               not answered          silent",
    "no route to 172.19.35.2             not answered          silent",
    "the same, and rp_filter=0 on veth0  answered              silent",
    "no default route                    not answered          silent",
    "169.254.0.0/16 dev eth0 instead     answered              ttl 64",
    "rp_filter=0 on veth0                answered              ttl 64",
    "route_localnet=0 on veth0           answered              ttl 64",
    "forwarding=0 on eth0                answered              ttl 64",
];

fn grid(node: &Netns, con1: &Netns) -> Result<Table> {
    let mut table = Table::new(["on the node", "who has 169.254.1.1?", "ping"]);
    for ((name, turn, turn_back), expected) in KNOBS.iter().zip(&GRID[1..]) {
        turn(node)?;
        let within = if expected.ends_with("silent") { SILENCE } else { LATEST };
        let (asked, outcome) = asked_and_answered(con1, node, within)?;
        let ping = match outcome {
            Outcome::Answer(answer) => format!("ttl {}", answer.ttl().unwrap_or_default()),
            Outcome::Silence { .. } => "silent".to_owned(),
            other => other.to_string(),
        };
        table.row([(*name).to_owned(), asked.to_owned(), ping]);
        turn_back(node)?;
    }
    Ok(table)
}

fn add_host_route(node: &Netns) -> netlab::Result<()> {
    Route::to("172.19.35.2").dev("veth0").install(node).map(Route::keep)
}

fn without_host_route_and_rp_filter(node: &Netns) -> netlab::Result<()> {
    node.delete_route("172.19.35.2")?;
    node.link("veth0")?.set_rp_filter(RpFilter::Off)
}

fn with_host_route_and_rp_filter(node: &Netns) -> netlab::Result<()> {
    strict(node)?;
    add_host_route(node)
}

fn strict(node: &Netns) -> netlab::Result<()> {
    node.link("veth0")?.set_rp_filter(RpFilter::Strict)
}

fn add_default_route(node: &Netns) -> netlab::Result<()> {
    Route::default_via("10.141.255.254").install(node).map(Route::keep)
}

fn swap_default_route(node: &Netns) -> netlab::Result<()> {
    node.delete_route("default")?;
    Route::to("169.254.0.0/16").dev("eth0").install(node).map(Route::keep)
}

fn swap_back(node: &Netns) -> netlab::Result<()> {
    node.delete_route("169.254.0.0/16")?;
    add_default_route(node)
}

/// What the node makes of a ping that has another's address, and how often it counted one as not to be believed.
fn as_another(node: &Netns, con1: &Netns) -> Result<String> {
    // The gateway is asked for as oneself.
    con1.expect_ping("10.141.0.1")?;
    let before = counter(node, "TcpExtIPReversePathFilter")?;
    let tap = Capture::on(node)?;
    con1.observe(Probe::ping("10.141.0.1").source("172.19.35.99").within(SILENCE))?;
    let seen = tap.stop()?;
    if seen.count(icmp().echo_request().from("172.19.35.99").on("veth0"))? == 0 {
        return Err(Error::World("con1 has sent nothing as 172.19.35.99".to_owned()));
    }
    let reply = if seen.count(icmp().echo_reply().to("172.19.35.99"))? == 0 { "no reply" } else { "a reply" };
    Ok(format!("{reply}, {} counted", counter(node, "TcpExtIPReversePathFilter")? - before))
}

/// How long a ping takes whose sender knows no neighbour yet.
fn first_reply(con1: &Netns, within: Duration) -> Result<Option<Duration>> {
    con1.link("eth0")?.flush_neighbours()?;
    let outcome = con1.observe(Probe::ping("10.141.0.1").within(within))?;
    Ok(if let Outcome::Answer(answer) = outcome { Some(Answer::time(&answer)) } else { None })
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "no answer".to_owned(), |time| format!("after {:.2} s", time.as_secs_f64()))
}
