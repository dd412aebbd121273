//! Stages 01 to 04: two containers, their servers, and a port of the host for each.

use netlab::{Bridge, IcmpKind, NatRule, Netns, Policy, Reason, Route, VethPair};

use super::{CON_1, CON_2, LAPTOP};
use crate::error::Result;
use crate::stage::{Cause, Stage, Verdict};
use crate::table::{Table, expected_servers};
use crate::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "003.01",
        title: "two containers",
        claim: "Two namespaces on a bridge, which is their gateway, and a host that forwards and translates for them: all the commands succeed.",
        truth: "They do, and a second `ip link set lo up` changes nothing. The containers reach each other, the host and what is outside.",
        commands: &[
            "ip netns add con1; ip netns add con2",
            "ip link add br0 type bridge; ip address add 172.18.0.1/24 dev br0; ip link set br0 up",
            "ip link add veth_con1 type veth peer name eth0 netns con1; ip link add veth_con2 type veth peer name eth0 netns con2",
            "ip link set veth_con1 master br0; ip link set veth_con2 master br0; ip link set veth_con1 up; ip link set veth_con2 up",
            "ip -n con1 address add 172.18.0.2/24 dev eth0; ip -n con2 address add 172.18.0.3/24 dev eth0",
            "ip -n con1 link set lo up; ip -n con1 link set eth0 up; ip -n con2 link set lo up; ip -n con2 link set eth0 up",
            "ip -n con1 route add default via 172.18.0.1; ip -n con2 route add default via 172.18.0.1",
            "ip -n con1 link set lo up; ip -n con2 link set lo up",
            "sysctl -w net.ipv4.ip_forward=1; iptables -t nat -A POSTROUTING -s 172.18.0.0/24 ! -o br0 -j MASQUERADE",
        ],
        before: |w, s| {
            s.links(&w.host(), "there are no containers", "lo eth0")?;
            s.no_reply(&w.host(), "172.18.0.2", IcmpKind::NetUnreachable.sent_by("192.168.0.1"))
        },
        change: |w| {
            let host = w.host();
            let bridge = Bridge::new(host.iface("br0").addr("172.18.0.1/24"))?;
            for (name, address) in [(CON_1, "172.18.0.2/24"), (CON_2, "172.18.0.3/24")] {
                let container = w.add(Netns::bare(name)?);
                let eth0 = container.iface("eth0").addr(address).gateway("172.18.0.1");
                let cable = VethPair::connect(eth0, host.iface(format!("veth_{name}")).master(&bridge))?;
                w.keep_cable(cable);
                container.link("lo")?.up()?;
            }
            w.keep("br0", bridge);
            host.forward_ipv4()?;
            w.keep("the way out", NatRule::masquerade(&host).from("172.18.0.0/24").not_out("br0").install()?);
            Ok(())
        },
        check: |w, s| {
            let (host, con1, con2) = (w.host(), w.machine(CON_1)?, w.machine(CON_2)?);
            s.links(&host, "the bridge and its cables are there", "lo eth0 br0 veth_con1 veth_con2")?;
            let routes = ["default via 172.18.0.1 dev eth0", "172.18.0.0/24 dev eth0 proto kernel scope link src 172.18.0.2"];
            s.routes(&con1, "it has these routes", "main", &routes)?;
            let up = "lo: <LOOPBACK,UP,LOWER_UP> noqueue UNKNOWN";
            s.link(&con1, "lo is up", "lo", up)?;
            con1.link("lo")?.up()?;
            s.link(&con1, "and the second time nothing changes", "lo", up)?;
            s.replies(&con1, "172.18.0.3")?;
            s.replies(&con2, "172.18.0.1")?;
            s.replies(&con2, "192.168.0.50")?;
            s.replies(&host, "172.18.0.2")
        },
        ..Stage::STILL
    },
    Stage {
        id: "003.02",
        title: "by the container's address",
        claim: "A server in each container, on port 8000 of both: from the host, each answers at its container's address.",
        truth: "Both answer, and see the host as 172.18.0.1: the address that it has on their network.",
        commands: &[
            "ip netns exec con1 python3 -m http.server 8000 &",
            "ip netns exec con2 python3 -m http.server 8000 &",
            "curl 172.18.0.2:8000; curl 172.18.0.3:8000",
        ],
        before: |w, s| s.not_served(&w.host(), "172.18.0.2:8000", Reason::Refused),
        change: |w| {
            for name in [CON_1, CON_2] {
                let server = w.machine(name)?.http_server("0.0.0.0:8000")?;
                w.keep(format!("the server of {name}"), server);
            }
            Ok(())
        },
        check: |w, s| {
            s.served_as(&w.host(), "172.18.0.2:8000", CON_1, "172.18.0.1")?;
            s.served_as(&w.host(), "172.18.0.3:8000", CON_2, "172.18.0.1")
        },
        ..Stage::STILL
    },
    Stage {
        id: "003.03",
        title: "not from outside",
        claim: "From another computer the containers cannot be reached.",
        truth: "The laptop sends to its router, which has no route to 172.18.0.0/24. That is all that is missing: with one route on the laptop, via the \
                host, it reaches them, and they see its own address.",
        needs: &["ip_forward=1 on the host, for the route to be of use"],
        commands: &["curl 172.18.0.2:8000  # laptop"],
        before: |w, s| s.served(&w.host(), "172.18.0.2:8000", CON_1),
        cause: Cause::Lack { of: "ip route add 172.18.0.0/24 via 192.168.0.100  # laptop", supply: |w| add_route(w, "172.18.0.0/24") },
        check: |w, s| {
            let laptop = w.machine(LAPTOP)?;
            s.not_served(&laptop, "172.18.0.2:8000", IcmpKind::NetUnreachable)?;
            s.with("ip route add 172.18.0.0/24 via 192.168.0.100  # laptop");
            add_route(w, "172.18.0.0/24")?;
            s.served_as(&laptop, "172.18.0.2:8000", CON_1, "192.168.0.50")?;
            s.served_as(&laptop, "172.18.0.3:8000", CON_2, "192.168.0.50")?;
            s.without("ip_forward=1 on the host");
            let _closed = w.host().set_sysctl("net.ipv4.ip_forward", 0)?;
            s.not_served(&laptop, "172.18.0.2:8000", Reason::Silence)
        },
        ..Stage::STILL
    },
    Stage {
        id: "003.04",
        title: "ports of the host",
        verdict: Verdict::Precondition,
        claim: "A rule in PREROUTING sends what is destined for port 8081 of our device to 172.18.0.2:8000, another one port 8082 to \
                172.18.0.3:8000. The containers can be reached from outside then, but not yet from the host itself.",
        truth: "From outside both answer, and see the client's own address. What the host itself sends does not pass PREROUTING: to the host the \
                ports are closed, at localhost and at its own address. But the rules do not say \"our device\": without -d they take whatever \
                passes by for that port, such as a container's connection to the laptop's own port 8081. Containers that use a published port \
                depend on bridge-nf-call-iptables: with 1 the answer of the other container comes back through the host's iptables; with 0 it \
                comes directly, from an address that nobody asked. To itself a container never comes.",
        needs: &["ip_forward=1", "FORWARD accepts"],
        commands: &[
            "iptables -t nat -A PREROUTING -p tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:8000",
            "iptables -t nat -A PREROUTING -p tcp --dport 8082 -j DNAT --to-destination 172.18.0.3:8000",
        ],
        before: |w, s| {
            s.not_served(&w.machine(LAPTOP)?, "192.168.0.100:8081", Reason::Refused)?;
            s.served(&w.machine(CON_2)?, "192.168.0.50:8081", LAPTOP)
        },
        change: |w| {
            let host = w.host();
            for (port, to) in MAPPINGS {
                w.keep(format!("{port} from outside"), NatRule::dnat(&host).tcp(port).to(to).install()?);
            }
            Ok(())
        },
        check: |w, s| {
            let (host, laptop, con2) = (w.host(), w.machine(LAPTOP)?, w.machine(CON_2)?);
            s.with("ip_forward=1 and a FORWARD that accepts");
            s.served_as(&laptop, "192.168.0.100:8081", CON_1, "192.168.0.50")?;
            s.served_as(&laptop, "192.168.0.100:8082", CON_2, "192.168.0.50")?;
            s.claim();
            s.not_served(&host, "127.0.0.1:8081", Reason::Refused)?;
            s.not_served(&host, "192.168.0.100:8081", Reason::Refused)?;
            s.unstated();
            s.table("containers that use the published port", &from_containers(w)?, FROM_CONTAINERS)?;
            s.wrong();
            let _bridged = host.set_sysctl("net.bridge.bridge-nf-call-iptables", 1)?;
            s.served(&con2, "192.168.0.50:8081", CON_1)?;
            w.take::<NatRule>("8081 from outside")?.close()?;
            let _narrow = NatRule::dnat(&host).addressed_to("192.168.0.100").tcp(8081).to("172.18.0.2:8000").install()?;
            s.claim();
            s.served(&con2, "192.168.0.50:8081", LAPTOP)?;
            s.served(&laptop, "192.168.0.100:8081", CON_1)?;
            s.without("ip_forward=1");
            let still = host.set_sysctl("net.ipv4.ip_forward", 0)?;
            s.not_served(&laptop, "192.168.0.100:8081", Reason::Silence)?;
            still.close()?;
            s.without("a FORWARD that accepts");
            let _closed = Policy::drop(&host).forward().install()?;
            s.not_served(&laptop, "192.168.0.100:8081", Reason::Silence)
        },
        ..Stage::STILL
    },
];

