//! Sysctls of a namespace: read, set for good, or set until a guard is dropped.

use std::collections::HashMap;
use std::fmt::Display;
use std::io;
use std::panic::Location;
use std::sync::Mutex;

use crate::error::{At, Error, Result};
use crate::feature;
use crate::layers::Layers;
use crate::link::Link;
use crate::netns::{Netns, lock};
use crate::sys::sysctl;
use crate::teardown;

/// A sysctl that has a new value until this is dropped; then the value from before comes back.
///
/// Guards of one sysctl may be dropped in any order: the value from before the first is back when the last has gone, and while several live,
/// the newest of them holds. A value that somebody else has written meanwhile is theirs, and stays.
#[derive(Debug)]
#[must_use = "the old value comes back as soon as this is dropped: bind it, as in `let _sysctl = ns.set_sysctl(…)?;`, or `keep()` it"]
pub struct Sysctl {
    netns: Netns,
    key: String,
    layer: u64,
    /// What the kernel made of the new value; nothing for a sysctl that can only be written.
    now: Option<String>,
    armed: bool,
}

/// A namespace is its device and inode here: two handles may be one namespace.
type Stacks = HashMap<((u64, u64), String), Layers<String>>;

static STACKS: Mutex<Option<Stacks>> = Mutex::new(None);

/// How strictly the source address of a received IPv4 packet is checked against the routes (RFC 3704).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RpFilter {
    /// Not at all.
    Off,
    /// The way back must lead out of the interface that the packet came in by.
    Strict,
    /// There must be a way back by some interface.
    Loose,
}

impl Netns {
    /// The value of a sysctl, such as `net.ipv4.ip_forward` or `net/ipv4/conf/eth0.5/rp_filter`, as `sysctl -n` prints it.
    ///
    /// With a slash in it, a dot belongs to a name (sysctl(8)).
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if there is no such sysctl in the namespace; the message lists names like it.
    #[track_caller]
    pub fn sysctl(&self, key: &str) -> Result<String> {
        self.read_sysctl(key).map_err(|e| explain(self, key, "read", e)).at(Location::caller())
    }

    /// Sets a sysctl until the guard is dropped. Equals `sysctl -w KEY=VALUE`.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if there is no such sysctl, [`is_permission`](Error::is_permission) if it belongs to the whole
    /// machine, `EINVAL` if the kernel does not take the value.
    #[track_caller]
    pub fn set_sysctl(&self, key: &str, value: impl Display) -> Result<Sysctl> {
        Sysctl::set(self, key, &value.to_string()).at(Location::caller())
    }

    /// Makes the namespace an IPv4 router, for good. Equals `sysctl -w net.ipv4.ip_forward=1`.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    #[track_caller]
    pub fn forward_ipv4(&self) -> Result<()> {
        self.assign_sysctl("net/ipv4/ip_forward", 1).at(Location::caller())
    }

    /// Makes the namespace an IPv6 router, for good. Equals `sysctl -w net.ipv6.conf.all.forwarding=1`.
    ///
    /// A router takes no router advertisements, unless an interface's `accept_ra` is 2.
    ///
    /// # Errors
    ///
    /// If the kernel has no IPv6.
    #[track_caller]
    pub fn forward_ipv6(&self) -> Result<()> {
        self.assign_sysctl("net/ipv6/conf/all/forwarding", 1).at(Location::caller())
    }

    /// Sets the check of source addresses on all interfaces, present and future, for good.
    ///
    /// Equals `sysctl -w net.ipv4.conf.{all,default}.rp_filter=MODE`, and the same for each interface: the kernel uses the higher of
    /// `all` and the interface's own.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    #[track_caller]
    pub fn set_rp_filter(&self, mode: RpFilter) -> Result<()> {
        let here = Location::caller();
        let interfaces = self.enter_io(|| sysctl::list("net/ipv4/conf")).map_err(|e| explain(self, "net/ipv4/conf", "list", e)).at(here)?;
        interfaces.iter().try_for_each(|name| self.assign_sysctl(&format!("net/ipv4/conf/{name}/rp_filter"), mode.number()).at(here))
    }

    fn read_sysctl(&self, key: &str) -> io::Result<String> {
        self.enter_io(|| sysctl::read(key))
    }

    /// Sets a sysctl for good.
    fn assign_sysctl(&self, key: &str, value: impl Display) -> Result<()> {
        let value = value.to_string();
        self.enter_io(|| sysctl::write(key, &value)).map_err(|e| explain(self, key, &format!("write `{value}` to"), e))
    }
}

/// Sysctls of one interface. `name` is the last word of the path: `proxy_arp` for `net/ipv4/conf/eth0/proxy_arp`.
impl Link {
    /// The value of `net/ipv4/conf/DEV/NAME`.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if there is no such sysctl.
    #[track_caller]
    pub fn ipv4_conf(&self, name: &str) -> Result<String> {
        self.netns().sysctl(&self.key("ipv4/conf", name))
    }

