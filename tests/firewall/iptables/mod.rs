//! Each rule of the tutorials, installed by iptables-nft and by netlab: the same questions get the same answers, the far side sees the same
//! addresses, and the rules count the same packets. Without the rule, the answers are others.

mod rows;
mod world;

use std::any::Any;

use netlab::{FilterRule, NatRule, Netns, Policy, Result, RuleChain};

use self::rows::{CONTAINER, DOCKER, MAPPED_PORTS, PODS, SERVERS, SERVICE};
use self::world::{Ask, Scene, World};

/// Lines of one host, of which those that begin with `?` are what is tried.
#[derive(Debug)]
struct Row {
    scene: Scene,
    lines: &'static [&'static str],
    asks: &'static [Ask],
}

/// Who installs the lines.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Installer {
    Iptables,
    Netlab,
}

fn install(host: &Netns, line: &str, installer: Installer) -> Result<Option<Box<dyn Any>>> {
    if installer == Installer::Iptables {
        let output = host.command("iptables-nft")?.args(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        return Ok(None);
    }
    Ok(Some(match line {
        _ if line.contains("-N ") => Box::new(RuleChain::iptables(host, line)?),
        _ if line.contains("-P ") => Box::new(Policy::iptables(host, line)?),
        _ if line.starts_with("-t nat ") => Box::new(NatRule::iptables(host, line)?),
        _ => Box::new(FilterRule::iptables(host, line)?),
    }))
}

/// Holds one row; gives the number of its answers.
fn hold(row: &Row) -> Result<usize> {
    let play = |installer: Installer, tried: bool| {
        let world = World::new(&row.scene)?;
        let mut held = Vec::new();
        for line in row.lines {
            match line.strip_prefix("? ") {
                Some(line) if tried => held.extend(install(&world.host, line, installer)?),
                Some(_) => {}
                None => held.extend(install(&world.host, line, installer)?),
            }
        }
        let expected = |ask: &'static Ask| if tried { ask.with } else { ask.without };
        let answers = row.asks.iter().map(|ask| world.ask(ask, expected(ask))).collect::<Result<Vec<_>>>()?;
        let meant: Vec<_> = row.asks.iter().map(expected).collect();
        assert_eq!(answers, meant, "{installer:?}, with the rule: {tried}\n{row:#?}\n{}", world.host.ruleset()?);
        Ok((answers, world.counted()?))
    };
    let (without, _) = play(Installer::Iptables, false)?;
    let (mut by_iptables, mut by_netlab) = (play(Installer::Iptables, true)?, play(Installer::Netlab, true)?);
    assert_ne!(by_iptables.0, without, "the rule changes nothing: {row:#?}");
    if row.lines.iter().any(|line| line.contains("--mode random")) {
        // Who gets a connection is chance; that each goes through every chain is not.
        for (_, counted) in [&mut by_iptables, &mut by_netlab] {
            let all = counted.values().flatten().sum();
            *counted = [("all".to_owned(), vec![all])].into();
        }
    }
    assert_eq!(by_netlab, by_iptables, "{row:#?}");
    Ok(row.asks.len())
}

fn hold_all(rows: &[Row]) -> Result<()> {
    let answers = rows.iter().map(hold).sum::<Result<usize>>()?;
    println!("{} rules, {answers} answers", rows.len());
    Ok(())
}

#[netlab::test(timeout = "240s")]
fn rules_of_two_servers_do_what_those_of_iptables_do() -> Result<()> {
    hold_all(SERVERS)
}

#[netlab::test(timeout = "240s")]
fn rules_of_a_container_from_scratch_do_what_those_of_iptables_do() -> Result<()> {
    hold_all(CONTAINER)
}

#[netlab::test(timeout = "240s")]
fn rules_of_docker_and_beside_it_do_what_those_of_iptables_do() -> Result<()> {
    hold_all(DOCKER)
}

#[netlab::test(timeout = "240s")]
fn rules_of_mapped_ports_do_what_those_of_iptables_do() -> Result<()> {
    hold_all(MAPPED_PORTS)
}

#[netlab::test(timeout = "240s")]
fn rules_of_a_service_do_what_those_of_iptables_do() -> Result<()> {
    hold_all(SERVICE)
}

#[netlab::test(timeout = "240s")]
fn rules_of_pods_do_what_those_of_iptables_do() -> Result<()> {
    hold_all(PODS)
}
