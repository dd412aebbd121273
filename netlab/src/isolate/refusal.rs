//! Why a host gives no machine: the cause, where it is written, and the command that lifts it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::error::Error;
use crate::host::Finding;
use crate::sys::machine::{Denied, Step};

/// What may forbid a machine, as this process finds it.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    root: bool,
    /// The six kinds of namespace that a machine has, and how many of each this user may have.
    pub(crate) limits: Vec<(&'static str, u64)>,
    apparmor: bool,
    userns_clone_off: bool,
    seccomp: bool,
    container: bool,
    gvisor: bool,
}

const LIMITS: [&str; 6] = ["user", "net", "mnt", "pid", "uts", "ipc"];

/// Something that forbids machines where it is on.
pub(crate) struct Switch {
    pub(crate) name: &'static str,
    on: fn(&Facts) -> bool,
    binds_root: bool,
    cause: &'static str,
    cure: &'static str,
}

impl Switch {
    pub(crate) const ALL: [Self; 3] = [
        Self {
            name: "kernel.unprivileged_userns_clone",
            on: |facts| facts.userns_clone_off,
            binds_root: false,
            cause: "/proc/sys/kernel/unprivileged_userns_clone is 0: only root may make user namespaces",
            cure: "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        },
        Self {
            name: "AppArmor",
            on: |facts| facts.apparmor,
            binds_root: false,
            cause: "/proc/sys/kernel/apparmor_restrict_unprivileged_userns is 1: AppArmor takes a user namespace's rights away (Ubuntu 23.10 and later)",
            cure: "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        },
        Self {
            name: "seccomp",
            on: |facts| facts.seccomp,
            binds_root: true,
            cause: "`Seccomp:` in /proc/self/status is 2: a filter forbids system calls, as Docker's default profile does",
            cure: "docker run --privileged …, or --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined",
        },
    ];

    pub(crate) fn is_on(&self, facts: &Facts) -> bool {
        (self.on)(facts)
    }

    /// Whether it may be why the kernel refused.
    pub(crate) fn explains(&self, denied: Denied, facts: &Facts) -> bool {
        matches!(denied.errno, libc::EPERM | libc::EACCES) && self.is_on(facts) && (self.binds_root || !facts.root)
    }

    pub(crate) fn finding(&self) -> Finding {
        Finding { cause: self.cause.to_owned(), cure: self.cure.to_owned() }
    }
}

/// The whole text: what was refused, why, and what helps.
pub(super) fn explain(denied: Denied) -> String {
    text(denied, &Facts::collect())
}

/// The same for a program that is no test: `what` completes the sentence "cannot …".
pub(super) fn error(what: &str, denied: Denied) -> Error {
    let what = format!("{what}, which would have to {}", doing(denied.step));
    let error = Error::new(what, io::Error::from_raw_os_error(denied.errno));
    let findings = findings(denied, &Facts::collect());
    findings.into_iter().fold(error, |error, Finding { cause, cure }| error.fact(format!("cause: {cause}\nhelp: {cure}")))
}

fn text(denied: Denied, facts: &Facts) -> String {
    let errno = io::Error::from_raw_os_error(denied.errno);
    let mut text = format!("this host gives no machine: cannot {}: {errno}", doing(denied.step));
    for Finding { cause, cure } in findings(denied, facts) {
        write!(text, "\n  cause: {cause}\n  help: {cure}").unwrap_or_default();
    }
    text
}

pub(crate) fn doing(step: Step) -> &'static str {
    match step {
        Step::Namespaces => "make user, net, mount, pid, uts and ipc namespaces (clone(2))",
        Step::Identity => "become root of the new user namespace (/proc/self/uid_map)",
        Step::Mounts => "mount the machine's own /proc, /sys and /run",
        Step::Loopback => "set its loopback interface up",
        Step::Process => "prepare its first process",
    }
}

/// Every cause that is certain; where there is none, what to look at.
pub(crate) fn findings(denied: Denied, facts: &Facts) -> Vec<Finding> {
    let finding = |cause: &str, cure: &str| Finding { cause: cause.to_owned(), cure: cure.to_owned() };
    let mut found = Vec::new();
    if facts.gvisor {
        found.push(finding(
            "this is gVisor (/proc/version), whose kernel has no such namespaces",
            "run the tests under runc: `docker run --runtime=runc …`",
        ));
    }
    if denied.errno == libc::ENOSPC {
        found.extend(limit_findings(facts));
    }
    found.extend(Switch::ALL.iter().filter(|switch| switch.explains(denied, facts)).map(Switch::finding));
    if found.is_empty() && matches!(denied.errno, libc::EINVAL | libc::ENOSYS) {
        found.push(finding(
            "this kernel was built without a kind of namespace",
            "use a kernel with CONFIG_USER_NS, CONFIG_NET_NS, CONFIG_PID_NS, CONFIG_UTS_NS and CONFIG_IPC_NS (`zgrep _NS= /proc/config.gz`)",
        ));
    }
    if found.is_empty() {
        let place = if facts.container { "this container's runtime" } else { "a security module (SELinux, Landlock), or a chroot," };
        found.push(finding(
            &format!("not certain: {place} may forbid it; no sysctl, AppArmor switch or seccomp filter does"),
            "try `unshare -Urnmpf --mount-proc true`, and see what `dmesg` says",
        ));
    }
    found
}

fn limit_findings(facts: &Facts) -> Vec<Finding> {
    let zero: Vec<_> = facts.limits.iter().filter(|(_, limit)| *limit == 0).collect();
    if zero.is_empty() {
        return vec![Finding {
            cause:
                "a limit of namespaces is reached, here (/proc/sys/user/max_*_namespaces) or in a namespace around this one, or they are \
                    nested more than 32 deep"
                    .to_owned(),
            cure: "end what holds namespaces (`lsns`), or raise the limits: sudo sysctl -w user.max_net_namespaces=15000".to_owned(),
        }];
    }
    zero.iter().map(|(kind, _)| zero_limit(kind)).collect()
}

pub(crate) fn zero_limit(kind: &str) -> Finding {
    Finding {
        cause: format!("/proc/sys/user/max_{kind}_namespaces is 0"),
        cure: format!("sudo sysctl -w user.max_{kind}_namespaces=15000"),
    }
}

impl Facts {
    pub(crate) fn collect() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let is = |path: &str, value: &str| read(path).trim() == value;
        let status = read("/proc/self/status");
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default();
        let limit = |kind| read(&format!("/proc/sys/user/max_{kind}_namespaces")).trim().parse().ok().map(|limit| (kind, limit));
        Self {
            root: field("Uid:").split_whitespace().nth(1) == Some("0"),
            limits: LIMITS.into_iter().filter_map(limit).collect(),
            apparmor: is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
            userns_clone_off: is("/proc/sys/kernel/unprivileged_userns_clone", "0"),
            seccomp: field("Seccomp:") == "2",
            container: ["/.dockerenv", "/run/.containerenv"].into_iter().any(|file| Path::new(file).exists()),
            gvisor: read("/proc/version").contains("gVisor"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn causes(step: Step, errno: i32, facts: Facts) -> String {
        text(Denied { step, errno }, &facts)
    }

    #[test]
    fn ubuntus_apparmor_switch_is_named_with_its_cure() {
        let text = causes(Step::Identity, libc::EPERM, Facts { apparmor: true, ..Facts::default() });
        assert!(text.starts_with("this host gives no machine: cannot become root of the new user namespace"), "{text}");
        assert!(text.contains("help: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"), "{text}");
    }

    #[test]
    fn root_is_not_told_of_what_binds_only_others() {
        let facts = Facts { apparmor: true, userns_clone_off: true, seccomp: true, root: true, ..Facts::default() };
        let text = causes(Step::Namespaces, libc::EPERM, facts);
        assert!(text.contains("Seccomp") && !text.contains("apparmor_restrict") && !text.contains("userns_clone"), "{text}");
    }

    #[test]
    fn debians_switch_is_named_with_its_cure() {
        let text = causes(Step::Namespaces, libc::EPERM, Facts { userns_clone_off: true, ..Facts::default() });
        assert!(text.contains("help: sudo sysctl -w kernel.unprivileged_userns_clone=1"), "{text}");
    }

    #[test]
    fn the_limit_that_is_zero_is_named() {
        let facts = Facts { limits: vec![("user", 100), ("net", 0)], ..Facts::default() };
        let text = causes(Step::Namespaces, libc::ENOSPC, facts);
        assert!(text.contains("help: sudo sysctl -w user.max_net_namespaces=15000") && !text.contains("max_user"), "{text}");
    }

    #[test]
    fn a_limit_that_is_reached_elsewhere_is_said_to_be() {
        let text = causes(Step::Namespaces, libc::ENOSPC, Facts { limits: vec![("user", 100)], ..Facts::default() });
        assert!(text.contains("a limit of namespaces is reached"), "{text}");
    }

    #[test]
    fn a_cause_that_is_not_known_is_not_guessed() {
        let text = causes(Step::Mounts, libc::EPERM, Facts::default());
        assert!(text.contains("not certain"), "{text}");
    }

    #[test]
    fn gvisor_and_old_kernels_are_recognised() {
        assert!(causes(Step::Namespaces, libc::EINVAL, Facts { gvisor: true, ..Facts::default() }).contains("gVisor"));
        assert!(causes(Step::Namespaces, libc::EINVAL, Facts::default()).contains("CONFIG_USER_NS"));
    }
}
