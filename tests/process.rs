//! Programs in a namespace: ready when it is said, their output kept, and nothing of them left.

use std::fs;
use std::time::{Duration, Instant};

use netlab::{Netns, Probe, Process, Reason, Result};

const SOON: Duration = Duration::from_secs(10);

/// Whether a process that is no zombie has the text in its command line.
fn runs(text: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        entry.file_name() != std::process::id().to_string().as_str() && String::from_utf8_lossy(&line).contains(text)
    })
}

fn sh(netns: &Netns, script: &str) -> Result<Process> {
    netns.process("sh").args(["-c", script]).start()
}

#[netlab::test]
fn a_server_is_ready_when_its_port_is_listened_on() -> Result<()> {
    let host = Netns::new("web")?;
    let start = || host.process("python3").args(["-u", "-m", "http.server", "8080"]).listens_tcp(8080).start();
    let web = start()?;
    // Asked once, and at once.
    host.expect_unreachable(Probe::tcp("127.0.0.1:8081"))?.by(Reason::Refused)?;
    assert!(matches!(host.observe(Probe::tcp("127.0.0.1:8080"))?, netlab::Outcome::Answer(_)));
    assert_eq!(host.http_get("http://127.0.0.1:8080/")?.status(), Some(200));
    web.expect_line("GET / HTTP/1.1")?;
    assert_eq!(web.exit_status(), None);
    // The port is taken, but by another program: that is not ready.
    let error = start().unwrap_err();
    assert!(error.is_unexpected() && error.to_string().contains("Address already in use"), "{error}");
    drop(web);
    host.expect_unreachable(Probe::tcp("127.0.0.1:8080"))?.by(Reason::Refused)?;
    start()?.close()
}

#[netlab::test]
fn a_udp_server_is_ready_when_its_port_is_bound() -> Result<()> {
    let host = Netns::new("dns")?;
    let script = "import socket,time; s=socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1',53)); d,a=s.recvfrom(99); s.sendto(d,a); time.sleep(99)";
    let _server = host.process("python3").args(["-c", script]).listens_udp(53).start()?;
    let answer = host.observe(Probe::udp("127.0.0.1:53").size(3))?;
    assert!(matches!(&answer, netlab::Outcome::Answer(answer) if answer.body() == "nnn"), "{answer}");
    Ok(())
}

#[netlab::test]
fn a_program_is_ready_when_its_line_or_predicate_comes() -> Result<()> {
    let host = Netns::new("host1")?;
    let script = "echo starting; read go; echo \"ready: $go\" >&2; printf 'no end'; sleep 99";
    let program = host.process("sh").args(["-c", script]).stdin("now\n").prints("ready: now").prints("no end").start()?;
    assert_eq!((program.stdout().as_str(), program.stderr().as_str()), ("starting\nno end", "ready: now\n"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made");
    let seen = file.clone();
    let _maker =
        host.process("sh").args(["-c", "touch \"$MADE\"; sleep 99"]).env("MADE", &file).ready_when(move || seen.exists()).start()?;
    assert!(file.exists());
    Ok(())
}

#[netlab::test]
fn a_program_that_is_not_ready_says_what_it_printed() -> Result<()> {
    let host = Netns::new("host1")?;
    let began = Instant::now();
    let plan = |script: &str| host.process("sh").args(["-c", script]).within(Duration::from_millis(300));
    let ended = plan("seq 30; echo bad port >&2; exit 3").prints("ready").start().unwrap_err();
    assert!(ended.is_unexpected(), "{ended}");
    for part in ["cannot see `sh` in `host1` print `ready`: it ended with exit status: 3", "tests/process.rs:", "bad port", "\n  30"] {
        assert!(ended.to_string().contains(part), "{part}\n{ended}");
    }
    assert!(!ended.to_string().contains("\n  10\n"), "only the last 20 lines\n{ended}");
    assert!(plan("exit 3").listens_tcp(80).start().is_err_and(|e| e.is_unexpected()));
    assert!(plan("kill -9 $$").ready_when(|| false).start().is_err_and(|e| e.to_string().contains("signal: 9")));
    assert!(began.elapsed() < Duration::from_secs(5), "who has ended is not waited for");
    let late = plan("echo waiting; sleep 98765").listens_tcp(80).start().unwrap_err();
    assert!(late.is_timeout() && late.to_string().contains("listen on TCP port 80") && late.to_string().contains("waiting"), "{late}");
    assert!(!runs("98765"), "who was not ready is gone");
    let missing = host.process("/no/such/program").start().unwrap_err();
    assert!(missing.is_not_found(), "{missing}");
    Ok(())
}

#[netlab::test]
fn a_program_runs_in_its_namespace_and_its_end_tells_how() -> Result<()> {
    let host = Netns::new("host1")?;
    let inode = host.process("readlink").arg("/proc/self/ns/net").start()?;
    inode.expect_success(SOON)?;
    assert_eq!(inode.stdout(), format!("net:[{}]\n", host.inode()?));
    let failed = sh(&host, "echo why >&2; exit 7")?;
    assert_eq!(failed.wait(SOON)?.code(), Some(7));
    let error = failed.expect_success(SOON).unwrap_err();
    assert!(error.is_unexpected() && error.to_string().contains("exit status: 7") && error.to_string().contains("why"), "{error}");
    let sleeper = sh(&host, "exec sleep 99")?;
    assert!(sleeper.wait(Duration::from_millis(50)).is_err_and(|e| e.is_timeout()));
    sleeper.signal(libc::SIGTERM)?;
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&sleeper.wait(SOON)?), Some(libc::SIGTERM));
    sleeper.signal(libc::SIGTERM)?; // nothing happens to it
    assert!(sleeper.signal(12345).is_err());
    Ok(())
}

