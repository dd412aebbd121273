//! The book says and shows what the stages do: it is written again, and is the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let file = |entry: fs::DirEntry| (PathBuf::from(entry.file_name()), fs::read_to_string(entry.path()).unwrap());
    entries.map(|entry| file(entry.unwrap())).collect()
}

#[test]
fn the_book_is_up_to_date() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tutorials");
    let written = files(&book);
    // What this machine cannot play is kept from before; everything else is written anew, so that a wrong copy becomes right.
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("book");
    fs::remove_dir_all(&copy).unwrap_or_default();
    fs::create_dir_all(&copy).unwrap();
    for (name, text) in &written {
        fs::write(copy.join(name), text).unwrap();
    }
    for wrong in ["000.md", "000.34.svg", "000.02.svg"] {
        fs::write(copy.join(wrong), "wrong").unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_scenarios")).arg("book").arg(&copy).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let again = files(&copy);
    let names: std::collections::BTreeSet<_> = written.keys().chain(again.keys()).collect();
    let changed: Vec<_> = names.into_iter().filter(|name| written.get(*name) != again.get(*name)).collect();
    assert!(changed.is_empty(), "{changed:?} are out of date: `cargo run -q -- book docs/tutorials`");
}

#[test]
fn the_book_has_a_drawing_for_each_picture_that_it_shows_and_no_other() {
    let written = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tutorials"));
    let pages = written.iter().filter(|(name, _)| name.extension().is_some_and(|extension| extension == "md"));
    let shown: Vec<_> = pages
        .flat_map(|(_, text)| text.lines())
        .filter_map(|line| line.strip_prefix("![")?.rsplit_once("](")?.1.strip_suffix(')'))
        .map(PathBuf::from)
        .collect();
    let there: Vec<_> = written.keys().filter(|name| name.extension().is_some_and(|extension| extension == "svg")).cloned().collect();
    let sorted = std::collections::BTreeSet::from_iter;
    let (shown, there): (std::collections::BTreeSet<_>, std::collections::BTreeSet<_>) = (sorted(shown), sorted(there));
    assert_eq!(shown, there);
    assert!(there.len() > 60, "{there:?}");
}
