//! The lines of the corpus, held against what iptables-nft lists and what iptables-translate and nft say.

use std::collections::{BTreeMap, BTreeSet};

use super::super::command::Command;
use super::super::print::print;
use super::super::words::split;
use super::{corpus, plan, understood};
use crate::Netns;
use crate::error::Result;
use crate::firewall::plan::{Match, Plan, Target};
use crate::nft::Family;
use crate::nft::tests::oracle as nft;

/// The program of a family, and the words of a line without a program before them.
fn command(line: &str, family: Family) -> (&'static str, Vec<String>) {
    let words = split(line).unwrap().into_iter().map(|word| word.text);
    let program = if family == Family::Ip6 { "ip6tables" } else { "iptables" };
    (program, words.skip_while(|word| !word.starts_with(['-', '!'])).collect())
}

/// Rules that name no set: the test machine has no ipset.
fn plans() -> Vec<(&'static str, Plan)> {
    let plans = corpus().filter_map(|(_, line)| Some((line, plan(understood(line))?)));
    plans.filter(|(_, plan)| !plan.tests.iter().any(|test| matches!(test.of, Match::InSet { .. }))).collect()
}

fn is_own_chain(name: &str) -> bool {
    !["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"].contains(&name)
}

/// The chain of a rule, and the one that it leads to.
fn chains(plan: &Plan) -> Vec<&str> {
    let to = match &plan.target {
        Some(Target::Jump(to) | Target::Goto(to)) => Some(to.as_str()),
        _ => None,
    };
    [Some(plan.chain.as_str()), to].into_iter().flatten().filter(|name| is_own_chain(name)).collect()
}

/// What iptables writes otherwise for the same rule, and how netlab does.
const SPELLINGS: &[(&str, &str)] = &[
    // Older words.
    ("-m state --state ", "-m conntrack --ctstate "),
    ("-j NOTRACK", "-j CT --notrack"),
    // What is remembered longer than it is asked for is of no use to anybody.
    ("--update --seconds 60 --name", "--update --seconds 60 --reap --name"),
    // Nowhere and nothing.
    (" --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0", ""),
    // Modules that were loaded and asked nothing.
    (" -m tcp -j", " -j"),
    (" -m udp -j", " -j"),
    (" -m sctp -j", " -j"),
    (" -m icmp --icmp-type any", ""),
    // Lists of one port.
    ("-m multiport --dports 22 ", "-m tcp --dport 22 "),
    ("-m multiport --dports 68 ", "-m udp --dport 68 "),
    ("-m multiport --dports 53 ", "-m udp --dport 53 "),
    ("-m multiport --dports 4789 ", "-m udp --dport 4789 "),
    ("-m multiport --dports 30000:32767 ", "-m tcp --dport 30000:32767 "),
    ("-m multiport --sports 1234 -m multiport --dports 8080 ", "-m tcp --sport 1234 --dport 8080 "),
];

fn as_netlab_spells(line: &str) -> String {
    SPELLINGS.iter().fold(line.to_owned(), |line, (theirs, ours)| line.replace(theirs, ours))
}

#[netlab::test(timeout = "120s")]
fn a_printed_line_is_the_one_that_iptables_lists() -> Result<()> {
    let netns = Netns::new("iptables")?;
    let mut made = BTreeSet::new();
    let mut expected: BTreeMap<(Family, String), Vec<String>> = BTreeMap::new();
    let mut refused = Vec::new();
    for (line, plan) in &plans() {
        for name in chains(plan) {
            if made.insert((plan.family, plan.table.clone(), name.to_owned())) {
                let (program, _) = command("", plan.family);
                nft::output(&netns, &format!("{program}-nft"), &["-t", &plan.table, "-N", name]);
            }
        }
        let (program, words) = command(line, plan.family);
        let done = netns.command(format!("{program}-nft"))?.args(words).output().unwrap();
        if !done.status.success() {
            refused.push(format!("{line}: {}", String::from_utf8_lossy(&done.stderr)));
            continue;
        }
        let printed = print(plan).unwrap();
        let printed = printed.split_once("-A ").map_or(printed.clone(), |(_, rest)| format!("-A {rest}"));
        let lines = expected.entry((plan.family, plan.table.clone())).or_default();
        let first = |lines: &Vec<String>| lines.iter().position(|other| other.starts_with(&format!("-A {} ", plan.chain)));
        match (understood(line), first(lines)) {
            (Command::Insert(..), Some(place)) => lines.insert(place, printed),
            _ => lines.push(printed),
        }
    }
    assert!(refused.is_empty(), "not taken:\n{}", refused.join("\n"));
    let mut compared = 0;
    for ((family, table), lines) in expected {
        let (program, _) = command("", family);
        let listed = nft::output(&netns, &format!("{program}-nft"), &["-t", &table, "-S"]);
        let mut listed: Vec<_> = listed.lines().filter(|line| line.starts_with("-A")).map(as_netlab_spells).collect();
        let chain = |line: &String| line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut lines = lines;
        // Only the order within a chain is iptables' own.
        lines.sort_by_key(chain);
        listed.sort_by_key(chain);
        compared += listed.len();
        let differences = nft::differences(&listed.join("\n"), &lines.join("\n"));
        assert!(differences.is_empty(), "{table}\n{}", differences.join("\n"));
    }
    println!("{compared} lines compared");
    Ok(())
}

