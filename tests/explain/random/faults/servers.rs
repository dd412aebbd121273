//! Faults of who should answer.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;

use netlab::Result;
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage};

use super::{Injected, Truth};
use crate::random::lab::Lab;
use crate::random::plan::Asks;

fn again(lab: &mut Lab) -> Result<()> {
    lab.server = None;
    let (node, address) = (lab.server_node().clone(), lab.listening());
    lab.server = lab.responder(&node, &address)?;
    Ok(())
}

pub(super) fn nobody_listens(lab: &mut Lab) -> Result<Injected> {
    lab.server = None;
    let truth = Truth::at(lab.server_node(), "nobody_listens");
    // Whose rule leads to a port where nobody is may be as wrong.
    let truth = lab.plan.dnat.into_iter().fold(truth, |truth, router| truth.or(&lab.nodes[router], "translated_to_silence"));
    let truth = if lab.plan.local_dnat { truth.or(lab.server_node(), "translated_to_silence") } else { truth };
    Ok(truth.undone(again))
}

pub(super) fn bound_to_loopback(lab: &mut Lab) -> Result<Injected> {
    lab.server = None;
    let node = lab.server_node().clone();
    let address = if lab.plan.ipv6 { format!("[::1]:{}", lab.plan.port) } else { format!("127.0.0.1:{}", lab.plan.port) };
    lab.server = lab.responder(&node, &address)?;
    Ok(Truth::at(node, "bound_to_loopback").undone(again))
}

/// The server has a second address, and listens on that.
pub(super) fn bound_elsewhere(lab: &mut Lab) -> Result<Injected> {
    lab.server = None;
    let node = lab.server_node().clone();
    let second = if lab.plan.ipv6 { "fd77::7/128" } else { "172.31.7.7/32" };
    let address = node.link("lo")?.add_address(second)?;
    let bound = if lab.plan.ipv6 { format!("[fd77::7]:{}", lab.plan.port) } else { format!("172.31.7.7:{}", lab.plan.port) };
    lab.server = lab.responder(&node, &bound)?;
    Ok(Truth::at(node, "bound_elsewhere").undone(|lab| {
        again(lab)?;
        drop(address);
        Ok(())
    }))
}

pub(super) fn v6_only(lab: &mut Lab) -> Result<Injected> {
    lab.server = None;
    let node = lab.server_node().clone();
    let (serve, bound) = (node.serve("server").v6_only(), format!("[::]:{}", lab.plan.port));
    lab.server = Some(match lab.plan.asks {
        Asks::Udp => serve.udp_echo(bound)?,
        Asks::Http => serve.http(bound)?,
        _ => serve.tcp(bound)?,
    });
    Ok(Truth::at(node, "v6_only").undone(again))
}

/// A server that takes everything and says nothing.
pub(super) fn silent(lab: &mut Lab) -> Result<Injected> {
    lab.server = None;
    let (node, address) = (lab.server_node().clone(), lab.listening());
    let serve = node.serve("server");
    lab.server = Some(if lab.plan.asks == Asks::Udp { serve.udp_sink(address)? } else { serve.tcp_sink(address)? });
    Ok(Truth::at(node, "no_answer_from_process").undone(again))
}

/// A program that answers like the responder, stopped.
pub(super) fn stopped(lab: &mut Lab) -> Result<Injected> {
    lab.server = None;
    let node = lab.server_node().clone();
    let udp = lab.plan.asks == Asks::Udp;
    let listening: SocketAddr = lab.listening().parse().expect("a socket address");
    let program = node.process("perl").args(["-e", if udp { UDP } else { TCP }, &listening.ip().to_string(), &lab.plan.port.to_string()]);
    let port = lab.plan.port as u16;
    let program = if udp { program.listens_udp(port) } else { program.listens_tcp(port) }.start()?;
    lab.client().probe(&lab.probe)?;
    program.signal(nix::libc::SIGSTOP)?;
    Ok(Truth::at(&node, "process_stopped").undone(move |lab| {
        drop(program);
        again(lab)
    }))
}

const UDP: &str = r#"use IO::Socket::IP;
my $s = IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => $ARGV[1], Proto => "udp") or die $@;
while (defined(my $from = $s->recv(my $data, 65535))) { $s->send("pong", 0, $from); }"#;

const TCP: &str = r#"use IO::Socket::IP;
my $s = IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => $ARGV[1], Proto => "tcp", Listen => 8, ReuseAddr => 1) or die $@;
while (my $c = $s->accept) { print $c "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"; close $c; }"#;

/// A listener that accepts nobody, and as many connections as it keeps waiting.
pub(super) fn backlog_full(lab: &mut Lab) -> Result<Injected> {
    lab.server = None;
    let node = lab.server_node().clone();
    let address = SocketAddr::new(lab.server_ip(), lab.plan.port as u16);
    let full = node.run(|| {
        let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let listener = socket::socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        socket::setsockopt(&listener, socket::sockopt::ReuseAddr, &true)?;
        socket::bind(listener.as_raw_fd(), &SockaddrStorage::from(address))?;
        socket::listen(&listener, Backlog::new(1)?)?;
        let waiting: Vec<_> = (0..2).filter_map(|_| TcpStream::connect_timeout(&address, crate::random::lab::WITHIN).ok()).collect();
        nix::Result::Ok((listener, waiting))
    })?;
    let full = full.expect("a listening socket");
    Ok(Truth::at(node, "backlog_full").undone(move |lab| {
        drop(full);
        again(lab)
    }))
}
