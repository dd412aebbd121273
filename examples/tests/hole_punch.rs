//! UDP hole punching: two peers behind NATs of their own talk to each other without anybody between them (RFC 5128, section 3.3).
//!
//! ```text
//! alice ── home (NAT) ──┐              ┌── work (NAT) ── bob
//!  10.0.0.2   203.0.113.1└─ internet ─┘203.0.113.2   10.0.0.2
//!                      203.0.113.9 (rendezvous)
//! ```

use std::error::Error;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use netlab::{Bridge, Flow, NatGateway, Netns, VethPair};
use rstest::rstest;

type Outcome = Result<(), Box<dyn Error>>;

const RENDEZVOUS: &str = "203.0.113.9:3478";

/// The program under test: asks the rendezvous for the other peer's address and sends there until something comes, from wherever it does.
fn punch(socket: &UdpSocket, patience: Duration) -> io::Result<SocketAddr> {
    let (mut buffer, deadline) = ([0; 64], Instant::now() + patience);
    socket.set_read_timeout(Some(patience))?;
    socket.send_to(b"register", RENDEZVOUS)?;
    let (length, rendezvous) = socket.recv_from(&mut buffer)?;
    let announced: SocketAddr = String::from_utf8_lossy(&buffer[..length]).parse().map_err(io::Error::other)?;

    socket.set_read_timeout(Some(Duration::from_millis(20)))?; // how often it sends again
    while Instant::now() < deadline {
        socket.send_to(b"hello", announced)?;
        if let Ok((_, peer)) = socket.recv_from(&mut buffer)
            && peer != rendezvous
        {
            socket.send_to(b"hello", peer)?; // the peer's port may be another than the announced one
            return Ok(peer);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Waits for two peers and tells each where it sees the other.
fn introduce(socket: &UdpSocket) -> io::Result<[SocketAddr; 2]> {
    let (_, first) = socket.recv_from(&mut [0; 64])?;
    let (_, second) = socket.recv_from(&mut [0; 64])?;
    socket.send_to(second.to_string().as_bytes(), first)?;
    socket.send_to(first.to_string().as_bytes(), second)?;
    Ok([first, second])
}

#[derive(Clone, Copy)]
enum Nat {
    FullCone,
    RestrictedCone,
    PortRestricted,
    Symmetric,
}

impl Nat {
    fn install(self, router: &Netns) -> netlab::Result<NatGateway> {
        let nat = match self {
            Nat::FullCone => NatGateway::full_cone(router),
            Nat::RestrictedCone => NatGateway::restricted_cone(router),
            Nat::PortRestricted => NatGateway::port_restricted_cone(router),
            Nat::Symmetric => NatGateway::symmetric(router),
        };
        nat.out("wan0").install()
    }
}

/// A peer on a LAN of its own, behind a router to the internet.
struct Site {
    peer: UdpSocket,
    router: Netns,
    _fixtures: ([VethPair; 2], NatGateway),
}

fn site(internet: &Bridge, name: &str, address: &str, nat: Nat) -> Result<Site, Box<dyn Error>> {
    let (peer, router) = (Netns::new(format!("{name}-peer"))?, Netns::new(name)?);
    let wan = internet.plug(router.iface("wan0").addr(address))?;
    let lan = VethPair::connect(peer.iface("eth0").addr("10.0.0.2/24").gateway("10.0.0.1"), router.iface("lan0").addr("10.0.0.1/24"))?;
    router.forward_ipv4()?;
    let nat = nat.install(&router)?;
    let peer = peer.run(|| UdpSocket::bind("0.0.0.0:4000"))??; // a socket stays where it was opened
    Ok(Site { peer, router, _fixtures: ([wan, lan], nat) })
}

#[rstest]
#[case(Nat::FullCone, Nat::FullCone, true)]
#[case(Nat::PortRestricted, Nat::PortRestricted, true)]
#[case(Nat::FullCone, Nat::Symmetric, true)]
#[case(Nat::RestrictedCone, Nat::Symmetric, true)]
#[case(Nat::PortRestricted, Nat::Symmetric, false)]
#[case(Nat::Symmetric, Nat::Symmetric, false)]
#[netlab::test]
fn peers_reach_each_other_unless_neither_knows_the_port_of_the_other(#[case] home: Nat, #[case] work: Nat, #[case] meets: bool) -> Outcome {
    let internet = Netns::new("internet")?;
    let bridge = Bridge::new(internet.iface("br0").addr("203.0.113.9/24"))?;
    let (home, work) = (site(&bridge, "home", "203.0.113.1/24", home)?, site(&bridge, "work", "203.0.113.2/24", work)?);
    let rendezvous = internet.run(|| UdpSocket::bind(RENDEZVOUS))??;

    let patience = Duration::from_millis(if meets { 5000 } else { 300 }); // who meets does not wait for it
    let (seen, alice, bob) = thread::scope(|scope| {
        let alice = scope.spawn(|| punch(&home.peer, patience));
        let bob = scope.spawn(|| punch(&work.peer, patience));
        (introduce(&rendezvous), alice.join().expect("no panic"), bob.join().expect("no panic"))
    });
    seen?;
    let outcome = (alice.map_err(|e| e.kind()), bob.map_err(|e| e.kind()));
    if meets {
        let (to_bob, to_alice) = (outcome.0.expect("alice hears bob"), outcome.1.expect("bob hears alice"));
        assert_eq!((to_bob.ip().to_string(), to_alice.ip().to_string()), ("203.0.113.2".into(), "203.0.113.1".into()));
        home.peer.send_to(b"direct", to_bob)?;
        return hears(&work.peer, b"direct");
    }
    assert_eq!(outcome, (Err(io::ErrorKind::TimedOut), Err(io::ErrorKind::TimedOut)));

    // The reason: the symmetric NAT sends bob's packets to alice from another port than the rendezvous has seen and announced.
    let to_rendezvous = work.router.expect_connection(Flow::udp().from("10.0.0.2:4000").to(RENDEZVOUS))?;
    let to_alice = work.router.expect_connection(Flow::udp().from("10.0.0.2:4000").to("203.0.113.1"))?;
    assert_ne!(to_rendezvous.seen_source(), to_alice.seen_source());
    Ok(())
}

/// Reads until that comes.
fn hears(socket: &UdpSocket, wanted: &[u8]) -> Outcome {
    let mut buffer = [0; 64];
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    while socket.recv(&mut buffer)? != wanted.len() || !buffer.starts_with(wanted) {}
    Ok(())
}

#[netlab::test]
fn a_peer_that_does_not_send_is_not_heard_of() -> Outcome {
    let internet = Netns::new("internet")?;
    let bridge = Bridge::new(internet.iface("br0").addr("203.0.113.9/24"))?;
    let home = site(&bridge, "home", "203.0.113.1/24", Nat::PortRestricted)?;
    let work = site(&bridge, "work", "203.0.113.2/24", Nat::PortRestricted)?;
    let rendezvous = internet.run(|| UdpSocket::bind(RENDEZVOUS))??;
    home.peer.send_to(b"register", RENDEZVOUS)?;
    let (_, alice) = rendezvous.recv_from(&mut [0; 64])?;

    work.peer.send_to(b"knock", alice)?;
    home.peer.set_read_timeout(Some(Duration::from_millis(200)))?;
    let heard = home.peer.recv(&mut [0; 64]).map_err(|e| e.kind());
    assert_eq!(heard, Err(io::ErrorKind::WouldBlock), "the hole is for the rendezvous alone");

    home.peer.send_to(b"punch", "203.0.113.2:4000")?; // this opens it
    work.peer.send_to(b"knock", alice)?;
    hears(&home.peer, b"knock")
}
