//! `repro.sh`, run with the programs that it names: what it builds is what there was.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use crate::child::{Left, run};

/// In the rebuilt lab: the listings of `state.txt`, by the programs themselves. Where no namespace has a name, `ip` shows their ids.
const LIST: &str = r#"
for netns in "$@"; do
  echo "======== $netns"
  nsenter --net="/run/netns/$netns" unshare --mount bash -euc '
    mount -t tmpfs tmpfs /run
    echo "---- ip -d link"; ip -d link
    echo "---- ip address"; ip address
    echo "---- ip route show table all"; ip route show table all
    echo "---- ip rule"; ip rule
    echo "---- ip -6 rule"; ip -6 rule
    echo "---- ip neighbour"; ip neighbour
    echo "---- ip neighbour show proxy"; ip neighbour show proxy
    echo "---- bridge fdb"; bridge fdb
    echo "---- listening"; ss -Hlntu | awk "{ print \$1, \$5 }"
    echo "---- nft -a list ruleset"; nft -a list ruleset'
done
"#;

/// Listings by namespace and title.
type Listings = BTreeMap<(String, String), Vec<String>>;

fn parse(text: &str) -> Listings {
    let mut all = Listings::new();
    for part in text.split("======== ").skip(1) {
        let (netns, body) = part.split_once('\n').unwrap();
        for listing in body.split("---- ").skip(1) {
            let (title, lines) = listing.split_once('\n').unwrap();
            let listener = |line: String| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            let mut lines: Vec<_> = lines.lines().filter_map(lasting).collect();
            if title == "listening" {
                // The kernel's own sockets of a VXLAN are named or not, by whoever lists them.
                lines =
                    lines.into_iter().map(listener).filter(|line| ![":4789", ":8472"].iter().any(|port| line.ends_with(port))).collect();
            }
            // Routes and entries that the kernel lists in the order in which they came, or by a hash.
            lines.sort();
            if !lines.is_empty() && !title.starts_with("sysctls") && !title.starts_with("conntrack") {
                all.insert((netns.to_owned(), title.to_owned()), lines);
            }
        }
    }
    all
}

/// A line without what time and traffic make of it; nothing if they made it.
fn lasting(line: &str) -> Option<String> {
    const COUNTED: [&str; 9] = [
        "hello_timer",
        "tcn_timer",
        "topology_change_timer",
        "gc_timer",
        "hold_timer",
        "forward_delay_timer",
        "packets",
        "bytes",
        "handle",
    ];
    let mut words = Vec::new();
    let mut rest = line.split_whitespace();
    while let Some(word) = rest.next() {
        words.push(word);
        if COUNTED.contains(&word) {
            rest.next();
        }
    }
    let learned = ["REACHABLE", "STALE", "DELAY", "PROBE", "INCOMPLETE", "FAILED"].iter().any(|state| words.contains(state));
    let learned_by_bridge = words.get(1) == Some(&"dev") && !words.contains(&"permanent") && !words.contains(&"static");
    let is_fdb = words.first().is_some_and(|word| word.len() == 17 && word.matches(':').count() == 5);
    let passing = words.is_empty() || learned || is_fdb && learned_by_bridge;
    (!passing).then(|| words.join(" "))
}

fn repro(left: &Left, arguments: &[&str]) -> String {
    let output = Command::new("bash").arg(left.folder().join("repro.sh")).args(arguments).stdin(Stdio::null()).output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && errors.is_empty(), "{errors}\n{text}\n{}", left.read("repro.sh"));
    text.into_owned()
}

/// What the script builds has the same listings as what there was.
fn builds_the_same(left: &Left, machines: &[&str]) {
    let state = left.state();
    let before = parse(&state);
    let after = parse(&repro(left, &[&["bash", "-euc", LIST, "list"], machines].concat()));
    for (place, lines) in &before {
        assert_eq!(after.get(place), Some(lines), "{place:?}\n{}", left.read("repro.sh"));
    }
    for (place, lines) in &after {
        assert!(before.contains_key(place), "{place:?}: {lines:?}\n{}", left.read("repro.sh"));
    }
    assert_eq!(before.keys().map(|(netns, _)| netns).collect::<std::collections::BTreeSet<_>>().len(), machines.len());
    let mut sysctls = Vec::new();
    for machine in machines {
        sysctls.extend(left.state_of(machine).lines().filter_map(sysctl).map(|(key, value)| (*machine, key, value)));
    }
    let read = "while [ $# -gt 0 ]; do nsenter --net=\"/run/netns/$1\" cat \"/proc/sys/$2\"; shift 2; done";
    let asked: Vec<&str> = sysctls.iter().flat_map(|(machine, key, _)| [*machine, key.as_str()]).collect();
    let values = repro(left, &[&["bash", "-euc", read, "read"], &asked[..]].concat());
    let values: Vec<String> = values.lines().map(|value| value.replace('\t', " ")).collect();
    assert_eq!(values, sysctls.iter().map(|(_, _, value)| value.clone()).collect::<Vec<_>>(), "{asked:?}");
}

/// `net/ipv4/ip_forward = 1 (was 0)`
fn sysctl(line: &str) -> Option<(String, String)> {
    let (key, rest) = line.split_once(" = ")?;
    let (value, _) = rest.rsplit_once(" (was ")?;
    key.starts_with("net/").then(|| (key.to_owned(), value.to_owned()))
}

#[test]
fn the_script_builds_the_lab_that_there_was() {
    let left = run("everything").failed();
    assert!(left.state().contains("cannot get an answer in `host` to udp 10.0.0.4:7000"), "{}", left.state());
    assert!(!left.read("repro.sh").contains("MISSING"), "{}", left.read("repro.sh"));
    builds_the_same(&left, &["host", "far", "pod 2", "router"]);
}

#[test]
fn the_script_repeats_the_probe_that_failed() {
    let left = run("everything").failed();
    let text = repro(&left, &[]);
    assert!(text.contains("repro.sh: the probe was not answered"), "{text}");
    // Without the policy that drops it there is an answer: what listened has a stand-in.
    let script = left.read("repro.sh");
    assert!(script.contains("policy drop") && script.contains("stand_in 'pod 2' udp 10.0.0.4 7000 # pod2"), "{script}");
    std::fs::write(left.folder().join("repro.sh"), script.replace("policy drop", "policy accept")).unwrap();
    let text = repro(&left, &[]);
    assert!(text.contains("stand-in\nrepro.sh: the probe was answered"), "{text}");
}

#[test]
fn a_small_lab_is_built_again_too() {
    let left = run("returns_an_error").failed();
    builds_the_same(&left, &["host", "laptop", "server"]);
}
