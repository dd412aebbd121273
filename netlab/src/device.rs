//! One link of some kind: made by one request, gone when it is dropped.

use std::os::fd::AsRawFd;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};

use crate::error::{Doing, Error, Result};
use crate::feature::Feature;
use crate::iface::{Iface, Plan};
use crate::link::{self, Link};
use crate::netns::Netns;
use crate::sys::Refusal;
use crate::teardown;

/// What the fixtures of such links have in common: the link, which goes when they are dropped.
#[derive(Debug)]
pub(crate) struct Device {
    link: Link,
    kind: String,
    /// It holds something that others want (a parent or a UDP port of another namespace, a node in /dev) as long as it exists, also while it
    /// is down: so it is deleted when it is dropped, and not later.
    holds: bool,
    armed: bool,
}

/// What makes a link of its kind.
#[derive(Debug)]
pub(crate) struct Recipe {
    kind: InfoKind,
    data: Option<InfoData>,
    mac: MacAddress,
    parent: Option<Link>,
    outside: Option<Netns>,
    holds: bool,
}

/// How such a link comes by its MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MacAddress {
    /// It follows from the names, unless the description says one.
    Derived,
    /// It is the parent's, unless the description says one.
    Parents,
    /// It has none.
    Never,
}

impl Recipe {
    pub(crate) fn new(kind: InfoKind, data: Option<InfoData>) -> Self {
        Self { kind, data, mac: MacAddress::Derived, parent: None, outside: None, holds: false }
    }

    pub(crate) fn mac(mut self, mac: MacAddress) -> Self {
        self.mac = mac;
        self
    }

    /// The link lies upon that one (`ip link add link PARENT`), be it in another namespace.
    pub(crate) fn upon(mut self, parent: &Link) -> Self {
        self.outside = Some(parent.netns());
        self.parent = Some(parent.clone());
        self
    }

    /// The packets of the link come and go in that namespace, wherever the link is: it is made there, and then moved.
    pub(crate) fn outside(mut self, netns: &Netns) -> Self {
        self.outside = Some(netns.clone());
        self
    }

    /// In the namespace outside, nobody else can have the same as long as it exists.
    pub(crate) fn holds(mut self) -> Self {
        self.holds = true;
        self
    }

    fn message(&self, iface: &Iface, plan: &Plan) -> LinkMessage {
        let mut message = plan.link_message(iface);
        if self.mac != MacAddress::Derived && !iface.has_chosen_mac() {
            message.attributes.retain(|attribute| !matches!(attribute, LinkAttribute::Address(_)));
        }
        message.attributes.extend(self.parent.as_ref().map(|parent| LinkAttribute::Link(parent.index())));
        if self.outside.is_some() {
            message.attributes.push(LinkAttribute::NetNsFd(iface.netns.descriptor().as_raw_fd()));
        }
        message.attributes.extend(iface.master.as_ref().map(|master| LinkAttribute::Controller(master.index())));
        let data = self.data.clone().map(LinkInfo::Data);
        message.attributes.push(LinkAttribute::LinkInfo([LinkInfo::Kind(self.kind.clone())].into_iter().chain(data).collect()));
        message
    }

    /// The MTU of the parent, where that is less than what was asked for.
    fn narrow_parent(&self, iface: &Iface) -> Option<String> {
        let parent = self.parent.as_ref()?;
        let there = link::mtu(&parent.ask().ok()?)?;
        (iface.mtu? > there).then(|| format!("`{parent}`, its parent, has the MTU {there}"))
    }
}

impl Device {
    /// Makes the link, with all that its description says; it carries traffic, if its kind and its parent can.
    pub(crate) fn create(iface: &Iface, recipe: Recipe) -> Result<Self> {
        if recipe.mac == MacAddress::Never {
            iface.check_no_mac(&recipe.kind.to_string())?;
        }
        let plan = iface.plan()?;
        let device = Self::make(iface, &recipe, &plan)?;
        device.configure(iface, &plan, &recipe)?;
        Ok(device)
    }

    /// Makes the link, without anything that needs it to be there.
    pub(crate) fn make(iface: &Iface, recipe: &Recipe, plan: &Plan) -> Result<Self> {
        let message = RouteNetlinkMessage::NewLink(recipe.message(iface, plan));
        let birthplace = recipe.outside.as_ref().unwrap_or(&iface.netns);
        // A retired link of the namespace may hold the name or index still.
        iface.netns.bury();
        birthplace.request(message, NLM_F_CREATE | NLM_F_EXCL).map_err(|refusal| explain(iface, recipe, refusal))?;
        let device = Self::adopt(iface, plan.index, &recipe.kind.to_string())?;
        Ok(if recipe.holds && !birthplace.is_same(&iface.netns) { device.holding() } else { device })
    }

    /// Gives it the rest of its description.
    pub(crate) fn configure(&self, iface: &Iface, plan: &Plan, recipe: &Recipe) -> Result<()> {
        let parent = recipe.parent.as_ref().and_then(|parent| parent.ask().ok());
        let carrier = parent.is_some_and(|parent| parent.header.flags.contains(LinkFlags::LowerUp));
        self.link.configure(iface, plan, iface.up && carrier)
    }

    /// Owns a link that is there, whatever made it.
    pub(crate) fn adopt(iface: &Iface, index: Option<u32>, kind: &str) -> Result<Self> {
        let link = match index {
            Some(index) => Link::new(&iface.netns, index, &iface.name),
            None => iface.netns.link(&iface.name)?,
        };
        Ok(Self { link, kind: kind.to_owned(), holds: false, armed: true })
    }

