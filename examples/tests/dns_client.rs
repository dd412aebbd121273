//! A client that asks for a name, as every program does: by the C library, which reads `/etc/resolv.conf`.
//!
//! Each machine of a lab can have an `/etc/resolv.conf` of its own; the real one stays as it is.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::thread;

use netlab::{FilterRule, Netns, VethPair};

type Outcome = Result<(), Box<dyn Error>>;

const SERVER: &str = "10.0.0.53";

/// The program under test: finds our service, and tells "there is no such name" from "ask again later".
fn find_service(name: &str) -> Result<SocketAddr, &'static str> {
    match (name, 443).to_socket_addrs() {
        Ok(mut found) => found.next().ok_or("it has no address"),
        Err(e) if e.to_string().contains("Temporary failure") => Err("ask again later"), // EAI_AGAIN of getaddrinfo(3)
        Err(_) => Err("no such name"),
    }
}

/// A client and a name server on a cable.
fn lab() -> netlab::Result<(Netns, Netns, VethPair)> {
    let (client, server) = (Netns::new("client")?, Netns::new("server")?);
    let cable = VethPair::connect(client.iface("eth0").addr("10.0.0.1/24"), server.iface("eth0").addr("10.0.0.53/24"))?;
    client.file("/etc/nsswitch.conf").write("hosts: files dns\n")?; // whatever the real machine's way to names is
    client.set_nameserver(SERVER)?;
    Ok((client, server, cable))
}

/// A name server that knows one name. Its socket is in `on`, so it does not matter that the thread is not.
fn serve_dns(on: &Netns, known: &'static str, address: Ipv4Addr) -> Outcome {
    let socket = on.run(|| UdpSocket::bind((SERVER, 53)))??;
    thread::spawn(move || -> io::Result<()> {
        let mut question = [0; 512];
        loop {
            let (length, client) = socket.recv_from(&mut question)?;
            socket.send_to(&answer(&question[..length], known, address), client)?;
        }
    }); // the test's end is the thread's: a test is a process of its own
    Ok(())
}

/// The answer to a question (RFC 1035, section 4): the address, nothing for other types than A, and NXDOMAIN for other names.
fn answer(question: &[u8], known: &str, address: Ipv4Addr) -> Vec<u8> {
    let labels: Vec<u8> = known.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).chain([0]).collect();
    let is_known = question[12..].starts_with(&labels);
    let name_ends = 12 + question[12..].iter().position(|byte| *byte == 0).expect("a name ends") + 1;
    let is_a = question[name_ends..name_ends + 2] == [0, 1];

    let mut reply = question[..name_ends + 4].to_vec();
    reply[2] |= 0x80; // a response
    reply[3] = if is_known { 0x80 } else { 0x83 }; // recursion available; NXDOMAIN
    reply[6..12].fill(0);
    if is_known && is_a {
        reply[7] = 1; // one answer: the name of the question, type A, class IN, for 60 seconds, four bytes
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(address.octets());
    }
    reply
}

#[netlab::test]
fn a_name_has_the_address_that_the_name_server_tells_and_other_names_have_none() -> Outcome {
    let (client, server, _cable) = lab()?;
    serve_dns(&server, "api.example.com", Ipv4Addr::new(203, 0, 113, 80))?;

    // What runs in `run` has the client's network and its `/etc`.
    assert_eq!(client.run(|| find_service("api.example.com"))?, Ok("203.0.113.80:443".parse()?));
    assert_eq!(client.run(|| find_service("www.example.com"))?, Err("no such name"));
    Ok(())
}

#[netlab::test]
fn only_the_machine_with_the_resolv_conf_asks_that_server() -> Outcome {
    let (client, server, _cable) = lab()?;
    serve_dns(&server, "api.example.com", Ipv4Addr::new(203, 0, 113, 80))?;
    server.file("/etc/nsswitch.conf").write("hosts: files dns\n")?;
    server.set_nameserver("127.0.0.1")?; // where nobody is
    assert_eq!(server.run(|| find_service("api.example.com"))?, Err("ask again later"));
    assert!(client.run(|| find_service("api.example.com"))?.is_ok());
    Ok(())
}

#[netlab::test]
fn a_name_server_that_is_gone_is_no_missing_name() -> Outcome {
    let (client, server, _cable) = lab()?; // nobody has port 53, and the machine says so
    assert_eq!(client.run(|| find_service("api.example.com"))?, Err("ask again later"));
    serve_dns(&server, "api.example.com", Ipv4Addr::new(203, 0, 113, 80))?;
    assert!(client.run(|| find_service("api.example.com"))?.is_ok());
    Ok(())
}

/// It takes a second: `set_nameserver` lets the resolver ask once, and a second is the shortest time that it can be told to wait.
#[netlab::test]
fn neither_is_one_that_says_nothing() -> Outcome {
    let (client, server, _cable) = lab()?;
    serve_dns(&server, "api.example.com", Ipv4Addr::new(203, 0, 113, 80))?;
    let silent = FilterRule::drop(&server).input().udp(53).install()?;
    assert_eq!(client.run(|| find_service("api.example.com"))?, Err("ask again later"));
    silent.expect_hits(2)?; // the questions for its IPv4 and its IPv6 address

    drop(silent); // the rule was the cause
    assert!(client.run(|| find_service("api.example.com"))?.is_ok());
    Ok(())
}