#[netlab::test]
fn output_is_complete_when_the_end_is_seen() -> Result<()> {
    let host = Netns::new("host1")?;
    for _ in 0..20 {
        let program = sh(&host, "seq 20000; echo last >&2")?;
        program.expect_success(SOON)?;
        assert_eq!(program.stdout().lines().count(), 20_000);
        assert_eq!(program.stderr(), "last\n");
    }
    let cat = host.process("cat").stdin(vec![b'x'; 3_000_000]).start()?;
    cat.expect_success(SOON)?;
    assert_eq!(cat.stdout().len(), 3_000_000);
    Ok(())
}

#[netlab::test]
fn a_dropped_program_takes_its_children_and_daemons_along() -> Result<()> {
    let host = Netns::new("host1")?;
    // A child of the group, one with a session of its own, and a daemon whose parent is gone, too.
    let script = "sleep 54321 & setsid sleep 54322 & (setsid sh -c 'sleep 54323 & echo started') ; trap '' TERM; wait";
    let family = host.process("sh").args(["-c", script]).prints("started").start()?;
    family.expect_line("started")?;
    for (sleeper, there) in [("54321", true), ("54322", true), ("54323", true), ("54324", false)] {
        let deadline = Instant::now() + SOON;
        while runs(sleeper) != there {
            assert!(Instant::now() < deadline, "{sleeper}");
        }
    }
    drop(family);
    assert!(!["54321", "54322", "54323"].into_iter().any(runs));
    Ok(())
}

#[netlab::test]
fn a_daemon_that_leaves_its_starter_is_ready_and_ends_with_the_fixture() -> Result<()> {
    let host = Netns::new("host1")?;
    let daemon = "import os,socket,time
if os.fork(): os._exit(0)
os.setsid()
time.sleep(0.1)
s=socket.socket(); s.bind(('127.0.0.1',8080)); s.listen(); time.sleep(99)";
    let started = host.process("python3").args(["-c", daemon]).listens_tcp(8080).start()?;
    assert!(started.exit_status().is_some_and(|status| status.success()));
    host.probe(Probe::tcp("127.0.0.1:8080"))?;
    started.close()?;
    host.expect_unreachable(Probe::tcp("127.0.0.1:8080"))?.by(Reason::Refused)?;
    Ok(())
}

#[netlab::test]
fn a_panic_ends_a_program_too() -> Result<()> {
    let host = Netns::new("host1")?;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _sleeper = host.process("sleep").arg("65432").start().unwrap();
        assert!(runs("65432"));
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert!(!runs("65432"));
    Ok(())
}

#[netlab::test]
fn a_fixture_leaves_no_thread_and_no_descriptor() -> Result<()> {
    let host = Netns::new("host1")?;
    let count = |of: &str| fs::read_dir(format!("/proc/self/{of}")).unwrap().count();
    sh(&host, "exit 0")?.close()?;
    let before = (count("task"), count("fd"));
    for _ in 0..20 {
        sh(&host, "echo a; sleep 99")?.close()?;
    }
    assert_eq!((count("task"), count("fd")), before);
    Ok(())
}
