//! Who listens, and who does not; and from which address is asked.

use netlab::explain::Cause;
use netlab::{Probe, Result, VethPair};

use crate::lab::{dies, healthy, routed};

#[netlab::test]
fn a_port_on_which_nobody_listens_is_named() -> Result<()> {
    let lab = routed()?;
    let web = lab.server.http_server("10.0.2.2:8080")?;
    healthy(&lab.client, &web)?;
    let nobody = |cause: &Cause| matches!(cause, Cause::NobodyListens { .. });
    insta::assert_snapshot!("nobody_listens_tcp", dies(&lab.client, Probe::http("10.0.2.2:80"), "server", nobody)?);
    insta::assert_snapshot!("nobody_listens_udp", dies(&lab.client, Probe::udp("10.0.2.2:53"), "server", nobody)?);
    let _other = lab.router.tcp_server("10.0.2.1:80")?;
    insta::assert_snapshot!("another_machine_listens", dies(&lab.client, Probe::tcp("10.0.2.2:80"), "server", nobody)?);
    Ok(())
}

#[netlab::test]
fn a_port_that_is_open_elsewhere_is_named() -> Result<()> {
    let lab = routed()?;
    let _second = lab.server.link("eth0")?.add_address("10.0.2.3/24")?;
    let other = lab.server.http_server("10.0.2.3:80")?;
    healthy(&lab.client, &other)?;
    let elsewhere = |cause: &Cause| matches!(cause, Cause::BoundElsewhere { .. });
    insta::assert_snapshot!("bound_to_another_address", dies(&lab.client, Probe::http("10.0.2.2:80"), "server", elsewhere)?);
    let local = lab.server.http_server("127.0.0.1:81")?;
    healthy(&lab.server, &local)?;
    let loopback = |cause: &Cause| matches!(cause, Cause::BoundToLoopback { .. });
    insta::assert_snapshot!("bound_to_loopback", dies(&lab.client, Probe::http("10.0.2.2:81"), "server", loopback)?);
    let _six = lab.server.serve("six").v6_only().http("[::]:82")?;
    insta::assert_snapshot!(
        "v6_only",
        dies(&lab.client, Probe::http("10.0.2.2:82"), "server", |cause| matches!(cause, Cause::V6Only { .. }))?
    );
    let both = lab.server.serve("both").http("[::]:83")?;
    healthy(&lab.client, both.via("10.0.2.2"))
}

#[netlab::test]
fn a_process_that_is_stopped_is_named() -> Result<()> {
    let lab = routed()?;
    let program = "import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(('',9))\nwhile True:\n d,a=s.recvfrom(2000)\n s.sendto(d,a)\n";
    let process = lab.server.process("python3").args(["-c", program]).listens_udp(9).start()?;
    healthy(&lab.client, Probe::udp("10.0.2.2:9"))?;
    process.signal(libc::SIGSTOP)?;
    insta::assert_snapshot!(dies(&lab.client, Probe::udp("10.0.2.2:9"), "server", |cause| matches!(cause, Cause::ProcessStopped { .. }))?);
    process.signal(libc::SIGCONT)?;
    healthy(&lab.client, Probe::udp("10.0.2.2:9"))
}

#[netlab::test]
fn a_backlog_that_is_full_is_named() -> Result<()> {
    let lab = routed()?;
    let listener = lab.server.run(|| -> std::io::Result<_> {
        use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, socket};
        use std::os::fd::AsRawFd;
        let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        bind(socket.as_raw_fd(), &SockaddrIn::new(10, 0, 2, 2, 99))?;
        listen(&socket, Backlog::new(0)?)?;
        Ok(socket)
    })?;
    let _listener = listener.expect("a socket that listens");
    healthy(&lab.client, Probe::tcp("10.0.2.2:99"))?;
    // Nobody accepts: the queue takes one more than it may.
    let held: Vec<_> =
        (0..3).map(|_| lab.client.observe(Probe::tcp("10.0.2.2:99").within(std::time::Duration::from_millis(100)))).collect();
    assert_eq!(held.len(), 3);
    insta::assert_snapshot!(dies(&lab.client, Probe::tcp("10.0.2.2:99"), "server", |cause| matches!(cause, Cause::BacklogFull { .. }))?);
    Ok(())
}

#[netlab::test]
fn a_server_that_says_nothing_is_named() -> Result<()> {
    let lab = routed()?;
    let sink = lab.server.serve("sink").udp_sink("10.0.2.2:10")?;
    let silent = |cause: &Cause| matches!(cause, Cause::NoAnswerFromProcess { .. });
    insta::assert_snapshot!("silent_udp", dies(&lab.client, &sink, "server", silent)?);
    let sink = lab.server.serve("sink").tcp_sink("10.0.2.2:10")?;
    insta::assert_snapshot!("silent_tcp", dies(&lab.client, Probe::http("10.0.2.2:10"), "server", silent)?);
    healthy(&lab.client, Probe::tcp(sink.address()))?;
    let _idle = lab.server.run(|| std::net::TcpListener::bind("10.0.2.2:11"))?.expect("a socket that listens");
    insta::assert_snapshot!("idle_tcp", dies(&lab.client, Probe::http("10.0.2.2:11"), "server", silent)?);
    Ok(())
}

#[netlab::test]
fn a_ping_that_is_ignored_is_named() -> Result<()> {
    let lab = routed()?;
    healthy(&lab.client, Probe::ping("10.0.2.2"))?;
    let _ignore = lab.server.set_sysctl("net.ipv4.icmp_echo_ignore_all", 1)?;
    insta::assert_snapshot!(dies(&lab.client, Probe::ping("10.0.2.2"), "server", |cause| matches!(cause, Cause::EchoIgnored { .. }))?);
    Ok(())
}

#[netlab::test]
fn a_source_that_no_answer_finds_is_named() -> Result<()> {
    let lab = routed()?;
    let other = netlab::Netns::new("other")?;
    let _cable = VethPair::connect(lab.client.iface("eth1").addr("10.0.9.2/24"), other.iface("eth0").addr("10.0.9.1/24"))?;
    healthy(&lab.client, Probe::ping("10.0.2.2"))?;
    let wrong = |cause: &Cause| matches!(cause, Cause::WrongSource { .. });
    insta::assert_snapshot!("wrong_source", dies(&lab.client, Probe::ping("10.0.2.2").source("10.0.9.2"), "client", wrong)?);
    let none = |cause: &Cause| matches!(cause, Cause::NoSuchSource { .. });
    insta::assert_snapshot!("no_such_source", dies(&lab.client, Probe::ping("10.0.2.2").source("10.0.1.99"), "client", none)?);
    Ok(())
}

#[netlab::test]
fn a_server_that_answers_from_another_address_is_named() -> Result<()> {
    let lab = routed()?;
    let _second = lab.server.link("eth0")?.add_address("10.0.2.3/24")?;
    // As UDP servers do that are bound to all addresses and do not look which one was asked.
    let program = "import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(('',9))\nwhile True:\n d,a=s.recvfrom(2000)\n s.sendto(d,a)\n";
    let _process = lab.server.process("python3").args(["-c", program]).listens_udp(9).start()?;
    healthy(&lab.client, Probe::udp("10.0.2.2:9"))?;
    let other = |cause: &Cause| matches!(cause, Cause::AnswersFromOtherAddress { .. });
    insta::assert_snapshot!(dies(&lab.client, Probe::udp("10.0.2.3:9"), "server", other)?);
    Ok(())
}
