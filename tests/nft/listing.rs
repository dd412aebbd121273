//! What `nft -f` installs, we list as `nft list ruleset` does.

use netlab::{Netns, Result};

use crate::corpus;
use crate::oracle::{differences, load, output};

/// Loads each rule alone, so that one which this kernel lacks does not hide the others, and compares all that were taken.
#[netlab::test]
fn every_rule_of_the_corpus_reads_as_nft_prints_it() -> Result<()> {
    let (mut compared, mut refused, mut wrong) = (0, Vec::new(), Vec::new());
    for chain in corpus::CHAINS {
        let netns = Netns::new("rules")?;
        load(&netns, chain.setting).unwrap();
        let mut kept = Vec::new();
        for rule in chain.rules.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match load(&netns, &format!("add rule {} {rule}", chain.place)) {
                Ok(()) => kept.push(rule),
                Err(e) => refused.push(format!("{}: {rule}: {e}", chain.place)),
            }
        }
        let (nft, ours) = (output(&netns, "nft", &["list", "ruleset"]), netns.ruleset()?.to_string());
        compared += nft.lines().count();
        wrong.extend(differences(&nft, &ours));
        let (nft, ours) = (output(&netns, "nft", &["-a", "list", "ruleset"]), netns.ruleset()?.with_handles().to_string());
        wrong.extend(differences(&nft, &ours));
        let (nft, ours) = (output(&netns, "nft", &["-s", "list", "ruleset"]), netns.ruleset()?.stateless().to_string());
        wrong.extend(differences(&nft, &ours));
    }
    println!("{compared} lines compared");
    println!("not taken:\n{}", refused.join("\n"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused.is_empty(), "not taken:\n{}", refused.join("\n"));
    Ok(())
}
