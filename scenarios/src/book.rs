//! The book: a page for each tutorial, with a drawing of what the kernel has after each stage that changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use netlab::Machine;
use netlab::draw::Topology;
use scenarios::{DOCUMENTS, Document, Selection, Stage, section};
use serde::{Deserialize, Serialize};

use crate::cli::{self, End};
use crate::code::Sources;
use crate::fresh;

/// The word by which this program asks itself to build a stage's state and to print what the kernel has.
pub(crate) const STATE: &str = "state";

/// What came of building a stage's state.
#[derive(Default, Serialize, Deserialize)]
struct Built {
    /// The states on the way to it, and its own, by stage.
    states: BTreeMap<String, Topology>,
    /// Why no more of them could be built here.
    failed: Option<String>,
}

/// Prints the state after a stage and those on the way to it, for [`write`].
pub(crate) fn state(document: &Document, stage: &'static Stage) -> io::Result<End> {
    let build = || {
        let mut built = Built::default();
        let walked = scenarios::walk(document, stage, |stage| {
            built.states.insert(stage.id.to_owned(), Topology::current()?);
            Ok(())
        });
        built.failed = walked.err().map(|e| e.to_string());
        built
    };
    let bytes = Machine::new("host").timeout(fresh::TIMEOUT).run(|| Ok(serde_json::to_vec(&build()).unwrap_or_default()));
    let bytes = bytes.or_else(|e| serde_json::to_vec(&Built { failed: Some(e.to_string()), ..Built::default() }))?;
    io::stdout().write_all(&bytes)?;
    Ok(End::AsRecorded)
}

/// Writes the pages, the drawings and the table of contents into a folder.
///
/// A stage that this machine cannot play keeps the drawing that is there: the book is the same on every machine that plays what others cannot.
pub(crate) fn write(folder: &Path, everything: &Selection) -> io::Result<End> {
    fs::create_dir_all(folder)?;
    let mut end = End::AsRecorded;
    let mut states = BTreeMap::new();
    let ends = ends(everything);
    fresh::each_by(&ends, ask, |i, built| {
        let (_, stage) = ends[i];
        states.extend(built.states);
        if let Some(why) = built.failed.filter(|_| stage.kernel.is_empty() && stage.machine.is_empty()) {
            eprintln!("{}: {why}", stage.id);
            end = end.max(End::Differs);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let book = Book { folder, states };
    let mut drawings = BTreeSet::new();
    for document in DOCUMENTS {
        fs::write(folder.join(format!("{}.md", document.id)), book.page(document, &mut drawings)?)?;
    }
    fs::write(folder.join("SUMMARY.md"), summary())?;
    for old in folder.read_dir()? {
        let path = old?.path();
        if path.extension().is_some_and(|extension| extension == "svg") && !drawings.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(end)
}

/// The stages on which no other is built: the states of all lie on the way to theirs.
fn ends(everything: &Selection) -> Selection {
    let on_the_way: BTreeSet<_> = everything.iter().flat_map(|(document, stage)| document.before(stage)).map(|stage| stage.id).collect();
    everything.iter().copied().filter(|(_, stage)| !on_the_way.contains(stage.id)).collect()
}

/// Builds the states in a process of its own.
fn ask(stage: &Stage) -> Built {
    let program = std::env::current_exe();
    let output = program.and_then(|program| Command::new(program).args([STATE, stage.id]).stderr(Stdio::inherit()).output());
    let built = output.and_then(|output| Ok(serde_json::from_slice(&output.stdout)?));
    built.unwrap_or_else(|e: io::Error| Built { failed: Some(e.to_string()), ..Built::default() })
}

struct Book<'a> {
    folder: &'a Path,
    states: BTreeMap<String, Topology>,
}

impl Book<'_> {
    fn page(&self, document: &Document, drawings: &mut BTreeSet<PathBuf>) -> io::Result<String> {
        let sources = Sources::of(&document.page())?;
        let stages: Selection =
            DOCUMENTS.iter().filter(|it| it.id == document.id).flat_map(|it| it.stages().map(|stage| (*it, stage))).collect();
        let mut page = format!("# {}\n\n", heading(document));
        page += &format!("{} stages: {}.\n\n", stages.len(), cli::tally(&stages));
        page += &sources.introduction();
        page += "\nEach stage is played on a real kernel by `cargo run -- run ID`, and drawn here as the kernel has it afterwards, where that differs \
                 from the stage before. In the code, `w` is the world: its machines by name, and what keeps fixtures alive.\n";
        for (_, stage) in &stages {
            let code = sources.change(stage.id).map(|code| format!("\nThe same as fixtures:\n\n```rust\n{code}```\n")).unwrap_or_default();
            page += &section(document, stage, &code);
            if let Some(drawing) = self.drawing(document, stage)? {
                page += &format!("\n![The topology after {}]({}.svg)\n", stage.id, stage.id);
                drawings.insert(drawing);
            }
        }
        Ok(page)
    }

    /// The file of the drawing, where there is something to see that was not there before.
    fn drawing(&self, document: &Document, stage: &Stage) -> io::Result<Option<PathBuf>> {
        let path = self.folder.join(format!("{}.svg", stage.id));
        let Some(topology) = self.states.get(stage.id) else { return Ok(path.exists().then_some(path)) };
        let before = document.before(stage).last().and_then(|before| self.states.get(before.id));
        if before == Some(topology) || topology.machines.is_empty() {
            return Ok(None);
        }
        fs::write(&path, topology.svg())?;
        Ok(Some(path))
    }
}

fn heading(document: &Document) -> String {
    if document.is_collection() { document.title.to_owned() } else { format!("{} {}", document.id, document.title) }
}

/// The table of contents, as mdBook reads it.
fn summary() -> String {
    let chapter = |document: &Document| format!("- [{}]({}.md)\n", heading(document), document.id);
    "# Summary\n\n".to_owned() + &DOCUMENTS.iter().map(|document| chapter(document)).collect::<String>()
}
