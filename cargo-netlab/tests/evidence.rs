//! `cargo netlab report` and `cargo netlab clean`: what a test that fails has left, as a page, and gone.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Result, User, exec, netlab, run};
use netlab::{Netns, VethPair};

#[netlab::test]
#[ignore = "run as a child"]
fn victim_fails() -> netlab::Result<()> {
    let (left, right) = (Netns::new("left")?, Netns::new("right")?);
    let _cable = VethPair::connect(left.iface("eth0").addr("10.0.0.1/24"), right.iface("eth0").addr("10.0.0.2/24"))?;
    panic!("as it should: <script>alert('1 & 2')</script>");
}

/// The evidence of a test that failed, in this folder.
fn leave_evidence(folder: &Path) -> Result<()> {
    let mut victim = Command::new(std::env::current_exe()?);
    victim.args(["victim_fails", "--exact", "--ignored"]).env("NETLAB_EVIDENCE", folder).env_remove("GITHUB_ACTIONS").stdin(Stdio::null());
    let output = run(&mut victim)?;
    assert_eq!(output.status.code(), Some(101), "{}", output.text);
    Ok(())
}

#[test]
fn the_page_shows_what_went_wrong_and_needs_no_other_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    leave_evidence(folder.path())?;
    let output = run(netlab(User::Myself)?.arg("report").arg(folder.path()))?;
    assert!(output.status.success() && output.text.starts_with("1 of 1 test with evidence failed: "), "{}", output.text);
    let page = fs::read_to_string(folder.path().join("report.html"))?;
    for part in [
        "<a href=\"#t0\">evidence::victim_fails</a><td>cargo-netlab/tests/evidence.rs:",
        "<pre class=\"error\">as it should: &lt;script&gt;alert(&#39;1 &amp; 2&#39;)&lt;/script&gt;</pre>",
        "<img alt=\"Topology of evidence::victim_fails\" src=\"data:image/svg+xml;base64,PHN2Zy",
        "<summary>state.txt</summary><p><a href=\"evidence/victim_fails/state.txt\">",
        "inet 10.0.0.2/24",
        "<summary>repro.sh</summary>",
        "default-src 'none'",
    ] {
        assert!(page.contains(part), "`{part}` is not in {page}");
    }
    assert!(!page.contains("<script") && !page.contains("=\"http"), "{page}");
    Ok(())
}

#[test]
fn where_nothing_has_failed_there_is_no_page() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let output = run(netlab(User::Myself)?.arg("report").arg(folder.path()))?;
    assert!(output.status.success() && output.text.starts_with("No evidence is in "), "{}", output.text);
    assert_eq!(fs::read_dir(&folder)?.count(), 0);
    let output = run(netlab(User::Myself)?.arg("report").arg(folder.path().join("no")))?;
    assert!(!output.status.success() && output.text.contains("is no folder"), "{}", output.text);
    Ok(())
}

/// In a machine, so that the machines of other tests are out of its sight.
fn clean(options: &[&str], folder: &Path) -> Result<common::Ended> {
    let mut command = exec(User::Myself)?;
    command.arg("--").arg(common::program(User::Myself)?).arg("clean").args(options).arg(folder).env("TMPDIR", folder);
    run(&mut command)
}

#[test]
fn evidence_goes_and_what_is_somebody_elses_stays() -> Result<()> {
    let folder = tempfile::tempdir()?;
    leave_evidence(folder.path())?;
    let left = folder.path().join("evidence/victim_fails");
    let (mine, pause) = (folder.path().join("evidence/mine.txt"), folder.path().join("netlab-paused-a-b"));
    fs::write(&mine, "")?;
    fs::write(&pause, "")?;
    let output = clean(&["--dry-run"], folder.path())?;
    assert_eq!(output.status.code(), Some(1), "{}", output.text);
    assert!(output.text.contains("would remove ") && left.join("state.txt").is_file() && pause.is_file(), "{}", output.text);
    let output = clean(&[], folder.path())?;
    assert_eq!(output.status.code(), Some(0), "{}", output.text);
    assert!(output.text.contains("\nNothing of netlab is left: ") && !left.exists() && !pause.exists(), "{}", output.text);
    assert!(mine.is_file());
    Ok(())
}

#[test]
fn a_machine_that_is_alive_is_told_of_and_ended_on_demand() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = "mkfifo $TMPDIR/up; $0 exec -- sh -c 'echo up > $TMPDIR/up; exec sleep 1000' 2>/dev/null & read -r up <$TMPDIR/up
        $0 clean $TMPDIR; echo $?; $0 clean --machines $TMPDIR; echo $?; wait";
    let mut command = exec(User::Myself)?;
    command.args(["--", "sh", "-c", script]).arg(common::program(User::Myself)?).env("TMPDIR", folder.path());
    let output = run(&mut command)?;
    let words: Vec<_> = output.text.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(words, ["alive:", "1", "ended", "Nothing", "0"], "{}", output.text);
    Ok(())
}
