//! Packet capture: what passed on a link, in a namespace or in the whole lab, and what can be demanded of it.
//!
//! ```no_run
//! # fn main() -> netlab::Result<()> {
//! # let (laptop, router) = (netlab::Netns::new("laptop")?, netlab::Netns::new("router")?);
//! use netlab::capture::{Capture, arp, icmp};
//!
//! let capture = Capture::on_all([&laptop, &router])?;
//! // … traffic …
//! capture.expect(icmp().echo_reply().from("10.0.0.1").on("laptop/eth0").incoming())?;
//! let packets = capture.stop()?;
//! packets.ordered((arp().who_has("10.0.0.1"), arp().is_at("10.0.0.1"), icmp().echo_request(), icmp().echo_reply()))?;
//! packets.absent(icmp().unreachable())?;
//! packets.write_pcapng("packets.pcapng")?;
//! # Ok(()) }
//! ```
//!
//! # What a tap sees
//!
//! What an interface receives, before any netfilter hook but those of `nft`'s netdev family, and what it sends, after all of them and after
//! the queueing discipline: a packet that netem still delays has not been sent. On a loopback each packet is seen once, coming in, as
//! with tcpdump. The taps do not set interfaces promiscuous, which would change what a bridge does; virtual cables show everything anyway.
//!
//! Packets are seen as the kernel handles them: TCP segments of up to 64 KiB that no network card has cut yet
//! ([`Packet::segmentation`]), and checksums that nobody has completed ([`Packet::has_partial_checksum`]).

mod decode;
mod matcher;
mod packet;
mod packets;
mod tap;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use decode::{Arp, Body, Decoded, Ethernet, Icmp, IcmpKind, Ip, Mac, Tcp, TcpFlags, Transport, Udp, Vxlan};
pub use matcher::{Any, ArpOnly, IcmpOnly, Matcher, Steps, TcpOnly, UdpOnly, VxlanOnly, any, arp, icmp, icmp6, tcp, udp, vxlan};
pub(crate) use packet::Medium;
pub use packet::{Direction, Packet, Segmentation};
use packets::Sites;
pub use packets::{Losses, Packets};
pub(crate) use text::Names;

use crate::bridge::Bridge;
use crate::error::{At, Doing, Error, Result};
use crate::link::Link;
use crate::netns::Netns;
use crate::sys::Refusal;
use crate::sys::packet::{Layout, Ring, Tap};
use crate::teardown;
use tap::{Place, Shared};

/// A block of the ring holds the longest frame that there is without BIG TCP. The kernel gives a block up when it is full or old: many small
/// ones let our thread be late.
const BLOCK_BYTES: usize = 128 * 1024;
/// The ring of each tap, if nothing else is asked for; less where there are many, since the kernel takes the memory at once.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;
const BUFFERS_BYTES: usize = 64 * 1024 * 1024;
const FEWEST_BLOCKS: usize = 8;
/// How long the kernel keeps a block that is not full. So many of these as there are blocks may pass before our thread gets a CPU: with the
/// default buffer a quarter of a second. With 1 ms and four blocks, headers of a bulk transfer were lost on a busy machine.
const RETIRE: Duration = Duration::from_millis(4);
/// As much as a frame can have.
const WHOLE: u32 = 0x4_0000;
/// How long `expect` waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last packets may take from the kernel to us.
const SETTLE: Duration = Duration::from_secs(10);

/// Where to tap: one link, or everything that a namespace has and will have.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Where {
    /// One link.
    Link(Link),
    /// All links of a namespace, those that come later too.
    Netns(Netns),
}

/// Taps that keep every packet that passes them, from the moment they are made to the moment they are stopped.
///
/// Dropping a capture ends it without a word; [`stop`](Self::stop) ends it and gives what it saw.
#[must_use = "a capture ends as soon as it is dropped: bind it, as in `let capture = Capture::on(&link)?;`"]
pub struct Capture {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<Vec<Ring>>>,
    on: String,
    snap: u32,
    places: Vec<Where>,
    /// What was there to tap when it began.
    sites: Sites,
    /// After `shared`: fields are dropped in this order.
    released: Option<Sender<()>>,
}