    /// It holds something that it may not hold after its end, even if that takes the kernel a while.
    pub(crate) fn holding(mut self) -> Self {
        self.holds = true;
        self
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    #[track_caller]
    pub(crate) fn close(mut self) -> Result<()> {
        self.armed = false;
        self.link.delete().doing(|| self.undo())
    }

    pub(crate) fn keep(mut self) -> Link {
        self.armed = false;
        self.link.clone()
    }

    fn undo(&self) -> String {
        format!("delete {} `{}`", self.kind, self.link)
    }

    fn remove(&self) -> Result<(), Refusal> {
        if self.link.netns().ours() && !self.holds { self.link.retire().map(drop) } else { self.link.delete() }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _undoing = teardown::begins();
        if self.armed
            && let Err(refusal) = self.remove()
        {
            teardown::failed(Error::new(self.undo(), refusal));
        }
    }
}

fn explain(iface: &Iface, recipe: &Recipe, refusal: Refusal) -> Error {
    let kind = recipe.kind.to_string();
    let what = format!("create {kind} `{}`", iface.place());
    let errno = refusal.errno;
    // A driver may say the same of what it is asked for; the kernel has this sentence for the lack of a driver.
    let unknown = errno == libc::EOPNOTSUPP && refusal.message.as_deref().is_none_or(|message| message == "Unknown device type");
    let error = Error::new(what, refusal);
    match errno {
        libc::EOPNOTSUPP if unknown => Feature::named(&kind).into_iter().fold(error, |error, feature| error.help(feature.help(errno))),
        libc::EEXIST | libc::EBUSY if iface.netns.link(&iface.name).is_ok() => error.fact(format!("`{}` is there already", iface.place())),
        libc::EINVAL => recipe.narrow_parent(iface).into_iter().fold(error, Error::fact),
        libc::ENODEV => recipe.parent.iter().fold(error, |error, parent| error.fact(format!("`{parent}`, its parent, is gone"))),
        _ => error,
    }
}

/// The verbs that all fixtures of one link have; those whose link ends with a file (`: file`) cannot leave it to its namespace.
macro_rules! verbs {
    ($fixture:ident) => {
        crate::device::verbs!($fixture: file);

        impl $fixture {
            /// Leaves the interface: it goes with its namespace.
            pub fn keep(self) -> crate::link::Link {
                self.0.keep()
            }
        }
    };
    ($fixture:ident: file) => {
        impl $fixture {
            /// Its interface.
            pub fn link(&self) -> &crate::link::Link {
                self.0.link()
            }

            /// Deletes the interface and waits until the kernel is done, about 20 ms. Dropping it takes effect as soon.
            ///
            /// # Errors
            ///
            /// If the kernel refuses.
            #[track_caller]
            pub fn close(self) -> crate::error::Result<()> {
                use crate::error::At;
                self.0.close().at(std::panic::Location::caller())
            }
        }

        impl AsRef<crate::link::Link> for $fixture {
            fn as_ref(&self) -> &crate::link::Link {
                self.0.link()
            }
        }
    };
}
pub(crate) use verbs;

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::{Emitable, Nla};

    impl Recipe {
        /// Holds the kind and its data against what iproute2 6.1 sends (seen by strace); what only iproute2 says has to be zero.
        pub(crate) fn asks_as_iproute2(&self, kind: &str, data: &[u8]) {
            assert_eq!(self.kind.to_string(), kind);
            let mut bytes = Vec::new();
            if let Some(data) = self.data.clone() {
                let info = LinkInfo::Data(data);
                bytes.resize(info.value_len(), 0);
                info.emit_value(&mut bytes);
            }
            let (ours, theirs) = (attributes(&bytes), attributes(data));
            for attribute in &ours {
                assert!(theirs.contains(attribute), "{attribute:?} is not in {theirs:?}");
            }
            for (number, value) in theirs {
                assert!(ours.iter().any(|(ours, _)| *ours == number) || value.iter().all(|byte| *byte == 0), "{number} is missing");
            }
        }
    }

    fn attributes(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let attributes = netlink_packet_core::NlasIterator::new(bytes).map(|nla| nla.expect("an attribute"));
        attributes.map(|nla| (nla.kind(), nla.value().to_vec())).collect()
    }

    #[test]
    fn a_recipe_says_where_the_link_is_made_and_what_it_lies_upon() {
        let netns = Netns::current().expect("a namespace");
        let parent = Link::new(&netns, 7, "eth0");
        let iface = netns.iface("child0").mtu(1400);
        let message = Recipe::new(InfoKind::MacVlan, None).upon(&parent).message(&iface, &iface.plan().expect("a plan"));
        assert!(message.attributes.contains(&LinkAttribute::Link(7)) && message.attributes.contains(&LinkAttribute::Mtu(1400)));
        assert!(message.attributes.iter().any(|attribute| matches!(attribute, LinkAttribute::NetNsFd(_))));
        assert!(message.attributes.iter().any(|attribute| matches!(attribute, LinkAttribute::Address(_))));
        let message = Recipe::new(InfoKind::Vlan, None).mac(MacAddress::Parents).message(&iface, &iface.plan().expect("a plan"));
        assert!(!message.attributes.iter().any(|attribute| matches!(attribute, LinkAttribute::Address(_) | LinkAttribute::NetNsFd(_))));
        assert!(message.buffer_len() > 0);
    }
}
