//! Stages 05 to 08: the host's own way to a published port, and who has that port.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use netlab::capture::{Matcher, TcpOnly};
use netlab::{Capture, NatRule, Netns, Probe, Reason, Responder, Route, Sysctl, capture};

use super::published::MAPPINGS;
use super::{CON_1, CON_2, LAPTOP};
use crate::error::Result;
use crate::etc;
use crate::stage::{Cause, Stage, Verdict};
use crate::table::Table;
use crate::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "003.05",
        title: "from the host itself",
        claim: "For what the host itself sends it takes the same rules in OUTPUT; its own address works then. For localhost it takes more: \
                route_localhost=1 in a file such as /etc/sysctl.conf, and a MASQUERADE, because the application would answer to 127.0.0.1, which to \
                the container is itself.",
        truth: "It works so, but the sysctl is called route_localnet, and a file sets nothing until somebody reads it (sysctl --system). \
                Without it nothing from 127.0.0.1 leaves the host by any wire. With it the packet comes to the container, where the kernel \
                drops it, as a martian: the application has nothing to answer, unless the container had route_localnet and accept_local, \
                too. With MASQUERADE it works, at a price. Clients from outside lose their address; neighbours reach what the host serves at \
                127.0.0.1 alone; and the host's own connections to anybody's port 8081 end at con1.",
        needs: &["route_localnet=1 and MASQUERADE, for localhost"],
        commands: &[
            "iptables -t nat -A OUTPUT -p tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:8000",
            "iptables -t nat -A OUTPUT -p tcp --dport 8082 -j DNAT --to-destination 172.18.0.3:8000",
            "sysctl -w net.ipv4.conf.all.route_localnet=1",
            "iptables -t nat -A POSTROUTING ! -s 172.18.0.0/24 -o br0 -j MASQUERADE",
        ],
        before: |w, s| {
            s.not_served(&w.host(), "192.168.0.100:8081", Reason::Refused)?;
            s.not_served(&w.host(), "127.0.0.1:8081", Reason::Refused)?;
            s.served(&w.host(), "192.168.0.50:8081", LAPTOP)?;
            s.served_as(&w.machine(LAPTOP)?, "192.168.0.100:8081", CON_1, "192.168.0.50")
        },
        change: |w| {
            let host = w.host();
            for (port, to) in MAPPINGS {
                w.keep(format!("{port} from the host"), NatRule::dnat(&host).output().tcp(port).to(to).install()?);
            }
            w.keep(ROUTE_LOCALNET, host.set_sysctl(LOCALNET, 1)?);
            w.keep(MASQUERADE, NatRule::masquerade(&host).not_from("172.18.0.0/24").out("br0").install()?);
            Ok(())
        },
        check: |w, s| {
            let (host, con1) = (w.host(), w.machine(CON_1)?);
            s.served_as(&host, "127.0.0.1:8081", CON_1, "172.18.0.1")?;
            s.served(&host, "127.0.0.1:8082", CON_2)?;
            s.served(&host, "192.168.0.100:8081", CON_1)?;
            s.without("route_localnet=1");
            let off = host.set_sysctl(LOCALNET, 0)?;
            let tap = Capture::on(&host)?;
            s.not_served(&host, "127.0.0.1:8081", Reason::Silence)?;
            s.distinct_packets("host: nothing of it is on any wire", &tap.stop()?.filter(of_localhost())?, &[])?;
            s.served(&host, "192.168.0.100:8081", CON_1)?;
            s.wrong();
            s.refused("host: there is no sysctl route_localhost", host.sysctl("net.ipv4.conf.all.route_localhost"), libc::ENOENT)?;
            etc::write("/etc/sysctl.conf", "net.ipv4.conf.all.route_localnet = 1\n")?;
            s.equals("host: with the right line in /etc/sysctl.conf route_localnet is still", host.sysctl(LOCALNET)?, "0")?;
            off.close()?;
            s.without("MASQUERADE");
            w.take::<NatRule>(MASQUERADE)?.close()?;
            s.served_as(&host, "192.168.0.100:8081", CON_1, "192.168.0.100")?;
            let tap = Capture::on(&con1)?;
            s.not_served(&host, "127.0.0.1:8081", Reason::Silence)?;
            s.wrong();
            s.distinct_packets(
                "con1: it gets a packet from 127.0.0.1, and nothing comes of it",
                &tap.stop()?.filter(of_localhost())?,
                &["con1/eth0 In  IP 127.0.0.1.PORT1 > 172.18.0.2.8000: Flags [S]"],
            )?;
            s.table("con1 answers to its own localhost only if both are 1", &answers_to_itself(w)?, ANSWERS_TO_ITSELF)?;
            s.unstated();
            w.keep(MASQUERADE, NatRule::masquerade(&host).not_from("172.18.0.0/24").out("br0").install()?);
            s.served_as(&w.machine(LAPTOP)?, "192.168.0.100:8081", CON_1, "172.18.0.1")?;
            s.served(&host, "192.168.0.50:8081", CON_1)?;
            let _private = host.serve("private").http("127.0.0.1:9000")?;
            let con2 = w.machine(CON_2)?;
            route_localhost_to_gateway(&con2)?;
            s.served(&con2, "127.0.0.1:9000", "private")?;
            s.without("route_localnet=1");
            w.take::<Sysctl>(ROUTE_LOCALNET)?.close()?;
            s.not_served(&con2, "127.0.0.1:9000", Reason::Silence)
        },
        ..Stage::STILL
    },
    Stage {
        id: "003.06",
        title: "no listener",
        claim: "`ss -tlnp` on the host shows no process on port 8081, although `curl localhost:8081` is answered.",
        truth: "Nobody listens there. The rules change the destination before the kernel looks for a socket.",
        commands: &["ss -tln; curl 127.0.0.1:8081"],
        cause: Cause::Lack {
            of: "python3 -m http.server 8081 &",
            supply: |w| {
                let server = w.host().http_server("0.0.0.0:8081")?;
                w.keep("a server on the host", server);
                Ok(())
            },
        },
        check: |w, s| {
            s.listening(&w.host(), "it listens on these TCP ports", "none")?;
            s.served(&w.host(), "127.0.0.1:8081", CON_1)?;
            s.without("the rule for what the host sends");
            w.take::<NatRule>("8081 from the host")?.close()?;
            s.not_served(&w.host(), "127.0.0.1:8081", Reason::Refused)
        },
        ..Stage::STILL
    },
    Stage {
        id: "003.07",
        title: "a process on the same port",
        verdict: Verdict::Precondition,
        claim: "A process of the host may take port 8081 without an error. It never gets a request: the rules come first.",
        truth: "So it is over IPv4, from the host and from outside. But these are rules for IPv4: a server of both families is reached over ::1, \
                and who asks `localhost` gets the one or the other.",
        needs: &["a client that uses IPv4"],
        commands: &["python3 -m http.server --bind :: 8081 &  # on the host"],
        aside: true,
        before: |w, s| s.not_served(&w.host(), "[::1]:8081", Reason::Refused),
        change: |w| {
            let server = w.host().serve(OTHER).http("[::]:8081")?;
            w.keep(OTHER, server);
            Ok(())
        },
        check: |w, s| {
            let host = w.host();
            s.listening(&host, "it listens on these TCP ports", "8081")?;
            s.with("a client that uses IPv4");
            s.served(&host, "127.0.0.1:8081", CON_1)?;
            s.served(&host, "192.168.0.100:8081", CON_1)?;
            s.served(&w.machine(LAPTOP)?, "192.168.0.100:8081", CON_1)?;
            s.equals("the log of the other server has no line", w.kept::<Responder>(OTHER)?.hits(), 0)?;
            s.without("a client that uses IPv4");
            s.served(&host, "[::1]:8081", OTHER)
        },
        ..Stage::STILL
    },
    Stage {
        id: "003.08",
        title: "userland proxy",
        claim: "There is another way, which Docker prefers: a process in user space, docker-proxy, takes the connections and passes them on.",
        truth: "It works with ip_forward=0, route_localnet=0 and no rule at all. The proxy listens, as anybody can see, and nobody else can take \
                the port. It hides the client: the container sees the host. But Docker does not prefer it: by default rules do the work for \
                all that is addressed to the host (dst-type LOCAL), and the client keeps its address. The proxy is left with localhost.",
        commands: &[
            "iptables -t nat -F PREROUTING; iptables -t nat -F OUTPUT; iptables -t nat -F POSTROUTING",
            "sysctl -w net.ipv4.ip_forward=0 net.ipv4.conf.all.route_localnet=0",
            "docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8081 -container-ip 172.18.0.2 -container-port 8000 &",
            "docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8082 -container-ip 172.18.0.3 -container-port 8000 &",
        ],
        aside: true,
        before: |w, s| {
            s.listening(&w.host(), "it listens on these TCP ports", "none")?;
            drop(w.host().bind_tcp("0.0.0.0:8081")?);
            s.holds("host: port 8081 can be had", "bound", true)
        },
        change: |w| {
            let host = w.host();
            for (port, to) in MAPPINGS {
                w.take::<NatRule>(&format!("{port} from outside"))?.close()?;
                w.take::<NatRule>(&format!("{port} from the host"))?.close()?;
                w.keep(format!("the proxy of {port}"), host.serve("docker-proxy").tcp_proxy(format!("0.0.0.0:{port}"), to)?);
            }
            w.take::<NatRule>(MASQUERADE)?.close()?;
            w.take::<NatRule>("the way out")?.close()?;
            w.take::<Sysctl>(ROUTE_LOCALNET)?.close()?;
            w.keep("ip_forward", host.set_sysctl("net.ipv4.ip_forward", 0)?);
            Ok(())
        },
        check: |w, s| {
            let (host, laptop) = (w.host(), w.machine(LAPTOP)?);
            s.equals("host: ip_forward is", host.sysctl("net.ipv4.ip_forward")?, "0")?;
            s.equals("host: route_localnet is", host.sysctl(LOCALNET)?, "0")?;
            s.listening(&host, "it listens on these TCP ports", "8081 8082")?;
            s.refused("host: port 8081 is taken", host.bind_tcp("0.0.0.0:8081"), libc::EADDRINUSE)?;
            s.served_as(&laptop, "192.168.0.100:8081", CON_1, "172.18.0.1")?;
            s.served_as(&host, "192.168.0.100:8081", CON_1, "172.18.0.1")?;
            s.served_as(&host, "127.0.0.1:8081", CON_1, "172.18.0.1")?;
            s.without("the proxy");
            w.take::<Responder>("the proxy of 8081")?.close()?;
            s.not_served(&laptop, "192.168.0.100:8081", Reason::Refused)?;
            s.wrong();
            let proxy = w.kept::<Responder>("the proxy of 8082")?;
            let _rules = dockers_rules(w)?;
            s.served_as(&laptop, "192.168.0.100:8082", CON_2, "192.168.0.50")?;
            s.served_as(&host, "192.168.0.100:8082", CON_2, "192.168.0.100")?;
            s.equals("docker-proxy was not asked; its connections are", proxy.hits(), 0)?;
            s.served_as(&host, "127.0.0.1:8082", CON_2, "172.18.0.1")?;
            s.equals("docker-proxy was asked this time; its connections are", proxy.hits(), 1)
        },
        ..Stage::STILL
    },
];

