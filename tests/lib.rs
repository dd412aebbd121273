//! What netlab promises, held against real kernels and real tools.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Builds a test target of this crate that is not among those of a plain `cargo test`, and says where it is.
///
/// # Errors
///
/// If cargo cannot be run or builds no such target.
pub fn test_binary(name: &str, options: &[&str]) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        // The whole workspace: with the features of a plain `cargo test`, so that nothing is built a second time.
        .args(["test", "--workspace", "--offline", "--no-run", "--message-format=json", "--test", name])
        .args(options)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()?;
    let messages = String::from_utf8(output.stdout)?;
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let found =
        artifacts.filter(|message| message["target"]["name"] == name).find_map(|message| message["executable"].as_str().map(PathBuf::from));
    found.ok_or_else(|| format!("cargo built no test `{name}`").into())
}
