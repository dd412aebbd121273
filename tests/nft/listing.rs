//! What `nft -f` installs, we list as `nft list ruleset` does.

use netlab::nft::Family;
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

#[netlab::test]
fn a_ruleset_is_typed_and_serializes() -> Result<()> {
    let netns = Netns::new("values")?;
    assert_eq!(netns.ruleset()?.to_string(), "", "a new namespace has no rules");
    load(
        &netns,
        "table inet t { chain c { type filter hook input priority filter; policy drop; iif lo counter accept comment \"own\"; }; }",
    )
    .unwrap();
    let ruleset = netns.ruleset()?;
    let table = ruleset.table(Family::Inet, "t").expect("the table that was made");
    assert!(ruleset.table(Family::Ip, "t").is_none() && table.chain("other").is_none());
    let chain = table.chain("c").expect("the chain that was made");
    assert_eq!((table.family(), table.name(), chain.name(), chain.policy()), (Family::Inet, "t", "c", Some("drop")));
    let rule = &chain.rules()[0];
    assert_eq!((rule.text(), rule.hits().map(|hits| hits.packets)), ("iif \"lo\" counter accept comment \"own\"", Some(0)));
    let json = serde_json::to_value(&ruleset).unwrap();
    let listed = &json["tables"][0]["chains"][0];
    assert_eq!((&listed["type"], &listed["hook"], &json["tables"][0]["family"]), (&"filter".into(), &"input".into(), &"inet".into()));
    assert_eq!(listed["rules"][0]["text"], rule.text());
    assert_eq!(listed["rules"][0]["handle"], rule.handle());
    load(&netns, "flush ruleset").unwrap();
    assert_eq!(netns.ruleset()?.to_string(), "");
    Ok(())
}

#[test]
fn a_line_that_differs_is_found() {
    assert_eq!(differences("a\nb\nc\n", "a\nc\nd\n"), ["nft:  b", "ours: d"]);
    assert!(differences("a\nb\n", "a\nb\n").is_empty());
}
