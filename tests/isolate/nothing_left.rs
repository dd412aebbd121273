//! Whatever ends a test or its harness, nothing stays of what it started.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::child::{program, run, victims};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

const DEADLINE: Duration = Duration::from_secs(60);

/// All that can be seen of processes, namespaces, mounts and links from where the test stands: in a machine whose /proc is its own.
#[derive(Debug, Default, PartialEq, Eq)]
struct Census {
    processes: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    mounts: BTreeSet<String>,
    links: BTreeSet<String>,
}

impl Census {
    fn take() -> Result<Self> {
        let mut census = Self::default();
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let id = entry.file_name().to_string_lossy().into_owned();
            if id.bytes().all(|byte| byte.is_ascii_digit()) {
                census.processes.insert(format!("{id} {}", fs::read_to_string(entry.path().join("comm")).unwrap_or_default().trim()));
                census.namespaces.extend(namespaces(&entry.path()));
            }
        }
        census.mounts = fs::read_to_string("/proc/self/mountinfo")?.lines().map(str::to_owned).collect();
        census.links =
            fs::read_dir("/sys/class/net")?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<Result<_>>()?;
        Ok(census)
    }
}

/// Those that a process is in and those that it holds open.
fn namespaces(process: &Path) -> Vec<String> {
    let links = ["ns", "fd"].map(|folder| fs::read_dir(process.join(folder)).into_iter().flatten().flatten());
    let targets = links.into_iter().flatten().filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()));
    targets.filter(|target| ["net:[", "mnt:[", "user:[", "pid:[", "uts:[", "ipc:["].iter().any(|kind| target.starts_with(kind))).collect()
}

/// Looks until it is so; false if it has not come to that by the deadline.
fn comes(mut so: impl FnMut() -> Result<bool>) -> Result<bool> {
    let until = Instant::now() + DEADLINE;
    while !so()? {
        if Instant::now() > until {
            return Ok(false);
        }
        thread::yield_now();
    }
    Ok(true)
}

/// The harness with fifty tests in the middle of their work.
fn crowd(folder: &Path, nextest: bool) -> Result<Child> {
    let mut command = victims(&["--ignored", "--test-threads=50", "crowd::"]);
    if nextest {
        command.env("NEXTEST_EXECUTION_MODE", "process-per-test"); // each test then has a zygote of its own
    }
    let child = command.env("VICTIMS_FOLDER", folder).process_group(0).stdout(std::process::Stdio::null()).spawn()?;
    let all_there = comes(|| Ok(fs::read_dir(folder)?.count() == 50))?;
    assert!(all_there, "{} of 50 tests have come to work", fs::read_dir(folder)?.count());
    Ok(child)
}

fn nothing_is_left_after(nextest: bool, end: impl FnOnce(Pid) -> nix::Result<()>) -> Result {
    let folder = tempfile::tempdir()?;
    let before = Census::take()?;
    let mut harness = crowd(folder.path(), nextest)?;
    let middle = Census::take()?;
    // The body, two daemons and the first process of each, and its six namespaces with the one made inside.
    assert!(middle.processes.len() >= before.processes.len() + 50 * 4, "{middle:?}");
    assert!(middle.namespaces.len() >= before.namespaces.len() + 50 * 7, "{middle:?}");
    end(Pid::from_raw(i32::try_from(harness.id())?))?;
    harness.wait()?;
    let mut after = Census::take()?;
    let gone = comes(|| {
        after = Census::take()?;
        Ok(after == before)
    })?;
    assert!(gone, "before: {before:#?}\nafter: {after:#?}");
    Ok(())
}

#[netlab::test(timeout = "3m")]
fn nothing_is_left_of_fifty_tests_whose_harness_is_killed() -> Result {
    nothing_is_left_after(false, |harness| kill(harness, Signal::SIGKILL))
}

#[netlab::test(timeout = "3m")]
fn nothing_is_left_of_tests_whose_harness_is_killed_by_nextest() -> Result {
    nothing_is_left_after(true, |harness| kill(harness, Signal::SIGKILL))
}

#[netlab::test(timeout = "3m")]
fn nothing_is_left_of_fifty_tests_after_ctrl_c() -> Result {
    nothing_is_left_after(false, |group| killpg(group, Signal::SIGINT))
}

#[netlab::test(timeout = "3m")]
fn nothing_is_left_of_fifty_tests_when_the_terminal_goes() -> Result {
    nothing_is_left_after(false, |group| killpg(group, Signal::SIGHUP))
}

/// As a terminal does it: Ctrl-C is a byte, and the kernel's line discipline signals whoever is in the foreground.
#[netlab::test(timeout = "3m")]
fn ctrl_c_on_a_terminal_leaves_nothing() -> Result {
    let folder = tempfile::tempdir()?;
    let path = std::env::current_exe()?;
    let before = Census::take()?;
    let line = format!("{} --ignored --test-threads=4 crowd::a::", path.display());
    let mut terminal = program("script".as_ref(), &[]);
    terminal.args(["-qec", &line, "/dev/null"]).env("VICTIMS_FOLDER", folder.path());
    let mut script = terminal.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn()?;
    assert!(comes(|| Ok(fs::read_dir(folder.path())?.count() == 4))?);
    std::io::Write::write_all(&mut script.stdin.as_mut().ok_or("no input")?, b"\x03")?;
    let status = script.wait()?;
    assert!(!status.success(), "{status}");
    let mut after = Census::take()?;
    let gone = comes(|| {
        after = Census::take()?;
        Ok(after == before)
    })?;
    assert!(gone, "before: {before:#?}\nafter: {after:#?}");
    Ok(())
}

/// When the harness has ended, so that nothing need be waited for.
fn leaves_nothing(name: &str, code: i32) -> Result {
    let command = victims(&["--ignored", "--exact", &format!("victims::{name}")]);
    let before = Census::take()?;
    let ran = run(command);
    assert_eq!((Census::take()?, ran.code), (before, Some(code)), "{ran:?}");
    Ok(())
}

#[netlab::test]
fn processes_that_a_test_leaves_behind_die_with_it_daemons_too() -> Result {
    // The daemon is there, or nothing would be shown: a plain process that does the same leaves it.
    let before = Census::take()?;
    assert!(Command::new("sh").args(["-c", "setsid -f sleep 1000"]).status()?.success());
    assert!(comes(|| Ok(Census::take()?.processes.iter().any(|process| process.ends_with(" sleep"))))?, "{before:?}");
    leaves_nothing("leaves_processes_behind", 0)
}

#[netlab::test]
fn a_timeout_ends_the_test_and_all_that_it_started() -> Result {
    leaves_nothing("hangs", 101)
}
