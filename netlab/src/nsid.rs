//! The ids by which namespaces know each other.

use std::os::fd::{AsFd, AsRawFd};
use std::panic::Location;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};

use crate::error::{At, Doing, Result};
use crate::netns::Netns;

impl Netns {
    /// The id by which this namespace knows another one, as `ip netns list` and the `link-netnsid` of `ip link` show it; none if it has none.
    ///
    /// The kernel gives one as soon as a link of this namespace has its peer in the other. `other` is a [`Netns`], or a file that is open
    /// on a namespace, such as `/proc/PID/ns/net` or `/run/netns/NAME`.
    ///
    /// # Errors
    ///
    /// If `other` is no network namespace.
    #[track_caller]
    pub fn id_of(&self, other: impl AsFd) -> Result<Option<i32>> {
        let here = Location::caller();
        let mut question = NsidMessage::default();
        // The attribute is unsigned; a descriptor that is open is not negative.
        question.attributes.push(NsidAttribute::Fd(other.as_fd().as_raw_fd().cast_unsigned()));
        let what = || format!("ask `{self}` for its id of a namespace");
        let answers = self.request(RouteNetlinkMessage::GetNsId(question), 0).doing(what).at(here)?;
        Ok(answers.iter().find_map(id).filter(|id| *id >= 0))
    }
}

fn id(answer: &RouteNetlinkMessage) -> Option<i32> {
    let RouteNetlinkMessage::NewNsId(answer) = answer else { return None };
    answer.attributes.iter().find_map(|attribute| match attribute {
        NsidAttribute::Id(id) => Some(*id),
        _ => None,
    })
}
