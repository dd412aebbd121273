//! Links whose other end is a file: tun and tap devices, and the nodes of macvtap devices.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

/// Makes a link in the calling thread's network namespace, which lives as long as the file is open; `ethernet` says that it carries frames
/// (tap), not bare IP packets (tun).
pub(crate) fn create(name: &str, index: Option<u32>, ethernet: bool) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    if let Some(index) = index {
        // SAFETY: the descriptor is open, and TUNSETIFINDEX reads an unsigned int.
        check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFINDEX, &raw const index) })?;
    }
    let kind = if ethernet { libc::IFF_TAP } else { libc::IFF_TUN };
    // Without IFF_TUN_EXCL it would take over a persistent device of that name.
    set_interface(&file, name, kind | libc::IFF_NO_PI | libc::IFF_TUN_EXCL)?;
    Ok(file)
}

/// Opens the node of the macvtap device with that index, for plain frames, and tells the device's MAC address.
pub(crate) fn open_macvtap(index: u32) -> io::Result<(File, [u8; 6])> {
    let file = OpenOptions::new().read(true).write(true).open(node(index))?;
    // A macvtap's frames come with an offload header unless told otherwise (drivers/net/tap.c, `tap_open`).
    set_interface(&file, "", libc::IFF_TAP | libc::IFF_NO_PI)?;
    let mut request = request("");
    // SAFETY: the descriptor is open, and SIOCGIFHWADDR fills in an ifreq.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::SIOCGIFHWADDR as libc::Ioctl, &raw mut request) })?;
    // SAFETY: SIOCGIFHWADDR has filled in this member of the union.
    let [a, b, c, d, e, f, ..] = unsafe { request.ifr_ifru.ifru_hwaddr }.sa_data.map(|byte| byte as u8);
    Ok((file, [a, b, c, d, e, f]))
}

/// The node of the macvtap device with that index.
pub(crate) fn node(index: u32) -> String {
    format!("/dev/tap{index}")
}

fn set_interface(file: &File, name: &str, flags: libc::c_int) -> io::Result<()> {
    let mut request = request(name);
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the descriptor is open, and TUNSETIFF reads an ifreq and writes the name into it.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })
}

/// A name that is too long is cut; the callers have refused it before.
fn request(name: &str) -> libc::ifreq {
    // SAFETY: an ifreq is bytes and numbers only, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let last = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name[..last].iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
