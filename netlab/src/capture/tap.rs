//! The taps of a capture, and the thread that empties their rings.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use once_cell::sync::OnceCell;

use super::packet::Packet;
use crate::netns::{self, lock};
use crate::sys::backlog::Flusher;
use crate::sys::namespace;
use crate::sys::netlink::Socket;
use crate::sys::packet::{Ring, Statistics, Tap};
use crate::sys::poll::Poller;
use crate::sys::traffic::Interest;

/// What the reading thread and the owner of a capture share.
#[derive(Debug)]
pub(super) struct Shared {
    taps: Vec<Place>,
    poller: Poller,
    state: Mutex<State>,
    changed: Condvar,
}

/// A tap, and the namespace that it is in.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) tap: Tap,
    pub(super) netns: Arc<str>,
    counts: Mutex<Statistics>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) packets: Vec<Packet>,
    /// How many frames were read from each ring.
    read: Vec<u64>,
    ended: bool,
    /// Why the reading thread gave up.
    failure: Option<String>,
}

/// What is new since the owner of a capture looked last.
pub(super) struct News {
    pub(super) packets: Vec<Packet>,
    pub(super) failure: Option<String>,
}

impl Place {
    pub(super) fn new(tap: Tap, netns: &str) -> Self {
        Self { tap, netns: netns.into(), counts: Mutex::default() }
    }

    /// What the kernel has counted since the tap is there.
    fn counts(&self) -> io::Result<Statistics> {
        let mut counts = lock(&self.counts);
        let new = self.tap.statistics()?;
        *counts = Statistics { accepted: counts.accepted + new.accepted, dropped: counts.dropped + new.dropped };
        Ok(*counts)
    }
}

impl Shared {
    pub(super) fn new(taps: Vec<Place>) -> io::Result<Self> {
        let poller = Poller::new()?;
        for (token, place) in (0..).zip(&taps) {
            poller.add(place.tap.as_fd(), token, Interest::Read)?;
        }
        let state = State { read: vec![0; taps.len()], ..State::default() };
        Ok(Self { taps, poller, state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Reads the rings until [`end`](Self::end), and gives them back.
    pub(super) fn read(&self, mut rings: Vec<Ring>) -> Vec<Ring> {
        let mut names: Vec<HashMap<u32, Arc<str>>> = vec![HashMap::new(); rings.len()];
        while !lock(&self.state).ended {
            for (place, (ring, names)) in rings.iter_mut().zip(&mut names).enumerate() {
                self.drain(place, ring, names);
            }
            if let Err(e) = self.wait() {
                lock(&self.state).failure = Some(e.to_string());
                self.changed.notify_all();
                break;
            }
        }
        rings
    }

    fn wait(&self) -> io::Result<()> {
        let ready = self.poller.wait()?;
        ready.into_iter().find_map(|place| self.taps[place as usize].tap.take_error()).map_or(Ok(()), Err)
    }

    /// Ends the reading thread.
    pub(super) fn end(&self) -> io::Result<()> {
        lock(&self.state).ended = true;
        self.poller.wake()
    }

    fn drain(&self, place: usize, ring: &mut Ring, names: &mut HashMap<u32, Arc<str>>) {
        let Place { tap, netns, .. } = &self.taps[place];
        ring.drain(|bytes, frames| {
            // One copy of the whole block, and the kernel has it back.
            let block: Arc<[u8]> = bytes.into();
            let count = frames.len() as u64;
            let packets: Vec<_> = frames
                .into_iter()
                .filter_map(|frame| {
                    let device = names.entry(frame.index).or_insert_with(|| device_name(tap, frame.index));
                    Packet::new(netns, device, frame, &block)
                })
                .collect();
            let mut state = lock(&self.state);
            state.packets.extend(packets);
            state.read[place] += count;
            drop(state);
            self.changed.notify_all();
        });
    }

    /// Returns when everything that was sent before the call is among the packets.
    ///
    /// First what is on its way arrives: the backlogs of the CPUs are flushed. It is in the rings then, and the kernel has counted it;
    /// and the reading thread has it when it has read as many frames. The kernel gives up a block that is not full after a few milliseconds.
    pub(super) fn settle(&self, deadline: Instant) -> io::Result<()> {
        flush()?;
        let counts = self.taps.iter().map(Place::counts).collect::<io::Result<Vec<_>>>()?;
        let mut state = lock(&self.state);
        while state.read.iter().zip(&counts).any(|(read, counts)| *read < counts.accepted) {
            if let Some(failure) = &state.failure {
                return Err(io::Error::other(failure.clone()));
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            };
            state = self.changed.wait_timeout(state, left).map_or_else(|poison| poison.into_inner().0, |(state, _)| state);
        }
        Ok(())
    }

    /// Packets that the rings had no room for.
    pub(super) fn dropped(&self) -> io::Result<u64> {
        self.taps.iter().try_fold(0, |sum, place| Ok(sum + place.counts()?.dropped))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Waits for packets beyond the first `known`; none have come when the deadline has passed.
    pub(super) fn news(&self, known: usize, deadline: Instant) -> News {
        let mut state = lock(&self.state);
        loop {
            let left = deadline.checked_duration_since(Instant::now());
            if state.packets.len() > known || state.failure.is_some() || left.is_none() {
                return News { packets: state.packets[known..].to_vec(), failure: state.failure.clone() };
            }
            let left = left.unwrap_or_default();
            state = self.changed.wait_timeout(state, left).map_or_else(|poison| poison.into_inner().0, |(state, _)| state);
        }
    }
}

/// Closes the taps on a thread that nobody waits for: the kernel takes 20 ms for each (two `synchronize_net` in `packet_release`).
///
/// Where no thread is to be had, the caller waits.
/// It begins when the caller has dropped its own handle, and then what is returned.
pub(super) fn close_later(shared: Arc<Shared>, rings: Vec<Ring>) -> Sender<()> {
    let (released, wait) = mpsc::channel();
    let close = move || {
        wait.recv().unwrap_or_default();
        drop((rings, shared));
    };
    drop(thread::Builder::new().name("netlab close".to_owned()).spawn(close));
    released
}

fn device_name(tap: &Tap, index: u32) -> Arc<str> {
    tap.device_name(index).unwrap_or_else(|_| format!("if{index}")).into()
}

/// Lets everything that is on its way between virtual interfaces arrive.
fn flush() -> io::Result<()> {
    static FLUSHER: OnceCell<Mutex<Flusher>> = OnceCell::new();
    let flusher = FLUSHER.get_or_try_init(|| {
        // A namespace of its own, which lives as long as the socket: nobody's loopback counts our markers.
        let (_, flusher) = namespace::create(|| {
            netns::loopback_up(&mut Socket::route()?)?;
            Flusher::new()
        })?;
        Ok::<_, io::Error>(Mutex::new(flusher))
    })?;
    lock(flusher).flush()
}
