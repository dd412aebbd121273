//! Programs in namespaces and roots of their own, and programs that join them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use netlab::Namespace::{Cgroup, Ipc, Mount, Net, Pid, User, Uts};
use netlab::{Netns, Process, Result};

const SOON: Duration = Duration::from_secs(10);

/// What a shell script prints that ends well.
fn says(plan: netlab::ProcessPlan, script: &str) -> Result<String> {
    let program = plan.args(["-c", script]).start()?;
    program.expect_success(SOON)?;
    Ok(program.stdout().trim_end().to_owned())
}

/// A shell that runs until it is told to end.
fn shell(plan: netlab::ProcessPlan) -> Result<Process> {
    plan.args(["-c", "echo here; trap : HUP; while :; do sleep 99; done"]).prints("here").start()
}

#[netlab::test]
fn a_program_in_a_fresh_pid_namespace_is_process_1_there_and_another_here() -> Result<()> {
    let host = Netns::new("box")?;
    let program = shell(host.process("sh").unshare([Pid]))?;
    assert_ne!(program.id(), 1);
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    assert_eq!(numbers.split_whitespace().collect::<Vec<_>>(), [program.id().to_string().as_str(), "1"]);
    assert_eq!(says(host.process("sh").unshare([Pid]), "echo $$")?, "1");
    assert_ne!(says(host.process("sh"), "echo $$")?, "1");
    Ok(())
}

#[netlab::test]
fn only_the_namespaces_that_are_asked_for_are_fresh() -> Result<()> {
    let host = Netns::new("box")?;
    let kinds = [Cgroup, Ipc, Mount, Pid, User, Uts];
    for fresh in [&[][..], &[Pid], &[Mount, Uts], &[Cgroup, Ipc, Mount, Pid, Uts]] {
        let program = shell(host.process("sh").unshare(fresh.iter().copied()))?;
        for kind in kinds {
            assert_eq!(program.namespace(kind)? != kind.inode()?, fresh.contains(&kind), "{kind:?} of {fresh:?}");
        }
        assert_eq!(program.namespace(Net)?, host.inode()?);
    }
    Ok(())
}

#[netlab::test]
fn mounts_and_the_host_name_of_a_program_are_its_own_where_asked() -> Result<()> {
    let host = Netns::new("box")?;
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    let script = format!("mount -t tmpfs none {0} && echo 1 > {0}/inside && hostname other && hostname", folder.path().display());
    assert_eq!(says(host.process("sh").unshare([Mount, Uts]), &script)?, "other");
    assert!(!inside.exists());
    assert_ne!(says(host.process("sh"), "hostname")?, "other");
    Ok(())
}

#[netlab::test]
fn a_program_joins_another_and_sees_what_that_sees() -> Result<()> {
    let host = Netns::new("box")?;
    let first = shell(host.process("sh").unshare([Pid, Mount]))?;
    let join = || host.process("sh").join(&first, [Pid, Mount]);
    let before = says(join(), "cat /proc/1/comm")?;
    assert_eq!(before, fs::read_to_string("/proc/1/comm").unwrap().trim(), "/proc is a matter of the mounts");
    says(join(), "mount -t proc proc /proc")?;
    assert_eq!(says(join(), "cat /proc/1/comm")?, "sh");
    assert_eq!(says(join(), &format!("kill -0 {} 2>/dev/null || echo nobody", first.id()))?, "nobody");
    assert!(Path::new(&format!("/proc/{}", first.id())).exists(), "the mount is not ours");
    let joined = shell(join())?;
    assert_eq!((joined.namespace(Pid)?, joined.namespace(Mount)?), (first.namespace(Pid)?, first.namespace(Mount)?));
    assert_eq!(joined.namespace(Uts)?, Uts.inode()?);
    Ok(())
}

#[netlab::test]
fn process_1_ends_by_sigkill_alone_and_takes_everybody_along() -> Result<()> {
    let host = Netns::new("box")?;
    let first = shell(host.process("sh").unshare([Pid]))?;
    let joined = shell(host.process("sh").join(&first, [Pid]))?;
    let plain = shell(host.process("sh"))?;
    for program in [&first, &plain] {
        program.signal(libc::SIGTERM)?;
    }
    assert!(!plain.wait(SOON)?.success());
    assert_eq!(says(host.process("sh").join(&first, [Pid]), "kill -0 1 && echo alive")?, "alive");
    first.signal(libc::SIGKILL)?;
    assert!(!first.wait(SOON)?.success());
    assert!(!joined.wait(SOON)?.success());
    joined.signal(libc::SIGTERM)?; // to nobody
    first.close()?;
    joined.close()
}

#[netlab::test]
fn a_fixture_of_process_1_ends_though_those_who_joined_have_theirs_still() -> Result<()> {
    let host = Netns::new("box")?;
    let first = shell(host.process("sh").unshare([Pid]))?;
    let joined = [(); 3].map(|()| shell(host.process("sh").join(&first, [Pid])).unwrap());
    first.close()?;
    for joined in joined {
        assert!(joined.exit_status().is_some() || !joined.wait(SOON)?.success());
    }
    Ok(())
}

