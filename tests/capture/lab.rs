//! The networks that these tests share.

use std::net::UdpSocket;

use netlab::{Bridge, Netns, Result, VethPair};

pub(crate) const LEFT: &str = "10.0.0.1";
pub(crate) const RIGHT: &str = "10.0.0.2";

/// `left` and `right`, and a cable between their `eth0`.
pub(crate) struct Cable {
    pub(crate) left: Netns,
    pub(crate) right: Netns,
    pub(crate) pair: VethPair,
}

impl Cable {
    pub(crate) fn new() -> Result<Self> {
        let (left, right) = (Netns::new("left")?, Netns::new("right")?);
        let pair = VethPair::connect(left.iface("eth0").addr("10.0.0.1/24"), right.iface("eth0").addr("10.0.0.2/24"))?;
        Ok(Self { left, right, pair })
    }

    /// A socket of `left` that sends to port 9 of `right`, and the one there.
    pub(crate) fn sockets(&self) -> Result<(UdpSocket, UdpSocket)> {
        let to = bound(&self.right, "10.0.0.2:9")?;
        let from = bound(&self.left, "10.0.0.1:5000")?;
        from.connect("10.0.0.2:9").expect("connect");
        Ok((from, to))
    }
}

pub(crate) fn bound(netns: &Netns, address: &str) -> Result<UdpSocket> {
    Ok(netns.run(|| UdpSocket::bind(address))?.expect("bind"))
}

/// `left` and `right` on the bridge `switch/br0`.
pub(crate) struct Switch {
    pub(crate) left: Netns,
    pub(crate) switch: Netns,
    pub(crate) bridge: Bridge,
    _cables: [VethPair; 2],
    _right: Netns,
}

impl Switch {
    pub(crate) fn new() -> Result<Self> {
        let (left, switch, right) = (Netns::new("left")?, Netns::new("switch")?, Netns::new("right")?);
        let bridge = Bridge::new(switch.iface("br0"))?;
        let cables = [bridge.plug(left.iface("eth0").addr("10.0.0.1/24"))?, bridge.plug(right.iface("eth0").addr("10.0.0.2/24"))?];
        Ok(Self { left, switch, bridge, _cables: cables, _right: right })
    }
}

/// `left` – `router` – `right`, with the router between `10.0.1.0/24` and `10.0.2.0/24`.
pub(crate) struct Routed {
    pub(crate) left: Netns,
    pub(crate) router: Netns,
    pub(crate) right: Netns,
    _cables: [VethPair; 2],
}

impl Routed {
    pub(crate) fn new() -> Result<Self> {
        let (left, router, right) = (Netns::new("left")?, Netns::new("router")?, Netns::new("right")?);
        let cables = [
            VethPair::connect(left.iface("eth0").addr("10.0.1.2/24").gateway("10.0.1.1"), router.iface("lan0").addr("10.0.1.1/24")),
            VethPair::connect(router.iface("wan0").addr("10.0.2.1/24"), right.iface("eth0").addr("10.0.2.2/24").gateway("10.0.2.1")),
        ];
        let [lan, wan] = cables;
        router.run(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1"))?.expect("ip_forward");
        Ok(Self { left, router, right, _cables: [lan?, wan?] })
    }
}

/// Runs an oracle in a namespace; its absence is a failure that says so.
pub(crate) fn tool(netns: &Netns, program: &str, arguments: &[&str]) -> Result<String> {
    let output = netns.command(program)?.args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("cannot run `{program}`: {e}; ci/install.sh installs it"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{program} {}` failed: {stderr}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
