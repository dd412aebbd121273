//! Every rule that nft installs is lifted to statements, lowered, and installed by us in another namespace: nft lists both alike.

use std::collections::BTreeMap;

use crate::Netns;
use crate::error::Result;
use crate::nft::family::TableName;
use crate::nft::lower::lower;
use crate::nft::object::{Rule, set_flags};
use crate::nft::render::{Context, Options};
use crate::nft::ruleset::Ruleset;
use crate::nft::transaction::{Position, Transaction};

use super::{commit, corpus, oracle};

#[netlab::test]
fn what_nft_installs_we_install_again_and_nft_lists_the_same() -> Result<()> {
    let (mut lines, mut failures) = (0, Vec::new());
    for chain in corpus::CHAINS {
        let (theirs, ours) = (Netns::new("theirs")?, Netns::new("ours")?);
        oracle::load(&theirs, chain.setting).unwrap();
        for rule in chain.rules.lines().map(str::trim).filter(|line| !line.is_empty()) {
            oracle::load(&theirs, &format!("add rule {} {rule}", chain.place)).unwrap();
        }
        install_again(&theirs.ruleset()?, &ours, &mut failures);
        let (expected, got) = (oracle::output(&theirs, "nft", &["list", "ruleset"]), oracle::output(&ours, "nft", &["list", "ruleset"]));
        lines += expected.lines().count();
        failures.extend(oracle::differences(&expected, &got));
    }
    println!("{lines} lines installed by us are listed by nft as its own");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

fn install_again(ruleset: &Ruleset, ours: &Netns, failures: &mut Vec<String>) {
    for table in &ruleset.tables {
        let name = TableName::new(table.family, &table.name);
        let mut objects = Transaction::default();
        objects.add_table_with(&name, table.flags, table.comment.as_deref());
        for object in &table.objects {
            objects.add_object(&name, object);
        }
        // Verdict maps name chains, and rules name both.
        for chain in &table.chains {
            objects.add_chain(&name, chain);
        }
        for set in table.sets.iter().filter(|set| !set.is(set_flags::ANONYMOUS)) {
            objects.add_set(&name, set);
        }
        failures.extend(commit(ours, objects).err().map(|e| e.to_string()));
        let context = Context { family: table.family, sets: &table.sets, interfaces: &BTreeMap::new(), options: Options::default() };
        for chain in &table.chains {
            for rule in &chain.rules {
                let again = lower(table.family, &context.statements(rule), &table.sets);
                let rule = match again {
                    Ok(again) => Rule { comment: rule.comment.clone(), ..again },
                    Err(e) => {
                        failures.push(format!("{}: {e}", rule.text()));
                        continue;
                    }
                };
                let mut transaction = Transaction::default();
                transaction.add_rule(&name, &chain.name, &rule, Position::Last, &table.sets);
                failures.extend(commit(ours, transaction).err().map(|e| e.to_string()));
            }
        }
    }
}