#[netlab::test]
fn a_root_is_all_that_a_program_sees_and_a_joined_one_sees_it_by_asking() -> Result<()> {
    let host = Netns::new("box")?;
    let image = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(image.path()).unwrap();
    fs::copy("/bin/busybox", path.join("sh")).expect("a static busybox: install busybox-static");
    fs::write(path.join("hello"), "from the image\n").unwrap();
    let inside = shell(host.process("/sh").root(&path).unshare([Pid, Mount]))?;
    assert_eq!(says(host.process("/sh").root(&path), "pwd; read text < /hello; echo $text")?, "/\nfrom the image");
    let gone = host.process("/sh").root(&path).args(["-c", "cd /proc"]).start()?;
    assert!(!gone.wait(SOON)?.success(), "there is nothing but the image");
    // Mounts in it are private, too.
    fs::create_dir(path.join("mnt")).unwrap();
    fs::copy("/bin/busybox", path.join("busybox")).unwrap();
    let at_home = || host.process("/sh").join(&inside, [Pid, Mount]).root_of(&inside);
    assert_eq!(says(at_home(), "/busybox mount -t tmpfs none /mnt && echo 1 > /mnt/inside && echo done")?, "done");
    assert_eq!(says(at_home(), "/busybox ls /mnt")?, "inside");
    assert_eq!(fs::read_dir(path.join("mnt")).unwrap().count(), 0);
    // Its mounts are not its root.
    assert_eq!(says(host.process("sh").join(&inside, [Pid, Mount]), "test -d /proc && echo ours")?, "ours");
    assert_eq!(says(host.process("/sh").join(&inside, [Pid, Mount]).root_of(&inside), "read text < /hello; echo $text")?, "from the image");
    Ok(())
}

#[netlab::test]
fn what_cannot_be_around_a_program_is_told() -> Result<()> {
    let host = Netns::new("box")?;
    let told = |plan: netlab::ProcessPlan| plan.start().unwrap_err();
    let e = told(host.process("true").root("/nowhere"));
    assert!(e.is_not_found() && e.to_string().starts_with("cannot use the root `/nowhere`"), "{e}");
    for kind in [Net, User] {
        let e = told(host.process("true").unshare([kind]));
        assert!(e.is_invalid_input() && e.to_string().contains("a program"), "{e}");
    }
    let ended = host.process("true").start()?;
    ended.expect_success(SOON)?;
    let e = told(host.process("true").join(&ended, [Mount]));
    assert!(e.to_string().starts_with("cannot join the mnt namespace of `true`"), "{e}");
    assert!(ended.namespace(Mount).unwrap_err().to_string().contains("mnt namespace of `true` in `box`"));
    let e = told(host.process("/nobody").unshare([Pid, Mount]));
    assert!(e.is_not_found() && e.to_string().contains("with a fresh pid namespace, a fresh mnt namespace"), "{e}");
    Ok(())
}

#[netlab::test]
fn nothing_is_left_of_a_program_with_namespaces_of_its_own() -> Result<()> {
    let host = Netns::new("box")?;
    let count = || (fs::read_dir("/proc/self/fd").unwrap().count(), fs::read_dir("/proc/self/task").unwrap().count());
    says(host.process("sh").unshare([Pid, Mount]), "true")?;
    let before = count();
    for _ in 0..5 {
        let first = shell(host.process("sh").unshare([Pid, Mount, Uts, Ipc, Cgroup]))?;
        let joined = shell(host.process("sh").join(&first, [Pid, Mount]))?;
        drop(first);
        drop(joined);
    }
    assert_eq!(count(), before);
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let children: String = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default()).collect();
    assert_eq!(children, "");
    Ok(())
}

/// The effective capabilities, as `/proc/self/status` has them.
const EFFECTIVE: &str = "grep -E ^CapEff /proc/self/status | cut -f2";

#[netlab::test]
fn a_program_lacks_the_capabilities_that_were_dropped_and_no_other() -> Result<()> {
    const NET_ADMIN_AND_NET_RAW: u64 = 1 << 12 | 1 << 13;
    let host = Netns::new("box")?;
    let mask = |text: String| u64::from_str_radix(&text, 16).unwrap();
    let all = mask(says(host.process("sh"), EFFECTIVE)?);
    let left = mask(says(host.process("sh").cap_drop("NET_RAW").cap_drop("cap_net_admin"), EFFECTIVE)?);
    assert_eq!(all & !left, NET_ADMIN_AND_NET_RAW);
    assert_eq!(left & !all, 0);
    assert_eq!(mask(says(host.process("sh").cap_drop("NET_RAW"), &format!("sh -c '{EFFECTIVE}'"))?), all & !(1 << 13));
    says(host.process("sh"), "ip link set lo down")?;
    let denied = host.process("sh").cap_drop("NET_ADMIN").unshare([Pid]).args(["-c", "ip link set lo down"]).start()?;
    assert!(!denied.wait(SOON)?.success() && denied.stderr().contains("Operation not permitted"), "{}", denied.stderr());
    Ok(())
}

#[netlab::test]
fn a_capability_that_does_not_exist_is_an_error() -> Result<()> {
    let e = Netns::new("box")?.process("true").cap_drop("NET_ROW").start().unwrap_err();
    assert!(e.is_invalid_input() && e.to_string().starts_with("cannot drop the capability `NET_ROW`"), "{e}");
    Ok(())
}
