//! The hosts of the tutorials.

use super::world::Scene;

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
pub(super) const MAPPED: Scene = Scene {
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
const MAPPED_CABLES_B: Scene =
    Scene { bridge: None, gateway: ["172.18.2.1/24", "172.18.0.1/24"], containers: ["172.18.2.2/24", "172.18.0.3/24"], ..MAPPED };
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

/// By the names that the rows call them.
pub(super) const SCENES: &[(&str, Scene)] = &[
    ("cables", CABLES),
    ("home", HOME),
    ("node", NODE),
    ("calico", CALICO),
    ("sample", SAMPLE),
    ("mapped", MAPPED),
    ("mapped_cables", MAPPED_CABLES),
    ("mapped_cables_b", MAPPED_CABLES_B),
    ("mapped_by_source", MAPPED_BY_SOURCE),
    ("pod", POD),
    ("second_node", SECOND_NODE),
];
