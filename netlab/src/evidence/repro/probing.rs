//! Who listens, and the probe that failed.

use super::{Machine, Script, quoted};
use crate::probe::{Asked, Probe};

pub(super) fn all(script: &mut Script, _machines: &[Machine<'_>], failed: Option<&(String, Probe)>) {
    script.line("\nif [ $# -gt 0 ]; then\n  exec \"$@\"\nfi");
    match failed {
        Some((netns, probe)) => again(script, netns, probe),
        None => script.line("\n# No probe had failed."),
    }
    script.line("if [ -t 0 ]; then\n  exec bash\nfi");
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
        "udp" => format!("exec 3<>/dev/udp/{place}; echo netlab >&3; read -r -t 1 -u 3 line; echo \"$line\""),
        "http" => format!(
            "exec 3<>/dev/tcp/{place}; printf 'GET {} HTTP/1.0\\r\\n\\r\\n' >&3; read -r -t 2 -u 3 line; echo \"$line\"",
            asked.path
        ),
        _ if asked.greeted => format!("exec 3<>/dev/tcp/{place}; read -r -t 2 -u 3 line; echo \"$line\""),
        _ => format!("exec 3<>/dev/tcp/{place}"),
    };
    format!("timeout 3 bash -ec {}", quoted(&talk))
}
