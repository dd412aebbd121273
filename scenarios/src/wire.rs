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
        let seen: Vec<_> = packets.normalised().lines().map(brief).collect();
        let seen = if seen.is_empty() { "nothing".to_owned() } else { seen.join("\n") };
        let expected = if expected.is_empty() { "nothing".to_owned() } else { expected.join("\n") };
        self.equals(check, seen, expected)
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
        story.packets("nothing", &seen.filter(capture::udp())?, &[])
    }
}
