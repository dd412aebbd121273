//! What a process runs in.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

use std::env;
use std::fs;
use std::path::Path;

/// A mark that surroundings leave.
enum Mark {
    Variable(&'static str),
    File(&'static str),
    Contains(&'static str, &'static str),
}

use Mark::{Contains, File, Variable};

/// GitHub's and GitLab's runners, Kubernetes: variables that they document. Docker and podman: files that they make in each container.
/// WSL and gVisor: what their kernels call themselves.
const KNOWN: [(&str, Mark); 9] = [
    ("GitHub Actions", Variable("GITHUB_ACTIONS")),
    ("GitLab CI", Variable("GITLAB_CI")),
    ("Kubernetes", Variable("KUBERNETES_SERVICE_HOST")),
    ("Docker", File("/.dockerenv")),
    ("podman", File("/run/.containerenv")),
    ("Nix sandbox", Variable("NIX_BUILD_TOP")),
    ("WSL", Contains("/proc/version", "microsoft")),
    ("gVisor", Contains("/proc/version", "gVisor")),
    ("systemd container", File("/run/systemd/container")),
];

/// All that can be told.
pub(super) fn recognised() -> Vec<String> {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    among(|name| env::var_os(name).is_some_and(|value| !value.is_empty()), |path| Path::new(path).exists(), text)
}

fn among(has_variable: impl Fn(&str) -> bool, is_there: impl Fn(&str) -> bool, text: impl Fn(&str) -> String) -> Vec<String> {
    let is = |mark: &Mark| match mark {
        Variable(name) => has_variable(name),
        File(path) => is_there(path),
        Contains(path, word) => text(path).to_lowercase().contains(&word.to_lowercase()),
    };
    KNOWN.iter().filter(|(_, mark)| is(mark)).map(|(name, _)| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WSL: &str = "Linux version 5.15.153.1-microsoft-standard-WSL2 (root@941d701f84f1)";

    #[test]
    fn a_container_job_on_a_github_runner_is_both() {
        assert_eq!(among(|name| name == "GITHUB_ACTIONS", |path| path == "/.dockerenv", |_| String::new()), ["GitHub Actions", "Docker"]);
    }

    #[test]
    fn kernels_are_known_by_their_names() {
        assert_eq!(among(|_| false, |_| false, |_| WSL.to_owned()), ["WSL"]);
        assert_eq!(among(|_| false, |_| false, |_| "Linux version 4.4.0 (gVisor)".to_owned()), ["gVisor"]);
        assert!(among(|_| false, |_| false, |_| "Linux version 6.8.0-31-generic".to_owned()).is_empty());
    }
}
