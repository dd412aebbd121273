//! The state change of a stage as it stands in the source: what a user of netlab would write.

use std::fs;
use std::io;
use std::path::Path;

use scenarios::{Document, Stage};

/// The code of a stage's change, where the sources are at hand.
pub(crate) fn of(document: &Document, stage: &Stage) -> Option<String> {
    Sources::of(&document.page()).ok()?.change(stage.id)
}

/// The source files of a document.
pub(crate) struct Sources(Vec<String>);

impl Sources {
    /// Those in the folder of the document's page.
    pub(crate) fn of(page: &str) -> io::Result<Self> {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let folder = page.parent().unwrap_or(&page);
        let mut files: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?.into_iter().map(|entry| entry.path()).collect();
        files.sort();
        let sources = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
        sources.map(fs::read_to_string).collect::<io::Result<_>>().map(Self)
    }

    /// What the document's module says of it, as far as it is written there.
    pub(crate) fn introduction(&self) -> String {
        let text = self.0.iter().find(|text| text.contains("pub const DOCUMENT"));
        let lines = text.into_iter().flat_map(|text| text.lines()).map_while(|line| line.strip_prefix("//!"));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned() + "\n").collect()
    }

    /// The code of a stage's change; none for a stage that changes nothing.
    pub(crate) fn change(&self, id: &str) -> Option<String> {
        let needle = format!("id: \"{id}\"");
        let text = self.0.iter().find(|text| text.contains(&needle))?;
        let stage = &text[text.find(&needle)? + needle.len()..];
        let stage = &stage[..stage.find("id: \"").unwrap_or(stage.len())];
        let change = &stage[stage.find(" change: ")? + " change: ".len()..];
        let change = &change[..end(change, ',')?];
        let name = change.rsplit("::").next().filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        match name {
            Some(name) => self.function(name).map(dedented),
            None => Some(dedented(body(change))),
        }
    }

    fn function(&self, name: &str) -> Option<&str> {
        let needle = format!("fn {name}(");
        let text = self.0.iter().find(|text| text.contains(&needle))?;
        let function = &text[text.find(&needle)?..];
        let opens = function.find('{')? + 1;
        Some(body(&function[opens - 1..opens + end(&function[opens..], '}')? + 1]))
    }
}

/// Where the first such character is that is in no brackets, string or comment.
fn end(code: &str, wanted: char) -> Option<usize> {
    let mut depth = 0;
    let mut chars = code.char_indices().peekable();
    while let Some((place, c)) = chars.next() {
        match c {
            c if c == wanted && depth == 0 => return Some(place),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '"' => while !matches!(chars.next(), Some((_, '"')) | None) {},
            '/' if code[place..].starts_with("//") => while !matches!(chars.next(), Some((_, '\n')) | None) {},
            _ => {}
        }
    }
    None
}

/// What is done: without the closure's head and the braces around it.
fn body(code: &str) -> &str {
    let code = code.strip_prefix('|').and_then(|rest| rest.split_once('|')).map_or(code, |(_, body)| body.trim_start());
    code.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(code)
}

/// The lines without the indentation that all but the first have.
fn dedented(code: impl AsRef<str>) -> String {
    let code = code.as_ref().trim_matches('\n').trim_end();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let starts_indented = code.starts_with(' ');
    let lines = || code.lines().filter(|line| !line.trim().is_empty());
    let common = lines().skip(usize::from(!starts_indented)).map(indent).min().unwrap_or(0);
    let cut = |line: &str| line.get(common.min(indent(line))..).unwrap_or(line).to_owned() + "\n";
    let code: String = code.lines().map(cut).collect();
    // That all went well is not what it is about.
    code.strip_suffix("\nOk(())\n").map(|code| format!("{code}\n")).unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(change: &str) -> Sources {
        Sources(vec![format!(
            "    Stage {{\n        id: \"x.1\",\n        change: {change},\n        check: |w, s| s.y(),\n    }},\n    Stage {{\n        id: \"x.2\",\n        check: |w, s| s.z(),\n    }},\nfn add(w: &mut World) -> Result<()> {{\n    w.keep(\"a}}\", 1);\n    Ok(())\n}}\n"
        )])
    }

    #[test]
    fn the_change_of_a_stage_is_found_and_only_its_own() {
        let code = |change: &str| sources(change).change("x.1").unwrap();
        assert_eq!(code("|w| Ok(w.up(1, 2)?)"), "Ok(w.up(1, 2)?)\n");
        assert_eq!(
            code("|w| {\n            let a = f(\"},\"); // }, yes\n            if a {\n                g();\n            }\n        }"),
            "let a = f(\"},\"); // }, yes\nif a {\n    g();\n}\n"
        );
        assert_eq!(code("add"), "w.keep(\"a}\", 1);\n");
        assert_eq!(sources("add").change("x.2"), None);
    }

    #[test]
    fn every_stage_that_changes_something_has_code() {
        for document in scenarios::DOCUMENTS {
            let sources = Sources::of(&document.page()).unwrap();
            assert!(!sources.introduction().is_empty(), "{}", document.id);
            let with_code = document.stages().filter(|stage| sources.change(stage.id).is_some()).count();
            let written: usize = sources.0.iter().flat_map(|text| text.lines()).filter(|line| line.trim().starts_with("change: ")).count();
            assert_eq!(with_code, written, "{}", document.id);
        }
    }
}
