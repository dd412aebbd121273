//! tun and tap: links whose other end is a file, and so a program.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkAttribute;

use crate::device::{Device, verbs};
use crate::error::{At, Doing, Error, Result};
use crate::feature::Feature;
use crate::iface::Iface;
use crate::sys::tun;

/// An interface whose far end is a file: what the machine sends there is read from it, and what is written to it, the machine receives.
///
/// One read is one packet, and so is one write: an IP packet, or an Ethernet frame with [`tap`](Self::tap), without
/// anything before it. The interface has a carrier as long as this lives; when it is dropped, the interface goes and who waits in a read gets
/// an error.
///
/// It needs the right to open `/dev/net/tun`, which most distributions give to everyone; `#[netlab::test(needs(tun))]` asks for it.
///
/// Where the machine has IPv6, it says something by itself, such as router solicitations.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let laptop = netlab::Netns::new("laptop")?;
/// use std::io::{Read, Write};
/// use netlab::Tun;
/// let vpn = Tun::new(laptop.iface("tun0").addr("10.8.0.2/24"))?;
/// let mut packet = [0; 1500];
/// let length = vpn.file().read(&mut packet)?; // what laptop sends to 10.8.0.0/24
/// vpn.file().write_all(&packet[..length])?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the interface goes as soon as it is dropped: bind it, as in `let vpn = Tun::new(…)?;`"]
pub struct Tun(Device, File);

verbs!(Tun: file);

impl Tun {
    /// One for IP packets.
    ///
    /// Equals `ip tuntap add NAME mode tun`, then `ip address add …`, `ip link set NAME up`, and a program that opens `/dev/net/tun`.
    ///
    /// # Errors
    ///
    /// A bad value in the description, or a MAC address in it ([`is_invalid_input`](Error::is_invalid_input)), a name or index that is
    /// taken, a `/dev/net/tun` that the user may not open ([`is_permission`](Error::is_permission)). Nothing is left behind then.
    #[track_caller]
    pub fn new(iface: Iface) -> Result<Self> {
        let here = Location::caller();
        iface.check_no_mac("tun").and_then(|()| Self::create(&iface, false)).at(here)
    }

    /// One for Ethernet frames, which may be the port of a bridge. Equals `ip tuntap add NAME mode tap`, and so on.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn tap(iface: Iface) -> Result<Self> {
        Self::create(&iface, true).at(Location::caller())
    }

    fn create(iface: &Iface, ethernet: bool) -> Result<Self> {
        let kind = if ethernet { "tap" } else { "tun" };
        let plan = iface.plan()?;
        let file = iface.netns.enter_io(|| tun::create(&iface.name, plan.index, ethernet)).map_err(|e| {
            let errno = e.raw_os_error().unwrap_or_default();
            let error = Error::new(format!("create {kind} `{}`", iface.place()), e);
            match errno {
                libc::EACCES => error.fact("/dev/net/tun may not be opened by this user").help(help(kind, errno)),
                libc::ENOENT | libc::ENODEV => error.fact("there is no /dev/net/tun").help(help(kind, errno)),
                _ if iface.netns.link(&iface.name).is_ok() => error.fact(format!("`{}` is there already", iface.place())),
                _ => error,
            }
        })?;
        // From here on the file holds it: whatever fails below, the interface goes.
        let device = Device::adopt(iface, plan.index, kind)?.holding();
        let mut message = plan.link_message(iface);
        message.header.index = device.link().index();
        message.attributes.retain(|attribute| ethernet || !matches!(attribute, LinkAttribute::Address(_)));
        message.attributes.extend(iface.master.as_ref().map(|master| LinkAttribute::Controller(master.index())));
        let describe = || format!("give `{}` what its description says", iface.place());
        iface.netns.request(RouteNetlinkMessage::SetLink(message), 0).doing(describe)?;
        device.link().configure(iface, &plan, iface.up)?;
        Ok(Self(device, file))
    }

    /// The far end. `&File` can be read and written by several threads; a thread of its own takes a
    /// [`try_clone`](File::try_clone). Reading waits for a packet.
    pub fn file(&self) -> &File {
        &self.1
    }

    /// Gives the far end away: the interface goes when the file and its clones are closed.
    pub fn into_file(self) -> File {
        self.0.keep();
        self.1
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.1.as_fd()
    }
}

fn help(kind: &str, errno: i32) -> String {
    Feature::named(kind).map(|feature| feature.help(errno)).unwrap_or_default()
}
