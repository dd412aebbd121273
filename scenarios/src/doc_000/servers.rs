//! Stages 01 to 08: two servers, and a namespace without a way out.

use netlab::{Netns, Reason};

use super::{DUSTIN, SERVER_1, SERVER_2, log_lines, stop};
use crate::ip_netns;
use crate::stage::{Cause, Stage};

pub(super) const STAGES: &[Stage] = &[
    Stage {
        id: "000.01",
        title: "one server",
        claim: "A server that listens on port 8080 answers `curl localhost:8080`, and its log shows the request.",
        truth: "The page comes from server1, and its log has one line more.",
        commands: &["python3 -m http.server 8080 &  # server1"],
        before: |w, s| s.not_served(&w.host(), "127.0.0.1:8080", Reason::Refused),
        change: |w| {
            let server = w.host().serve(SERVER_1).http("0.0.0.0:8080")?;
            w.keep(SERVER_1, server);
            Ok(())
        },
        check: |w, s| {
            s.served(&w.host(), "127.0.0.1:8080", SERVER_1)?;
            s.equals("the log of server1 has one line", log_lines(w, SERVER_1)?, 1)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.02",
        title: "port clash",
        claim: "A second server cannot have port 8080 of the same host: the address is already in use.",
        truth: "bind(2) fails with EADDRINUSE, although the servers set SO_REUSEADDR: that is for sockets that no longer listen.",
        commands: &["python3 -m http.server 8080  # server2: fails"],
        cause: Cause::Change("000.01"),
        check: |w, s| {
            s.refused("host: a second server on port 8080 does not start", w.host().bind_tcp("0.0.0.0:8080"), libc::EADDRINUSE)?;
            let bound = w.host().bind_tcp("0.0.0.0:8081")?;
            s.holds("host: it is the port, for another one can be had", bound.address(), true)?;
            s.without("server1 running");
            stop(w, SERVER_1)?;
            let bound = w.host().bind_tcp("0.0.0.0:8080")?;
            s.holds("host: a second server on port 8080 starts", bound.address(), true)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.03",
        title: "new netns",
        claim: "In a network namespace of its own the second server starts without an error.",
        truth: "It has the port. `lo` is still DOWN and there is no address at all: to bind the wildcard address takes none.",
        commands: &["ip netns add netns_dustin", "ip netns exec netns_dustin python3 -m http.server 8080 &  # server2"],
        before: |w, s| s.refused("host: there is no room for server2 on port 8080", w.host().bind_tcp("0.0.0.0:8080"), libc::EADDRINUSE),
        change: |w| {
            let dustin = w.add(Netns::bare(DUSTIN)?);
            ip_netns::add_name(&dustin)?;
            w.keep(SERVER_2, dustin.serve(SERVER_2).http("0.0.0.0:8080")?);
            Ok(())
        },
        check: |w, s| {
            let dustin = w.machine(DUSTIN)?;
            s.holds(
                "netns_dustin is another network namespace than the host's",
                format!("net:[{}] and net:[{}]", dustin.inode()?, w.host().inode()?),
                !dustin.is_same(&w.host()),
            )?;
            s.refused("netns_dustin: server2 has port 8080", dustin.bind_tcp("0.0.0.0:8080"), libc::EADDRINUSE)?;
            s.equals("host: `ip netns list` has", ip_netns::names().join(" "), DUSTIN)?;
            s.link(&dustin, "lo is down", "lo", "lo: <LOOPBACK> noop DOWN")?;
            s.addresses(&dustin, "there is no address", "lo", "none")
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.04",
        title: "host's localhost",
        claim: "On the host, localhost:8080 is still server1.",
        truth: "server1 alone answers: a listener is found by its namespace first. When it stops, nobody does, though server2 listens.",
        commands: &["curl 127.0.0.1:8080"],
        cause: Cause::Change("000.01"),
        check: |w, s| {
            s.served(&w.host(), "127.0.0.1:8080", SERVER_1)?;
            s.equals("the log of server2 has no line", log_lines(w, SERVER_2)?, 0)?;
            s.without("server1 running");
            stop(w, SERVER_1)?;
            s.not_served(&w.host(), "127.0.0.1:8080", Reason::Refused)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.05",
        title: "localhost inside fails",
        claim: "Inside the namespace `curl localhost:8080` fails, although server2 listens there.",
        truth: "It fails at once, and not with \"connection refused\": ENETUNREACH for 127.0.0.1, EADDRNOTAVAIL for ::1. There is no route \
                to either: the table `local`, which would hold it, is empty.",
        commands: &["ip netns exec netns_dustin curl 127.0.0.1:8080"],
        before: |w, s| s.served(&w.host(), "127.0.0.1:8080", SERVER_1),
        cause: LO_IS_DOWN,
        check: |w, s| {
            let dustin = w.machine(DUSTIN)?;
            s.not_served(&dustin, "127.0.0.1:8080", libc::ENETUNREACH)?;
            s.not_served(&dustin, "[::1]:8080", libc::EADDRNOTAVAIL)?;
            s.routes(&dustin, "the table `local` is empty", "local", &[])?;
            s.without("lo DOWN");
            dustin.link("lo")?.up()?;
            s.served(&dustin, "127.0.0.1:8080", SERVER_2)
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.06",
        title: "lo is DOWN",
        claim: "The reason is that `lo`, the only device of a new namespace, is DOWN.",
        truth: "`<LOOPBACK>` with qdisc noop and state DOWN, without an address.",
        needs: &["a kernel without built-in fallback tunnel devices (tunl0, sit0), which a new namespace would have as well"],
        commands: &["ip netns exec netns_dustin ip address"],
        before: |w, s| s.link(&w.host(), "lo is up", "lo", "lo: <LOOPBACK,UP,LOWER_UP> noqueue UNKNOWN"),
        cause: LO_IS_DOWN,
        check: |w, s| {
            let dustin = w.machine(DUSTIN)?;
            s.links(&dustin, "lo is the only device", "lo")?;
            s.link(&dustin, "lo is down", "lo", "lo: <LOOPBACK> noop DOWN")?;
            s.addresses(&dustin, "lo has no address", "lo", "none")
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.07",
        title: "lo up",
        claim: "`ip link set lo up` brings it up, and it gets 127.0.0.1.",
        truth: "UP and LOWER_UP, state UNKNOWN (a loopback device has no carrier to report). 127.0.0.1/8 and ::1/128 appear, and with them \
                the routes of the table `local`.",
        commands: &["ip netns exec netns_dustin ip link set lo up"],
        before: |w, s| {
            let dustin = w.machine(DUSTIN)?;
            s.link(&dustin, "lo is down", "lo", "lo: <LOOPBACK> noop DOWN")?;
            s.addresses(&dustin, "lo has no address", "lo", "none")?;
            s.routes(&dustin, "the table `local` is empty", "local", &[])
        },
        change: |w| Ok(w.machine(DUSTIN)?.link("lo")?.up()?),
        check: |w, s| {
            let dustin = w.machine(DUSTIN)?;
            s.link(&dustin, "lo is up", "lo", "lo: <LOOPBACK,UP,LOWER_UP> noqueue UNKNOWN")?;
            s.addresses(&dustin, "lo has its addresses", "lo", "127.0.0.1/8 ::1/128")?;
            s.routes(
                &dustin,
                "three routes appear in the table `local`",
                "local",
                &[
                    "local 127.0.0.0/8 dev lo proto kernel scope host src 127.0.0.1",
                    "local 127.0.0.1 dev lo proto kernel scope host src 127.0.0.1",
                    "broadcast 127.255.255.255 dev lo proto kernel scope link src 127.0.0.1",
                ],
            )
        },
        ..Stage::STILL
    },
    Stage {
        id: "000.08",
        title: "own localhost",
        claim: "Now localhost inside the namespace is server2, and localhost on the host is server1.",
        truth: "Each namespace has a loopback device of its own. There is no way from the host to server2 yet.",
        commands: &["ip netns exec netns_dustin curl 127.0.0.1:8080"],
        cause: Cause::Change("000.07"),
        check: |w, s| {
            let (host, dustin) = (w.host(), w.machine(DUSTIN)?);
            s.served(&dustin, "127.0.0.1:8080", SERVER_2)?;
            s.equals("the log of server1 has no line", log_lines(w, SERVER_1)?, 0)?;
            s.served(&host, "127.0.0.1:8080", SERVER_1)?;
            s.served(&host, "192.168.0.100:8080", SERVER_1)?;
            s.not_served(&host, "10.0.0.11:8080", Reason::Silence)?;
            s.without("lo UP in netns_dustin");
            dustin.link("lo")?.down()?;
            s.not_served(&dustin, "127.0.0.1:8080", Reason::Silence)
        },
        ..Stage::STILL
    },
];

/// What is down stays down until stage 07.
const LO_IS_DOWN: Cause =
    Cause::Lack { of: "ip netns exec netns_dustin ip link set lo up", supply: |w| Ok(w.machine(DUSTIN)?.link("lo")?.up()?) };
