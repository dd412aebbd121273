//! The rules of the tutorials, each with questions whose answers it changes.

use super::Row;
use super::world::{Ask, Scene};

const fn ask(who: &'static str, what: &'static str, without: &'static str, with: &'static str) -> Ask {
    Ask { who, what, without, with }
}

const fn row(scene: Scene, lines: &'static [&'static str], asks: &'static [Ask]) -> Row {
    Row { scene, lines, asks }
}

/// Two servers with a cable each.
const CABLES: Scene = Scene {
    bridge: None,
    gateway: ["10.0.0.10/24", "10.0.1.10/24"],
    ports: ["veth_dustin", "veth_leah"],
    containers: ["10.0.0.11/24", "10.0.1.11/24"],
    uplink: "enp4s0",
    beside: None,
    bridge_nf: false,
};
/// The same on a bridge.
const HOME: Scene = Scene {
    bridge: Some("bridge_home"),
    gateway: ["10.0.0.10/24", ""],
    containers: ["10.0.0.11/24", "10.0.0.21/24"],
    bridge_nf: true,
    ..CABLES
};
/// A node, and the containers of another one outside.
const NODE: Scene = Scene {
    bridge: Some("br0"),
    gateway: ["172.19.35.1/24", ""],
    ports: ["veth0", "veth2"],
    containers: ["172.19.35.2/24", "172.19.35.3/24"],
    uplink: "eth0",
    beside: Some(["172.19.36.1/24", "172.19.36.2/24"]),
    bridge_nf: false,
};
const CALICO: Scene =
    Scene { bridge: None, gateway: ["172.19.35.1/24", "172.19.34.1/24"], containers: ["172.19.35.2/24", "172.19.34.2/24"], ..NODE };
const SAMPLE: Scene = Scene {
    bridge: Some("samplebr"),
    gateway: ["10.1.1.1/24", ""],
    ports: ["veth1", "veth3"],
    containers: ["10.1.1.2/24", "10.1.1.3/24"],
    uplink: "eth0",
    beside: None,
    bridge_nf: true,
};
const MAPPED: Scene = Scene {
    bridge: Some("cont-br0"),
    gateway: ["172.18.0.1/24", ""],
    ports: ["veth_a", "veth_b"],
    containers: ["172.18.0.2/24", "172.18.0.3/24"],
    uplink: "eth0",
    beside: None,
    bridge_nf: true,
};
/// What comes back to who sent it goes out where it came in, which only a cable does without more ado.
const MAPPED_CABLES: Scene =
    Scene { bridge: None, gateway: ["172.18.0.1/24", "172.18.2.1/24"], containers: ["172.18.0.2/24", "172.18.2.3/24"], ..MAPPED };
/// The address of the service is that of a machine outside.
const MAPPED_BY_SOURCE: Scene = Scene { beside: Some(["172.18.1.2/24", "172.18.1.1/24"]), ..MAPPED };
const POD: Scene = Scene {
    bridge: Some("docker0"),
    gateway: ["172.17.0.1/24", ""],
    ports: ["veth0", "veth1"],
    containers: ["172.17.0.2/24", "172.17.0.3/24"],
    uplink: "eth0",
    beside: None,
    bridge_nf: true,
};
const SECOND_NODE: Scene = Scene {
    gateway: ["172.17.1.1/24", ""],
    containers: ["172.17.1.2/24", "172.17.1.3/24"],
    beside: Some(["172.17.0.1/24", "172.17.0.9/24"]),
    ..POD
};

