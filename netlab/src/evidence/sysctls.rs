//! The sysctls of a namespace that are not as they came.

use std::collections::BTreeMap;
use std::io;

use crate::netns::Netns;
use crate::sys::{namespace, sysctl};

/// The directories with one folder for each interface, and those of them that stand for all and for the next.
const OF_INTERFACES: [&str; 4] = ["net/ipv4/conf/", "net/ipv6/conf/", "net/ipv4/neigh/", "net/ipv6/neigh/"];
/// The same as another, in other units, or what the kernel changes by itself.
const LEFT_OUT: [&str; 5] = ["/retrans_time", "/base_reachable_time", "net/ipv6/route/flush", "net/ipv4/route/flush", "/mtu"];

/// What a sysctl is where nobody has set it.
#[derive(Debug)]
pub(super) struct Defaults(BTreeMap<String, String>);

/// A sysctl that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    /// With slashes, since names of interfaces have dots.
    pub(super) key: String,
    pub(super) value: String,
    pub(super) default: String,
}

impl Defaults {
    /// Of a namespace as netlab makes it.
    pub(super) fn of_a_lab() -> io::Result<Self> {
        Self::of(namespace::set_lab_defaults)
    }

    /// Of a namespace as `unshare` makes it.
    pub(super) fn of_the_kernel() -> io::Result<Self> {
        Self::of(|| ())
    }

    fn of(prepare: impl FnOnce() + Send) -> io::Result<Self> {
        let (_, all) = namespace::create(|| {
            prepare();
            sysctl::all("net")
        })?;
        Ok(Self(all.into_iter().collect()))
    }
}

/// The sysctls of a namespace.
#[derive(Debug)]
pub(super) struct Values {
    all: BTreeMap<String, String>,
    netns: Netns,
}

impl Values {
    pub(super) fn read(netns: &Netns) -> io::Result<Self> {
        Ok(Self { all: netns.enter_io(|| sysctl::all("net"))?.into_iter().collect(), netns: netns.clone() })
    }

    /// What is different. Of an interface: what differs from what the namespace's next one would get.
    pub(super) fn differences(&self, defaults: &Defaults) -> Vec<Set> {
        let set = |(key, value): (&String, &String)| {
            let default = defaults.0.get(key).or_else(|| self.all.get(&next_interface(key)?))?;
            let differs = default != value && !LEFT_OUT.iter().any(|word| key.ends_with(word));
            differs.then(|| Set { key: key.clone(), value: value.replace('\t', " "), default: default.replace('\t', " ") })
        };
        let mut sets: Vec<Set> = self.all.iter().filter_map(set).collect();
        // What counts something cannot be set.
        let keep_writable = || {
            sets.retain(|set| sysctl::is_writable(&set.key));
            Ok(())
        };
        self.netns.enter_io(keep_writable).unwrap_or_default();
        sets
    }

    /// What has to be set to come to it from these defaults. What a lab depends on is said in any case: the kernel's defaults of IPv4 are those
    /// of the machine that it runs on.
    pub(super) fn to_be_set(&self, defaults: &Defaults) -> Vec<Set> {
        let mut sets = self.differences(defaults);
        let depends: Vec<&str> = namespace::lab_sysctls().filter(|key| !sets.iter().any(|set| set.key == *key)).collect();
        // A kernel without the sysctl has nothing to set.
        let depends = depends.into_iter().filter_map(|key| self.all.get_key_value(key));
        sets.extend(depends.map(|(key, value)| Set { key: key.clone(), value: value.replace('\t', " "), default: String::new() }));
        // Routing first: it changes others. Then what the next interface gets.
        sets.sort_by_key(|set| (!set.key.ends_with("/ip_forward"), !set.key.contains("/all/"), !set.key.contains("/default/")));
        sets
    }
}

impl Set {
    /// The interface that it belongs to.
    pub(super) fn interface(&self) -> Option<&str> {
        let directory = OF_INTERFACES.iter().find(|directory| self.key.starts_with(**directory))?;
        let (interface, _) = self.key[directory.len()..].rsplit_once('/')?;
        (!["all", "default"].contains(&interface)).then_some(interface)
    }
}

/// `net/ipv4/conf/default/rp_filter` for `net/ipv4/conf/eth0/rp_filter`.
fn next_interface(key: &str) -> Option<String> {
    let directory = OF_INTERFACES.iter().find(|directory| key.starts_with(**directory))?;
    let (_, word) = key[directory.len()..].rsplit_once('/')?;
    Some(format!("{directory}default/{word}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_of_an_interface_is_that_of_the_next_one() {
        assert_eq!(next_interface("net/ipv4/conf/eth0.5/rp_filter").as_deref(), Some("net/ipv4/conf/default/rp_filter"));
        assert_eq!(next_interface("net/ipv4/ip_forward"), None);
    }
}
