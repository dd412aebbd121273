//! The chapters show nothing but what is tested, and lead nowhere that is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const BLOCK: &str = "```rust\n";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let entries =
        fs::read_dir(repository().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let chosen = entries.filter(|path| path.extension().is_some_and(|is| is == extension));
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    chosen.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

/// What stands between the marks of a source file.
fn regions(source: &str) -> Vec<String> {
    let starts = source.split("// ANCHOR: ").skip(1);
    let region = |text: &str| {
        let (name, code) = text.split_once('\n').unwrap_or_default();
        code.split_once(&format!("// ANCHOR_END: {name}\n")).map(|(code, _)| code.to_owned())
    };
    starts.map(|text| region(text).unwrap_or_else(|| panic!("no end of {text:.40}"))).collect()
}

fn blocks(chapter: &str) -> Vec<String> {
    // At the start of a line: a comment in the code may have blocks of its own.
    let code = |text: &str| text.split("\n```\n").next().unwrap_or_default().to_owned() + "\n";
    chapter.split(BLOCK).skip(1).map(code).collect()
}

#[test]
fn every_rust_block_of_the_guide_is_a_test_and_every_test_is_shown() {
    let sources = files("tests/guide", "rs");
    let sources = sources.iter().filter(|(name, _)| name != "chapters.rs" && name != "main.rs");
    let tested: BTreeSet<String> = sources.flat_map(|(_, source)| regions(source)).collect();
    let chapters = files("docs/guide", "md");
    let shown: BTreeSet<String> = chapters.iter().flat_map(|(_, text)| blocks(text)).collect();
    assert!(
        tested.len() > 15
            && tested
                .iter()
                .all(|code| code.contains("#[netlab::test]") || code.contains("struct "))
    );
    let only = |left: &BTreeSet<String>, right| {
        left.difference(right).cloned().collect::<Vec<_>>().join("\n----\n")
    };
    let (shown_only, tested_only) = (only(&shown, &tested), only(&tested, &shown));
    assert!(
        shown == tested,
        "shown, but no test:\n{shown_only}\ntested, but not shown:\n{tested_only}"
    );
}

#[test]
fn every_chapter_is_in_the_summary_and_every_link_leads_somewhere() {
    let chapters = files("docs/guide", "md");
    let (_, summary) = chapters.iter().find(|(name, _)| name == "SUMMARY.md").expect("a summary");
    for (name, _) in &chapters {
        assert!(
            name == "SUMMARY.md" || summary.contains(&format!("]({name})")),
            "{name} is not in the summary"
        );
    }
    let elsewhere = ["README.md", "docs/ci.md"]
        .map(|file| (file.to_owned(), fs::read_to_string(repository().join(file)).unwrap()));
    let pages = chapters
        .into_iter()
        .map(|(name, text)| (format!("docs/guide/{name}"), text))
        .chain(elsewhere);
    for (page, text) in pages {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let folder = repository().join(&page).with_file_name("");
            assert!(
                target.contains("://") || folder.join(file).exists(),
                "{page} leads to {target}"
            );
        }
    }
}

#[test]
fn the_refusals_that_the_recipes_cure_are_those_that_tests_say() {
    let recipes = fs::read_to_string(repository().join("docs/ci.md")).unwrap();
    let said = fs::read_to_string(repository().join("netlab/src/isolate/refusal.rs")).unwrap();
    let quoted: Vec<&str> =
        recipes.lines().filter_map(|line| line.strip_prefix("  cause: ")).collect();
    assert!(quoted.len() > 3);
    for cause in quoted {
        // The only one that is made of parts.
        let cause = if cause.starts_with("/proc/sys/user/max_") {
            "/proc/sys/user/max_{kind}_namespaces is 0"
        } else {
            cause
        };
        assert!(said.contains(cause), "nobody says: {cause}");
    }
}
