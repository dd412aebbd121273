//! Mounts of /proc beside the machine's own, which no path leads to.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::ptr::null;
use std::sync::{Arc, Mutex, PoisonError};

/// How many fresh namespaces share a mount.
const SHARE: u32 = 64;

/// A mount in which few namespaces have opened a file below `/proc/sys/net`; nothing where the machine's own will do, or this is not permitted.
///
/// A mount remembers what each namespace has opened there in one chain for all (fs/proc/proc_sysctl.c, `proc_sys_compare`), and whoever opens
/// a file for the first time walks it: the thousandth namespace would wait eight times as long for its sysctls as the first.
pub(crate) fn quick() -> Option<Arc<Proc>> {
    static LATEST: Mutex<(u32, Option<Arc<Proc>>)> = Mutex::new((0, None));
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    latest.0 = latest.0.wrapping_add(1);
    if latest.0.is_multiple_of(SHARE) {
        latest.1 = Proc::mount().ok().map(Arc::new);
    }
    latest.1.clone()
}

/// A mount, while somebody holds it.
#[derive(Debug)]
pub(crate) struct Proc(OwnedFd);

impl Proc {
    fn mount() -> io::Result<Self> {
        const CREATE: libc::c_uint = 6; // FSCONFIG_CMD_CREATE of <linux/mount.h>
        const CLOSE_ON_EXEC: libc::c_uint = 1; // FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC
        // SAFETY: the name is a C string, which the kernel reads.
        let context = unsafe { descriptor(libc::syscall(libc::SYS_fsopen, c"proc".as_ptr(), CLOSE_ON_EXEC)) }?;
        // SAFETY: the command takes neither a key nor a value.
        let made = unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), CREATE, null::<u8>(), null::<u8>(), 0) };
        nix::errno::Errno::result(made)?;
        // SAFETY: there are no pointers; the descriptor is open.
        unsafe { descriptor(libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), CLOSE_ON_EXEC, 0)) }.map(Self)
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

/// # Safety
///
/// `answer` is that of a system call that opens a descriptor, or fails.
unsafe fn descriptor(answer: libc::c_long) -> io::Result<OwnedFd> {
    let number = nix::errno::Errno::result(answer)?;
    // SAFETY: nobody else has the descriptor, which is as many bits as an int.
    Ok(unsafe { OwnedFd::from_raw_fd(number as libc::c_int) })
}
