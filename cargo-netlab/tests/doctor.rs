//! `cargo netlab doctor`: its verdict holds, and what is red says why.

mod common;

use common::{Result, User, exec, netlab, program, run};
use serde_json::Value;

#[test]
fn it_says_that_isolated_tests_run_where_they_do() -> Result<()> {
    for user in User::all() {
        let output = run(netlab(user)?.args(["netlab", "doctor"]))?;
        assert_eq!(output.status.code(), Some(0), "{user:?}: {}", output.text);
        assert!(output.text.contains("\nIsolated tests run here."), "{}", output.text);
        assert!(output.text.contains("  ok user, net, mnt, pid, uts, ipc\n"), "{}", output.text);
        assert_eq!(run(exec(user)?.args(["--", "true"]))?.status.code(), Some(0));
    }
    Ok(())
}

/// Makes a machine refuse, as an administrator would, and runs the doctor in it.
fn in_machine_with(setup: &str, arguments: &str) -> Result<common::Ended> {
    let script = format!("{setup}; exec {} doctor {arguments}", program(User::Myself)?.display());
    run(exec(User::Myself)?.args(["--", "sh", "-c", &script]).env_remove("GITHUB_ACTIONS"))
}

#[test]
fn it_says_that_they_do_not_where_a_limit_forbids_it_and_names_the_limit() -> Result<()> {
    let free = in_machine_with(":", "")?;
    assert_eq!(free.status.code(), Some(0), "{}", free.text);
    for kind in ["user", "net", "ipc"] {
        let output = in_machine_with(&format!("echo 0 > /proc/sys/user/max_{kind}_namespaces"), "")?;
        assert_eq!(output.status.code(), Some(1), "{}", output.text);
        assert!(output.text.contains(&format!("cause: /proc/sys/user/max_{kind}_namespaces is 0")), "{}", output.text);
        let end = format!("\nIsolated tests do not run here. What helps:\n  sudo sysctl -w user.max_{kind}_namespaces=15000\n");
        assert!(output.text.ends_with(&end), "{}", output.text);
    }
    Ok(())
}

#[test]
fn of_the_kinds_of_namespace_only_the_forbidden_one_is_red() -> Result<()> {
    let output = in_machine_with("echo 0 > /proc/sys/user/max_uts_namespaces", "--json")?;
    let report: Value = serde_json::from_str(&output.text)?;
    assert_eq!(report["isolated_tests"], false);
    let states = |part: &str| -> Vec<(String, String)> {
        let checks = report["checks"].as_array().into_iter().flatten().filter(|check| check["part"] == part);
        checks
            .map(|check| (check["name"].as_str().unwrap_or_default().to_owned(), check["state"].as_str().unwrap_or_default().to_owned()))
            .collect()
    };
    for (name, state) in states("namespaces") {
        assert_eq!(state, if name == "uts" { "red" } else { "green" }, "{name}");
    }
    let steps: Vec<String> = states("machine").into_iter().map(|(_, state)| state).collect();
    assert_eq!(steps, ["red", "grey", "grey", "grey", "grey", "grey"]);
    assert!(states("features").iter().all(|(_, state)| state == "grey"));
    Ok(())
}

#[test]
fn every_red_line_has_a_cause_and_a_cure() -> Result<()> {
    let output = run(netlab(User::Myself)?.args(["doctor", "--json"]))?;
    let report: Value = serde_json::from_str(&output.text)?;
    let checks = report["checks"].as_array().ok_or("no checks")?;
    for check in checks.iter().filter(|check| check["state"] == "red") {
        let finding = &check["findings"][0];
        assert!(finding["cause"].as_str().is_some_and(|text| !text.is_empty()), "{check}");
        assert!(finding["cure"].as_str().is_some_and(|text| !text.is_empty()), "{check}");
    }
    let veth = checks.iter().find(|check| check["name"] == "veth").ok_or("no veth")?;
    // What the doctor says of a feature is what `ip` meets.
    let oracle = run(exec(User::Myself)?.args(["--", "ip", "link", "add", "type", "veth"]))?.status.success();
    assert_eq!(veth["state"] == "green", oracle, "{veth}");
    Ok(())
}

#[test]
fn surroundings_are_recognised() -> Result<()> {
    let line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let with = run(netlab(User::Myself)?.arg("doctor").env("GITHUB_ACTIONS", "true"))?;
    let without = run(netlab(User::Myself)?.arg("doctor").env_remove("GITHUB_ACTIONS"))?;
    assert!(line(&with.text).contains("GitHub Actions") && !line(&without.text).contains("GitHub"), "{}", with.text);
    Ok(())
}

#[test]
fn it_reads_well_at_eighty_columns_and_has_colours_only_for_terminals() -> Result<()> {
    let piped = run(netlab(User::Myself)?.arg("doctor").env_remove("CLICOLOR_FORCE"))?;
    assert!(piped.text.lines().all(|line| line.chars().count() <= 80) && !piped.text.contains('\x1b'), "{}", piped.text);
    let forced = run(netlab(User::Myself)?.arg("doctor").env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1"))?;
    assert!(forced.text.contains("\x1b[32mok"), "{}", forced.text);
    let refused = run(netlab(User::Myself)?.arg("doctor").env("NO_COLOR", "1").env_remove("CLICOLOR_FORCE"))?;
    assert!(!refused.text.contains('\x1b'));
    Ok(())
}
