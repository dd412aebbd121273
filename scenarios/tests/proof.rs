//! The checks of every stage can fail: without its cause, they do.

use std::process::Command;

use serde_json::Value;

#[test]
fn every_stage_fails_without_its_change() {
    let output = Command::new(env!("CARGO_BIN_EXE_scenarios")).args(["prove", "--all", "--json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let missed: Vec<_> = lines.iter().filter(|line| line["outcome"] != "noticed" && line["outcome"] != "this kernel cannot").collect();
    assert!(missed.is_empty() && output.status.success(), "{missed:#?}\n{}", String::from_utf8_lossy(&output.stderr));
    let proven: Vec<_> = lines.iter().filter_map(|line| line["id"].as_str()).collect();
    let stages: Vec<_> = scenarios::DOCUMENTS.iter().flat_map(|document| document.stages().map(|stage| stage.id)).collect();
    assert_eq!(proven, stages);
}