/// A capture, described: where to tap, and how large the buffers are. It does nothing before [`start`](Self::start).
#[derive(Debug, Clone, Default)]
#[must_use = "a description does nothing: end it with `start()`"]
pub struct Plan {
    places: Vec<Where>,
    buffer: Option<usize>,
    snap: Option<u32>,
}

impl Capture {
    /// Taps one link (`&link`, `&bridge`) or all links of a namespace (`&netns`).
    ///
    /// When it returns, the taps are there: nothing that is sent later is missed. Equals `tcpdump -i NAME`, or `tcpdump -i any`.
    ///
    /// # Errors
    ///
    /// [`is_permission`](Error::is_permission) without CAP_NET_RAW in the namespace, [`is_not_found`](Error::is_not_found) if the link is gone.
    #[track_caller]
    pub fn on(place: impl Into<Where>) -> Result<Self> {
        let here = Location::caller();
        Self::plan().on(place).create().at(here)
    }

    /// Taps several links or namespaces: the whole lab.
    ///
    /// # Errors
    ///
    /// As [`on`](Self::on).
    #[track_caller]
    pub fn on_all(places: impl IntoIterator<Item = impl Into<Where>>) -> Result<Self> {
        let here = Location::caller();
        places.into_iter().fold(Self::plan(), Plan::on).create().at(here)
    }

    /// The description of a capture, for those that need another buffer than the default.
    pub fn plan() -> Plan {
        Plan::default()
    }

    /// Waits until a packet that the matcher means has been seen, at most 5 s, and gives the first one since the capture began.
    ///
    /// # Errors
    ///
    /// [`is_timeout`](Error::is_timeout), with what was seen instead; [`is_invalid_input`](Error::is_invalid_input) if the matcher was given a
    /// bad value.
    #[track_caller]
    pub fn expect<K>(&self, matcher: Matcher<K>) -> Result<Packet> {
        let here = Location::caller();
        self.wait_for(1, &packets::sound(matcher, here)?, PATIENCE).at(here)
    }

    /// As [`expect`](Self::expect), with another deadline.
    ///
    /// # Errors
    ///
    /// As [`expect`](Self::expect).
    #[track_caller]
    pub fn expect_within<K>(&self, patience: Duration, matcher: Matcher<K>) -> Result<Packet> {
        let here = Location::caller();
        self.wait_for(1, &packets::sound(matcher, here)?, patience).at(here)
    }

    /// Waits until `count` packets that the matcher means have been seen, at most 5 s, and gives the last of them.
    ///
    /// # Errors
    ///
    /// As [`expect`](Self::expect).
    #[track_caller]
    pub fn expect_count<K>(&self, count: usize, matcher: Matcher<K>) -> Result<Packet> {
        let here = Location::caller();
        self.wait_for(count, &packets::sound(matcher, here)?, PATIENCE).at(here)
    }

    fn wait_for(&self, count: usize, matcher: &Matcher, patience: Duration) -> Result<Packet> {
        let deadline = Instant::now() + patience;
        let (mut known, mut found, mut settled) = (0, 0, false);
        loop {
            let news = self.shared.news(known, deadline);
            known += news.packets.len();
            for packet in &news.packets {
                found += usize::from(matcher.matches(packet));
                if found >= count.max(1) {
                    return Ok(packet.clone());
                }
            }
            let what = || format!("see {} on {}", if count > 1 { format!("{count} of {matcher}") } else { matcher.to_string() }, self.on);
            if let Some(failure) = news.failure {
                return Err(Error::new(what(), io::Error::other(failure)));
            }
            if !news.packets.is_empty() || Instant::now() < deadline {
                continue;
            }
            if !settled {
                // What was sent in time counts, even if the kernel still holds it.
                settled = true;
                self.shared.settle(Instant::now() + SETTLE).doing(what)?;
            } else {
                let why = format!("{} came within {patience:?}", if found == 0 { "none".to_owned() } else { format!("only {found}") });
                return Err(self.so_far()?.explain(Error::timeout(what(), why)));
            }
        }
    }

