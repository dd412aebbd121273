//! What the tests here share: a laptop behind a router, a server in front of it, and the real `nft` and `conntrack`.

use std::io::Write;
use std::net::UdpSocket;
use std::process::Stdio;

use netlab::{Netns, Result, VethPair};

/// A laptop, a router and a server in a row: 10.0.0.2 and fd00:a::2 behind `lan0`, 203.0.113.9 and 2001:db8::9 behind `wan0`, where the
/// router is 203.0.113.1 and 2001:db8::1. The server has no route back.
pub(crate) struct Lab {
    pub(crate) laptop: Netns,
    pub(crate) router: Netns,
    pub(crate) server: Netns,
    _cables: [VethPair; 2],
}

impl Lab {
    pub(crate) fn new() -> Result<Self> {
        let (laptop, router, server) = (Netns::new("laptop")?, Netns::new("router")?, Netns::new("server")?);
        let lan = VethPair::connect(
            laptop.iface("eth0").addr("10.0.0.2/24").addr("fd00:a::2/64").gateway("10.0.0.1").gateway("fd00:a::1"),
            router.iface("lan0").addr("10.0.0.1/24").addr("fd00:a::1/64"),
        )?;
        let wan = VethPair::connect(
            router.iface("wan0").addr("203.0.113.1/24").addr("2001:db8::1/64"),
            server.iface("eth0").addr("203.0.113.9/24").addr("2001:db8::9/64"),
        )?;
        router.forward_ipv4()?;
        router.forward_ipv6()?;
        Ok(Self { laptop, router, server, _cables: [lan, wan] })
    }

    /// The same with the router's masquerade on `wan0`, of IPv4 and IPv6.
    pub(crate) fn masqueraded() -> Result<Self> {
        let lab = Self::new()?;
        nft(&lab.router, MASQUERADE);
        Ok(lab)
    }
}

pub(crate) const MASQUERADE: &str = "
    table inet nat {
        chain postrouting { type nat hook postrouting priority srcnat; oifname wan0 masquerade; }
    }";

/// Rules that make a namespace remember connections, and do nothing else.
pub(crate) const TRACK: &str = "
    table inet track {
        chain input { type filter hook input priority 0; ct state new counter; }
        chain output { type filter hook output priority 0; ct state new counter; }
    }";

/// Gives the namespace rules, by `nft -f`.
#[track_caller]
pub(crate) fn nft(netns: &Netns, text: &str) {
    let mut command = netns.command("nft").unwrap();
    let mut child = command.args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("`nft` starts: is nftables installed?");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "nft takes {text}");
}

/// What `conntrack` prints, without its word on how many there are.
#[track_caller]
pub(crate) fn conntrack(netns: &Netns, arguments: &str) -> String {
    let mut command = netns.command("conntrack").unwrap();
    let output = command.args(arguments.split_whitespace()).output().expect("`conntrack` starts: is it installed?");
    assert!(output.status.success(), "conntrack {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A socket in the namespace, bound to the address.
#[track_caller]
pub(crate) fn bind(netns: &Netns, address: &str) -> UdpSocket {
    netns.run(|| UdpSocket::bind(address)).unwrap().unwrap_or_else(|e| panic!("bind {address} in {netns}: {e}"))
}
