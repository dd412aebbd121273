//! Who listens, and the probe that failed.

use super::{Machine, Script, quoted};
use crate::draw::{Listener, Topology};
use crate::probe::witness::Failed;
use crate::probe::{Asked, Probe};

/// Takes a place at which somebody listened, says a line to whoever comes, and is there when the command returns.
const STAND_IN: &str = r#"
stand_in() {
  command -v python3 >/dev/null || return 0
  inside "$1" python3 - "${@:2}" <<'PYTHON' || echo "repro.sh: nobody could listen in $1 at $3 port $4" >&2
import os, socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
server = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((address, port))
if kind == "tcp":
    server.listen()
if os.fork():
    os._exit(0)
nothing = os.open(os.devnull, os.O_RDWR)
for stream in (0, 1, 2):
    os.dup2(nothing, stream)
while True:
    try:
        if kind == "udp":
            asked, client = server.recvfrom(65536)
            server.sendto(b"stand-in\n" + asked, client)
        else:
            connection, client = server.accept()
            with connection:
                connection.settimeout(1)
                connection.sendall(b"stand-in\n")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
    except OSError:
        pass
PYTHON
}"#;

pub(super) fn all(script: &mut Script, machines: &[Machine<'_>], topology: Option<&Topology>, failed: Option<&Failed>) {
    listeners(script, machines, topology);
    script.line("\nif [ $# -gt 0 ]; then\n  exec \"$@\"\nfi");
    match failed {
        Some(failed) => again(script, &failed.netns, &failed.probe),
        None => script.line("\n# No probe had failed."),
    }
    script.line("if [ -t 0 ]; then\n  exec bash\nfi");
}

fn listeners(script: &mut Script, machines: &[Machine<'_>], topology: Option<&Topology>) {
    // The sockets of the kernel's tunnels come with these.
    let kinds = machines.iter().flat_map(|machine| machine.links().iter()).filter_map(|link| link.kind.as_ref());
    let tunnels: Vec<&str> = kinds.filter_map(|kind| kind.get("dstport")).collect();
    let is_tunnel =
        |listener: &Listener| listener.udp && listener.name.is_none() && tunnels.contains(&listener.address.port().to_string().as_str());
    let listeners = |machine: &Machine<'_>| {
        let drawn = topology.and_then(|topology| topology.machine(machine.netns.name()));
        let mut all = drawn.map(|machine| machine.listeners.clone()).unwrap_or_default();
        all.retain(|listener| !is_tunnel(listener));
        all
    };
    let all: Vec<_> = machines.iter().map(|machine| (machine, listeners(machine))).collect();
    if all.iter().all(|(_, listeners)| listeners.is_empty()) {
        return;
    }
    script
        .heading("Who listened. Where python3 is there, a stand-in answers in each one's place: it says a line, and is not who was there.");
    script.line(STAND_IN.trim_start());
    for (machine, listeners) in all {
        for listener in listeners {
            let (ip, port, kind) = (listener.address.ip(), listener.address.port(), if listener.udp { "udp" } else { "tcp" });
            let who = listener.name.map(|name| format!(" # {}", name.replace('\n', " "))).unwrap_or_default();
            script.line(format_args!("stand_in {} {kind} {ip} {port}{who}", machine.name()));
        }
    }
}

fn again(script: &mut Script, netns: &str, probe: &Probe) {
    script.heading(&format!("The probe that failed: `{netns}` asked {probe}."));
    let asked = probe.asked();
    if asked.source.is_some() && !asked.is("ping") {
        script.missing("the source address of the probe, which bash cannot choose");
    }
    let netns = quoted(netns);
    script.line("# shellcheck disable=SC2016 # the inner shell's own variable");
    script.line(format_args!(
        "if inside {netns} {}; then\n  echo 'repro.sh: the probe was answered'\nelse\n  echo 'repro.sh: the probe was not answered'\nfi",
        command(&asked)
    ));
}

fn command(asked: &Asked<'_>) -> String {
    if asked.is("ping") {
        let mut words = format!("ping -n -c 1 -W 1 -s {}", asked.size);
        words.extend(asked.source.map(|source| format!(" -I {}", quoted(source))));
        words.extend(asked.ttl.map(|ttl| format!(" -t {ttl}")));
        words.push_str(if asked.dont_fragment { " -M do" } else { "" });
        return format!("{words} {}", quoted(asked.target));
    }
    let (host, port) = asked.target.rsplit_once(':').unwrap_or((asked.target, "0"));
    let place = format!("{}/{port}", host.trim_matches(['[', ']']));
    let talk = match asked.kind {
        // A datagram is read at once: bash itself reads byte by byte, and would lose all but the first.
        "udp" => format!("exec 3<>/dev/udp/{place}; echo netlab >&3; timeout 1 dd bs=65536 count=1 status=none <&3 | grep -a -m 1 ."),
        "http" => format!(
            "exec 3<>/dev/tcp/{place}; printf 'GET {} HTTP/1.0\\r\\n\\r\\n' >&3; read -r -t 2 -u 3 line; echo \"$line\"",
            asked.path
        ),
        _ if asked.greeted => format!("exec 3<>/dev/tcp/{place}; read -r -t 2 -u 3 line; echo \"$line\""),
        _ => format!("exec 3<>/dev/tcp/{place}"),
    };
    format!("timeout 3 bash -ec {}", quoted(&talk))
}
