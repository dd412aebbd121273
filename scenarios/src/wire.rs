//! What a stage saw on the wires.

use netlab::capture::Packets;

use crate::error::Result;
use crate::story::Story;

impl Story {
    /// These packets, in this order, are all that was seen: each as `host/eth0 Out IP 10.0.0.1 > 10.0.0.2: ICMP echo request`. Narrow the
    /// packets by [`Packets::filter`] first.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`](crate::Error::Differs) if there were others.
    pub fn packets(&mut self, check: impl Into<String>, packets: &Packets, expected: &[&str]) -> Result<()> {
        let seen = packets.normalised().lines().map(brief).collect();
        self.lines_of_packets(check, seen, expected)
    }

    /// As [`packets`](Self::packets), without those that were seen before: repeated questions to which nobody answers.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`](crate::Error::Differs) if there were others.
    pub fn distinct_packets(&mut self, check: impl Into<String>, packets: &Packets, expected: &[&str]) -> Result<()> {
        let mut seen: Vec<String> = Vec::new();
        for line in packets.normalised().lines().map(brief) {
            if !seen.contains(&line) {
                seen.push(line);
            }
        }
        self.lines_of_packets(check, seen, expected)
    }

    fn lines_of_packets(&mut self, check: impl Into<String>, seen: Vec<String>, expected: &[&str]) -> Result<()> {
        let or_nothing = |lines: String| if lines.is_empty() { "nothing".to_owned() } else { lines };
        self.equals(check, or_nothing(seen.join("\n")), or_nothing(expected.join("\n")))
    }
}

/// A line of tcpdump as far as the reader of a stage needs it: without echo ids and lengths.
fn brief(line: &str) -> String {
    let (place, content) = line.split_once(' ').unwrap_or((line, ""));
    let (direction, content) = content.trim_start().split_once(' ').unwrap_or((content, ""));
    let end = [", id ", ", length "].iter().filter_map(|rest| content.find(rest)).min().unwrap_or(content.len());
    format!("{place} {direction:<3} {}", content[..end].trim_start())
}

#[cfg(test)]
mod tests {
    use netlab::{Capture, Netns, VethPair, capture};

    use super::*;

    #[test]
    fn a_line_keeps_what_the_reader_needs() {
        let line = "left/eth0 Out IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id ID1, seq 1, length 24";
        assert_eq!(brief(line), "left/eth0 Out IP 10.0.0.1 > 10.0.0.2: ICMP echo request");
        let line = "left/eth0 In  ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28";
        assert_eq!(brief(line), "left/eth0 In  ARP, Request who-has 10.0.0.2 tell 10.0.0.1");
    }

    #[netlab::test]
    fn a_packet_more_or_less_is_seen() -> Result<()> {
        let (left, right) = (Netns::new("left")?, Netns::new("right")?);
        let _cable = VethPair::connect(left.iface("eth0").addr("10.0.0.1/24"), right.iface("eth0").addr("10.0.0.2/24"))?;
        let tap = Capture::on(&right)?;
        left.expect_ping("10.0.0.2")?;
        let seen = tap.stop()?.filter(capture::icmp())?;
        let (asks, answers) =
            ("right/eth0 In  IP 10.0.0.1 > 10.0.0.2: ICMP echo request", "right/eth0 Out IP 10.0.0.2 > 10.0.0.1: ICMP echo reply");
        let mut story = Story::default();
        story.packets("a ping and its reply", &seen, &[asks, answers])?;
        story.packets("one less", &seen, &[asks]).unwrap_err();
        story.packets("one more", &seen, &[asks, answers, asks]).unwrap_err();
        let tap = Capture::on(&right)?;
        left.expect_ping("10.0.0.2")?;
        left.expect_ping("10.0.0.2")?;
        let twice = tap.stop()?.filter(capture::icmp())?;
        story.packets("twice", &twice, &[asks, answers]).unwrap_err();
        story.distinct_packets("twice", &twice, &[asks, answers])?;
        story.packets("nothing", &seen.filter(capture::udp())?, &[])
    }
}
