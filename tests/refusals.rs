//! Hosts that give no machine, made for real: a test on one fails and says why.

use std::error::Error;
use std::fs;
use std::process::{Command, Output};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

#[netlab::test]
#[ignore = "run as a child"]
fn passes() {}

/// Runs `passes` above, as a child of the machine that this test has made inhospitable.
fn victim(variables: &[(&str, &str)]) -> Result<(Output, String)> {
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", "passes", "--include-ignored"]).env_remove("CI").env_remove("NETLAB_ON_UNSUPPORTED");
    let output = command.envs(variables.iter().copied()).output()?;
    let text = [&output.stdout[..], &output.stderr].concat();
    Ok((output, String::from_utf8_lossy(&text).into_owned()))
}

#[track_caller]
fn assert_refused((output, text): (Output, String), needles: &[&str]) {
    assert!(!output.status.success() && text.contains("1 failed"), "{text}");
    for needle in needles {
        assert!(text.contains(needle), "no `{needle}` in:\n{text}");
    }
}

#[netlab::test]
fn a_limit_of_zero_user_namespaces_is_named_and_lifted_as_the_text_says() -> Result<()> {
    let (output, text) = victim(&[])?;
    assert!(output.status.success(), "{text}");
    fs::write("/proc/sys/user/max_user_namespaces", "0")?;
    let needles =
        ["/proc/sys/user/max_user_namespaces is 0", "help: sudo sysctl -w user.max_user_namespaces=15000", "No space left on device"];
    assert_refused(victim(&[])?, &needles);
    fs::write("/proc/sys/user/max_user_namespaces", "15000")?;
    let (output, text) = victim(&[])?;
    assert!(output.status.success(), "{text}");
    Ok(())
}

#[netlab::test]
fn a_limit_of_zero_network_namespaces_is_named() -> Result<()> {
    // Of the user namespace in which they would be owned: the limit is that of its maker, at every level.
    fs::write("/proc/sys/user/max_net_namespaces", "0")?;
    assert_refused(victim(&[])?, &["/proc/sys/user/max_net_namespaces is 0"]);
    Ok(())
}

#[netlab::test]
fn a_refused_test_passes_loudly_if_somebody_at_a_laptop_asks_for_it() -> Result<()> {
    fs::write("/proc/sys/user/max_user_namespaces", "0")?;
    let (output, text) = victim(&[("NETLAB_ON_UNSUPPORTED", "skip")])?;
    assert!(output.status.success(), "{text}");
    assert!(text.contains("netlab: SKIPPED passes: this host gives no machine"), "{text}");
    Ok(())
}

#[netlab::test]
fn nobody_can_ask_for_it_in_ci() -> Result<()> {
    fs::write("/proc/sys/user/max_user_namespaces", "0")?;
    let variables = [("NETLAB_ON_UNSUPPORTED", "skip"), ("CI", "true")];
    assert_refused(victim(&variables)?, &["NETLAB_ON_UNSUPPORTED=skip has no effect where CI is set"]);
    Ok(())
}

#[netlab::test]
fn an_unknown_wish_is_refused_with_those_that_there_are() -> Result<()> {
    fs::write("/proc/sys/user/max_user_namespaces", "0")?;
    assert_refused(victim(&[("NETLAB_ON_UNSUPPORTED", "skipp")])?, &["it takes `skip` and `fail`"]);
    Ok(())
}

#[netlab::test]
fn a_seccomp_filter_is_named_with_what_docker_needs() -> Result<()> {
    forbid_namespaces()?;
    assert_refused(victim(&[])?, &["`Seccomp:` in /proc/self/status is 2", "docker run --privileged", "Operation not permitted"]);
    Ok(())
}

/// As Docker's default profile does it: clone with a namespace flag and unshare are EPERM, clone3 is ENOSYS, so that libc uses clone.
fn forbid_namespaces() -> Result<()> {
    use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule};
    let flagged = |flag: i32| {
        let flag = u64::from(flag as u32);
        SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?])
    };
    let eperm = [(libc::SYS_clone, vec![flagged(libc::CLONE_NEWUSER)?, flagged(libc::CLONE_NEWNET)?]), (libc::SYS_unshare, vec![])];
    let arch = std::env::consts::ARCH.try_into()?;
    for (rules, errno) in [(eperm.into_iter().collect(), libc::EPERM), ([(libc::SYS_clone3, vec![])].into_iter().collect(), libc::ENOSYS)] {
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch)?;
        let program: seccompiler::BpfProgram = filter.try_into()?;
        seccompiler::apply_filter(&program)?;
    }
    Ok(())
}

/// Containers hide parts of /proc, and the kernel then refuses a fresh one: the machine does with the old.
#[netlab::test]
fn a_masked_proc_is_no_reason_to_refuse() -> Result<()> {
    use nix::mount::{MsFlags, mount};
    mount(Some("tmpfs"), "/proc/sys/fs", Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    let fresh = Command::new("unshare").args(["-Urpf", "--mount-proc", "true"]).output()?;
    assert!(!fresh.status.success(), "the kernel gives a fresh /proc although the old one is masked: nothing is tested here");
    let (output, text) = victim(&[])?;
    assert!(output.status.success(), "{text}");
    Ok(())
}

/// As Docker and podman have it, even where they are told to let namespaces be made.
#[netlab::test]
fn a_read_only_proc_sys_is_named_with_what_containers_need() -> Result<()> {
    use nix::mount::{MsFlags, mount};
    const NOTHING: Option<&str> = None;
    let forward = || netlab::Netns::new("router")?.forward_ipv4();
    forward()?;
    netlab::needs("sysctl")?;
    mount(Some("/proc/sys"), "/proc/sys", NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING)?;
    mount(NOTHING, "/proc/sys", NOTHING, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY, NOTHING)?;
    for refused in [forward(), netlab::needs("sysctl")] {
        let text = refused.expect_err("it is read-only").to_string();
        assert!(text.contains("--security-opt systempaths=unconfined") && text.contains("Read-only file system"), "{text}");
    }
    Ok(())
}
