//! The real `nft`, and how far our text is from its.

use std::io::Write;
use std::process::Stdio;

use netlab::Netns;

/// What a program printed in the namespace.
pub fn output(netns: &Netns, program: &str, arguments: &[&str]) -> String {
    let output = netns.command(program).unwrap().args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `nft -f` says about a text: nothing if it took it.
pub fn load(netns: &Netns, text: &str) -> Result<(), String> {
    let mut command = netns.command("nft").unwrap();
    let mut child = command.args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// The lines in which our text differs from nft's.
pub fn differences(nft: &str, ours: &str) -> Vec<String> {
    let (nft, ours): (Vec<_>, Vec<_>) = (nft.lines().collect(), ours.lines().collect());
    let lines = nft.len().max(ours.len());
    let line = |text: &[&str], place: usize| text.get(place).copied().unwrap_or("(nothing)").to_owned();
    let differ = |place: &usize| line(&nft, *place) != line(&ours, *place);
    (0..lines).filter(differ).map(|place| format!("nft:  {}\nours: {}", line(&nft, place), line(&ours, place))).collect()
}
