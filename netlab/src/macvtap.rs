//! macvtap: a macvlan whose far end is a file.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;

use netlink_packet_route::link::{InfoData, InfoKind, InfoMacVtap, LinkAttribute, MacVtapMode};

use crate::device::{Device, Recipe, verbs};
use crate::error::{At, Doing, Error, Result};
use crate::iface::{Iface, Plan};
use crate::link::Link;
use crate::sys::tun;

/// How many indexes are tried until one is nobody else's.
const TRIES: u32 = 16;

/// An interface that shares the cable of another, its parent, and whose frames a program reads and writes: the network card of a virtual
/// machine. It goes when it is dropped.
///
/// One read is one Ethernet frame, and so is one write, without anything before it. The parent itself and its macvtaps do not reach each
/// other, as with [`Macvlan`](crate::Macvlan).
///
/// The file is `/dev/tapN`, where N is the interface's index. There is one /dev for the whole machine, so unless the description says an
/// index, it is a large one that differs from run to run. The node belongs to root: an ordinary user is refused, unless a udev rule says
/// otherwise. `#[netlab::test(needs(macvtap))]` asks for the kernel's driver, not for the right to open the node.
#[derive(Debug)]
#[must_use = "the interface goes as soon as it is dropped: bind it, as in `let nic = Macvtap::bridge(…)?;`"]
pub struct Macvtap(Device, File);

verbs!(Macvtap: file);

impl Macvtap {
    /// One that reaches the parent's other macvtaps and macvlans of this mode directly.
    ///
    /// Equals `ip link add NAME link PARENT netns NAMESPACE type macvtap mode bridge`, `ip link set NAME up`, and a program that opens
    /// `/dev/tapN`.
    ///
    /// # Errors
    ///
    /// As [`Macvlan::bridge`](crate::Macvlan::bridge), and if the user may not open the node ([`is_permission`](Error::is_permission)), or
    /// the index is that of a macvtap of another namespace. Nothing is left behind then.
    #[track_caller]
    pub fn bridge(iface: Iface, parent: impl AsRef<Link>) -> Result<Self> {
        Self::create(&iface, parent.as_ref(), MacVtapMode::Bridge).at(Location::caller())
    }

    /// One that reaches the parent's others only by a switch that sends their frames back. Equals `mode vepa`.
    ///
    /// # Errors
    ///
    /// As [`bridge`](Self::bridge).
    #[track_caller]
    pub fn vepa(iface: Iface, parent: impl AsRef<Link>) -> Result<Self> {
        Self::create(&iface, parent.as_ref(), MacVtapMode::Vepa).at(Location::caller())
    }

    /// One that reaches none of the parent's others. Equals `mode private`.
    ///
    /// # Errors
    ///
    /// As [`bridge`](Self::bridge).
    #[track_caller]
    pub fn private(iface: Iface, parent: impl AsRef<Link>) -> Result<Self> {
        Self::create(&iface, parent.as_ref(), MacVtapMode::Private).at(Location::caller())
    }

    fn create(iface: &Iface, parent: &Link, mode: MacVtapMode) -> Result<Self> {
        let recipe = Recipe::new(InfoKind::MacVtap, Some(InfoData::MacVtap(vec![InfoMacVtap::Mode(mode)]))).upon(parent);
        let mut tries = if iface.has_chosen_index() { 1 } else { TRIES };
        let (device, file, plan) = loop {
            let mut plan = iface.plan()?;
            if !iface.has_chosen_index() {
                plan.index = Some(0x1000_0000 | (random() as u32 >> 4));
            }
            tries -= 1;
            match open(iface, &recipe, &plan)? {
                (device, Some(file)) => break (device, file, plan),
                (device, None) if tries == 0 => {
                    let node = tun::node(device.link().index());
                    return Err(Error::invalid(
                        open_what(&device),
                        format!("{node} is of a macvtap with the same index in another namespace"),
                    )
                    .help("choose another index, or none"));
                }
                _ => {}
            }
        };
        if let Some(mac) = plan.mac {
            device.link().set(LinkAttribute::Address(mac.to_vec())).doing(|| format!("give `{}` its MAC address", iface.place()))?;
        }
        device.configure(iface, &plan, &recipe)?;
        Ok(Self(device, file))
    }

    /// The far end. `&File` can be read and written by several threads. Reading waits for a frame.
    pub fn file(&self) -> &File {
        &self.1
    }
}

impl AsFd for Macvtap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.1.as_fd()
    }
}

/// Makes the interface and opens its node; no file, if the node is that of another namespace's macvtap.
///
/// What is behind the node tells its MAC address, so a random one tells whether it is ours.
fn open(iface: &Iface, recipe: &Recipe, plan: &Plan) -> Result<(Device, Option<File>)> {
    let [a, b, c, d, e, ..] = random().to_be_bytes();
    let token = [0x02, a, b, c, d, e];
    let device = Device::make(iface, recipe, &Plan { mac: Some(token), ..plan.clone() })?.holding();
    match tun::open_macvtap(device.link().index()) {
        Ok((file, mac)) => Ok((device, (mac == token).then_some(file))),
        Err(e) => Err(refused(&device, e)),
    }
}

fn refused(device: &Device, e: io::Error) -> Error {
    let errno = e.raw_os_error();
    let node = tun::node(device.link().index());
    let error = Error::new(open_what(device), e);
    match errno {
        Some(libc::EACCES | libc::EPERM) => error
            .fact(format!("{node} may not be opened by this user"))
            .help("run it as root, or write `KERNEL==\"tap*\", MODE=\"0666\"` to /etc/udev/rules.d/99-macvtap.rules"),
        Some(libc::ENOENT) => error.fact(format!("there is no {node}")).help("a container needs the host's /dev (devtmpfs)"),
        _ => error,
    }
}

fn open_what(device: &Device) -> String {
    format!("open the far end of macvtap `{}`", device.link())
}

fn random() -> u64 {
    RandomState::new().hash_one(())
}
