//! A user-space overlay, as small as one can be: packets of a TUN device in UDP datagrams, and back.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use ipnet::Ipv4Net;
use netlab::{Iface, Netns, Tun};

use crate::error::{Error, Result};

/// As large as a datagram can be.
const LARGEST: usize = 65_535;

/// Which node has a network of pods: the networks, and where the nodes' forwarders listen.
pub(super) type Ways = Vec<(Ipv4Net, SocketAddr)>;

/// A running forwarder; dropped, it ends, and the device goes.
#[derive(Debug)]
pub(super) struct Forwarder {
    tun: Option<Tun>,
    socket: UdpSocket,
    sent: Arc<AtomicU64>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Forwarder {
    /// Makes the device, listens on a UDP port of the machine, and forwards by those ways.
    pub(super) fn start(netns: &Netns, device: Iface, port: u16, ways: Ways) -> Result<Self> {
        let tun = Tun::new(device)?;
        let start = || -> io::Result<Self> {
            let socket = netns.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))).map_err(io::Error::other)??;
            let sent = Arc::new(AtomicU64::new(0));
            let (from, to) = (tun.file().try_clone()?, tun.file().try_clone()?);
            let (out, back, count) = (socket.try_clone()?, socket.try_clone()?, sent.clone());
            let name = |what: &str| thread::Builder::new().name(format!("{what} {netns}"));
            let threads =
                vec![name("out of").spawn(move || outwards(from, &out, &ways, &count))?, name("into").spawn(move || inwards(&back, to))?];
            Ok(Self { tun: Some(tun), socket, sent, threads })
        };
        start().map_err(|e| Error::World(format!("cannot start a forwarder in {netns}: {e}")))
    }

    /// How many packets of the device it has sent to other nodes, or tried to.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        // Who reads from the device gets an error when it goes, and who reads from the socket an empty datagram.
        drop(self.tun.take());
        let port = self.socket.local_addr().map(|address| address.port());
        if port.and_then(|port| self.socket.send_to(&[], (Ipv4Addr::LOCALHOST, port))).is_ok() {
            self.threads.drain(..).for_each(|thread| drop(thread.join()));
        }
    }
}

/// From the device to the node that has the destination; what is not IPv4, or for nobody, is lost.
fn outwards(mut device: File, socket: &UdpSocket, ways: &Ways, sent: &AtomicU64) -> io::Result<()> {
    let mut packet = vec![0; LARGEST];
    loop {
        let length = device.read(&mut packet)?;
        let Some(destination) = destination(&packet[..length]) else { continue };
        if let Some((_, node)) = ways.iter().find(|(net, _)| net.contains(&destination)) {
            sent.fetch_add(1, Ordering::SeqCst);
            // A node that cannot be reached is no reason to end.
            let _lost_if_not = socket.send_to(&packet[..length], node);
        }
    }
}

/// From the other nodes to the device.
fn inwards(socket: &UdpSocket, mut device: File) -> io::Result<()> {
    let mut packet = vec![0; LARGEST];
    loop {
        match socket.recv(&mut packet) {
            Ok(0) => return Ok(()),
            Ok(length) => device.write_all(&packet[..length])?,
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(e) => return Err(e),
        }
    }
}

/// The destination of an IPv4 packet (RFC 791, 3.1).
fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    let [first, ..] = packet else { return None };
    let address: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    (first >> 4 == 4).then(|| address.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_destination_is_that_of_an_ipv4_packet() {
        let mut packet = [0; 20];
        packet[0] = 0x45;
        packet[16..].copy_from_slice(&[10, 244, 2, 2]);
        assert_eq!(destination(&packet), Some(Ipv4Addr::new(10, 244, 2, 2)));
        assert_eq!(destination(&packet[..19]), None);
        packet[0] = 0x60;
        assert_eq!(destination(&packet), None);
        assert_eq!(destination(&[]), None);
    }
}
