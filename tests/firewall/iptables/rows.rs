//! The rules that are tried: texts of blocks, of which each is a host, lines of iptables, and questions.
//!
//! ```text
//! [cables]
//! iptables -P FORWARD DROP
//! ? iptables -A FORWARD -i veth_dustin -o enp4s0 -j ACCEPT
//! a asks udp 203.0.113.9:7000: silence => outside saw 10.0.0.11
//! b asks udp 203.0.113.9:7000: silence
//! ```
//!
//! The line with the `?` is what is tried: without it the first answer is given, with it the second, or the same if there is one.

use super::scenes::SCENES;
use super::world::{Ask, Scene};

/// One block.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) scene: Option<Scene>,
    /// Without `iptables`; true for what is tried.
    pub(super) lines: Vec<(&'static str, bool)>,
    pub(super) asks: Vec<Ask>,
}

pub(super) fn rows(text: &'static str) -> Vec<Row> {
    let blocks = text.split("\n\n").map(str::trim).filter(|block| block.starts_with('['));
    blocks.map(row).collect()
}

fn row(block: &'static str) -> Row {
    let mut row = Row::default();
    for line in block.lines() {
        if let Some(name) = line.strip_prefix('[') {
            row.scene = SCENES.iter().find(|(known, _)| *known == name.trim_end_matches(']')).map(|(_, scene)| *scene);
        } else if let Some(line) = line.strip_prefix("? iptables ") {
            row.lines.push((line, true));
        } else if let Some(line) = line.strip_prefix("iptables ") {
            row.lines.push((line, false));
        } else {
            row.asks.push(ask(line).unwrap_or_else(|| panic!("nobody understands `{line}`")));
        }
    }
    row
}

fn ask(line: &'static str) -> Option<Ask> {
    let (who, rest) = line.split_once(" asks ")?;
    let (what, answers) = rest.split_once(": ")?;
    let (without, with) = answers.split_once(" => ").unwrap_or((answers, answers));
    Some(Ask { who, what, without, with })
}