pub(super) const SERVERS: &[Row] = &[
    row(
        CABLES,
        &["? -P FORWARD DROP"],
        &[
            ask("a", "udp 203.0.113.9:7000", "outside saw 10.0.0.11", "silence"),
            ask("b", "udp 10.0.0.11:7000", "a saw 10.0.1.11", "silence"),
        ],
    ),
    row(
        CABLES,
        &["-P FORWARD DROP", "? -A FORWARD -i veth_dustin -o enp4s0 -j ACCEPT", "-A FORWARD -i enp4s0 -o veth_dustin -j ACCEPT"],
        &[ask("a", "udp 203.0.113.9:7000", "silence", "outside saw 10.0.0.11"), ask("b", "udp 203.0.113.9:7000", "silence", "silence")],
    ),
    row(
        CABLES,
        &["-P FORWARD DROP", "-A FORWARD -i veth_dustin -o enp4s0 -j ACCEPT", "? -A FORWARD -i enp4s0 -o veth_dustin -j ACCEPT"],
        &[ask("a", "udp 203.0.113.9:7000", "silence", "outside saw 10.0.0.11")],
    ),
    row(
        CABLES,
        &["? -t nat -A POSTROUTING -s 10.0.0.0/24 -o enp4s0 -j MASQUERADE"],
        &[
            ask("a", "udp 203.0.113.9:7000", "outside saw 10.0.0.11", "outside saw 203.0.113.5"),
            ask("b", "udp 203.0.113.9:7000", "outside saw 10.0.1.11", "outside saw 10.0.1.11"),
            ask("a", "udp 10.0.1.11:7000", "b saw 10.0.0.11", "b saw 10.0.0.11"),
        ],
    ),
    row(
        CABLES,
        &["-P FORWARD DROP", "? -A FORWARD -o enp4s0 -i veth_leah -j ACCEPT", "-A FORWARD -i enp4s0 -o veth_leah -j ACCEPT"],
        &[ask("b", "udp 203.0.113.9:7000", "silence", "outside saw 10.0.1.11")],
    ),
    row(
        CABLES,
        &["-P FORWARD DROP", "-A FORWARD -o enp4s0 -i veth_leah -j ACCEPT", "? -A FORWARD -i enp4s0 -o veth_leah -j ACCEPT"],
        &[ask("b", "udp 203.0.113.9:7000", "silence", "outside saw 10.0.1.11")],
    ),
    row(
        CABLES,
        &["? -t nat -A POSTROUTING -s 10.0.1.0/24 -o enp4s0 -j MASQUERADE"],
        &[
            ask("b", "udp 203.0.113.9:7000", "outside saw 10.0.1.11", "outside saw 203.0.113.5"),
            ask("a", "udp 203.0.113.9:7000", "outside saw 10.0.0.11", "outside saw 10.0.0.11"),
        ],
    ),
    row(
        HOME,
        &["-P FORWARD DROP", "? -A FORWARD -i bridge_home -o bridge_home -j ACCEPT"],
        &[ask("a", "udp 10.0.0.21:7000", "silence", "b saw 10.0.0.11"), ask("a", "udp 203.0.113.9:7000", "silence", "silence")],
    ),
    row(
        HOME,
        &["-P FORWARD DROP", "? -A FORWARD -i bridge_home -o enp4s0 -j ACCEPT", "-A FORWARD -i enp4s0 -o bridge_home -j ACCEPT"],
        &[ask("b", "udp 203.0.113.9:7000", "silence", "outside saw 10.0.0.21")],
    ),
    row(
        HOME,
        &["-P FORWARD DROP", "-A FORWARD -i bridge_home -o enp4s0 -j ACCEPT", "? -A FORWARD -i enp4s0 -o bridge_home -j ACCEPT"],
        &[ask("b", "udp 203.0.113.9:7000", "silence", "outside saw 10.0.0.21")],
    ),
];

pub(super) const CONTAINER: &[Row] = &[
    row(
        NODE,
        &["? -t nat -A POSTROUTING -o eth0 -j MASQUERADE"],
        &[
            ask("a", "udp 203.0.113.9:7000", "outside saw 172.19.35.2", "outside saw 203.0.113.5"),
            ask("a", "udp 172.19.36.2:7000", "outside saw 172.19.35.2", "outside saw 172.19.36.1"),
        ],
    ),
    row(
        NODE,
        &["? -t nat -A POSTROUTING -s 172.19.35.0/24 -o eth0 -j MASQUERADE"],
        &[ask("b", "udp 203.0.113.9:7000", "outside saw 172.19.35.3", "outside saw 203.0.113.5")],
    ),
    row(
        NODE,
        &["? -t nat -A POSTROUTING -s 172.19.0.0/16 ! -d 172.19.0.0/16 -o eth0 -j MASQUERADE"],
        &[
            ask("a", "udp 203.0.113.9:7000", "outside saw 172.19.35.2", "outside saw 203.0.113.5"),
            ask("a", "udp 172.19.36.2:7000", "outside saw 172.19.35.2", "outside saw 172.19.35.2"),
        ],
    ),
    row(
        CALICO,
        &["? -t nat -A PREROUTING -i veth0 -p tcp --dport 8080 -j DNAT --to-destination 127.0.0.1:8080"],
        &[ask("a", "http 172.19.35.1:8080", "refused", "host saw 172.19.35.2"), ask("b", "http 172.19.34.1:8080", "refused", "refused")],
    ),
];

