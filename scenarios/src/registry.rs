//! The documents there are, and how they and their stages are found by id.

use crate::stage::{Document, Stage};

/// Every tutorial, in order.
pub const DOCUMENTS: &[&Document] = &[
    &crate::doc_000::DOCUMENT,
    &crate::doc_001::DOCUMENT,
    &crate::doc_002::DOCUMENT,
    &crate::doc_003::DOCUMENT,
    &crate::doc_004::DOCUMENT,
    &crate::systems::DOCUMENT,
];

/// Stages that were asked for, each with its document.
pub type Selection = Vec<(&'static Document, &'static Stage)>;

impl Document {
    /// Its stages, in order.
    pub fn stages(&self) -> impl Iterator<Item = &'static Stage> {
        self.parts.iter().copied().flatten()
    }

    /// Whether its stages have nothing to do with each other: each starts afresh.
    pub fn is_collection(&self) -> bool {
        self.stages().all(|stage| stage.afresh)
    }

    /// Where the text of its module documentation is, below the package's folder.
    pub fn page(&self) -> String {
        let folder = if self.id.starts_with(|c: char| c.is_ascii_digit()) { format!("doc_{}", self.id) } else { self.id.to_owned() };
        format!("src/{folder}/stages.md")
    }

    /// The stages whose changes a stage builds on, in order.
    pub fn before(&self, stage: &Stage) -> Vec<&'static Stage> {
        let mut before = Vec::new();
        for earlier in self.stages() {
            if earlier.afresh {
                before.clear();
            }
            if earlier.id == stage.id {
                break;
            }
            before.extend((!earlier.aside).then_some(earlier));
        }
        before
    }
}

/// Every stage of every tutorial.
pub(crate) fn all() -> Selection {
    DOCUMENTS.iter().flat_map(|document| document.stages().map(move |stage| (*document, stage))).collect()
}

/// The stage of that id, such as `000.14`.
pub fn find_stage(id: &str) -> Option<(&'static Document, &'static Stage)> {
    all().into_iter().find(|(_, stage)| stage.id == id)
}

/// The stages that an id names: all of a document for `000`, one for `000.14`.
pub fn select(id: &str) -> Option<Selection> {
    let selection: Selection = all().into_iter().filter(|(document, stage)| document.id == id || stage.id == id).collect();
    (!selection.is_empty()).then_some(selection)
}

/// The ids that are most like an unknown one, best first.
pub fn near(id: &str) -> Vec<&'static str> {
    let documents = DOCUMENTS.iter().map(|document| document.id);
    let mut ids: Vec<_> = documents.chain(all().into_iter().map(|(_, stage)| stage.id)).collect();
    ids.sort_by_key(|known| (strsim::damerau_levenshtein(id, known), *known));
    ids.truncate(3);
    ids
}

/// A document's stages as the section of its module documentation.
pub fn markdown(document: &Document) -> String {
    document.stages().map(|stage| section(document, stage, "")).collect()
}

/// One stage of it, with something more behind its commands.
pub fn section(document: &Document, stage: &Stage, more: &str) -> String {
    let Stage { id, title, verdict, claim, truth, needs, commands, aside, afresh, kernel, machine, .. } = stage;
    let mut section = format!("\n## {id} {title}\n\n");
    if *afresh && !document.is_collection() {
        section += "Everything starts again: nothing of the stages before is left.\n\n";
    }
    section += &format!("{claim}\n");
    if !commands.is_empty() {
        section += &format!("\n```text\n{}\n```\n", commands.join("\n"));
    }
    section += more;
    section += &format!("\n**{}.** {truth}\n", capitalised(&verdict.to_string()));
    if !needs.is_empty() {
        section += &format!("\nNeeds: {}.\n", needs.join("; "));
    }
    if !kernel.is_empty() {
        section += &format!("\nNot every kernel has: {}.\n", kernel.join(", "));
    }
    if !machine.is_empty() {
        section += &format!("\nNot every machine has: {}.\n", machine.join(", "));
    }
    if *aside {
        section += "\nAn aside: the next stages go on without it.\n";
    }
    section
}

fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_in_order_and_of_their_document() {
        for document in DOCUMENTS {
            let ids: Vec<_> = document.stages().map(|stage| stage.id).collect();
            let unique: std::collections::BTreeSet<_> = ids.iter().collect();
            assert!(unique.len() == ids.len() && (document.is_collection() || ids.is_sorted()), "{ids:?}");
            assert!(document.stages().all(|stage| stage.document() == document.id), "{ids:?}");
        }
    }

    #[test]
    fn every_stage_says_what_is_claimed_and_what_is_true() {
        for (_, stage) in all() {
            assert!(!stage.title.is_empty() && !stage.claim.is_empty() && !stage.truth.is_empty(), "{}", stage.id);
        }
    }

    #[test]
    fn a_cause_names_a_stage_on_which_this_one_is_built() {
        for (document, stage) in all() {
            if let crate::Cause::Change(id) = stage.cause {
                assert!(document.before(stage).iter().any(|cause| cause.id == id), "{} names {id}", stage.id);
            }
        }
    }

    #[test]
    fn what_starts_afresh_is_built_without_what_was_before() {
        let before = |id| {
            let (document, stage) = find_stage(id).unwrap();
            document.before(stage).iter().map(|stage| stage.id).collect::<Vec<_>>()
        };
        assert!(before("001.13").contains(&"001.12"));
        assert_eq!(before("001.20"), [""; 0]);
        assert_eq!(before("001.22"), ["001.20", "001.21"]);
    }

    #[test]
    fn an_unknown_id_is_near_to_known_ones() {
        assert!(near("000.71").contains(&"000.17"), "{:?}", near("000.71"));
        assert_eq!(near("00")[0], "000");
    }
}
