//! What the compiler says to those who use netlab wrongly.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn mistakes_are_named_where_they_are() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}

/// trybuild compiles no tests, so that what follows from the attribute's output is not seen by it.
#[test]
fn mistakes_in_signatures_are_named_where_they_are() {
    let scratch = copy_of_misused();
    let text = check(scratch.path(), &[]);
    let expected = "error: an async test needs a runtime: enable netlab's feature `tokio` (`netlab = { version = \"0.1\", features = [\"tokio\"] }`)\n \
                    --> lib.rs:4:1\n  |\n4 | async fn waits() {}\n  | ^^^^^\n";
    assert!(text.contains(expected) && text.matches("error: ").count() == 2, "{text}");

    // With the feature that is fine, and the return types are not.
    let text = check(scratch.path(), &["--features", "tokio"]);
    assert!(!text.contains("an async test needs"), "{text}");
    for (returned, place) in [("u32", "lib.rs:9:22"), ("String", "lib.rs:14:26"), ("u32", "lib.rs:19:34")] {
        let expected = format!("error[E0277]: the trait bound `{returned}: Termination` is not satisfied\n  --> {place}\n");
        assert!(text.contains(&expected), "no\n{expected}in\n{text}");
    }
    assert_eq!(text.matches("error[").count(), 3, "{text}");
}

/// A copy outside of this workspace, whose features would be enabled in it.
fn copy_of_misused() -> tempfile::TempDir {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = tempfile::tempdir().unwrap();
    let manifest = fs::read_to_string(here.join("misused/Cargo.toml")).unwrap();
    fs::write(scratch.path().join("Cargo.toml"), manifest.replace("../..", here.parent().unwrap().to_str().unwrap())).unwrap();
    fs::copy(here.join("misused/lib.rs"), scratch.path().join("lib.rs")).unwrap();
    fs::copy(here.join("../Cargo.lock"), scratch.path().join("Cargo.lock")).unwrap();
    scratch
}

/// What the compiler says of the crate, which does not compile.
fn check(folder: &Path, options: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["check", "--offline", "--tests", "--quiet", "--color=never"]).args(options).current_dir(folder);
    let output = command.env("CARGO_TARGET_DIR", folder.join("target")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{text}");
    text
}
