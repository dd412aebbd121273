//! A link that goes down while a server answers: TCP waits and goes on. A firewall that rejects ends the connection at once.
//!
//! ```text
//! client ── 10.0.0.0/24 ── router ── 10.1.0.0/24 ── server
//! ```

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use netlab::{FilterRule, Netns, Probe, Reason, VethPair};

type Outcome = Result<(), Box<dyn Error>>;

/// How a download of the program under test goes.
#[derive(Debug, PartialEq)]
enum Download {
    Complete(Vec<u8>),
    /// Nothing came for as long as the client waits; the connection is there still.
    Stalled,
    Failed(ErrorKind),
}

/// The program under test: reads that many bytes, and does not wait for ever for the next of them.
fn download(mut stream: &TcpStream, length: usize, patience: Duration) -> Download {
    stream.set_read_timeout(Some(patience)).expect("more than nothing");
    let mut bytes = vec![0; length];
    match stream.read_exact(&mut bytes) {
        Ok(()) => Download::Complete(bytes),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Download::Stalled,
        Err(e) => Download::Failed(e.kind()),
    }
}

const SHORT: Duration = Duration::from_millis(100);
/// More than TCP's pauses between two tries, which begin with 200 ms and double (RFC 6298).
const LONG: Duration = Duration::from_secs(20);

struct Lab {
    client: Netns,
    router: Netns,
    back: VethPair,
    _front: VethPair,
    listener: TcpListener,
    /// The two ends of a connection whose request has been made and half answered.
    asking: TcpStream,
    answering: TcpStream,
}

fn lab() -> Result<Lab, Box<dyn Error>> {
    let (client, router, server) = (Netns::new("client")?, Netns::new("router")?, Netns::new("server")?);
    let front = VethPair::connect(client.iface("eth0").addr("10.0.0.2/24").gateway("10.0.0.1"), router.iface("front").addr("10.0.0.1/24"))?;
    let back = VethPair::connect(router.iface("back").addr("10.1.0.1/24"), server.iface("eth0").addr("10.1.0.2/24").gateway("10.1.0.1"))?;
    router.forward_ipv4()?;

    let listener = server.run(|| TcpListener::bind("10.1.0.2:80"))??;
    let mut asking = client.run(|| TcpStream::connect("10.1.0.2:80"))??;
    let (mut answering, _) = listener.accept()?;
    asking.write_all(b"GET")?;
    answering.read_exact(&mut [0; 3])?;
    answering.write_all(b"first half, ")?;
    assert_eq!(download(&asking, 12, LONG), Download::Complete(b"first half, ".to_vec()));
    Ok(Lab { client, router, back, _front: front, listener, asking, answering })
}

#[netlab::test]
fn a_download_stalls_while_the_link_is_down_and_goes_on_when_it_is_back() -> Outcome {
    let mut lab = lab()?;
    lab.back.left().down()?; // as if somebody pulled the cable: the server's end has no carrier now
    lab.answering.write_all(b"second half")?; // TCP takes it: it does not know yet
    assert_eq!(download(&lab.asking, 11, SHORT), Download::Stalled);
    lab.back.left().up()?;
    assert_eq!(download(&lab.asking, 11, LONG), Download::Complete(b"second half".to_vec()));
    Ok(())
}

#[netlab::test]
fn without_the_break_nothing_stalls() -> Outcome {
    let mut lab = lab()?;
    lab.answering.write_all(b"second half")?;
    assert_eq!(download(&lab.asking, 11, LONG), Download::Complete(b"second half".to_vec()));
    Ok(())
}

#[netlab::test]
fn a_firewall_that_drops_looks_like_a_link_that_is_down() -> Outcome {
    let mut lab = lab()?;
    let silent = FilterRule::drop(&lab.router).forward().protocol("tcp").install()?;
    lab.answering.write_all(b"second half")?;
    assert_eq!(download(&lab.asking, 11, SHORT), Download::Stalled);
    drop(silent);
    assert_eq!(download(&lab.asking, 11, LONG), Download::Complete(b"second half".to_vec()));
    Ok(())
}

#[netlab::test]
fn a_firewall_that_rejects_resets_whoever_sends() -> Outcome {
    let mut lab = lab()?;
    let rejecting = FilterRule::reject(&lab.router).forward().tcp(80).with_tcp_reset().install()?; // from the client to the server

    // Who only waits is told nothing. The second half comes: it is the client's acknowledgement that is answered by a reset.
    assert_eq!(download(&lab.asking, 11, SHORT), Download::Stalled);
    lab.answering.write_all(b"second half")?;
    assert_eq!(download(&lab.asking, 11, LONG), Download::Complete(b"second half".to_vec()));
    assert_eq!(download(&lab.asking, 1, LONG), Download::Failed(ErrorKind::ConnectionReset));

    // A new connection is refused, as if nobody listened, until the rule is gone.
    let server = Probe::tcp(lab.listener.local_addr()?);
    lab.client.expect_unreachable(server.clone())?.by(Reason::Refused)?;
    drop(rejecting);
    lab.client.probe(server)?;
    Ok(())
}
