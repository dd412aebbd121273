//! Lines of programs, held against iptables itself.

mod errors;
mod fuzz;
mod oracle;

use super::command::{Command, parse};
use super::print::print;
use crate::firewall::plan::Plan;

const CORPUS: &[(&str, &str)] = &[
    ("tutorials", include_str!("../../../../../tests/firewall/corpus/tutorials.rules")),
    ("docker", include_str!("../../../../../tests/firewall/corpus/docker.rules")),
    ("kube-proxy", include_str!("../../../../../tests/firewall/corpus/kube_proxy.rules")),
    ("calico", include_str!("../../../../../tests/firewall/corpus/calico.rules")),
    ("others", include_str!("../../../../../tests/firewall/corpus/others.rules")),
];

/// All lines, with the source of each.
fn corpus() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = CORPUS.iter().flat_map(|(source, text)| text.lines().map(move |line| (*source, line)));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn understood(line: &str) -> Command {
    parse(line, None).unwrap_or_else(|wrong| panic!("{}\n{}", wrong.why, wrong.shown_in(line)))
}

fn plan(command: Command) -> Option<Plan> {
    match command {
        Command::Append(plan) | Command::Insert(plan, _) => Some(plan),
        _ => None,
    }
}

#[test]
fn a_printed_line_means_what_the_line_meant() {
    for (_, line) in corpus() {
        if let Some(plan) = plan(understood(line)) {
            let printed = print(&plan).unwrap();
            assert_eq!(parse(&printed, Some(plan.family)), Ok(Command::Append(plan)), "{line}\n{printed}");
        }
    }
}

#[test]
fn commands_are_understood_with_their_tables_and_places() {
    let inserted = |line: &str| match understood(line) {
        Command::Insert(plan, place) => (plan.table, plan.chain, place),
        other => panic!("{other:?}"),
    };
    assert_eq!(inserted("-I INPUT -j DROP"), ("filter".to_owned(), "INPUT".to_owned(), 1));
    assert_eq!(inserted("sudo ip6tables -w 5 -t mangle -I OUTPUT 3 -j ACCEPT"), ("mangle".to_owned(), "OUTPUT".to_owned(), 3));
    let chain = "KUBE-SVC-X".to_owned();
    let (family, table) = (crate::nft::Family::Ip, "nat".to_owned());
    assert_eq!(understood("iptables -t nat -N KUBE-SVC-X"), Command::NewChain { family, table, chain });
    let (family, table, chain) = (crate::nft::Family::Ip6, "filter".to_owned(), "FORWARD".to_owned());
    assert_eq!(understood("ip6tables -P FORWARD DROP"), Command::Policy { family, table, chain, accept: false });
}

#[test]
fn the_family_is_that_of_the_program_or_of_the_addresses() {
    let family = |line: &str| plan(understood(line)).unwrap().family;
    assert_eq!(family("-A INPUT -j DROP"), crate::nft::Family::Ip);
    assert_eq!(family("ip6tables -A INPUT -j DROP"), crate::nft::Family::Ip6);
    assert_eq!(family("-6 -A INPUT -j DROP -s fd00::1"), crate::nft::Family::Ip6);
    assert_eq!(family("-t nat -A PREROUTING -p tcp -j DNAT --to-destination [fd00::1]:80"), crate::nft::Family::Ip6);
}
