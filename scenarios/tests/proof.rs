//! The checks of every stage can fail: without its cause, they do.

use std::process::Command;

use serde_json::Value;

#[test]
fn every_stage_fails_without_its_change() {
    let output = Command::new(env!("CARGO_BIN_EXE_scenarios")).args(["prove", "--all", "--json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fine = ["noticed", "this kernel cannot", "not played here"];
    let missed: Vec<_> = lines.iter().filter(|line| !fine.contains(&line["outcome"].as_str().unwrap_or_default())).collect();
    assert!(missed.is_empty() && output.status.success(), "{missed:#?}\n{}", String::from_utf8_lossy(&output.stderr));
    let proven: Vec<_> = lines.iter().filter_map(|line| line["id"].as_str()).collect();
    let stages: Vec<_> = scenarios::DOCUMENTS.iter().flat_map(|document| document.stages().map(|stage| stage.id)).collect();
    assert_eq!(proven, stages);
}

/// What came of each of some stages, for which not every kernel has what they need.
fn outcomes(verb: &str) -> Vec<String> {
    let arguments = [verb, "systems.ipip", "systems.ipvlan", "systems.vlan", "systems.vxlan-overlay", "--json"];
    let output = Command::new(env!("CARGO_BIN_EXE_scenarios")).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["outcome"].to_string()).collect()
}

#[test]
fn what_this_kernel_cannot_play_it_cannot_prove() {
    let cannot = |outcome: &String| outcome == "\"this kernel cannot\"";
    let (played, proven) = (outcomes("run"), outcomes("prove"));
    assert_eq!(played.iter().map(cannot).collect::<Vec<_>>(), proven.iter().map(cannot).collect::<Vec<_>>(), "{played:?}\n{proven:?}");
    assert_eq!(played.len(), 4);
}
