//! The sets that a rule brings along.

use std::sync::atomic::{AtomicU32, Ordering};

use super::super::family::Family;
use super::super::items::{Layout, elements};
use super::super::matches::service_key_types;
use super::super::object::{Set, set_flags};
use super::super::statement::{Gives, Items, Key};
use super::super::types::DataType;
use super::super::userdata;

/// `NFT_DATA_VERDICT`: that a map gives verdicts.
const VERDICT: u32 = 0xffff_ff00;

/// Stands for an anonymous set within one transaction.
static SET_ID: AtomicU32 = AtomicU32::new(1);

/// A set or map that a table declares, for keys of these types; of ranges if `interval` says so.
pub(crate) fn declared(name: &str, types: &[DataType], items: &Items, interval: bool) -> Result<Set, String> {
    let parts = types.iter().map(|one| one.bytes().ok_or_else(|| format!("values of type {} have no size of their own", one.name())));
    let parts: Vec<usize> = parts.collect::<Result<_, _>>()?;
    let key_len = if let [one] = parts.as_slice() { *one } else { parts.iter().map(|bytes| bytes.next_multiple_of(4)).sum() };
    let host_key = types.len() == 1 && (types[0].is_host_order() || types[0] == DataType::IfName);
    let flags = if interval { set_flags::INTERVAL } else { 0 };
    let mut set = Set { name: name.to_owned(), ..described(types, &parts, key_len, items, flags, host_key) };
    set.elements = elements(items, &Layout::of_types(types, key_len, false), set.flags);
    Ok(set)
}

/// A verdict map that a table declares, by destination, protocol and port.
pub(crate) fn service_map(family: Family, name: &str, items: &Items) -> Result<Set, String> {
    let set = declared(name, &service_key_types(family)?, items, false)?;
    // Also where it has no elements yet, from which one would see it.
    Ok(Set { flags: set.flags | set_flags::MAP, data_type: Some(VERDICT), data_len: None, ..set })
}

/// A set or map that belongs to one rule.
pub(super) fn anonymous(key: &Key, items: &Items) -> Result<Set, String> {
    if items.items.is_empty() {
        return Err("an empty set matches nothing".to_owned());
    }
    let types = key.data_types();
    let ranges = items.items.iter().flat_map(|item| &item.key).any(|(_, to)| to.is_some());
    let flags = set_flags::ANONYMOUS | set_flags::CONSTANT | if ranges { set_flags::INTERVAL } else { 0 };
    let parts: Vec<usize> = match key {
        Key::Concat(keys) => keys.iter().map(Key::bytes).collect(),
        key => vec![key.bytes()],
    };
    let host_key = key.is_host_order() || key.data_type() == DataType::IfName;
    let set = described(&types, &parts, key.bytes(), items, flags, host_key);
    let elements = elements(&placed(key, items), &Layout::of_key(key), set.flags);
    let name = if set.is(set_flags::MAP) { "__map%d" } else { "__set%d" }.to_owned();
    let size = length(items.items.len());
    Ok(Set { name, id: SET_ID.fetch_add(1, Ordering::Relaxed), size: Some(size).filter(|_| !ranges), elements, ..set })
}

/// A set without its name and its elements.
fn described(types: &[DataType], parts: &[usize], key_len: usize, items: &Items, flags: u32, host_key: bool) -> Set {
    let verdicts = items.items.iter().any(|item| matches!(item.gives, Some(Gives::Verdict(_))));
    let is_map = verdicts || !items.data_types.is_empty();
    let data_bytes = |one: &DataType| one.bytes().unwrap_or(4);
    let data_len = match items.data_types.as_slice() {
        [one] => data_bytes(one),
        several => several.iter().map(|one| data_bytes(one).next_multiple_of(4)).sum(),
    };
    // What nft goes by when it reads the set: names are in host byte order for it.
    let order = |host: bool| if host { 1 } else { 2 };
    let mut userdata = userdata::number_entry(userdata::SET_KEY_BYTEORDER, order(host_key));
    if let Some(data_type) = items.data_types.first() {
        userdata.extend(userdata::number_entry(userdata::SET_DATA_BYTEORDER, order(data_type.is_host_order())));
    }
    if items.gives_ranges() {
        userdata.extend(userdata::number_entry(userdata::SET_DATA_INTERVAL, 1));
    }
    let flag = |flag: u32, said: bool| if said { flag } else { 0 };
    Set {
        flags: flags | flag(set_flags::MAP, is_map) | flag(set_flags::CONCAT, types.len() > 1),
        key_type: DataType::concat(types),
        key_len: length(key_len),
        data_type: is_map.then(|| if verdicts { VERDICT } else { DataType::concat(&items.data_types) }),
        data_len: (is_map && !verdicts).then(|| length(if items.gives_ranges() { 2 * data_len } else { data_len })),
        fields: if types.len() > 1 { parts.iter().map(|bytes| length(*bytes)).collect() } else { Vec::new() },
        userdata,
        ..Set::default()
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The items with each value at its place in the bytes that are loaded.
fn placed(key: &Key, items: &Items) -> Items {
    let mut items = items.clone();
    if let Key::Payload { bits, .. } = key
        && bits % 8 != 0
    {
        for (from, to) in items.items.iter_mut().flat_map(|item| &mut item.key) {
            *from = place(key, from);
            *to = to.as_ref().map(|to| place(key, to));
        }
    }
    items
}

/// A value moved up to where the field is in the bytes that are loaded.
pub(super) fn place(key: &Key, value: &[u8]) -> Vec<u8> {
    let Key::Payload { offset, bits, .. } = key else { return value.to_vec() };
    let bytes = key.bytes();
    if bits % 8 == 0 || bytes > 8 {
        return value.to_vec();
    }
    let below = u32::try_from(bytes).unwrap_or(8) * 8 - offset % 8 - bits;
    let number = value.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)) << below;
    number.to_be_bytes()[8 - bytes..].to_vec()
}
