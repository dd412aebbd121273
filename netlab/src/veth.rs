//! A virtual Ethernet cable.

use std::os::fd::AsRawFd;
use std::panic::Location;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo};

use crate::error::{At, Doing, Error, Result};
use crate::iface::{Iface, Plan};
use crate::link::Link;
use crate::sys::Refusal;
use crate::teardown;

/// A cable between two namespaces (or within one): a veth(4) pair, which goes when it is dropped.
#[derive(Debug)]
#[must_use = "the cable is unplugged as soon as it is dropped: bind it, as in `let _lan = VethPair::connect(…)?;`"]
pub struct VethPair {
    left: Link,
    right: Link,
    armed: bool,
}

impl VethPair {
    /// Plugs a cable in: both ends exist in their namespaces, have what their descriptions say, and carry traffic when this returns.
    ///
    /// Equals `ip link add LEFT netns A type veth peer name RIGHT netns B`, then `ip address add` and `ip route add` at each end, as one
    /// request that makes both ends where they belong and one more for each end.
    ///
    /// # Errors
    ///
    /// A bad value in a description ([`is_invalid_input`](Error::is_invalid_input)), a name or index that is taken
    /// ([`is_exists`](Error::is_exists)), a gateway that no address reaches ([`is_unreachable`](Error::is_unreachable)). Nothing is left
    /// behind then.
    #[track_caller]
    pub fn connect(left: Iface, right: Iface) -> Result<Self> {
        let here = Location::caller();
        Self::create(&left, &right).at(here)
    }

    fn create(left: &Iface, right: &Iface) -> Result<Self> {
        let (left_plan, right_plan) = (left.plan()?, right.plan()?);
        let swapped = match (left_plan.index, right_plan.index) {
            // The kernel heeds the index of the second end only if the first one's is chosen, too (drivers/net/veth.c).
            (None, Some(_)) => true,
            (Some(_), None) => false,
            // Only the first end of a request can be put on a bridge by it.
            _ => right.master.is_some() && left.master.is_none(),
        };
        let [first, second] = if swapped { [(right, &right_plan), (left, &left_plan)] } else { [(left, &left_plan), (right, &right_plan)] };
        create_both(first, second).map_err(|refusal| explain(left, right, refusal))?;
        let find = |iface: &Iface, plan: &Plan| match plan.index {
            Some(index) => Ok(Link::new(&iface.netns, index, &iface.name)),
            None => iface.netns.link(&iface.name).inspect(|link| iface.netns.avoid_index(link.index())),
        };
        // Owned from here on: whatever fails below undoes it.
        let pair = Self { left: find(left, &left_plan)?, right: find(right, &right_plan)?, armed: true };
        let (second, link) = if swapped { (left, &pair.left) } else { (right, &pair.right) };
        if let Some(master) = &second.master {
            link.set_master(master)?;
        }
        let must_carry = left.up && right.up;
        // The first end is up already, so that the second one finds a carrier.
        if swapped {
            pair.left.configure(left, &left_plan, must_carry)?;
            pair.right.configure(right, &right_plan, must_carry)?;
        } else {
            pair.right.configure(right, &right_plan, must_carry)?;
            pair.left.configure(left, &left_plan, must_carry)?;
        }
        Ok(pair)
    }

    /// The end described first.
    pub fn left(&self) -> &Link {
        &self.left
    }

    /// The end described second.
    pub fn right(&self) -> &Link {
        &self.right
    }

    /// Unplugs the cable and waits until the kernel has deleted both ends, about 20 ms. Dropping it takes effect as soon, but does not wait.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    #[track_caller]
    pub fn close(mut self) -> Result<()> {
        let here = Location::caller();
        self.armed = false;
        self.left.delete().and_then(|()| self.right.delete()).doing(|| self.unplug()).at(here)
    }

    /// Leaves the cable plugged in: it goes with the namespaces of its ends.
    pub fn keep(mut self) -> (Link, Link) {
        self.armed = false;
        (self.left.clone(), self.right.clone())
    }

    fn unplug(&self) -> String {
        format!("unplug the cable from `{}` to `{}`", self.left, self.right)
    }

    fn remove(&self) -> Result<(), Refusal> {
        let ours = self.left.netns().ours() && self.right.netns().ours();
        if ours && self.left.retire()? & self.right.retire()? {
            return Ok(());
        }
        // Somebody may have moved an end to where it would be seen still.
        self.left.delete()?;
        self.right.delete()
    }
}

impl Drop for VethPair {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        if self.armed
            && let Err(refusal) = self.remove()
        {
            teardown::failed(Error::new(self.unplug(), refusal));
        }
    }
}

fn create_both(first: (&Iface, &Plan), second: (&Iface, &Plan)) -> Result<(), Refusal> {
    let message = |(iface, plan): (&Iface, &Plan)| {
        let mut message = plan.link_message(iface);
        // One queue, as on a machine with one processor: the default is one for each, which costs time and memory and shows in listings.
        message.attributes.push(LinkAttribute::NumTxQueues(1));
        message.attributes.push(LinkAttribute::NumRxQueues(1));
        message.attributes.push(LinkAttribute::NetNsFd(iface.netns.descriptor().as_raw_fd()));
        message
    };
    let mut request = message(first);
    if first.0.up {
        // The kernel refuses it for the second end, which has no far end yet when it comes up (ENOTCONN, drivers/net/veth.c).
        request.header.flags = LinkFlags::Up;
        request.header.change_mask = LinkFlags::Up;
    }
    request.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(message(second)))),
    ]));
    request.attributes.extend(first.0.master.as_ref().map(|master| LinkAttribute::Controller(master.index())));
    // A retired link of the far end's namespace may hold its name or index still.
    second.0.netns.bury();
    first.0.netns.request(RouteNetlinkMessage::NewLink(request), NLM_F_CREATE | NLM_F_EXCL).map(drop)
}

fn explain(left: &Iface, right: &Iface, refusal: Refusal) -> Error {
    let what = format!("plug a cable from `{}` to `{}`", left.place(), right.place());
    if !(refusal.is(libc::EEXIST) || refusal.is(libc::EBUSY)) {
        return Error::new(what, refusal);
    }
    let taken: Vec<_> = [left, right].into_iter().filter(|iface| iface.netns.link(&iface.name).is_ok()).map(Iface::place).collect();
    let error = Error::new(what, refusal);
    match &taken[..] {
        [] if left.place() == right.place() => error.fact("both ends have the same name in the same namespace"),
        [] => error.fact("an interface has the chosen index already"),
        taken => taken.iter().fold(error, |error, place| error.fact(format!("`{place}` is there already"))),
    }
}