    /// Sets `net/ipv4/conf/DEV/NAME` (`rp_filter`, `proxy_arp`, `arp_ignore`, …) until the guard is dropped.
    ///
    /// # Errors
    ///
    /// As [`Netns::set_sysctl`].
    #[track_caller]
    pub fn set_ipv4_conf(&self, name: &str, value: impl Display) -> Result<Sysctl> {
        self.netns().set_sysctl(&self.key("ipv4/conf", name), value)
    }

    /// The value of `net/ipv6/conf/DEV/NAME`.
    ///
    /// # Errors
    ///
    /// [`is_not_found`](Error::is_not_found) if there is no such sysctl.
    #[track_caller]
    pub fn ipv6_conf(&self, name: &str) -> Result<String> {
        self.netns().sysctl(&self.key("ipv6/conf", name))
    }

    /// Sets `net/ipv6/conf/DEV/NAME` (`accept_ra`, `disable_ipv6`, `forwarding`, …) until the guard is dropped.
    ///
    /// # Errors
    ///
    /// As [`Netns::set_sysctl`].
    #[track_caller]
    pub fn set_ipv6_conf(&self, name: &str, value: impl Display) -> Result<Sysctl> {
        self.netns().set_sysctl(&self.key("ipv6/conf", name), value)
    }

    /// Sets `net/ipv4/neigh/DEV/NAME` (`retrans_time_ms`, `mcast_solicit`, `base_reachable_time_ms`, …) until the guard is dropped.
    ///
    /// # Errors
    ///
    /// As [`Netns::set_sysctl`].
    #[track_caller]
    pub fn set_ipv4_neigh(&self, name: &str, value: impl Display) -> Result<Sysctl> {
        self.netns().set_sysctl(&self.key("ipv4/neigh", name), value)
    }

    /// Sets `net/ipv6/neigh/DEV/NAME` until the guard is dropped.
    ///
    /// # Errors
    ///
    /// As [`Netns::set_sysctl`].
    #[track_caller]
    pub fn set_ipv6_neigh(&self, name: &str, value: impl Display) -> Result<Sysctl> {
        self.netns().set_sysctl(&self.key("ipv6/neigh", name), value)
    }

    /// Lets IPv4 packets that come in by this interface be forwarded, or not, for good. Equals `sysctl -w net.ipv4.conf.DEV.forwarding=1`.
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    #[track_caller]
    pub fn set_forwarding(&self, on: bool) -> Result<()> {
        self.assign_ipv4("forwarding", u8::from(on), Location::caller())
    }

    /// Answers ARP for addresses to which there is a route by another interface, or not, for good (`proxy_arp`).
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    #[track_caller]
    pub fn set_proxy_arp(&self, on: bool) -> Result<()> {
        self.assign_ipv4("proxy_arp", u8::from(on), Location::caller())
    }

    /// Sets the check of source addresses, for good; the kernel uses the higher of this and `all`
    /// ([`Netns::set_rp_filter`] sets both).
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    #[track_caller]
    pub fn set_rp_filter(&self, mode: RpFilter) -> Result<()> {
        self.assign_ipv4("rp_filter", mode.number(), Location::caller())
    }

    /// Lets packets to and from `127.0.0.0/8` pass this interface, or not, for good (`route_localnet`).
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    #[track_caller]
    pub fn set_route_localnet(&self, on: bool) -> Result<()> {
        self.assign_ipv4("route_localnet", u8::from(on), Location::caller())
    }

    /// Accepts packets whose source is an address of this machine, or not, for good (`accept_local`).
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    #[track_caller]
    pub fn set_accept_local(&self, on: bool) -> Result<()> {
        self.assign_ipv4("accept_local", u8::from(on), Location::caller())
    }

    /// Chooses which ARP requests are answered, for good: 0 for any address of the machine, 1 for those of this interface only, …
    /// (`arp_ignore`, Documentation/networking/ip-sysctl.rst).
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    #[track_caller]
    pub fn set_arp_ignore(&self, level: u8) -> Result<()> {
        self.assign_ipv4("arp_ignore", level, Location::caller())
    }

    fn assign_ipv4(&self, name: &str, value: u8, here: &'static Location<'static>) -> Result<()> {
        self.netns().assign_sysctl(&self.key("ipv4/conf", name), value).at(here)
    }

    fn key(&self, directory: &str, name: &str) -> String {
        format!("net/{directory}/{}/{name}", self.name())
    }
}

impl RpFilter {
    fn number(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Strict => 1,
            Self::Loose => 2,
        }
    }
}

