//! What a namespace has, as typed values whose text is iproute2's: links, addresses, routes, rules, neighbours and forwarding
//! databases.
//!
//! Each listing derefs to a slice of entries with public fields, is `serde`-able, and prints what `ip` would print in that namespace, byte
//! by byte, so that `insta::assert_snapshot!(netns.routes()?)` is readable to everyone who knows `ip route`. Numbers have the names that
//! iproute2 has built in or ships; names that a machine's own files in `/etc/iproute2` add are left out, because they would make the
//! text depend on the machine.
//!
//! In namespaces that netlab made, interface indexes and MAC addresses are the same in every run. Elsewhere, and for what drifts with time,
//! each listing has `normalised()`.

mod addresses;
mod details;
mod fdb;
mod links;
mod lookup;
mod neighbours;
mod normal;
mod routes;
mod rules;
pub(crate) mod wire;
mod words;

pub use addresses::{Address, Addresses, Lifetime};
pub use details::{Details, Setting};
pub use fdb::{Fdb, FdbEntry};
pub use links::{Link, Links, Peer};
pub(crate) use lookup::Question;
pub use neighbours::{Neighbour, NeighbourState, Neighbours};
pub use routes::{Nexthop, Route, RouteKind, RouteQuery, Routes};
pub use rules::{Action, Rule, Rules};

use std::collections::HashMap;

use crate::error::{Doing, Result};
use crate::netns::Netns;
use wire::Raw;

/// The interface names of a listing, by index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Names(HashMap<u32, String>);

impl Names {
    /// As iproute2 names an interface that it cannot find.
    fn of(&self, index: u32) -> String {
        self.0.get(&index).cloned().unwrap_or_else(|| format!("if{index}"))
    }
}

fn list(netns: &Netns, what: &str, question: &Raw) -> Result<Vec<Raw>> {
    netns.dump(question.clone()).doing(|| format!("list the {what} of `{netns}`"))
}

/// Lists something that names interfaces by index, together with the links, and once more if a link came, went or was renamed meanwhile.
fn list_with_links<T>(netns: &Netns, mut ask: impl FnMut() -> Result<T>) -> Result<(Links, Names, T)> {
    let (_, mut before) = Links::settled(netns)?;
    loop {
        let listing = ask()?;
        let (links, names) = Links::ask(netns)?;
        if names == before {
            return Ok((links, names, listing));
        }
        before = names;
    }
}

/// Makes a newtype around a vector a listing: a slice to read from, and something to iterate over.
macro_rules! collection {
    ($name:ident, $entry:ty) => {
        impl std::ops::Deref for $name {
            type Target = [$entry];

            fn deref(&self) -> &[$entry] {
                &self.0
            }
        }

        impl IntoIterator for $name {
            type Item = $entry;
            type IntoIter = std::vec::IntoIter<$entry>;

            fn into_iter(self) -> Self::IntoIter {
                self.0.into_iter()
            }
        }

        impl<'a> IntoIterator for &'a $name {
            type Item = &'a $entry;
            type IntoIter = std::slice::Iter<'a, $entry>;

            fn into_iter(self) -> Self::IntoIter {
                self.0.iter()
            }
        }
    };
}
pub(crate) use collection;

#[cfg(test)]
mod tests {
    use super::wire::{AF_BRIDGE, AF_INET, AF_INET6};
    use super::*;
    use proptest::prelude::*;

    /// Attributes with plausible types, whose lengths may lie, nested at will.
    fn attributes() -> impl Strategy<Value = Vec<u8>> {
        let value = proptest::collection::vec(any::<u8>(), 0..40);
        let attribute = |value: BoxedStrategy<Vec<u8>>| {
            (0u16..64, value, prop_oneof![9 => Just(0i16), 1 => -8i16..8]).prop_map(|(kind, value, lie)| {
                let length = (4 + value.len() as u16).wrapping_add_signed(lie);
                let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
                bytes.extend(value);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                bytes
            })
        };
        let several = move |value| proptest::collection::vec(attribute(value), 0..12).prop_map(|all| all.concat()).boxed();
        let named =
            prop_oneof![Just(b"bridge\0".to_vec()), Just(b"vxlan\0".to_vec()), Just(b"tun\0".to_vec()), Just(b"macvlan\0".to_vec())];
        let leaves = several(prop_oneof![value, named].boxed());
        let branches = several(leaves.clone());
        prop_oneof![leaves, branches.clone(), several(branches)]
    }

    fn message() -> impl Strategy<Value = Vec<u8>> {
        (
            proptest::collection::vec(any::<u8>(), 0..17),
            prop_oneof![Just(AF_INET), Just(AF_INET6), Just(AF_BRIDGE), any::<u8>()],
            attributes(),
        )
            .prop_map(|(mut header, family, attributes)| {
                if let Some(first) = header.first_mut() {
                    *first = family;
                }
                header.extend(attributes);
                header
            })
    }

    proptest! {
        #[test]
        fn no_message_makes_a_decoder_panic(bytes in message()) {
            let message = Raw::new(0, bytes);
            let (links, names) = Links::decode(std::slice::from_ref(&message));
            prop_assert!(links.detailed().to_string().is_empty() == links.is_empty());
            let mut normal = normal::Normal::default();
            normal.links(&mut links.clone().0);
            if let Some(address) = Address::decode(&message, &names) {
                prop_assert!(address.to_string().contains("scope"));
                normal.addresses(&mut [address]);
            }
            if let Some(route) = Route::decode(&message, &names) {
                prop_assert!(!route.to_string().is_empty());
                normal.routes(&mut [route]);
            }
            if let Some(rule) = Rule::decode(&message) {
                prop_assert!(rule.to_string().contains("from "));
            }
            if let Some(neighbour) = Neighbour::decode(&message, &names) {
                prop_assert!(!neighbour.to_string().is_empty());
                normal.neighbours(&mut [neighbour]);
            }
            if let Some(entry) = FdbEntry::decode(&message, &names) {
                prop_assert!(entry.to_string().contains(" dev "));
            }
        }

        #[test]
        fn a_table_is_found_by_the_text_that_it_is_printed_by(number in any::<u32>()) {
            prop_assert_eq!(words::table_number(&words::table(number)), Some(number));
        }
    }
}