    /// Everything that was sent before this call, while the capture goes on.
    ///
    /// # Errors
    ///
    /// As [`stop`](Self::stop).
    #[track_caller]
    pub fn packets(&self) -> Result<Packets> {
        let here = Location::caller();
        self.settled().and_then(|packets| self.whole(packets)).at(here)
    }

    /// Ends the capture and gives everything that it saw: all that was sent before this call is in it.
    ///
    /// Sent is what an interface has sent; what TCP, a queueing discipline or a neighbour that is being resolved holds back has not been. It
    /// waits for what is on its way, through up to 64 hops, and for the kernel to hand over the last of it: up to 10 ms.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected) if packets were lost or cut: see [`stop_with_losses`](Self::stop_with_losses).
    #[track_caller]
    pub fn stop(self) -> Result<Packets> {
        let here = Location::caller();
        self.settled().and_then(|packets| self.whole(packets)).at(here)
    }

    /// As [`stop`](Self::stop), but packets that were lost or cut are no error: [`Packets::losses`] counts them.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    #[track_caller]
    pub fn stop_with_losses(self) -> Result<Packets> {
        let here = Location::caller();
        self.settled().at(here)
    }

    fn settled(&self) -> Result<Packets> {
        let what = || format!("read what was captured on {}", self.on);
        self.shared.settle(Instant::now() + SETTLE).doing(what)?;
        self.so_far()
    }

    fn so_far(&self) -> Result<Packets> {
        let dropped = self.shared.dropped().doing(|| format!("ask for lost packets on {}", self.on))?;
        let packets = self.shared.state().packets.clone();
        let mut sites = self.sites.clone();
        // A namespace that is gone or closed has no more interfaces than it had.
        sites.extend(self.places.iter().flat_map(|place| place.sites().unwrap_or_default()));
        Ok(Packets::new(packets, dropped, self.snap, sites))
    }

    fn whole(&self, packets: Packets) -> Result<Packets> {
        let losses = packets.losses();
        if losses.is_none() {
            return Ok(packets);
        }
        let error = Error::unexpected(format!("keep every packet on {}", self.on), losses.to_string());
        Err(error.fact(format!("{} packets were kept", packets.len())).help(
            "ask for a larger buffer (`Capture::plan().on(…).buffer(256 << 20).start()`), for the headers alone (`.snap(128)`), or for what was kept \
             (`stop_with_losses()`)",
        ))
    }
}

impl Plan {
    /// Taps this link or namespace too.
    pub fn on(mut self, place: impl Into<Where>) -> Self {
        self.places.push(place.into());
        self
    }

