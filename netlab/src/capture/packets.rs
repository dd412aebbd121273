//! What a capture saw: a list of packets, and what can be demanded of it.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::panic::Location;
use std::path::Path;
use std::slice;
use std::sync::Arc;

use super::matcher::{Matcher, Named, Steps};
use super::packet::Packet;
use super::text::{self, Names};
use crate::error::{Error, Result};
use crate::pcapng;

/// How many packets an error shows.
const SHOWN: usize = 40;

/// What a capture could not keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Losses {
    /// Packets for which the buffer had no room.
    pub dropped: u64,
    /// Packets of which less was kept than was asked for: frames of more than 128 KiB (BIG TCP).
    pub truncated: u64,
}

impl Losses {
    /// Whether everything was kept, whole.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// What a capture saw, in the order of time. Displayed one line a packet, as tcpdump would.
#[derive(Clone, Default)]
#[must_use = "packets say nothing by themselves: demand something of them, such as `packets.ordered(…)?`"]
pub struct Packets {
    list: Vec<Packet>,
    losses: Losses,
    sites: Arc<Sites>,
}

/// The interfaces that were tapped, each with its namespace before it.
pub(super) type Sites = BTreeSet<(String, String)>;

impl Packets {
    pub(super) fn new(mut list: Vec<Packet>, dropped: u64, snap: u32, mut sites: Sites) -> Self {
        // Stable: packets of one tap that bear the same time stay in their order.
        list.sort_by_key(Packet::since_epoch);
        let truncated = list.iter().filter(|packet| packet.bytes().len() < packet.length().min(snap as usize)).count() as u64;
        sites.extend(list.iter().map(|packet| (packet.netns().to_owned(), packet.device().to_owned())));
        Self { list, losses: Losses { dropped, truncated }, sites: Arc::new(sites) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> slice::Iter<'_, Packet> {
        self.list.iter()
    }

    /// What the capture could not keep; of packets from [`Capture::stop`](super::Capture::stop), nothing.
    pub fn losses(&self) -> Losses {
        self.losses
    }

    /// Those that the matcher means.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) if the matcher was given a bad value, or names an interface or a namespace that was not
    /// tapped; as with all verbs here.
    #[track_caller]
    pub fn filter<K>(&self, matcher: Matcher<K>) -> Result<Packets> {
        let matcher = self.fit(matcher, Location::caller())?;
        let list = self.iter().filter(|packet| matcher.matches(packet)).cloned().collect();
        Ok(Self { list, losses: self.losses, sites: self.sites.clone() })
    }

    /// How many the matcher means.
    ///
    /// # Errors
    ///
    /// As [`filter`](Self::filter).
    #[track_caller]
    pub fn count<K>(&self, matcher: Matcher<K>) -> Result<usize> {
        let matcher = self.fit(matcher, Location::caller())?;
        Ok(self.iter().filter(|packet| matcher.matches(packet)).count())
    }

    /// Demands that these packets were seen in this order, whatever came between them, and gives them.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected), with the first that is missing and all that was seen.
    #[track_caller]
    pub fn ordered(&self, steps: impl Steps) -> Result<Vec<Packet>> {
        let here = Location::caller();
        let mut rest = self.iter();
        let mut found = Vec::new();
        for step in steps.steps() {
            let step = self.fit(step, here)?;
            match rest.by_ref().find(|packet| step.matches(packet)) {
                Some(packet) => found.push(packet.clone()),
                None => return Err(self.missing(&step, &found).at(here)),
            }
        }
        Ok(found)
    }

    fn missing(&self, step: &Matcher, found: &[Packet]) -> Error {
        let what = format!("find packet {} of the order, {step}", found.len() + 1);
        let after = found.last().map(|last| format!(" after `{last}`")).unwrap_or_default();
        self.unlike(what, format!("there is none{after}"))
    }

    /// Demands that these packets in this order are all that was seen. Narrow the list by [`filter`](Self::filter) first.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected), with the first difference and all that was seen.
    #[track_caller]
    pub fn exact(&self, steps: impl Steps) -> Result<()> {
        let here = Location::caller();
        let steps = steps.steps();
        let wanted = steps.len();
        for (place, step) in steps.into_iter().enumerate() {
            let step = self.fit(step, here)?;
            let what = || format!("find {step} as packet {} of exactly {wanted}", place + 1);
            match self.list.get(place) {
                Some(packet) if step.matches(packet) => {}
                Some(packet) => return Err(self.unlike(what(), format!("it is `{packet}`")).at(here)),
                None => return Err(self.unlike(what(), format!("there are only {}", self.len())).at(here)),
            }
        }
        match self.list.get(wanted) {
            Some(packet) => Err(self.unlike(format!("find exactly {wanted} packets"), format!("`{packet}` follows them")).at(here)),
            None => Ok(()),
        }
    }

    /// Demands that the matcher means exactly `count` packets.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected), with all that was seen.
    #[track_caller]
    pub fn exactly<K>(&self, count: usize, matcher: Matcher<K>) -> Result<()> {
        self.counted(matcher, &format!("exactly {count} of"), |seen| seen == count, Location::caller())
    }

    /// Demands that the matcher means `count` packets or more.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected), with all that was seen.
    #[track_caller]
    pub fn at_least<K>(&self, count: usize, matcher: Matcher<K>) -> Result<()> {
        self.counted(matcher, &format!("at least {count} of"), |seen| seen >= count, Location::caller())
    }

    /// Demands that the matcher means no packet.
    ///
    /// Absence proves something only beside a presence: demand first, of the same packets, something that the same path would have brought.
    ///
    /// # Errors
    ///
    /// [`is_unexpected`](Error::is_unexpected), with all that was seen.
    #[track_caller]
    pub fn absent<K>(&self, matcher: Matcher<K>) -> Result<()> {
        self.counted(matcher, "no", |seen| seen == 0, Location::caller())
    }

    fn counted<K>(&self, matcher: Matcher<K>, words: &str, enough: impl Fn(usize) -> bool, here: &'static Location<'static>) -> Result<()> {
        let matcher = self.fit(matcher, here)?;
        let seen = self.iter().filter(|packet| matcher.matches(packet)).count();
        if enough(seen) {
            return Ok(());
        }
        Err(self.unlike(format!("find {words} {matcher}"), format!("there are {seen}")).at(here))
    }

    /// Writes a comment to all packets that the matcher means, for whoever opens the capture file.
    ///
    /// # Errors
    ///
    /// As [`filter`](Self::filter).
    #[track_caller]
    pub fn comment<K>(&mut self, matcher: Matcher<K>, comment: impl Display) -> Result<()> {
        let matcher = self.fit(matcher, Location::caller())?;
        for packet in self.list.iter_mut().filter(|packet| matcher.matches(packet)) {
            packet.add_comment(comment.to_string());
        }
        Ok(())
    }

    /// The lines of the list without what differs from run to run: no times, TCP sequence numbers and windows; `PORT1`, `ID1` and so on for
    /// client ports and echo ids; echo sequence numbers counted from 1. For `insta::assert_snapshot!`.
    pub fn normalised(&self) -> String {
        let mut names = Names::normalising();
        let lines = self.iter().map(|packet| text::normalised_line(packet, &mut names) + "\n");
        lines.collect()
    }

    /// Writes a capture file (pcapng) for Wireshark, tshark and tcpdump: one interface block for each interface, named
    /// `namespace/interface`, with nanoseconds, directions and comments.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    #[track_caller]
    pub fn write_pcapng(&self, path: impl AsRef<Path>) -> Result<()> {
        let (here, path) = (Location::caller(), path.as_ref());
        let failed = |e| Error::new(format!("write the capture file `{}`", path.display()), crate::error::Cause::Io(e)).at(here);
        std::fs::write(path, self.to_pcapng()).map_err(failed)
    }

    /// The bytes of such a file.
    pub(crate) fn to_pcapng(&self) -> Vec<u8> {
        pcapng::file(self.iter(), self.losses)
    }

    /// The matcher, if it means packets that could have been seen: nothing is absent where nobody looked.
    fn fit<K>(&self, matcher: Matcher<K>, here: &'static Location<'static>) -> Result<Matcher> {
        let matcher = sound(matcher, here)?;
        let tapped = |place: &&Named| self.sites.iter().any(|(netns, device)| place.is(netns, device));
        match matcher.places().iter().find(|place| !tapped(place)) {
            Some(place) if !self.sites.is_empty() => Err(self.not_tapped(&matcher, place).at(here)),
            _ => Ok(matcher),
        }
    }

    fn not_tapped(&self, matcher: &Matcher, place: &Named) -> Error {
        let sites: Vec<_> = self.sites.iter().map(|(netns, device)| format!("`{netns}/{device}`")).collect();
        Error::invalid(format!("look for {matcher}"), format!("there was no tap on `{place}`")).fact(format!("taps: {}", sites.join(", ")))
    }

    /// An error that shows what was seen instead.
    pub(super) fn unlike(&self, what: String, why: String) -> Error {
        self.explain(Error::unexpected(what, why))
    }

    pub(super) fn explain(&self, error: Error) -> Error {
        let error = error.fact(match self.len() {
            0 => "nothing was seen".to_owned(),
            seen if seen <= SHOWN => format!("seen, {seen} in all:"),
            seen => format!("seen, {seen} in all, of which the last {SHOWN} are:"),
        });
        let error = self.list[self.len().saturating_sub(SHOWN)..].iter().fold(error, |error, packet| error.fact(format!("  {packet}")));
        if self.losses.is_none() { error } else { error.fact(self.losses.to_string()) }
    }
}

/// A matcher that was given no bad value, for all kinds.
pub(super) fn sound<K>(matcher: Matcher<K>, here: &'static Location<'static>) -> Result<Matcher> {
    match matcher.problem() {
        Some(problem) => Err(Error::invalid(format!("look for {matcher}"), problem.to_owned()).at(here)),
        None => Ok(matcher.any_kind()),
    }
}

impl<'a> IntoIterator for &'a Packets {
    type Item = &'a Packet;
    type IntoIter = slice::Iter<'a, Packet>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} packets were lost for want of buffer, {} were cut", self.dropped, self.truncated)
    }
}

impl Display for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|packet| writeln!(f, "{packet}"))
    }
}

impl fmt::Debug for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