pub(super) const ROUTE_LOCALNET: &str = "route_localnet";
const LOCALNET: &str = "net.ipv4.conf.all.route_localnet";
const MASQUERADE: &str = "the masquerade for localhost";
const OTHER: &str = "other";

/// What becomes of a packet from 127.0.0.1 in con1.
const ANSWERS_TO_ITSELF: &[&str] = &[
    "route_localnet  accept_local  con1",
    "0               0             drops the SYN",
    "0               1             drops the SYN",
    "1               0             drops the SYN",
    "1               1             answers on its own lo",
];

fn answers_to_itself(w: &World) -> Result<Table> {
    let (host, con1) = (w.host(), w.machine(CON_1)?);
    let eth0 = con1.link("eth0")?;
    let mut table = Table::new(["route_localnet", "accept_local", "con1"]);
    for (route_localnet, accept_local) in [(false, false), (false, true), (true, false), (true, true)] {
        eth0.set_route_localnet(route_localnet)?;
        eth0.set_accept_local(accept_local)?;
        let tap = Capture::on(&con1)?;
        host.expect_unreachable(Probe::tcp("127.0.0.1:8081").within(SHORT))?.by(Reason::Silence)?;
        let seen = tap.stop()?;
        seen.at_least(1, capture::tcp().syn().from("127.0.0.1").on("con1/eth0"))?;
        let answered = seen.count(capture::tcp().syn_ack().to("127.0.0.1").on("con1/lo"))? > 0;
        let word = if answered { "answers on its own lo" } else { "drops the SYN" };
        table.row([u8::from(route_localnet).to_string(), u8::from(accept_local).to_string(), word.to_owned()]);
    }
    eth0.set_route_localnet(false)?;
    eth0.set_accept_local(false)?;
    Ok(table)
}