    /// The size of the buffer of each link or namespace, in bytes, at least 1 MiB. Default: 8 MiB, and 64 MiB for all together.
    ///
    /// The kernel takes the memory at once, which needs a few milliseconds. What comes while the buffer is full, because our thread had no CPU
    /// to read it, is lost, counted and reported: a burst of more bytes than the buffer has may lose some of them, and so may a thread that
    /// gets no CPU for 32 ms for each MiB of buffer.
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = Some(bytes);
        self
    }

    /// Keeps only the first bytes of each packet, such as 128 for the headers. Equals `tcpdump -s BYTES`.
    ///
    /// A bulk transfer then takes a hundredth of the buffer. Packets know their whole length, and to be cut on request is no loss.
    pub fn snap(mut self, bytes: u32) -> Self {
        self.snap = Some(bytes);
        self
    }

    /// Starts to capture: when it returns, nothing that is sent later is missed.
    ///
    /// # Errors
    ///
    /// As [`Capture::on`].
    #[track_caller]
    pub fn start(self) -> Result<Capture> {
        let here = Location::caller();
        self.create().at(here)
    }

    fn create(self) -> Result<Capture> {
        let on = self.places.iter().map(|place| format!("`{place}`")).collect::<Vec<_>>().join(", ");
        let what = || format!("capture on {on}");
        if self.places.is_empty() {
            return Err(Error::invalid("capture", "there is no link or namespace to tap"));
        }
        let buffer = self.buffer.unwrap_or_else(|| BUFFER_BYTES.min(BUFFERS_BYTES / self.places.len()));
        let snap = self.snap.unwrap_or(WHOLE).clamp(1, WHOLE);
        let layout = Layout { block_bytes: BLOCK_BYTES, blocks: (buffer / BLOCK_BYTES).max(FEWEST_BLOCKS), retire: RETIRE, snap };
        let (taps, rings) = open(&self.places, layout).doing(what)?.into_iter().unzip();
        let shared = Arc::new(Shared::new(taps).doing(what)?);
        let reader = thread::Builder::new().name("netlab capture".to_owned()).spawn({
            let shared = shared.clone();
            move || shared.read(rings)
        });
        let reader = reader.doing(what)?;
        let sites = self.places.iter().map(Where::sites).collect::<std::result::Result<Vec<_>, _>>().doing(what)?.concat();
        Ok(Capture { shared, reader: Some(reader), on, snap, sites: sites.into_iter().collect(), places: self.places, released: None })
    }
}

/// Opens all taps at once: each waits 10 ms for the kernel (`synchronize_net` in `packet_set_ring`), and they may as well wait together.
fn open(places: &[Where], layout: Layout) -> io::Result<Vec<(Place, Ring)>> {
    thread::scope(|scope| {
        let open = |place: &Where| {
            let (netns, index) = place.resolve();
            let (tap, ring) = netns.enter_io(|| Tap::open(index, layout))?;
            Ok((Place::new(tap, netns.name()), ring))
        };
        let opening = places.iter().map(|place| thread::Builder::new().spawn_scoped(scope, move || open(place)));
        let opening = opening.collect::<io::Result<Vec<_>>>()?;
        let panicked = |_| Err(io::Error::other("the thread that opened a tap panicked"));
        opening.into_iter().map(|tap| tap.join().unwrap_or_else(panicked)).collect()
    })
}

impl Where {
    /// The namespace, and the link's index or 0 for all.
    fn resolve(&self) -> (Netns, u32) {
        match self {
            Self::Link(link) => (link.netns(), link.index()),
            Self::Netns(netns) => (netns.clone(), 0),
        }
    }

    /// The interfaces that are there now, each with its namespace before it.
    fn sites(&self) -> std::result::Result<Vec<(String, String)>, Refusal> {
        match self {
            Self::Link(link) => Ok(vec![(link.netns().name().to_owned(), link.name())]),
            Self::Netns(netns) => Ok(netns.interface_names()?.into_values().map(|device| (netns.name().to_owned(), device)).collect()),
        }
    }
}

impl From<&Link> for Where {
    fn from(link: &Link) -> Self {
        Self::Link(link.clone())
    }
}

impl From<&Bridge> for Where {
    fn from(bridge: &Bridge) -> Self {
        Self::Link(bridge.link().clone())
    }
}

impl From<&Netns> for Where {
    fn from(netns: &Netns) -> Self {
        Self::Netns(netns.clone())
    }
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(link) => link.fmt(f),
            Self::Netns(netns) => netns.fmt(f),
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if let Err(e) = self.shared.end() {
            teardown::failed(Error::new(format!("end the capture on {}", self.on), e));
            return;
        }
        // A panic of the reading thread has printed itself already.
        if let Some(reader) = self.reader.take() {
            let rings = reader.join().unwrap_or_default();
            self.released = Some(tap::close_later(Arc::clone(&self.shared), rings));
        }
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").field("on", &self.on).finish_non_exhaustive()
    }
}
