//! The real `ip`, which builds the zoo and says how it reads.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use netlab::Netns;

/// Runs `ip` in the namespace with one command a line; each has to work.
#[track_caller]
pub(crate) fn build(ns: &Netns, commands: &str) {
    batch(ns, "-batch -", commands).expect("the zoo can be built");
}

/// As [`build`] with `ip -6`.
#[track_caller]
pub(crate) fn build_ipv6(ns: &Netns, commands: &str) {
    batch(ns, "-6 -batch -", commands).expect("the zoo can be built");
}

/// As [`build`], for what not every kernel or iproute2 has: a command that is refused leaves the zoo poorer, no more. Tells how many worked.
pub(crate) fn build_what_there_is(ns: &Netns, commands: &str) -> usize {
    commands.lines().filter(|line| !line.trim().is_empty()).filter(|line| batch(ns, "-batch -", line).is_ok()).count()
}

/// What `ip` prints.
#[track_caller]
pub(crate) fn ip(ns: &Netns, arguments: &str) -> String {
    let output = run(ns, arguments, "");
    assert!(output.status.success(), "`ip {arguments}` says: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `bridge` prints; the error is what it complains of.
pub(crate) fn bridge(ns: &Netns, arguments: &str) -> Result<String, String> {
    let output = ns.command("bridge").unwrap().args(arguments.split_whitespace()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Fails unless `ours` is what `ip` prints. Where time changes what `ip` prints, they are compared when it printed the same before and after.
#[track_caller]
pub(crate) fn same(ns: &Netns, arguments: &str, ours: impl Fn() -> String) {
    for _ in 0..200 {
        let (before, ours, after) = (still(&ip(ns, arguments)), still(&ours()), still(&ip(ns, arguments)));
        if before == after {
            assert!(!after.is_empty(), "`ip {arguments}` prints nothing: nothing was compared");
            return assert_same_lines(arguments, &ours, &after);
        }
    }
    panic!("`ip {arguments}` never printed the same twice");
}

/// A running timer of a bridge shows hundredths of a second, which no two programs read alike: its digits do not count.
fn still(text: &str) -> String {
    let mut words = text.split_inclusive(' ').peekable();
    let mut still = String::new();
    while let Some(word) = words.next() {
        still.push_str(word);
        if word.trim_end().ends_with("_timer") {
            while words.next_if(|word| word.trim().is_empty() || word.trim().parse::<f64>().is_ok()).is_some() {}
        }
    }
    still
}

#[track_caller]
fn assert_same_lines(arguments: &str, ours: &str, theirs: &str) {
    let mut pairs = ours.split('\n').zip(theirs.split('\n')).enumerate();
    if let Some((number, (ours, theirs))) = pairs.find(|(_, (ours, theirs))| ours != theirs) {
        panic!("line {} of `ip {arguments}`\n  ip:     {theirs:?}\n  netlab: {ours:?}", number + 1);
    }
    assert_eq!(ours, theirs, "`ip {arguments}`: one of the texts is longer");
}

fn batch(ns: &Netns, arguments: &str, commands: &str) -> Result<(), String> {
    let output = run(ns, arguments, commands);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(complaint) }
}

#[track_caller]
fn run(ns: &Netns, arguments: &str, input: &str) -> Output {
    let mut command: Command = ns.command("ip").unwrap();
    command.args(arguments.split_whitespace()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("this test compares with the real `ip`: install iproute2");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}
