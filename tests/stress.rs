//! Many machines in one test binary.

use std::collections::BTreeSet;
use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// In a machine of its own, whose /proc shows nothing but what this test starts.
#[netlab::test(timeout = "5m")]
fn two_thousand_machines_in_one_binary_leave_nothing() -> Result<(), Box<dyn Error>> {
    let binary = netlab_tests::test_binary("two_thousand", &[])?;
    let before = processes()?;
    let output = Command::new(binary).args(["--quiet", "--test-threads=4", "alpha::", "beta::"]).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("2000 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    // The last of the dead may wait for a moment until their new parent reaps them.
    let deadline = Instant::now() + Duration::from_secs(30);
    while processes()? != before && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(processes()?, before, "processes before and after");
    Ok(())
}

fn processes() -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            found.insert(format!("{} {}", entry.file_name().to_string_lossy(), name.trim()));
        }
    }
    Ok(found)
}