/// TCP from 127.0.0.1 or to it.
fn of_localhost() -> Matcher<TcpOnly> {
    let is_localhost = |address: Option<IpAddr>| address == Some(Ipv4Addr::LOCALHOST.into());
    capture::tcp().when("of 127.0.0.1", move |packet| is_localhost(packet.source()) || is_localhost(packet.destination()))
}

/// How long nothing must come; in the capture is what came instead.
const SHORT: Duration = Duration::from_millis(200);

/// Makes a machine send what is for 127.0.0.1 to its gateway, as one does who wants what the gateway keeps for itself.
fn route_localhost_to_gateway(machine: &Netns) -> Result<()> {
    machine.link("lo")?.remove_address("127.0.0.1/8")?;
    machine.link("eth0")?.set_route_localnet(true)?;
    Route::to("127.0.0.1").via("172.18.0.1").install(machine)?.keep();
    Ok(())
}

/// What Docker adds for a published port beside its proxy; and it forwards.
fn dockers_rules(w: &World) -> Result<([NatRule; 2], Sysctl)> {
    let host = w.host();
    let rule = || NatRule::dnat(&host).tcp(8082).addressed_to_local().to("172.18.0.3:8000");
    let rules = [rule().install()?, rule().output().not_addressed_to("127.0.0.0/8").install()?];
    Ok((rules, host.set_sysctl("net.ipv4.ip_forward", 1)?))
}
