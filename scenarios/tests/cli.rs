//! What the program prints, and its exit codes.

use std::process::{Command, Output};

use serde_json::Value;

/// The verdicts of the tutorials' stages, as they were measured.
const VERDICTS: &[(&str, &str)] = &[
    ("000", "01T 02T 03T 04T 05T 06T 07T 08T 09T 10T 11T 12T 13T 14P 15T 16T 17T 18T 19T"),
    ("000", "20T 21P 22T 23P 24T 25T 26F 27P 28T 29T 30P 31T 32T 33T 34T 35F"),
    ("001", "01T 02T 03T 04T 05T 06T 07T 08T 09F 10T 11T 12T 13T 14T 15T 16T 17T 20T 21T 22T 23T 24T 25T 26T 27T 28T 30T"),
    ("002", "01T 02T 03T 04T 05F 06T 07F 08T 09T 10T 11T 12T 13T 14T 15T 16F 17P 18T 19T 20T 21T"),
    ("003", "01T 02T 03T 04P 05T 06T 07P 08T 09F 10T 11T 12F 13U 14T"),
    ("004", "01P 02P 03T 04P 05T 06T 07P 08T 09T 10T 11F 12U"),
    ("systems", "docker-bridgeT docker-iccT docker-dnsT user-networkT docker-proxyT"),
    ("systems", "vxlan-overlayT ipipT greT wireguardT flannel-vxlanT flannel-udpT host-gwT equal-subnetsT calicoT bgpT"),
    ("systems", "nodeportT clusteripT session-affinityT hairpinT clusterip-nftT ipvsT network-policyT network-policy-setsT anti-spoofingT"),
    ("systems", "podT debuggingT ping-capabilitiesT"),
    ("systems", "macvlanT macvtapT ipvlanT vlanT"),
];

/// Ids and verdicts, such as `000.14` and `P`.
fn verdicts() -> Vec<(String, String)> {
    let stages = |(document, stages): &(&str, &str)| {
        let (id, verdict) = (|stage: &str| stage[..stage.len() - 1].to_owned(), |stage: &str| stage[stage.len() - 1..].to_owned());
        let stages = stages.split(' ').map(|stage| (format!("{document}.{}", id(stage)), verdict(stage)));
        stages.collect::<Vec<_>>()
    };
    VERDICTS.iter().flat_map(stages).collect()
}

fn id_and_verdict(object: &Value) -> (String, String) {
    (text(object, "id").to_owned(), text(object, "verdict").to_owned())
}