/// Ports of the host, and what they lead to.
pub(super) const MAPPINGS: [(u16, &str); 2] = [(8081, "172.18.0.2:8000"), (8082, "172.18.0.3:8000")];

/// A route of the laptop via the host.
pub(super) fn add_route(w: &mut World, to: &str) -> Result<()> {
    let route = Route::to(to).via("192.168.0.100").install(&w.machine(LAPTOP)?)?;
    w.keep(format!("the route of the laptop to {to}"), route);
    Ok(())
}

/// What containers get at port 8081 of the host, which is con1's, and of the laptop.
const FROM_CONTAINERS: &[&str] = &[
    "nf-call  con2→host:8081  con1→host:8081  con2→laptop:8081",
    "0        silent          silent          silent",
    "1        con1            silent          con1",
];

fn from_containers(w: &World) -> Result<Table> {
    let (host, con1, con2) = (w.host(), w.machine(CON_1)?, w.machine(CON_2)?);
    let mut table = Table::new(["nf-call", "con2→host:8081", "con1→host:8081", "con2→laptop:8081"]);
    for expected in &FROM_CONTAINERS[1..] {
        let cells: Vec<_> = expected.split_whitespace().collect();
        let _set = host.set_sysctl("net.bridge.bridge-nf-call-iptables", cells[0])?;
        let asked =
            [(&con2, "192.168.0.100:8081", cells[1]), (&con1, "192.168.0.100:8081", cells[2]), (&con2, "192.168.0.50:8081", cells[3])];
        table.row(std::iter::once(cells[0].to_owned()).chain(expected_servers(&asked)?));
    }
    Ok(table)
}