pub(super) const DOCKER: &[Row] = &[
    row(
        SAMPLE,
        &["? -t nat -A POSTROUTING -s 10.1.1.0/24 ! -o samplebr -j MASQUERADE"],
        &[
            ask("a", "udp 203.0.113.9:7000", "outside saw 10.1.1.2", "outside saw 203.0.113.5"),
            ask("a", "udp 10.1.1.3:7000", "b saw 10.1.1.2", "b saw 10.1.1.2"),
        ],
    ),
    row(
        SAMPLE,
        &["-P FORWARD DROP", "? -I FORWARD -i samplebr -j ACCEPT", "-I FORWARD -o samplebr -j ACCEPT"],
        &[ask("a", "udp 203.0.113.9:7000", "silence", "outside saw 10.1.1.2")],
    ),
    row(
        SAMPLE,
        &["-P FORWARD DROP", "-I FORWARD -i samplebr -j ACCEPT", "? -I FORWARD -o samplebr -j ACCEPT"],
        &[
            ask("a", "udp 203.0.113.9:7000", "silence", "outside saw 10.1.1.2"),
            ask("outside", "udp 10.1.1.2:7000", "silence", "a saw 203.0.113.9"),
        ],
    ),
    row(
        SAMPLE,
        &[
            "-N DOCKER-USER",
            "-A FORWARD -j DOCKER-USER",
            "-P FORWARD DROP",
            "? -A DOCKER-USER -i samplebr -j ACCEPT",
            "-A DOCKER-USER -o samplebr -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ],
        &[ask("a", "udp 203.0.113.9:7000", "silence", "outside saw 10.1.1.2"), ask("outside", "udp 10.1.1.2:7000", "silence", "silence")],
    ),
    row(
        SAMPLE,
        &[
            "-N DOCKER-USER",
            "-A FORWARD -j DOCKER-USER",
            "-P FORWARD DROP",
            "-A DOCKER-USER -i samplebr -j ACCEPT",
            "? -A DOCKER-USER -o samplebr -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ],
        &[ask("a", "udp 203.0.113.9:7000", "silence", "outside saw 10.1.1.2"), ask("outside", "udp 10.1.1.2:7000", "silence", "silence")],
    ),
    row(SAMPLE, &["-P FORWARD DROP", "? -P FORWARD ACCEPT"], &[ask("a", "udp 203.0.113.9:7000", "silence", "outside saw 10.1.1.2")]),
];

pub(super) const MAPPED_PORTS: &[Row] = &[
    row(
        MAPPED,
        &["? -t nat -A POSTROUTING -s 172.18.0.0/24 ! -o cont-br0 -j MASQUERADE"],
        &[
            ask("a", "udp 203.0.113.9:7000", "outside saw 172.18.0.2", "outside saw 203.0.113.5"),
            ask("a", "http 172.18.0.3:8000", "b saw 172.18.0.2", "b saw 172.18.0.2"),
        ],
    ),
    row(
        MAPPED,
        &["? -t nat -A PREROUTING -p tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:8000"],
        &[
            ask("outside", "http 203.0.113.5:8081", "refused", "a saw 203.0.113.9"),
            ask("host", "http 203.0.113.5:8081", "refused", "refused"),
        ],
    ),
    row(
        MAPPED,
        &["? -t nat -A PREROUTING -p tcp --dport 8082 -j DNAT --to-destination 172.18.0.3:8000"],
        &[ask("outside", "http 203.0.113.5:8082", "refused", "b saw 203.0.113.9")],
    ),
    row(
        MAPPED,
        &[
            "-t nat -A PREROUTING -p tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:8000",
            "? -t nat -A OUTPUT -p tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:8000",
        ],
        &[
            ask("host", "http 203.0.113.5:8081", "refused", "a saw 203.0.113.5"),
            ask("host", "http 203.0.113.9:8081", "outside saw 203.0.113.5", "a saw 203.0.113.5"),
            ask("host", "http 127.0.0.1:8081", "refused", "silence"),
        ],
    ),
    row(
        MAPPED,
        &["? -t nat -A OUTPUT -p tcp --dport 8082 -j DNAT --to-destination 172.18.0.3:8000"],
        &[ask("host", "http 203.0.113.5:8082", "refused", "b saw 203.0.113.5")],
    ),
    row(
        MAPPED,
        &[
            "-t nat -A PREROUTING -p tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:8000",
            "-t nat -A OUTPUT -p tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:8000",
            "? -t nat -A POSTROUTING -p tcp -d 172.18.0.2 --dport 8000 -j MASQUERADE",
        ],
        &[
            ask("host", "http 127.0.0.1:8081", "silence", "a saw 172.18.0.1"),
            ask("outside", "http 203.0.113.5:8081", "a saw 203.0.113.9", "a saw 172.18.0.1"),
        ],
    ),
    row(
        MAPPED,
        &[
            "-t nat -A PREROUTING -p tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:8000",
            "-t nat -A OUTPUT -p tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:8000",
            "? -t nat -A POSTROUTING -s 127.0.0.1 -d 172.18.0.2 -p tcp --dport 8000 -j MASQUERADE",
        ],
        &[
            ask("host", "http 127.0.0.1:8081", "silence", "a saw 172.18.0.1"),
            ask("outside", "http 203.0.113.5:8081", "a saw 203.0.113.9", "a saw 203.0.113.9"),
        ],
    ),
    row(
        MAPPED_CABLES,
        &[
            "-t nat -A PREROUTING -p tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:8000",
            "? -t nat -A POSTROUTING -s 172.18.0.2 -d 172.18.0.2 -p tcp --dport 8000 -j MASQUERADE",
        ],
        &[
            ask("a", "http 203.0.113.5:8081", "silence", "a saw 172.18.0.1"),
            ask("outside", "http 203.0.113.5:8081", "a saw 203.0.113.9", "a saw 203.0.113.9"),
        ],
    ),
    row(
        MAPPED,
        &["? -t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:8000"],
        &[
            ask("outside", "http 203.0.113.5:8081", "refused", "a saw 203.0.113.9"),
            ask("b", "http 203.0.113.9:8081", "outside saw 172.18.0.3", "outside saw 172.18.0.3"),
        ],
    ),
];

pub(super) const SERVICE: &[Row] = &[
    row(
        MAPPED,
        &[
            "-t nat -N SVC",
            "-t nat -N SEP-A",
            "-t nat -N SEP-B",
            "-t nat -N MARK-MASQ",
            "? -t nat -A PREROUTING -d 172.18.1.1 -p tcp --dport 8000 -j SVC",
            "-t nat -A SVC -j SEP-B",
            "-t nat -A SEP-B -p tcp -j DNAT --to-destination 172.18.0.3:8000",
        ],
        &[
            ask("outside", "http 172.18.1.1:8000", "silence", "b saw 203.0.113.9"),
            ask("host", "http 172.18.1.1:8000", "silence", "silence"),
        ],
    ),
    row(
        MAPPED,
        &[
            "-t nat -N SVC",
            "-t nat -N SEP-A",
            "-t nat -N SEP-B",
            "-t nat -N MARK-MASQ",
            "-t nat -A PREROUTING -d 172.18.1.1 -p tcp --dport 8000 -j SVC",
            "? -t nat -A OUTPUT -d 172.18.1.1 -p tcp --dport 8000 -j SVC",
            "-t nat -A SVC -j SEP-B",
            "-t nat -A SEP-B -p tcp -j DNAT --to-destination 172.18.0.3:8000",
        ],
        &[ask("host", "http 172.18.1.1:8000", "silence", "b saw 203.0.113.5")],
    ),
    row(
        MAPPED_BY_SOURCE,
        &[
            "-t nat -N SVC",
            "-t nat -N SEP-A",
            "-t nat -N SEP-B",
            "-t nat -N MARK-MASQ",
            "? -t nat -A PREROUTING -s 172.18.1.1 -p tcp --dport 8000 -j SVC",
            "-t nat -A SVC -j SEP-B",
            "-t nat -A SEP-B -p tcp -j DNAT --to-destination 172.18.0.3:8000",
        ],
        &[
            ask("outside", "http 172.18.1.2:8000 from 172.18.1.1", "refused", "b saw 172.18.1.1"),
            ask("outside", "http 203.0.113.5:8000 from 203.0.113.9", "refused", "refused"),
        ],
    ),
    row(
        MAPPED,
        &[
            "-t nat -N SVC",
            "-t nat -N SEP-A",
            "-t nat -N SEP-B",
            "-t nat -N MARK-MASQ",
            "-t nat -A PREROUTING -d 172.18.1.1 -p tcp --dport 8000 -j SVC",
            "? -t nat -A SVC -m statistic --mode random --probability 0.5 -j SEP-A",
            "-t nat -A SVC -j SEP-B",
            "-t nat -A SEP-A -p tcp -j DNAT --to-destination 172.18.0.2:8000",
            "-t nat -A SEP-B -p tcp -j DNAT --to-destination 172.18.0.3:8000",
        ],
        &[ask("outside", "both 172.18.1.1:8000", "b", "a b")],
    ),
    row(
        MAPPED,
        &[
            "-t nat -N SVC",
            "-t nat -N SEP-A",
            "-t nat -N SEP-B",
            "-t nat -N MARK-MASQ",
            "-t nat -A PREROUTING -d 172.18.1.1 -p tcp --dport 8000 -j SVC",
            "? -t nat -A SVC -m statistic --mode nth --every 2 --packet 0 -j SEP-A",
            "-t nat -A SVC -j SEP-B",
            "-t nat -A SEP-A -p tcp -j DNAT --to-destination 172.18.0.2:8000",
            "-t nat -A SEP-B -p tcp -j DNAT --to-destination 172.18.0.3:8000",
        ],
        &[ask("outside", "turns 172.18.1.1:8000", "b b b b", "a b a b")],
    ),
    row(
        MAPPED,
        &[
            "-t nat -N SVC",
            "-t nat -N SEP-A",
            "-t nat -N SEP-B",
            "-t nat -N MARK-MASQ",
            "-t nat -A PREROUTING -d 172.18.1.1 -p tcp --dport 8000 -j SVC",
            "? -t nat -A SVC -j SEP-B",
            "-t nat -A SEP-B -p tcp -j DNAT --to-destination 172.18.0.3:8000",
        ],
        &[ask("outside", "http 172.18.1.1:8000", "silence", "b saw 203.0.113.9")],
    ),
    row(
        MAPPED_CABLES,
        &[
            "-t nat -N SVC",
            "-t nat -N SEP-A",
            "-t nat -N SEP-B",
            "-t nat -N MARK-MASQ",
            "-t nat -A PREROUTING -d 172.18.1.1 -p tcp --dport 8000 -j SVC",
            "-t nat -A SVC -j SEP-A",
            "? -t nat -A SEP-A -s 172.18.0.2 -j MARK-MASQ",
            "-t nat -A SEP-A -p tcp -j DNAT --to-destination 172.18.0.2:8000",
            "-t nat -A MARK-MASQ -j MARK --set-mark 0x1/0x1",
            "-t nat -A POSTROUTING -m mark --mark 0x1/0x1 -j MASQUERADE",
        ],
        &[
            ask("a", "http 172.18.1.1:8000", "silence", "a saw 172.18.0.1"),
            ask("outside", "http 172.18.1.1:8000", "a saw 203.0.113.9", "a saw 203.0.113.9"),
        ],
    ),
    row(
        MAPPED,
        &[
            "-t nat -N SVC",
            "-t nat -N SEP-A",
            "-t nat -N SEP-B",
            "-t nat -N MARK-MASQ",
            "-t nat -A PREROUTING -d 172.18.1.1 -p tcp --dport 8000 -j SVC",
            "-t nat -A SVC -j SEP-A",
            "? -t nat -A SEP-A -p tcp -j DNAT --to-destination 172.18.0.2:8000",
        ],
        &[ask("outside", "http 172.18.1.1:8000", "silence", "a saw 203.0.113.9")],
    ),
    row(
        MAPPED,
        &[
            "-t nat -N SVC",
            "-t nat -N SEP-A",
            "-t nat -N SEP-B",
            "-t nat -N MARK-MASQ",
            "-t nat -A PREROUTING -d 172.18.1.1 -p tcp --dport 8000 -j SVC",
            "-t nat -A SVC -j SEP-B",
            "? -t nat -A SEP-B -s 172.18.0.2 -j MARK-MASQ",
            "-t nat -A SEP-B -p tcp -j DNAT --to-destination 172.18.0.3:8000",
            "-t nat -A MARK-MASQ -j MARK --set-mark 0x1/0x1",
            "-t nat -A POSTROUTING -m mark --mark 0x1/0x1 -j MASQUERADE",
        ],
        &[
            ask("a", "http 172.18.1.1:8000", "b saw 172.18.0.2", "b saw 172.18.0.1"),
            ask("outside", "http 172.18.1.1:8000", "b saw 203.0.113.9", "b saw 203.0.113.9"),
        ],
    ),
    row(
        MAPPED,
        &[
            "-t nat -N SVC",
            "-t nat -N SEP-A",
            "-t nat -N SEP-B",
            "-t nat -N MARK-MASQ",
            "-t nat -A PREROUTING -d 172.18.1.1 -p tcp --dport 8000 -j SVC",
            "-t nat -A SVC -j SEP-B",
            "? -t nat -A SEP-B -p tcp -j DNAT --to-destination 172.18.0.3:8000",
        ],
        &[ask("outside", "http 172.18.1.1:8000", "silence", "b saw 203.0.113.9")],
    ),
    row(
        MAPPED,
        &[
            "-t nat -N SVC",
            "-t nat -N SEP-A",
            "-t nat -N SEP-B",
            "-t nat -N MARK-MASQ",
            "-t nat -A PREROUTING -d 172.18.1.1 -p tcp --dport 8000 -j SVC",
            "-t nat -A SVC -j SEP-B",
            "-t nat -A SEP-B -j MARK-MASQ",
            "-t nat -A SEP-B -p tcp -j DNAT --to-destination 172.18.0.3:8000",
            "? -t nat -A MARK-MASQ -j MARK --set-mark 0x1/0x1",
            "-t nat -A POSTROUTING -m mark --mark 0x1/0x1 -j MASQUERADE",
        ],
        &[ask("outside", "http 172.18.1.1:8000", "b saw 203.0.113.9", "b saw 172.18.0.1")],
    ),
    row(
        MAPPED,
        &[
            "-t nat -N SVC",
            "-t nat -N SEP-A",
            "-t nat -N SEP-B",
            "-t nat -N MARK-MASQ",
            "-t nat -A PREROUTING -d 172.18.1.1 -p tcp --dport 8000 -j SVC",
            "-t nat -A SVC -j SEP-B",
            "-t nat -A SEP-B -j MARK-MASQ",
            "-t nat -A SEP-B -p tcp -j DNAT --to-destination 172.18.0.3:8000",
            "-t nat -A MARK-MASQ -j MARK --set-mark 0x1/0x1",
            "? -t nat -A POSTROUTING -m mark --mark 0x1/0x1 -j MASQUERADE",
        ],
        &[
            ask("outside", "http 172.18.1.1:8000", "b saw 203.0.113.9", "b saw 172.18.0.1"),
            ask("outside", "http 172.18.0.3:8000", "b saw 203.0.113.9", "b saw 203.0.113.9"),
        ],
    ),
];

pub(super) const PODS: &[Row] = &[
    row(
        POD,
        &["? -t nat -A POSTROUTING -s 172.17.0.0/24 ! -o docker0 -j MASQUERADE"],
        &[
            ask("a", "udp 203.0.113.9:7000", "outside saw 172.17.0.2", "outside saw 203.0.113.5"),
            ask("a", "http 172.17.0.3:8000", "b saw 172.17.0.2", "b saw 172.17.0.2"),
        ],
    ),
    row(
        POD,
        &["-P FORWARD DROP", "? -A FORWARD -i docker0 -o docker0 -j ACCEPT"],
        &[ask("a", "udp 172.17.0.3:7000", "silence", "b saw 172.17.0.2"), ask("a", "udp 203.0.113.9:7000", "silence", "silence")],
    ),
    row(
        SECOND_NODE,
        &["? -t nat -A POSTROUTING -s 172.17.1.0/24 ! -d 172.17.0.0/16 -j MASQUERADE"],
        &[
            ask("a", "udp 203.0.113.9:7000", "outside saw 172.17.1.2", "outside saw 203.0.113.5"),
            ask("a", "udp 172.17.0.9:7000", "outside saw 172.17.1.2", "outside saw 172.17.1.2"),
        ],
    ),
    row(
        POD,
        &["? -t nat -A POSTROUTING -s 172.17.0.0/24 ! -o docker0 -j MASQUERADE --random-fully"],
        &[ask("a", "udp 203.0.113.9:7000", "outside saw 172.17.0.2", "outside saw 203.0.113.5")],
    ),
];
