//! A paused test, and who looks around in it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::child::{command, files};

/// Who has no entry anywhere: not even a name is needed.
const NOBODY: u32 = 54_321;

/// A run of a test that has come to its pause.
struct Paused {
    child: Child,
    stderr: BufReader<ChildStderr>,
    text: Vec<String>,
    base: TempDir,
    user: Option<u32>,
}

impl Paused {
    fn start(victim: &str, variables: &[(&str, &str)], user: Option<u32>) -> Self {
        let base = tempfile::tempdir().unwrap();
        std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let mut command = command(victim);
        if let Some(user) = user {
            // Where the binary lies, others may have no business.
            let copy = base.path().join("evidence");
            std::fs::copy("/proc/self/exe", &copy).unwrap();
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
            let mut theirs = Command::new(copy);
            theirs.args(command.get_args()).current_dir("/").uid(user).gid(user);
            for (name, value) in command.get_envs() {
                match value {
                    Some(value) => theirs.env(name, value),
                    None => theirs.env_remove(name),
                };
            }
            command = theirs;
        }
        command.env("NETLAB_EVIDENCE", base.path().join("kept")).envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut text = Vec::new();
        while !text.last().is_some_and(|line: &String| line.contains("it goes on when")) {
            let mut line = String::new();
            if stderr.read_line(&mut line).unwrap() == 0 {
                panic!("no pause: {text:?}\n{}", String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout));
            }
            text.push(line.trim_end().to_owned());
        }
        Self { child, stderr, text, base, user }
    }

    fn says(&self, words: &str) {
        assert!(self.text.iter().any(|line| line.contains(words)), "`{words}` is not in {:#?}", self.text);
    }

    /// The command that is printed for a machine.
    fn door(&self, machine: &str) -> &str {
        let line = self
            .text
            .iter()
            .filter_map(|line| line.trim_start().strip_prefix(machine))
            .find(|rest| rest.trim_start().starts_with("nsenter "));
        line.unwrap_or_else(|| panic!("no way into {machine}: {:#?}", self.text)).trim_start()
    }

    /// What a program prints that is started by the command for a machine, as the same user from elsewhere.
    fn look(&self, machine: &str, program: &str) -> String {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{} {program}", self.door(machine))]).current_dir("/").stdin(Stdio::null());
        if let Some(user) = self.user {
            shell.uid(user).gid(user);
        }
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{shell:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// It is among the machines that are alive, with the same ways in.
    fn is_listed(&self) {
        let machines = netlab::live::machines().unwrap();
        let is_ours = |file: &String| std::path::Path::new(file).starts_with(self.base.path());
        let machine = machines.iter().find(|machine| machine.paused.as_ref().is_some_and(is_ours));
        let machine = machine.unwrap_or_else(|| panic!("it is not among {machines:#?}"));
        assert_eq!((machine.subject.as_str(), machine.kind), ("evidence::victims::pauses", netlab::live::Kind::Test));
        let names: Vec<_> = machine.doors.iter().map(|door| door.name.as_str()).collect();
        assert_eq!(names, ["host", "laptop", "server"]);
        let commands: Vec<_> = machine.doors.iter().map(|door| door.command.as_str()).collect();
        assert_eq!(commands, ["host", "laptop", "server"].map(|name| self.door(name)));
    }

    fn press_enter(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn remove_file(&self) {
        let line = self.text.last().unwrap();
        std::fs::remove_file(line.rsplit_once("rm ").unwrap().1).unwrap();
    }

    /// The output of the test, and how many files it has left.
    fn end(mut self) -> (String, usize) {
        let mut output = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        self.stderr.read_to_string(&mut output).unwrap();
        self.child.wait().unwrap();
        (output, files(&self.base.path().join("kept")).len())
    }
}

/// Each machine is the one that its command leads to.
fn looks_around(paused: &Paused) {
    assert!(paused.look("laptop", "ip -o -4 address show dev eth0").contains("10.0.0.2/24"));
    assert!(paused.look("server", "ip -o -4 address show dev eth0").contains("10.0.0.1/24"));
    assert_eq!(paused.look("host", "ip -o link").lines().count(), 1);
    assert_eq!(paused.look("host", "hostname"), "netlab\n");
    assert!(paused.look("host", "ps -e -o comm").contains("sleep"));
    assert_eq!(paused.look("server", "id -u"), "0\n");
}

#[test]
fn the_printed_commands_lead_into_each_machine_and_the_clock_stands_still() {
    let mut paused = Paused::start("pauses", &[], None);
    let since = Instant::now();
    paused.says("evidence::victims::pauses is paused: it asked for a pause at tests/evidence/victims.rs:");
    looks_around(&paused);
    assert_eq!(paused.look("server", "cat /etc/resolv.conf"), "nameserver 10.0.0.9\n");
    // Longer than the test may take.
    std::thread::sleep(Duration::from_millis(2200).saturating_sub(since.elapsed()));
    paused.press_enter();
    let (output, left) = paused.end();
    assert!(output.contains("it went on") && output.contains("1 passed"), "{output}");
    assert_eq!(left, 0, "{output}");
}

#[test]
fn the_removal_of_the_file_ends_a_pause() {
    let paused = Paused::start("pauses", &[], None);
    paused.is_listed();
    paused.remove_file();
    let (output, left) = paused.end();
    assert!(output.contains("it went on") && output.contains("1 passed") && left == 0, "{output}");
}

#[test]
fn a_test_that_fails_waits_before_its_fixtures_go() {
    for (victim, why) in [
        ("panics_slowly", "`victims::panics_slowly` panicked at tests/evidence/victims.rs:"),
        ("returns_an_error", "an error is on its way out of the test"),
        ("hangs", "timed out after 300ms"),
    ] {
        let mut paused = Paused::start(victim, &[("NETLAB_PAUSE", "fail")], None);
        paused.says(why);
        looks_around(&paused);
        paused.press_enter();
        let (output, left) = paused.end();
        assert!(output.contains("0 passed; 1 failed") && left >= 2, "{output}");
        assert!(!output.contains("panicked while processing panic"), "{output}");
    }
}

#[test]
fn no_root_is_needed_to_look_around() {
    // Run by an ordinary user, the other tests say the same.
    if nix::unistd::geteuid().is_root() {
        let mut paused = Paused::start("pauses", &[], Some(NOBODY));
        looks_around(&paused);
        paused.press_enter();
        let (output, _) = paused.end();
        assert!(output.contains("it went on") && output.contains("1 passed"), "{output}");
    }
}

#[test]
fn nobody_is_waited_for_in_ci() {
    let output = command("pauses").env("CI", "true").env("NETLAB_EVIDENCE", "0").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("it went on") && text.contains("1 passed") && output.stderr.is_empty(), "{text}");
}
