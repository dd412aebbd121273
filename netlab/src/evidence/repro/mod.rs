//! `repro.sh`: the same lab by the programs that everybody has, made of what the kernel lists.

mod links;
mod network;
mod probing;

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::io;

use super::sysctls::{Defaults, Set, Values};
use crate::draw::Topology;
use crate::error::Result;
use crate::netns::Netns;
use crate::probe::witness::Failed;
use crate::snapshot::{Addresses, Links, RouteQuery, Routes};

/// A namespace, and what is needed of it in more than one place.
struct Machine<'a> {
    netns: &'a Netns,
    addresses: Addresses,
    routes: Routes,
    sysctls: Vec<Set>,
    /// The other machines by the ids that this one knows them by, as places in the list of all.
    ids: BTreeMap<i32, usize>,
}

impl<'a> Machine<'a> {
    fn read(netns: &'a Netns, all: &[Netns], sysctls: Vec<Set>) -> Result<Self> {
        let mut ids = BTreeMap::new();
        for (place, other) in all.iter().enumerate() {
            ids.extend(netns.id_of(other)?.map(|id| (id, place)));
        }
        Ok(Self { netns, addresses: netns.addresses()?, routes: netns.routes_of(RouteQuery::all_tables())?, sysctls, ids })
    }

    fn links(&self) -> &Links {
        &self.addresses.links
    }

    fn name(&self) -> String {
        quoted(self.netns.name())
    }

    fn ip(&self) -> String {
        format!("ip -n {}", self.name())
    }
}

/// Lines of a script.
#[derive(Debug, Default)]
struct Script(String);

impl Script {
    fn line(&mut self, line: impl fmt::Display) {
        // A string takes everything.
        writeln!(self.0, "{line}").unwrap_or_default();
    }

    /// Something that the programs cannot do, or that is not known.
    fn missing(&mut self, what: impl fmt::Display) {
        self.line(format_args!("# MISSING: {what}"));
    }

    fn heading(&mut self, words: &str) {
        self.line(format_args!("\n# {words}"));
    }
}

const HEAD: &str = r#"
set -euo pipefail

if [ "${1:-}" != --inside ]; then
  exec unshare --user --map-root-user --net --mount --pid --fork --kill-child --mount-proc --uts --ipc bash "$0" --inside "$@"
fi
shift
mount -t tmpfs tmpfs /run
mkdir /run/netns
ip netns attach host $$
inside() { nsenter --net="/run/netns/$1" "${@:2}"; }
# What belongs to the whole machine, or what this kernel does not have, cannot be set here.
set_sysctls() { inside "$1" sysctl -qw "${@:2}" || echo "repro.sh: not all sysctls of $1 could be set" >&2; }
"#;

/// The script that builds what the machines have, and repeats the probe that failed.
pub(super) fn script(
    title: &str,
    machines: &[Netns],
    topology: Option<&Topology>,
    values: &[Values],
    failed: Option<&Failed>,
) -> io::Result<String> {
    let defaults = Defaults::of_the_kernel()?;
    let read = |(netns, values): (_, &Values)| Machine::read(netns, machines, values.to_be_set(&defaults));
    let machines: Vec<_> = machines.iter().zip(values).map(read).collect::<Result<_>>().map_err(io::Error::other)?;
    let mut script = Script(format!(
        "#!/usr/bin/env bash\n# {title}: the lab of its failure, by hand. Needs no root, but unshare and nsenter (util-linux), ip and bridge (iproute2),\n\
         # sysctl, and nft where there are rules.\n#\n\
         #   bash repro.sh             builds it and repeats the probe that failed; in a terminal it stays, with a shell\n\
         #   bash repro.sh COMMAND…    builds it and runs a command in it: bash repro.sh ip -n {} route\n",
        machines.last().map_or("host".to_owned(), Machine::name),
    ));
    script.line(HEAD);
    script.heading("The namespaces, with the ids by which they know each other.");
    for machine in machines.iter().skip(1) {
        script.line(format_args!("ip netns add {}", machine.name()));
    }
    for machine in &machines {
        for (id, other) in machine.ids.iter().filter_map(|(id, place)| Some((id, machines.get(*place)?))) {
            script.line(format_args!("{} netns set {} {id}", machine.ip(), other.name()));
        }
    }
    script.heading("What holds for all interfaces, and for those to come.");
    machines.iter().for_each(|machine| network::general_sysctls(&mut script, machine));
    links::all(&mut script, &machines);
    machines.iter().for_each(|machine| network::of(&mut script, machine));
    probing::all(&mut script, &machines, topology, failed);
    Ok(script.0)
}

/// A word as the shell takes it.
fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/@%+,=".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_that_the_shell_would_read_is_quoted() {
        for (word, as_written) in [("eth0.5", "eth0.5"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("$x", "'$x'")] {
            assert_eq!(quoted(word), as_written);
        }
    }
}
