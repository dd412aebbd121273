//! `cargo netlab list` and `cargo netlab graph`: machines that are alive, seen from outside, and what a program leaves in one.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use common::{Result, User, exec, netlab, run};
use serde_json::Value;

const CABLE: &str =
    "ip -n red link add v0 type veth peer name v1 netns blue && ip -n red addr add 10.0.0.1/24 dev v0 && ip -n red link set v0 up";

/// A program in a machine with the namespaces red and blue, until its input ends.
fn started(user: User, name: &str) -> Result<Child> {
    let mut command = exec(user)?;
    command.args(["--net", "red,blue", "--", "sh", "-c", &format!("{CABLE}; echo ready; cat"), name]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    assert_eq!(line, "ready\n");
    Ok(child)
}

fn listed(user: User, name: &str) -> Result<Option<Value>> {
    let output = run(netlab(user)?.args(["list", "--json"]))?;
    let machines: Vec<Value> = serde_json::from_str(&output.text)?;
    Ok(machines.into_iter().find(|machine| machine["subject"].as_str().is_some_and(|subject| subject.ends_with(name))))
}

#[test]
fn a_machine_is_listed_with_ways_into_its_namespaces_while_it_lives() -> Result<()> {
    for user in User::all() {
        let name = format!("listed-{}-{user:?}", std::process::id());
        let mut child = started(user, &name)?;
        let machine = listed(user, &name)?.ok_or("it is not listed")?;
        assert_eq!(machine["kind"], "program");
        let doors = machine["doors"].as_array().ok_or("no doors")?;
        let names: Vec<_> = doors.iter().filter_map(|door| door["name"].as_str()).collect();
        assert_eq!(names, ["host", "blue", "red"], "{user:?}");
        for (door, links) in doors.iter().zip(["lo", "lo v1", "lo v0"]) {
            let enter = door["command"].as_str().ok_or("no command")?;
            let output = run(user.command("sh")?.args(["-c", &format!("{enter} ip -br link | sed 's/[@ ].*//' | xargs")]))?;
            assert_eq!(output.text.trim(), links, "{user:?}: {enter}");
        }
        let text = run(netlab(user)?.arg("list"))?.text;
        let process = format!("process {} of user ", machine["pid"]);
        assert!(text.contains(&process) && text.contains("\n  red   nsenter -t "), "{text}");
        drop(child.stdin.take());
        child.wait()?;
        assert_eq!(listed(user, &name)?, None, "it has ended");
    }
    Ok(())
}

#[test]
fn a_machine_that_is_alive_is_drawn_from_outside() -> Result<()> {
    for user in User::all() {
        let name = format!("drawn-{}-{user:?}", std::process::id());
        let mut child = started(user, &name)?;
        let output = run(netlab(user)?.args(["graph", "--of", &name]))?;
        assert!(output.status.success() && output.text.contains(r#"|"v1 — v0"|"#), "{user:?}: {}", output.text);
        drop(child.stdin.take());
        child.wait()?;
        let output = run(netlab(user)?.args(["graph", "--of", &name]))?;
        assert!(!output.status.success() && output.text.contains(&format!("no machine of `{name}` is alive")), "{}", output.text);
    }
    Ok(())
}

#[test]
fn what_a_program_leaves_is_drawn_and_its_exit_code_kept() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (script, code, cable) in [(CABLE.to_owned(), 0, true), (format!("{CABLE}; exit 3"), 3, true), ("exit 4".to_owned(), 4, false)] {
        let mut command = netlab(User::Myself)?;
        command.args(["graph", "--net", "red,blue", "-o", "lab.svg", "--", "sh", "-c", &script]).current_dir(&folder);
        let output = run(&mut command)?;
        assert_eq!((output.status.code(), &*output.text), (Some(code), ""));
        let svg = std::fs::read_to_string(folder.path().join("lab.svg"))?;
        assert!(svg.starts_with("<svg") && svg.contains("red") && svg.contains("v1") == cable, "{script}: {svg}");
    }
    Ok(())
}

#[test]
fn without_a_file_the_picture_is_alone_on_standard_output() -> Result<()> {
    let output = netlab(User::Myself)?.args(["graph", "--link", "eth0", "--format", "dot", "--", "echo", "said"]).output()?;
    let (picture, said) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert!(picture.starts_with("graph lab {") && picture.contains("192.0.2.2/24") && said == "said\n", "{picture}{said}");
    Ok(())
}
