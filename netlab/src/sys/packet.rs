//! Packet taps: AF_PACKET sockets whose frames the kernel writes into a ring that we map.
//!
//! A ring (`TPACKET_V3`), because the buffer of a plain socket is limited by `net.core.rmem_max`, which nobody but the real root can raise:
//! its 208 KiB hold some 300 small frames or three large ones. The ring's size is ours to choose, rootless.

use std::ffi::CStr;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use libc::{c_int, c_void};

/// What the kernel prepends on request: `struct virtio_net_hdr`, in which it says what it left to the network card.
const OFFLOAD_BYTES: usize = 10;
const VIRTIO_NEEDS_CSUM: u8 = 1;

/// The sizes of a ring. A frame never crosses the end of a block, so no frame is longer than one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) block_bytes: usize,
    pub(crate) blocks: usize,
    /// How long the kernel may hold a block that is not full.
    pub(crate) retire: Duration,
    /// How many bytes of each frame are kept.
    pub(crate) snap: u32,
}

/// The socket of a tap; closing it ends the tap.
#[derive(Debug)]
pub(crate) struct Tap {
    socket: OwnedFd,
}

/// The kernel's count since it was last asked.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Statistics {
    /// Frames that were written to the ring.
    pub(crate) accepted: u64,
    /// Frames for which the ring had no room.
    pub(crate) dropped: u64,
}

/// One frame in a block of the ring.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// Where in the block's bytes it lies.
    pub(crate) bytes: Range<usize>,
    /// Its length on the link, which is more than what was kept if it was cut.
    pub(crate) length: usize,
    /// Since the epoch, in nanoseconds.
    pub(crate) time: Duration,
    pub(crate) index: u32,
    /// ARPHRD_*.
    pub(crate) hardware: u16,
    /// PACKET_HOST, …
    pub(crate) packet_type: u8,
    /// The tag that the kernel keeps beside the frame: protocol and control information.
    pub(crate) vlan: Option<(u16, u16)>,
    /// VIRTIO_NET_HDR_GSO_*, and the payload bytes of each segment to be.
    pub(crate) gso: Option<(u8, u16)>,
    pub(crate) partial_checksum: bool,
}

impl Tap {
    /// Taps one interface of the calling thread's network namespace, or with index 0 all that it has and will have.
    ///
    /// Whatever is sent after this returned is seen: the hook is in the kernel's list then.
    pub(crate) fn open(index: u32, layout: Layout) -> io::Result<(Self, Ring)> {
        // Protocol 0: nothing arrives before the ring is there.
        // SAFETY: socket(2) takes no pointer; a descriptor that it returns is ours alone.
        let socket = unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
            check(fd)?;
            OwnedFd::from_raw_fd(fd)
        };
        set(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V3 as c_int))?;
        set(&socket, libc::SOL_PACKET, libc::PACKET_VNET_HDR, &1)?;
        // Makes the kernel note when a frame arrived, not when it came to the tap.
        set(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1)?;
        cut(&socket, layout.snap)?;
        let request = libc::tpacket_req3 {
            tp_block_size: small(layout.block_bytes)?,
            tp_block_nr: small(layout.blocks)?,
            tp_frame_size: 2048,
            tp_frame_nr: small(layout.block_bytes / 2048 * layout.blocks)?,
            tp_retire_blk_tov: small(layout.retire.as_millis() as usize)?,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        let ring = Ring::map(&socket, layout)?;
        bind(&socket, index)?;
        Ok((Self { socket }, ring))
    }

    /// What the kernel counted since the last call.
    pub(crate) fn statistics(&self) -> io::Result<Statistics> {
        let mut counts = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        let mut length = size_of_val(&counts) as libc::socklen_t;
        // SAFETY: both pointers are to locals that outlive the call, and `length` is the size of `counts`.
        let outcome = unsafe {
            let (value, length) = ((&raw mut counts).cast::<c_void>(), &raw mut length);
            libc::getsockopt(self.socket.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS, value, length)
        };
        check(outcome)?;
        let (all, dropped) = (u64::from(counts.tp_packets), u64::from(counts.tp_drops));
        Ok(Statistics { accepted: all.saturating_sub(dropped), dropped })
    }

    /// The name of an interface of the tap's namespace.
    pub(crate) fn device_name(&self, index: u32) -> io::Result<String> {
        // SAFETY: `ifreq` is plain data, for which zeros are a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_ifru.ifru_ifindex = index as c_int;
        // SAFETY: SIOCGIFNAME reads and writes one `ifreq`, which outlives the call.
        check(unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCGIFNAME as _, &raw mut request) })?;
        // SAFETY: the kernel ends the name with a NUL, within the array that outlives the borrow.
        let name = unsafe { CStr::from_ptr(request.ifr_name.as_ptr()) };
        Ok(name.to_string_lossy().into_owned())
    }

    /// The error that the kernel left on the socket, if it ends the tap.
    ///
    /// When the interface goes down or away, that is none: what it had is in the ring, and more may come when it is up again.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        let error = socket2::SockRef::from(&self.socket).take_error().unwrap_or_else(Some);
        error.filter(|e| e.raw_os_error() != Some(libc::ENETDOWN))
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The mapped ring of a tap: blocks that the kernel fills in turn and gives back when we have read them.
#[derive(Debug)]
pub(crate) struct Ring {
    base: NonNull<u8>,
    layout: Layout,
    next: usize,
}

