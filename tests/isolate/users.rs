//! Root and everybody else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use crate::child::{EXECUTABLE, program, run};

/// Who has no entry anywhere: not even a name is needed.
const NOBODY: u32 = 54_321;

/// Run by an ordinary user, every other test here says the same.
#[test]
fn a_user_without_any_right_gets_the_same_machines_as_root() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("victims");
    fs::copy(EXECUTABLE, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let names =
        ["aborts", "children_print", "is_async", "passes", "returns_an_error", "twin::passes"].map(|name| format!("victims::{name}"));
    let names = names.each_ref().map(String::as_str);
    let outcomes = |change_user: bool| {
        let mut command = program(copy.as_os_str(), &[&["--ignored", "--exact", "--test-threads=2"], &names[..]].concat());
        command.current_dir("/");
        if change_user {
            command.uid(NOBODY).gid(NOBODY);
        }
        let ran = run(command);
        assert_eq!(ran.code, Some(101), "{ran:?}");
        ran.outcomes().iter().map(|(name, outcome)| format!("{name} {outcome}")).collect::<Vec<_>>()
    };
    let ours = outcomes(false);
    assert_eq!(
        ours,
        names.map(|name| format!("{name} {}", if name.ends_with("aborts") || name.ends_with("error") { "FAILED" } else { "ok" }))
    );
    if nix::unistd::geteuid().is_root() {
        assert_eq!(outcomes(true), ours);
    }
}
