//! `cargo netlab exec`: what a program sees, and what whoever started it sees of it.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use common::{Result, User, exec, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn a_program_is_root_of_a_machine_in_which_nothing_but_loopback_is() -> Result<()> {
    for user in User::all() {
        let script =
            "id -u; cat /proc/sys/kernel/hostname; ls /sys/class/net; ip addr add 10.9.9.9/24 dev lo && ip -4 -br addr show dev lo";
        let output = run(exec(user)?.args(["--", "sh", "-c", script]))?;
        assert_eq!(output.text, "0\nnetlab\nlo\nlo               UNKNOWN        127.0.0.1/8 10.9.9.9/24 \n", "{user:?}");
        assert_eq!(output.status.code(), Some(0), "{user:?}");
    }
    // The address was that machine's.
    let outside = run(Command::new("ip").args(["-4", "-br", "addr", "show", "dev", "lo"]))?;
    assert!(!outside.text.contains("10.9.9.9"), "{}", outside.text);
    Ok(())
}

#[test]
fn without_it_the_same_program_of_an_ordinary_user_is_refused() -> Result<()> {
    if let Some(user) = User::ordinary() {
        let output = run(user.command("ip")?.args(["addr", "add", "10.9.9.8/24", "dev", "lo"]))?;
        assert!(!output.status.success(), "{}", output.text);
    }
    Ok(())
}

#[test]
fn the_exit_code_is_the_programs() -> Result<()> {
    for user in User::all() {
        for code in [0, 1, 42, 101, 255] {
            let output = run(exec(user)?.args(["--", "sh", "-c", &format!("exit {code}")]))?;
            assert_eq!(output.status.code(), Some(code), "{user:?}: {}", output.text);
        }
    }
    Ok(())
}

#[test]
fn a_program_that_a_signal_ends_is_seen_to_end_by_it() -> Result<()> {
    for (name, signal) in [("SEGV", 11), ("KILL", 9), ("TERM", 15), ("ABRT", 6)] {
        let output = run(exec(User::Myself)?.args(["--", "sh", "-c", &format!("kill -{name} $$")]))?;
        assert_eq!(output.status.signal(), Some(signal), "{name}");
    }
    Ok(())
}

#[test]
fn a_program_that_is_not_there_is_said_not_to_be() -> Result<()> {
    for (program, code, why) in [("netlab-has-no-such-program", 127, "No such file"), ("/tmp", 126, "Permission denied")] {
        let output = run(exec(User::Myself)?.args(["--", program]))?;
        assert_eq!(output.status.code(), Some(code));
        assert!(output.text.contains(&format!("cannot run `{program}`: {why}")), "{}", output.text);
    }
    Ok(())
}

#[test]
fn streams_directory_and_environment_are_the_callers() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut command = exec(User::Myself)?;
    command.args(["--", "sh", "-c", "cat; echo $COLOUR >&2; pwd > here"]).env("COLOUR", "mauve").current_dir(&directory);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("no stdin")?.write_all(b"through and through")?;
    let output = child.wait_with_output()?;
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"through and through"[..], &b"mauve\n"[..]));
    assert_eq!(fs::read_to_string(directory.path().join("here"))?.trim(), directory.path().to_str().ok_or("no text")?);
    Ok(())
}

#[test]
fn named_namespaces_are_there_for_ip_netns() -> Result<()> {
    for user in User::all() {
        let script =
            "ip netns | sort; ip -n red link add v0 type veth peer name v1 netns blue && ip -n blue -br link show dev v1 | cut -c1-2";
        let output = run(exec(user)?.args(["--net", "red", "--net", "blue,green", "--", "sh", "-c", script]))?;
        let names: Vec<&str> = output.text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["blue", "green", "red", "v1"], "{user:?}");
    }
    assert!(!fs::exists("/run/netns/red")?);
    Ok(())
}

#[test]
fn a_link_leads_to_a_gateway_that_answers() -> Result<()> {
    for user in User::all() {
        let script = "ip -o link show eth0 | cut -c1-8; ip route; ping -nqc1 -W5 192.0.2.1 | grep -o ' 0% .*loss'";
        let output = run(exec(user)?.args(["--link", "eth0", "--", "sh", "-c", script]))?;
        let lines: Vec<&str> = output.text.lines().map(str::trim).collect();
        let net = "192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.2";
        assert_eq!(lines, ["2: eth0@", "default via 192.0.2.1 dev eth0", net, "0% packet loss"], "{user:?}");
        let output = run(exec(user)?.args(["--", "sh", "-c", "ip -o link | wc -l"]))?;
        assert_eq!(output.text, "1\n", "without the option there is lo alone");
    }
    Ok(())
}

#[test]
fn a_name_that_is_no_files_is_refused() -> Result<()> {
    for (name, why) in [("..", "a file in /run/netns cannot have that name"), ("../red", "no `/`")] {
        let output = run(exec(User::Myself)?.args(["--net", name, "--", "true"]))?;
        assert_eq!(output.status.code(), Some(125));
        assert!(output.text.contains(why), "{}", output.text);
    }
    Ok(())
}

/// A program that has said that it runs.
fn started(script: &str) -> Result<(Child, BufReader<ChildStdout>)> {
    let mut child = exec(User::Myself)?.args(["--", "sh", "-c", script]).stdout(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(child.stdout.take().ok_or("no stdout")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    assert_eq!(line, "ready\n");
    Ok((child, output))
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(child.id() as i32), signal)?)
}

#[test]
fn a_signal_that_is_sent_to_it_comes_to_the_program() -> Result<()> {
    for name in [Signal::SIGUSR1, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let trap = name.as_str().trim_start_matches("SIG");
        let (mut child, mut rest) = started(&format!("trap 'echo trapped; exit 3' {trap}; echo ready; sleep 1000 & wait"))?;
        signal(&child, name)?;
        let mut text = String::new();
        rest.read_to_string(&mut text)?;
        assert_eq!((text.as_str(), child.wait()?.code()), ("trapped\n", Some(3)), "{name}");
    }
    let (mut child, _rest) = started("echo ready; exec sleep 1000")?;
    signal(&child, Signal::SIGTERM)?;
    assert_eq!(child.wait()?.signal(), Some(15));
    Ok(())
}

/// The end of a pipe that all processes of a machine hold is the end of them all.
#[test]
fn nothing_stays_when_it_is_killed() -> Result<()> {
    let (mut child, mut rest) = started("setsid sleep 1000 & sleep 1000 & echo ready; sleep 1000")?;
    signal(&child, Signal::SIGKILL)?;
    child.wait()?;
    rest.read_to_string(&mut String::new())?;
    Ok(())
}

#[test]
fn nothing_stays_when_the_program_has_ended() -> Result<()> {
    let output = run(exec(User::Myself)?.args(["--", "sh", "-c", "setsid sleep 1000 & echo done"]))?;
    assert_eq!((output.text.as_str(), output.status.code()), ("done\n", Some(0)));
    Ok(())
}

#[test]
fn a_machine_that_the_host_refuses_is_named_with_its_cure() -> Result<()> {
    let script = format!("echo 0 > /proc/sys/user/max_net_namespaces; exec {} exec -- true", common::program(User::Myself)?.display());
    let output = run(exec(User::Myself)?.args(["--", "sh", "-c", &script]))?;
    assert_eq!(output.status.code(), Some(125), "{}", output.text);
    assert!(output.text.contains("help: sudo sysctl -w user.max_net_namespaces=15000"), "{}", output.text);
    Ok(())
}
