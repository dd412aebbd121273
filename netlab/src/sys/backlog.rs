//! Frames that have been sent but not yet received: how to wait until there are none.
//!
//! A frame that leaves one virtual interface for another is put on the backlog of the CPU that sends it, and a soft interrupt of that CPU
//! receives it (net/core/dev.c, `netif_rx`). As a rule that happens before `send` returns, but under load the interrupt is left to
//! `ksoftirqd`, and frames wait. A received frame that is forwarded joins the end of the same backlog.
//!
//! So we go to each CPU in turn. While a thread runs there, no soft interrupt is in the middle of a frame there (but in a PREEMPT_RT
//! kernel): if the backlog is empty then, nothing is on its way. If it is not, because others send as well, we put a marker on it, in a
//! private namespace, and wait for it. The backlog is first in, first out, and common to all namespaces: when the marker comes out, what was
//! on its way has come further by one hop at least.

use std::fs;
use std::io;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The hops that a frame may have before it where other traffic keeps the backlog from ever being empty.
const MOST_HOPS: usize = 64;
/// Columns of `softnet_stat` (net/core/net-procfs.c): how long the backlog is, and of which CPU the line tells.
const BACKLOG_LENGTH: usize = 11;
const CPU: usize = 12;
/// A full backlog drops the marker: then send another one.
const PATIENCE: Duration = Duration::from_millis(20);
const DEADLINE: Duration = Duration::from_secs(10);

/// Waits for the backlogs with a socket that talks to itself over a loopback that nobody else uses.
#[derive(Debug)]
pub(crate) struct Flusher {
    marker: UdpSocket,
    sent: u64,
}

impl Flusher {
    /// Binds the marker socket; the calling thread is in a namespace of its own, whose loopback is up.
    pub(crate) fn new() -> io::Result<Self> {
        let marker = UdpSocket::bind(("127.0.0.1", 0))?;
        marker.connect(marker.local_addr()?)?;
        marker.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { marker, sent: 0 })
    }

    /// Returns when every frame that was on its way when this was called has arrived, if no more than 64 hops were before it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        // On a thread of ours: it moves from CPU to CPU.
        thread::scope(|scope| {
            let worker = thread::Builder::new().name("netlab flush".to_owned()).spawn_scoped(scope, || self.flush_here())?;
            worker.join().unwrap_or_else(|_| Err(io::Error::other("the flush of the backlogs panicked")))
        })
    }

    fn flush_here(&mut self) -> io::Result<()> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        for cpu in (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)) {
            let mut here = CpuSet::new();
            here.set(cpu)?;
            sched_setaffinity(Pid::from_raw(0), &here)?;
            for _ in 0..MOST_HOPS {
                self.exchange()?;
                if backlog_length(cpu) == Some(0) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn exchange(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + DEADLINE;
        self.sent += 1;
        self.marker.send(&self.sent.to_ne_bytes())?;
        loop {
            let mut answer = [0; 8];
            match self.marker.recv(&mut answer) {
                Ok(8) if u64::from_ne_bytes(answer) == self.sent => return Ok(()),
                Ok(_) => {}
                Err(e) if Instant::now() > deadline => return Err(e),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.sent += 1;
                    self.marker.send(&self.sent.to_ne_bytes())?;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// How many frames wait on the backlog of a CPU, if the kernel tells (since Linux 5.10).
fn backlog_length(cpu: usize) -> Option<u32> {
    let table = fs::read_to_string("/proc/thread-self/net/softnet_stat").ok()?;
    let column = |line: &str, place| u32::from_str_radix(line.split_whitespace().nth(place)?, 16).ok();
    table.lines().find(|line| column(line, CPU) == u32::try_from(cpu).ok()).and_then(|line| column(line, BACKLOG_LENGTH))
}
