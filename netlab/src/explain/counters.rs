//! What the kernel counts: `/proc/net/snmp`, `netstat` and `snmp6`, as `nstat` names them, and `xfrm_stat`.

use std::collections::HashMap;

use crate::netns::Netns;

/// The counters of a machine, such as `IpInAddrErrors`, `TcpExtListenOverflows`, `Ip6InNoRoutes`.
#[derive(Debug, Default, Clone)]
pub(super) struct Counters(HashMap<String, u64>);

impl Counters {
    pub(super) fn read(netns: &Netns) -> Self {
        let files = ["snmp", "netstat", "snmp6", "xfrm_stat"];
        let texts =
            netns.enter_io(|| Ok(files.map(|file| std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default())));
        let [snmp, netstat, snmp6, xfrm] = texts.unwrap_or_default();
        let mut all = HashMap::new();
        all.extend(columns(&snmp));
        all.extend(columns(&netstat));
        all.extend(lines(&snmp6));
        all.extend(lines(&xfrm));
        Self(all)
    }

    /// How much a counter has grown.
    pub(super) fn since(&self, before: &Self, name: &str) -> u64 {
        let value = |counters: &Self| counters.0.get(name).copied().unwrap_or(0);
        value(self).saturating_sub(value(before))
    }
}

/// Lines in pairs: `Ip: Forwarding DefaultTTL …` and `Ip: 1 64 …`.
fn columns(text: &str) -> Vec<(String, u64)> {
    let lines: Vec<_> = text.lines().collect();
    let pairs = lines.chunks_exact(2).filter_map(|pair| Some((pair[0].split_once(": ")?, pair[1].split_once(": ")?)));
    pairs
        .flat_map(|((group, names), (_, values))| {
            let named = names.split(' ').zip(values.split(' '));
            named.filter_map(move |(name, value)| Some((format!("{group}{name}"), value.parse().ok()?))).collect::<Vec<_>>()
        })
        .collect()
}

fn lines(text: &str) -> impl Iterator<Item = (String, u64)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_as_nstat_names_them() {
        let text = "Ip: Forwarding InAddrErrors\nIp: 1 7\nTcpExt: ListenOverflows ListenDrops\nTcpExt: 3 4\n";
        let counters = Counters(columns(text).into_iter().chain(lines("Ip6InNoRoutes   \t9\n")).collect());
        let before = Counters::default();
        assert_eq!(
            ["IpInAddrErrors", "TcpExtListenDrops", "Ip6InNoRoutes", "None"].map(|name| counters.since(&before, name)),
            [7, 4, 9, 0]
        );
    }
}
