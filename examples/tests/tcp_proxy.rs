//! A TCP proxy under test: the client's network and the server's have nothing in common but the proxy.
//!
//! ```text
//! client ── 10.0.0.0/24 ── proxy ── 10.1.0.0/24 ── server
//! ```

use netlab::{Netns, Probe, Process, Reason, Result, VethPair};

/// The machines of every test here. The cables go when they are dropped, so whoever builds a lab in a function gives them back, too.
struct Lab {
    client: Netns,
    proxy: Netns,
    server: Netns,
    _cables: [VethPair; 2],
}

fn lab() -> Result<Lab> {
    let (client, proxy, server) = (Netns::new("client")?, Netns::new("proxy")?, Netns::new("server")?);
    let front = VethPair::connect(client.iface("eth0").addr("10.0.0.2/24"), proxy.iface("front").addr("10.0.0.1/24"))?;
    let back = VethPair::connect(proxy.iface("back").addr("10.1.0.1/24"), server.iface("eth0").addr("10.1.0.2/24"))?;
    Ok(Lab { client, proxy, server, _cables: [front, back] })
}

/// Starts our own program on the machine `proxy`; cargo has built it and says where it is. It ends when the `Process` is dropped.
fn start_proxy(on: &Netns) -> Result<Process> {
    on.process(env!("CARGO_BIN_EXE_tcp-proxy")).args(["10.0.0.1:80", "10.1.0.2:8000"]).listens_tcp(80).start()
}

#[netlab::test]
fn the_server_sees_the_proxy_and_not_the_client() -> Result<()> {
    let lab = lab()?;
    let web = lab.server.http_server("10.1.0.2:8000")?; // it answers with its name and whom it sees
    let _program = start_proxy(&lab.proxy)?;

    lab.client.http_get("http://10.0.0.1/")?.expect_server("server")?.expect_source("10.1.0.1")?;
    web.expect_hits(1)
}

#[netlab::test]
fn without_the_proxy_there_is_no_way() -> Result<()> {
    let lab = lab()?;
    let web = lab.server.http_server("10.1.0.2:8000")?;
    lab.proxy.probe(&web)?; // the server is there

    // The client has no route to it, and on the proxy's machine nobody listens before the program runs and after it has ended.
    lab.client.expect_unreachable(&web)?.by(libc::ENETUNREACH)?;
    lab.client.expect_unreachable(Probe::http("10.0.0.1:80"))?.by(Reason::Refused)?;
    let program = start_proxy(&lab.proxy)?;
    lab.client.http_get("http://10.0.0.1/")?.expect_server("server")?;
    drop(program);
    lab.client.expect_unreachable(Probe::http("10.0.0.1:80"))?.by(Reason::Refused)?;
    Ok(())
}

#[netlab::test]
fn a_server_that_is_gone_costs_the_client_its_connection_and_the_proxy_says_why() -> Result<()> {
    let lab = lab()?;
    let program = start_proxy(&lab.proxy)?;
    lab.client.expect_unreachable(Probe::http("10.0.0.1:80"))?.by(Reason::Reset)?;
    program.expect_line("cannot reach 10.1.0.2:8000: Connection refused")?;

    // The next client is served, once there is a server.
    let _web = lab.server.http_server("10.1.0.2:8000")?;
    lab.client.http_get("http://10.0.0.1/")?.expect_server("server")?;
    Ok(())
}
