// ANCHOR: first
use netlab::{Netns, Result, VethPair};

#[netlab::test]
fn the_server_sees_the_client() -> Result<()> {
    let client = Netns::new("client")?;
    let server = Netns::new("server")?;
    let _cable = VethPair::connect(
        client.iface("eth0").addr("10.0.0.1/24"),
        server.iface("eth0").addr("10.0.0.2/24"),
    )?;

    let web = server.http_server("10.0.0.2:80")?;
    client.probe(&web)?.expect_source("10.0.0.1")?;
    Ok(())
}
// ANCHOR_END: first

// ANCHOR: own_code
use std::io::{self, Read, Write};
use std::net::TcpStream;

/// The code under test: it knows nothing of netlab.
fn fetch(server: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server)?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

#[netlab::test]
fn my_client_reads_a_page() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let (client, server) = (Netns::new("client")?, Netns::new("server")?);
    let _cable = VethPair::connect(
        client.iface("eth0").addr("10.0.0.1/24"),
        server.iface("eth0").addr("10.0.0.2/24"),
    )?;
    let web = server.http_server("10.0.0.2:80")?;

    let page = client.run(|| fetch("10.0.0.2:80"))??;
    assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
    assert_eq!(web.hits(), 1);

    drop(web);
    let refused = client.run(|| fetch("10.0.0.2:80"))?;
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    Ok(())
}
// ANCHOR_END: own_code

// ANCHOR: program
#[netlab::test]
fn a_real_web_server_answers() -> Result<()> {
    let (client, server) = (Netns::new("client")?, Netns::new("server")?);
    let _cable = VethPair::connect(
        client.iface("eth0").addr("10.0.0.1/24"),
        server.iface("eth0").addr("10.0.0.2/24"),
    )?;
    let program = server.process("busybox").args(["httpd", "-f", "-p", "80"]);
    let _httpd = program.listens_tcp(80).start()?; // returns when the port is open

    client.probe(netlab::Probe::tcp("10.0.0.2:80"))?;
    Ok(())
}
// ANCHOR_END: program
