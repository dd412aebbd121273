//! What the arguments of `#[netlab::test]` do. Tests that must fail are ignored here, and run by others as children of their own.

use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The output of a child that runs one ignored test of this binary.
fn run(victim: &str, variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", victim, "--test-threads=1"]).env_remove("CI").env("RUST_BACKTRACE", "0");
    let output = child.envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

fn waits_for_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    drop(listener.accept().unwrap());
}

#[netlab::test(timeout = "300ms")]
#[ignore = "hangs"]
fn hangs_in_accept() {
    println!("before");
    waits_for_nobody();
}

#[test]
fn a_test_whose_time_is_up_says_where_it_hung() {
    let output = run("hangs_in_accept", &[]);
    let told =
        ["before\n", "thread `hangs_in_accept` is here:", "waits_for_nobody", "arguments.rs", "timed out after 300ms", "waits in accept"];
    for text in told {
        assert!(output.contains(text), "`{text}` is missing in:\n{output}");
    }
    assert!(!output.contains("hang.rs") && !output.contains("<unknown>") && !output.contains("__rust_begin_short_backtrace"), "{output}");
    assert!(output.contains("0 passed; 1 failed"), "{output}");
}

#[netlab::test(timeout = "300ms")]
#[ignore = "hangs"]
fn hangs_on_another_thread() {
    let waiter = std::thread::Builder::new().name("waiter".to_owned()).spawn(waits_for_nobody).unwrap();
    waiter.join().unwrap();
}

#[test]
fn every_thread_of_a_hung_test_says_where_it_is() {
    let output = run("hangs_on_another_thread", &[]);
    for text in ["thread `waiter` is here:", "waits_for_nobody", "thread `waiter` waits in accept", "waits in futex"] {
        assert!(output.contains(text), "`{text}` is missing in:\n{output}");
    }
}

#[netlab::test(timeout = "300ms")]
#[ignore = "runs without end"]
fn spins() {
    loop {
        std::hint::spin_loop();
    }
}

#[test]
fn a_test_that_spins_is_said_to_run() {
    let output = run("spins", &[]);
    assert!(output.contains("thread `spins` is running") && output.contains("spin_loop"), "{output}");
}

#[netlab::test(timeout = "2s")]
fn a_test_that_is_in_time_does_not_notice_its_timeout() {
    std::thread::park_timeout(Duration::from_millis(20));
}

#[netlab::test]
async fn an_async_body_runs_in_the_machine() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:80").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connecting = tokio::spawn(tokio::net::TcpStream::connect(address));
    let (_accepted, client) = listener.accept().await.unwrap();
    assert_eq!(client, connecting.await.unwrap().unwrap().local_addr().unwrap());
}

#[netlab::test(timeout = "5s")]
async fn an_async_body_may_return_a_result() -> Result<(), Box<dyn std::error::Error>> {
    tokio::time::timeout(Duration::from_secs(1), async {}).await?;
    Ok(())
}

#[netlab::test]
#[ignore = "fails"]
async fn an_async_body_fails() -> Result<(), String> {
    Err("the reason".to_owned())
}

#[test]
fn the_error_of_an_async_body_is_shown_as_libtest_does() {
    let output = run("an_async_body_fails", &[]);
    assert!(output.contains("Error: \"the reason\"\n") && output.contains("0 passed; 1 failed"), "{output}");
}

#[netlab::test(needs(veth, bridge, nat))]
fn what_this_kernel_has_is_not_missed() {
    assert!(std::fs::read_to_string("/proc/net/dev").unwrap().lines().count() == 3, "the probes leave no link");
}

#[netlab::test(needs(tun, tap))]
#[ignore = "fails where /dev/net/tun is not for everybody"]
fn needs_tun() {}

#[test]
fn tun_is_there_for_whom_its_device_lets_in() {
    let lets_in = std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_ok();
    let output = run("needs_tun", &[]);
    assert_eq!(output.contains("1 passed"), lets_in, "{output}");
    assert!(lets_in || output.contains("help: `sudo "), "{output}");
}

/// On a kernel that has one of these the test passes, as it should.
#[netlab::test(needs(dummy, wireguard, netem))]
#[ignore = "fails where the kernel lacks one"]
fn needs_what_is_rare() {
    println!("the body ran");
}

#[test]
fn what_a_kernel_lacks_fails_the_test_and_names_the_module() {
    let output = run("needs_what_is_rare", &[]);
    if output.contains("1 passed") {
        return; // this kernel has them all
    }
    assert!(output.contains("needs") && output.contains("CONFIG_") && output.contains("modprobe"), "{output}");
    assert!(output.contains("0 passed; 1 failed") && !output.contains("the body ran"), "{output}");
    let skipped = run("needs_what_is_rare", &[("NETLAB_ON_UNSUPPORTED", "skip")]);
    assert!(skipped.contains("netlab: SKIPPED needs_what_is_rare") && skipped.contains("1 passed"), "{skipped}");
    let in_ci = run("needs_what_is_rare", &[("NETLAB_ON_UNSUPPORTED", "skip"), ("CI", "true")]);
    assert!(in_ci.contains("0 passed; 1 failed"), "{in_ci}");
}

fn network_namespace(of: &str) -> String {
    std::fs::read_link(format!("/proc/{of}/ns/net")).unwrap().to_string_lossy().into_owned()
}

#[netlab::test(host)]
#[ignore = "needs the caller's network"]
fn runs_on_the_host() {
    println!("network: {}", network_namespace("self"));
    // A child that outlives the test, if it may.
    let child = Command::new("sh").args(["-c", "sleep 1000 >/dev/null 2>&1 & echo $!"]).output().unwrap();
    println!("child: {}", String::from_utf8_lossy(&child.stdout));
}

/// Run in a machine, which is the host of its children: there they are root.
fn run_on_the_host(variables: &[(&str, &str)]) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "runs_on_the_host", "--show-output"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = child.envs(variables.iter().copied()).spawn().unwrap();
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    child.wait().unwrap();
    assert!(output.contains(&format!("network: {}", network_namespace("self"))), "{output}");
    assert!(output.contains("1 passed"), "{output}");
    let pid = output.split("child: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    assert!(!std::path::Path::new("/proc").join(pid).exists(), "the child {pid} outlived its test");
}

#[netlab::test]
fn a_test_on_the_host_runs_in_the_namespaces_of_its_caller() {
    run_on_the_host(&[]);
}

/// There the supervisor is one of two threads, and the other may take the signal that tells of the test's end: on a single busy processor it
/// did in every fifth run.
#[netlab::test]
fn the_end_of_a_test_on_the_host_is_noticed_under_nextest() {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    let this = nix::unistd::Pid::from_raw(0);
    let allowed = sched_getaffinity(this).unwrap();
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap()).unwrap();
    let mut one = CpuSet::new();
    one.set(first).unwrap();
    sched_setaffinity(this, &one).unwrap();
    let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    for _ in 0..10 {
        run_on_the_host(&[("NEXTEST_EXECUTION_MODE", "process-per-test")]);
    }
    busy.kill().unwrap();
    busy.wait().unwrap();
}

#[netlab::test]
fn a_test_on_the_host_refuses_to_run_without_privilege() {
    let mut child = Command::new("setpriv");
    child.args(["--bounding-set=-net_admin", "--inh-caps=-net_admin"]).arg(std::env::current_exe().unwrap());
    let output = child.args(["--ignored", "--exact", "runs_on_the_host"]).env_remove("NETLAB_ON_UNSUPPORTED").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("CAP_NET_ADMIN") && text.contains("0 passed; 1 failed"), "{text}");
    assert!(!text.contains("network: "), "{text}");
}