/// What `iptables-translate` makes of lines for which its text does not mean the same, and why.
const NOT_TRANSLATED: &[(&str, &str)] = &[
    ("-m recent", "it has no words for what is seen"),
    ("-m statistic --mode random", "it takes 31 bits of a random number, netlab a share of it"),
    ("-m tcp -j DNAT", "it loses the protocol of a module that is asked nothing"),
    ("-m udp -j DNAT", "the same"),
    ("-m tcp -p tcp -j DNAT", "the same"),
    ("say \\\"hi", "it does not spare the quotes in a comment"),
    ("[fd00::2-fd00::5]", "it brackets two addresses at once"),
    ("! --ctstate RELATED,ESTABLISHED,DNAT", "it forgets the states and the `!`"),
    ("! --ctstate DNAT", "it forgets the `!`"),
    ("--ctorigdst 198.51.100.0/24", "it takes the net for an address, and a wrong one"),
];

/// What iptables-translate writes otherwise, and how netlab does.
const WORDS: &[(&str, &str)] = &[
    ("ip protocol ", "meta l4proto "),
    // No interface has the number 0, and the newer word says so.
    (" oif 0 ", " oif missing "),
    (" oif != 0 ", " oif != missing "),
];

/// The rule without its first comment, of which iptables-translate keeps the last.
fn with_one_comment(rule: &str) -> String {
    match rule.split_once(" comment \"").map(|(rule, comment)| (rule, comment.split_once("; "))) {
        Some((rule, Some((first, last)))) if first.starts_with("cali:") => format!("{rule} comment \"{last}"),
        _ => rule.to_owned(),
    }
}

#[netlab::test(timeout = "120s")]
fn an_nft_line_is_the_one_that_iptables_translate_gives() -> Result<()> {
    let netns = Netns::new("translate")?;
    let (mut script, mut pairs, mut untranslated) = (BTreeMap::<Family, String>::new(), Vec::new(), Vec::new());
    for (line, plan) in &plans() {
        let (program, words) = command(line, plan.family);
        let text = nft::output(&netns, &format!("{program}-translate"), &words.iter().map(String::as_str).collect::<Vec<_>>());
        let translated = text.trim().trim_start_matches("nft ").trim_matches('\'').replace("'\\''", "'");
        let (_, theirs) = rule_of(&translated);
        let ours = plan.as_nft();
        if NOT_TRANSLATED.iter().any(|(words, _)| line.contains(words)) || translated.starts_with('#') {
            untranslated.push(*line);
            continue;
        }
        let name = format!("c{}", pairs.len());
        let script = script.entry(plan.family).or_default();
        for chain in chains(plan) {
            script.insert_str(0, &format!("add chain {} t {chain}\n", plan.family));
        }
        let place = format!("{} t {name}", plan.family);
        script.push_str(&format!("add chain {place}\nadd rule {place} {theirs}\nadd rule {place} {}\n", rule_of(&ours).1));
        pairs.push((*line, ours));
    }
    for (family, rules) in &script {
        let (family, text) = (*family, format!("add table {family} t\n{rules}"));
        nft::load(&netns, &text).unwrap_or_else(|why| panic!("{family}: {why}"));
    }
    println!("{} lines compared, {} not translated", pairs.len(), untranslated.len());
    let listed = nft::output(&netns, "nft", &["-s", "list", "ruleset"]);
    let mut wrong = Vec::new();
    for (place, (line, ours)) in pairs.iter().enumerate() {
        let block = listed.split(&format!("chain c{place} {{\n")).nth(1).and_then(|rest| rest.split("\n\t}").next()).unwrap_or_default();
        let rules: Vec<_> = block.lines().map(str::trim).collect();
        let in_our_words = |rule: &str| WORDS.iter().fold(rule.to_owned(), |rule, (theirs, ours)| rule.replace(theirs, ours));
        let the_same =
            matches!(rules.as_slice(), [theirs, listed] if in_our_words(theirs) == with_one_comment(listed) && *listed == rule_of(ours).1);
        if !the_same {
            wrong.push(format!("{line}\n  {ours}\n  {}", rules.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// A command of nft without the place of its rule, and the place.
fn rule_of(text: &str) -> (String, String) {
    let words: Vec<_> = text.splitn(6, ' ').collect();
    (words.iter().take(5).copied().collect::<Vec<_>>().join(" "), words.get(5).copied().unwrap_or_default().to_owned())
}
