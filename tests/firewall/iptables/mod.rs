//! Each rule of the tutorials, installed by iptables-nft and by netlab: the same questions get the same answers, the far side sees the same
//! addresses, and the rules count the same packets. Without the rule, the answers are others.

mod lines;
mod restore;
mod rows;
mod scenes;
mod world;

use std::any::Any;

use netlab::{FilterRule, NatRule, Netns, Policy, Result, RuleChain};

use self::rows::Row;
use self::world::{Ask, World};

/// Who installs the lines.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Installer {
    Iptables,
    Netlab,
}

fn install(host: &Netns, line: &str, installer: Installer) -> Result<Option<Box<dyn Any>>> {
    if installer == Installer::Iptables {
        let output = host.command("sh")?.args(["-c", &format!("iptables-nft {line}")]).output().unwrap();
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
        let world = World::new(&row.scene.expect("a host of that name"))?;
        let lines = row.lines.iter().filter(|(_, what_is_tried)| tried || !what_is_tried);
        let installed = lines.map(|(line, _)| install(&world.host, line, installer)).collect::<Result<Vec<_>>>()?;
        let expected = |ask: &Ask| if tried { ask.with } else { ask.without };
        let answers = row.asks.iter().map(|ask| world.ask(ask, expected(ask))).collect::<Result<Vec<_>>>()?;
        let meant: Vec<_> = row.asks.iter().map(expected).collect();
        assert_eq!(answers, meant, "{installer:?}, with the rule: {tried}\n{row:#?}\n{}", world.host.ruleset()?);
        let counted = world.counted()?;
        drop(installed);
        Ok((answers, counted))
    };
    let (without, _) = play(Installer::Iptables, false)?;
    let (mut by_iptables, mut by_netlab) = (play(Installer::Iptables, true)?, play(Installer::Netlab, true)?);
    assert_ne!(by_iptables.0, without, "the rule changes nothing: {row:#?}");
    if row.lines.iter().any(|(line, _)| line.contains("--mode random")) {
        // Who gets a connection is chance; that each goes through every chain is not.
        for (_, counted) in [&mut by_iptables, &mut by_netlab] {
            let all = counted.values().flatten().sum();
            *counted = [("all".to_owned(), vec![all])].into();
        }
    }
    assert_eq!(by_netlab, by_iptables, "{row:#?}");
    Ok(row.asks.len())
}

fn hold_all(text: &'static str) -> Result<()> {
    let rows = rows::rows(text);
    assert!(!rows.is_empty());
    let answers = rows.iter().map(hold).sum::<Result<usize>>()?;
    println!("{} rules, {answers} answers", rows.len());
    Ok(())
}

#[test]
fn every_rule_of_the_tutorials_is_tried() {
    let all = concat!(
        include_str!("rows/servers.rows"),
        include_str!("rows/container.rows"),
        include_str!("rows/docker.rows"),
        include_str!("rows/ports.rows"),
        include_str!("rows/service.rows"),
        include_str!("rows/pods.rows"),
    );
    let lines = include_str!("../corpus/tutorials.rules").lines().filter(|line| line.starts_with('-') && !line.contains("-N "));
    let missing: Vec<_> = lines.filter(|line| !all.lines().any(|tried| tried.strip_prefix("? iptables ") == Some(line))).collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[netlab::test(timeout = "240s")]
fn rules_of_two_servers_do_what_those_of_iptables_do() -> Result<()> {
    hold_all(include_str!("rows/servers.rows"))
}

#[netlab::test(timeout = "240s")]
fn rules_of_a_container_from_scratch_do_what_those_of_iptables_do() -> Result<()> {
    hold_all(include_str!("rows/container.rows"))
}

#[netlab::test(timeout = "240s")]
fn rules_of_docker_and_beside_it_do_what_those_of_iptables_do() -> Result<()> {
    hold_all(include_str!("rows/docker.rows"))
}

#[netlab::test(timeout = "240s")]
fn rules_of_mapped_ports_do_what_those_of_iptables_do() -> Result<()> {
    hold_all(include_str!("rows/ports.rows"))
}

#[netlab::test(timeout = "240s")]
fn rules_of_a_service_do_what_those_of_iptables_do() -> Result<()> {
    hold_all(include_str!("rows/service.rows"))
}

#[netlab::test(timeout = "240s")]
fn rules_of_docker_kube_proxy_and_calico_do_what_those_of_iptables_do() -> Result<()> {
    hold_all(include_str!("rows/systems.rows"))
}

#[netlab::test(timeout = "240s")]
fn rules_of_pods_do_what_those_of_iptables_do() -> Result<()> {
    hold_all(include_str!("rows/pods.rows"))
}
