//! The real `nft`, and how far our text is from its.

use std::io::Write;
use std::process::Stdio;

use netlab::Netns;

/// What a program printed in the namespace.
pub(crate) fn output(netns: &Netns, program: &str, arguments: &[&str]) -> String {
    let output = netns.command(program).unwrap().args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `nft -f` says about a text: nothing if it took it.
pub(crate) fn load(netns: &Netns, text: &str) -> Result<(), String> {
    let mut command = netns.command("nft").unwrap();
    let mut child = command.args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// The lines in which our text differs from nft's, beside each other.
pub(crate) fn differences(nft: &str, ours: &str) -> Vec<String> {
    let (nft, ours): (Vec<_>, Vec<_>) = (nft.lines().collect(), ours.lines().collect());
    let common = longest_common(&nft, &ours);
    let (mut differences, mut n, mut o) = (Vec::new(), 0, 0);
    for (next_n, next_o) in common.into_iter().chain([(nft.len(), ours.len())]) {
        differences.extend(nft[n..next_n].iter().map(|line| format!("nft:  {line}")));
        differences.extend(ours[o..next_o].iter().map(|line| format!("ours: {line}")));
        (n, o) = (next_n + 1, next_o + 1);
    }
    differences
}

/// The places of a longest common subsequence.
fn longest_common(a: &[&str], b: &[&str]) -> Vec<(usize, usize)> {
    let mut length = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            length[i][j] = if a[i] == b[j] { length[i + 1][j + 1] + 1 } else { length[i + 1][j].max(length[i][j + 1]) };
        }
    }
    let (mut places, mut i, mut j) = (Vec::new(), 0, 0);
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            places.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if length[i + 1][j] >= length[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    places
}