// SAFETY: the mapping belongs to this value alone, and may be read and unmapped by any thread.
unsafe impl Send for Ring {}

impl Ring {
    fn map(socket: &OwnedFd, layout: Layout) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the kernel chooses the address, and the length is that of the ring just asked for.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), layout.block_bytes * layout.blocks, protection, libc::MAP_SHARED, socket.as_raw_fd(), 0)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(Self { base, layout, next: 0 })
    }

    /// Shows `each` every block that the kernel has finished, in order: its bytes, and the frames in them.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(&[u8], Vec<Frame>)) {
        loop {
            // SAFETY: `next` is less than the number of blocks, so this is the start of one, aligned to a page.
            let block = unsafe { self.base.as_ptr().add(self.next * self.layout.block_bytes) };
            let header = block.cast::<libc::tpacket_block_desc>();
            // SAFETY: the status is a u32 in a mapped block, which the kernel and we both access atomically.
            let status = unsafe { AtomicU32::from_ptr(&raw mut (*header).hdr.bh1.block_status) };
            if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                return;
            }
            // SAFETY: the block is ours until its status says otherwise: the kernel writes nothing to it now.
            let (count, first, length) = unsafe {
                let header = &(*header).hdr.bh1;
                (header.num_pkts, header.offset_to_first_pkt as usize, header.blk_len as usize)
            };
            // SAFETY: as above, and the slice ends within the block.
            let bytes = unsafe { std::slice::from_raw_parts(block, length.min(self.layout.block_bytes)) };
            each(bytes, frames(bytes, first, count));
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % self.layout.blocks;
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this length, and nothing borrows it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.layout.block_bytes * self.layout.blocks) };
    }
}

fn frames(block: &[u8], first: usize, count: u32) -> Vec<Frame> {
    let mut offset = first;
    let mut frames = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let Some(header) = plain::<libc::tpacket3_hdr>(block, offset) else { break };
        frames.extend(frame(block, offset, &header));
        offset += header.tp_next_offset as usize;
    }
    frames
}

fn frame(block: &[u8], offset: usize, header: &libc::tpacket3_hdr) -> Option<Frame> {
    let address = plain::<libc::sockaddr_ll>(block, offset + size_of::<libc::tpacket3_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT))?;
    let start = offset + usize::from(header.tp_mac);
    let end = start + header.tp_snaplen as usize;
    let offload = block.get(start.checked_sub(OFFLOAD_BYTES)?..start)?;
    let tag = header.hv1;
    let protocol = if header.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0 { tag.tp_vlan_tpid } else { libc::ETH_P_8021Q as u16 };
    (end <= block.len()).then_some(Frame {
        bytes: start..end,
        length: header.tp_len as usize,
        time: Duration::new(u64::from(header.tp_sec), header.tp_nsec),
        index: address.sll_ifindex as u32,
        hardware: address.sll_hatype,
        packet_type: address.sll_pkttype,
        vlan: (header.tp_status & libc::TP_STATUS_VLAN_VALID != 0).then_some((protocol, tag.tp_vlan_tci as u16)),
        // The upper bit says that segments bear congestion marks (VIRTIO_NET_HDR_GSO_ECN).
        gso: (offload[1] & 0x7f != 0).then(|| (offload[1] & 0x7f, u16::from_ne_bytes([offload[4], offload[5]]))),
        partial_checksum: offload[0] & VIRTIO_NEEDS_CSUM != 0,
    })
}

/// Types of the kernel's interface that are plain integers: any bytes are a value.
trait Plain: Copy {}
impl Plain for libc::tpacket3_hdr {}
impl Plain for libc::sockaddr_ll {}

fn plain<T: Plain>(bytes: &[u8], offset: usize) -> Option<T> {
    let bytes = bytes.get(offset..offset.checked_add(size_of::<T>())?)?;
    // SAFETY: the slice has the size of `T`, whose every bit pattern is a value; the read needs no alignment.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// A filter that takes every frame, and this many bytes of it.
fn cut(socket: &OwnedFd, snap: u32) -> io::Result<()> {
    let mut program = [libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: snap }];
    let filter = libc::sock_fprog { len: 1, filter: program.as_mut_ptr() };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
}

fn bind(socket: &OwnedFd, index: u32) -> io::Result<()> {
    // SAFETY: `sockaddr_ll` is plain data, for which zeros are a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index as c_int;
    // SAFETY: the pointer is to a local that outlives the call, and the length is its size.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as libc::socklen_t) }).map(drop)
}

fn set<T>(socket: &OwnedFd, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let pointer = std::ptr::from_ref(value).cast::<c_void>();
    // SAFETY: the pointer is to a value that outlives the call, and the length is its size.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, pointer, size_of::<T>() as libc::socklen_t) }).map(drop)
}

fn check(outcome: c_int) -> io::Result<c_int> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(outcome) }
}

fn small(size: usize) -> io::Result<u32> {
    u32::try_from(size).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}
