//! What the tests here share: clients behind a router, and servers in front of it.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use netlab::{Bridge, Netns, Responder, Result, StunServer, VethPair};

/// Two clients, 10.0.0.2 and 10.0.0.3, behind a router that is 203.0.113.1 outside, where a server is 203.0.113.9 and 203.0.113.10.
///
/// The server has no route to the clients.
pub(crate) struct Lab {
    pub(crate) client: Netns,
    pub(crate) neighbour: Netns,
    pub(crate) router: Netns,
    pub(crate) server: Netns,
    pub(crate) stun: StunServer,
    _lan: Bridge,
    _cables: [VethPair; 3],
}

impl Lab {
    pub(crate) fn new() -> Result<Self> {
        let (client, neighbour) = (Netns::new("client")?, Netns::new("neighbour")?);
        let (router, server) = (Netns::new("router")?, Netns::new("server")?);
        let lan = Bridge::new(router.iface("lan0").addr("10.0.0.1/24"))?;
        let cables = [
            lan.plug(client.iface("eth0").addr("10.0.0.2/24").gateway("10.0.0.1"))?,
            lan.plug(neighbour.iface("eth0").addr("10.0.0.3/24").gateway("10.0.0.1"))?,
            VethPair::connect(
                router.iface("wan0").addr("203.0.113.1/24"),
                server.iface("eth0").addr("203.0.113.9/24").addr("203.0.113.10/24"),
            )?,
        ];
        router.forward_ipv4()?;
        let stun = server.stun_server(["203.0.113.9", "203.0.113.10"])?;
        Ok(Self { client, neighbour, router, server, stun, _lan: lan, _cables: cables })
    }
}

/// As whom the responder sees a client that asks from that address and port.
pub(crate) fn seen(client: &Netns, from: &str, responder: &Responder) -> Result<SocketAddr> {
    let answer = client.probe(responder.via(responder.address().ip()).source(from))?;
    Ok(answer.source().expect("a responder tells its client"))
}

/// A socket in the namespace, bound to the address.
pub(crate) fn bind(netns: &Netns, address: &str) -> Result<UdpSocket> {
    let socket = netns.run(|| UdpSocket::bind(address))?.unwrap_or_else(|e| panic!("bind {address} in {netns}: {e}"));
    Ok(socket)
}

/// What comes to the socket, and must: the text and its sender.
#[track_caller]
pub(crate) fn receive(socket: &UdpSocket) -> (String, String) {
    within(socket, Duration::from_secs(3)).expect("something comes")
}

/// Whether nothing comes to the socket.
pub(crate) fn is_silent(socket: &UdpSocket) -> bool {
    within(socket, Duration::from_millis(300)).is_none()
}

fn within(socket: &UdpSocket, time: Duration) -> Option<(String, String)> {
    socket.set_read_timeout(Some(time)).unwrap();
    let mut text = [0; 128];
    let (length, from) = socket.recv_from(&mut text).ok()?;
    Some((String::from_utf8_lossy(&text[..length]).into_owned(), from.to_string()))
}