impl Sysctl {
    fn set(netns: &Netns, key: &str, value: &str) -> Result<Self> {
        let what = format!("write `{value}` to");
        let key = sysctl::canonical(key).map_err(|e| explain(netns, key, &what, e))?;
        let place = (netns.identity().map_err(|e| explain(netns, &key, &what, e))?, key.clone());
        let mut stacks = lock(&STACKS);
        let (before, now) = netns.enter_io(|| exchange(&key, value)).map_err(|e| explain(netns, &key, &what, e))?;
        let layer = stacks.get_or_insert_default().entry(place).or_default().push(before);
        Ok(Self { netns: netns.clone(), key, layer, now, armed: true })
    }

    /// Brings the old value back and reports.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; a sysctl that went with its interface is no error.
    #[track_caller]
    pub fn close(mut self) -> Result<()> {
        self.armed = false;
        self.restore().at(Location::caller())
    }

    /// Leaves the new value, also when older guards go.
    pub fn keep(mut self) {
        self.armed = false;
        let Ok(identity) = self.netns.identity() else { return };
        let mut stacks = lock(&STACKS);
        if let Some(layers) = stacks.as_mut().and_then(|stacks| stacks.get_mut(&(identity, self.key.clone()))) {
            layers.keep(self.layer);
        }
    }

    /// Takes this guard's layer away, and gives what is to be brought back.
    fn unstack(&self, identity: (u64, u64)) -> Option<String> {
        let mut stacks = lock(&STACKS);
        let stacks = stacks.as_mut()?;
        let place = (identity, self.key.clone());
        let layers = stacks.get_mut(&place)?;
        let before = layers.remove(self.layer);
        if layers.is_empty() {
            stacks.remove(&place);
        }
        before
    }

    fn restore(&self) -> Result<()> {
        let what = "bring back the value of";
        let identity = self.netns.identity().map_err(|e| explain(&self.netns, &self.key, what, e))?;
        let Some(before) = self.unstack(identity) else { return Ok(()) };
        let restored = self.netns.enter_io(|| {
            let ours = self.now.as_ref().is_none_or(|now| sysctl::read(&self.key).is_ok_and(|value| value == *now));
            if ours { sysctl::write(&self.key, &before) } else { Ok(()) }
        });
        match restored {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()), // it went with its interface
            other => other.map_err(|e| explain(&self.netns, &self.key, what, e)),
        }
    }
}

impl Drop for Sysctl {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        if self.armed
            && let Err(e) = self.restore()
        {
            teardown::failed(e);
        }
    }
}

/// Writes the value; tells what was there before and what the kernel made of the new one, where it lets us read.
fn exchange(key: &str, value: &str) -> io::Result<(Option<String>, Option<String>)> {
    let before = match sysctl::read(key) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => None,
        other => Some(other?),
    };
    sysctl::write(key, value)?;
    let now = before.as_ref().and_then(|_| sysctl::read(key).ok());
    Ok((before, now))
}

/// `verb` is what was done to the sysctl, such as "read".
fn explain(netns: &Netns, key: &str, verb: &str, e: io::Error) -> Error {
    let errno = e.raw_os_error();
    let error = Error::new(format!("{verb} sysctl `{key}` of `{netns}`"), e);
    match errno {
        Some(libc::ENOENT) => match netns.enter_io(|| near(key)) {
            Ok(names) if !names.is_empty() => error.fact(format!("there is {}", names.join(", "))),
            _ => error.help("the kernel has no such part in this namespace: is its module loaded, is the interface there?"),
        },
        Some(libc::EINVAL | libc::ERANGE) => match netns.read_sysctl(key) {
            Ok(value) => error.fact(format!("its value is `{value}` now")),
            Err(_) => error,
        },
        Some(libc::EROFS) => error.help(format!("/proc/sys is read-only here, as containers have it: {}", feature::WRITABLE_SYSCTLS)),
        Some(libc::EACCES | libc::EPERM) if key.trim().starts_with("net") => {
            error.help("it belongs to the whole machine: only root of the initial namespaces may change it")
        }
        Some(libc::EACCES | libc::EPERM) => error.help("only sysctls below `net` belong to a network namespace"),
        _ => error,
    }
}

/// The names beside `key` that are most like it.
fn near(key: &str) -> io::Result<Vec<String>> {
    let key = sysctl::canonical(key)?;
    let Some((directory, name)) = key.rsplit_once('/') else { return Ok(Vec::new()) };
    let mut names: Vec<_> = sysctl::list(directory)?.into_iter().map(|sibling| (distance(name, &sibling), sibling)).collect();
    names.sort();
    Ok(names.into_iter().take(5).map(|(_, sibling)| format!("`{directory}/{sibling}`")).collect())
}

/// How many letters must be added, removed or replaced to make one name of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn the_distance_of_two_names_counts_their_differences() {
        for (one, other, letters) in
            [("", "", 0), ("a", "", 1), ("ip_forward", "ip_foward", 1), ("rp_filter", "arp_filter", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!((distance(one, other), distance(other, one)), (letters, letters), "{one} {other}");
        }
    }
}