fn scenarios(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scenarios"));
    command.args(arguments).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env("COLUMNS", "80");
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn objects(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap()
}

#[test]
fn json_has_a_line_for_each_stage_with_the_verdict_that_was_measured() {
    let output = scenarios(&["run", "--all", "--json"]);
    let objects = objects(&output);
    assert_eq!(objects.iter().map(id_and_verdict).collect::<Vec<_>>(), verdicts());
    for object in &objects {
        let (_, stage) = scenarios::find_stage(text(object, "id")).unwrap();
        let beyond = !stage.kernel.is_empty() && object["outcome"] == "this kernel cannot";
        if beyond || object["outcome"] == "not played here" {
            assert!(text(object, "why").contains("help: "), "{object:#}");
            continue;
        }
        assert_eq!(object["outcome"], "as recorded", "{object:#}");
        assert!(!text(object, "title").is_empty());
        let observed = object["observed"].as_array().unwrap();
        assert!(!observed.is_empty() && observed.iter().all(|check| check["holds"] == true), "{object:#}");
    }
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn without_arguments_it_lists_what_there_is_and_plays_all_of_it() {
    let output = scenarios(&[]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", stderr(&output));
    assert!(text.starts_with("000  Two HTTP servers"), "{text}");
    assert!(text.contains("  000.14  ◐ four pings\n"), "{text}");
    let beyond = |id: &str| id.split_once('.').is_some_and(|(_, name)| text.contains(&format!("{name}○")));
    let count = |letter| verdicts().iter().filter(|(id, verdict)| verdict == letter && !beyond(id)).count();
    for (mark, letter) in [("✓ true", "T"), ("◐ true with a precondition", "P"), ("✗ false as written", "F"), ("+ unstated", "U")] {
        assert!(text.contains(&format!("{:>5}  {mark}\n", count(letter))), "{text}");
    }
    let (all, here) = (verdicts().len(), verdicts().iter().filter(|(id, _)| !beyond(id)).count());
    assert!(text.contains(&format!("{here} of {all} as recorded")), "{text}");
}

#[test]
fn a_stage_is_told_with_text_commands_and_what_was_seen() {
    let output = scenarios(&["run", "000.17"]);
    let text = stdout(&output);
    for line in [
        "000.17  the host's other address fails",
        "claim    From the namespace, `curl 192.168.0.100:8080`",
        "do       $ ip netns exec netns_dustin curl 192.168.0.100:8080",
        "✓ netns_dustin: `curl 192.168.0.100:8080` fails at once",
        "ENETUNREACH",
        "1 of 1 as recorded",
    ] {
        assert!(text.contains(line), "{line:?} is missing in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\x1b'), "{text:?}");
    assert_eq!(stderr(&output), "");
}

#[test]
fn on_a_wide_page_what_was_seen_stands_beside_the_sentence() {
    let output = command(&["run", "000.17"]).env("COLUMNS", "160").output().unwrap();
    let text = stdout(&output);
    let beside = "✓ netns_dustin: `curl 192.168.0.100:8080` fails at once  ENETUNREACH: Network is unreachable";
    assert!(text.contains(beside), "{text}");
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert_eq!(widest, Some(120), "{text}");
}

#[test]
fn a_machine_that_refuses_namespaces_is_told_with_its_cure() {
    for (json, started) in [(false, "000  Two HTTP servers"), (true, "{\"id\":\"000.01\"")] {
        let program = env!("CARGO_BIN_EXE_scenarios");
        let json = if json { "--json" } else { "" };
        let script = format!("echo 0 > /proc/sys/user/max_user_namespaces && exec {program} run 000.01 {json}");
        let output = Command::new("unshare").args(["-Ur", "sh", "-c", &script]).output().unwrap();
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(3), "{text}\n{}", stderr(&output));
        assert!(text.starts_with(started) && text.contains("max_user_namespaces"), "{text}");
    }
}

#[test]
fn colours_can_be_had_in_a_file_and_nowhere_if_unwanted() {
    assert!(stdout(&scenarios(&["list", "--color", "always"])).contains("\x1b["));
    assert!(!stdout(&scenarios(&["list", "--color", "never"])).contains('\x1b'));
    assert!(!stdout(&scenarios(&["list"])).contains('\x1b'));
    let unwanted = command(&["list"]).env("NO_COLOR", "1").output().unwrap();
    assert!(!stdout(&unwanted).contains('\x1b'));
}

#[test]
fn showing_a_stage_explains_it_without_playing_it() {
    let output = scenarios(&["show", "000.14"]);
    let text = stdout(&output);
    assert!(text.contains("◐ true with a precondition") && text.contains("lo UP, for a machine to ping its own address"), "{text}");
    assert!(!text.contains("gets a reply"), "{text}");
    let cable = stdout(&scenarios(&["show", "000.09"]));
    assert!(cable.contains("$ ip link add veth_dustin type veth") && cable.contains("fixtures let host = w.host();"), "{cable}");
    assert!(cable.contains("VethPair::connect(") && !cable.contains("check:"), "{cable}");
    let object = &objects(&scenarios(&["show", "000.14", "--json"]))[0];
    assert_eq!((text_of(object, "verdict"), object["outcome"].is_null()), ("P".to_owned(), true));
}

fn text_of(object: &Value, key: &str) -> String {
    text(object, key).to_owned()
}

#[test]
fn the_list_in_json_has_ids_titles_and_verdicts() {
    let objects = objects(&scenarios(&["list", "--json"]));
    assert_eq!(objects.iter().map(id_and_verdict).collect::<Vec<_>>(), verdicts());
}

#[test]
fn an_unknown_id_is_wrong_usage_and_names_those_near_to_it() {
    let output = scenarios(&["run", "000.41"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.starts_with("error: there is no tutorial or stage `000.41`\n  near to it: 000.01, 000.11, 000.14\n"), "{text}");
    assert_eq!(stdout(&output), "");
}

#[test]
fn nonsense_is_wrong_usage() {
    for arguments in [&["walk"][..], &["run"], &["show"], &["run", "--all", "000"], &["--color", "pink"]] {
        let output = scenarios(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).starts_with("error: "), "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(scenarios(&["--help"]).status.code(), Some(0));
}

#[test]
fn a_proof_says_what_was_taken_away_and_what_the_checks_noticed() {
    let output = scenarios(&["prove", "000.07", "000.19"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("000.07  lo up  ✓ noticed\nbut      without its own change: ip netns exec netns_dustin ip link set lo up\n"),
        "{text}"
    );
    assert!(text.contains("but      after sysctl -w net.ipv4.ip_forward=1\n"), "{text}");
}
